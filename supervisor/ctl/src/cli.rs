//! The command line: every verb and option, once. Does nothing with them.
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use wbd_model::action::Class;
use wbd_model::entry::Body;
use wbd_model::incident::{ActionId, IncidentId};
use wbd_model::name::{Code, PlaybookName, ProfileName, TargetName};

/// Diagnose a host and steer the wbd supervisor
#[derive(Debug, Parser)]
#[command(name = "wbdctl", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Form of the answer (nagios: doctor only)
    #[arg(short, long, value_name = "FORMAT", default_value = "text", global = true)]
    pub(crate) output: Format,
    /// How long to wait for an answer of the supervisor
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time, global = true)]
    pub(crate) timeout: Duration,
    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: ColorArg,
    /// Language of texts; what is not translated is shown in English
    #[arg(long, value_name = "LANGUAGE", default_value = "en", global = true)]
    pub(crate) lang: LangArg,
    /// The supervisor's settings, instead of /etc/wbd/wbd.yaml
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Take all of wbd's paths under this folder
    #[arg(long, value_name = "DIR", default_value = "/", global = true)]
    pub(crate) root: PathBuf,
    /// Process id of the doctor that wants this examination
    #[arg(long, value_name = "PID", hide = true)]
    pub(crate) examine_for: Option<u32>,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs; carries "schema" and only ever gains keys
    Json,
    /// The same as YAML
    Yaml,
    /// One line for monitoring systems
    Nagios,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorArg {
    /// On a terminal
    Auto,
    /// Even into a file
    Always,
    /// Not at all
    Never,
}

/// Language of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LangArg {
    /// English
    En,
    /// Japanese
    Ja,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Look at everything and tell what is wrong, why, and what can be done
    Doctor(Doctor),
    /// How the supervisor is, and what is due next
    Status,
    /// Incidents: failures through time
    #[command(subcommand)]
    Incidents(Incidents),
    /// The ledger: what was found, intended, done and proved
    #[command(subcommand)]
    Ledger(Ledger),
    /// Playbooks: how failures are found and healed
    #[command(subcommand)]
    Playbook(Playbook),
    /// What a failure means, what wbd does about it, and the steps for a person
    Explain {
        /// The code, such as WBD-5404 or 5404; without it all are listed
        code: Option<String>,
    },
    /// Approve the step that waits, after it was shown
    Approve {
        /// The incident, such as I4
        #[arg(value_parser = incident)]
        incident: IncidentId,
        /// Do not ask back: the approval is of what is shown now
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        wait: NoWait,
    },
    /// Deny the step that waits
    Deny {
        /// The incident, such as I4
        #[arg(value_parser = incident)]
        incident: IncidentId,
    },
    /// Stop all healing; checks go on
    Pause {
        /// For how long; without it until `resume`
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        length: Option<Duration>,
        /// Only actions of this class and above
        #[arg(long, value_name = "CLASS", default_value = "A1", value_parser = class)]
        class: Class,
        /// Why
        #[arg(required = true, num_args = 1..)]
        why: Vec<String>,
    },
    /// Lift a pause, and the suspension of what wbd itself stopped, and wait for what goes on then
    Resume(NoWait),
    /// Failures that do not count for a time, and why
    #[command(subcommand)]
    Waiver(Waiver),
    /// Whom wbd notifies of what needs a person
    #[command(subcommand)]
    Escalation(Escalation),
    /// The products that there is a profile for
    #[command(subcommand)]
    Product(Product),
    /// Take an action back
    Undo {
        /// The action, such as A17
        #[arg(value_parser = action)]
        action: ActionId,
    },
    /// Read settings and playbooks again; the old set stays if anything is broken
    Reload {
        /// Wait for the result (it is always waited for; kept for scripts)
        #[arg(long)]
        wait: bool,
    },
    /// The agent
    #[command(subcommand)]
    Agent(Agent),
    /// The agent's targets
    #[command(subcommand)]
    Target(Target),
    /// The supervisor's settings
    #[command(subcommand)]
    Config(Config),
    /// Break an agent in a scratch folder four times and watch it being healed
    Demo {
        /// Keep the scratch folder
        #[arg(long)]
        keep: bool,
    },
    /// Help for a command, with all its options
    Help {
        /// The command, such as ledger list; without it all commands
        command: Vec<String>,
    },
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Tells a person that the supervisor has failed for good
    #[command(hide = true)]
    LastWord,
    /// Starts a supervisor that has failed once more
    #[command(hide = true)]
    AnotherTry,
    /// Runs the demo's supervisor so that it dies with the demo
    #[command(hide = true)]
    DemoChild {
        /// Process id of the demo
        parent: u32,
        /// The scratch folder
        scratch: PathBuf,
        /// The supervisor's program
        program: PathBuf,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Doctor {
    /// Ask the supervisor to do now what it does by itself of the fixes shown
    #[arg(long)]
    pub(crate) fix: bool,
    /// Show what the fixes would do, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Check only these failures
    #[arg(long, value_name = "CODE", num_args = 1.., value_delimiter = ',', value_parser = code)]
    pub(crate) only: Vec<Code>,
    /// Leave these failures out
    #[arg(long, value_name = "CODE", num_args = 1.., value_delimiter = ',', value_parser = code)]
    pub(crate) skip: Vec<Code>,
    /// Look at one product only
    #[arg(long, value_name = "NAME", value_parser = profile)]
    pub(crate) profile: Option<ProfileName>,
    /// Name every check, every target and all steps
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Look again every two seconds
    #[arg(long, conflicts_with_all = ["fix", "dry_run"])]
    pub(crate) watch: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Incidents {
    /// Open incidents and the last closed ones
    List,
    /// One incident with its records, and what a waiting step would change
    Show {
        /// The incident, such as I4
        #[arg(value_parser = incident)]
        incident: IncidentId,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Product {
    /// Every product: whether it is on this host, and which of its processes run
    List,
    /// Check a product no more until it runs again; needs root
    Forget {
        /// The product by its profile's name, such as aegis
        #[arg(value_parser = profile)]
        name: ProfileName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Waiver {
    /// Take a failure out of judgement for a time, or end that early
    Add(NewWaiver),
    /// All waivers, those that end soon or are over marked
    List,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NewWaiver {
    /// The failure, such as WBD-5404 or 5404
    #[arg(value_parser = code)]
    pub(crate) code: Code,
    /// Only of this target; without it of every one
    #[arg(long, value_name = "TARGET", value_parser = target)]
    pub(crate) target: Option<TargetName>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) why: String,
    /// For how long, at most 366d; 0 ends an earlier waiver
    #[arg(long = "for", value_name = "TIME", value_parser = length, required_unless_present = "until")]
    pub(crate) length: Option<Duration>,
    /// Until the end of this day, or this moment
    #[arg(long, value_name = "WHEN", value_parser = crate::when::until, conflicts_with = "length")]
    pub(crate) until: Option<i64>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Escalation {
    /// Run on_escalation with a made-up incident, and tell how it ended
    Test,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Records, oldest first
    List {
        /// Only of this incident
        #[arg(long, value_name = "INCIDENT", value_parser = incident)]
        incident: Option<IncidentId>,
        /// Only of this failure
        #[arg(long, value_name = "CODE", value_parser = code)]
        code: Option<Code>,
        /// How far back
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Duration>,
        /// Only of this kind
        #[arg(long, value_name = "KIND", value_parser = PossibleValuesParser::new(Body::KINDS))]
        kind: Option<String>,
        /// At most so many, the newest ones
        #[arg(long, value_name = "NUMBER", default_value_t = 200)]
        limit: usize,
    },
    /// One record with all its fields
    Show {
        /// Its number
        seq: u64,
    },
    /// Check the chain from its beginning and name the first bad record
    Verify,
    /// Write ledger, answers of checks and samples into one file, for `playbook simulate --from` elsewhere
    Export {
        /// The file; it must not be there yet
        file: PathBuf,
        /// How far back; without it everything
        #[arg(long, value_name = "TIME", value_parser = time)]
        since: Option<Duration>,
    },
    /// Set the ledger aside and start a new one that names the old head
    Rotate {
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Playbook {
    /// Playbooks and profiles of this host
    List,
    /// One playbook as it is loaded
    Show {
        /// Its name
        name: String,
    },
    /// All problems of playbook files, each with its place
    Lint {
        /// The files, or folders of them; without them those that are installed
        files: Vec<PathBuf>,
    },
    /// Run the tests that stand beside playbooks, without a host and without waiting
    Test {
        /// The files, or folders of them; without them those that are installed
        files: Vec<PathBuf>,
    },
    /// Do a playbook's next step now, under the same guards as always, and wait until it is proved or refused
    Run {
        /// Its name
        #[arg(value_parser = playbook)]
        name: PlaybookName,
        /// The target, where there is more than one
        #[arg(long, value_name = "TARGET", value_parser = target)]
        target: Option<TargetName>,
        #[command(flatten)]
        wait: NoWait,
    },
    /// Tell what a playbook would have done on what was recorded, and do nothing
    Simulate(Simulate),
    /// What a playbook can ask and do: every probe and action, or one with all that is to be known of it
    Reference {
        /// Its name: `fd.usage`
        name: Option<String>,
    },
    /// The JSON Schema of playbook files
    Schema,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Simulate {
    /// The file: a new playbook, or a changed one
    pub(crate) file: PathBuf,
    /// How far back
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = time)]
    pub(crate) since: Duration,
    /// Only for this target
    #[arg(long, value_name = "TARGET", value_parser = target)]
    pub(crate) target: Option<TargetName>,
    /// The record of another host, as `ledger export` wrote it
    #[arg(long, value_name = "BUNDLE")]
    pub(crate) from: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Agent {
    /// Start it, and wait until it works
    Start(NoWait),
    /// Stop it, if it runs, start it, and wait until it works
    Restart(NoWait),
    /// Stop it; it stays stopped until it is started again
    Stop,
    /// Make it read its settings again, and wait until it works
    Reload(NoWait),
    /// Start detecting
    Activate,
    /// Stop detecting
    Deactivate,
    /// State, version, targets, watches and errors
    Status,
}

/// For scripts that look at what comes of it by themselves.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct NoWait {
    /// Do not wait for what comes of it
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Target {
    /// Register a target
    Add(NewTarget),
    /// Put the targets of a file in the place of all targets
    Set {
        /// YAML or JSON: a list of {id, web_root, upload_path, language}; - is standard input
        file: PathBuf,
    },
    /// Forget a target
    Remove {
        /// Its name
        id: String,
    },
    /// Targets with their watches
    List,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct NewTarget {
    /// Its name
    pub(crate) id: String,
    /// Folder that the site is served from
    #[arg(long, value_name = "DIR")]
    pub(crate) web_root: PathBuf,
    /// Folder that visitors can write to
    #[arg(long, value_name = "DIR")]
    pub(crate) upload_path: Option<PathBuf>,
    /// Language of the site
    #[arg(long)]
    pub(crate) language: Language,
}

/// Language of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// PHP
    Php,
    /// JSP
    Jsp,
}

#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Config {
    /// Name file, line and column of everything that is wrong
    Check {
        /// Settings files, or folders such as /etc/wbd; without them the settings in force
        files: Vec<PathBuf>,
    },
    /// The settings in force, defaults included
    Cat,
}

fn time(text: &str) -> Result<Duration, String> {
    wbd_model::profile::Duration::try_from(text.to_owned()).map(|time| Duration::from_millis(time.as_ms()))
}

fn length(text: &str) -> Result<Duration, String> {
    if text == "0" { Ok(Duration::ZERO) } else { time(text) }
}

fn code(text: &str) -> Result<Code, String> {
    Code::from_spoken(text).map_err(|error| error.to_string())
}

fn profile(text: &str) -> Result<ProfileName, String> {
    ProfileName::new(text).map_err(|error| error.to_string())
}

fn playbook(text: &str) -> Result<PlaybookName, String> {
    PlaybookName::new(text).map_err(|error| error.to_string())
}

fn target(text: &str) -> Result<TargetName, String> {
    TargetName::new(text).map_err(|error| error.to_string())
}

fn incident(text: &str) -> Result<IncidentId, String> {
    numbered(text, 'I').map(IncidentId)
}

fn action(text: &str) -> Result<ActionId, String> {
    numbered(text, 'A').map(ActionId)
}

fn numbered(text: &str, letter: char) -> Result<u64, String> {
    let digits = text.strip_prefix([letter, letter.to_ascii_lowercase()]).unwrap_or(text);
    digits.parse().map_err(|_| format!("write a number such as {letter}4"))
}

fn class(text: &str) -> Result<Class, String> {
    match text.to_ascii_uppercase().as_str() {
        "A1" => Ok(Class::A1),
        "A2" => Ok(Class::A2),
        "A3" => Ok(Class::A3),
        "A4" => Ok(Class::A4),
        _ => Err("the classes are A1, A2, A3 and A4".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_are_read_with_and_without_their_letter() {
        assert_eq!(incident("I4"), Ok(IncidentId(4)));
        assert_eq!(action("17"), Ok(ActionId(17)));
        assert!(incident("A4").is_err());
        assert!(class("A0").is_err(), "a pause of observing makes no sense");
    }
}

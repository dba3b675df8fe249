//! What the host's own resolver says of names, nsswitch and all: a process of our own asks it and is ended when it takes
//! too long.
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use nix::libc;
use wbd_agent_api::program::{Output, Program, RunError, run};

use super::resolved::Word;
use super::worker::{Line, VERB};
use crate::runner::ProbeContext;

/// A first server that does not answer costs five seconds; most programs wait longer than we can.
const PATIENCE: Duration = Duration::from_secs(6);
/// Of the look's time, for what is done with the answer.
const REST: Duration = Duration::from_millis(300);
/// A name has far fewer addresses than this holds.
const MAX_BYTES: u32 = 256 * 1024;

/// What it said of one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) word: Word,
    /// In words.
    pub(crate) says: String,
    /// In the order in which programs try them.
    pub(crate) addresses: Vec<IpAddr>,
}

/// Asks for these names side by side.
///
/// # Errors
/// Why it could not be asked: our own trouble, not the resolver's.
pub(crate) fn ask(context: &ProbeContext, names: &[&str]) -> Result<BTreeMap<String, Told>, String> {
    let deadline = context.left(PATIENCE + REST).saturating_sub(REST);
    if deadline.is_zero() {
        return Err("no time was left to ask the host's resolver".to_owned());
    }
    let program = Program {
        path: context.runner.this_program.clone(),
        args: std::iter::once(VERB).chain(names.iter().copied()).map(Into::into).collect(),
        env: vec![("LC_ALL".to_owned(), "C".to_owned())],
        deadline,
        output: Output::End { most: MAX_BYTES, end: MAX_BYTES },
    };
    let (said, rest) = match run(&program) {
        Ok(said) if said.status.success() => (said.stdout, Err("the process that asks said nothing of it".to_owned())),
        Ok(said) => match said.status.signal() {
            // Every program that asks ends so.
            Some(signal) => (said.stdout, Ok(ended(signal))),
            None => {
                let words = String::from_utf8_lossy(&said.stdout).trim().chars().take(200).collect::<String>();
                return Err(format!("the process that asks the host's resolver failed ({}): {words}", said.status));
            }
        },
        Err(RunError::TooSlow { said, .. }) => (said, Ok(too_late(deadline))),
        Err(error) => return Err(format!("cannot ask the host's resolver: {error}")),
    };
    let mut told = told(&said);
    for name in names {
        if !told.contains_key(*name) {
            told.insert((*name).to_owned(), rest.clone()?);
        }
    }
    Ok(told)
}

fn told(said: &[u8]) -> BTreeMap<String, Told> {
    let lines = said.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Line>(line).ok());
    lines.map(|line| (line.name.clone(), of_line(line))).collect()
}

fn of_line(line: Line) -> Told {
    let (word, name, text) = match line.code {
        0 if line.addresses.is_empty() => (Word::Empty, "", "an answer without an address"),
        0 => (Word::Ok, "", "ok"),
        libc::EAI_NONAME => (Word::Nxdomain, "EAI_NONAME", "the name is not known"),
        libc::EAI_NODATA => (Word::Empty, "EAI_NODATA", "the name has no address"),
        EAI_ADDRFAMILY => (Word::Empty, "EAI_ADDRFAMILY", "the name has no address of a family that this host has"),
        libc::EAI_AGAIN => (Word::Servfail, "EAI_AGAIN", "no server gives an answer that can be used"),
        libc::EAI_FAIL => (Word::Failed, "EAI_FAIL", "a lasting failure"),
        libc::EAI_MEMORY => (Word::Failed, "EAI_MEMORY", "no memory is left"),
        libc::EAI_SYSTEM => (Word::Failed, "EAI_SYSTEM", "the system failed"),
        _ => (Word::Failed, "an unknown code", "it failed"),
    };
    let mut says = text.to_owned();
    if let Some(system) = &line.system {
        says.push_str(&format!(": {system}"));
    }
    if !name.is_empty() {
        says.push_str(&format!(" ({name}, {})", line.code));
    }
    Told { word, says, addresses: line.addresses }
}

/// In no header that the libc crate carries.
const EAI_ADDRFAMILY: i32 = -9;

fn ended(signal: i32) -> Told {
    let name = nix::sys::signal::Signal::try_from(signal).map_or_else(|_| signal.to_string(), |it| it.to_string());
    let says = format!("a program that asks for the name is ended by {name}");
    Told { word: Word::Failed, says, addresses: Vec::new() }
}

fn too_late(deadline: Duration) -> Told {
    let says = format!("no answer within {:.0} s", deadline.as_secs_f32());
    Told { word: Word::Silent, says, addresses: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, write_script};
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Instant;

    /// Asks a stand-in for this program that does as the script says.
    fn by(script: &str, patience: Duration) -> Result<BTreeMap<String, Told>, String> {
        let host = Host::new();
        let program = host.root().join("stand-in");
        write_script(&program, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut context = host.context();
        context.runner.this_program = program;
        context.until = Instant::now() + patience;
        ask(&context, &["a.test", "b.test"])
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn each_code_has_its_word_and_is_told() {
        let line = |code| of_line(Line { name: "a".into(), code, system: None, addresses: vec![] });
        for (code, word, says) in [
            (libc::EAI_NONAME, Word::Nxdomain, "the name is not known (EAI_NONAME, -2)"),
            (libc::EAI_NODATA, Word::Empty, "the name has no address (EAI_NODATA, -5)"),
            (libc::EAI_AGAIN, Word::Servfail, "no server gives an answer that can be used (EAI_AGAIN, -3)"),
            (libc::EAI_FAIL, Word::Failed, "a lasting failure (EAI_FAIL, -4)"),
            (-77, Word::Failed, "it failed (an unknown code, -77)"),
        ] {
            assert_eq!((line(code).word, line(code).says.as_str()), (word, says));
        }
        let system = Some("Too many open files (os error 24)".to_owned());
        let told = of_line(Line { name: "a".into(), code: libc::EAI_SYSTEM, system, addresses: vec![] });
        assert_eq!(told.says, "the system failed: Too many open files (os error 24) (EAI_SYSTEM, -11)");
    }

    #[test]
    fn a_resolver_that_hangs_is_ended_and_what_it_said_before_counts() {
        let began = Instant::now();
        let script =
            "echo '{\"name\":\"a.test\",\"code\":0,\"system\":null,\"addresses\":[\"10.0.0.9\",\"::1\"]}'; sleep 1000";
        let told = by(script, Duration::from_millis(1_500)).unwrap();
        assert!(began.elapsed() < LONG);
        assert_eq!(told["a.test"].word, Word::Ok);
        assert_eq!(told["a.test"].addresses, ["10.0.0.9", "::1"].map(|it| it.parse::<IpAddr>().unwrap()));
        assert_eq!((told["b.test"].word, told["b.test"].says.as_str()), (Word::Silent, "no answer within 1 s"));
    }

    #[test]
    fn a_resolver_that_kills_its_programs_is_a_failure_and_a_program_that_cannot_ask_is_not() {
        let told = by("kill -ABRT $$", LONG).unwrap();
        assert_eq!(told["a.test"].word, Word::Failed);
        assert_eq!(told["a.test"].says, "a program that asks for the name is ended by SIGABRT");
        assert!(by("echo 'unknown option --resolve-names' ; exit 64", LONG).unwrap_err().contains("unknown option"));
        assert!(by("exit 0", LONG).unwrap_err().contains("said nothing"));
        assert!(by("exit 0", Duration::ZERO).unwrap_err().contains("no time was left"));
    }

    #[test]
    fn the_process_has_the_names_for_arguments_and_an_empty_environment() {
        let script =
            "[ \"$*\" = '--resolve-names a.test b.test' ] && [ -z \"$HOME\" ] && [ \"$LC_ALL\" = C ] && exit 7";
        assert!(by(script, LONG).unwrap_err().contains("exit status: 7"));
    }
}

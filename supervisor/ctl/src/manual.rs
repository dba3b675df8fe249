//! wbdctl(1) says what the command line takes: each command, option, default and choice, and nothing else. Test only.
use std::collections::BTreeSet;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};

use crate::cli::Cli;

/// The commands of the page: the words of the command, and the text that is about it.
fn commands(page: &str) -> Vec<(String, String)> {
    let (_, rest) = page.split_once(".Sh COMMANDS\n").expect("a section COMMANDS");
    let (section, _) = rest.split_once("\n.Sh ").expect("a section after it");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in section.lines().filter(|line| !line.starts_with(".Ss ")) {
        if let Some(item) = line.strip_prefix(".It Cm ") {
            let mut words = vec![];
            let mut rest = item.split(' ');
            // `Cm ledger Cm list Ar x`: the words are those that follow a Cm.
            words.extend(rest.next());
            while let Some("Cm") = rest.next() {
                words.extend(rest.next());
            }
            found.push((words.join(" "), item.to_owned()));
        } else if let Some((_, text)) = found.last_mut() {
            text.push('\n');
            text.push_str(line);
        }
    }
    found
}

/// Every command that can be given, with its arguments.
fn leaves(command: &Command, path: &str, found: &mut Vec<(String, Vec<Arg>)>) {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        let path = format!("{path} {}", below.get_name()).trim_start().to_owned();
        if below.has_subcommands() {
            leaves(below, &path, found);
        } else {
            found.push((path, below.get_arguments().cloned().collect()));
        }
    }
}

/// Options that a text speaks of: `Fl -name`.
fn options(text: &str) -> BTreeSet<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let pairs = words.windows(2).filter(|pair| pair[0].trim_start_matches('.') == "Fl");
    pairs.filter_map(|pair| pair[1].strip_prefix('-')).map(str::to_owned).collect()
}

/// What the text about an argument leaves out.
fn missing(arg: &Arg, text: &str) -> Vec<String> {
    let mut wanted = Vec::new();
    if let Some(long) = arg.get_long() {
        wanted.push(format!("Fl -{long}"));
    }
    if let Some(short) = arg.get_short() {
        wanted.push(format!("Fl {short}"));
    }
    if arg.get_action().takes_values() {
        wanted.extend(arg.get_possible_values().iter().map(|value| format!("Cm {}", value.get_name())));
        let defaults = arg.get_default_values().iter().map(|value| value.to_string_lossy().into_owned());
        let shown =
            |default: &String| ["Cm", "Ql", "Pa"].iter().any(|macro_| text.contains(&format!("{macro_} {default}")));
        wanted.extend(defaults.filter(|default| !shown(default)).map(|default| format!("default {default}")));
    }
    wanted.retain(|wanted| !text.contains(wanted));
    wanted
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man/wbdctl.1");
    std::fs::read_to_string(path).expect("the page")
}

#[test]
fn each_command_stands_in_the_manual_with_all_its_options_and_no_others() {
    let page = page();
    let written = commands(&page);
    let mut known = Vec::new();
    leaves(&Cli::command(), "", &mut known);
    let names: BTreeSet<&str> = known.iter().map(|(path, _)| path.as_str()).collect();
    let titles: BTreeSet<&str> = written.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(titles, names);
    for (path, args) in &known {
        let (_, text) = written.iter().find(|(title, _)| title == path).expect("compared above");
        let lost: Vec<String> = args.iter().flat_map(|arg| missing(arg, text)).collect();
        assert!(lost.is_empty(), "{path}: not in the manual: {lost:?}");
        let longs: BTreeSet<String> = args.iter().filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
        let wrong: Vec<String> = options(text).difference(&longs).cloned().collect();
        assert!(wrong.is_empty(), "{path}: only in the manual: {wrong:?}");
        let operands = args.iter().filter(|arg| arg.is_positional());
        assert!(
            operands.count() == 0 || text.lines().next().is_some_and(|head| head.contains("Ar ")),
            "{path}: its operand is missing"
        );
    }
}

#[test]
fn each_global_option_stands_in_the_manual_with_its_default_and_choices() {
    let page = page();
    let (_, rest) = page.split_once(".Sh OPTIONS\n").expect("a section OPTIONS");
    let (section, _) = rest.split_once("\n.Sh ").expect("a section after it");
    let cli = Cli::command();
    let lost: Vec<String> =
        cli.get_arguments().filter(|arg| !arg.is_hide_set()).flat_map(|arg| missing(arg, section)).collect();
    assert!(lost.is_empty(), "not in the manual: {lost:?}");
    let shown = cli.get_arguments().filter(|arg| !arg.is_hide_set());
    let mut longs: BTreeSet<String> = shown.filter_map(|arg| arg.get_long().map(str::to_owned)).collect();
    longs.extend(["help".to_owned(), "version".to_owned()]);
    assert_eq!(options(section), longs);
}

#[test]
fn the_examples_are_command_lines_that_are_taken() {
    let page = page();
    let lines: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".Dl ")).collect();
    assert!(lines.len() > 10, "the examples were not found");
    for line in lines {
        let words = line.split_whitespace().skip(1);
        assert!(<Cli as clap::Parser>::try_parse_from(words).is_ok(), "{line}");
    }
}

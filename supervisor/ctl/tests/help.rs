//! `wbdctl help COMMAND`: the options of that command, and a hint where there is none of that name. Asks no supervisor.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
use std::process::{Command, Output};

fn wbdctl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wbdctl")).args(args).env_clear().output().unwrap()
}

#[test]
fn help_shows_a_command_with_all_its_options() {
    for (words, shown) in [
        (&["help", "ledger", "list"][..], &["--since", "--code", "--incident", "wbdctl ledger list"][..]),
        (&["help", "doctor"], &["--verbose", "-v", "--fix"]),
        (&["help", "ledger"], &["verify", "rotate"]),
        (&["help"], &["doctor", "incidents", "man wbdctl"]),
    ] {
        let output = wbdctl(words);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{words:?}: {output:?}");
        let lost: Vec<&&str> = shown.iter().filter(|shown| !text.contains(**shown)).collect();
        assert!(lost.is_empty(), "{words:?} lacks {lost:?}: {text}");
    }
}

#[test]
fn help_for_a_slip_names_the_command_that_was_meant() {
    let output = wbdctl(&["help", "ledger", "lst"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(64), true), "{text}");
    assert!(text.contains("wbdctl ledger has no command lst") && text.contains("list"), "{text}");
    // What is not for people is no command.
    assert_eq!(wbdctl(&["help", "demo-child"]).status.code(), Some(64));
}

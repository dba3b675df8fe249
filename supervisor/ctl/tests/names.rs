//! The process that asks the host's resolver for names: this program, started with a first argument of its own.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]
use std::process::{Command, Output};

use serde_json::Value;

fn wbdctl(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wbdctl")).args(args).env_clear().output().unwrap()
}

#[test]
fn it_says_a_line_for_each_name_and_nothing_else() {
    let output = wbdctl(&["--resolve-names", "127.0.0.1", "a name with blanks"]);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let mut lines: Vec<Value> = lines.map(|line| serde_json::from_slice(line).unwrap()).collect();
    lines.sort_by_key(|line| line["name"].to_string());
    let [literal, nonsense] = lines.as_slice() else { unreachable!("{lines:?}") };
    assert_eq!((&literal["code"], &literal["addresses"]), (&0.into(), &serde_json::json!(["127.0.0.1"])));
    assert!(nonsense["code"].as_i64().unwrap() < 0, "{nonsense}");
    assert_eq!(nonsense["addresses"], serde_json::json!([]));
}

#[test]
fn elsewhere_on_the_command_line_the_word_means_nothing() {
    let output = wbdctl(&["doctor", "--resolve-names", "127.0.0.1"]);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(64), true), "{output:?}");
}

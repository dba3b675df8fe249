//! The report on mutants, from made-up lists of cargo-mutants; no mutant is made here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::process::Command;

use wbd_tests::places;

/// Exit code and text of the report on lists of caught, missed and endless mutants, each in a part of its own.
fn report(parts: &[[&str; 3]]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(places::repo().join("tests/mutants/report"));
    for (number, lists) in parts.iter().enumerate() {
        let folder = dir.path().join(number.to_string());
        fs::create_dir(&folder).unwrap();
        for (name, list) in ["caught", "missed", "timeout"].iter().zip(lists) {
            fs::write(folder.join(format!("{name}.txt")), list).unwrap();
        }
        fs::write(folder.join("unviable.txt"), "supervisor/probes/src/a.rs:1:1: replace a with b\n").unwrap();
        command.arg(folder);
    }
    let said = command.output().unwrap();
    (said.status.code().unwrap(), String::from_utf8(said.stdout).unwrap())
}

/// So many mutants of one file, as cargo-mutants lists them.
fn mutants(file: &str, count: usize) -> String {
    (1..=count).map(|line| format!("supervisor/{file}:{line}:5: replace < with <= in f\n")).collect()
}

#[test]
fn files_survivors_and_sums_of_all_parts_are_told_and_too_little_fails() {
    let (caught, missed) = (mutants("probes/src/procs.rs", 16), mutants("probes/src/procs.rs", 3));
    let first: [&str; 3] = [&caught, &missed, ""];
    let (code, text) = report(&[first, [&mutants("probes/src/scan.rs", 1), "", ""]]);
    let expected = "    16 of   19   84 %  supervisor/probes/src/procs.rs
     1 of    1  100 %  supervisor/probes/src/scan.rs
survivors: 3
    supervisor/probes/src/procs.rs:1:5: replace < with <= in f
    supervisor/probes/src/procs.rs:2:5: replace < with <= in f
    supervisor/probes/src/procs.rs:3:5: replace < with <= in f
probes: 17 of 20 caught, 85 %; the aim is 85 %
";
    assert_eq!((code, text.as_str()), (0, expected));
    let (code, text) = report(&[first]);
    assert_eq!(code, 1);
    assert!(text.ends_with("probes: 16 of 19 caught, 84 %; the aim is 85 %: BELOW\n"), "{text}");
}

#[test]
fn the_rooms_that_decide_have_a_higher_aim_each() {
    let caught = mutants("engine/src/yaml/node.rs", 9) + &mutants("engine/src/guard/permit.rs", 19);
    let missed = mutants("engine/src/yaml/node.rs", 1) + &mutants("engine/src/guard/hold.rs", 1);
    let (code, text) = report(&[[&caught, &missed, ""]]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("\nengine/guard: 19 of 20 caught, 95 %; the aim is 95 %\n"), "{text}");
    let missed = missed + &mutants("engine/src/judge/plan.rs", 1);
    let caught = caught + &mutants("engine/src/judge/plan.rs", 9) + &mutants("engine/src/yaml/node.rs", 100);
    let (code, text) = report(&[[&caught, &missed, ""]]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("\nengine/judge: 9 of 10 caught, 90 %; the aim is 95 %: BELOW\n"), "{text}");
    assert!(text.contains("\nengine: 109 of 110 caught, 99 %; the aim is 85 %\n"), "{text}");
}

#[test]
fn tests_that_do_not_end_have_noticed_and_a_run_that_tried_nothing_fails() {
    let endless = mutants("ledger/src/seal.rs", 2);
    let (code, text) = report(&[["", "", &endless]]);
    assert_eq!((code, text.lines().last()), (0, Some("ledger: 2 of 2 caught, 100 %; the aim is 85 %")));
    assert_eq!(report(&[["", "", ""]]), (1, "no mutant was tried\n".to_owned()));
}

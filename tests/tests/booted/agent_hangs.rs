//! The agent lives and does nothing: stopped by a signal, or held by a tracer, which is left alone (WBD-6007).

use std::time::Duration;

use wbd_tests::product::{self, SOON};
use wbd_tests::story::Story;

const CODE: &str = "WBD-6007";
/// A heartbeat counts as missed after 10 s; the stop of a stopped process takes its TimeoutStopSec of 5 s.
const HUNG: Duration = Duration::from_secs(60);

#[test]
fn a_hung_agent_is_restarted_and_proved() {
    let host = product::shared();
    let story = Story::begin(&host);
    let pid = product::agent_works(&host);
    host.signal(pid, "STOP");
    let told = story.healed(CODE, HUNG);
    assert_eq!(told.actions(), ["agent.restart"], "{told}");
    assert!(told.last("opened")["evidence"][0] == "case hung", "{told}");
    product::another_agent_works(&host, pid);
    // It was ended by us, which is no failure of its own.
    story.stays_with(&told, Duration::from_secs(5));
    product::healthy(&host);
}

#[test]
fn a_debugger_may_hold_the_agent() {
    let host = product::shared();
    let story = Story::begin(&host);
    let pid = product::agent_works(&host);
    // Stops it at its next system call, for ten minutes.
    let hold = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=all", "-e", "inject=all:delay_enter=600000000"];
    let argv = ["/usr/bin/systemd-run", "--quiet", "--collect", "--unit=debugger", "/usr/bin/strace", "-p"];
    host.run(argv.into_iter().chain([pid.to_string().as_str()]).chain(hold)).ok();
    let answer = product::doctor_says(&host, "the hold", |answer| answer.cause(CODE).is_some());
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!((answer.code, cause["severity"].as_str()), (1, Some("warn")), "{cause}");
    assert!(cause["claim"].as_str().is_some_and(|claim| claim.contains("debugger")), "{cause}");
    story.stays_quiet("the debugger's hold", Duration::from_secs(6));
    host.run(["/usr/bin/systemctl", "stop", "debugger.service"]).ok();
    assert_eq!(product::agent_works(&host), pid, "the held process goes on");
    assert!(story.of("exit").is_empty(), "{}", story.summary());
    host.wait_for("the unit's end", SOON, || {
        let state = host.unit("debugger.service", "ActiveState");
        (state == "inactive").then_some(()).ok_or(state)
    });
    product::healthy(&host);
}

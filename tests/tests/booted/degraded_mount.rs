//! Mounts that never answer, under a product, a web root and the settings: looked at in bounds, everything else goes on.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::hung_mount::HungMount;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, SOON, SUPERVISOR};
use wbd_tests::story::Story;

use crate::degraded;
use crate::site;

const CODE: &str = "WBD-6007";
/// A product whose files all lie below /srv/nas: its presence, and two versions to compare.
const PROFILE: &str = "apiVersion: wbd/v1
kind: Profile
metadata: {name: nas, source: \"a test\"}
spec:
  present: {any: [{file: /srv/nas/bin/nasd}]}
  version: {left: {file: /srv/nas/running}, right: {file: /srv/nas/installed}}
";
/// Longer than several rounds of the checks.
const ROUNDS: Duration = Duration::from_secs(10);
/// `doctor --watch` is watched for so many verdicts.
const WATCHED: usize = 3;

fn threads(host: &Host, pid: u32) -> usize {
    let tasks = host
        .inside(&format!("/proc/{pid}/task"))
        .and_then(|path| std::fs::read_dir(path).map_err(|why| why.to_string()));
    tasks.unwrap_or_else(|why| panic!("{why}")).count()
}

/// Doctor says of the product that it could not be looked for, and why.
fn cannot_see(answer: &Answer) -> bool {
    let of_it = |check: &&&serde_json::Value| check["target"] == "nas";
    let rows = answer.checks("WBD-PROFILE");
    rows.iter().find(of_it).and_then(|row| row["reason"].as_str()).is_some_and(|reason| reason.contains("dead mount"))
}

/// Doctor ends in time and says the same, whoever listens. Where another process hangs in the lookup of the same name,
/// the kernel does not let the process go that looked for it: doctor does not wait for that one.
fn doctor_ends(host: &Host) {
    // What the supervisor saw before stands, with its age, until its next look.
    host.wait_for("a supervisor that cannot see it either", SOON, || {
        let answer = degraded::doctor(host, "hung mount");
        assert!(cannot_see(&answer), "{}", answer.json);
        if answer.is_unseen() { Ok(()) } else { Err(answer.json.to_string()) }
    });
    let forms: [(&str, &[&str]); 3] = [
        ("into a pipe", &["/usr/bin/wbdctl", "doctor"]),
        ("on a terminal", &["/usr/bin/script", "-qefc", "/usr/bin/wbdctl doctor", "/dev/null"]),
        ("--dry-run", &["/usr/bin/wbdctl", "doctor", "--dry-run"]),
    ];
    for (form, argv) in forms {
        let ran = host.run(argv);
        assert_eq!(ran.code, Some(1), "{form}: {}", ran.report());
        let text = ran.text();
        let told = ["on nas (unknown)", "dead mount"];
        assert!(told.iter().all(|words| text.contains(words)), "{form}: {}", ran.report());
        assert_eq!(text.contains('\x1b'), form == "on a terminal", "{form}: {}", ran.report());
    }
    let before = examinations(host).lines().count();
    let watch = format!("/usr/bin/wbdctl -o json doctor --watch | head -n {WATCHED}");
    let watched = host.run_with(["/usr/bin/bash", "-c", &watch], b"", SOON).ok();
    let verdicts: Vec<_> = watched.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert!(verdicts.len() == WATCHED && verdicts.iter().all(|line| is_unknown(line)), "{}", watched.report());
    let held = examinations(host).lines().count();
    assert!(held <= before + 1, "{} looks left {held} processes after {before}", verdicts.len());
    for verb in [&["status"][..], &["incidents", "list"], &["explain", "6007"]] {
        host.run(["/usr/bin/wbdctl"].iter().chain(verb)).ok();
    }
    println!("examinations that the kernel holds: {held}, after {} looks by --watch", verdicts.len());
}

/// Doctor's one line says that not all could be seen.
fn is_unknown(line: &[u8]) -> bool {
    let Ok(json) = serde_json::from_slice(line) else { return false };
    Answer { code: 1, json }.is_unseen()
}

/// Processes of doctor that are left in the host, a line each. (One that the kernel holds has lost its command line.)
fn examinations(host: &Host) -> String {
    host.run(["/usr/bin/pgrep", "--list-name", "--exact", "wbdctl"]).text()
}

#[test]
fn what_lies_on_a_hung_mount_is_unknown_and_everything_else_is_looked_at_and_healed() {
    let host = product::shared();
    host.write("/srv/nas/bin/nasd", b"");
    host.write("/srv/nas/running", b"1.2.3\n");
    host.write("/srv/nas/installed", b"1.2.3\n");
    host.write("/etc/wbd/playbooks.d/nas.yaml", PROFILE.as_bytes());
    product::patched_playbook(&host, "version-match", &[("every: 1m", "every: 2s")]);
    product::reload(&host).ok();
    site::make(&host, 3);
    site::add(&host).ok();
    let answer = product::doctor_says(&host, "the product", |answer| {
        answer.list("checks").iter().any(|check| check["target"] == "nas" && check["verdict"] == "pass")
    });
    assert!(answer.code <= 1, "{}", answer.json);
    let (pid, agent, story) = (degraded::supervisor(&host), product::agent_works(&host), Story::begin(&host));

    let mounts = [HungMount::over(&host, "/srv/nas"), HungMount::over(&host, "/srv/shop")];
    // Nothing is done for what cannot be seen; the agent, whose web root it is, keeps its heartbeat.
    story.stays_quiet("the hung mount", ROUNDS);
    assert_eq!(product::agent_works(&host), agent);
    // The supervisor hangs in the same lookups now.
    doctor_ends(&host);
    let early = threads(&host, pid);
    // And what can be seen is healed as ever.
    host.signal(agent, "TERM");
    story.healed(CODE, SOON);
    host.wait_for("a supervisor that works", SOON, || {
        let status = degraded::status(&host);
        if status["degraded"] == "" { Ok(()) } else { Err(status.to_string()) }
    });
    story.wait_for("another turn", SOON, |record| record["kind"] == "closed");
    // Right after the end of an incident everything is looked at at once; what piles up stays.
    let late = host.wait_for("no more looks that hang than before", SOON, || {
        let late = threads(&host, pid);
        if late <= early + 8 { Ok(late) } else { Err(format!("{early}, then {late}")) }
    });
    println!("threads of the supervisor on a hung mount: {early}, later {late}");
    assert_eq!(degraded::supervisor(&host), pid, "the watchdog was fed");
    degraded::leaves_nobody_behind(&host, pid);

    // Without the supervisor, and a supervisor that starts with the mount dead.
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    let answer = degraded::doctor(&host, "hung mount, no supervisor");
    let unknown = |check: &&serde_json::Value| check["target"] == "nas" && check["verdict"] == "unknown";
    assert!(cannot_see(&answer) && answer.list("checks").iter().find(unknown).is_some(), "{}", answer.json);
    assert!(answer.checks(CODE).iter().any(|check| check["verdict"] == "pass"), "{}", answer.json);
    let programs = HungMount::over(&host, "/usr/libexec/wbd");
    let answer = degraded::doctor(&host, "its programs on a hung mount too");
    assert!(answer.checks("WBD-SUPERVISOR").iter().any(|check| check["verdict"] == "warn"), "{}", answer.json);
    assert!(answer.checks(CODE).iter().any(|check| check["verdict"] == "pass"), "{}", answer.json);
    drop(programs);
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    product::healthy(&host);
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);

    drop(mounts);
    host.wait_for("an end of all examinations", SOON, || {
        let left = examinations(&host);
        if left.is_empty() { Ok(()) } else { Err(left) }
    });
    product::doctor_says(&host, "the product again", |answer| {
        answer.list("checks").iter().any(|check| check["target"] == "nas" && check["verdict"] == "pass")
    });
    let own = ["/etc/wbd/playbooks.d/nas.yaml", "/etc/wbd/playbooks.d/version-match.yaml", "/srv/nas"];
    host.run(["/usr/bin/rm", "-rf"].into_iter().chain(own)).ok();
    product::reload(&host).ok();
    site::forget(&host);
}

#[test]
fn with_the_playbooks_on_a_hung_mount_doctor_tells_what_the_supervisor_sees() {
    let host = product::shared();
    product::doctor_says(&host, "health", Answer::is_well);
    let pid = degraded::supervisor(&host);
    let mount = HungMount::over(&host, "/etc/wbd/playbooks.d");
    let answer = degraded::doctor(&host, "playbooks on a hung mount");
    assert!(answer.is_unseen(), "{}", answer.json);
    assert!(answer.checks("WBD-PLAYBOOK").iter().any(|check| check["verdict"] == "unknown"), "{}", answer.json);
    assert!(answer.checks(CODE).iter().any(|check| check["verdict"] == "pass"), "{}", answer.json);
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    assert_eq!(degraded::supervisor(&host), pid);
    drop(mount);
    product::healthy(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

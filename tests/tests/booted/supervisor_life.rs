//! The supervisor's own life is the service manager's: killed, hung or crashing it comes back with everything as
//! before; when it cannot come back, a person is notified once.

use std::time::Duration;

use serde_json::{Value, json};
use wbd_tests::deadline::stays;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::product::{self, ROOMY, SETTINGS, SOON, SUPERVISOR};
use wbd_tests::story::Story;

use crate::site::ctl;

const CODE: &str = "WBD-6007";
const FAILED: &str = "wbd-supervisord-failed.service";
const PROGRAM: &str = "/usr/libexec/wbd/wbd-supervisord";
const OVERRIDE: &str = "/etc/systemd/system/wbd-supervisord.service.d/test.conf";
/// Entries that need a person.
const ESCALATED: &str = "MESSAGE_ID=5f0a1f1dd2c14a4f9a1e5b6c7d8e9f01";
/// The site's program, and what it leaves; nowhere that the supervisor's own sandbox lets anybody write.
const TELL: &str = "/usr/local/sbin/tell";
const TOLD: &str = "/var/spool/told";
/// A watchdog's 4 s, the abort that a stopped process does not take, and a start.
const WATCHDOG: Duration = Duration::from_secs(60);
const QUIET: Duration = Duration::from_secs(5);

/// Settings with a program that notes whom it was called for.
fn told_by_program(host: &Host, healing: &str) {
    let script = format!("#!/bin/sh\necho \"$WBD_CODE $WBD_TARGET $WBD_INCIDENT\" >>{TOLD}\n");
    host.write_mode(TELL, script.as_bytes(), "0755");
    host.run(["/usr/bin/rm", "-f", TOLD]).ok();
    let settings = ROOMY.replace("healing: auto", &format!("healing: {healing}"));
    product::configure(host, &format!("{settings}on_escalation: [{TELL}]\n"));
}

fn told(host: &Host) -> Vec<String> {
    let text = host.read(TOLD).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Entries in the journal that need a person for this failure, since a moment.
fn entries(host: &Host, code: &str, since: &str) -> usize {
    let code = format!("WBD_CODE={code}");
    let argv = ["/usr/bin/journalctl", "--quiet", "--no-pager", "-o", "cat", "--since", since, ESCALATED, &code];
    host.run(argv).text().lines().count()
}

/// The host's clock, for `journalctl --since`.
fn moment(host: &Host) -> String {
    host.run(["/usr/bin/date", "+%F %T"]).ok().text()
}

fn overridden(host: &Host, text: &str) {
    host.write(OVERRIDE, text.as_bytes());
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "restart", SUPERVISOR]).ok();
}

fn put_back(host: &Host) {
    host.run(["/usr/bin/rm", "-rf", OVERRIDE, TELL, TOLD]).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "reset-failed"]).ok();
    host.run(["/usr/bin/systemctl", "restart", SUPERVISOR]).ok();
    product::configure(host, ROOMY);
    product::healthy(host);
}

/// What must be as before: open incidents, pause, budgets, and what waits to be told.
fn standing(host: &Host) -> Result<Value, String> {
    let ran = host.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
    let status: Value = serde_json::from_slice(&ran.stdout).map_err(|_| ran.report())?;
    let keys = ["open", "hold", "budget_left_hour", "budget_left_day", "suspended", "untold", "degraded"];
    let mut all: Value =
        keys.iter().map(|key| ((*key).to_owned(), status[*key].clone())).collect::<serde_json::Map<_, _>>().into();
    // Looked at again it may be held by the same guard at another moment.
    for row in all["open"].as_array_mut().into_iter().flatten() {
        row["changed"] = Value::Null;
        row["held"]["until_ms"] = Value::Null;
        row["phase"]["gated"]["held"]["until_ms"] = Value::Null;
    }
    Ok(all)
}

#[test]
fn killed_aborted_hung_or_restarted_it_goes_on_where_it_was() {
    let host = product::shared();
    overridden(&host, "[Unit]\nStartLimitIntervalSec=0\n[Service]\nWatchdogSec=15\nTimeoutStopSec=3\n");
    product::healthy(&host);
    // A debit, a pause, and an incident that waits for an approval.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    product::healthy(&host);
    told_by_program(&host, "approve");
    ctl(&host, &["pause", "--class", "A4", "no", "reboots"]).ok();
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    let refused = story.wait_for("a question", SOON, |record| record["kind"] == "refused");
    let incident = refused["incident"].as_str().expect("an incident").to_owned();
    story.wait_for("the notification", SOON, |record| record["kind"] == "told" && record["result"] == "done");
    assert_eq!(told(&host), [format!("{CODE} wbd {incident}")], "outside of the supervisor's own sandbox");
    let before = standing(&host).expect("a status");
    assert_eq!(before["open"].as_array().map(Vec::len), Some(1), "{before}");
    for how in ["KILL", "ABRT", "STOP", "restart"] {
        let old = host.main_pid(SUPERVISOR).expect("a running supervisor");
        if how == "restart" {
            host.run(["/usr/bin/systemctl", "restart", SUPERVISOR]).ok();
        } else {
            host.signal(old, how);
        }
        // (Until its first turn it has yet to tell the journal once more who was told.)
        host.wait_for(&format!("another supervisor after {how} that knows {before}"), WATCHDOG, || {
            let pid = host.main_pid(SUPERVISOR).filter(|pid| *pid != old).ok_or("still the old one")?;
            let standing = standing(&host)?;
            if standing == before { Ok(()) } else { Err(format!("{pid}: {standing}")) }
        });
    }
    story.stays_undone("nobody approved", QUIET);
    assert_eq!(story.of("opened").len(), 1, "{}", story.summary());
    assert_eq!(told(&host).len(), 1, "nobody is notified again");
    ctl(&host, &["approve", "--yes", &incident]).ok();
    let healed = story.healed(CODE, SOON);
    assert_eq!(healed.of("intent").len(), 1, "{healed}");
    ctl(&host, &["resume"]).ok();
    put_back(&host);
}

#[test]
fn when_it_cannot_come_back_a_person_is_told_once_and_the_agent_goes_on() {
    let host = product::shared();
    told_by_program(&host, "auto");
    let began = moment(&host);
    // Twin: one crash is the service manager's to mend.
    let old = host.main_pid(SUPERVISOR).expect("a running supervisor");
    host.signal(old, "KILL");
    product::healthy(&host);
    product::stays(&host, "one crash", QUIET, || {
        if told(&host).is_empty() { Ok(()) } else { Err(format!("{:?}", told(&host))) }
    });

    host.run(["/usr/bin/mv", PROGRAM, "/root/supervisord"]).ok();
    host.write_mode(PROGRAM, b"#!/bin/sh\nexit 3\n", "0755");
    host.signal(host.main_pid(SUPERVISOR).expect("a running supervisor"), "KILL");
    host.wait_for("the start limit", SOON, || match host.unit(SUPERVISOR, "ActiveState").as_str() {
        "failed" => Ok(()),
        state => Err(state.to_owned()),
    });
    host.wait_for("the notification", SOON, || if told(&host).is_empty() { Err("nothing".to_owned()) } else { Ok(()) });
    // There is no supervisor to look; what tells of it has run.
    stays("told once", QUIET, || {
        let lines = told(&host);
        if lines == ["WBD-SUPERVISOR host"] { Ok(()) } else { Err(format!("{lines:?}")) }
    });
    assert_eq!(entries(&host, "WBD-SUPERVISOR", &began), 1);
    let doctor = product::doctor(&host);
    assert!(doctor.cause("WBD-SUPERVISOR").is_some(), "{}", doctor.json);
    let agent = product::agent_works(&host);
    host.signal(agent, "KILL");
    product::another_agent_works(&host, agent);

    host.run(["/usr/bin/mv", "/root/supervisord", PROGRAM]).ok();
    host.run(["/usr/bin/systemctl", "reset-failed", SUPERVISOR]).ok();
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    product::healthy(&host);

    // Settings that it cannot start with: at once, and by the journal alone, since they name the program.
    host.write(SETTINGS, b"healing: perhaps\n");
    let began = moment(&host);
    assert_ne!(host.run(["/usr/bin/systemctl", "restart", SUPERVISOR]).code, Some(0));
    host.wait_for("the entry", SOON, || match entries(&host, "WBD-SUPERVISOR", &began) {
        0 => Err(host.unit(FAILED, "ActiveState")),
        _ => Ok(()),
    });
    assert_eq!(told(&host).len(), 1);
    host.write(SETTINGS, ROOMY.as_bytes());
    put_back(&host);
}

#[test]
fn an_escalation_that_the_journal_could_not_take_is_entered_when_it_is_back() {
    let host = product::shared();
    let sockets = ["systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald-audit.socket"];
    let began = moment(&host);
    product::configure(&host, &ROOMY.replace("healing: auto", "healing: approve"));
    let stop = ["/usr/bin/systemctl", "stop"].into_iter().chain(sockets).chain(["systemd-journald.service"]);
    host.run(stop).ok();
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "STOP");
    let waits = host.wait_for("an entry that waits", SOON, || {
        let status = json::wbdctl(&host, ["status"]).json;
        status["untold"].as_array().and_then(|rows| rows.first().cloned()).ok_or_else(|| status.to_string())
    });
    assert_eq!((&waits["by"], &waits["code"]), (&"journal".into(), &CODE.into()), "{waits}");
    let doctor = product::doctor(&host);
    assert!(doctor.cause("WBD-ESCALATION").is_some(), "{}", doctor.json);
    host.run(["/usr/bin/systemctl", "start"].into_iter().chain(sockets).chain(["systemd-journald.service"])).ok();
    host.wait_for("the entry", SOON, || match entries(&host, CODE, &began) {
        0 => Err(json::wbdctl(&host, ["status"]).json["untold"].to_string()),
        _ => Ok(()),
    });
    assert_eq!(json::wbdctl(&host, ["status"]).json["untold"], json!([]));
    product::configure(&host, ROOMY);
    story.healed(CODE, SOON);
    put_back(&host);
}

#[test]
fn a_journal_that_hangs_holds_up_nothing() {
    let host = product::shared();
    let journal = host.main_pid("systemd-journald.service").expect("a journal");
    let supervisor = host.main_pid(SUPERVISOR);
    host.signal(journal, "STOP");
    // More lines than its queue takes.
    let lines = "for n in $(seq 300); do wbdctl pause --for 1h full >&2 || exit; wbdctl resume >&2 || exit; done";
    let ran = host.run_with(["/usr/bin/bash", "-c", lines], b"", Duration::from_secs(300));
    let agent = product::agent_works(&host);
    host.signal(agent, "KILL");
    let answers = host.run(["/usr/bin/timeout", "5", "/usr/bin/wbdctl", "status"]);
    host.signal(journal, "CONT");
    ran.ok();
    answers.ok();
    product::another_agent_works(&host, agent);
    assert_eq!(host.main_pid(SUPERVISOR), supervisor, "its watchdog was fed");
    product::healthy(&host);
}

#[test]
fn a_test_of_the_notification_runs_the_program_where_a_real_one_runs_it() {
    let host = product::shared();
    told_by_program(&host, "auto");
    // Its place is none that the supervisor itself may write.
    let ran = host.run(["/usr/bin/wbdctl", "escalation", "test"]).ok();
    assert!(ran.text().contains("on_escalation works"), "{}", ran.report());
    assert_eq!(told(&host), ["WBD-TEST host I0"]);
    product::configure(&host, ROOMY);
    product::healthy(&host);
}

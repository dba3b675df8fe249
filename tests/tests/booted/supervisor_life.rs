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
const RETRY: &str = "wbd-supervisord-retry.timer";
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
    host.run(["/usr/bin/systemctl", "stop", RETRY]).ok();
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

/// Until then the service manager may restart it, five times.
fn fails(host: &Host) {
    host.wait_for("a failed supervisor", SOON, || match host.unit(SUPERVISOR, "ActiveState").as_str() {
        "failed" => Ok(()),
        state => Err(state.to_owned()),
    });
}

/// A program in the supervisor's place that always ends at once.
fn broken(host: &Host) {
    host.run(["/usr/bin/mv", PROGRAM, "/root/supervisord"]).ok();
    host.write_mode(PROGRAM, b"#!/bin/sh\nexit 3\n", "0755");
    host.signal(host.main_pid(SUPERVISOR).expect("a running supervisor"), "KILL");
    fails(host);
}

fn mended(host: &Host) {
    host.run(["/usr/bin/mv", "/root/supervisord", PROGRAM]).ok();
}

/// Pauses that a test can wait for, in seconds after the first failure.
fn pauses(host: &Host, seconds: &[u32]) {
    let lines: String = seconds.iter().map(|at| format!("OnActiveSec={at}s\n")).collect();
    host.write(
        &format!("/etc/systemd/system/{RETRY}.d/test.conf"),
        format!("[Timer]\nOnActiveSec=\n{lines}").as_bytes(),
    );
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
}

fn usual_pauses(host: &Host) {
    host.run(["/usr/bin/rm", "-rf", &format!("/etc/systemd/system/{RETRY}.d")]).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
}

#[test]
fn when_it_cannot_come_back_a_person_is_told_once_and_the_agent_goes_on() {
    let host = product::shared();
    told_by_program(&host, "auto");
    // Nobody tries again while this test looks.
    pauses(&host, &[3600]);
    let began = moment(&host);
    // Twin: one crash is the service manager's to mend.
    let old = host.main_pid(SUPERVISOR).expect("a running supervisor");
    host.signal(old, "KILL");
    product::healthy(&host);
    product::stays(&host, "one crash", QUIET, || {
        if told(&host).is_empty() { Ok(()) } else { Err(format!("{:?}", told(&host))) }
    });

    broken(&host);
    host.wait_for("the notification", SOON, || if told(&host).is_empty() { Err("nothing".to_owned()) } else { Ok(()) });
    // There is no supervisor to look; what tells of it has run.
    stays("told once", QUIET, || {
        let lines = told(&host);
        if lines == ["WBD-SUPERVISOR host"] { Ok(()) } else { Err(format!("{lines:?}")) }
    });
    assert_eq!(entries(&host, "WBD-SUPERVISOR", &began), 1);
    // Critical, and the first of the causes; what is wrong beside it stands below.
    host.run(["/usr/bin/systemctl", "stop", product::AGENT]).ok();
    let doctor = product::doctor(&host);
    assert_eq!((doctor.code, &doctor.list("causes")[0]["code"]), (2, &"WBD-SUPERVISOR".into()), "{}", doctor.json);
    assert_eq!(doctor.list("causes")[0]["severity"], "fail", "{}", doctor.json);
    host.run(["/usr/bin/systemctl", "start", product::AGENT]).ok();
    let agent = product::agent_works(&host);
    host.signal(agent, "KILL");
    product::another_agent_works(&host, agent);

    mended(&host);
    host.run(["/usr/bin/systemctl", "reset-failed", SUPERVISOR]).ok();
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    product::healthy(&host);
    // Twin: stopped by somebody it is a warning with the command that ends it, and nobody is notified.
    let began = moment(&host);
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    let doctor = product::doctor(&host);
    let cause = doctor.cause("WBD-SUPERVISOR").expect("a cause");
    assert_eq!((doctor.code, &cause["severity"]), (1, &"warn".into()), "{}", doctor.json);
    assert!(cause["guide"][0].as_str().is_some_and(|step| step.contains("systemctl start")), "{cause}");
    assert_eq!((told(&host).len(), entries(&host, "WBD-SUPERVISOR", &began)), (1, 0));
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    // Twin: ended in order, and nobody asked for that.
    let old = host.main_pid(SUPERVISOR).expect("a running supervisor");
    host.signal(old, "TERM");
    host.wait_for("another supervisor", SOON, || match host.main_pid(SUPERVISOR) {
        Some(pid) if pid != old => Ok(()),
        other => Err(format!("{other:?}")),
    });
    usual_pauses(&host);
    put_back(&host);
}

#[test]
fn a_person_is_told_of_settings_that_it_cannot_start_with() {
    let host = product::shared();
    told_by_program(&host, "auto");
    pauses(&host, &[3600]);
    // At once, and by the program that they name as far as they can be read.
    let began = moment(&host);
    host.write(SETTINGS, format!("healing: perhaps\non_escalation: [{TELL}]\n").as_bytes());
    assert_ne!(host.run(["/usr/bin/systemctl", "restart", SUPERVISOR]).code, Some(0));
    host.wait_for("the notification", SOON, || if told(&host).is_empty() { Err("nothing".to_owned()) } else { Ok(()) });
    assert_eq!(entries(&host, "WBD-SUPERVISOR", &began), 1);
    assert_ne!(host.unit(FAILED, "ActiveState"), "failed");
    // They are the cause of its death.
    let doctor = product::doctor(&host);
    let codes: Vec<&Value> = doctor.list("causes").iter().map(|cause| &cause["code"]).collect();
    assert_eq!(codes[..2], ["WBD-SETTINGS", "WBD-SUPERVISOR"], "{}", doctor.json);
    // Without a program the journal has it, for every terminal.
    let began = moment(&host);
    host.write(SETTINGS, b"healing: [\n");
    host.run(["/usr/bin/systemctl", "reset-failed", SUPERVISOR]).ok();
    assert_ne!(host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).code, Some(0));
    host.wait_for("the entry", SOON, || match entries(&host, "WBD-SUPERVISOR", &began) {
        0 => Err(host.unit(FAILED, "ActiveState")),
        _ => Ok(()),
    });
    let loud = ["/usr/bin/journalctl", "-q", "--no-pager", "-o", "cat", "-p", "emerg", "--since", &began, ESCALATED];
    assert!(host.run(loud).text().contains("wbd.yaml"), "{}", host.run(loud).report());
    assert_eq!(told(&host).len(), 1);
    host.write(SETTINGS, ROOMY.as_bytes());
    usual_pauses(&host);
    put_back(&host);
}

#[test]
fn killed_eight_times_both_come_back_without_a_person() {
    let host = product::shared();
    told_by_program(&host, "auto");
    pauses(&host, &[30, 60, 120, 240]);
    // Until the service manager has given them up, the supervisor first.
    for unit in [SUPERVISOR, product::AGENT] {
        let kill = format!("until systemctl is-failed -q {unit}; do systemctl kill -s KILL {unit}; sleep 0.1; done");
        host.run_with(["/usr/bin/bash", "-c", &kill], b"", SOON).ok();
    }
    let story = Story::begin(&host);
    host.wait_for("the notification", SOON, || if told(&host).is_empty() { Err("nothing".to_owned()) } else { Ok(()) });
    // The agent's start limit is cleared by one action, which is paid for.
    let healed = story.healed(CODE, Duration::from_secs(240));
    assert_eq!(healed.actions(), ["agent.start"], "{healed}");
    product::healthy(&host);
    // It ends when the supervisor runs.
    host.wait_for("an end of the tries", Duration::from_secs(240), || match host.unit(RETRY, "ActiveState").as_str() {
        "inactive" => Ok(()),
        state => Err(state.to_owned()),
    });
    usual_pauses(&host);
    put_back(&host);
}

#[test]
fn a_dead_supervisor_is_tried_again_unless_somebody_has_decided_otherwise() {
    let host = product::shared();
    told_by_program(&host, "auto");
    pauses(&host, &[5, 12, 24, 48, 96]);
    broken(&host);
    // Told each time.
    host.wait_for("a second notification", Duration::from_secs(120), || match told(&host).len() {
        0 | 1 => Err(format!("{:?}", told(&host))),
        _ => Ok(()),
    });
    // Under a hold file it waits.
    fails(&host);
    host.write("/run/wbd/hold", b"why: kernel upgrade\n");
    mended(&host);
    stays("held", Duration::from_secs(30), || match host.unit(SUPERVISOR, "ActiveState").as_str() {
        "failed" => Ok(()),
        state => Err(state.to_owned()),
    });
    host.run(["/usr/bin/rm", "/run/wbd/hold"]).ok();
    host.wait_for("a supervisor that the timer started", Duration::from_secs(240), || {
        match host.unit(SUPERVISOR, "ActiveState").as_str() {
            "active" => Ok(()),
            state => Err(state.to_owned()),
        }
    });
    product::healthy(&host);
    // Twin: a stop job ends the tries, also of one that has failed.
    host.run(["/usr/bin/systemctl", "stop", RETRY]).ok();
    host.run(["/usr/bin/systemctl", "reset-failed"]).ok();
    pauses(&host, &[10, 20]);
    broken(&host);
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    mended(&host);
    stays("stopped", Duration::from_secs(30), || {
        match (host.unit(SUPERVISOR, "ActiveState").as_str(), host.unit(RETRY, "ActiveState").as_str()) {
            ("failed" | "inactive", "inactive") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    host.run(["/usr/bin/systemctl", "reset-failed", SUPERVISOR]).ok();
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    usual_pauses(&host);
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

//! A ledger that was changed by somebody, and two supervisors on one ledger: nothing is built on it until it is set aside.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::{self, Answer};
use wbd_tests::product::{self, SOON, SUPERVISOR};
use wbd_tests::story::Story;

use crate::site::ctl;

const CODE: &str = "WBD-6007";
const FILE: &str = "/var/lib/wbd/ledger.db";

/// A host that no other scenario gets: a bad ledger leaves a spent budget behind.
fn own_host(name: &str) -> Host {
    let host = Host::boot(name);
    product::install(&host);
    product::roomy_playbook(&host, "agent-down");
    product::configure(&host, "healing: auto\nevery: 2s\nbudget: {per_hour: 20, per_day: 20}\n");
    host
}

#[test]
fn an_edited_record_is_found_and_nothing_is_healed_until_the_ledger_is_rotated() {
    let host = own_host("bad-ledger");
    // Something to edit that is not the newest record.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    let told = story.healed(CODE, SOON);
    product::healthy(&host);
    let bad = told.last("opened")["seq"].as_u64().expect("a number");
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    edit(&host, bad);
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();

    let verified = json::wbdctl(&host, ["ledger", "verify"]);
    assert_eq!((verified.code, &verified.json["verified"]), (1, &false.into()), "{}", verified.json);
    assert_eq!(verified.json["problem"]["seq"], bad, "{}", verified.json);
    let answer = product::doctor_says(&host, "the bad ledger", |answer| answer.cause("WBD-LEDGER").is_some());
    let cause = answer.cause("WBD-LEDGER").unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!((answer.code, &cause["severity"]), (2, &"fail".into()), "{cause}");
    assert!(cause["guide"].to_string().contains("wbdctl ledger rotate --reason"), "{cause}");
    let status = host.wait_for("a supervisor", SOON, || {
        let ran = host.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
        (ran.code == Some(0)).then(|| json::Answer::of(&ran)).ok_or_else(|| ran.report())
    });
    assert!(status.json["degraded"].as_str().is_some_and(|why| why.contains(&bad.to_string())), "{}", status.json);
    // A limit is not raised, a restart comes from the reserve only; neither writes to the bad ledger.
    assert_eq!(ctl(&host, &["agent", "reload"]).code, Some(1));

    ctl(&host, &["ledger", "rotate", "--reason", "edited by hand in a test"]).ok();
    let verified = json::wbdctl(&host, ["ledger", "verify"]);
    assert_eq!((verified.code, &verified.json["verified"]), (0, &true.into()), "{}", verified.json);
    let fresh = Story::after(&host, 0);
    assert_eq!(fresh.records()[0]["kind"], "rotated", "{}", fresh.summary());
    product::healthy(&host);
    // What it held cannot be trusted, so that its budget counts as spent until the administrator gives more.
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    host.wait_for("a refusal", SOON, || {
        let held = story.records().into_iter().any(|it| it["kind"] == "refused" && it["result"] == "host-budget");
        held.then_some(()).ok_or_else(|| story.summary())
    });
    product::configure(&host, product::ROOMY);
    story.healed(CODE, SOON);
    product::healthy(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

#[test]
fn a_second_supervisor_is_refused_and_the_first_goes_on() {
    let host = product::shared();
    let first = host.main_pid(SUPERVISOR);
    let story = Story::begin(&host);
    let second = host.run_with(["/usr/libexec/wbd/wbd-supervisord"], b"", Duration::from_secs(20));
    assert_eq!(second.code, Some(75), "{}", second.report());
    let second = host.run_with(["/usr/libexec/wbd/wbd-supervisord", "--standalone"], b"", Duration::from_secs(20));
    assert_eq!(second.code, Some(75), "{}", second.report());
    assert_eq!(host.main_pid(SUPERVISOR), first);
    ctl(&host, &["status"]).ok();
    assert!(story.records().is_empty(), "{}", story.summary());
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    product::healthy(&host);
}

/// Changes one word of a record, as somebody would with the tool that support staff have.
fn edit(host: &Host, seq: u64) {
    let change =
        format!("UPDATE entry SET payload = replace(payload, 'dead', 'fine') WHERE seq = {seq}; SELECT changes();");
    let edited = host.run(["/usr/bin/sqlite3", FILE, &change]).ok();
    assert_eq!(edited.text(), "1");
}

/// What `ledger verify` answers: its exit code, and what the journal says of the ledger.
fn verify(host: &Host) -> (i32, String) {
    let answer = json::wbdctl(host, ["ledger", "verify"]);
    let state = answer.json["anchor"]["state"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.json["verified"] == true, answer.code == 0, "{}", answer.json);
    (answer.code, state)
}

fn begin_supervisor(host: &Host) {
    // Five starts in five minutes are a crash loop to systemd.
    host.run(["/usr/bin/systemctl", "reset-failed", SUPERVISOR]).ok();
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    host.wait_for("a supervisor", SOON, || {
        let ran = host.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
        if ran.code == Some(0) { Ok(()) } else { Err(ran.report()) }
    });
}

fn end_supervisor(host: &Host) {
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
}

/// An entry with the fields of an anchor, from somebody who is not the supervisor.
fn forge(host: &Host, as_user: &[&str], seq: u64) {
    let fields = format!(
        "MESSAGE=forged\nMESSAGE_ID=fb9c4bfe407b413399ea65e038274537\nSYSLOG_IDENTIFIER=wbd-supervisord\n\
         _SYSTEMD_UNIT={SUPERVISOR}\nWBD_SEQ={seq}\nWBD_HASH={}\n",
        "a".repeat(64)
    );
    let argv = as_user.iter().copied().chain(["/usr/bin/logger", "--journald"]);
    host.run_with(argv, fields.as_bytes(), SOON).ok();
    let search = format!("WBD_SEQ={seq}");
    host.wait_for("the forged entry", SOON, || {
        let found = host.run(["/usr/bin/journalctl", "--quiet", "-o", "cat", "MESSAGE=forged", &search]);
        if found.text().contains("forged") { Ok(()) } else { Err(found.report()) }
    });
}

#[test]
fn a_cut_end_stays_bad_over_starts_and_stops_until_the_ledger_is_rotated() {
    let host = own_host("cut-ledger");
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    product::healthy(&host);

    // Twin: untouched it stays good and anchored over restarts, whatever others write into the journal.
    for _ in 0..2 {
        end_supervisor(&host);
        assert_eq!(verify(&host), (0, "anchored".to_owned()));
        begin_supervisor(&host);
    }
    forge(&host, &["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"], 70_001);
    forge(&host, &[], 70_002);
    end_supervisor(&host);
    assert_eq!(verify(&host), (0, "anchored".to_owned()));

    // Debits in the cut part would be forgotten.
    let cut =
        "DELETE FROM entry WHERE seq >= (SELECT min(seq) FROM entry WHERE kind = 'intent'); SELECT changes() > 2;";
    assert_eq!(host.run(["/usr/bin/sqlite3", FILE, cut]).ok().text(), "1");
    assert_eq!(verify(&host), (1, "missing".to_owned()));
    for _ in 0..2 {
        begin_supervisor(&host);
        end_supervisor(&host);
        assert_eq!(verify(&host), (1, "missing".to_owned()), "it was anchored as it is");
    }

    begin_supervisor(&host);
    let status = json::wbdctl(&host, ["status"]);
    let why = status.json["degraded"].as_str().unwrap_or_default();
    assert!(why.contains("cut off") && why.contains("wbdctl ledger rotate --reason"), "{}", status.json);
    assert_eq!(status.json["budget_left_hour"], 0, "{}", status.json);
    let answer = product::doctor_says(&host, "the cut ledger", |answer| answer.cause("WBD-LEDGER").is_some());
    let cause = answer.cause("WBD-LEDGER").unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!((answer.code, &cause["severity"]), (2, &"fail".into()), "{cause}");
    assert!(cause["guide"].to_string().contains("wbdctl ledger rotate --reason"), "{cause}");
    assert_eq!(ctl(&host, &["agent", "reload"]).code, Some(1), "nothing beyond the reserve");

    // Only a rotation ends it; the anchors of the file that was set aside say nothing against the new one.
    ctl(&host, &["ledger", "rotate", "--reason", "its end was cut off in a test"]).ok();
    assert_eq!(verify(&host).0, 0);
    let status = json::wbdctl(&host, ["status"]);
    assert_eq!(
        (&status.json["degraded"], &status.json["budget_left_hour"]),
        (&"".into(), &0.into()),
        "{}",
        status.json
    );
    end_supervisor(&host);
    assert_eq!(verify(&host), (0, "anchored".to_owned()));
    begin_supervisor(&host);
    let status = json::wbdctl(&host, ["status"]);
    assert_eq!(
        (&status.json["degraded"], &status.json["budget_left_hour"]),
        (&"".into(), &0.into()),
        "{}",
        status.json
    );
}

//! What an administrator allows: observing, approving, pausing, denying; and files that cannot be used.

use std::time::Duration;

use serde_json::Value;
use wbd_tests::exec::Ran;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::product::{self, AGENT, ROOMY, SETTINGS, SOON};
use wbd_tests::story::Story;

use crate::site::ctl;

const CODE: &str = "WBD-6007";
const OVERLAY: &str = "/etc/wbd/playbooks.d";
fn with_healing(mode: &str) -> String {
    ROOMY.replace("healing: auto", &format!("healing: {mode}"))
}

/// Ends the agent in the way that systemd takes for success, and waits until the guard has said no.
fn refused(host: &Host, story: &Story<'_>, guard: &str) -> String {
    host.signal(product::agent_works(host), "TERM");
    let refused = story.wait_for(&format!("no by {guard}"), SOON, |record| record["kind"] == "refused");
    assert_eq!((refused["result"].as_str(), refused["code"].as_str()), (Some(guard), Some(CODE)), "{refused}");
    refused["incident"].as_str().expect("an incident").to_owned()
}

fn phase(host: &Host, incident: &str) -> Value {
    json::wbdctl(host, ["incidents", "show", incident]).json["incident"]["phase"].clone()
}

#[test]
fn observing_shows_and_does_nothing() {
    let host = product::shared();
    product::configure(&host, &with_healing("observe"));
    let story = Story::begin(&host);
    let incident = refused(&host, &story, "mode");
    story.stays_undone("observing", Duration::from_secs(6));
    assert_eq!(phase(&host, &incident)["gated"]["held"]["guard"], "mode");
    let answer = product::doctor(&host);
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!((answer.code, &cause["severity"]), (2, &"fail".into()), "{cause}");
    // What was waiting is done as soon as it may be.
    product::configure(&host, ROOMY);
    story.healed(CODE, SOON);
    product::healthy(&host);
}

#[test]
fn observing_one_product_leaves_the_others_to_be_healed() {
    let host = product::shared();
    product::configure(&host, &format!("{ROOMY}products: {{wbd: {{healing: observe}}}}\n"));
    let story = Story::begin(&host);
    let incident = refused(&host, &story, "mode");
    story.stays_undone("observing the agent", Duration::from_secs(6));
    assert_eq!(phase(&host, &incident)["gated"]["held"]["guard"], "mode");
    let status = ctl(&host, &["status"]).ok().text();
    assert!(status.contains("auto; observe for wbd"), "{status}");
    let answer = product::doctor(&host);
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    let withheld = cause["fix"]["withheld"].as_str().unwrap_or_default();
    assert!(withheld.contains("healing is observe for the product wbd"), "{cause}");
    // Another product is observed: the agent is healed at once.
    product::configure(&host, &format!("{ROOMY}products: {{aegis: {{healing: observe}}}}\n"));
    story.healed(CODE, SOON);
    product::configure(&host, ROOMY);
    product::healthy(&host);
}

#[test]
fn approving_waits_for_the_word_and_shows_what_it_is_for() {
    let host = product::shared();
    product::configure(&host, &with_healing("approve"));
    let story = Story::begin(&host);
    let incident = refused(&host, &story, "approval");
    story.stays_undone("waiting for an approval", Duration::from_secs(5));
    let shown = json::wbdctl(&host, ["incidents", "show", &incident]);
    assert_eq!(shown.json["waiting"]["plan"]["rung_id"], "start", "{}", shown.json);
    let approved = ctl(&host, &["approve", "--yes", &incident]).ok();
    assert!(approved.text().contains("agent-down") && approved.text().contains("A2"), "{}", approved.report());
    let told = story.healed(CODE, SOON);
    told.has_in_order(&["opened", "refused", "approved", "intent", "outcome", "verdict", "closed"]);

    // No is no, until somebody says yes.
    let story = Story::begin(&host);
    let incident = refused(&host, &story, "approval");
    ctl(&host, &["deny", &incident]).ok();
    story.stays_undone("a denial", Duration::from_secs(5));
    assert_eq!(story.of("denied").len(), 1, "{}", story.summary());
    host.run(["/usr/bin/systemctl", "start", AGENT]).ok();
    let told = story.closed(CODE, SOON);
    assert!(told.of("intent").is_empty() && told.ending() != Some("healed"), "{told}");
    story.wait_for("cleared", SOON, |record| record["kind"] == "cleared" && record["code"] == CODE);
    product::configure(&host, ROOMY);
    product::healthy(&host);
}

#[test]
fn a_pause_holds_until_it_is_lifted() {
    let host = product::shared();
    ctl(&host, &["pause", "a", "change", "is", "under", "way"]).ok();
    let story = Story::begin(&host);
    refused(&host, &story, "hold");
    story.stays_undone("a pause", Duration::from_secs(5));
    let status = json::wbdctl(&host, ["status"]);
    assert!(status.json["hold"].as_str().is_some_and(|hold| hold.contains("a change is under way")), "{}", status.json);
    ctl(&host, &["resume"]).ok();
    let told = story.healed(CODE, SOON);
    assert_eq!(told.actions(), ["agent.start"], "{told}");
    product::healthy(&host);

    // A pause that ends by itself needs no one; it takes the place of one without an end, which holds until then.
    ctl(&host, &["pause", "another", "one"]).ok();
    let story = Story::begin(&host);
    refused(&host, &story, "hold");
    ctl(&host, &["pause", "--for", "5s", "a", "short", "one"]).ok();
    let paused = story.of("hold").pop().expect("a pause on record");
    let told = story.healed(CODE, SOON);
    let at_ms = |record: &Value| record["boot_ms"].as_u64().unwrap_or_default();
    let waited_ms = at_ms(told.of("intent")[0]) - at_ms(&paused);
    assert!(waited_ms >= 4_990, "{waited_ms} ms, by another clock than the pause's: {told}");
    product::healthy(&host);
}

#[test]
fn broken_settings_are_refused_and_the_old_ones_stay() {
    let host = product::shared();
    let story = Story::begin(&host);
    host.write(SETTINGS, b"healing: auto\nhealling: observe\n");
    let reload = product::reload(&host).exits(78);
    assert!(said(&reload).contains("wbd.yaml:2:1"), "{}", reload.report());
    ctl(&host, &["config", "check"]).exits(78);
    let answer = product::doctor(&host);
    assert!(answer.cause("WBD-SETTINGS").is_some(), "{}", answer.json);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    product::configure(&host, ROOMY);
    product::healthy(&host);
}

#[test]
fn a_broken_playbook_is_named_by_its_place_and_the_others_keep_working() {
    let host = product::shared();
    let broken = format!("{OVERLAY}/mine.yaml");
    let text = "apiVersion: wbd/v1\nkind: Playbook\nmetadata: {name: mine, code: SITE-1}\nspec:\n  observes: {}\n";
    host.write(&broken, text.as_bytes());
    let reload = product::reload(&host).exits(78);
    assert!(said(&reload).contains("mine.yaml:5:3"), "{}", reload.report());
    let lint = ctl(&host, &["playbook", "lint"]).exits(78);
    assert!(said(&lint).contains("mine.yaml:5:3"), "{}", lint.report());
    let answer = product::doctor(&host);
    let checks = answer.checks("WBD-PLAYBOOK");
    let place = |check: &&Value| check["reason"].as_str().is_some_and(|why| why.contains("mine.yaml:5:3"));
    assert!(answer.is_unseen() && checks.iter().any(place), "{}", answer.json);
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    story.healed(CODE, SOON);
    host.run(["/usr/bin/rm", &broken]).ok();

    // Sound, and somebody else's: the whole reload is refused.
    product::patched_playbook(&host, "agent-config", &[]);
    let file = format!("{OVERLAY}/agent-config.yaml");
    for hurt in [["/usr/bin/chown", "nobody"], ["/usr/bin/chmod", "0666"]] {
        host.run(hurt.into_iter().chain([file.as_str()])).ok();
        let reload = product::reload(&host).exits(78);
        assert!(said(&reload).contains("agent-config.yaml"), "{}", reload.report());
        host.run(["/usr/bin/chown", "root", &file]).ok();
    }
    host.run(["/usr/bin/rm", &file]).ok();
    product::reload(&host).ok();
    product::healthy(&host);
}

fn said(ran: &Ran) -> String {
    String::from_utf8_lossy(&[ran.stdout.as_slice(), &ran.stderr].concat()).into_owned()
}

//! The agent's own settings are corrupted: it comes up on the last good ones and says so (WBD-CONFIG).

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, AGENT, SOON};
use wbd_tests::story::Story;

use crate::site::{self, ctl};

const CODE: &str = "WBD-CONFIG";
const SETTINGS: &str = "/var/lib/wbd/agent/settings.yaml";
const GOOD: &str = "/var/lib/wbd/agent/settings.good";

#[test]
fn corrupted_settings_give_way_to_the_last_good_ones() {
    let host = product::shared();
    good_after(&host, 1);
    host.run(["/usr/bin/systemctl", "restart", AGENT]).ok();
    product::agent_works(&host);
    site::make(&host, 3);
    site::add(&host).ok();
    ctl(&host, &["agent", "activate"]).ok();
    host.wait_for("good settings", SOON, || {
        let good = host.read(GOOD).unwrap_or_default();
        let text = String::from_utf8_lossy(&good).into_owned();
        (text.contains("shop") && text.contains("active: true")).then_some(()).ok_or(text)
    });

    // What the agent would do after a while is looked at later.
    good_after(&host, 3_600);
    let story = Story::begin(&host).about(CODE);
    let broken = b"generation: 7\nactive: true\ntargets:\n  - {id: shop, web_root: [}\n";
    host.write_mode(SETTINGS, broken, "0600");
    let before = product::agent_works(&host);
    host.signal(before, "KILL");
    product::another_agent_works(&host, before);
    let health = product::health_is(&host, "the good settings", |health| health["settings"]["source"] == "good");
    assert_eq!((&health["state"], &health["targets"][0]["id"]), (&"active".into(), &"shop".into()), "{health}");
    let problem = &health["settings"]["problem"];
    assert_eq!((&problem["file"], &problem["line"]), (&SETTINGS.into(), &4.into()), "{health}");
    assert!(problem["column"].as_u64() > Some(0), "{health}");
    let answer = product::doctor_says(&host, "the broken settings", |answer| answer.cause(CODE).is_some());
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    let place = format!("{SETTINGS}:4:{}", problem["column"]);
    assert!(cause["claim"].as_str().is_some_and(|claim| claim.contains(&place)), "{cause}");
    assert_eq!(host.read("/var/lib/wbd/agent/settings.broken").as_deref(), Some(&broken[..]), "kept beside");
    story.stays_quiet("settings that the agent cured itself", Duration::from_secs(5));

    // Written anew by the agent itself, they are sound again.
    good_after(&host, 1);
    host.run(["/usr/bin/systemctl", "restart", AGENT]).ok();
    product::health_is(&host, "current settings", |health| health["settings"]["source"] == "current");
    ctl(&host, &["agent", "deactivate"]).ok();
    site::forget(&host);
    host.run(["/usr/bin/rm", "-r", &format!("/etc/systemd/system/{AGENT}.d")]).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "restart", AGENT]).ok();
    product::healthy(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

/// With its next start the agent takes settings for good, and good ones for its own, after so many seconds.
fn good_after(host: &Host, seconds: u32) {
    let start =
        format!("[Service]\nExecStart=\nExecStart=/opt/nbp/wbd/wbd_agent --foreground --good-after {seconds}\n");
    host.write(&format!("/etc/systemd/system/{AGENT}.d/test.conf"), start.as_bytes());
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
}

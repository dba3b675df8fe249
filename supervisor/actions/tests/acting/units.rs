//! Which units are restarted: judged by systemd's own name for them, at the preview and at the act alike.
use std::fs;

use wbd_model::action::{Action, UnitRestart};
use wbd_model::entry::Outcome;

use super::Host;

fn restart(unit: &str) -> Action {
    Action::UnitRestart(UnitRestart { unit: unit.to_owned() })
}

/// A host whose systemd says this of every unit.
fn host(says: &str) -> Host {
    let host = Host::new();
    fs::write(host.path("said"), says).unwrap();
    let said = host.path("said").display().to_string();
    host.program("usr/bin/systemctl", &format!("case \"$*\" in *show*) cat {said};; esac"));
    host
}

/// Refused at the preview and at the act, in the same words; nothing is restarted.
async fn refused(host: &mut Host, unit: &str, words: &str) {
    let preview = host.executor.preview(&restart(unit)).unwrap_err().to_string();
    let report = host.act(restart(unit), None).await;
    assert_eq!(report.outcome, Outcome::Failed, "{unit}");
    for said in [&preview, &report.detail] {
        assert!(said.contains(words), "{unit}: {said}");
    }
    assert!(!host.called().contains(" restart "), "{}", host.called());
}

#[tokio::test]
async fn wbds_own_units_and_those_of_the_host_are_refused_before_anybody_is_asked() {
    let mut host = host("Id=x.service\nLoadState=loaded\nActiveState=active\n");
    for (unit, words) in [
        ("wbd-supervisord.service", "wbd's own"),
        ("wbd-agent.service", "agent.restart"),
        ("dbus.service", "carries the whole host"),
        ("systemd-logind.service", "carries the whole host"),
        ("../named.service", "no name of a service"),
    ] {
        refused(&mut host, unit, words).await;
    }
    assert_eq!(host.called(), "");
}

#[tokio::test]
async fn another_name_of_such_a_unit_and_one_that_is_not_there_are_refused() {
    let mut alias = host("Id=systemd-journald.service\nLoadState=loaded\nActiveState=active\n");
    refused(&mut alias, "syslog.service", "it is systemd-journald.service, which carries the whole host").await;
    let mut missing = host("Id=systemd-resolved.service\nLoadState=not-found\nActiveState=inactive\n");
    refused(&mut missing, "systemd-resolved.service", "this host has no such unit").await;
    let mut nobody = Host::new();
    refused(&mut nobody, "named.service", "cannot ask systemd about units").await;
}

#[tokio::test]
async fn a_unit_is_restarted_under_its_own_name_and_what_goes_down_with_it_is_shown() {
    let mut host = host("Id=named.service\nLoadState=loaded\nActiveState=failed\nRequiredBy=mail.service\n");
    // The same is said of mail.service, whose own name is then named.service: one unit.
    let preview = host.executor.preview(&restart("bind9.service")).unwrap();
    let shown: Vec<_> =
        preview.changes.iter().map(|it| (it.what.as_str(), it.before.as_deref(), it.after.as_str())).collect();
    assert_eq!(shown, [("named.service", Some("failed"), "restarted")]);
    let report = host.act(restart("bind9.service"), None).await;
    assert!(report.detail.contains("asked systemctl to restart named.service"), "{}", report.detail);
    assert!(host.called().contains(" restart named.service"), "{}", host.called());
}

//! The journal on a booted host: a sentence for each record, with the fields that it is found by, explained by the
//! catalogue; no second moment and no Debug output in any line.

use serde_json::Value;
use wbd_tests::host::Host;
use wbd_tests::product::{self, AGENT, SOON, SUPERVISOR};

/// The entries of both units that fit, as the journal gives them.
fn entries(host: &Host, fits: &[&str]) -> Vec<Value> {
    let argv = ["/usr/bin/journalctl", "--quiet", "--no-pager", "-b", "-o", "json", "-u", SUPERVISOR, "-u", AGENT];
    let text = host.run(argv.iter().chain(fits)).ok().text();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))).collect()
}

fn field<'a>(entry: &'a Value, name: &str) -> &'a str {
    entry[name].as_str().unwrap_or_default()
}

/// Hangs the agent and waits until it is healed; gives the incident, of which the journal has the end by then.
fn healed(host: &Host) -> String {
    let closed = || entries(host, &["WBD_CODE=WBD-6007", "KIND=closed"]);
    let before = closed().len();
    host.signal(product::agent_works(host), "STOP");
    let mut incident = String::new();
    host.wait_for("an incident that is closed, in the journal", SOON, || {
        let all = closed();
        let new = all.get(before..).and_then(|new| new.first()).ok_or_else(|| format!("{} are", all.len()))?;
        field(new, "WBD_INCIDENT").clone_into(&mut incident);
        Ok(())
    });
    product::healthy(host);
    incident
}

/// The host's clock, for `journalctl --since`.
fn moment(host: &Host) -> String {
    host.run(["/usr/bin/date", "+%F %T"]).ok().text().trim().to_owned()
}

#[test]
fn each_record_is_a_sentence_that_is_found_and_explained() {
    let host = product::shared();
    let incident = healed(&host);
    let of_it = entries(&host, &[&format!("WBD_INCIDENT={incident}")]);
    let kinds: Vec<&str> = of_it.iter().map(|entry| field(entry, "KIND")).collect();
    for kind in ["opened", "intent", "outcome", "verdict", "closed"] {
        assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
    }
    let mut ids: Vec<(&str, &str)> = Vec::new();
    for entry in &of_it {
        let (kind, id, message) = (field(entry, "KIND"), field(entry, "MESSAGE_ID"), field(entry, "MESSAGE"));
        assert_eq!((field(entry, "WBD_CODE"), field(entry, "WBD_TARGET")), ("WBD-6007", "wbd"), "{entry}");
        assert!(
            message.starts_with("WBD-6007 on wbd: ") && message.ends_with(&format!("(incident {incident})")),
            "{message}"
        );
        assert!(message.split_whitespace().count() > 5, "no sentence: {message}");
        let known = ids.iter().find(|(other, other_id)| *other == kind || *other_id == id);
        assert!(known.is_none_or(|known| *known == (kind, id)), "{kind} has {id}, {known:?}");
        ids.push((kind, id));
    }
    // What a person should know is a warning; what wbd did is none.
    let warned = entries(&host, &["-p", "warning", &format!("WBD_INCIDENT={incident}")]);
    let warned: Vec<&str> = warned.iter().map(|entry| field(entry, "KIND")).collect();
    assert!(warned.contains(&"opened") && !warned.contains(&"intent") && !warned.contains(&"closed"), "{warned:?}");
    let explained = host.run([
        "/usr/bin/journalctl",
        "-x",
        "--quiet",
        "--no-pager",
        "-b",
        "KIND=opened",
        &format!("WBD_INCIDENT={incident}"),
    ]);
    let text = explained.ok().text();
    for part in [
        "A failure was found: WBD-6007 on wbd",
        "wbdctl explain WBD-6007",
        &format!("wbdctl incidents show {incident}"),
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let catalogue = host.run(["/usr/bin/journalctl", "--list-catalog"]).ok().text();
    for (kind, id) in ids {
        assert!(catalogue.contains(id), "{kind} is not in the catalogue");
    }
}

#[test]
fn no_line_has_a_moment_of_its_own_or_debug_output() {
    let host = product::shared();
    let since = moment(&host);
    healed(&host);
    // The agent's own words too.
    host.run(["/usr/bin/wbdctl", "agent", "reload"]).ok();
    host.run(["/usr/bin/systemctl", "restart", AGENT]).ok();
    product::healthy(&host);
    let all = entries(&host, &["--since", &since]);
    let ours: Vec<&Value> =
        all.iter().filter(|entry| matches!(field(entry, "_COMM"), "wbd-supervisord" | "wbd_agent")).collect();
    assert!(ours.iter().any(|entry| field(entry, "_COMM") == "wbd_agent"), "{all:?}");
    for entry in ours {
        let message = field(entry, "MESSAGE");
        let dated = message.as_bytes().windows(8).any(|part| {
            part.iter()
                .zip(*b"0000-00-")
                .all(|(found, form)| if form == b'0' { found.is_ascii_digit() } else { *found == form })
        });
        assert!(!dated && !message.starts_with('<'), "{message}");
        for debug in ["Some(", "None", "{ ", "\\\"", "=\""] {
            assert!(!message.contains(debug), "{debug} in {message}");
        }
        assert!(matches!(field(entry, "PRIORITY"), "3" | "4" | "5" | "6"), "{entry}");
    }
}

/// Nothing happens to a healthy host, so nothing is a warning in its journal.
#[test]
fn a_healthy_host_warns_of_nothing() {
    let host = product::shared();
    product::healthy(&host);
    let since = moment(&host);
    host.run(["/usr/bin/wbdctl", "reload", "--wait"]).ok();
    drop(host.run(["/usr/bin/wbdctl", "doctor"]));
    let warned = entries(&host, &["-p", "warning", "--since", &since]);
    assert!(warned.is_empty(), "{warned:#?}");
}

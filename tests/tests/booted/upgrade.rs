//! The package is upgraded, and taken back to the older version, while an incident waits and while an action is being
//! done: everything goes on where it was, and nothing is done twice.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use wbd_tests::exec;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::judge::{self, Budget, Rules};
use wbd_tests::places;
use wbd_tests::product::{self, AGENT, ROOMY, SOON, SUPERVISOR};
use wbd_tests::story::Story;

use crate::jobs::{self, Jobs};
use crate::site::ctl;

const CODE: &str = "WBD-6007";
/// Higher than any release of today.
const NEXT: &str = "99.0";
/// A package manager is slow beside a compiler.
const PACKED: Duration = Duration::from_secs(120);
/// So long a start of the agent is made to take that an upgrade falls into it.
const START_TAKES: &str = "8";

/// The same programs under a higher version, and what else `change` does to the package's tree.
fn next_version(folder: &TempDir, change: impl FnOnce(&Path)) -> PathBuf {
    let tree = folder.path().join("tree");
    let out = folder.path().join("wbd-next.deb");
    let deb = |args: &[&std::ffi::OsStr]| exec::run(Command::new("/usr/bin/dpkg-deb").args(args), b"", PACKED).ok();
    deb(&["-R".as_ref(), places::deb().as_os_str(), tree.as_os_str()]);
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).expect("a control file");
    let lines = text
        .lines()
        .map(|line| if line.starts_with("Version: ") { format!("Version: {NEXT}") } else { line.to_owned() });
    fs::write(&control, lines.collect::<Vec<_>>().join("\n") + "\n").expect("our own file");
    change(&tree);
    deb(&[
        "--root-owner-group".as_ref(),
        "-Zgzip".as_ref(),
        "-z1".as_ref(),
        "-b".as_ref(),
        tree.as_os_str(),
        out.as_os_str(),
    ]);
    out
}

/// A package that dpkg begins to install and gives up.
fn hopeless_version(folder: &TempDir) -> PathBuf {
    next_version(folder, |tree| {
        let preinst = tree.join("DEBIAN/preinst");
        fs::write(&preinst, "#!/bin/sh\nexit 1\n").expect("our own file");
        fs::set_permissions(&preinst, fs::Permissions::from_mode(0o755)).expect("our own file");
    })
}

/// What a supervisor has to remember, in numbers and names; moments left out.
fn remembered(host: &Host, incident: &str) -> Value {
    let status = host.wait_for("a supervisor that answers", SOON, || {
        let ran = host.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
        (ran.code == Some(0)).then(|| json::Answer::of(&ran).json).ok_or_else(|| ran.report())
    });
    let shown = json::wbdctl(host, ["incidents", "show", incident]).json;
    let held = &shown["incident"]["phase"]["gated"]["held"]["guard"];
    json!({
        "hold": status["hold"], "hour": status["budget_left_hour"], "day": status["budget_left_day"],
        "suspended": status["suspended"], "open": status["open"].as_array().map(Vec::len),
        "opened": shown["incident"]["opened"], "held": held,
    })
}

/// Installs over what is there, while an incident waits: the supervisor is another process and knows what the old one
/// knew.
#[track_caller]
fn goes_on(host: &Host, story: &Story<'_>, incident: &str, package: &Path, version: &str) {
    let (before, supervisor) = (remembered(host, incident), host.main_pid(SUPERVISOR));
    assert_eq!((&before["open"], &before["held"]), (&1.into(), &"hold".into()), "{before}");
    host.install_deb(package);
    let installed = host.run(["/usr/bin/dpkg-query", "-W", "-f", "${Version}", "wbd"]).ok().text();
    assert_eq!(installed, version);
    host.wait_for("the new supervisor", SOON, || {
        let now = host.main_pid(SUPERVISOR);
        (now.is_some() && now != supervisor).then_some(()).ok_or_else(|| format!("{now:?}"))
    });
    assert_eq!(remembered(host, incident), before);
    story.stays_undone("a pause", Duration::from_secs(6));
    assert_eq!(remembered(host, incident), before);
    assert_eq!(host.unit(AGENT, "ActiveState"), "inactive", "what lay down stays down");
}

#[test]
fn an_upgrade_in_the_middle_of_an_incident_changes_nothing_of_it() {
    let host = Host::boot("upgrade");
    product::install(&host);
    let old = host.run(["/usr/bin/dpkg-query", "-W", "-f", "${Version}", "wbd"]).ok().text();
    let folder = tempfile::tempdir().expect("temp folder");
    let next = next_version(&folder, |_| ());
    let jobs = Jobs::listen(&host);

    // A debit to remember, under the shipped budget.
    let whole = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    whole.healed(CODE, SOON);
    product::healthy(&host);
    ctl(&host, &["pause", "an", "upgrade"]).ok();
    let story = Story::begin(&host);
    host.signal(product::agent_works(&host), "TERM");
    let refused = story.wait_for("a refusal", SOON, |record| record["kind"] == "refused");
    let incident = refused["incident"].as_str().expect("an incident").to_owned();
    goes_on(&host, &story, &incident, &next, NEXT);
    goes_on(&host, &story, &incident, &places::deb(), &old);
    ctl(&host, &["resume"]).ok();
    let told = story.healed(CODE, SOON);
    assert_eq!((told.id.as_str(), told.actions().len()), (incident.as_str(), 1), "{told}");
    product::healthy(&host);

    while_acting(&host, &next);
    let shipped = [(3_600_000, 3), (86_400_000, 6)].map(|(window_ms, most)| Budget { window_ms, most });
    let rules = Rules { budgets: shipped.to_vec(), early_us: 0, late_us: jobs::LATE_US, sees_all: true };
    let wrongs = judge::judge(&whole.records(), &jobs.so_far(), &rules).wrongs;
    assert!(wrongs.is_empty(), "{wrongs:#?}\n{:#?}\n{}", jobs.so_far(), whole.summary());
    let verified = json::wbdctl(&host, ["ledger", "verify"]);
    assert_eq!((verified.code, &verified.json["verified"]), (0, &true.into()), "{}", verified.json);
}

#[test]
fn an_upgrade_that_is_given_up_leaves_the_units_as_they_were() {
    let host = Host::boot("upgrade-given-up");
    product::install(&host);
    let old = host.run(["/usr/bin/dpkg-query", "-W", "-f", "${Version}", "wbd"]).ok().text();
    let folder = tempfile::tempdir().expect("temp folder");
    let name = "/root/hopeless.deb";
    host.write(name, &fs::read(hopeless_version(&folder)).expect("our own file"));
    let gives_up = || {
        let ran = host.run_with(["/usr/bin/dpkg", "-i", name], b"", PACKED);
        assert_ne!(ran.code, Some(0), "{}", ran.report());
        let left = host.run(["/usr/bin/dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}", "wbd"]).ok().text();
        assert_eq!(left, format!("{old} installed"), "{}", ran.report());
        [AGENT, SUPERVISOR].map(|unit| host.main_pid(unit))
    };
    let running = [AGENT, SUPERVISOR].map(|unit| host.main_pid(unit));
    assert!(running.iter().all(Option::is_some), "{running:?}");
    assert_eq!(gives_up(), running, "neither is restarted");
    host.run(["/usr/bin/systemctl", "stop", AGENT]).ok();
    assert_eq!(gives_up(), [None, running[1]], "what an administrator stopped stays stopped");
    assert_eq!(host.unit(AGENT, "ActiveState"), "inactive");
}

/// The package's own restart of both units falls into a restart that the supervisor asked for.
#[track_caller]
fn while_acting(host: &Host, next: &Path) {
    host.write(
        &format!("/etc/systemd/system/{AGENT}.d/test.conf"),
        format!("[Service]\nExecStartPre=/bin/sleep {START_TAKES}\n").as_bytes(),
    );
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    let name = "/root/next.deb";
    host.write(name, &fs::read(next).expect("our own file"));
    let story = Story::begin(host);
    let (agent, supervisor) = (product::agent_works(host), host.main_pid(SUPERVISOR));
    host.signal(agent, "STOP");
    story.wait_for("an intent", SOON, |record| record["kind"] == "intent");
    host.run_with(["/usr/bin/dpkg", "-i", name], b"", PACKED).ok();
    let told = story.closed(CODE, Duration::from_secs(60));
    assert_ne!(host.main_pid(SUPERVISOR), supervisor, "restarted by its package");
    assert_eq!(told.ending(), Some("healed"), "{told}");
    assert_eq!((told.of("intent").len(), told.of("outcome").len()), (1, 1), "one action, one end: {told}");
    host.run(["/usr/bin/rm", "-r", &format!("/etc/systemd/system/{AGENT}.d")]).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    product::another_agent_works(host, agent);
    product::configure(host, ROOMY);
    product::healthy(host);
}

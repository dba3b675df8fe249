//! A vendor's process that does not run is told and stays told (HOST-DOWN), unless somebody stopped it; its product stays
//! known until its files or its package are gone, or root has it forgotten.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, ROOMY, SOON};
use wbd_tests::story::Story;

use crate::site::ctl;

const CODE: &str = "HOST-DOWN";
/// Several looks at a role, and the time for which a failure is held.
const QUIET: Duration = Duration::from_secs(30);
const UNIT: &str = "acme.service";

/// Only processes and a package are signs of it: without what is remembered, it would vanish with its processes.
const PROFILE: &str = r#"apiVersion: wbd/v1
kind: Profile
metadata: {name: acme, source: "a test"}
spec:
  present: {any: [{process: {program: /opt/acme/acme-scan}}, {package: acme}]}
  process:
    main: {program: /opt/acme/acme-scan}
    helper: {folder: /opt/acme, args: ["8000000"]}
  unit: acme.service
"#;

const SERVICE: &str = "[Service]
ExecStart=/bin/sh -c '/opt/acme/bin/acme-help 8000000 & exec /opt/acme/acme-scan infinity'
[Install]
WantedBy=multi-user.target
";

const CONTROL: &str = "Package: acme
Version: 1.0
Architecture: all
Maintainer: nobody
Description: a product of a test
";

/// A product with two processes in one unit, which is enabled and runs.
struct Acme<'a>(&'a Host);

impl<'a> Acme<'a> {
    fn begin(host: &'a Host) -> Self {
        host.write("/etc/wbd/playbooks.d/acme.yaml", PROFILE.as_bytes());
        let acme = Self(host);
        product::roomy_playbook(host, "role-down");
        product::configure(host, ROOMY);
        acme.install();
        acme
    }

    fn install(&self) {
        for program in ["acme-scan", "bin/acme-help"] {
            self.ok(&["/usr/bin/install", "-D", "/usr/bin/sleep", &format!("/opt/acme/{program}")]);
        }
        self.0.write("/etc/systemd/system/acme.service", SERVICE.as_bytes());
        self.ok(&["/usr/bin/systemctl", "daemon-reload"]);
        self.ok(&["/usr/bin/systemctl", "enable", "--now", UNIT]);
        self.both("pass");
        self.is_listed("here");
    }

    fn ok(&self, line: &[&str]) {
        self.0.run(line).ok();
    }

    fn kill(&self, name: &str) {
        self.ok(&["/usr/bin/pkill", "-KILL", "-x", name]);
    }

    /// Both roles say so.
    fn both(&self, verdict: &str) -> Answer {
        product::doctor_says(self.0, verdict, |answer| {
            let rows = answer.checks(CODE);
            rows.len() == 2 && rows.iter().all(|row| row["verdict"] == verdict)
        })
    }

    /// The supervisor's list says so; what was seen until then is on the disk soon after.
    fn is_listed(&self, state: &str) {
        self.0.wait_for(state, SOON, || {
            let said = ctl(self.0, &["-o", "json", "product", "list"]).ok();
            let list: serde_json::Value = serde_json::from_str(&said.text()).map_err(|error| error.to_string())?;
            let rows = list["products"].as_array().cloned().unwrap_or_default();
            let found = rows.iter().any(|row| row["name"] == "acme" && row["state"] == state);
            let kept = self.0.read("/var/lib/wbd/products.json").unwrap_or_default();
            let kept = String::from_utf8_lossy(&kept).contains("acme-help");
            if found && (kept || state != "here") { Ok(()) } else { Err(list.to_string()) }
        });
    }

    fn end(self) {
        // It may be gone already.
        drop(self.0.run(["/usr/bin/systemctl", "disable", "--now", UNIT]));
        self.ok(&["/usr/bin/rm", "-rf", "/opt/acme", "/etc/systemd/system/acme.service", "/tmp/acme", "/tmp/acme.deb"]);
        self.ok(&["/usr/bin/rm", "-f", "/etc/wbd/playbooks.d/acme.yaml", "/etc/wbd/playbooks.d/role-down.yaml"]);
        self.ok(&["/usr/bin/systemctl", "daemon-reload"]);
        product::configure(self.0, ROOMY);
        product::healthy(self.0);
    }
}

#[test]
fn a_vendors_process_that_is_killed_is_told_and_stays_told_and_is_started_when_a_person_approves() {
    let host = product::shared();
    let acme = Acme::begin(&host);
    let story = Story::begin(&host).about(CODE);
    // Twin: the same program in a container of this host, which is not the product's process.
    let contain = ["--unit=inmate", "/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--mount"];
    let inmate = ["/opt/acme/bin/acme-help", "8000000"];
    host.run(["/usr/bin/systemd-run", "--quiet"].iter().chain(&contain).chain(&inmate)).ok();
    acme.ok(&["/usr/bin/systemctl", "kill", "--signal=KILL", "--kill-whom=all", UNIT]);

    let told = |answer: &Answer| {
        let rows = answer.checks(CODE);
        answer.code == 2 && rows.len() == 2 && rows.iter().all(|row| row["verdict"] == "fail")
    };
    let answer = product::doctor_says(&host, "both are down", told);
    let cause = answer.cause(CODE).unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!((&cause["severity"], &cause["fix"]["approval"]), (&"fail".into(), &"operator".into()), "{cause}");
    story.wait_for("an incident", SOON, |record| record["kind"] == "opened" && record["code"] == CODE);
    story.stays_undone("nobody approved", QUIET);

    // It stays told by the next supervisor, and by doctor alone.
    acme.ok(&["/usr/bin/systemctl", "restart", product::SUPERVISOR]);
    product::doctor_says(&host, "told after a restart of the supervisor", told);
    acme.ok(&["/usr/bin/systemctl", "stop", product::SUPERVISOR]);
    product::doctor_says(&host, "told without a supervisor", told);
    acme.ok(&["/usr/bin/systemctl", "start", product::SUPERVISOR]);

    let incident = host.wait_for("a step that waits", SOON, || {
        let incidents = story.incidents(CODE);
        let waits = |id: &str| ctl(&host, &["incidents", "show", id]).text().contains("restart acme.service");
        incidents.into_iter().map(|it| it.id).find(|id| waits(id)).ok_or_else(|| story.summary())
    });
    ctl(&host, &["approve", &incident, "--yes"]).ok();
    let healed = story.healed(CODE, SOON);
    assert_eq!(healed.actions(), ["unit.restart"], "{healed}");
    acme.both("pass");
    acme.ok(&["/usr/bin/systemctl", "kill", "--signal=KILL", "inmate.service"]);
    acme.end();
}

#[test]
fn one_that_systemctl_stopped_is_no_failure_and_one_that_was_killed_is() {
    let host = product::shared();
    let acme = Acme::begin(&host);
    let story = Story::begin(&host).about(CODE);
    acme.ok(&["/usr/bin/systemctl", "stop", UNIT]);
    let answer = acme.both("skip");
    assert!(answer.checks(CODE).iter().all(|row| row["reason"].as_str().is_some_and(|it| !it.is_empty())));
    story.stays_quiet("a stop job ended it", QUIET);
    assert!(acme.both("skip").is_well(), "{}", answer.json);

    // Twin: nobody stopped it.
    acme.ok(&["/usr/bin/systemctl", "start", UNIT]);
    acme.both("pass");
    acme.kill("acme-help");
    let answer = product::doctor_says(&host, "the helper is down", |answer| answer.code == 2);
    let down: Vec<_> = answer.checks(CODE).into_iter().filter(|row| row["verdict"] == "fail").collect();
    assert!(down.len() == 1 && down[0]["target"] == "acme/helper", "{}", answer.json);
    acme.end();
}

#[test]
fn files_that_are_gone_while_the_package_is_installed_are_a_failure_and_with_the_package_the_product_goes() {
    let host = product::shared();
    let acme = Acme::begin(&host);
    host.write("/tmp/acme/DEBIAN/control", CONTROL.as_bytes());
    acme.ok(&["/usr/bin/dpkg-deb", "--root-owner-group", "--build", "/tmp/acme", "/tmp/acme.deb"]);
    acme.ok(&["/usr/bin/dpkg", "-i", "/tmp/acme.deb"]);
    acme.ok(&["/usr/bin/rm", "/opt/acme/acme-scan"]);
    // The process runs on, from a file that has no name any more.
    let gone = |answer: &Answer| {
        let cause = answer.cause(CODE).map(ToString::to_string).unwrap_or_default();
        answer.code == 2 && cause.contains("Package acme is installed")
    };
    product::doctor_says(&host, "its file is gone", gone);

    acme.ok(&["/usr/bin/systemctl", "stop", UNIT]);
    product::doctor_says(&host, "its file is gone, and it was stopped", gone);
    acme.ok(&["/usr/bin/rm", "-rf", "/opt/acme"]);
    acme.ok(&["/usr/bin/dpkg", "-r", "acme"]);
    product::reload(&host).ok();
    acme.is_listed("absent");
    let answer = product::doctor_says(&host, "nothing wrong", Answer::is_well);
    assert!(answer.checks(CODE).is_empty(), "{}", answer.json);
    acme.end();
}

#[test]
fn a_product_that_root_has_forgotten_is_said_to_be_and_is_checked_again_when_it_runs_again() {
    let host = product::shared();
    let acme = Acme::begin(&host);
    let forget = ["product", "forget", "acme"];
    let refused = ctl(&host, &forget);
    assert!(refused.code == Some(1) && refused.report().contains("runs on this host"), "{}", refused.report());
    acme.ok(&["/usr/bin/systemctl", "kill", "--signal=KILL", "--kill-whom=all", UNIT]);
    product::doctor_says(&host, "both are down", |answer| answer.code == 2);
    let stranger = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/wbdctl"];
    let denied = host.run(stranger.iter().chain(&forget));
    assert_eq!(denied.code, Some(77), "{}", denied.report());

    host.wait_for("root is heard", SOON, || {
        let said = ctl(&host, &forget);
        if said.code == Some(0) { Ok(()) } else { Err(said.report()) }
    });
    acme.is_listed("forgotten");
    let answer = product::doctor_says(&host, "nothing wrong", Answer::is_well);
    assert!(answer.checks(CODE).is_empty(), "{}", answer.json);
    let is_said = answer.checks("WBD-PROFILE").iter().any(|row| {
        let reason = row["reason"].as_str().unwrap_or_default();
        row["target"] == "acme" && row["verdict"] == "skip" && reason.contains("forgotten")
    });
    assert!(is_said, "{}", answer.json);

    acme.ok(&["/usr/bin/systemctl", "restart", UNIT]);
    product::reload(&host).ok();
    acme.is_listed("here");
    acme.both("pass");
    acme.end();
}

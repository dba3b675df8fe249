//! The package's own life on a host: installed, running, upgraded, removed, purged.

use std::collections::BTreeSet;
use wbd_tests::host::Host;
use wbd_tests::places;
use wbd_tests::product::SOON;

const UNITS: [&str; 2] = ["wbd-agent.service", "wbd-supervisord.service"];

/// Paths that other programs rely on, each with its mode and owner.
const FILES: [(&str, &str); 19] = [
    ("/opt/nbp/wbd/wbd_agent", "755 root:root"),
    ("/usr/bin/wbdctl", "755 root:root"),
    ("/usr/libexec/wbd/wbd-supervisord", "755 root:root"),
    ("/usr/lib/systemd/system/wbd-agent.service", "644 root:root"),
    ("/usr/lib/systemd/system/wbd-supervisord.service", "644 root:root"),
    ("/usr/lib/systemd/system/wbd-supervisord-failed.service", "644 root:root"),
    ("/usr/lib/systemd/catalog/wbd.catalog", "644 root:root"),
    ("/usr/lib/systemd/catalog/wbd.ja.catalog", "644 root:root"),
    ("/usr/lib/systemd/system/wbd-supervisord-retry.service", "644 root:root"),
    ("/usr/lib/systemd/system/wbd-supervisord-retry.timer", "644 root:root"),
    ("/usr/lib/sysusers.d/wbd.conf", "644 root:root"),
    ("/etc/wbd/wbd.yaml", "644 root:root"),
    ("/etc/wbd/playbooks.d", "755 root:root"),
    ("/usr/lib/wbd/playbooks", "755 root:root"),
    ("/usr/share/man/man1/wbdctl.1.gz", "644 root:root"),
    ("/usr/share/man/man5/wbd-playbook.5.gz", "644 root:root"),
    ("/usr/share/doc/wbd/copyright", "644 root:root"),
    ("/var/lib/wbd", "750 root:root"),
    ("/run/wbd", "755 root:root"),
];

fn wait_active(host: &Host, unit: &str) {
    host.wait_for(&format!("{unit} active"), SOON, || match host.unit(unit, "ActiveState").as_str() {
        "active" => Ok(()),
        state => Err(format!("{state}, {}", host.unit(unit, "Result"))),
    });
}

fn stat(host: &Host, path: &str) -> String {
    host.run(["/usr/bin/stat", "-c", "%a %U:%G", path]).ok().text()
}

/// Every path of the root file system that only a package's life should change.
fn files(host: &Host) -> BTreeSet<String> {
    let argv = ["/usr/bin/find", "/", "-xdev", "-not", "-path", "/var/log/*"];
    let all = host.run(argv).ok().text();
    all.lines()
        .filter(|path| !path.starts_with("/var/lib/dpkg/") && !path.starts_with("/root/"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn installs_and_runs() {
    let host = Host::boot("package-installs");
    host.install_deb(&places::deb());
    for unit in UNITS {
        wait_active(&host, unit);
        assert_eq!(host.unit(unit, "UnitFileState"), "enabled", "{unit}");
        assert_eq!(host.unit(unit, "NRestarts"), "0", "{unit}");
    }
    for (path, want) in FILES {
        assert_eq!(stat(&host, path), want, "{path}");
    }
    assert_eq!(host.run(["/usr/bin/dpkg", "-V", "wbd"]).ok().text(), "");
    host.run(["/usr/bin/getent", "group", "wbd-admin"]).ok();
    an_operator_may_ask_but_not_read_the_ledger(&host);
    let verify = ["/usr/bin/systemd-analyze", "verify", "--man=no"];
    let verified = host.run(verify.into_iter().chain(UNITS)).ok();
    assert_eq!(verified.stderr, b"", "{}", verified.report());
    host.reboot();
    for unit in UNITS {
        wait_active(&host, unit);
    }
}

/// The group gives orders and is answered; the ledger's file is root's, and the refusal sends nobody to the group.
fn an_operator_may_ask_but_not_read_the_ledger(host: &Host) {
    host.run(["/usr/sbin/usermod", "--append", "--groups", "wbd-admin", "nobody"]).ok();
    let operator = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--init-groups", "/usr/bin/wbdctl"];
    let run = |words: [&'static str; 2]| host.run(operator.into_iter().chain(words));
    for words in [["incidents", "list"], ["reload", "--wait"]] {
        run(words).ok();
    }
    let refused = run(["ledger", "list"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.code, Some(77), "{}", refused.report());
    assert!(told.contains("run as root") && !told.contains("wbd-admin"), "{told}");
}

#[test]
fn an_upgrade_keeps_what_the_administrator_did() {
    let host = Host::boot("package-upgrade");
    host.install_deb(&places::deb());
    let [agent, supervisor] = UNITS;
    host.run(["/usr/bin/systemctl", "disable", "--now", agent]).ok();
    let before = host.main_pid(supervisor).expect("a running supervisor");
    let mine = b"healing: observe\n";
    host.write("/etc/wbd/wbd.yaml", mine);
    host.install_deb(&places::deb());
    wait_active(&host, supervisor);
    assert_ne!(host.main_pid(supervisor), Some(before), "not restarted");
    assert_eq!(host.unit(agent, "ActiveState"), "inactive");
    assert_eq!(host.unit(agent, "UnitFileState"), "disabled");
    assert_eq!(host.read("/etc/wbd/wbd.yaml").as_deref(), Some(&mine[..]));
}

#[test]
fn what_is_installed_again_after_a_removal_runs_again() {
    let host = Host::boot("package-again");
    host.install_deb(&places::deb());
    let [agent, supervisor] = UNITS;
    let again = || {
        host.run(["/usr/bin/dpkg", "--remove", "wbd"]).ok();
        assert_eq!(UNITS.map(|unit| host.unit(unit, "ActiveState")), ["inactive", "inactive"]);
        host.install_deb(&places::deb());
        wait_active(&host, supervisor);
    };
    again();
    wait_active(&host, agent);
    // The removal is forgotten by then: what an administrator stops stays stopped over an upgrade.
    host.run(["/usr/bin/systemctl", "stop", agent]).ok();
    host.install_deb(&places::deb());
    wait_active(&host, supervisor);
    assert_eq!(host.unit(agent, "ActiveState"), "inactive");
    // A unit that is disabled is not started by an installation either.
    host.run(["/usr/bin/systemctl", "disable", agent]).ok();
    again();
    let state = ["ActiveState", "UnitFileState"].map(|property| host.unit(agent, property));
    assert_eq!(state, ["inactive", "disabled"]);
}

#[test]
fn purge_leaves_only_the_evidence() {
    let host = Host::boot("package-purge");
    let before = files(&host);
    host.install_deb(&places::deb());
    for unit in UNITS {
        wait_active(&host, unit);
    }
    let evidence = "/var/lib/wbd/quarantine/evidence";
    host.write(evidence, b"<?php\n");
    host.write("/etc/wbd/playbooks.d/mine.yaml", b"");
    for ours in ["60-wbd.conf", "60-wbd.conf.new"] {
        host.write(&format!("/etc/sysctl.d/{ours}"), b"# set by wbd\n");
    }
    let site = "/etc/sysctl.d/90-site-wbd.conf";
    host.write(site, b"# set by an administrator\n");
    host.run(["/usr/bin/dpkg", "--remove", "wbd"]).ok();
    for unit in UNITS {
        assert_eq!(host.unit(unit, "ActiveState"), "inactive", "{unit}");
    }
    assert!(host.exists("/etc/wbd/wbd.yaml") && host.exists("/etc/wbd/playbooks.d/mine.yaml"));
    assert!(!host.exists("/run/wbd"));
    host.run(["/usr/bin/dpkg", "--purge", "wbd"]).ok();
    let left: Vec<_> = files(&host).difference(&before).cloned().collect();
    let policy = [site, "/var/lib/wbd", "/var/lib/wbd/quarantine", evidence];
    assert_eq!(left, policy);
}

//! What doctor tells, to whom, with which exit code: healthy, unprivileged, without the supervisor, with everything broken.

use wbd_tests::json::Answer;
use wbd_tests::product::{self, AGENT, ROOMY, SETTINGS, SOON, SUPERVISOR};

use crate::site::{self, ctl};

/// A labelled verdict within this, however broken the host is.
const UNPRIVILEGED: [&str; 5] = ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"];

#[test]
fn a_healthy_host_is_told_in_every_form() {
    let host = product::shared();
    site::make(&host, 3);
    site::add(&host).ok();
    ctl(&host, &["agent", "activate"]).ok();
    let answer = product::doctor_says(&host, "health", |answer| answer.code == 0);
    assert_eq!((answer.json["verdict"].as_str(), answer.list("causes").len()), (Some("ok"), 0), "{}", answer.json);
    for code in ["WBD-6007", "WBD-5404", "WBD-VERSION", "WBD-LEDGER", "WBD-SUPERVISOR"] {
        assert!(answer.checks(code).iter().any(|check| check["verdict"] == "pass"), "{code}: {}", answer.json);
    }
    let nagios = ctl(&host, &["-o", "nagios", "doctor"]).ok();
    assert!(nagios.text().lines().count() == 1 && nagios.text().contains("OK"), "{}", nagios.report());
    let text = ctl(&host, &["doctor"]).ok().text();
    assert_eq!(text.lines().nth(1), Some("protection: on, 1 target, 4 folders"), "{text}");
    assert_eq!(ctl(&host, &["-o", "nagios", "status"]).code, Some(64));
    assert_eq!(ctl(&host, &["doctor", "--only", "WBD-9999"]).code, Some(64));
    // Twin: without a target nothing is protected, and that is told with the way out.
    site::forget(&host);
    let answer = product::doctor_says(&host, "no target", |answer| answer.cause("WBD-PROTECTION").is_some());
    assert!(answer.code == 1 && answer.is_well(), "{}", answer.json);
    assert!(answer.json.to_string().contains("wbdctl target add"), "{}", answer.json);
}

#[test]
fn an_unprivileged_user_learns_from_the_supervisor_and_may_change_nothing() {
    let host = product::shared();
    product::doctor_says(&host, "health", Answer::is_well);
    let doctor = host.run(UNPRIVILEGED.into_iter().chain(["/usr/bin/wbdctl", "-o", "json", "doctor"]));
    let answer = Answer::of(&doctor);
    assert!(answer.is_well(), "what is not to be seen is asked for: {}", answer.json);
    assert!(answer.json["daemon"]["age_ms"].is_u64(), "{}", answer.json);
    for change in
        [&["pause", "no"][..], &["reload"], &["agent", "stop"], &["resume"], &["ledger", "rotate", "--reason", "x"]]
    {
        let ran = host.run(UNPRIVILEGED.into_iter().chain(["/usr/bin/wbdctl"]).chain(change.iter().copied()));
        assert_eq!(ran.code, Some(77), "{}", ran.report());
    }
    product::healthy(&host);
}

#[test]
fn without_the_supervisor_the_host_is_still_examined() {
    let host = product::shared();
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    let answer = product::doctor(&host);
    assert_eq!(answer.code, 1, "{}", answer.json);
    assert!(answer.cause("WBD-SUPERVISOR").is_some() && answer.json["daemon"].is_null(), "{}", answer.json);
    assert!(answer.checks("WBD-6007").iter().any(|check| check["verdict"] == "pass"), "{}", answer.json);
    assert_eq!(ctl(&host, &["status"]).code, Some(69));
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    product::healthy(&host);
}

#[test]
fn with_everything_broken_at_once_there_is_a_verdict_in_time() {
    let host = product::shared();
    host.run(["/usr/bin/systemctl", "stop", SUPERVISOR]).ok();
    host.signal(product::agent_works(&host), "STOP");
    host.run(["/usr/bin/mkdir", "-p", "/usr/local/aegis/aegis_client"]).ok();
    host.write("/etc/resolv.conf", b"\xff\xfenameserver nonsense\nnameserver 127.0.0.71\n");
    host.write("/etc/wbd/playbooks.d/mine.yaml", b"kind: [");
    host.write(SETTINGS, b"healing: sometimes\n");
    host.run(["/usr/bin/cp", "-a", "/var/lib/wbd/ledger.db", "/root/ledger.db"]).ok();
    host.run_with(["/usr/bin/dd", "of=/var/lib/wbd/ledger.db", "bs=64", "seek=2", "conv=notrunc"], &[7; 64], SOON).ok();
    host.wait_for("a missed heartbeat", SOON, || {
        let answer = product::doctor(&host);
        answer.cause("WBD-6007").map(|_| ()).ok_or_else(|| answer.json.to_string())
    });
    for unprivileged in [false, true] {
        let prefix = if unprivileged { &UNPRIVILEGED[..] } else { &[] };
        let ran = host.run(prefix.iter().chain(&["/usr/bin/wbdctl", "-o", "json", "doctor"]));
        let answer = Answer::of(&ran);
        assert_eq!((answer.code, &answer.json["verdict"]), (2, &"fail".into()), "{}", answer.json);
        for code in ["WBD-SUPERVISOR", "WBD-SETTINGS", "AEGIS-DNS"] {
            assert!(answer.cause(code).is_some(), "{code} as root: {}: {}", !unprivileged, answer.json);
        }
        assert!(answer.checks("WBD-PLAYBOOK").iter().any(|check| check["verdict"] == "unknown"), "{}", answer.json);
        let text = host.run(prefix.iter().chain(&["/usr/bin/wbdctl", "doctor"]));
        assert!(text.code == Some(2) && text.text().starts_with("CRITICAL"), "{}", text.report());
    }
    let nagios = ctl(&host, &["-o", "nagios", "doctor"]).exits(2);
    assert!(nagios.text().lines().count() == 1 && nagios.text().contains("CRITICAL"), "{}", nagios.report());

    host.run(["/usr/bin/mv", "/root/ledger.db", "/var/lib/wbd/ledger.db"]).ok();
    host.run(["/usr/bin/rm", "-r", "/etc/wbd/playbooks.d/mine.yaml", "/usr/local/aegis"]).ok();
    host.write("/etc/resolv.conf", b"");
    host.write(SETTINGS, ROOMY.as_bytes());
    host.run(["/usr/bin/systemctl", "kill", "--signal=CONT", AGENT]).ok();
    host.run(["/usr/bin/systemctl", "start", SUPERVISOR]).ok();
    product::healthy(&host);
    product::doctor_says(&host, "a healthy host", Answer::is_well);
}

/// Explained while it is there, and while it is not.
#[test]
fn explain_looks_whether_it_is_so_now() {
    let host = product::shared();
    let now = || Answer::of(&ctl(&host, &["-o", "json", "explain", "6007"]).ok()).json;
    let well = now();
    assert_eq!((&well["detected"], &well["now"]["checks"][0]["verdict"]), (&"yes".into(), &"pass".into()), "{well}");
    host.run(["/usr/bin/wbdctl", "pause", "--for", "10m", "looked at by a test"]).ok();
    let pid = product::agent_works(&host);
    host.signal(pid, "STOP");
    host.wait_for("an agent that is explained as hung", SOON, || {
        let told = now();
        if told["now"]["checks"][0]["verdict"] == "fail" { Ok(()) } else { Err(told.to_string()) }
    });
    let text = ctl(&host, &["explain", "6007"]).ok().text();
    assert!(text.contains("YES (wbd): ") && text.contains(&format!("/proc/{pid}/wchan")), "{text}");
    host.signal(pid, "CONT");
    host.run(["/usr/bin/wbdctl", "resume"]).ok();
    product::healthy(&host);
}

#[test]
fn every_documented_code_is_explained() {
    let host = product::shared();
    let listed = Answer::of(&ctl(&host, &["-o", "json", "explain"]).ok());
    let codes: Vec<_> = listed.list("codes").iter().filter_map(|row| row["code"].as_str()).collect();
    for code in ["WBD-5002", "WBD-5404", "WBD-6007", "WBD-8013", "AEGIS-DNS", "VULN-OOM", "IWSS-FTPLEAK", "DSVA-NSX"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    for code in &codes {
        let explained = ctl(&host, &["explain", code]).ok();
        assert!(explained.text().contains(code), "{}", explained.report());
    }
    let first = |code| ctl(&host, &["explain", code]).ok().text().lines().next().map(str::to_owned);
    assert_eq!(first("5404"), first("WBD-5404"));
}

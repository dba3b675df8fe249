//! A machine's limits and its service manager: up to which bound, what is left to do, and what is asked without a bus.
use super::*;

/// With a minute until the start deadline, which a busy machine may need for several programs.
async fn unhurried(host: &mut Host, action: Action) -> Report {
    host.act_at(action, Captured::default(), &now("b1", 60_000), &now("b1", 10), None).await
}

fn set(key: &str, value: i64) -> Action {
    Action::SysctlSet(SysctlSet { key: key.to_owned(), value, persist: false })
}

#[tokio::test]
async fn each_limit_is_raised_up_to_its_own_bound_and_not_beyond() {
    let mut host = Host::new();
    for (name, most) in
        [("max_user_watches", 16_777_216), ("max_user_instances", 65_536), ("max_queued_events", 4_194_304)]
    {
        let (key, file) = (format!("fs.inotify.{name}"), host.path("proc-sys/fs/inotify").join(name));
        fs::write(&file, "128\n").unwrap();
        let said = host.act(set(&key, most + 1), None).await;
        assert_eq!(said.outcome, Outcome::Failed, "{key}");
        assert!(said.detail.contains("outside wbd's own bounds"), "{}", said.detail);
        assert_eq!(fs::read_to_string(&file).unwrap(), "128\n");
        assert_eq!(host.act(set(&key, most), None).await.outcome, Outcome::Done, "{key}");
        assert_eq!(fs::read_to_string(&file).unwrap(), format!("{most}\n"));
    }
    assert_eq!(host.dropin(), None, "nobody asked to keep them");
}

#[tokio::test]
async fn a_setting_off_the_list_is_neither_set_nor_put_back() {
    let mut host = Host::new();
    fs::create_dir_all(host.path("proc-sys/kernel")).unwrap();
    fs::write(host.path("proc-sys/kernel/panic"), "0\n").unwrap();
    let back = SysctlRestore { key: "kernel.panic".to_owned(), value: 1, dropin: None };
    for action in [set("kernel.panic", 1), Action::SysctlRestore(back)] {
        let said = host.act(action, None).await;
        assert_eq!(said.outcome, Outcome::Failed);
        assert!(said.detail.contains("wbd sets fs.inotify.max_user_watches"), "{}", said.detail);
    }
    assert_eq!(fs::read_to_string(host.path("proc-sys/kernel/panic")).unwrap(), "0\n");
}

#[tokio::test]
async fn putting_back_shows_and_does_what_is_left_of_it() {
    let mut host = Host::new();
    let back = Action::SysctlRestore(SysctlRestore { key: WATCHES.to_owned(), value: 8192, dropin: None });
    let file = host.path("proc-sys/fs/inotify/max_user_watches");
    let shown = |host: &Host| {
        let changes = host.executor.preview(&back).unwrap().changes;
        changes.into_iter().map(|change| (change.what, change.after)).collect::<Vec<_>>()
    };
    let kept = || {
        fs::create_dir_all(host.path("etc/sysctl.d")).unwrap();
        fs::write(host.path("etc/sysctl.d/60-wbd.conf"), format!("{WATCHES} = 20000\n")).unwrap();
    };
    let value = (WATCHES.to_owned(), "8192".to_owned());
    let dropin = (host.path("etc/sysctl.d/60-wbd.conf").display().to_string(), "no file".to_owned());
    assert_eq!(shown(&host), [], "it is as it was");
    fs::write(&file, "20000\n").unwrap();
    assert_eq!(shown(&host), std::slice::from_ref(&value));
    kept();
    assert_eq!(shown(&host), [value, dropin.clone()]);
    fs::write(&file, "8192\n").unwrap();
    assert_eq!(shown(&host), [dropin]);
    let report = host.act(back.clone(), None).await;
    assert_eq!((report.outcome, host.dropin()), (Outcome::Done, None), "{}", report.detail);
    fs::write(&file, "20000\n").unwrap();
    let report = host.act(back.clone(), None).await;
    assert_eq!((report.outcome, host.watches().as_str()), (Outcome::Done, "8192\n"), "{}", report.detail);
    assert_eq!(host.act(back, None).await.outcome, Outcome::Aborted, "nothing is left");
}

#[test]
fn what_a_job_on_the_agent_would_change_names_its_unit_or_its_program() {
    let (machine, alone) = (Host::new(), Host::standalone("exit 0"));
    let program = alone.path("opt/nbp/wbd/wbd_agent").display().to_string();
    let stop = Action::AgentStop(AgentStop { who: "root".to_owned() });
    let jobs = [
        (Action::AgentStart {}, "started"),
        (stop, "stopped"),
        (Action::AgentRestart {}, "restarted"),
        (Action::AgentReload {}, "reloaded"),
    ];
    for (action, after) in jobs {
        for (host, what) in [(&machine, "wbd-agent.service"), (&alone, program.as_str())] {
            let Preview { changes, undo } = host.executor.preview(&action).unwrap();
            assert_eq!((changes.len(), undo), (1, None));
            assert_eq!((changes[0].what.as_str(), changes[0].after.as_str()), (what, after));
        }
    }
}

#[tokio::test]
async fn without_a_bus_systemctl_is_asked_and_clears_the_start_limit_only_of_a_unit_that_has_failed() {
    for (is_failed, cleared) in [(0, "--no-ask-password reset-failed wbd-agent.service\n"), (1, "")] {
        let mut host = Host::new();
        host.program("usr/bin/systemctl", &format!("case \"$*\" in *is-failed*) exit {is_failed};; esac"));
        let report = unhurried(&mut host, Action::AgentRestart {}).await;
        assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
        assert!(report.detail.contains("asked systemctl to restart wbd-agent.service"), "{}", report.detail);
        let asked = format!(
            "--no-ask-password is-failed --quiet wbd-agent.service\n{cleared}\
             --no-ask-password --job-mode=fail restart wbd-agent.service\n"
        );
        assert_eq!(host.called(), asked);
    }
}

#[tokio::test]
async fn without_a_bus_a_reload_and_a_stop_are_asked_of_systemctl_as_they_are() {
    let stop = Action::AgentStop(AgentStop { who: "root".to_owned() });
    for (action, verb) in [(Action::AgentReload {}, "reload"), (stop, "stop")] {
        let mut host = Host::new();
        host.stop_note();
        host.program("usr/bin/systemctl", "true");
        let report = unhurried(&mut host, action).await;
        assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
        assert_eq!(host.called(), format!("--no-ask-password --job-mode=replace {verb} wbd-agent.service\n"));
    }
}

#[tokio::test]
async fn without_a_bus_no_job_is_begun_after_its_start_deadline() {
    let mut host = Host::new();
    host.program("usr/bin/systemctl", "case \"$*\" in *is-failed*) exit 1;; esac");
    // At the deadline it is not late yet; after the bus was tried it is.
    let report =
        host.act_at(Action::AgentRestart {}, Captured::default(), &now("b1", 10), &now("b1", 5_010), None).await;
    assert_eq!(report.outcome, Outcome::Aborted, "{}", report.detail);
    assert!(!host.called().contains("restart"), "{}", host.called());
}

#[tokio::test]
async fn a_sites_program_is_told_what_happened_and_its_failure_is_told_back() {
    let host = Host::new();
    let program = host.program("notify", "[ \"$1\" = well ] || { echo no mail server; exit 3; }").display().to_string();
    let told = [("WBD_WHAT".to_owned(), "a b".to_owned())];
    let notify = async |argv: &[&str]| {
        let argv: Vec<_> = argv.iter().map(|&argument| argument.to_owned()).collect();
        run_site_program(&argv, &told, Duration::from_secs(20), false).await
    };
    assert_eq!(notify(&[&program, "well"]).await, Ok("it ended with 0".to_owned()));
    assert_eq!(host.called(), "well\n");
    assert!(fs::read_to_string(host.path("called.env")).unwrap().lines().any(|line| line == "WBD_WHAT=a b"));
    let said = notify(&[&program, "badly"]).await.unwrap_err();
    assert!(said.contains("3") && said.contains("no mail server"), "{said}");
    let said = notify(&["notify"]).await.unwrap_err();
    assert!(said.contains("absolute path"), "{said}");
}

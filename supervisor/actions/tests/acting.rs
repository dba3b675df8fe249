//! Deeds through the whole wall: permitted, recorded, done; what is done, what is refused, and how it is taken back.
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop a test as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wbd_actions::{Alone, Hands, Kernel, Machine, Preview, ProcessRef, Reach, Report, StopNote, start_ticks};
use wbd_engine::guard::permit_by_hand;
use wbd_engine::state::{Captured, State};
use wbd_ledger::{Anchors, Ledger};
use wbd_model::action::{Action, AgentStop, Class, CommandRun, SysctlRestore, SysctlSet, Undo, UnitRestart};
use wbd_model::entry::Outcome;
use wbd_model::profile;
use wbd_model::time::{BootId, Now};

const WATCHES: &str = "fs.inotify.max_user_watches";

struct Host {
    dir: tempfile::TempDir,
    ledger: Ledger,
    hands: Hands,
}

/// Kernel settings in a folder.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn file(&self, key: &str) -> PathBuf {
        self.0.join(key.replace('.', "/"))
    }
}

impl Kernel for Folder {
    fn read(&self, key: &str) -> std::io::Result<String> {
        fs::read_to_string(self.file(key)).map(|text| text.trim().to_owned())
    }

    fn write(&self, key: &str, value: &str) -> std::io::Result<String> {
        fs::write(self.file(key), format!("{value}\n"))?;
        self.read(key)
    }
}

impl Host {
    /// A machine of its own.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_path_buf();
        let ledger = Ledger::open(&root.join("var/lib/wbd"), None, &Anchors::default()).unwrap();
        let inotify = root.join("proc-sys/fs/inotify");
        fs::create_dir_all(&inotify).unwrap();
        fs::write(inotify.join("max_user_watches"), "8192\n").unwrap();
        let kernel = Box::new(Folder(root.join("proc-sys")));
        let hands = Hands::new(Reach::Machine(Machine::made_up(root, "wbd-agent.service", kernel)));
        Self { dir, ledger, hands }
    }

    fn standalone(script: &str) -> Self {
        let mut host = Self::new();
        let agent = host.program("opt/nbp/wbd/wbd_agent", script);
        let root = host.dir.path().to_path_buf();
        let args = vec!["--foreground".into(), "--root".into(), root.clone().into()];
        host.hands = Hands::new(Reach::Alone(Alone { root, agent, args }));
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// A program that writes down how it was called.
    fn program(&self, path: &str, script: &str) -> PathBuf {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let called = self.path("called").display().to_string();
        let text = format!("#!/bin/sh\necho \"$@\" >> {called}\nenv > {called}.env\n{script}\n");
        // By a process of its own: a file that is open for writing cannot be run, and a child that a neighbouring test is
        // just forking has all our files open.
        let mut write = Command::new("/bin/sh");
        write.args(["-c", "cat >\"$0\" && chmod 0755 \"$0\""]).arg(&path).stdin(Stdio::piped());
        let mut writer = write.spawn().unwrap();
        std::io::Write::write_all(&mut writer.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(writer.wait().unwrap().success());
        path
    }

    fn called(&self) -> String {
        fs::read_to_string(self.path("called")).unwrap_or_default()
    }

    async fn act_at(
        &mut self,
        action: Action,
        captured: Captured,
        at: &Now,
        then: &Now,
        current: Option<ProcessRef>,
    ) -> Report {
        let permit = permit_by_hand(&State::default(), at, "root", action, None, captured).unwrap();
        let recorded = self.ledger.record(permit, at).unwrap();
        self.hands.act(recorded, then, current).await
    }

    async fn act(&mut self, action: Action, current: Option<ProcessRef>) -> Report {
        let captured = match self.hands.preview(&action) {
            Ok(Preview { changes, undo }) => Captured { changes, undo, ..Captured::default() },
            Err(_) => Captured::default(),
        };
        self.act_at(action, captured, &now("b1", 10), &now("b1", 20), current).await
    }

    fn watches(&self) -> String {
        fs::read_to_string(self.path("proc-sys/fs/inotify/max_user_watches")).unwrap()
    }

    fn dropin(&self) -> Option<String> {
        fs::read_to_string(self.path("etc/sysctl.d/60-wbd.conf")).ok()
    }
}

fn now(boot: &str, boot_ms: u64) -> Now {
    Now { boot: BootId(boot.to_owned()), boot_ms, wall_ms: 0 }
}

fn raise(value: i64) -> Action {
    Action::SysctlSet(SysctlSet { key: WATCHES.to_owned(), value, persist: true })
}

fn run(argv: &[&str], timeout_ms: u64) -> Action {
    let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
    let command = profile::Command { argv, timeout: profile::Duration::from_ms(timeout_ms), class: Class::A3 };
    Action::CommandRun(CommandRun { name: "restart".to_owned(), command })
}

fn reference(pid: u32) -> ProcessRef {
    ProcessRef { pid, start_ticks: start_ticks(pid).unwrap() }
}

/// Ends exactly this child of ours, however the test goes.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for `pid`, started by the hands and left to us.
fn reap(pid: u32) -> rustix::process::WaitStatus {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()).unwrap().unwrap().1
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < until, "{what}");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_limit_is_raised_kept_and_put_back_to_the_byte() {
    let before = "# an administrator's own line\nfs.inotify.max_user_instances=256";
    for dropin in [None, Some(before)] {
        let mut host = Host::new();
        if let Some(text) = dropin {
            fs::create_dir_all(host.path("etc/sysctl.d")).unwrap();
            fs::write(host.path("etc/sysctl.d/60-wbd.conf"), text).unwrap();
        }
        let preview = host.hands.preview(&raise(20_000)).unwrap();
        let shown: Vec<_> =
            preview.changes.iter().map(|change| (change.before.as_deref(), change.after.as_str())).collect();
        let line = format!("{WATCHES} = 20000");
        let was = dropin.map(|_| format!("without {WATCHES}"));
        assert_eq!(shown, [(Some("8192"), "20000"), (was.as_deref(), line.as_str())]);

        let report = host.act(raise(20_000), None).await;
        assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
        assert_eq!(host.watches(), "20000\n");
        assert!(host.dropin().unwrap().contains(&format!("{line}\n")));
        let Some(Undo { action }) = preview.undo else { panic!("no way back") };
        let report = host.act(action.clone(), None).await;
        assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
        assert_eq!((host.watches().as_str(), host.dropin().as_deref()), ("8192\n", dropin));
        assert_eq!(host.act(action, None).await.outcome, Outcome::Aborted);
    }
}

#[tokio::test]
async fn a_limit_is_never_lowered_and_never_touched_beyond_the_list() {
    let mut host = Host::new();
    let report = host.act(raise(8192), None).await;
    assert_eq!(report.outcome, Outcome::Aborted);
    assert!(report.detail.contains("already so"), "{}", report.detail);
    for (key, value) in [("kernel.panic", 1), ("fs.inotify/../../kernel.panic", 1), (WATCHES, 0), (WATCHES, i64::MAX)] {
        let action = Action::SysctlSet(SysctlSet { key: key.to_owned(), value, persist: true });
        assert!(host.hands.preview(&action).is_err(), "{key}");
        assert_eq!(host.act(action, None).await.outcome, Outcome::Failed, "{key}");
        let action = Action::SysctlRestore(SysctlRestore { key: format!("{key}x"), value, dropin: None });
        assert_eq!(host.act(action, None).await.outcome, Outcome::Failed, "{key}");
    }
    assert_eq!((host.watches().as_str(), host.dropin()), ("8192\n", None));
}

#[tokio::test]
async fn hands_with_a_root_of_their_own_say_what_they_want_of_the_machine_and_leave_it() {
    let mut host = Host::standalone("exit 0");
    let machine = "/proc/sys/fs/inotify/max_user_watches";
    let limit: i64 = fs::read_to_string(machine).unwrap().trim().parse().unwrap();
    let restart = Action::UnitRestart(UnitRestart { unit: "named.service".to_owned() });
    let back = Action::SysctlRestore(SysctlRestore { key: WATCHES.to_owned(), value: limit, dropin: None });
    let wishes = [
        (raise(limit + 1), format!("sysctl -w {WATCHES}={}", limit + 1)),
        (back, format!("sysctl -w {WATCHES}={limit}")),
        (restart, "systemctl restart named.service".to_owned()),
    ];
    for (action, line) in wishes {
        assert!(host.hands.beyond(&action).unwrap().ends_with(&line), "{action:?}");
        assert!(host.hands.preview(&action).unwrap_err().to_string().ends_with(&line), "{action:?}");
        // Even with an intent on disk.
        let report = host.act(action, None).await;
        assert_eq!(report.outcome, Outcome::Failed);
        assert!(report.detail.ends_with(&line), "{}", report.detail);
    }
    assert_eq!((fs::read_to_string(machine).unwrap().trim(), host.dropin()), (limit.to_string().as_str(), None));
    // Twins: a machine takes the same, and what lies below the root is done there.
    assert_eq!(host.hands.beyond(&Action::AgentStart {}), None);
    assert_eq!(host.hands.beyond(&run(&["/fix"], 1_000)), None);
    let mut host = Host::new();
    assert_eq!(host.hands.beyond(&raise(20_000)), None);
    assert_eq!(host.act(raise(20_000), None).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn a_program_is_looked_for_below_the_root_and_nowhere_else() {
    let mut host = Host::standalone("exit 0");
    let outside = tempfile::tempdir().unwrap();
    let tool = fs::canonicalize(outside.path()).unwrap().join("tool");
    fs::copy("/bin/true", &tool).unwrap();
    std::os::unix::fs::symlink(&tool, host.path("link")).unwrap();
    let up = format!("{}{}", "/..".repeat(20), tool.display());
    for name in ["/link", &up] {
        let said = host.hands.preview(&run(&[name], 1_000)).unwrap_err().to_string();
        assert!(said.contains("out of the root"), "{said}");
        assert_eq!(host.act(run(&[name], 1_000), None).await.outcome, Outcome::Failed, "{name}");
    }
    host.program("tool", "true");
    std::os::unix::fs::symlink("tool", host.path("within")).unwrap();
    assert_eq!(host.act(run(&["/within"], 20_000), None).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn a_limit_that_changed_since_it_was_captured_is_left_alone() {
    let mut host = Host::new();
    let Preview { changes, undo } = host.hands.preview(&raise(20_000)).unwrap();
    fs::write(host.path("proc-sys/fs/inotify/max_user_watches"), "9000\n").unwrap();
    let captured = Captured { changes, undo, ..Captured::default() };
    let report = host.act_at(raise(20_000), captured, &now("b1", 10), &now("b1", 20), None).await;
    assert_eq!((report.outcome, host.watches().as_str()), (Outcome::Aborted, "9000\n"));
    let report = host.act_at(raise(20_000), Captured::default(), &now("b1", 10), &now("b1", 20), None).await;
    assert_eq!((report.outcome, host.watches().as_str()), (Outcome::Aborted, "9000\n"));
}

#[tokio::test]
async fn a_limit_raised_without_its_drop_in_is_said_to_be_half_done() {
    let mut host = Host::new();
    fs::create_dir_all(host.path("etc")).unwrap();
    fs::write(host.path("etc/sysctl.d"), "a file in the folder's place").unwrap();
    let action = Action::SysctlSet(SysctlSet { key: WATCHES.to_owned(), value: 20_000, persist: true });
    let report = host.act(action, None).await;
    assert_eq!(report.outcome, Outcome::Failed, "{}", report.detail);
}

#[tokio::test]
async fn a_late_deed_is_aborted_and_nothing_is_done() {
    let mut host = Host::new();
    for then in [now("b1", 10 + 5_001), now("b2", 20)] {
        let Preview { changes, undo } = host.hands.preview(&raise(20_000)).unwrap();
        let captured = Captured { changes, undo, ..Captured::default() };
        let report = host.act_at(raise(20_000), captured, &now("b1", 10), &then, None).await;
        assert_eq!((report.outcome, host.watches().as_str()), (Outcome::Aborted, "8192\n"), "{}", report.detail);
    }
}

#[tokio::test]
async fn a_program_is_called_with_its_arguments_and_a_cleared_environment() {
    let mut host = Host::new();
    host.program("etc/iscan/S99ISftp", "echo stopped; echo started >&2");
    let report = host.act(run(&["/etc/iscan/S99ISftp", "restart", "a b;c"], 20_000), None).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert!(report.detail.contains("stopped\nstarted"), "{}", report.detail);
    assert_eq!(host.called(), "restart a b;c\n");
    let environment = fs::read_to_string(host.path("called.env")).unwrap();
    assert!(
        environment
            .lines()
            .all(|line| ["PATH=", "LC_ALL=", "PWD=", "_=", "SHLVL="].iter().any(|name| line.starts_with(name))),
        "{environment}"
    );
}

#[tokio::test]
async fn a_program_in_a_folder_that_others_can_write_is_not_run_until_that_is_mended() {
    let mut host = Host::new();
    host.program("etc/iscan/S99ISftp", "true");
    let folder = host.path("etc/iscan");
    let restart = run(&["/etc/iscan/S99ISftp", "restart"], 20_000);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let said = host.hands.preview(&restart).unwrap_err().to_string();
    assert!(
        said.contains(&format!("{} may be written by others (mode 0777); chmod go-w it", folder.display())),
        "{said}"
    );
    let report = host.act(restart.clone(), None).await;
    assert_eq!((report.outcome, host.called().as_str()), (Outcome::Failed, ""), "{}", report.detail);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    let report = host.act(restart, None).await;
    assert_eq!((report.outcome, host.called().as_str()), (Outcome::Done, "restart\n"), "{}", report.detail);
}

#[tokio::test]
async fn a_program_whose_look_outlasts_the_start_deadline_is_not_begun() {
    let mut host = Host::new();
    host.program("fix", "true");
    // At the deadline it is not late yet, after the look at the program it is: on a dead mount that takes hours.
    let report =
        host.act_at(run(&["/fix"], 20_000), Captured::default(), &now("b1", 10), &now("b1", 5_010), None).await;
    assert_eq!((report.outcome, host.called().as_str()), (Outcome::Aborted, ""), "{}", report.detail);
    assert!(report.detail.contains("start deadline") && report.detail.contains("dead mount"), "{}", report.detail);
    let report = host.act(run(&["/fix"], 20_000), None).await;
    assert_eq!((report.outcome, host.called().as_str()), (Outcome::Done, "\n"), "{}", report.detail);
}

#[tokio::test]
async fn a_program_that_fails_is_a_failure_with_its_last_words() {
    let mut host = Host::new();
    host.program("bad", "echo no such service; exit 3");
    let report = host.act(run(&["/bad"], 20_000), None).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.detail.contains("3") && report.detail.contains("no such service"), "{}", report.detail);
    assert_eq!(host.act(run(&["/missing"], 20_000), None).await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn a_program_that_does_not_end_is_killed_with_its_children_and_its_effect_is_unknown() {
    let mut host = Host::new();
    let pids = host.path("pids");
    host.program("slow", &format!("sleep 300 & echo $! $$ > {}; wait", pids.display()));
    let report = host.act(run(&["/slow"], 5_000), None).await;
    assert_eq!(report.outcome, Outcome::Unknown, "{}", report.detail);
    let pids: Vec<u32> = fs::read_to_string(pids).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert_eq!(pids.len(), 2);
    wait_for("the group outlived its deadline", || {
        pids.iter().all(|pid| {
            fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.is_empty())
                || start_ticks(*pid).is_none()
        })
    });
}

#[tokio::test]
async fn a_service_left_running_holds_nobody_up_and_does_not_die_of_our_leaving() {
    let mut host = Host::new();
    let pid_file = host.path("pid");
    let wrote = host.path("wrote");
    // It floods what was its standard output long after the program ended.
    let service = format!(
        "(while [ -d {2} ] && [ ! -e {0}.stop ]; do echo noise; : > {0}; done) &\necho $! > {1}",
        wrote.display(),
        pid_file.display(),
        host.dir.path().display()
    );
    host.program("init", &service);
    let report = host.act(run(&["/init", "start"], 60_000), None).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    let pid: u32 = fs::read_to_string(pid_file).unwrap().trim().parse().unwrap();
    wait_for("the service ran on", || wrote.exists());
    fs::remove_file(&wrote).unwrap();
    wait_for("the service still runs", || wrote.exists());
    fs::write(host.path("wrote.stop"), "").unwrap();
    wait_for("the service ended", || {
        start_ticks(pid).is_none()
            || fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|text| text.is_empty())
    });
}

#[tokio::test]
async fn endless_output_is_bounded() {
    let mut host = Host::new();
    host.program("loud", "i=0; while [ $i -lt 3000 ]; do echo 0123456789012345678901234567890123456789 2>/dev/null; i=$((i+1)); done; exit 0");
    let report = host.act(run(&["/loud"], 60_000), None).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert!(report.detail.len() < 4096, "{}", report.detail.len());
}

#[tokio::test]
async fn shells_strangers_files_and_the_supervisor_are_not_run() {
    let mut host = Host::new();
    let open = host.program("writable", "true");
    fs::set_permissions(open, fs::Permissions::from_mode(0o777)).unwrap();
    host.program("bin/sh", "true");
    host.program("fine", "true");
    std::os::unix::fs::symlink("sh", host.path("bin/vendor")).unwrap();
    let cases: [&[&str]; 7] = [
        &[],
        &["fine"],
        &["/writable"],
        &["/bin/sh", "-c", "true"],
        &["/bin/vendor", "-c", "true"],
        &["/fine", "stop", "wbd-supervisord.service"],
        &["/bin"],
    ];
    for argv in cases {
        assert!(host.hands.preview(&run(argv, 1_000)).is_err(), "{argv:?}");
        assert_eq!(host.act(run(argv, 1_000), None).await.outcome, Outcome::Failed, "{argv:?}");
    }
    assert_eq!(host.called(), "");
}

#[tokio::test]
async fn an_agent_is_started_once_as_our_child() {
    let mut host = Host::standalone("exec sleep 300");
    let report = host.act(Action::AgentStart {}, None).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    let pid = report.spawned.unwrap();
    wait_for("it was called", || host.called().contains('\n'));
    assert_eq!(host.called(), format!("--foreground --root {}\n", host.dir.path().display()));
    let again = host.act(Action::AgentStart {}, Some(reference(pid))).await;
    assert_eq!((again.outcome, again.spawned), (Outcome::Aborted, None));

    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert_eq!(reap(pid).terminating_signal(), Some(15));
    let second = report.spawned.unwrap();
    assert_ne!(pid, second);
    fn noted(root: &Path, who: &str, at: &Now) -> std::io::Result<()> {
        fs::write(root.join("noted"), format!("{who} {}", at.boot_ms))
    }
    let stop = || Action::AgentStop(AgentStop { who: "root".to_owned() });
    assert_eq!(host.act(stop(), Some(reference(second))).await.outcome, Outcome::Failed);
    assert!(start_ticks(second).is_some());
    host.hands = host.hands.with_stop_note(StopNote { write: noted, ..NOTE });
    let report = host.act(stop(), Some(reference(second))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert_eq!(fs::read_to_string(host.path("noted")).unwrap(), "root 20");
    reap(second);
}

#[tokio::test]
async fn a_stopped_agent_that_ignores_the_request_is_killed() {
    let mut host = Host::standalone("trap '' TERM; echo deaf >> $0.ready; while :; do sleep 1; done");
    let pid = host.act(Action::AgentStart {}, None).await.spawned.unwrap();
    wait_for("it ignores SIGTERM", || host.path("opt/nbp/wbd/wbd_agent.ready").exists());
    let raw = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::STOP).unwrap();
    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert!(report.detail.contains("killed"), "{}", report.detail);
    assert_eq!(reap(pid).terminating_signal(), Some(9));
    let second = report.spawned.unwrap();
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(i32::try_from(second).unwrap()).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    reap(second);
}

#[tokio::test]
async fn a_process_that_only_has_the_agents_number_is_not_touched() {
    let mut host = Host::standalone("exit 0");
    let mut bystander = Reaped(Command::new("/bin/sleep").arg("300").spawn().unwrap());
    let pid = bystander.0.id();
    let stale = ProcessRef { pid, start_ticks: start_ticks(pid).unwrap() - 1 };
    let report = host.act(Action::AgentReload {}, Some(stale)).await;
    assert_eq!(report.outcome, Outcome::Failed, "{}", report.detail);
    let report = host.act(Action::AgentRestart {}, Some(stale)).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    reap(report.spawned.unwrap());
    assert_eq!(bystander.0.try_wait().unwrap(), None);
}

#[tokio::test]
async fn a_reload_is_a_hangup_signal() {
    let mut host = Host::standalone("exit 0");
    let mut agent = Reaped(Command::new("/bin/sleep").arg("300").spawn().unwrap());
    let report = host.act(Action::AgentReload {}, Some(reference(agent.0.id()))).await;
    assert_eq!(report.outcome, Outcome::Done, "{}", report.detail);
    assert_eq!(agent.0.wait().unwrap().signal(), Some(1));
    assert_eq!(host.act(Action::AgentReload {}, None).await.outcome, Outcome::Failed);
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_a_failure() {
    let mut host = Host::standalone("exit 0");
    fs::remove_file(host.path("opt/nbp/wbd/wbd_agent")).unwrap();
    let report = host.act(Action::AgentStart {}, None).await;
    assert_eq!((report.outcome, report.spawned), (Outcome::Failed, None));
}

#[tokio::test]
async fn a_unit_off_the_list_is_refused_before_any_bus() {
    let mut host = Host::new();
    let report = host.act(Action::UnitRestart(UnitRestart { unit: "wbd-supervisord.service".to_owned() }), None).await;
    assert_eq!(report.outcome, Outcome::Failed);
    assert!(report.detail.contains("resolvers"), "{}", report.detail);
    let report = host.act(Action::UnitRestart(UnitRestart { unit: "named.service".to_owned() }), None).await;
    assert!(report.detail.contains("system bus"), "{}", report.detail);
}

/// A note of the tests' own: who asked.
const NOTE: StopNote = StopNote {
    write: |root, who, _| fs::write(root.join("noted"), who),
    read: |root| match fs::read_to_string(root.join("noted")) {
        Ok(text) if text == "garbage" => Err(std::io::Error::other("not readable as one")),
        Ok(who) => Ok(Some(who)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    },
    remove: |root| fs::remove_file(root.join("noted")),
};

#[tokio::test]
async fn an_agent_that_is_stopped_while_it_is_restarted_stays_stopped() {
    let script = "trap 'echo somebody > $0.out; mv $0.out $3/noted; exit' TERM; echo > $0.ready; while [ -d $3 ]; do sleep 0.1; done";
    let mut host = Host::standalone(script);
    host.hands = host.hands.with_stop_note(NOTE);
    let pid = host.act(Action::AgentStart {}, None).await.spawned.unwrap();
    wait_for("it listens to SIGTERM", || host.path("opt/nbp/wbd/wbd_agent.ready").exists());
    // The stop comes while it ends for us.
    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "{}", report.detail);
    assert!(report.detail.contains("somebody"), "{}", report.detail);
    reap(pid);
}

#[tokio::test]
async fn a_stop_that_stands_or_cannot_be_told_leaves_the_agent_as_it_is() {
    let mut host = Host::standalone("while [ -d $3 ]; do sleep 0.1; done");
    host.hands = host.hands.with_stop_note(NOTE);
    let pid = host.act(Action::AgentStart {}, None).await.spawned.unwrap();
    for text in ["somebody", "garbage"] {
        fs::write(host.path("noted"), text).unwrap();
        let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
        assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "{}", report.detail);
        assert!(start_ticks(pid).is_some(), "it was not touched");
        let report = host.act(Action::AgentStart {}, None).await;
        assert_eq!((report.outcome, report.spawned), (Outcome::Aborted, None), "{}", report.detail);
    }
    fs::remove_file(host.path("noted")).unwrap();
    let report = host.act(Action::AgentRestart {}, Some(reference(pid))).await;
    assert_eq!(report.outcome, Outcome::Done, "nobody stopped it: {}", report.detail);
    reap(pid);
    let second = report.spawned.unwrap();
    let raw = rustix::process::Pid::from_raw(i32::try_from(second).unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
    reap(second);
}

#[tokio::test]
async fn a_stop_that_failed_leaves_no_note_of_itself_on_an_agent_that_runs() {
    // No bus and no systemctl below this root.
    let mut host = Host::new();
    host.hands = host.hands.with_stop_note(NOTE);
    let agent = Reaped(Command::new("sleep").arg("300").spawn().unwrap());
    let stop = || Action::AgentStop(AgentStop { who: "root".to_owned() });
    let report = host.act(stop(), Some(reference(agent.0.id()))).await;
    assert_eq!(report.outcome, Outcome::Failed, "{}", report.detail);
    assert!(!host.path("noted").exists(), "its next end would count as asked for");
    // Twin: what does not run is wanted stopped, whatever became of the job.
    assert_eq!(host.act(stop(), None).await.outcome, Outcome::Failed);
    assert!(host.path("noted").exists());
}

//! Actions through the whole wall: permitted, recorded, done; what is done, what is refused, and how it is taken back.
#![expect(clippy::unwrap_used, reason = "helpers of tests may stop a test as tests do")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wbd_actions::{
    Alone, Executor, Kernel, Machine, Preview, ProcessRef, Reach, Report, notes, run_site_program, start_ticks,
};
use wbd_agent_api::{boottime_ms, paths};
use wbd_engine::guard::{permit_by_hand, permit_first_start};
use wbd_engine::state::{Captured, State};
use wbd_ledger::{Anchors, Ledger};
use wbd_model::action::{Action, AgentStop, Class, CommandRun, SysctlRestore, SysctlSet, Undo, UnitRestart};
use wbd_model::entry::Outcome;
use wbd_model::profile;
use wbd_model::settings::Settings;
use wbd_model::time::{BootId, Now};

#[path = "acting/agent.rs"]
mod agent;
#[path = "acting/machine.rs"]
mod machine;
#[path = "acting/programs.rs"]
mod programs;
#[path = "acting/units.rs"]
mod units;

const WATCHES: &str = "fs.inotify.max_user_watches";

struct Host {
    dir: tempfile::TempDir,
    ledger: Ledger,
    executor: Executor,
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
        let executor = Executor::new(Reach::Machine(Machine::made_up(root, "wbd-agent.service", kernel)));
        Self { dir, ledger, executor }
    }

    fn standalone(script: &str) -> Self {
        let mut host = Self::new();
        let agent = host.program("opt/nbp/wbd/wbd_agent", script);
        let root = host.dir.path().to_path_buf();
        let args = vec!["--foreground".into(), "--root".into(), root.clone().into()];
        host.executor = Executor::new(Reach::Alone(Alone { root, agent, args }));
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
        // By a process of its own: a file that is open for writing cannot be run, and a child that a neighbouring test
        // is just forking has all our files open.
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
        self.executor.act(recorded, then, current).await
    }

    async fn act(&mut self, action: Action, current: Option<ProcessRef>) -> Report {
        let captured = match self.executor.preview(&action) {
            Ok(Preview { changes, undo }) => Captured { changes, undo, ..Captured::default() },
            Err(_) => Captured::default(),
        };
        self.act_at(action, captured, &now("b1", 10), &now("b1", 20), current).await
    }

    /// A start that no operator asked for.
    async fn starts_by_itself(&mut self) -> Report {
        let at = now("b1", boottime_ms());
        let permit = permit_first_start(&State::default(), &Settings::default(), &at).unwrap();
        let recorded = self.ledger.record(permit, &at).unwrap();
        self.executor.act(recorded, &at, None).await
    }

    /// Where a stop is noted; the folder is there.
    fn stop_note(&self) -> PathBuf {
        fs::create_dir_all(self.path("run/wbd")).unwrap();
        paths::stop_note(self.dir.path())
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

/// Waits for `pid`, started by the executor and left to us.
fn reap(pid: u32) -> rustix::process::WaitStatus {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some((_, status)) = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::NOHANG).unwrap() {
            return status;
        }
        assert!(Instant::now() < until, "{pid:?} does not end");
        std::thread::yield_now();
    }
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
        let preview = host.executor.preview(&raise(20_000)).unwrap();
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
        assert!(host.executor.preview(&action).is_err(), "{key}");
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
        assert!(host.executor.beyond(&action).unwrap().ends_with(&line), "{action:?}");
        assert!(host.executor.preview(&action).unwrap_err().to_string().ends_with(&line), "{action:?}");
        // Even with an intent on disk.
        let report = host.act(action, None).await;
        assert_eq!(report.outcome, Outcome::Failed);
        assert!(report.detail.ends_with(&line), "{}", report.detail);
    }
    assert_eq!((fs::read_to_string(machine).unwrap().trim(), host.dropin()), (limit.to_string().as_str(), None));
    // Twins: a machine takes the same, and what lies below the root is done there.
    assert_eq!(host.executor.beyond(&Action::AgentStart {}), None);
    assert_eq!(host.executor.beyond(&run(&["/fix"], 1_000)), None);
    let mut host = Host::new();
    assert_eq!(host.executor.beyond(&raise(20_000)), None);
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
        let said = host.executor.preview(&run(&[name], 1_000)).unwrap_err().to_string();
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
    let Preview { changes, undo } = host.executor.preview(&raise(20_000)).unwrap();
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
async fn a_late_action_is_aborted_and_nothing_is_done() {
    let mut host = Host::new();
    for (then, why) in [(now("b1", 10 + 5_003), "3 ms after its start deadline"), (now("b2", 20), "of another boot")] {
        let Preview { changes, undo } = host.executor.preview(&raise(20_000)).unwrap();
        let captured = Captured { changes, undo, ..Captured::default() };
        let report = host.act_at(raise(20_000), captured, &now("b1", 10), &then, None).await;
        assert_eq!((report.outcome, host.watches().as_str()), (Outcome::Aborted, "8192\n"), "{}", report.detail);
        assert!(report.detail.contains(&format!(" {why}")), "{}", report.detail);
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
    let said = host.executor.preview(&restart).unwrap_err().to_string();
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

#[test]
fn a_hold_file_is_put_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hold");
    notes::put_hold(&path, "one", false).unwrap();
    let refused = notes::put_hold(&path, "two", false).unwrap_err();
    assert_eq!(
        (refused.kind(), fs::read_to_string(&path).unwrap().as_str()),
        (std::io::ErrorKind::AlreadyExists, "one")
    );
    notes::put_hold(&path, "two", true).unwrap();
    assert_eq!((fs::read_to_string(&path).unwrap().as_str(), fs::read_dir(dir.path()).unwrap().count()), ("two", 1));
}

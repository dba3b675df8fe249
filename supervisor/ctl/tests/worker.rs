//! Doctor's second process, which looks: it comes, answers and goes with doctor, however that ends. No verdicts here.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::stat::Mode;
use nix::unistd::Pid;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

fn wbdctl(root: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wbdctl"));
    command.arg("--root").arg(root).args(args).env_clear().process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The process that looks for this doctor, by the mark on its command line.
fn looker(doctor: u32) -> Option<PathBuf> {
    let mark = format!("--examine-for={doctor}");
    let marked = |path: &PathBuf| {
        let line = fs::read(path.join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == mark.as_bytes())
    };
    fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path()).find(marked)
}

fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        match ask() {
            Some(answer) => return answer,
            None if began.elapsed() < PATIENCE => sleep(Duration::from_millis(5)),
            None => panic!("waited in vain: {what}"),
        }
    }
}

/// A doctor whose look at the settings waits for a writer that never comes, and the process that looks.
fn held_up(root: &TempDir) -> (Child, PathBuf) {
    let fifo = root.path().join("settings");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let child = wbdctl(root.path(), &["--config", fifo.to_str().unwrap(), "doctor", "-o", "json"]).spawn().unwrap();
    let looks = wait_for("the process that looks", || looker(child.id()));
    (child, looks)
}

#[test]
fn a_look_that_hangs_is_told_of_and_its_process_is_gone() {
    let root = TempDir::new().unwrap();
    let (child, looks) = held_up(&root);
    let id = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let unread = |row: &serde_json::Value| {
        row["code"] == "WBD-SETTINGS" && row["reason"].to_string().contains("look for a dead mount")
    };
    assert!(report["checks"].as_array().unwrap().iter().any(unread), "{report}");
    assert!(output.stderr.is_empty(), "{output:?}");
    // It may take the kernel a moment to end it.
    wait_for("it was left behind", || (!looks.exists() && looker(id).is_none()).then_some(()));
}

#[test]
fn a_doctor_that_is_ended_takes_the_process_that_looks_along() {
    type End = fn(Pid) -> nix::Result<()>;
    let ends: [(&str, End); 3] = [
        ("interrupted at the terminal", |pid| killpg(pid, Signal::SIGINT)),
        ("terminated", |pid| kill(pid, Signal::SIGTERM)),
        ("killed", |pid| kill(pid, Signal::SIGKILL)),
    ];
    for (how, end) in ends {
        let root = TempDir::new().unwrap();
        let (mut child, looks) = held_up(&root);
        // It looks in threads of its own once it is bound to doctor's life. Stopped, it does not come to the end of its
        // time.
        wait_for("its looks", || (fs::read_dir(looks.join("task")).unwrap().count() > 1).then_some(()));
        let stopped = looks.file_name().unwrap().to_str().unwrap().parse().unwrap();
        kill(Pid::from_raw(stopped), Signal::SIGSTOP).unwrap();
        end(Pid::from_raw(i32::try_from(child.id()).unwrap())).unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "{how}: it ends by the signal");
        // Whoever adopted it may take a while to bury it.
        wait_for(how, || {
            let line = fs::read(looks.join("cmdline")).unwrap_or_default();
            line.is_empty().then_some(())
        });
    }
}

#[test]
fn a_doctor_that_watches_gives_up_the_process_in_which_looks_pile_up() {
    let root = TempDir::new().unwrap();
    let fifo = root.path().join("settings");
    nix::unistd::mkfifo(&fifo, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
    let args = ["--config", fifo.to_str().unwrap(), "doctor", "--watch", "-o", "json"];
    let mut child = wbdctl(root.path(), &args).spawn().unwrap();
    let mut reports = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || reports.next().unwrap().unwrap();
    let first = wait_for("the process that looks", || looker(child.id()));
    for _ in 0..2 {
        assert!(next().contains("no answer within 5 s"));
    }
    wait_for("the end of the process with what hangs", || (!first.exists()).then_some(()));
    assert!(next().contains("no answer within 5 s"), "another one looks on");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_process_that_looks_is_started_by_doctor_only() {
    let root = TempDir::new().unwrap();
    let output = wbdctl(root.path(), &["--examine-for=1", "doctor"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("run wbdctl doctor"));
}

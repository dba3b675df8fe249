//! One examination in a process of its own, since a look may hang where nobody can end it. Judges nothing, shows
//! nothing.
//!
//! The kernel lets no process go of which one thread waits for another process's lookup of the same name. So whoever
//! was asked for an answer touches nothing that may hang: it starts a second process, takes over the one line that this
//! says each time it is asked, and does not wait for its end.
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};
use serde::{Deserialize, Serialize};
use wbd_engine::judge::report::{self, Inputs};
use wbd_model::report::Report;
use wbd_probes::ProbeRunner;

use crate::Context;
use crate::exit::{Ended, Exit, Failure};

use super::examine::{Order, examine, lang};
use super::look::ms;
use super::pending::{Pending, aside};
use super::{merge, own};

/// A broken host gets a verdict within ten seconds; this leaves some for showing it.
pub(super) const PATIENCE: Duration = Duration::from_millis(9_500);
/// A process that has said all, or was killed, is gone within a millisecond or hangs.
const GRACE: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(1);
/// Examinations that hang at once, where one looks again and again.
const MOST_STUCK: usize = 4;
/// A longer answer is none.
const MOST_BYTES: u64 = 16 << 20;

/// What the second process says in its line.
#[derive(Debug, Serialize, Deserialize)]
struct WorkerReply {
    report: Result<Report, Failure>,
    /// Something hangs in it that it began at an earlier time.
    held_up: bool,
}

/// Whoever examines for one doctor, as often as that asks, and those before who hang.
#[derive(Debug, Default)]
pub(super) struct Worker {
    now: Option<Examiner>,
    stuck: Vec<Child>,
}

/// A process that answers each line with a line.
#[derive(Debug)]
struct Examiner {
    child: Child,
    ask: ChildStdin,
    answers: Receiver<Vec<u8>>,
    relayed: Receiver<()>,
}

impl Worker {
    /// Examines the host; what cannot be told in time is a report that says so.
    ///
    /// # Errors
    /// A profile or code was asked for that nobody knows.
    pub(super) fn examine(&mut self, order: &Order) -> Result<Report, Failure> {
        let began = Instant::now();
        self.stuck.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        if self.stuck.len() >= MOST_STUCK {
            let why = format!("{MOST_STUCK} earlier examinations still hang; look for a dead mount or a stuck disk");
            return Ok(nothing_seen(order, &why, began));
        }
        // Where there is no room for another process, this one must do.
        let Some(examiner) = self.now.take().or_else(|| Examiner::start(&mut this_program())) else {
            return examine(order, &ProbeRunner::new(order.root.clone()));
        };
        match self.ask(examiner, PATIENCE) {
            Ok(line) => self.told(&line),
            Err(why) => Ok(nothing_seen(order, &why, began)),
        }
    }

    /// What a line says; whoever is held up is ended, and another one is asked the next time.
    fn told(&mut self, line: &[u8]) -> Result<Report, Failure> {
        let told: WorkerReply = serde_json::from_slice(line)
            .map_err(|error| Failure::bug(format!("the examination's answer makes no sense: {error}")))?;
        if let Some(examiner) = self.now.take_if(|_| told.held_up) {
            self.dismiss(examiner);
        }
        told.report
    }

    /// The one line that is said; whoever says nothing in time is ended and not asked again.
    fn ask(&mut self, mut examiner: Examiner, patience: Duration) -> Result<Vec<u8>, String> {
        // Whoever is gone is found gone by the silence.
        let _ = examiner.ask.write_all(b"\n");
        let answer = examiner.answers.recv_timeout(patience);
        if let Ok(line) = answer {
            self.now = Some(examiner);
            return Ok(line);
        }
        let status = self.dismiss(examiner);
        if answer == Err(RecvTimeoutError::Disconnected) {
            let how = status.map_or_else(String::new, |status| format!(" ({status})"));
            return Err(format!("the examination ended without an answer{how}; try again"));
        }
        Err(format!("no answer within {} s; look for a dead mount or a stuck disk", patience.as_secs_f32()))
    }

    /// Lets it end; how it did, unless it hangs.
    fn dismiss(&mut self, examiner: Examiner) -> Option<ExitStatus> {
        let Examiner { mut child, ask, answers: _, relayed } = examiner;
        drop(ask);
        let status = ended(&mut child).or_else(|| {
            let _ = child.kill();
            ended(&mut child)
        });
        match status {
            // Its last words, if it had any, are all told.
            Some(_) => drop(relayed.recv_timeout(GRACE)),
            None => self.stuck.push(child),
        }
        status
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(examiner) = self.now.take() {
            self.dismiss(examiner);
        }
    }
}

impl Examiner {
    fn start(command: &mut Command) -> Option<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().ok()?;
        let (ask, stdout, mut stderr) = (child.stdin.take()?, child.stdout.take()?, child.stderr.take()?);
        let (say, answers) = sync_channel(1);
        thread::spawn(move || {
            let mut stdout = BufReader::new(stdout);
            loop {
                let mut line = Vec::new();
                let read = stdout.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line);
                if read.is_err() || !line.ends_with(b"\n") || say.send(line).is_err() {
                    return;
                }
            }
        });
        let relayed = aside(move || drop(io::copy(&mut stderr, &mut io::stderr())));
        Some(Self { child, ask, answers, relayed })
    }
}

/// The second process's part: examines and says the answer in one line, each time that it is asked.
///
/// # Errors
/// Whoever wants the answer is not there.
pub(super) fn answer(context: &mut Context, parent: u32, order: &Order) -> Ended {
    let unable = |error| Failure::failed(format!("cannot be made to end with doctor: {error}"));
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(unable)?;
    if parent_id() != parent {
        return Err(Failure::failed(format!("process {parent} did not start this examination; run wbdctl doctor")));
    }
    // For whoever lists processes: it was started as /proc/self/exe.
    let _ = rustix::thread::set_name(c"wbdctl");
    let runner = ProbeRunner::new(order.root.clone());
    for asked in io::stdin().lock().lines() {
        if asked.is_err() || context.out.is_closed() {
            break;
        }
        // Left from an earlier time: each further one would leave as much again.
        let held_up = Pending::is_any();
        let told = WorkerReply { report: examine(order, &runner), held_up };
        let line = serde_json::to_string(&told).map_err(Failure::bug)? + "\n";
        context.out.raw(line.as_bytes());
        context.out.flush();
    }
    Ok(Exit::Done)
}

/// This program once more, whatever lies at its path by now; in the same process group, so that Ctrl-C ends both.
fn this_program() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("wbdctl").arg(format!("--examine-for={}", std::process::id())).args(std::env::args_os().skip(1));
    command
}

/// How it ended, unless it hangs.
fn ended(child: &mut Child) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(None) if began.elapsed() < GRACE => sleep(TICK),
            Ok(status) => return status,
            Err(_) => return None,
        }
    }
}

/// The report of an examination that told nothing.
fn nothing_seen(order: &Order, why: &str, began: Instant) -> Report {
    let mut report = report::report(Inputs {
        host: wbd_probes::host::name(),
        started_ms: crate::moment::clocks().wall_ms,
        duration_ms: ms(began.elapsed()),
        rows: &[],
        unseen_profiles: &[],
        alike: &[],
        forgotten: &[],
        problems: &[],
        daemon: None,
        waivers: &[],
        alone: false,
        lang: lang(order.lang),
    });
    report.checks.extend(own::playbooks_unread(why).and_then(|check| check.row(0)));
    merge::settle(report)
}

#[cfg(test)]
mod tests {
    use wbd_model::report::Overall;

    use super::*;

    /// Longer than any test.
    const LONG: Duration = Duration::from_secs(60);

    fn sh(script: &str) -> Examiner {
        Examiner::start(Command::new("/bin/sh").args(["-c", script])).unwrap()
    }

    fn ask(script: &str, patience: Duration) -> (Result<Vec<u8>, String>, Worker) {
        let mut worker = Worker::default();
        let answer = worker.ask(sh(script), patience);
        (answer, worker)
    }

    #[test]
    fn an_answer_is_an_answer_whether_its_process_ends_or_not() {
        for script in ["read asked; echo answer", "read asked; echo answer; exec sleep 1000"] {
            let began = Instant::now();
            let (answer, worker) = ask(script, LONG);
            assert_eq!(answer.as_deref(), Ok(&b"answer\n"[..]), "{script}");
            drop(worker);
            assert!(began.elapsed() < LONG, "{script}");
        }
    }

    #[test]
    fn the_same_process_is_asked_again_and_again() {
        let (answer, mut worker) = ask("while read asked; do echo $$; done", LONG);
        let again = worker.now.take().unwrap();
        assert_eq!(worker.ask(again, LONG), answer);
        let id = worker.now.as_ref().unwrap().child.id();
        drop(worker);
        assert!(!std::path::Path::new(&format!("/proc/{id}")).exists(), "it was left behind");
    }

    #[test]
    fn one_that_says_nothing_is_ended_and_told_of() {
        for script in ["exec sleep 1000", "printf half; exec sleep 1000"] {
            let (answer, worker) = ask(script, Duration::from_millis(200));
            assert!(answer.clone().is_err_and(|why| why.contains("no answer within 0.2 s")), "{script}: {answer:?}");
            assert!(worker.now.is_none() && worker.stuck.is_empty(), "{script}");
        }
    }

    #[test]
    fn one_that_ends_without_an_answer_is_told_of_with_its_end() {
        for script in ["exit 7", "printf half; exit 7"] {
            let (answer, _) = ask(script, LONG);
            assert!(answer.clone().is_err_and(|why| why.contains("exit status: 7")), "{script}: {answer:?}");
        }
    }

    #[test]
    fn no_more_than_a_few_hang_at_once_and_what_was_not_seen_is_unknown() {
        let order = Order {
            root: "/nonexistent".into(),
            config: None,
            client: crate::client::Client::new("/nonexistent".as_ref(), LONG),
            lang: crate::cli::LangArg::En,
            doctor: crate::cli::Doctor {
                fix: false,
                dry_run: false,
                only: vec![],
                skip: vec![],
                profile: None,
                verbose: false,
                watch: false,
            },
        };
        let stuck = (0..MOST_STUCK).map(|_| sh("exec sleep 1000").child).collect();
        let mut worker = Worker { now: None, stuck };
        let report = worker.examine(&order).unwrap();
        let reason = report.checks.iter().map(|row| row.reason.as_str()).collect::<String>();
        assert!(reason.contains("4 earlier examinations still hang"), "{report:?}");
        assert_eq!(report.verdict, Overall::Unknown);
        for child in &mut worker.stuck {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

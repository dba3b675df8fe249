//! One examination in a process of its own, since a look may hang where nobody can end it. Judges nothing, shows nothing.
//!
//! The kernel lets no process go of which one thread waits for another process's lookup of the same name. So whoever
//! was asked for an answer touches nothing that may hang: it starts a second process, takes over the one line that this
//! says, and does not wait for its end.
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Signal, set_parent_process_death_signal};
use wbd_engine::report::{self, Inputs};
use wbd_model::report::Report;

use crate::Context;
use crate::exit::{Ended, Exit, Failure};

use super::examine::{Order, aside, examine, lang};
use super::look::ms;
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

/// The examinations of one doctor, those that hang among them.
#[derive(Debug, Default)]
pub(super) struct Apart {
    stuck: Vec<Child>,
}

impl Apart {
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
        let Ok(child) = examiner().spawn() else { return examine(order) };
        match self.hear(child, PATIENCE) {
            Ok(line) => serde_json::from_slice(&line)
                .unwrap_or_else(|error| Err(Failure::bug(format!("the examination's answer makes no sense: {error}")))),
            Err(why) => Ok(nothing_seen(order, &why, began)),
        }
    }

    /// The one line that the process says; it is over with that line, whether it ends or not.
    fn hear(&mut self, mut child: Child, patience: Duration) -> Result<Vec<u8>, String> {
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err("the examination's output cannot be read".to_owned());
        };
        let said = aside(move || {
            let mut line = Vec::new();
            let read = BufReader::new(stdout.take(MOST_BYTES)).read_until(b'\n', &mut line);
            read.is_ok().then_some(line).filter(|line| line.ends_with(b"\n"))
        });
        let relayed = aside(move || io::copy(&mut stderr, &mut io::stderr()));
        let said = said.recv_timeout(patience);
        let mut status = if said.is_ok() { ended(&mut child) } else { None };
        if status.is_none() {
            let _ = child.kill();
            status = ended(&mut child);
        }
        match status {
            Some(_) => drop(relayed.recv_timeout(GRACE)),
            None => self.stuck.push(child),
        }
        match said {
            Ok(Some(line)) => Ok(line),
            Ok(None) => {
                let how = status.map_or_else(String::new, |status| format!(" ({status})"));
                Err(format!("the examination ended without an answer{how}; try again"))
            }
            Err(_) => {
                let seconds = patience.as_secs_f32();
                Err(format!("no answer within {seconds} s; look for a dead mount or a stuck disk"))
            }
        }
    }
}

/// The second process's part: examines, and says the answer in one line.
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
    let line = serde_json::to_string(&examine(order)).map_err(Failure::bug)? + "\n";
    context.out.raw(line.as_bytes());
    Ok(Exit::Done)
}

/// This program once more, whatever lies at its path by now; in the same process group, so that Ctrl-C ends both.
fn examiner() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command
        .arg0("wbdctl")
        .arg(format!("--examine-for={}", std::process::id()))
        .args(std::env::args_os().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
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
        started_ms: wbd_probes::clock::now().wall_ms,
        duration_ms: ms(began.elapsed()),
        rows: &[],
        unseen_profiles: &[],
        problems: &[],
        daemon: None,
        waivers: &[],
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

    fn sh(script: &str) -> Child {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    fn hear(script: &str, patience: Duration) -> (Result<Vec<u8>, String>, Apart, Duration) {
        let (mut apart, began) = (Apart::default(), Instant::now());
        let heard = apart.hear(sh(script), patience);
        (heard, apart, began.elapsed())
    }

    #[test]
    fn the_answer_is_taken_from_one_that_ends_and_from_one_that_does_not() {
        for script in ["echo answer", "echo answer; exec sleep 1000"] {
            let (heard, apart, took) = hear(script, LONG);
            assert_eq!(heard.as_deref(), Ok(&b"answer\n"[..]), "{script}");
            assert!(took < LONG, "{script}: {took:?}");
            assert!(apart.stuck.is_empty(), "{script}: it was left behind");
        }
    }

    #[test]
    fn one_that_says_nothing_is_ended_and_told_of() {
        for script in ["exec sleep 1000", "printf half; exec sleep 1000"] {
            let (heard, apart, took) = hear(script, Duration::from_millis(200));
            assert!(heard.clone().is_err_and(|why| why.contains("no answer within 0.2 s")), "{script}: {heard:?}");
            assert!(took < LONG && apart.stuck.is_empty(), "{script}: {took:?}");
        }
    }

    #[test]
    fn one_that_ends_without_an_answer_is_told_of_with_its_end() {
        for script in ["exit 7", "printf half; exit 7"] {
            let (heard, ..) = hear(script, LONG);
            assert!(heard.clone().is_err_and(|why| why.contains("exit status: 7")), "{script}: {heard:?}");
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
                watch: false,
            },
        };
        let stuck = (0..MOST_STUCK).map(|_| sh("exec sleep 1000")).collect();
        let mut apart = Apart { stuck };
        let report = apart.examine(&order).unwrap();
        let reason = report.checks.iter().map(|row| row.reason.as_str()).collect::<String>();
        assert!(reason.contains("4 earlier examinations still hang"), "{report:?}");
        assert_eq!(report.verdict, Overall::Unknown);
        for child in &mut apart.stuck {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

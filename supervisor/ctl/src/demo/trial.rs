//! The supervisor and the agent of one demo: started, found, ended. Breaks nothing.
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use rustix::process::{Pid, Signal, getppid, set_child_subreaper, set_parent_process_death_signal};
use serde_json::Value;
use wbd_ledger::Reader;
use wbd_model::control::{AgentVerb, Request};

use crate::client::Client;
use crate::exit::{Ended, Exit, Failure};

use super::interrupt::{self, Interrupt};
use super::proc;
use super::program;
use super::scratch::Scratch;
use super::show::Show;

const START: Duration = Duration::from_secs(15);
const PATIENCE: Duration = Duration::from_secs(3);
const LOG: &str = "supervisor.log";

/// A running demo. Dropped, also by a panic, it ends its processes and removes its folder.
#[derive(Debug)]
pub(crate) struct Trial {
    scratch: Scratch,
    supervisor: Child,
    ended: bool,
}

impl Trial {
    /// Starts everything and waits for a healthy agent.
    ///
    /// # Errors
    /// A program is missing or does not start in time.
    pub(crate) fn begin(keep: bool, interrupt: &Interrupt, show: &mut Show) -> Result<Self, Failure> {
        let program = program::find("wbd-supervisord", "/usr/libexec/wbd/wbd-supervisord")?;
        let agent = program::find("wbd_agent", "/opt/nbp/wbd/wbd_agent")?;
        let begun = Instant::now();
        let scratch = Scratch::new(&agent, keep)?;
        let stay = if keep { "kept" } else { "removed at the end" };
        show.line(&format!("A real supervisor and a real agent in {} ({stay})", scratch.path().display()));
        // Orphans of the supervisor come to us, so that they can be waited for.
        let _ = set_child_subreaper(Some(rustix::process::getpid()));
        let supervisor = spawn(&scratch, &program)
            .map_err(|error| Failure::failed(format!("cannot start {}: {error}", program.display())))?;
        let mut trial = Self { scratch, supervisor, ended: false };
        let mut asked = false;
        let ready = interrupt.until("a healthy agent", START, || {
            trial.alive()?;
            if !asked && begun.elapsed() >= PATIENCE && trial.agent_pid().is_none() {
                asked = true;
                let client = Client::new(trial.root(), PATIENCE);
                let _ = client.call(&Request::Agent { verb: AgentVerb::Start });
            }
            Ok(trial.agent_pid())
        });
        let pid = match ready {
            Ok(pid) => pid,
            Err(failure) => return Err(trial.explained(failure)),
        };
        show.line(&format!(
            "Supervisor (process {}) and agent (process {pid}) run after {:.1} s",
            trial.supervisor.id(),
            begun.elapsed().as_secs_f32()
        ));
        Ok(trial)
    }

    /// The root.
    pub(crate) fn root(&self) -> &Path {
        self.scratch.path()
    }

    /// The folder.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// The ledger.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn reader(&self) -> Result<Reader, Failure> {
        Ok(Reader::open(&wbd_ledger::state_dir(self.root()))?)
    }

    /// The agent's own account, if there is one.
    pub(crate) fn health(&self) -> Option<Value> {
        let text = fs::read(self.root().join("run/wbd/agent.health.json")).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// The agent that runs and says that it works.
    pub(crate) fn agent_pid(&self) -> Option<u32> {
        let health = self.health()?;
        let working = matches!(health["state"].as_str(), Some("active" | "inactive"));
        let pid = u32::try_from(health["pid"].as_u64()?).ok()?;
        (working && proc::runs_below(pid, self.root())).then_some(pid)
    }

    /// The supervisor still runs.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn alive(&mut self) -> Result<(), Failure> {
        match self.supervisor.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(Failure::failed(format!("the supervisor ended: {status}"))),
            Err(error) => Err(Failure::failed(format!("cannot look after the supervisor: {error}"))),
        }
    }

    /// A failure with the last lines that the supervisor wrote, unless it was not the supervisor's.
    pub(crate) fn explained(&self, failure: Failure) -> Failure {
        const LINES: usize = 12;
        if failure.message.is_empty() || failure.message == interrupt::INTERRUPTED {
            return failure;
        }
        let text = fs::read(self.root().join(LOG)).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
        if tail.is_empty() {
            return failure;
        }
        let head = format!("{}; the supervisor's last lines:", failure.message);
        Failure::new(failure.exit, head).and(tail.iter().map(|line| format!("  {line}")))
    }

    /// Ends everything; says what stays.
    pub(crate) fn end(mut self) -> String {
        self.stop();
        if self.scratch.is_kept() {
            format!("Kept: {}", self.root().display())
        } else {
            format!("Processes ended, {} removed", self.root().display())
        }
    }

    fn stop(&mut self) {
        if self.ended {
            return;
        }
        self.ended = true;
        let id = i32::try_from(self.supervisor.id()).ok().and_then(Pid::from_raw);
        if let Some(id) = id.filter(|_| matches!(self.supervisor.try_wait(), Ok(None))) {
            let _ = rustix::process::kill_process(id, Signal::TERM);
        }
        if !settled(|| !matches!(self.supervisor.try_wait(), Ok(None))) {
            let _ = self.supervisor.kill();
            let _ = self.supervisor.wait();
        }
        // The agent may outlive its supervisor, and nobody else may be hit.
        let gone = settled(|| {
            let left = proc::below(self.root());
            for pid in &left {
                let _ = proc::signal(*pid, self.root(), Signal::KILL);
            }
            reaped() && left.is_empty()
        });
        debug_assert!(gone, "a killed process stays");
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(scratch: &Scratch, program: &Path) -> io::Result<Child> {
    let log = File::create(scratch.path().join(LOG))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("demo-child").arg(std::process::id().to_string()).arg(scratch.path()).arg(program);
    command.env_clear().stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C on the terminal reaches the demo alone, which ends the rest in order.
    command.process_group(0).spawn()
}

/// The hidden verb: becomes the supervisor, which gets SIGTERM when the demo dies.
///
/// # Errors
/// It cannot be started, or the demo is already gone.
pub(crate) fn child(parent: u32, scratch: &Path, program: &Path) -> Ended {
    let unable = |error: io::Error| Failure::failed(format!("cannot start {}: {error}", program.display()));
    set_parent_process_death_signal(Some(Signal::TERM)).map_err(|error| unable(error.into()))?;
    let present = getppid().map(|pid| pid.as_raw_nonzero().get());
    if present != i32::try_from(parent).ok() {
        return Ok(Exit::Failed);
    }
    // The demo holds signals back to clean up in order; its supervisor must hear them.
    SigSet::empty().thread_set_mask().map_err(|error| unable(error.into()))?;
    let error = Command::new(program).arg("--standalone").arg("--root").arg(scratch).env_clear().exec();
    Err(unable(error))
}

fn settled(mut done: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if done() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    done()
}

/// Waits for orphans that ended; whether no child is left.
fn reaped() -> bool {
    use rustix::io::Errno;
    use rustix::process::{WaitOptions, wait};
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}

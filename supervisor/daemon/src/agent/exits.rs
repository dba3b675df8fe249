//! The ends of the agent's process, and the administrator's stops: told apart, and what is recorded of them. Starts
//! nothing.
use tracing::{error, warn};
use wbd_actions::notes;
use wbd_engine::state::State;
use wbd_model::entry::{Body, Exit, ExitHow};
use wbd_model::time::Now;

use super::{Agent, BUS_TELLS_MS, bus};
use crate::event::CheckEvent;
use crate::follow::Follow;
use wbd_model::control::Mode;

/// Ends that wait for the bus; with more of them the oldest is written as unknown at once.
pub(super) const UNTOLD: usize = 16;

impl Agent {
    /// A process that was waited on is gone.
    pub(super) fn gone(&mut self, pid: u32, exit: Option<Exit>, state: &State, now: &Now) -> Vec<Follow> {
        self.watch.forget(pid);
        self.oom.gone(pid);
        let mut follows = match self.mode {
            Mode::Standalone => self.ended(exit.unwrap_or_else(|| unknown(pid)), state),
            Mode::Systemd => {
                let too_many = self.untold.len() >= UNTOLD;
                let oldest = too_many.then(|| self.untold.remove(0).0);
                let follows = oldest.map_or_else(Vec::new, |oldest| self.ended(unknown(oldest), state));
                self.untold.push((pid, now.boot_ms));
                follows
            }
        };
        follows.push(Follow::Check(CheckEvent::Agent));
        follows
    }

    /// The ends that the bus has not told of in time are written as unknown.
    pub(super) fn give_up_waiting(&mut self, state: &State, now: &Now) -> Vec<Follow> {
        let mut follows = Vec::new();
        let late = |at_ms: u64| now.boot_ms >= at_ms + BUS_TELLS_MS;
        while let Some((pid, _)) = self.untold.first().copied().filter(|(_, at_ms)| late(*at_ms)) {
            self.untold.remove(0);
            follows.extend(self.ended(unknown(pid), state));
            bus::ask_again();
        }
        follows
    }

    /// The agent ended: recorded once, with who asked for it.
    pub(super) fn ended(&mut self, mut exit: Exit, state: &State) -> Vec<Follow> {
        self.untold.retain(|(pid, _)| i64::from(*pid) != exit.pid);
        let told = |old: &Exit| old.pid == exit.pid && (old.how != ExitHow::Unknown || exit.how == ExitHow::Unknown);
        if state.exits.iter().any(|(_, _, old)| told(old)) {
            return Vec::new();
        }
        self.oom.name(&mut exit);
        let ours = self.under_way.as_ref().is_some_and(|it| it.ends(exit.pid))
            || self.asked_exit.is_some_and(|pid| i64::from(pid) == exit.pid);
        if ours {
            exit.asked = true;
            exit.by = "wbd".to_owned();
        } else if let Ok(Some(note)) = notes::stop_noted(&self.root) {
            exit.asked = true;
            exit.by = note.who;
        }
        vec![Follow::of_agent(Body::Exit(exit)), Follow::Check(CheckEvent::Agent)]
    }

    /// A stop job that was not ours is an administrator's word, and is respected; `ran`: there was something to stop.
    pub(super) fn note_stop(&mut self, ran: bool, now: &Now) -> Vec<Follow> {
        const JOB: &str = "a stop job on the bus";
        if let Ok(Some(note)) = notes::stop_noted(&self.root) {
            // Whoever stops it by its own program leaves the note first.
            return ran.then(|| Follow::manual("agent.stop", &note.who, JOB)).into_iter().collect();
        }
        if let Err(error) = notes::note_stop(&self.root, "systemctl", now.boot_ms, JOB) {
            error!(
                "an administrator stopped the agent, and that could not be noted: {error}; wbd may start the agent again"
            );
        }
        vec![Follow::manual("agent.stop", "systemctl", JOB), Follow::Check(CheckEvent::Agent)]
    }

    /// A start job that was not ours takes an earlier stop back. What it did is recorded, if it did anything.
    pub(super) fn forget_stop(&mut self, what: Option<&'static str>) -> Vec<Follow> {
        let noted = matches!(notes::stop_noted(&self.root), Ok(Some(_)));
        if noted && let Err(error) = notes::forget_stop(&self.root) {
            warn!("the note of an earlier stop of the agent could not be removed: {error}");
        }
        let done = what.or(noted.then_some("agent.start"));
        let record = done.map(|what| Follow::manual(what, "systemctl", "a job on the bus"));
        record.into_iter().chain([Follow::Check(CheckEvent::Agent)]).collect()
    }
}

pub(super) fn unknown(pid: u32) -> Exit {
    Exit { pid: i64::from(pid), how: ExitHow::Unknown, code: -1, asked: false, by: String::new() }
}

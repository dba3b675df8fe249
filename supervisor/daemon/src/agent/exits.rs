//! The ends of the agent's process, and the administrator's stops: seen, told apart and recorded. Starts nothing.
use std::path::Path;

use tracing::{error, warn};
use wbd_actions::{ProcessRef, notes};
use wbd_agent_api::{HealthDocument, ThisBoot, health, paths};
use wbd_model::entry::{Body, Exit, ExitHow, Subject};
use wbd_model::time::Now;
use wbd_probes::clock::now;

use crate::act::deed::Deed;
use crate::agent::bus;
use crate::supervisor::{Mode, Supervisor, agent_target};

/// The bus gets this long to tell how the agent ended before "unknown" is written.
pub(crate) const BUS_TELLS_MS: u64 = 1_500;
/// Ends that wait for the bus; with more of them the oldest is written as unknown at once.
const UNTOLD: usize = 16;

impl Supervisor {
    /// The process that wrote the health document is the one to wait on.
    pub(crate) fn follow_agent(&mut self) {
        if let Some(process) = self.watch.process() {
            self.oom.look(self.lookout.eyes(), process.pid, now().boot_ms);
            return;
        }
        let Some(document) = self.health_document() else { return };
        if self.runs(document.pid, document.start_ticks) {
            self.watch.follow(document.pid, &self.events);
        }
    }

    /// The agent's process: as its health document names it if that very process still runs, else the one that
    /// is waited on, which may not have got as far as its first document.
    pub(crate) fn agent_process(&self) -> Option<ProcessRef> {
        let told = self.health_document().map(|it| ProcessRef { pid: it.pid, start_ticks: it.start_ticks });
        told.into_iter().chain(self.watch.process()).find(|it| self.runs(it.pid, it.start_ticks))
    }

    /// What the agent said of itself in this boot.
    pub(crate) fn health_document(&self) -> Option<HealthDocument> {
        health::read(&paths::health(&self.root)).ok().filter(|document| document.is_of(&this_boot()))
    }

    /// Whether that very process still runs.
    pub(crate) fn runs(&self, pid: u32, start_ticks: u64) -> bool {
        self.lookout.eyes().still_runs(pid, start_ticks).unwrap_or(false)
    }

    /// A process that was waited on is gone.
    pub(crate) fn gone(&mut self, pid: u32, exit: Option<Exit>) {
        self.watch.forget(pid);
        self.oom.gone(pid);
        match self.mode {
            Mode::Standalone => self.record_exit(exit.unwrap_or_else(|| unknown(pid))),
            Mode::Systemd => {
                if self.untold.len() >= UNTOLD {
                    let (oldest, _) = self.untold.remove(0);
                    self.record_exit(unknown(oldest));
                }
                self.untold.push((pid, now().boot_ms));
            }
        }
        self.hasten_agent();
    }

    /// Writes the ends that the bus has not told of in time.
    pub(crate) fn tell_untold(&mut self, now: &Now) {
        let late = |at_ms: u64| now.boot_ms >= at_ms + BUS_TELLS_MS;
        while let Some((pid, _)) = self.untold.first().copied().filter(|(_, at_ms)| late(*at_ms)) {
            self.untold.remove(0);
            self.record_exit(unknown(pid));
            bus::ask_again();
        }
    }

    /// The agent ended: recorded once, with who asked for it.
    pub(crate) fn record_exit(&mut self, mut exit: Exit) {
        self.untold.retain(|(pid, _)| i64::from(*pid) != exit.pid);
        let told = |old: &Exit| old.pid == exit.pid && (old.how != ExitHow::Unknown || exit.how == ExitHow::Unknown);
        if self.memory.state.exits.iter().any(|(_, _, old)| told(old)) {
            return;
        }
        self.oom.name(&mut exit);
        let now = now();
        let ours = self.deed.as_ref().is_some_and(|deed| deed.ends_agent(exit.pid))
            || self.asked_exit.is_some_and(|pid| i64::from(pid) == exit.pid);
        if ours {
            exit.asked = true;
            exit.by = "wbd".to_owned();
        } else if let Ok(Some(note)) = notes::stop_noted(&self.root) {
            exit.asked = true;
            exit.by = note.who;
        }
        warn!(pid = exit.pid, how = exit.how.as_str(), code = exit.code, asked = exit.asked, "the agent ended");
        let subject = Subject { target: agent_target(), ..Subject::default() };
        self.memory.write(&now, subject, Body::Exit(exit));
        self.hasten_agent();
    }

    /// A stop that nobody told of, unless a deed of ours may have been it.
    pub(crate) fn missed_stop(&mut self, ran: bool) {
        if !self.deed.as_ref().is_some_and(Deed::touches_agent) {
            self.note_stop(ran);
        }
    }

    /// A start that nobody told of.
    pub(crate) fn missed_start(&mut self) {
        if !self.deed.as_ref().is_some_and(Deed::touches_agent) {
            self.forget_stop(None);
        }
    }

    /// A stop job that was not ours is an administrator's word, and is respected; `ran`: there was something to stop.
    pub(crate) fn note_stop(&mut self, ran: bool) {
        let now = now();
        if let Ok(Some(note)) = notes::stop_noted(&self.root) {
            // Whoever stops it by its own program leaves the note first.
            if ran {
                self.manual(&now, "agent.stop", &note.who, "a stop job on the bus");
            }
            return;
        }
        if let Err(error) = notes::note_stop(&self.root, "systemctl", now.boot_ms, "a stop job on the bus") {
            error!(%error, "the administrator's stop could not be noted");
        }
        self.manual(&now, "agent.stop", "systemctl", "a stop job on the bus");
        self.hasten_agent();
    }

    /// A start job that was not ours takes an earlier stop back. What it did is recorded, if it did anything.
    pub(crate) fn forget_stop(&mut self, what: Option<&'static str>) {
        let now = now();
        let noted = matches!(notes::stop_noted(&self.root), Ok(Some(_)));
        if noted && let Err(error) = notes::forget_stop(&self.root) {
            warn!(%error, "the note of an earlier stop could not be removed");
        }
        if let Some(what) = what.or(noted.then_some("agent.start")) {
            self.manual(&now, what, "systemctl", "a job on the bus");
        }
        self.hasten_agent();
    }
}

fn this_boot() -> ThisBoot {
    ThisBoot::now(Path::new("/proc"))
}

fn unknown(pid: u32) -> Exit {
    Exit { pid: i64::from(pid), how: ExitHow::Unknown, code: -1, asked: false, by: String::new() }
}

#[cfg(test)]
#[path = "exits_tests.rs"]
pub(crate) mod tests;

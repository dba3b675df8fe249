//! The agent's state, owned by the event loop: what is in force, what was found, what is told; it waits for nothing and blocks on nothing slow.

use crate::clock;
use crate::health_report::{Parts, document, settings_problem, watch_problems, write};
use crate::lock::Holder;
use crate::look::Look;
use crate::problems::{Problem, Raised};
use crate::store::Loaded;
use crate::watch::{Snapshot, Watcher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use wbd_agent_api::{Code, HealthDocument, SettingsSource, State};

/// A look that takes longer is told of: most likely a network file system does not answer.
const LOOK_OVERDUE: Duration = Duration::from_secs(10);

/// All that the event loop keeps.
#[derive(Debug)]
pub(crate) struct Agent {
    process: Holder,
    root: PathBuf,
    health_path: PathBuf,
    pub(crate) loaded: Loaded,
    /// Since when these settings are in force.
    in_force_since: Instant,
    /// These settings are the good copy already.
    kept_good: bool,
    look: Option<Look>,
    /// Too many servers at the last look but one: a web server that renews itself is two for a moment.
    crowded_before: bool,
    look_started: Option<Instant>,
    watcher: Option<Watcher>,
    pub(crate) watch_changed: Arc<Notify>,
    raised: Raised,
    stopping: bool,
    last_write_failed: bool,
}

/// What is due with the copies of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The current settings have proved good: copy them.
    KeepGood,
    /// The good ones have proved good in the place of the broken: make them current again.
    RestoreCurrent,
}

impl Agent {
    /// The agent as it starts.
    pub(crate) fn new(process: Holder, root: &Path, health_path: PathBuf, loaded: Loaded) -> Self {
        let mut agent = Self {
            process,
            root: root.to_path_buf(),
            health_path,
            loaded,
            in_force_since: Instant::now(),
            kept_good: false,
            look: None,
            crowded_before: false,
            look_started: None,
            watcher: None,
            watch_changed: Arc::new(Notify::new()),
            raised: Raised::default(),
            stopping: false,
            last_write_failed: false,
        };
        agent.follow_settings(true);
        agent
    }

    /// Puts other settings in force.
    pub(crate) fn adopt(&mut self, loaded: Loaded, walk: bool) {
        if loaded != self.loaded {
            self.loaded = loaded;
            self.in_force_since = Instant::now();
            self.kept_good = false;
        }
        self.follow_settings(walk);
    }

    /// Watches while active, and only then.
    fn follow_settings(&mut self, walk: bool) {
        let settings = &self.loaded.settings;
        if !settings.active {
            self.watcher = None;
            return;
        }
        match &self.watcher {
            Some(watcher) if !watcher.is_dead() => {
                if walk {
                    watcher.walk(settings.targets.clone());
                }
            }
            Some(_) | None => {
                let changed = Arc::clone(&self.watch_changed);
                match Watcher::start(self.root.clone(), settings.targets.clone(), changed) {
                    Ok(watcher) => self.watcher = Some(watcher),
                    Err(error) => {
                        tracing::error!("folders cannot be watched: {error}; the agent tries again every second");
                        self.watcher = None;
                    }
                }
            }
        }
    }

    /// Once a second: a watcher that could not be started, or ended by a bug, is started again.
    pub(crate) fn tick(&mut self) {
        self.follow_settings(false);
    }

    /// A look begins.
    pub(crate) fn look_begins(&mut self) {
        self.look_started = Some(Instant::now());
    }

    /// The regular look ended; `None` if it failed by a bug.
    pub(crate) fn look_ends(&mut self, look: Option<Look>) {
        self.look_started = None;
        if let Some(look) = look {
            self.take_look(look);
        }
    }

    /// Takes over what was found.
    pub(crate) fn take_look(&mut self, look: Look) {
        self.crowded_before = self.look.as_ref().is_some_and(is_crowded);
        self.look = Some(look);
    }

    /// What is due with the copies of the settings after `good_after` of health.
    pub(crate) fn due(&self, good_after: Duration) -> Option<Due> {
        if self.kept_good || self.in_force_since.elapsed() < good_after {
            return None;
        }
        match self.loaded.source {
            SettingsSource::Current => Some(Due::KeepGood),
            SettingsSource::Good => Some(Due::RestoreCurrent),
            // Nothing stands behind these; to keep them would be to forget the targets for good.
            SettingsSource::Empty | SettingsSource::Unknown => None,
        }
    }

    /// The good copy was written.
    pub(crate) fn copies_done(&mut self) {
        self.kept_good = true;
    }

    /// A copy could not be written: again after as long a time, not every second.
    pub(crate) fn copies_failed(&mut self) {
        self.in_force_since = Instant::now();
    }

    /// The orderly end begins.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.watcher = None;
    }

    /// How it is now.
    pub(crate) fn health(&mut self) -> HealthDocument {
        let watched = self.watcher.as_ref().map(Watcher::snapshot).unwrap_or_default();
        let problems = self.problems(&watched);
        self.raised.update(problems, clock::monotonic_ms());
        let was = self.look.as_ref().map(|look| look.was.clone()).unwrap_or_default();
        document(Parts {
            process: self.process,
            state: self.state(),
            loaded: &self.loaded,
            was: &was,
            watched: &watched,
            errors: self.raised.errors(),
        })
    }

    /// Writes how it is now. A host whose disk is full must not lose its agent over that, so a failure is only logged, once.
    pub(crate) fn publish(&mut self) {
        let document = self.health();
        let written = write(&self.health_path, document);
        if let Err(error) = &written
            && !self.last_write_failed
        {
            tracing::error!("the health document cannot be written: {error}");
        }
        self.last_write_failed = written.is_err();
    }

    fn state(&self) -> State {
        // A first look that hangs on a dead mount is told as 5405; a restart would only hang again.
        let has_started = self.look.is_some() || self.is_look_overdue();
        match (self.stopping, has_started, self.loaded.settings.active) {
            (true, _, _) => State::Stopping,
            (false, false, _) => State::Starting,
            (false, true, true) => State::Active,
            (false, true, false) => State::Inactive,
        }
    }

    fn is_look_overdue(&self) -> bool {
        self.look_started.is_some_and(|at| at.elapsed() > LOOK_OVERDUE)
    }

    /// An inactive agent misses nothing: only its settings can be wrong.
    fn problems(&self, watched: &Snapshot) -> Vec<Problem> {
        let mut problems: Vec<Problem> = settings_problem(&self.loaded).into_iter().collect();
        if !self.loaded.settings.active {
            return problems;
        }
        if let Some(look) = &self.look {
            let told = |problem: &&Problem| problem.code != Code::WAS_TOO_MANY || self.crowded_before;
            problems.extend(look.problems.iter().filter(told).cloned());
        }
        problems.extend(watch_problems(watched));
        if self.is_look_overdue() {
            let detail = format!(
                "looking at the targets' folders takes longer than {} s; a network file system may not answer",
                LOOK_OVERDUE.as_secs()
            );
            problems.push(Problem::new(Code::PATH_UNREADABLE, "look", detail));
        }
        if self.watcher.is_none() {
            problems.push(Problem::new(
                Code::WATCH_LIMIT,
                "watcher",
                "no folder is watched: the watcher cannot be started",
            ));
        }
        problems
    }
}

fn is_crowded(look: &Look) -> bool {
    look.problems.iter().any(|problem| problem.code == Code::WAS_TOO_MANY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use wbd_agent_api::WasReport;

    fn agent(active: bool, source: SettingsSource) -> (tempfile::TempDir, Agent) {
        let dir = tempfile::tempdir().unwrap();
        let loaded = Loaded { settings: Settings { active, ..Settings::default() }, source, problem: None };
        let agent = Agent::new(Holder::own(), dir.path(), dir.path().join("h"), loaded);
        (dir, agent)
    }

    fn crowded() -> Look {
        let problem = Problem::new(Code::WAS_TOO_MANY, "PHP", "two");
        Look { was: WasReport::default(), problems: vec![problem] }
    }

    fn codes(agent: &mut Agent) -> Vec<Code> {
        agent.health().errors.iter().map(|error| error.code).collect()
    }

    #[test]
    fn it_starts_until_it_has_looked() {
        let (_dir, mut agent) = agent(false, SettingsSource::Empty);
        assert_eq!(agent.health().state, State::Starting);
        agent.look_ends(Some(Look::default()));
        assert_eq!(agent.health().state, State::Inactive);
        agent.stop();
        assert_eq!(agent.health().state, State::Stopping);
    }

    #[test]
    fn a_second_server_for_a_moment_is_no_error() {
        let (_dir, mut agent) = agent(true, SettingsSource::Current);
        for (look, wanted) in [
            (crowded(), vec![]),
            (Look::default(), vec![]),
            (crowded(), vec![]),
            (crowded(), vec![Code::WAS_TOO_MANY]),
            (Look::default(), vec![]),
        ] {
            agent.look_ends(Some(look));
            assert_eq!(codes(&mut agent), wanted);
        }
    }

    #[test]
    fn an_inactive_agent_misses_no_server() {
        let (_dir, mut agent) = agent(false, SettingsSource::Current);
        agent.look_ends(Some(crowded()));
        agent.look_ends(Some(crowded()));
        assert_eq!(codes(&mut agent), []);
    }

    #[test]
    fn settings_become_good_by_lasting_and_never_from_nothing() {
        for (source, wanted) in [
            (SettingsSource::Current, Some(Due::KeepGood)),
            (SettingsSource::Good, Some(Due::RestoreCurrent)),
            (SettingsSource::Empty, None),
        ] {
            let (_dir, mut agent) = agent(false, source);
            assert_eq!(agent.due(Duration::ZERO), wanted);
            assert_eq!(agent.due(Duration::from_secs(3600)), None);
            agent.copies_done();
            assert_eq!(agent.due(Duration::ZERO), None);
        }
    }
}

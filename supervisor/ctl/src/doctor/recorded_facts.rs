//! Answers questions from what wbd remembers: exits from the ledger, trends from the samples. Writes neither.
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use wbd_engine::playbook::{Bound, Library};
use wbd_engine::state::State;
use wbd_engine::trend::leak;
use wbd_ledger::{Filter, Reader, Samples};
use wbd_model::observation::Observation;
use wbd_model::probe::{Probe, dns_servers};
use wbd_model::profile::{Leak, ProcessSelector};
use wbd_model::time::Now;
use wbd_probes::ProbeRunner;

use super::pending::aside;
use crate::{moment, product};

/// The samples are read within milliseconds, or lie on a disk that hangs.
const DISK: Duration = Duration::from_secs(1);

/// What wbd remembers, as far as this user may read it.
#[derive(Debug)]
pub(crate) struct RecordedFacts {
    state_dir: PathBuf,
    runner: ProbeRunner,
    /// Read by the first question for it, with the moment beside it: the ledger may lie on a mount that hangs.
    exits: OnceLock<Result<(State, Now), String>>,
    leaks: BTreeMap<ProcessSelector, (String, Leak)>,
}

impl RecordedFacts {
    /// Of a root; nothing is read before it is asked for.
    pub(crate) fn of(runner: &ProbeRunner, library: &Library, bounds: &[Bound]) -> Self {
        let state_dir = wbd_ledger::state_dir(&runner.root);
        Self { state_dir, runner: runner.clone(), exits: OnceLock::new(), leaks: library.leaks(bounds) }
    }

    /// The answer; `None` for a question that the probe runner must answer. Blocks for as long as the disk does.
    pub(crate) fn answer(&self, probe: &Probe) -> Option<Observation> {
        let unseen = |why: &str| Observation::unseen(probe.name().fields(), why);
        if let Probe::ExitLast(target) = probe {
            return Some(match self.exits() {
                Ok((state, now)) => state.exit_observation(target, now, self.runner.agent_gone()),
                Err(why) => unseen(why),
            });
        }
        if let Probe::DnsServers(_) = probe {
            self.remember_resolver();
        }
        if let Probe::FdTrend(selector) = probe {
            return Some(self.trend(selector).unwrap_or_else(|why| unseen(&why)));
        }
        None
    }

    /// Tells the probes which products were seen on this host. If the disk hangs, that is not known.
    pub(crate) fn remember_products(runner: &ProbeRunner) {
        let root = runner.root.clone();
        let read = aside(move || product::seen(&root));
        let late = || Err("what was seen earlier cannot be read within a second; look for a dead mount".to_owned());
        let (seen, boot) = read.recv_timeout(DISK).unwrap_or_else(|_| (late(), moment::clocks().boot));
        runner.remember_products(seen, &boot);
    }

    /// Tells the probe which unit was last seen behind a local name server. If the disk hangs, it is not known.
    fn remember_resolver(&self) {
        let state_dir = self.state_dir.clone();
        let read = aside(move || {
            let is_dns = |probe: &Probe| matches!(probe, Probe::DnsServers(_));
            let there = wbd_ledger::samples_database(&state_dir).exists();
            let samples = there.then(|| Samples::open_read_only(&state_dir).ok()).flatten()?;
            samples.last_text(is_dns, dns_servers::LOCAL_SEEN).ok().flatten()
        });
        if let Ok(Some(seen)) = read.recv_timeout(DISK) {
            self.runner.remember_resolver(&seen);
        }
    }

    fn exits(&self) -> &Result<(State, Now), String> {
        self.exits.get_or_init(|| exits(&self.state_dir))
    }

    fn trend(&self, selector: &ProcessSelector) -> Result<Observation, String> {
        let (process, window) = self.leaks.get(selector).ok_or("no profile says when it may be restarted")?;
        if !wbd_ledger::samples_database(&self.state_dir).exists() {
            return Err("no samples yet; the supervisor takes them".to_owned());
        }
        let now = self.exits().as_ref().map_or_else(|_| moment::clocks(), |(_, now)| now.clone());
        let read = || {
            let samples = Samples::open_read_only(&self.state_dir)?;
            Ok((samples.latest_life(process)?.unwrap_or_default(), samples.now_s(&now)?))
        };
        let (life, samples_s) = read().map_err(|error: wbd_ledger::SamplesError| error.to_string())?;
        let wall_s = now.wall_ms / 1000;
        let now = leak::Clocks { samples_s, wall_s, zone_s: wbd_probes::clock::zone_offset_s(wall_s) };
        Ok(leak::present(&life.samples, life.confirmed, window, &now).0)
    }
}

fn exits(state_dir: &Path) -> Result<(State, Now), String> {
    let read = || {
        let reader = Reader::open(state_dir)?;
        let mut state = State::default();
        let filter = Filter { kinds: vec!["exit".to_owned(), "started".to_owned()], ..Filter::default() };
        reader.each(&filter, |entry| {
            state.apply(&entry);
            ControlFlow::Continue(())
        })?;
        Ok((state, moment::beside(&reader)))
    };
    read().map_err(|error: wbd_ledger::LedgerError| error.to_string())
}

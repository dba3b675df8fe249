//! What the owners know, for each of them to read. Changes nothing.
use wbd_engine::round;
use wbd_engine::state::State;
use wbd_model::observation::Observation;
use wbd_model::probe::Probe;
use wbd_model::settings::Settings;
use wbd_model::time::Now;

use crate::agent::Agent;
use crate::look::check_runner::{Around, CheckRunner};
use crate::look::checks::Checks;
use crate::look::products::Products;
use crate::record::writer::LedgerWriter;
use crate::tell::notifier::Notifier;
use wbd_model::control::Mode;

/// What is known at one moment.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) mode: Mode,
    pub(crate) started: &'a Now,
    pub(crate) agent: &'a Agent,
    pub(crate) products: &'a Products,
    pub(crate) writer: &'a LedgerWriter,
    pub(crate) timers: &'a round::Timers,
    pub(crate) checks: &'a Checks,
    pub(crate) check_runner: &'a CheckRunner,
    pub(crate) notifier: &'a Notifier,
    /// An action is being done.
    pub(crate) is_acting: bool,
}

impl<'a> View<'a> {
    /// The state that is replayed from the ledger.
    pub(crate) fn state(&self) -> &'a State {
        &self.writer.state
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> &'a Settings {
        &self.products.loaded.settings
    }

    /// Questions that need no look; see [`CheckRunner::own_answer`].
    pub(crate) fn own_answer(&self, probe: &Probe, now: &Now) -> Option<Observation> {
        let around = Around { agent: self.agent, loaded: &self.products.loaded, state: self.state() };
        self.check_runner.own_answer(probe, around, now)
    }
}

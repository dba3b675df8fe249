//! What is truly broken on a simulated host, since when, and whether anybody could see it and did. The supervisor
//! knows nothing of it.
use wbd_model::settings::Healing;

use super::host::Host;

/// One fault from its beginning to its end.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) check: usize,
    pub(crate) began_ms: u64,
    pub(crate) ended_ms: u64,
    pub(crate) cured: bool,
    /// The longest time for which it could be seen without a break.
    pub(crate) visible_ms: u64,
    pub(crate) attended: bool,
}

impl Host {
    pub(crate) fn breaks(&mut self, check: usize, curable: bool) {
        let free = self.settings.healing == Healing::Auto && self.state.hold.is_none() && self.state.open.is_empty();
        let visible = !self.checks[check].blind && self.true_ms >= self.up_ms;
        if !curable || !free || !visible {
            self.hindered_ms.push(self.true_ms);
        }
        match &mut self.checks[check].broken {
            Some((_, already)) => *already = curable,
            none => {
                *none = Some((self.true_ms, curable));
                self.checks[check].visible_ms = 0;
                self.checks[check].attended = false;
                self.gains_sight(check);
                self.notes_attendance();
            }
        }
        self.hastens_some(check);
    }

    pub(crate) fn mends(&mut self, check: usize, cured: bool) {
        self.notes_attendance();
        self.loses_sight(check);
        let now_ms = self.true_ms;
        let fault = &mut self.checks[check];
        let Some((began_ms, _)) = fault.broken.take() else { return };
        fault.well_since_ms = now_ms;
        let (visible_ms, attended) = (fault.visible_ms, fault.attended);
        self.faults.push(Fault { check, began_ms, ended_ms: now_ms, cured, visible_ms, attended });
        self.hastens_some(check);
    }

    pub(crate) fn gains_sight(&mut self, check: usize) {
        let from_ms = self.true_ms.max(self.up_ms);
        let check = &mut self.checks[check];
        if check.broken.is_some() && !check.blind && check.visible_since_ms.is_none() {
            check.visible_since_ms = Some(from_ms);
        }
    }

    pub(crate) fn loses_sight(&mut self, check: usize) {
        let check = &mut self.checks[check];
        if let Some(since_ms) = check.visible_since_ms.take() {
            check.visible_ms = check.visible_ms.max(self.true_ms.saturating_sub(since_ms));
        }
    }

    pub(crate) fn notes_attendance(&mut self) {
        for index in 0..self.checks.len() {
            let check = &self.checks[index];
            let key = &check.snapshot.key;
            let explained = check.cause.is_some_and(|cause| self.checks[cause].broken.is_some());
            if self.state.open.contains_key(key) || self.state.latched.contains(key) || explained {
                self.checks[index].attended = true;
            }
        }
    }
}

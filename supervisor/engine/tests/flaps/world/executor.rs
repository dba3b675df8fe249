//! The executor of a simulated host: look once more, ask for the permit, begin in time or not, do, lose the reply, or
//! die over it. They judge nothing.
use wbd_engine::guard;
use wbd_engine::state::{ActionRequest, Captured};
use wbd_model::action::{Action, SysctlRestore, SysctlSet, Undo};
use wbd_model::entry::{Body, Entry, Intent, Outcome, Subject};
use wbd_model::incident::{ActionId, Phase};

use super::check::Sight;
use super::host::{Effect, Host};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    Well,
    Fails,
    LosesDone,
    LosesUndone,
    DiesBefore,
    DiesAfter,
}

#[derive(Debug)]
pub(crate) enum ActionRun {
    Looking { want: Box<ActionRequest>, looked_ms: u64, sight: Sight, due_ms: u64 },
    Beginning { subject: Subject, intent: Box<Intent>, looked_ms: u64, sight: Sight, manner: Manner, due_ms: u64 },
    Ending { subject: Subject, action: ActionId, result: Outcome, due_ms: u64 },
}

impl Host {
    pub(crate) fn begins(&mut self, want: ActionRequest) {
        if self.run.is_some() {
            return;
        }
        if want.undoes.is_some() {
            return self.prepares(want, self.true_ms, Sight::Nothing);
        }
        let Some(check) = self.checks.iter().find(|check| check.snapshot.key == want.key) else { return };
        let sight = check.sight();
        let due_ms = self.true_ms + self.lag_ms();
        self.run = Some(ActionRun::Looking { want: Box::new(want), looked_ms: self.true_ms, sight, due_ms });
    }

    fn prepares(&mut self, want: ActionRequest, looked_ms: u64, sight: Sight) {
        let sysctl =
            |key: &String| Action::SysctlRestore(SysctlRestore { key: key.clone(), value: self.sysctl, dropin: None });
        let undo = if let Action::SysctlSet(SysctlSet { key, .. }) | Action::SysctlRestore(SysctlRestore { key, .. }) =
            &want.action
        {
            Some(Undo { action: sysctl(key) })
        } else {
            assert_eq!(want.action.declaration().undo, None, "no undo of it is made up here");
            None
        };
        let about = self.about(want.incident);
        let before = self.checks[0].snapshot.seen.clone();
        let captured = Captured { changes: Vec::new(), undo, before };
        match guard::permit(&self.state, &self.settings, &self.now(), want, captured) {
            Ok(permit) => self.intends(permit.into_parts(), looked_ms, sight),
            Err(refusal) => {
                let held =
                    about.incident.and_then(|id| self.state.incidents.get(&id)).and_then(|incident| incident.held());
                if held.is_none_or(|held| held.guard != refusal.guard) {
                    self.append(about, Body::Refused(refusal));
                }
                self.frees_hands();
            }
        }
    }

    fn intends(&mut self, (subject, intent): (Subject, Intent), looked_ms: u64, sight: Sight) {
        self.append(subject.clone(), Body::Intent(Box::new(intent.clone())));
        self.timers.in_flight = Some(intent.action_id);
        let clumsy = self.rng.chance(self.clumsy);
        let latest_ms = if clumsy { wbd_engine::state::START_DEADLINE_MS * 5 / 4 } else { 50 };
        let due_ms = self.true_ms + self.rng.below(latest_ms);
        let ways = [
            Manner::Well,
            Manner::Fails,
            Manner::LosesDone,
            Manner::LosesUndone,
            Manner::DiesBefore,
            Manner::DiesAfter,
        ];
        let manner = if clumsy { ways[self.rng.index(ways.len())] } else { Manner::Well };
        if clumsy {
            self.hindered_ms.push(self.true_ms);
        }
        let intent = Box::new(intent);
        self.run = Some(ActionRun::Beginning { subject, intent, looked_ms, sight, manner, due_ms });
    }

    pub(crate) fn action_goes_on(&mut self) {
        let now_ms = self.true_ms;
        let due = |run: &mut ActionRun| match run {
            ActionRun::Looking { due_ms, .. }
            | ActionRun::Beginning { due_ms, .. }
            | ActionRun::Ending { due_ms, .. } => *due_ms <= now_ms,
        };
        match self.run.take_if(due) {
            None => {}
            // I6: what is not seen to fail any more is not begun; a rung that has begun only must be seen.
            Some(ActionRun::Looking { want, looked_ms, sight, .. }) => match sight {
                Sight::Broken => self.prepares(*want, looked_ms, sight),
                Sight::Well if want.step > 0 => self.prepares(*want, looked_ms, sight),
                Sight::Well | Sight::Nothing => self.frees_hands(),
            },
            Some(ActionRun::Beginning { subject, intent, looked_ms, sight, manner, .. }) => {
                self.hands_do(subject, &intent, (looked_ms, sight), manner);
            }
            Some(ActionRun::Ending { subject, action, result, .. }) => {
                self.timers.in_flight = None;
                let index = self.index_of(&subject);
                self.append(subject, Body::Outcome { action, result, detail: String::new(), took_ms: 0 });
                index.into_iter().for_each(|index| self.hastens(index, now_ms + 1));
                self.frees_hands();
            }
        }
    }

    fn hands_do(&mut self, subject: Subject, intent: &Intent, (looked_ms, sight): (u64, Sight), manner: Manner) {
        let late = self.now().boot_ms > intent.start_by_ms;
        if !late && matches!(manner, Manner::Well | Manner::LosesDone | Manner::DiesAfter) {
            self.takes_effect(intent, looked_ms, sight);
        }
        let result = match manner {
            _ if late => Outcome::Aborted,
            Manner::Well => Outcome::Done,
            Manner::Fails => Outcome::Failed,
            Manner::LosesDone | Manner::LosesUndone => Outcome::Unknown,
            Manner::DiesBefore | Manner::DiesAfter => {
                let down_ms = self.rng.between(50, 3_000);
                return self.dies(down_ms);
            }
        };
        let due_ms = self.true_ms + self.rng.between(1, 3_000);
        self.run = Some(ActionRun::Ending { subject, action: intent.action_id, result, due_ms });
    }

    pub(crate) fn takes_effect(&mut self, intent: &Intent, looked_ms: u64, sight: Sight) {
        let about = |entry: &&Entry| matches!(&entry.body, Body::Intent(own) if own.action_id == intent.action_id);
        let check = self.entries.iter().rev().find(about).and_then(|entry| self.index_of(&entry.subject)).unwrap();
        let well = self.checks[check].broken.is_none();
        self.effects.push(Effect {
            action: intent.action_id,
            check,
            class: intent.class,
            step: intent.step,
            rollback: intent.undoes.is_some(),
            true_ms: self.true_ms,
            ledger: self.entries.len(),
            looked_ms,
            sight,
            well_since_ms: well.then_some(self.checks[check].well_since_ms),
        });
        if let Action::SysctlSet(SysctlSet { value, .. }) | Action::SysctlRestore(SysctlRestore { value, .. }) =
            &intent.action
        {
            self.sysctl = *value;
        }
        for index in 0..self.checks.len() {
            let cured = self.checks[index].cures.contains(&intent.action);
            if cured && self.checks[index].broken.is_some_and(|(_, curable)| curable) {
                self.mends(index, true);
            }
        }
    }

    fn frees_hands(&mut self) {
        self.run = None;
        for index in 0..self.checks.len() {
            let phase = self.state.open_for(&self.checks[index].snapshot.key).map(|incident| &incident.phase);
            if matches!(phase, Some(Phase::Gated { .. })) {
                self.hastens(index, self.true_ms + 100);
            }
        }
    }
}

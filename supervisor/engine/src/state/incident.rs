//! One incident and its transitions: (state, record) -> state. Decides nothing.
use serde::{Deserialize, Serialize};
use wbd_model::action::Undo;
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Intent, Outcome, Subject};
use wbd_model::incident::{ActionId, Guard, IncidentId, Phase, Refusal};
use wbd_model::name::PlaybookName;
use wbd_model::observation::Observations;
use wbd_model::plan::Shown;
use wbd_model::time::Now;

/// An incident as its records make it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// The failure and whose it is.
    pub key: CheckKey,
    /// Its playbook.
    pub playbook: PlaybookName,
    /// Digest of the playbook when it was opened, or when an operator last approved what it leads to.
    pub digest: String,
    /// The case that opened it.
    pub case: String,
    /// When it was opened.
    pub opened: Now,
    /// When its last record was written.
    pub changed: Now,
    /// When the present phase began.
    pub since: Now,
    /// Where it stands.
    pub phase: Phase,
    /// The lowest rung that may still be used.
    pub rung: usize,
    /// The next step of that rung.
    pub step: usize,
    /// Actions done or tried.
    pub acts: u32,
    /// Rungs begun.
    pub attempts: u32,
    /// The last intent.
    pub intent: Option<Box<Intent>>,
    /// The observations before the first action of the present rung.
    pub before: Observations,
    /// Actions to be taken back before the next rung, last one last.
    pub rollback: Vec<(ActionId, Undo)>,
    /// Actions of the present rung that can be taken back.
    pub undo: Vec<(ActionId, Undo)>,
    /// An operator approved the next try; the approval is used up by it.
    pub approved: bool,
    /// What that operator was shown; `None`: the approval is of whatever the playbook leads to.
    pub shown: Option<Box<Shown>>,
    /// What was approved is not what would be done now: nothing is, in the middle of a rung neither, without another
    /// yes.
    pub outdated: bool,
    /// An operator said no.
    pub denied: Option<String>,
    /// A person was told, with this guide.
    pub escalated: Option<Vec<String>>,
    /// Why that person was told, and the last one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// That person was asked for an approval: the incident waits for it, whatever other guard comes in between.
    pub asks: bool,
    /// What was seen when it was opened.
    pub evidence: Vec<String>,
}

impl Incident {
    /// From its first record; `None` if that record does not name code, target and playbook.
    #[must_use]
    pub fn opened(id: IncidentId, entry: &Entry) -> Option<Self> {
        let Body::Opened { digest, case, evidence, before } = &entry.body else { return None };
        let subject = &entry.subject;
        Some(Self {
            id,
            key: CheckKey { code: subject.code.clone()?, target: subject.target.clone()? },
            playbook: subject.playbook.clone()?,
            digest: digest.clone(),
            case: case.clone(),
            opened: entry.at.clone(),
            changed: entry.at.clone(),
            since: entry.at.clone(),
            phase: Phase::Gated { held: None },
            rung: 0,
            step: 0,
            acts: 0,
            attempts: 0,
            intent: None,
            before: before.clone(),
            rollback: Vec::new(),
            undo: Vec::new(),
            approved: false,
            shown: None,
            outdated: false,
            denied: None,
            escalated: None,
            reason: None,
            asks: false,
            evidence: evidence.clone(),
        })
    }

    /// Adds one of its later records.
    pub fn apply(&mut self, entry: &Entry) {
        // Who was told of it changes nothing about it.
        if matches!(entry.body, Body::Notified { .. }) {
            return;
        }
        let before = std::mem::discriminant(&self.phase);
        self.changed = entry.at.clone();
        match &entry.body {
            Body::Suppressed { by } => self.phase = Phase::Suppressed { by: *by },
            Body::Unsuppressed {} => self.phase = Phase::Gated { held: None },
            Body::Intent(intent) => self.intend(intent),
            Body::Outcome { action, result, .. } => self.outcome(*action, *result),
            Body::Verdict { passed, .. } => self.verdict(*passed),
            Body::Closed { how } => self.phase = Phase::Closed { how: *how },
            Body::Refused(refusal) => {
                if let Phase::Gated { held } = &mut self.phase {
                    *held = Some(refusal.clone());
                    if refusal.guard == Guard::Approval && self.approved {
                        self.approval_is_used_up();
                        self.outdated = true;
                    }
                }
            }
            Body::Escalated { guide, reason } => {
                self.escalated = Some(guide.clone());
                self.reason = Some(reason.clone());
                self.asks = self.held().is_some_and(|held| {
                    matches!(held.guard, Guard::Approval | Guard::Mode | Guard::Suspended | Guard::Window)
                });
            }
            // An approval that comes at any other time has nothing to be for.
            Body::Approved { .. } if !matches!(self.phase, Phase::Gated { .. }) => {}
            Body::Approved { shown, .. } => {
                self.approved = true;
                self.shown.clone_from(shown);
                if let Some(shown) = shown {
                    self.digest.clone_from(&shown.plan.digest);
                }
                self.outdated = false;
                self.denied = None;
                self.answered();
                self.phase = Phase::Gated { held: None };
            }
            Body::Denied { who } => self.denied = Some(who.clone()),
            // About the host, not about this incident.
            Body::Started { .. }
            | Body::Opened { .. }
            | Body::Notified { .. }
            | Body::Notifier { .. }
            | Body::Cleared {}
            | Body::Manual { .. }
            | Body::Hold { .. }
            | Body::Lifted { .. }
            | Body::Waived { .. }
            | Body::Suspended { .. }
            | Body::Resumed { .. }
            | Body::Rearmed {}
            | Body::Exit(_)
            | Body::Rotated { .. } => {}
        }
        if std::mem::discriminant(&self.phase) != before {
            self.since = entry.at.clone();
        }
    }

    /// What a person was asked is settled; what comes next is told anew.
    fn answered(&mut self) {
        self.escalated = None;
        self.asks = false;
    }

    /// An approval is for one try.
    fn approval_is_used_up(&mut self) {
        self.approved = false;
        self.shown = None;
        self.outdated = false;
    }

    fn intend(&mut self, intent: &Intent) {
        self.acts = self.acts.saturating_add(1);
        self.answered();
        self.phase = if let Some(undone) = intent.undoes {
            self.rollback.retain(|(id, _)| *id != undone);
            Phase::RollingBack { action: intent.action_id }
        } else {
            if intent.step == 0 {
                self.attempts = self.attempts.saturating_add(1);
                self.before = intent.before.clone();
                self.undo.clear();
            }
            self.rung = self.rung.max(intent.rung);
            self.step = intent.step;
            if let Some(undo) = &intent.undo {
                self.undo.push((intent.action_id, undo.clone()));
            }
            Phase::Acting { action: intent.action_id }
        };
        self.intent = Some(Box::new(intent.clone()));
    }

    fn outcome(&mut self, action: ActionId, result: Outcome) {
        // One that comes when the action was taken for lost, and what it did has been judged since, changes nothing any
        // more.
        let (Phase::Acting { action: awaited }
        | Phase::RollingBack { action: awaited }
        | Phase::Indeterminate { action: awaited }) = &self.phase
        else {
            return;
        };
        if action != *awaited {
            return;
        }
        let Some(intent) = self.intent.as_ref().filter(|intent| intent.action_id == action).cloned() else { return };
        let rolled_back = intent.undoes.is_some();
        let last = intent.step + 1 >= intent.steps;
        match result {
            // A rollback is not rolled back: whatever became of it, the ladder goes on or ends.
            Outcome::Done | Outcome::Failed | Outcome::Aborted | Outcome::Unknown if rolled_back => {
                self.phase = Phase::Gated { held: None };
            }
            Outcome::Done if last => self.phase = Phase::Verifying,
            Outcome::Done => {
                self.step += 1;
                self.phase = Phase::Gated { held: None };
            }
            Outcome::Failed | Outcome::Aborted => {
                if result == Outcome::Aborted {
                    self.undo.retain(|(id, _)| *id != action);
                }
                self.rung_failed();
            }
            Outcome::Unknown => {
                // What cannot be proved undone is never begun again in this incident, whatever comes.
                if !intent.action.is_provable() {
                    self.rung = intent.rung + 1;
                }
                self.phase = Phase::Indeterminate { action };
            }
        }
    }

    fn verdict(&mut self, passed: bool) {
        if passed {
            self.undo.clear();
            self.shown = None;
            self.phase = Phase::Probation;
            return;
        }
        self.rung_failed();
    }

    /// The rung did not cure: take back what can be taken back, then a higher rung or the same again.
    fn rung_failed(&mut self) {
        self.rollback.append(&mut self.undo);
        self.step = 0;
        self.approval_is_used_up();
        self.phase = Phase::Gated { held: None };
    }

    /// What its records are about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        Subject {
            incident: Some(self.id),
            code: Some(self.key.code.clone()),
            target: Some(self.key.target.clone()),
            playbook: Some(self.playbook.clone()),
        }
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// Which guard holds it.
    #[must_use]
    pub fn held(&self) -> Option<&Refusal> {
        if let Phase::Gated { held } = &self.phase { held.as_ref() } else { None }
    }

    /// Whether it stands in the middle of a rung: some of its steps are done.
    #[must_use]
    pub fn is_mid_rung(&self) -> bool {
        matches!(self.phase, Phase::Gated { .. }) && self.step > 0
    }
}

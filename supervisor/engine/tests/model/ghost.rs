//! The invariants, judged by a witness that sees what the world sees and shares no code with the engine's guards.
//! It changes nothing.
use wbd_model::action::{Action, Class};
use wbd_model::entry::{Body, Entry, Intent};
use wbd_model::incident::{ActionId, Guard, IncidentId, Phase};
use wbd_model::name::{Code, TargetName};
use wbd_model::settings::BudgetWindow;

use wbd_engine::state::State;

use crate::book::{Book, Record};
use crate::world::{ActionRun, Clock};

/// Failed verifications in a row after which a playbook is suspended (`FAILURES_TO_SUSPEND` of the engine).
const MOST_FAILURES: u32 = 9;
const START_DEADLINE_S: u32 = 5;
/// The time that every playbook of the trials has for its attempts.
const ATTEMPTS_PER_S: u32 = 3_600;
/// Before the one try of a suspended playbook; doubles with each trip, up to a day.
const FIRST_PAUSE_S: u32 = 3_600;

/// What may never happen; `Settles`: a turn comes to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Law {
    I1,
    I2,
    I3,
    I4,
    I5,
    I6,
    I7,
    I8,
    I9,
    I11,
    I12,
    I13,
    /// Outside its window nothing that disturbs is begun without a word.
    Window,
    /// Others leave the agent its share of the budget, no product has more than its own, and the agent is refused for
    /// want of budget only when it has used its share.
    Share,
    OneOpen,
    Settles,
}

/// One incident's way up its ladder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Climb {
    incident: IncidentId,
    rung: usize,
    attempts: u32,
    acts: usize,
    /// Actions that can never be proved undone and whose outcome was lost.
    doubtful: Vec<Action>,
    acting: Option<Action>,
}

/// An operator's stop; one that never came to disk does not outlive its supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Hold {
    from: Class,
    on_disk: bool,
}

/// A playbook is suspended; all checks of such a trial are of one playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Trip {
    at_s: u32,
    trips: u32,
    trial: Option<IncidentId>,
}

impl Trip {
    fn allows(&self, incident: IncidentId, step: usize, now_s: u32) -> bool {
        match self.trial {
            Some(trial) => trial == incident && step > 0,
            None => now_s - self.at_s >= (FIRST_PAUSE_S << (self.trips - 1).min(5)).min(86_400),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ghost {
    broken: u16,
    /// Intents on disk.
    intents: Vec<ActionId>,
    begun: Vec<ActionId>,
    /// True times of disruptive effects, and whose each is: `None` is the agent's.
    effects: Vec<(u32, Option<TargetName>)>,
    /// True times of the agent's disruptive intents.
    own: Vec<u32>,
    climbs: Vec<Climb>,
    /// What an incident acts on until its verdict.
    busy: Vec<(String, IncidentId)>,
    /// Actions that can be taken back: number, how.
    undo: Vec<(ActionId, Action)>,
    hold: Option<Hold>,
    failures: u32,
    tripped: Option<Trip>,
    /// Attempts and when they began, true time.
    attempts: Vec<(Code, u32)>,
    /// Incidents whose rung an operator approved.
    approved: Vec<IncidentId>,
}

/// What is true of an intent at the moment it is written.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    pub(crate) incident: IncidentId,
    pub(crate) code: &'a Code,
    pub(crate) intent: &'a Intent,
    pub(crate) record: Record,
    /// The fault can be seen now, and the guards of the engine say yes now.
    pub(crate) fresh: bool,
    pub(crate) most_attempts: u32,
    /// A window is open.
    pub(crate) in_window: bool,
    /// True time.
    pub(crate) now_s: u32,
}

impl Ghost {
    pub(crate) fn keeps(&self, law: Law) -> bool {
        self.broken & (1 << law as u16) == 0
    }

    pub(crate) fn keeps_all(&self) -> bool {
        self.broken == 0
    }

    pub(crate) fn law(&mut self, law: Law, kept: bool) {
        if !kept {
            self.broken |= 1 << law as u16;
        }
    }

    /// Verifications that failed before the trial begins.
    pub(crate) fn with_failures(mut self, failures: u32) -> Self {
        self.failures = failures;
        self.trips(0);
        self
    }

    pub(crate) fn intends(&mut self, moment: &Moment<'_>) {
        let Moment { incident, intent, record, .. } = moment;
        let rollback = intent.undoes.is_some();
        self.law(Law::I1, !self.intents.contains(&intent.action_id));
        if *record == Record::OnDisk {
            self.intents.push(intent.action_id);
        }
        self.law(Law::I6, moment.fresh);
        self.law(Law::I9, self.hold.is_none_or(|hold| intent.class < hold.from));
        let key = intent.action.conflict().to_string();
        self.law(Law::I5, !self.busy.iter().any(|(other, whose)| *other == key && whose != incident));
        self.busy.push((key, *incident));
        let allowed = self.tripped.is_none_or(|trip| trip.allows(*incident, intent.step, moment.now_s));
        self.law(Law::I12, rollback || allowed);
        let may = moment.in_window || intent.class < Class::A3 || self.approved.contains(incident);
        self.law(Law::Window, rollback || may);
        if intent.class >= Class::A2 && intent.action.on_agent().concerns() {
            self.own.push(moment.now_s);
        }
        if rollback { self.takes_back(intent) } else { self.climbs(moment) }
    }

    /// A guard said no to an action for the agent.
    pub(crate) fn refuses_agent(&mut self, guard: Guard, windows: &[(u32, BudgetWindow)], now_s: u32) {
        let is_used = |(window_s, of): &(u32, BudgetWindow)| {
            let own = self.own.iter().filter(|at_s| now_s - **at_s <= window_s + START_DEADLINE_S).count();
            own >= usize::try_from(of.kept).unwrap()
        };
        let kept = guard != Guard::HostBudget || windows.iter().any(is_used);
        self.law(Law::Share, kept);
    }

    fn takes_back(&mut self, intent: &Intent) {
        let undone = self.undo.iter().position(|(id, action)| Some(*id) == intent.undoes && *action == intent.action);
        self.law(Law::I8, undone.is_some());
        // Once: a second rollback of the same action finds nothing.
        undone.map(|position| self.undo.remove(position));
    }

    fn climbs(&mut self, moment: &Moment<'_>) {
        let (incident, intent) = (moment.incident, moment.intent);
        if let Some(trip) = &mut self.tripped {
            trip.trial.get_or_insert(incident);
        }
        match &intent.undo {
            Some(undo) => self.undo.push((intent.action_id, undo.action.clone())),
            None => self.law(Law::I8, !matches!(intent.action, Action::SysctlSet(_))),
        }
        let position = self.climbs.iter().position(|climb| climb.incident == incident).unwrap_or_else(|| {
            let fresh = Climb { incident, rung: 0, attempts: 0, acts: 0, doubtful: Vec::new(), acting: None };
            self.climbs.push(fresh);
            self.climbs.len() - 1
        });
        let climb = &mut self.climbs[position];
        let upwards = intent.rung >= climb.rung;
        climb.rung = intent.rung;
        climb.attempts += u32::from(intent.step == 0);
        climb.acts += 1;
        let bounded = climb.attempts <= moment.most_attempts
            && climb.acts <= intent.steps.max(2) * usize::try_from(moment.most_attempts).unwrap();
        let first = !climb.doubtful.contains(&intent.action);
        climb.acting = (!intent.action.is_provable()).then(|| intent.action.clone());
        let in_time = self.begins_attempt(moment);
        self.law(Law::I7, upwards && bounded && in_time);
        self.law(Law::I4, first);
    }

    /// Whether the playbook's own budget allows for one more.
    fn begins_attempt(&mut self, moment: &Moment<'_>) -> bool {
        if moment.intent.step > 0 {
            return true;
        }
        let recent = |(code, at_s): &&(Code, u32)| code == moment.code && moment.now_s - at_s <= ATTEMPTS_PER_S;
        let made = self.attempts.iter().filter(recent).count();
        self.attempts.push((moment.code.clone(), moment.now_s));
        made < usize::try_from(moment.most_attempts).unwrap()
    }

    /// Enough failed proofs, or a one try without a proof.
    fn trips(&mut self, now_s: u32) {
        if self.failures >= MOST_FAILURES {
            let trips = self.tripped.map_or(0, |trip| trip.trips) + 1;
            self.tripped = Some(Trip { at_s: now_s, trips, trial: None });
        }
    }

    /// What a record that may end the one try makes of it.
    fn ends_trial(&mut self, entry: &Entry, passed: bool, now_s: u32) {
        let Some(trip) = self.tripped else { return self.trips(now_s) };
        if trip.trial.is_some() && trip.trial == entry.subject.incident {
            if passed { self.tripped = None } else { self.trips(now_s) }
        }
    }

    /// An action takes effect.
    pub(crate) fn begins(
        &mut self,
        clock: &Clock,
        run: &ActionRun,
        whose: Option<TargetName>,
        others: &[ActionRun],
        windows: &[(u32, BudgetWindow)],
    ) {
        let (id, now_s) = (run.intent.action_id, clock.true_s);
        self.law(Law::I1, self.intents.iter().filter(|other| **other == id).count() == 1);
        self.law(Law::I3, now_s - run.intended_s <= START_DEADLINE_S);
        self.law(Law::I4, !self.begun.contains(&id));
        self.begun.push(id);
        let key = run.intent.action.conflict().to_string();
        let alone = !others.iter().any(|other| other.begun && other.intent.action.conflict().to_string() == key);
        self.law(Law::I5, alone);
        if run.intent.class < Class::A2 {
            return;
        }
        self.effects.push((now_s, whose.clone()));
        for (window_s, of) in windows {
            let recent = |counts: &dyn Fn(&Option<TargetName>) -> bool| {
                let recent = self.effects.iter().filter(|(at_s, whose)| now_s - at_s <= *window_s && counts(whose));
                u32::try_from(recent.count()).unwrap()
            };
            let (all, others, same) = (recent(&|_| true), recent(&Option::is_some), recent(&|other| *other == whose));
            let begun = run.intent.step == 0 && run.intent.undoes.is_none();
            let shares = others <= of.others() && (same <= of.product || !begun);
            self.law(Law::I2, all <= of.whole);
            self.law(Law::Share, whose.is_none() || shares);
        }
    }

    /// A record was written; `state` is the engine's after it.
    pub(crate) fn reads(&mut self, entry: &Entry, state: &State, on_disk: bool, now_s: u32) {
        match &entry.body {
            Body::Outcome { result, .. } => {
                use wbd_model::entry::Outcome::{Aborted, Done, Failed, Unknown};
                match result {
                    Unknown => self.doubts(entry),
                    Failed | Aborted => {
                        self.frees(entry);
                        self.ends_trial(entry, false, now_s);
                    }
                    Done => {}
                }
            }
            Body::Verdict { passed, .. } => {
                self.failures = if *passed { 0 } else { self.failures + 1 };
                self.frees(entry);
                self.ends_trial(entry, *passed, now_s);
            }
            Body::Closed { .. } => {
                self.frees(entry);
                self.ends_trial(entry, false, now_s);
            }
            Body::Approved { .. } => {
                self.approved.extend(entry.subject.incident);
                self.approved.dedup();
            }
            Body::Suppressed { by } => {
                let open = state.incidents.get(by).is_some_and(|cause| !cause.is_closed());
                self.law(Law::I11, open && entry.subject.incident.is_some_and(|id| ends(state, id)));
            }
            Body::Opened { .. } => {
                let key = |incident: &&wbd_engine::state::Incident| {
                    Some(&incident.key.code) == entry.subject.code.as_ref() && !incident.is_closed()
                };
                self.law(Law::OneOpen, state.incidents.values().filter(key).count() == 1);
            }
            Body::Hold { from_class, .. } => self.hold = Some(Hold { from: *from_class, on_disk }),
            Body::Lifted { .. } => self.hold = None,
            Body::Resumed { .. } => (self.failures, self.tripped) = (0, None),
            _ => {}
        }
    }

    fn doubts(&mut self, entry: &Entry) {
        for climb in self.climbs.iter_mut().filter(|climb| Some(climb.incident) == entry.subject.incident) {
            climb.doubtful.extend(climb.acting.take());
        }
    }

    fn frees(&mut self, entry: &Entry) {
        self.busy.retain(|(_, whose)| Some(*whose) != entry.subject.incident);
        self.approved.retain(|whose| Some(*whose) != entry.subject.incident);
    }

    /// What waited for the disk is written.
    pub(crate) fn catches_up(&mut self) {
        self.hold.iter_mut().for_each(|hold| hold.on_disk = true);
    }

    /// Incidents that no restart knows of never were; their numbers are given again.
    pub(crate) fn forget_unwritten(&mut self, book: &Book) {
        if book.degraded() {
            self.hold = self.hold.filter(|hold| hold.on_disk);
            self.climbs.retain(|climb| book.is_on_disk(climb.incident));
            self.busy.retain(|(_, whose)| book.is_on_disk(*whose));
        }
    }
}

/// Whether a chain of suppressions ends.
fn ends(state: &State, from: IncidentId) -> bool {
    let mut at = from;
    for _ in 0..=state.incidents.len() {
        match state.incidents.get(&at).map(|incident| &incident.phase) {
            Some(Phase::Suppressed { by }) => at = *by,
            _ => return true,
        }
    }
    false
}

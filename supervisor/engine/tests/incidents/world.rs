//! A toy world around the engine: a ledger in memory, faults that actions cure, a clock, an executor that can
//! fail or die. It loops as the daemon does; it decides nothing of its own.
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use wbd_engine::guard::{self, hold};
use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_engine::replay::replay;
use wbd_engine::round::{Step, Timers, round};
use wbd_engine::state::{ActionRequest, Captured, State};
use wbd_model::action::{Action, Change, Class, SysctlRestore, SysctlSet, Undo};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::entry::{Body, Entry, Intent, Outcome, Subject};
use wbd_model::incident::{ActionId, Closing, Guard, IncidentId, Phase, Refusal};
use wbd_model::settings::Settings;
use wbd_model::time::{BootId, Now};

use crate::check::Check;

/// A turn that writes more records than this does not settle.
const ROUNDS: usize = 60;
/// Time between two turns.
pub(crate) const TICK_MS: u64 = 500;
const WALL_START_MS: i64 = 1_700_000_000_000;

/// What the executor does with the next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    Failed,
    /// It takes 3 s.
    Slow,
    /// The reply is lost, the action was done.
    LostDone,
    /// The reply is lost, nothing was done.
    LostUndone,
    /// The executor gets it at the last moment before its start deadline.
    Delayed,
    /// The executor gets it only after its start deadline.
    Late,
    /// The supervisor dies between the intent and the action.
    DiesBefore,
    /// The supervisor dies between the action and its outcome.
    DiesAfter,
}

/// One effect on the world.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) action: ActionId,
    pub(crate) class: Class,
    pub(crate) true_ms: u64,
    /// Length of the ledger when it happened.
    pub(crate) ledger: usize,
    pub(crate) rollback: bool,
    /// What its check showed at that moment.
    pub(crate) sight: Verdict,
    pub(crate) held: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) entries: Vec<Entry>,
    pub(crate) state: State,
    pub(crate) timers: Timers,
    pub(crate) settings: Settings,
    pub(crate) checks: Vec<Check>,
    pub(crate) answers: VecDeque<Answer>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) sysctl: BTreeMap<String, i64>,
    pub(crate) true_ms: u64,
    pub(crate) wall_skew_ms: i64,
    /// Compare the state with a replay after each record.
    pub(crate) audited: bool,
    /// An action whose reply is under way, and when it comes.
    under_way: Option<(Subject, ActionId, Action, u64)>,
    boot: u32,
    boot_began_ms: u64,
}

impl World {
    pub(crate) fn new(checks: Vec<Check>) -> Self {
        Self {
            entries: Vec::new(),
            state: State::default(),
            timers: Timers::default(),
            settings: Settings::default(),
            checks,
            answers: VecDeque::new(),
            effects: Vec::new(),
            sysctl: BTreeMap::new(),
            true_ms: 1_000_000,
            wall_skew_ms: 0,
            audited: true,
            under_way: None,
            boot: 1,
            boot_began_ms: 0,
        }
    }

    /// One check that fails from now on.
    pub(crate) fn failing(check: Check) -> Self {
        let mut world = Self::new(vec![check]);
        world.breaks(0);
        world
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            boot: BootId(format!("boot-{}", self.boot)),
            boot_ms: self.true_ms - self.boot_began_ms,
            wall_ms: WALL_START_MS + i64::try_from(self.true_ms).unwrap() + self.wall_skew_ms,
        }
    }

    pub(crate) fn breaks(&mut self, check: usize) {
        self.shows(check, Verdict::Fail);
    }

    pub(crate) fn shows(&mut self, check: usize, sight: Verdict) {
        self.checks[check].sight = sight;
        self.checks[check].met.clear();
    }

    pub(crate) fn snapshots(&self) -> Vec<CheckSnapshot> {
        let present = self.checks.iter().filter(|check| !check.absent);
        present
            .map(|check| {
                let cause = check.cause.map(|cause| &self.checks[cause]);
                let cause = cause.filter(|cause| cause.sight == Verdict::Fail && !cause.absent);
                check.looked_at(cause.map(|cause| cause.snapshot.key.clone()))
            })
            .collect()
    }

    /// What the next turn would do first, without doing it.
    pub(crate) fn steps(&mut self) -> Vec<Step> {
        let (snapshots, now) = (self.snapshots(), self.now());
        let known: BTreeSet<CheckKey> = snapshots.iter().map(|snapshot| snapshot.key.clone()).collect();
        round(&self.state, &mut self.timers, &snapshots, &known, &self.settings, &now)
    }

    /// The action that the next turn would ask for.
    pub(crate) fn wanted(&mut self) -> Option<ActionRequest> {
        self.steps().into_iter().find_map(|step| match step {
            Step::Act(want) => Some(*want),
            Step::Write(..) => None,
        })
    }

    pub(crate) fn permit(&self, want: ActionRequest) -> Result<guard::Permit, Refusal> {
        let captured = self.captured(&want);
        guard::permit(&self.state, &self.settings, &self.now(), want, captured)
    }

    /// Rounds until nothing more is to be done now.
    pub(crate) fn turn(&mut self) {
        if let Some((subject, id, action, _)) = self.under_way.take_if(|(.., due_ms)| *due_ms <= self.true_ms) {
            self.is_felt(&action);
            self.ends(subject, id, Outcome::Done);
        }
        for _ in 0..ROUNDS {
            let steps = self.steps();
            if steps.is_empty() {
                return;
            }
            let before = self.entries.len();
            for step in steps {
                match step {
                    Step::Write(subject, body) => self.append(subject, *body),
                    // One action at a time.
                    Step::Act(_) if self.under_way.is_some() => {}
                    Step::Act(want) => {
                        if self.act(*want).is_none() {
                            return;
                        }
                    }
                }
            }
            if self.entries.len() == before {
                return;
            }
        }
        panic!("a turn does not settle: {}", self.story());
    }

    pub(crate) fn run(&mut self, ms: u64) {
        let until = self.true_ms + ms;
        self.turn();
        while self.true_ms < until {
            self.true_ms += TICK_MS.min(until - self.true_ms);
            self.turn();
        }
    }

    pub(crate) fn append(&mut self, subject: Subject, body: Body) {
        let seq = self.entries.last().map_or(1, |entry| entry.seq + 1);
        let prev = self.entries.last().map_or_else(|| "0".repeat(64), |entry| entry.hash.clone());
        let entry = Entry { seq, at: self.now(), subject, body, prev, hash: format!("{seq:064x}") };
        self.state.apply(&entry);
        self.entries.push(entry);
        if self.audited {
            assert_eq!(self.state, replay(&self.entries), "after {}", self.story());
        }
    }

    /// `None` if the supervisor died over it.
    fn act(&mut self, want: ActionRequest) -> Option<()> {
        let about = self.about(want.incident.0);
        let permit = match self.permit(want) {
            Ok(permit) => permit,
            Err(refusal) => {
                // Told as the daemon tells it: when the answer changes.
                let held = about.incident.and_then(|id| self.held_by(id.0));
                if refusal.guard == Guard::Approval && held != Some(Guard::Approval) {
                    self.append(about, Body::Refused(refusal));
                }
                return Some(());
            }
        };
        let (subject, intent) = permit.into_parts();
        self.append(subject.clone(), Body::Intent(Box::new(intent.clone())));
        self.timers.in_flight = Some(intent.action_id);
        let answer = self.answers.pop_front().unwrap_or(Answer::Done);
        let result = match answer {
            Answer::Done => self.touch(&subject, &intent),
            Answer::Slow => {
                self.begin(&subject, &intent);
                self.under_way = Some((subject, intent.action_id, intent.action, self.true_ms + 3_000));
                return Some(());
            }
            Answer::Failed => Outcome::Failed,
            Answer::LostDone => {
                self.touch(&subject, &intent);
                Outcome::Unknown
            }
            Answer::LostUndone => Outcome::Unknown,
            Answer::Delayed => {
                self.true_ms += wbd_engine::state::START_DEADLINE_MS;
                self.touch(&subject, &intent)
            }
            Answer::Late => {
                self.true_ms += wbd_engine::state::START_DEADLINE_MS + 1;
                self.touch(&subject, &intent)
            }
            Answer::DiesBefore => {
                self.dies();
                return None;
            }
            Answer::DiesAfter => {
                self.touch(&subject, &intent);
                self.dies();
                return None;
            }
        };
        self.ends(subject, intent.action_id, result);
        Some(())
    }

    fn ends(&mut self, subject: Subject, action: ActionId, result: Outcome) {
        self.timers.in_flight = None;
        self.append(subject, Body::Outcome { action, result, detail: String::new(), took_ms: 0 });
    }

    /// The executor: it keeps the start deadline, then changes the world.
    fn touch(&mut self, subject: &Subject, intent: &Intent) -> Outcome {
        if self.now().boot_ms > intent.start_by_ms {
            return Outcome::Aborted;
        }
        self.begin(subject, intent);
        self.is_felt(&intent.action);
        Outcome::Done
    }

    fn begin(&mut self, subject: &Subject, intent: &Intent) {
        let about = |check: &&Check| Some(&check.snapshot.key.code) == subject.code.as_ref();
        let now = self.now();
        let held =
            self.state.hold.as_ref().is_some_and(|hold| intent.class >= hold.from_class && !hold::is_over(hold, &now));
        self.effects.push(Effect {
            action: intent.action_id,
            class: intent.class,
            true_ms: self.true_ms,
            ledger: self.entries.len(),
            rollback: intent.undoes.is_some(),
            sight: self.checks.iter().find(about).map_or(Verdict::Skip, |check| check.sight),
            held,
        });
    }

    fn is_felt(&mut self, action: &Action) {
        if let Action::SysctlSet(SysctlSet { key, value, .. })
        | Action::SysctlRestore(SysctlRestore { key, value, .. }) = action
        {
            self.sysctl.insert(key.clone(), *value);
        }
        for check in &mut self.checks {
            check.feels(action);
        }
    }

    fn captured(&self, want: &ActionRequest) -> Captured {
        let undo = if let Action::SysctlSet(SysctlSet { key, .. }) | Action::SysctlRestore(SysctlRestore { key, .. }) =
            &want.action
        {
            let value = self.sysctl.get(key).copied().unwrap_or(8_192);
            Some(Undo { action: Action::SysctlRestore(SysctlRestore { key: key.clone(), value, dropin: None }) })
        } else {
            assert_eq!(want.action.declaration().undo, None, "no undo of it is made up here");
            None
        };
        let seen =
            self.checks.iter().find(|check| check.snapshot.key == want.key).map(|check| check.snapshot.seen.clone());
        let changes = if let Action::SysctlSet(SysctlSet { key, value, .. }) = &want.action {
            vec![self.raised(key, *value)]
        } else {
            Vec::new()
        };
        Captured { changes, undo, before: seen.unwrap_or_default() }
    }

    /// What raising a limit changes now.
    pub(crate) fn raised(&self, key: &str, value: i64) -> Change {
        let before = self.sysctl.get(key).copied().unwrap_or(8_192);
        Change { what: key.to_owned(), before: Some(before.to_string()), after: value.to_string() }
    }

    /// Everything volatile is lost; the next supervisor replays the ledger.
    pub(crate) fn dies(&mut self) {
        self.timers = Timers::default();
        self.under_way = None;
        self.state = replay(&self.entries);
    }

    pub(crate) fn reboots(&mut self, down_ms: u64) {
        self.true_ms += down_ms;
        self.boot += 1;
        self.boot_began_ms = self.true_ms;
        self.dies();
    }

    /// The next supervisor sees another name of the same boot: it was started from a shell, beside a container's cover.
    pub(crate) fn sees_another_name(&mut self) {
        self.boot += 1;
        self.dies();
    }

    pub(crate) fn about(&self, id: u64) -> Subject {
        let incident = &self.state.incidents[&IncidentId(id)];
        Subject {
            incident: Some(incident.id),
            code: Some(incident.key.code.clone()),
            target: Some(incident.key.target.clone()),
            playbook: Some(incident.playbook.clone()),
        }
    }

    pub(crate) fn approve(&mut self, id: u64) {
        self.append(self.about(id), Body::Approved { who: "root".to_owned(), shown: None });
    }

    pub(crate) fn deny(&mut self, id: u64) {
        self.append(self.about(id), Body::Denied { who: "root".to_owned() });
    }

    pub(crate) fn pause(&mut self, from_class: Class, for_ms: Option<i64>) {
        let until_wall_ms = for_ms.map(|ms| self.now().wall_ms + ms);
        let (who, why) = ("root".to_owned(), "maintenance".to_owned());
        self.append(Subject::default(), Body::Hold { who, why, until_wall_ms, from_class, file: None, busy: None });
    }

    pub(crate) fn lift(&mut self) {
        self.append(Subject::default(), Body::Lifted { who: "root".to_owned(), file: None });
    }

    pub(crate) fn resume(&mut self) {
        self.append(Subject::default(), Body::Resumed { who: "root".to_owned() });
    }

    pub(crate) fn phase(&self, id: u64) -> &Phase {
        &self.state.incidents[&IncidentId(id)].phase
    }

    pub(crate) fn closed_as(&self, id: u64) -> Option<Closing> {
        if let Phase::Closed { how } = self.phase(id) { Some(*how) } else { None }
    }

    pub(crate) fn held_by(&self, id: u64) -> Option<Guard> {
        self.state.incidents[&IncidentId(id)].held().map(|refusal| refusal.guard)
    }

    /// Actions that reached the world, rollbacks included.
    pub(crate) fn actions(&self) -> usize {
        self.effects.len()
    }

    /// The ledger in words.
    pub(crate) fn story(&self) -> String {
        self.entries.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn words(&self) -> impl Iterator<Item = String> + '_ {
        self.entries.iter().map(word)
    }

    /// One incident's part of the ledger.
    pub(crate) fn story_of(&self, id: u64) -> String {
        let about = |entry: &&Entry| entry.subject.incident == Some(IncidentId(id));
        self.entries.iter().filter(about).map(word).collect::<Vec<_>>().join(" ")
    }

    /// How often a word stands in the ledger.
    pub(crate) fn count(&self, wanted: &str) -> usize {
        self.entries.iter().map(word).filter(|word| word == wanted).count()
    }
}

fn word(entry: &Entry) -> String {
    match &entry.body {
        Body::Intent(intent) if intent.undoes.is_some() => "rollback".to_owned(),
        Body::Intent(intent) => intent.action.name().to_owned(),
        Body::Outcome { result, .. } => result.as_str().to_owned(),
        Body::Verdict { passed: true, .. } => "proven".to_owned(),
        Body::Verdict { passed: false, .. } => "unproven".to_owned(),
        Body::Closed { how } => format!("closed:{}", how.as_str()),
        Body::Refused(refusal) => format!("refused:{}", refusal.guard.as_str()),
        Body::Started { .. }
        | Body::Opened { .. }
        | Body::Suppressed { .. }
        | Body::Unsuppressed {}
        | Body::Escalated { .. }
        | Body::Notified { .. }
        | Body::Notifier { .. }
        | Body::Approved { .. }
        | Body::Denied { .. }
        | Body::Cleared {}
        | Body::Manual { .. }
        | Body::Hold { .. }
        | Body::Lifted { .. }
        | Body::Waived { .. }
        | Body::Suspended { .. }
        | Body::Resumed { .. }
        | Body::Rearmed {}
        | Body::Exit(_)
        | Body::Rotated { .. } => entry.body.kind().to_owned(),
    }
}

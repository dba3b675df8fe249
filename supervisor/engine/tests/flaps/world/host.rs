//! One simulated host: the truth, probes that see it late or not at all, an executor that can fail, and a supervisor
//! around the engine that loops as the real one does. Time jumps from one event to the next. It judges nothing.
use std::collections::BTreeSet;

use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_engine::replay::replay;
use wbd_engine::round::{Step, Timers, round};
use wbd_engine::state::State;
use wbd_model::action::Class;
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::incident::{ActionId, IncidentId, Phase, Refusal};
use wbd_model::settings::Settings;
use wbd_model::time::{BootId, Now};

use super::check::{self, Check, Sight};
use super::executor::{ActionRun, Manner};
use super::schedule::{Event, Rng, Schedule};
use super::truth::Fault;

/// How often a check is looked at when nothing hurries.
pub(crate) const EVERY_MS: u64 = 10_000;
/// The slowest look that still answers.
pub(crate) const SLOWEST_MS: u64 = 10_000;
/// A turn that goes on writing longer than this does not settle.
const ROUNDS: usize = 32;
/// Every so many turns are thought twice.
const TWICE: u64 = 16;
const WALL_START_MS: i64 = 1_700_000_000_000;

/// One effect of an action on the host.
#[derive(Debug, Clone)]
pub(crate) struct Effect {
    pub(crate) action: ActionId,
    pub(crate) check: usize,
    pub(crate) class: Class,
    pub(crate) step: usize,
    pub(crate) rollback: bool,
    pub(crate) true_ms: u64,
    /// Records in the ledger when it happened.
    pub(crate) ledger: usize,
    /// The last look before it: when it was made, and what it saw.
    pub(crate) looked_ms: u64,
    pub(crate) sight: Sight,
    /// Since when the failure was gone in truth, if it was.
    pub(crate) well_since_ms: Option<u64>,
}

#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) true_ms: u64,
    pub(crate) entries: Vec<Entry>,
    pub(crate) state: State,
    pub(crate) settings: Settings,
    pub(crate) checks: Vec<Check>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) faults: Vec<Fault>,
    /// When something stood in the way of a plain healing.
    pub(crate) hindered_ms: Vec<u64>,
    pub(crate) timers: Timers,
    known: BTreeSet<CheckKey>,
    pub(crate) run: Option<ActionRun>,
    pub(crate) sysctl: i64,
    pub(crate) rng: Rng,
    pub(crate) clumsy: u64,
    slow: u64,
    turns: u64,
    pub(crate) up_ms: u64,
    boot: u32,
    boot_began_ms: u64,
    wall_skew_ms: i64,
}

impl Host {
    pub(crate) fn new(schedule: &Schedule) -> Self {
        let checks = check::all();
        Self {
            true_ms: 0,
            entries: Vec::new(),
            state: State::default(),
            settings: Settings { budget: schedule.budget, healing: schedule.healing, ..Settings::default() },
            known: checks.iter().map(|check| check.snapshot.key.clone()).collect(),
            checks,
            effects: Vec::new(),
            faults: Vec::new(),
            hindered_ms: Vec::new(),
            timers: Timers::default(),
            run: None,
            sysctl: 8_192,
            rng: Rng::new(!schedule.seed),
            clumsy: schedule.clumsy,
            slow: schedule.slow,
            turns: 0,
            up_ms: 0,
            boot: 1,
            boot_began_ms: 0,
            wall_skew_ms: 0,
        }
    }

    pub(crate) fn now(&self) -> Now {
        Now {
            boot: BootId(format!("boot-{}", self.boot)),
            boot_ms: self.true_ms - self.boot_began_ms,
            wall_ms: WALL_START_MS + i64::try_from(self.true_ms).unwrap() + self.wall_skew_ms,
        }
    }

    /// The ledger in words, for messages.
    pub(crate) fn story(&self) -> String {
        let line = |entry: &Entry| {
            let incident = entry.subject.incident.map_or_else(String::new, |id| id.to_string());
            let result = entry.body.result().unwrap_or_default();
            format!(
                "{} {} {incident} {} {result} {:?}",
                entry.seq,
                entry.at.boot_ms,
                entry.body.kind(),
                entry.body.evidence()
            )
        };
        self.entries.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    // --- What happens to it.

    pub(crate) fn happens(&mut self, event: &Event) {
        match event {
            Event::Breaks { check, curable } => self.breaks(*check, *curable),
            Event::Mends(check) => self.mends(*check, false),
            Event::Blind(check, blind) => {
                self.hindered_ms.push(self.true_ms);
                self.checks[*check].blind = *blind;
                if *blind {
                    self.loses_sight(*check)
                } else {
                    self.gains_sight(*check)
                }
                self.hastens_some(*check);
            }
            Event::Crash { down_ms } => self.dies(*down_ms),
            Event::Reboot { down_ms } => self.reboots(*down_ms),
            Event::WallJumps(ms) => self.wall_skew_ms = *ms,
            // Nobody answers a word while the supervisor is down.
            Event::Approves
            | Event::Denies
            | Event::Pauses { .. }
            | Event::Resumes
            | Event::Mode(_)
            | Event::Asks(_) => {
                if self.true_ms >= self.up_ms {
                    self.hears(event);
                }
            }
        }
    }

    fn hears(&mut self, event: &Event) {
        let who = "root".to_owned();
        let open: Vec<IncidentId> = self.state.open.values().copied().collect();
        self.hindered_ms.push(self.true_ms);
        match event {
            // From its text, so that later fields of the record take their defaults.
            Event::Approves => open.iter().for_each(|id| {
                let body = serde_json::from_value(serde_json::json!({"approved": {"who": "root"}})).unwrap();
                self.append(self.about(*id), body);
            }),
            Event::Denies => open.iter().for_each(|id| self.append(self.about(*id), Body::Denied { who: who.clone() })),
            Event::Pauses { from_class, for_ms } => {
                let until_wall_ms = for_ms.map(|ms| self.now().wall_ms + ms);
                let body = Body::Hold {
                    who,
                    why: "maintenance".to_owned(),
                    until_wall_ms,
                    from_class: *from_class,
                    file: None,
                    busy: None,
                };
                self.append(Subject::default(), body);
            }
            Event::Resumes => {
                self.append(Subject::default(), Body::Lifted { who: who.clone(), file: None });
                self.append(Subject::default(), Body::Resumed { who });
            }
            Event::Mode(healing) => self.settings.healing = *healing,
            Event::Asks(check) => self.timers.asked = Some(self.checks[*check].snapshot.key.clone()),
            Event::Breaks { .. }
            | Event::Mends(_)
            | Event::Blind(..)
            | Event::Crash { .. }
            | Event::Reboot { .. }
            | Event::WallJumps(_) => {}
        }
        for check in 0..self.checks.len() {
            self.hastens_some(check);
        }
    }

    pub(crate) fn about(&self, id: IncidentId) -> Subject {
        let incident = &self.state.incidents[&id];
        Subject {
            incident: Some(id),
            code: Some(incident.key.code.clone()),
            target: Some(incident.key.target.clone()),
            playbook: Some(incident.playbook.clone()),
        }
    }

    /// Everything volatile is lost; the next supervisor replays the ledger.
    pub(crate) fn dies(&mut self, down_ms: u64) {
        self.hindered_ms.push(self.true_ms);
        match self.run.take() {
            // What was asked of the service manager may be done all the same.
            Some(ActionRun::Beginning { intent, looked_ms, sight, manner: Manner::Well, .. })
                if self.rng.chance(50) && self.now().boot_ms <= intent.start_by_ms =>
            {
                self.takes_effect(&intent, looked_ms, sight);
            }
            _ => {}
        }
        self.timers = Timers::default();
        self.state = replay(&self.entries);
        self.up_ms = self.true_ms + down_ms;
        for index in 0..self.checks.len() {
            self.loses_sight(index);
            self.gains_sight(index);
            let due_ms = self.up_ms + self.rng.below(500);
            let check = &mut self.checks[index];
            (check.flying, check.last, check.idle, check.due_ms) = (None, Sight::Nothing, 0, Some(due_ms));
        }
    }

    fn reboots(&mut self, down_ms: u64) {
        // What was on its way dies with the host.
        self.run = None;
        self.dies(down_ms);
        self.boot += 1;
        self.boot_began_ms = self.true_ms;
    }

    /// Every fault is repaired and nobody stands in the way: what is open must end.
    pub(crate) fn calms_down(&mut self) {
        self.true_ms = self.true_ms.max(self.up_ms);
        for check in 0..self.checks.len() {
            self.happens(&Event::Blind(check, false));
            self.mends(check, false);
        }
        self.happens(&Event::Resumes);
    }

    // --- How its supervisor loops.

    /// Up to that moment of true time.
    pub(crate) fn run(&mut self, until_ms: u64) {
        while let Some(at_ms) = self.next_ms().filter(|at_ms| *at_ms <= until_ms) {
            self.true_ms = self.true_ms.max(at_ms);
            self.goes_on();
        }
        self.true_ms = self.true_ms.max(until_ms);
    }

    fn next_ms(&self) -> Option<u64> {
        let run = self.run.as_ref().map(|run| match run {
            ActionRun::Looking { due_ms, .. }
            | ActionRun::Beginning { due_ms, .. }
            | ActionRun::Ending { due_ms, .. } => *due_ms,
        });
        let snapshots =
            self.checks.iter().filter_map(|check| check.flying.map_or(check.due_ms, |flying| Some(flying.1)));
        snapshots.chain(run).min()
    }

    fn goes_on(&mut self) {
        self.action_goes_on();
        let (now_ms, boot_began_ms) = (self.true_ms, self.boot_began_ms);
        let mut fresh = Vec::new();
        for index in 0..self.checks.len() {
            let lag_ms = self.lag_ms();
            let check = &mut self.checks[index];
            if check.flying.is_none() && check.due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
                check.due_ms = None;
                check.flying = Some((now_ms, now_ms + lag_ms, check.sight()));
            }
            let Some((began_ms, _, sight)) = check.flying.take_if(|(_, answers_ms, _)| *answers_ms <= now_ms) else {
                continue;
            };
            check.last = sight;
            // A look that began before the last record of its incident tells of the time before it.
            let changed = self.state.open_for(&check.snapshot.key).map(|incident| &incident.changed);
            let outdated = changed
                .is_some_and(|at| at.boot.0 == format!("boot-{}", self.boot) && began_ms < boot_began_ms + at.boot_ms);
            if outdated {
                check.due_ms = Some(now_ms);
            } else {
                fresh.push(index);
            }
        }
        if !fresh.is_empty() {
            self.turn(&fresh);
        }
    }

    pub(crate) fn lag_ms(&mut self) -> u64 {
        if self.rng.chance(self.slow) { self.rng.between(1_000, SLOWEST_MS) } else { self.rng.between(5, 200) }
    }

    fn turn(&mut self, fresh: &[usize]) {
        self.turns += 1;
        for _ in 0..ROUNDS {
            let snapshots: Vec<CheckSnapshot> = fresh.iter().map(|index| self.looked(*index)).collect();
            let now = self.now();
            let before = (self.turns.is_multiple_of(TWICE)).then(|| self.timers.clone());
            let steps = round(&self.state, &mut self.timers, &snapshots, &self.known, &self.settings, &now);
            if let Some(mut before) = before {
                let again = round(&self.state, &mut before, &snapshots, &self.known, &self.settings, &now);
                assert_eq!((&steps, &self.timers), (&again, &before), "thinking twice gives another answer");
            }
            let mut written = false;
            for step in steps {
                match step {
                    Step::Write(subject, body) => {
                        self.append(subject, *body);
                        written = true;
                    }
                    Step::Act(want) => self.begins(*want),
                }
            }
            if !written {
                fresh.iter().for_each(|index| self.plans_next_look(*index));
                return;
            }
        }
        panic!("a turn does not settle:\n{}", self.story());
    }

    fn looked(&self, index: usize) -> CheckSnapshot {
        let check = &self.checks[index];
        let cause = check.cause.map(|cause| &self.checks[cause]).filter(|cause| cause.last == Sight::Broken);
        check.looked(cause.map(|cause| cause.snapshot.key.clone()))
    }

    pub(crate) fn append(&mut self, subject: Subject, body: Body) {
        let seq = self.entries.last().map_or(1, |entry| entry.seq + 1);
        let entry = Entry { seq, at: self.now(), subject, body, prev: String::new(), hash: String::new() };
        if matches!(entry.body, Body::Refused(_)) {
            self.hindered_ms.push(self.true_ms);
        }
        if let Some(index) = self.index_of(&entry.subject) {
            self.checks[index].idle = 0;
        }
        self.state.apply(&entry);
        self.entries.push(entry);
        self.notes_attendance();
    }

    pub(crate) fn index_of(&self, subject: &Subject) -> Option<usize> {
        let (code, target) = (subject.code.as_ref()?, subject.target.as_ref()?);
        self.checks.iter().position(|check| check.snapshot.key.code == *code && check.snapshot.key.target == *target)
    }

    pub(crate) fn hastens(&mut self, index: usize, at_ms: u64) {
        let due_ms = &mut self.checks[index].due_ms;
        *due_ms = Some(due_ms.map_or(at_ms, |due_ms| due_ms.min(at_ms)));
    }

    /// At its next regular look.
    pub(crate) fn hastens_some(&mut self, index: usize) {
        let at_ms = self.true_ms.max(self.up_ms) + self.rng.below(EVERY_MS);
        self.checks[index].idle = 0;
        self.hastens(index, at_ms);
    }

    /// Regular looks that cannot change anything are left out: whatever changes the truth asks for one.
    fn plans_next_look(&mut self, index: usize) {
        let now_ms = self.true_ms;
        self.checks[index].idle += 1;
        let (idle, last) = (self.checks[index].idle, self.checks[index].last);
        let key = self.checks[index].snapshot.key.clone();
        let regular_ms = now_ms + EVERY_MS * idle.min(60);
        let growth = (1 + idle * idle / 64).min(600);
        let latched = self.state.latched.contains(&key);
        let next_ms = match self.state.open_for(&key).map(|incident| &incident.phase) {
            Some(Phase::Verifying | Phase::Indeterminate { .. } | Phase::Probation) => Some(now_ms + 500 * growth),
            Some(Phase::Gated { held: Some(Refusal { until_ms: Some(until_ms), .. }) })
                if self.boot_began_ms + until_ms > now_ms =>
            {
                Some((self.boot_began_ms + until_ms).min(regular_ms))
            }
            Some(Phase::Gated { held: None }) if self.run.is_none() => Some(now_ms + 200 * growth),
            Some(_) => Some(regular_ms),
            None => match (last, self.timers.failing_since(&key)) {
                (Sight::Well, _) => latched.then_some(now_ms + 1_000),
                (Sight::Nothing, _) => None,
                (Sight::Broken, Some(since_ms)) if !latched => {
                    let over_ms = self.boot_began_ms + since_ms + self.checks[index].snapshot.hold_ms;
                    Some(if over_ms + 1_000 > now_ms { over_ms.clamp(now_ms + 50, now_ms + 5_000) } else { regular_ms })
                }
                (Sight::Broken, _) => None,
            },
        };
        if let Some(next_ms) = next_ms {
            self.hastens(index, next_ms);
        }
    }
}

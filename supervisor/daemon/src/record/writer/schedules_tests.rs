//! Random schedules of a disk that fills, fails and recovers, and of crashes: whatever the order, each action has one
//! intent, behind the opening of its incident, and at most one outcome, and no number is used twice.
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use wbd_engine::guard;
use wbd_engine::state::{ActionRequest, Captured};
use wbd_ledger::Reader;
use wbd_model::action::{Action, UnitRestart};
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Outcome, Subject};
use wbd_model::incident::{ActionId, Closing, IncidentId, Phase};
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::plan::Attempts;
use wbd_model::plan::{Approval, Plan};
use wbd_model::settings::{Healing, HostBudget, Settings};
use wbd_probes::clock::now;

use super::*;

/// So many schedules, each of so many events.
const SCHEDULES: u64 = 60;
const EVENTS: u32 = 60;

/// A sequence that is the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

struct World {
    root: TempDir,
    writer: LedgerWriter,
    is_full: bool,
    is_away: bool,
    /// Actions that really began, with the incident that they were for.
    begun: BTreeMap<ActionId, IncidentId>,
}

impl World {
    fn new() -> Self {
        let root = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fs::create_dir_all(wbd_ledger::state_dir(root.path())).unwrap();
        fs::create_dir_all(root.path().join("run/wbd")).unwrap();
        let mut writer = LedgerWriter::open(root.path()).unwrap();
        // Something to miss: an empty ledger that is gone is begun anew.
        let body = Body::Manual { what: "reload".into(), who: "root".into(), params: String::new() };
        writer.write(&now(), Subject::default(), body);
        Self { root, writer, is_full: false, is_away: false, begun: BTreeMap::new() }
    }

    fn subject(id: IncidentId) -> Subject {
        Subject {
            incident: Some(id),
            code: Code::new("WBD-6007").ok(),
            target: TargetName::new("wbd").ok(),
            playbook: PlaybookName::new("agent-down").ok(),
        }
    }

    /// The next record in the life of the one incident.
    fn goes_on(&mut self, chance: &mut Chance) {
        let open = self.writer.state.open.values().next().copied();
        let Some(id) = open else {
            let before = BTreeMap::new();
            let body = Body::Opened { digest: "d".into(), case: "dead".into(), evidence: Vec::new(), before };
            let id = IncidentId(self.writer.state.next_incident.max(1));
            return self.writer.write(&now(), Self::subject(id), body);
        };
        let body = match self.writer.state.incidents[&id].phase.clone() {
            Phase::Gated { .. } => return self.acts(id, chance),
            Phase::Acting { action } | Phase::RollingBack { action } => {
                let result = if chance.below(4) == 0 { Outcome::Unknown } else { Outcome::Done };
                Body::Outcome { action, result, detail: String::new(), took_ms: 1 }
            }
            Phase::Verifying | Phase::Indeterminate { .. } => {
                Body::Verdict { passed: true, evidence: Vec::new(), after_ms: 1 }
            }
            Phase::Probation | Phase::Suppressed { .. } | Phase::Closed { .. } => Body::Closed { how: Closing::Healed },
        };
        self.writer.write(&now(), Self::subject(id), body);
    }

    fn acts(&mut self, id: IncidentId, chance: &mut Chance) {
        let reserve = chance.below(3) > 0;
        let action = if reserve {
            Action::AgentRestart {}
        } else {
            Action::UnitRestart(UnitRestart { unit: "a.service".into() })
        };
        let (code, target) = (Code::new("WBD-6007").unwrap(), TargetName::new("wbd").unwrap());
        let playbook = PlaybookName::new("agent-down").unwrap();
        let plan = Plan {
            code: code.clone(),
            target: target.clone(),
            playbook: playbook.clone(),
            digest: "d".into(),
            rung: 0,
            rung_id: "again".into(),
            approval: Approval::Auto,
            steps: vec![action.clone()],
        };
        let attempts = Attempts { max: 1000, per_ms: 1, backoff_from_ms: 0, backoff_to_ms: 0 };
        let key = CheckKey { code, target };
        let want =
            ActionRequest { incident: id, key, playbook, plan, step: 0, undoes: None, action, attempts, waits: None };
        let budget = HostBudget::of(100_000, 100_000);
        let settings = Settings { healing: Healing::Auto, budget, ..Settings::default() };
        let before = [("x".to_owned(), Observation::default())].into();
        let captured = Captured { before, ..Captured::default() };
        let permit = guard::permit(&self.writer.state, &settings, &now(), want, captured).unwrap();
        if let Ok(recorded) = self.writer.record(&now(), permit) {
            assert_eq!(self.begun.insert(recorded.intent().action_id, id), None, "a number was used twice");
        }
    }

    /// The ledger's files under another name, and back.
    fn moves(&self, from: &str, to: &str) {
        for end in ["", "-wal", "-shm"] {
            let place =
                |name: &str| -> PathBuf { wbd_ledger::state_dir(self.root.path()).join(format!("{name}{end}")) };
            let _ = fs::remove_file(place(to));
            let _ = fs::rename(place(from), place(to));
        }
    }

    fn fills(&mut self, is_full: bool) {
        self.is_full = is_full;
        self.writer.disk_says(is_full.then(|| "the disk is full".to_owned()));
    }

    /// The disk fails in the middle of a record: it is found gone at the next one.
    fn fails(&mut self, is_away: bool) {
        if self.is_away != is_away {
            self.is_away = is_away;
            let (from, to) = if is_away { ("ledger.db", "away.db") } else { ("away.db", "ledger.db") };
            self.moves(from, to);
            if !is_away {
                self.writer.retry();
            }
        }
    }

    /// What waited in memory is lost. The next supervisor resolves what it finds begun, as the engine's first turn
    /// does.
    fn crashes(mut self) -> Self {
        self.fails(false);
        let Self { root, writer, is_full, begun, .. } = self;
        drop(writer);
        let writer = LedgerWriter::open(root.path()).unwrap();
        let mut world = Self { root, writer, is_full, is_away: false, begun };
        world.fills(is_full);
        let begun: Vec<_> = world.writer.state.incidents.values().map(|it| (it.id, it.phase.clone())).collect();
        for (id, phase) in begun {
            if let Phase::Acting { action } = phase {
                let (result, detail) = (Outcome::Unknown, "the supervisor ended".to_owned());
                world.writer.write(&now(), Self::subject(id), Body::Outcome { action, result, detail, took_ms: 0 });
            }
        }
        world
    }

    fn entries(&self) -> Vec<Entry> {
        let reader = Reader::open(&wbd_ledger::state_dir(self.root.path())).unwrap();
        assert!(reader.verify().unwrap().is_sound());
        reader.entries(&Filter::default()).unwrap()
    }
}

/// Number and order of what the ledger holds.
fn judge(seed: u64, world: &World) {
    let entries = world.entries();
    let story = || {
        let word = |entry: &Entry| format!("{} {:?} {:?}", entry.seq, entry.subject.incident, entry.body.kind());
        format!("seed {seed}:\n{}", entries.iter().map(word).collect::<Vec<_>>().join("\n"))
    };
    let (mut opened, mut intended, mut ended) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for entry in &entries {
        if let Body::Opened { .. } = entry.body {
            assert!(opened.insert(entry.subject.incident.unwrap()), "opened twice, {}", story());
        } else if let Body::Intent(intent) = &entry.body {
            assert!(intended.insert(intent.action_id), "{:?} intended twice, {}", intent.action_id, story());
            let known = entry.subject.incident.is_none_or(|id| opened.contains(&id));
            assert!(known, "{:?} before its incident, {}", intent.action_id, story());
        } else if let Body::Outcome { action, .. } = &entry.body {
            assert!(intended.contains(action), "{action:?} ended before it was intended, {}", story());
            assert!(ended.insert(*action), "{action:?} ended twice, {}", story());
        }
    }
    for action in world.begun.keys() {
        assert!(intended.contains(action), "{action:?} was begun and is not told of, {}", story());
    }
    assert_eq!(wbd_engine::replay::replay(&entries), world.writer.state, "{}", story());
}

#[test]
fn whatever_the_disk_does_each_action_is_told_of_once_and_in_order() {
    let (mut from_reserve, mut crashes) = (0, 0);
    for seed in 0..SCHEDULES {
        let mut chance = Chance(seed);
        let mut world = World::new();
        for _ in 0..EVENTS {
            match chance.below(12) {
                0 => world.fills(!world.is_full),
                1 => world.fails(!world.is_away),
                2 if chance.below(2) == 0 => {
                    crashes += 1;
                    world = world.crashes();
                }
                3 => world.writer.retry(),
                _ => world.goes_on(&mut chance),
            }
            from_reserve += usize::from(world.writer.reserve_left() < wbd_ledger::RESERVE_SLOTS);
        }
        world.fails(false);
        world.fills(false);
        world.writer.retry();
        assert_eq!(world.writer.degraded, "", "seed {seed}");
        judge(seed, &world);
    }
    assert!(from_reserve > 20 && crashes > 20, "the schedules must reach it: {from_reserve}, {crashes}");
}

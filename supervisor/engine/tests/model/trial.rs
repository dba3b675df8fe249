//! A trial: checks, settings and bounds as a stateright model. Its events are the world's whims and an operator's
//! decisions; what the supervisor makes of them is in `turn`.
use stateright::{Model, Property};
use wbd_engine::state::State;
use wbd_model::action::{Action, Class, SysctlRestore, SysctlSet};
use wbd_model::entry::{Body, Outcome, Subject};
use wbd_model::settings::{BudgetWindow, Settings};
use wbd_model::time::Now;

use crate::check::{Check, Sight, Views};
use crate::ghost::{Ghost, Law};
use crate::goals::{Goal, Reached};
use crate::mutant::{self, Mutant};
use crate::turn;
use crate::world::{CLOCK_STEP_S, World};

/// What an operator may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Hold(Class),
    Lift,
    Approve,
    Deny,
    Resume,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A turn of the supervisor.
    Look,
    /// The action that it asked for is looked at once more and given to the executor.
    Go,
    /// So many seconds pass: the position in the trial's list.
    Tick(usize),
    /// An action takes effect, and cures or does not.
    Begin(usize, bool),
    /// The executor finds an action too late.
    Refuse(usize),
    /// An action is lost before it is begun.
    Lose(usize),
    End(usize, Outcome),
    /// With or without a request that outlives its supervisor.
    Crash(bool),
    Reboot,
    StepClock(i32),
    /// A new ledger file.
    Rotate,
    Disk(bool),
    Show(usize, Sight),
    Say(Decision),
}

/// How far a trial goes; seconds of each kind of tick, and how many.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    pub(crate) ticks: Vec<(u32, u8)>,
    pub(crate) intents: u8,
    pub(crate) crashes: u8,
    pub(crate) reboots: u8,
    pub(crate) clock_steps: u8,
    pub(crate) disk: u8,
    pub(crate) shows: u8,
    pub(crate) decisions: u8,
    pub(crate) rotations: u8,
    /// A request that was sent may outlive its supervisor.
    pub(crate) orphans: bool,
}

#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) name: &'static str,
    pub(crate) checks: Vec<Check>,
    pub(crate) views: Views,
    pub(crate) settings: Settings,
    pub(crate) begins: Vec<Sight>,
    /// What a check may come to show.
    pub(crate) sights: Vec<Sight>,
    pub(crate) decisions: Vec<Decision>,
    /// What may become of an action that was begun.
    pub(crate) replies: Vec<Outcome>,
    /// Failed verifications before the trial.
    pub(crate) failures: u32,
    pub(crate) bounds: Bounds,
    pub(crate) reaches: Vec<Goal>,
    pub(crate) reached: Reached,
    pub(crate) mutant: Option<Mutant>,
    /// The law that the mutant must break; others that it breaks on the way do not end the search.
    pub(crate) seeks: Option<Law>,
}

impl Trial {
    /// The same trial with other bounds.
    pub(crate) fn with(mut self, change: impl Fn(&mut Bounds)) -> Self {
        change(&mut self.bounds);
        self
    }

    /// Whether a window is open, or none is set: read off the clock, without the engine. The trials' windows are
    /// from 23:30 to 00:30 in Berlin in winter.
    pub(crate) fn is_open(&self, now: &Now) -> bool {
        let local_s = (now.wall_ms / 1_000 + 3_600).rem_euclid(86_400);
        self.settings.maintenance.is_none() || !(1_800..84_600).contains(&local_s)
    }

    /// True time that the bounds leave, in seconds.
    pub(crate) fn seconds(&self) -> u32 {
        self.bounds.ticks.iter().map(|(seconds, most)| seconds * u32::from(*most)).sum()
    }

    fn before(&self) -> State {
        let mut state = State::default();
        for _ in 0..self.failures {
            let subject = Subject { playbook: Some(self.checks[0].snapshot.playbook.clone()), ..Subject::default() };
            let body = Body::Verdict { passed: false, evidence: Vec::new(), after_ms: 0 };
            let now = World::new(&[], State::default()).clock.told(self.mutant);
            mutant::apply(self.mutant, &mut state, &crate::book::entry(&now, subject, body));
        }
        state
    }

    pub(crate) fn windows(&self) -> [(u32, BudgetWindow); 2] {
        [(3_600, self.settings.budget.hour()), (86_400, self.settings.budget.day())]
    }

    fn executor(&self, world: &World, events: &mut Vec<Event>) {
        let now_ms = world.clock.told(self.mutant).boot_ms;
        for (position, run) in world.running.iter().enumerate() {
            let in_time = now_ms <= run.intent.start_by_ms || self.mutant == Some(Mutant::NoStartDeadline);
            if run.begun {
                events.extend(self.replies.iter().map(|how| Event::End(position, *how)));
                continue;
            }
            if in_time {
                events.push(Event::Begin(position, false));
                if run.intent.undoes.is_none() {
                    events.push(Event::Begin(position, true));
                }
            } else {
                events.push(Event::Refuse(position));
            }
            if !run.orphan {
                events.push(Event::Lose(position));
            }
        }
    }

    fn begin(&self, world: &mut World, position: usize, cures: bool) {
        let run = world.running.remove(position);
        let whose = world.book.state.incidents.get(&run.incident).map(|incident| incident.key.target.clone());
        let whose = whose.filter(|_| !run.intent.action.on_agent().concerns());
        world.ghost.begins(&world.clock, &run, whose, &world.running, &self.windows());
        if let Action::SysctlSet(SysctlSet { value, .. }) | Action::SysctlRestore(SysctlRestore { value, .. }) =
            &run.intent.action
        {
            world.limit = *value;
        }
        let key = world.book.state.incidents.get(&run.incident).map(|incident| &incident.key);
        if let (true, Some(check)) = (cures, self.checks.iter().position(|check| Some(&check.snapshot.key) == key)) {
            world.sights[check] = Sight::Pass;
        }
        if !run.orphan {
            world.running.insert(position, crate::world::ActionRun { begun: true, ..run });
        }
    }

    fn say(&self, world: &mut World, decision: Decision) {
        let who = String::new;
        let body = match decision {
            Decision::Hold(from_class) => {
                Body::Hold { who: who(), why: who(), until_wall_ms: None, from_class, file: None, busy: None }
            }
            Decision::Lift => Body::Lifted { who: who(), file: None },
            Decision::Resume => Body::Resumed { who: who() },
            Decision::Approve => {
                return turn::write_about(self, world, &self.checks[0], Body::Approved { who: who(), shown: None });
            }
            Decision::Deny => return turn::write_about(self, world, &self.checks[0], Body::Denied { who: who() }),
        };
        turn::write(self, world, Subject::default(), body);
    }
}

impl Model for Trial {
    type State = World;
    type Action = Event;

    fn init_states(&self) -> Vec<World> {
        let mut world = World::new(&self.begins, self.before());
        world.ghost = Ghost::default().with_failures(self.failures);
        vec![world]
    }

    fn actions(&self, world: &World, events: &mut Vec<Event>) {
        // Nothing is learnt from what follows a broken law.
        if !self.seeks.map_or_else(|| world.ghost.keeps_all(), |law| world.ghost.keeps(law)) {
            return;
        }
        let (bounds, spent) = (&self.bounds, &world.spent);
        events.push(Event::Look);
        if world.want.is_some() && spent.intents < bounds.intents {
            events.push(Event::Go);
        }
        self.executor(world, events);
        let ticks = bounds.ticks.iter().enumerate().filter(|(kind, (_, most))| spent.ticks[*kind] < *most);
        events.extend(ticks.map(|(kind, _)| Event::Tick(kind)));
        if spent.crashes < bounds.crashes {
            events.push(Event::Crash(false));
            if bounds.orphans && world.running.iter().any(|run| !run.begun) {
                events.push(Event::Crash(true));
            }
        }
        if spent.reboots < bounds.reboots {
            events.push(Event::Reboot);
        }
        if spent.clock_steps < bounds.clock_steps {
            events.extend([Event::StepClock(CLOCK_STEP_S), Event::StepClock(-CLOCK_STEP_S)]);
        }
        if spent.rotations < bounds.rotations && !world.book.degraded() && !world.disk_full {
            events.push(Event::Rotate);
        }
        if spent.disk < bounds.disk {
            events.push(Event::Disk(!world.disk_full));
        }
        if spent.shows < bounds.shows {
            for (check, sight) in world.sights.iter().enumerate() {
                events
                    .extend(self.sights.iter().filter(|other| *other != sight).map(|other| Event::Show(check, *other)));
            }
        }
        if spent.decisions < bounds.decisions {
            events.extend(self.decisions.iter().map(|decision| Event::Say(*decision)));
        }
    }

    fn next_state(&self, last: &World, event: Event) -> Option<World> {
        let mut world = last.clone();
        match event {
            Event::Look => turn::look(self, &mut world),
            Event::Go => turn::go(self, &mut world),
            Event::Tick(kind) => {
                world.spent.ticks[kind] += 1;
                world.passes(self.bounds.ticks[kind].0, self.mutant);
            }
            Event::Begin(position, cures) => self.begin(&mut world, position, cures),
            Event::Refuse(position) => {
                let run = world.running.remove(position);
                if !run.orphan {
                    turn::ended(self, &mut world, &run, Outcome::Aborted);
                }
            }
            Event::Lose(position) => {
                let run = world.running.remove(position);
                turn::ended(self, &mut world, &run, Outcome::Unknown);
            }
            Event::End(position, how) => {
                let run = world.running.remove(position);
                turn::ended(self, &mut world, &run, how);
            }
            Event::Crash(orphans) => {
                world.spent.crashes += 1;
                world.crashes(self.mutant, orphans);
            }
            Event::Reboot => {
                world.spent.reboots += 1;
                world.reboots(self.mutant);
            }
            Event::StepClock(seconds) => {
                world.spent.clock_steps += 1;
                world.clock.skew_s += seconds;
            }
            Event::Disk(full) => {
                world.spent.disk += 1;
                world.disk_full = full;
            }
            Event::Rotate => {
                world.spent.rotations += 1;
                let now = world.clock.told(self.mutant);
                world.book.rotate(self.mutant, &now);
            }
            Event::Show(check, sight) => {
                world.spent.shows += 1;
                world.sights[check] = sight;
            }
            Event::Say(decision) => {
                world.spent.decisions += 1;
                self.say(&mut world, decision);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1", |_, world: &World| world.ghost.keeps(Law::I1)),
            Property::always("I2", |_, world: &World| world.ghost.keeps(Law::I2)),
            Property::always("I3", |_, world: &World| world.ghost.keeps(Law::I3)),
            Property::always("I4", |_, world: &World| world.ghost.keeps(Law::I4)),
            Property::always("I5", |_, world: &World| world.ghost.keeps(Law::I5)),
            Property::always("I6", |_, world: &World| world.ghost.keeps(Law::I6)),
            Property::always("I7", |_, world: &World| world.ghost.keeps(Law::I7)),
            Property::always("I8", |_, world: &World| world.ghost.keeps(Law::I8)),
            Property::always("I9", |_, world: &World| world.ghost.keeps(Law::I9)),
            Property::always("I11", |_, world: &World| world.ghost.keeps(Law::I11)),
            Property::always("I12", |_, world: &World| world.ghost.keeps(Law::I12)),
            Property::always("I13", |_, world: &World| world.ghost.keeps(Law::I13)),
            Property::always("Window", |_, world: &World| world.ghost.keeps(Law::Window)),
            Property::always("Share", |_, world: &World| world.ghost.keeps(Law::Share)),
            Property::always("one open incident a check", |_, world: &World| world.ghost.keeps(Law::OneOpen)),
            Property::always("a turn settles", |_, world: &World| world.ghost.keeps(Law::Settles)),
        ]
    }
}

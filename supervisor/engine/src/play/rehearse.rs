//! The ring on a made-up clock: what would be written if things looked so, and every action succeeded at once.
//! No host, no waiting; the engine itself decides every step.
use std::collections::BTreeSet;

use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Outcome, Subject};
use wbd_model::name::PlaybookName;
use wbd_model::observation::Observations;
use wbd_model::settings::Settings;
use wbd_model::time::{BootId, Now};

use crate::judge::snapshot::{self, Seen};
use crate::playbook::Bound;
use crate::round::{self, Step, Timers};
use crate::state::{ActionRequest, Captured, State};
use crate::{guard, judge};

/// Between two looks.
const STEP_MS: u64 = 100;
/// Looks at most: a rehearsal over days looks less often instead of longer.
const LOOKS: u64 = 20_000;

/// Plays a check's moments (milliseconds from the start, and what is seen from then on) and gives the kinds of
/// the records in order. It goes on after the last moment for as long as a proof and its hold may take.
///
/// # Errors
/// A turn does not come to rest, which is a bug of the engine.
pub(super) fn ring(bound: &Bound, moments: &[(u64, Observations)]) -> Result<Vec<String>, String> {
    let last = moments.iter().map(|(at_ms, _)| *at_ms).max().unwrap_or(0);
    let tail = bound.verify_within.as_ms() + 3 * bound.verify_hold.as_ms() + bound.longest_hold().as_ms() + 1_000;
    let end = last + tail;
    let step = STEP_MS.max(end / LOOKS);
    let settings = Settings::default();
    let mut simulator = Simulator::new(&settings, BTreeSet::from([bound.key.clone()]));
    let mut kinds = Vec::new();
    let mut at_ms = 0;
    while at_ms <= end {
        let seen = moments.iter().rev().find(|(from, _)| *from <= at_ms).map(|(_, seen)| seen);
        if let Some(seen) = seen {
            // A boot that has lasted a while: nothing is young because the host is.
            let now = Now { boot: BootId("rehearsal".to_owned()), boot_ms: 86_400_000 + at_ms, wall_ms: 0 };
            let judgement = judge::judge(bound, seen);
            let looked = [(Seen { bound, judgement: &judgement, seen }, None)];
            simulator.turn(&now, &looked, &mut |_, _, body| kinds.push(body.kind().to_owned()))?;
        }
        at_ms += step;
    }
    Ok(kinds)
}

/// What was looked at in a turn, each with the failing check that explains it.
pub(crate) type Looked<'a> = [(Seen<'a>, Option<CheckKey>)];

/// Is told of each record: the state with it, what it is about, what it says.
pub(crate) type Tell<'a> = &'a mut dyn FnMut(&State, &Subject, &Body);

/// The daemon's turn without a daemon: records go into the state alone, and every action succeeds at once.
pub(crate) struct Simulator<'a> {
    settings: &'a Settings,
    /// All checks there are.
    known: BTreeSet<CheckKey>,
    /// Only what is about these playbooks is played; `None`: everything.
    pub(crate) only: Option<BTreeSet<PlaybookName>>,
    pub(crate) state: State,
    pub(crate) timers: Timers,
}

impl<'a> Simulator<'a> {
    pub(crate) fn new(settings: &'a Settings, known: BTreeSet<CheckKey>) -> Self {
        Self { settings, known, only: None, state: State::default(), timers: Timers::default() }
    }

    /// One turn, until nothing more follows or an action was done. Gives whether anything was written.
    pub(crate) fn turn(&mut self, now: &Now, looked: &Looked<'_>, tell: Tell<'_>) -> Result<bool, String> {
        let mut written = false;
        let rests = round::turn(|| {
            let snapshot = |(one, cause): &(Seen<'_>, Option<CheckKey>)| {
                snapshot::of(one, self.state.open_for(&one.bound.key), cause.clone())
            };
            let snapshots: Vec<_> = looked.iter().map(snapshot).collect();
            let mut steps = round::round(&self.state, &mut self.timers, &snapshots, &self.known, self.settings, now);
            steps.retain(|step| self.is_played(step));
            written |= !steps.is_empty();
            // What was seen is of the time before an action.
            let mut goes_on = !steps.is_empty();
            for step in steps {
                match step {
                    Step::Write(subject, body) => self.write(now, subject, *body, tell),
                    Step::Act(want) => {
                        self.act(now, *want, looked, tell);
                        goes_on = false;
                    }
                }
            }
            goes_on
        });
        if rests {
            return Ok(written);
        }
        Err(format!("the turn at {} ms does not come to rest", now.boot_ms))
    }

    fn is_played(&self, step: &Step) -> bool {
        let Some(only) = &self.only else { return true };
        match step {
            Step::Write(subject, _) => subject.playbook.as_ref().is_some_and(|playbook| only.contains(playbook)),
            Step::Act(want) => only.contains(&want.playbook),
        }
    }

    fn act(&mut self, now: &Now, want: ActionRequest, looked: &Looked<'_>, tell: Tell<'_>) {
        let before = looked.iter().find(|(one, _)| one.bound.key == want.key).map(|(one, _)| one.seen.clone());
        let captured = Captured { before: before.unwrap_or_default(), ..Captured::default() };
        // The round asked the same guards a moment ago.
        let Ok(permit) = guard::permit(&self.state, self.settings, now, want, captured) else { return };
        let (subject, intent) = permit.into_parts();
        let action = intent.action_id;
        self.write(now, subject.clone(), Body::Intent(Box::new(intent)), tell);
        let detail = "as if it had succeeded".to_owned();
        self.write(now, subject, Body::Outcome { action, result: Outcome::Done, detail, took_ms: 0 }, tell);
    }

    fn write(&mut self, now: &Now, subject: Subject, body: Body, tell: Tell<'_>) {
        let seq = self.state.seq + 1;
        let entry = Entry { seq, at: now.clone(), subject, body, prev: String::new(), hash: String::new() };
        self.state.apply(&entry);
        tell(&self.state, &entry.subject, &entry.body);
    }
}

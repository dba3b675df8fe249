//! The ring on a made-up host: what would be written if things looked so, and every deed succeeded at once.
//! No host, no waiting; the engine itself decides every step.
use std::collections::BTreeSet;

use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Outcome, Subject};
use wbd_model::observation::Observations;
use wbd_model::settings::Settings;
use wbd_model::time::{BootId, Now};

use crate::guard::{self, Captured, Want};
use crate::judge;
use crate::look::{self, Seen};
use crate::playbook::Bound;
use crate::replay::State;
use crate::round::{self, Memory, Step};

/// Between two looks.
const STEP_MS: u64 = 100;
/// Looks at most: a rehearsal over days looks less often instead of longer.
const LOOKS: u64 = 20_000;
/// Steps of one turn at most, as in the daemon.
const STEPS_A_TURN: usize = 32;

/// Plays a check's moments (milliseconds from the start, and what is seen from then on) and gives the kinds of
/// the records in order. It goes on after the last moment for as long as a proof and its hold may take.
///
/// # Errors
/// A turn does not come to rest, which is a bug of the engine.
pub fn ring(bound: &Bound, moments: &[(u64, Observations)]) -> Result<Vec<String>, String> {
    let last = moments.iter().map(|(at_ms, _)| *at_ms).max().unwrap_or(0);
    let tail = bound.verify_within.as_ms() + 3 * bound.verify_hold.as_ms() + bound.longest_hold().as_ms() + 1_000;
    let end = last + tail;
    let step = STEP_MS.max(end / LOOKS);
    let mut play = Play::new(bound);
    let mut at_ms = 0;
    while at_ms <= end {
        let seen = moments.iter().rev().find(|(from, _)| *from <= at_ms).map(|(_, seen)| seen);
        if let Some(seen) = seen {
            play.turn(seen, at_ms)?;
        }
        at_ms += step;
    }
    Ok(play.kinds)
}

struct Play<'a> {
    bound: &'a Bound,
    known: BTreeSet<CheckKey>,
    settings: Settings,
    state: State,
    memory: Memory,
    kinds: Vec<String>,
}

impl<'a> Play<'a> {
    fn new(bound: &'a Bound) -> Self {
        Self {
            bound,
            known: BTreeSet::from([bound.key.clone()]),
            settings: Settings::default(),
            state: State::default(),
            memory: Memory::default(),
            kinds: Vec::new(),
        }
    }

    fn turn(&mut self, seen: &Observations, at_ms: u64) -> Result<(), String> {
        // A boot that has lasted a while: nothing is young because the host is.
        let now = Now { boot: BootId("rehearsal".to_owned()), boot_ms: 86_400_000 + at_ms, wall_ms: 0 };
        let judgement = judge::judge(self.bound, seen);
        for _ in 0..STEPS_A_TURN {
            let one = Seen { bound: self.bound, judgement: &judgement, seen };
            let look = look::look(&one, self.state.open_for(&self.bound.key), None);
            let steps = round::round(&self.state, &mut self.memory, &[look], &self.known, &self.settings, &now);
            if steps.is_empty() {
                return Ok(());
            }
            for step in steps {
                match step {
                    Step::Write(subject, body) => self.write(&now, subject, *body),
                    Step::Act(want) => {
                        self.act(&now, *want, seen);
                        // What was seen is of the time before the deed.
                        return Ok(());
                    }
                }
            }
        }
        Err(format!("the turn at {at_ms} ms does not come to rest"))
    }

    fn act(&mut self, now: &Now, want: Want, seen: &Observations) {
        let captured = Captured { before: seen.clone(), ..Captured::default() };
        // The round asked the same guards a moment ago.
        let Ok(permit) = guard::permit(&self.state, &self.settings, now, want, captured) else { return };
        let (subject, intent) = permit.into_parts();
        let action = intent.action_id;
        self.write(now, subject.clone(), Body::Intent(Box::new(intent)));
        let detail = "as if it had succeeded".to_owned();
        self.write(now, subject, Body::Outcome { action, result: Outcome::Done, detail, took_ms: 0 });
    }

    fn write(&mut self, now: &Now, subject: Subject, body: Body) {
        self.kinds.push(body.kind().to_owned());
        let seq = self.state.seq + 1;
        self.state.apply(&Entry { seq, at: now.clone(), subject, body, prev: String::new(), hash: String::new() });
    }
}

//! The breaker of a playbook that keeps failing (I12): suspended, tried once more after a pause, re-armed by a
//! proof or suspended for twice as long. Writes no record.
use wbd_model::entry::{Body, Entry, Outcome};
use wbd_model::incident::{Guard, Refusal};
use wbd_model::time::{Now, length};

use crate::state::{ActionRequest, State, Suspension, Trial};

/// Pause before the one try, after the first trip: long enough for what a person or another host has to mend.
const FIRST_PAUSE_MS: u64 = 3_600_000;
/// The pause doubles up to this.
const LONGEST_PAUSE_MS: u64 = 86_400_000;

impl Suspension {
    /// A trip now, after `trips` others in a row.
    pub(crate) fn tripped(reason: &str, at_ms: u64, trips: u32) -> Self {
        Self { reason: reason.to_owned(), at_ms, trips: trips.saturating_add(1), trial: None }
    }

    /// Milliseconds from the last trip to the one try.
    #[must_use]
    pub fn pause_ms(&self) -> u64 {
        pause_ms(self.trips)
    }

    /// In words: why, and when it is tried once more.
    #[must_use]
    pub fn words(&self, state: &State, now: &Now) -> String {
        // The reason as recorded names the whole pause; what is left of it says more now.
        let reason = self.reason.split("; ").next().unwrap_or_default();
        match self.trial {
            Some(Trial::UnderWay(incident)) => format!("{reason}; {incident} has its one try"),
            Some(Trial::Passed | Trial::Failed) => format!("{reason}; its one try has ended"),
            None => match self.left_ms(state, now) {
                0 => format!("{reason}; tries once more at the next failure"),
                left_ms => format!("{reason}; tries once more in {}", rounded_up(left_ms)),
            },
        }
    }

    fn left_ms(&self, state: &State, now: &Now) -> u64 {
        self.pause_ms().saturating_sub(state.age_ms(self.at_ms, now))
    }

    /// What a record of its playbook says of the one try.
    fn follow(&mut self, entry: &Entry) {
        let Some(id) = entry.subject.incident else { return };
        if let Body::Intent(intent) = &entry.body {
            if intent.undoes.is_none() && self.trial.is_none() {
                self.trial = Some(Trial::UnderWay(id));
            }
            return;
        }
        if self.trial == Some(Trial::UnderWay(id))
            && let Some(passed) = end_of_trial(&entry.body)
        {
            self.trial = Some(if passed { Trial::Passed } else { Trial::Failed });
        }
    }
}

/// Whether a record of the incident that has the one try ends it, and how. Without a proof it has failed.
fn end_of_trial(body: &Body) -> Option<bool> {
    if let Body::Verdict { passed, .. } = body {
        return Some(*passed);
    }
    if let Body::Outcome { result, .. } = body {
        return match result {
            Outcome::Failed | Outcome::Aborted => Some(false),
            // The next step or the verification tells.
            Outcome::Done | Outcome::Unknown => None,
        };
    }
    matches!(body, Body::Closed { .. }).then_some(false)
}

/// Adds a record to the suspensions of a state.
pub(crate) fn apply(state: &mut State, entry: &Entry) {
    let Some(playbook) = &entry.subject.playbook else { return };
    if let Body::Suspended { reason } = &entry.body {
        let trips = state.suspended.get(playbook).map_or(0, |before| before.trips);
        state.suspended.insert(playbook.clone(), Suspension::tripped(reason, entry.at.boot_ms, trips));
    } else if let Body::Rearmed {} = &entry.body {
        state.suspended.remove(playbook);
        state.failures.remove(playbook);
    } else if let Some(suspension) = state.suspended.get_mut(playbook) {
        suspension.follow(entry);
    }
}

/// After the pause one try is allowed, on one target, under every other guard.
///
/// # Errors
/// The playbook is suspended: why, and until when.
pub(crate) fn check(state: &State, now: &Now, want: &ActionRequest) -> Result<(), Refusal> {
    let Some(suspension) = state.suspended.get(&want.playbook) else { return Ok(()) };
    let until_ms = match suspension.trial {
        None => match suspension.left_ms(state, now) {
            0 => return Ok(()),
            left_ms => Some(now.boot_ms + left_ms),
        },
        // The later steps of the rung that is the one try.
        Some(Trial::UnderWay(incident)) if incident == want.incident && want.step > 0 => return Ok(()),
        Some(Trial::UnderWay(_) | Trial::Passed | Trial::Failed) => None,
    };
    let words = suspension.words(state, now);
    let reason = format!("the playbook is suspended: {words}; wbdctl resume lifts it");
    Err(Refusal { guard: Guard::Suspended, reason, until_ms })
}

/// The record that follows the end of a one try.
pub(crate) fn after_trial(suspension: &Suspension) -> Option<Body> {
    match suspension.trial? {
        Trial::UnderWay(_) => None,
        Trial::Passed => Some(Body::Rearmed {}),
        Trial::Failed => Some(Body::Suspended { reason: trip_reason("its one try failed too", suspension.trips) }),
    }
}

/// What a trip is recorded with, after `trips` others in a row.
pub(crate) fn trip_reason(why: &str, trips: u32) -> String {
    format!("{why}; tries once more in {}", length(pause_ms(trips.saturating_add(1))))
}

fn pause_ms(trips: u32) -> u64 {
    let doublings = trips.saturating_sub(1).min(20);
    FIRST_PAUSE_MS.saturating_mul(1 << doublings).min(LONGEST_PAUSE_MS)
}

/// Never sooner than it is.
fn rounded_up(ms: u64) -> String {
    length(ms.div_ceil(60_000).saturating_mul(60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_from_an_hour_to_a_day() {
        let hours: Vec<u64> = [1, 2, 3, 4, 5, 6, 7, 40].map(|trips| pause_ms(trips) / 3_600_000).into();
        assert_eq!(hours, [1, 2, 4, 8, 16, 24, 24, 24]);
        assert_eq!(trip_reason("9 failed", 0), "9 failed; tries once more in 1 h");
        assert_eq!(trip_reason("9 failed", 1), "9 failed; tries once more in 2 h");
        assert_eq!((rounded_up(1), rounded_up(5_399_999)), ("60 s".to_owned(), "1 h 30 min".to_owned()));
    }
}

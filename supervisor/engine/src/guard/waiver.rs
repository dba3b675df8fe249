//! Waivers: which check an operator took out of judgement, and whether that still holds. Shows nothing.
use wbd_model::catalogue;
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::entry::{Body, Entry};
use wbd_model::incident::{Closing, Guard, Phase, Refusal};
use wbd_model::report::{CheckRow, Report, WaivedRow};
use wbd_model::time::{Now, utc};
use wbd_model::waiver::{Standing, Waiver};

use crate::state::{Incident, State};

/// A waiver is no switch to turn a check off for good, milliseconds.
pub const LONGEST_MS: i64 = 366 * DAY_MS;
/// More of them would hide more than they explain; those that are over count until they are ended.
pub const MOST: usize = 256;
/// From so long before its end until so long after it, its end is said.
const SAID_MS: i64 = 7 * DAY_MS;
const DAY_MS: i64 = 86_400_000;

/// Adds a record to the waivers of a state: the later word for the same code and target stands.
pub(crate) fn apply(state: &mut State, entry: &Entry) {
    let (Body::Waived { who, why, until_wall_ms }, Some(code)) = (&entry.body, &entry.subject.code) else { return };
    let (code, target) = (code.clone(), entry.subject.target.clone());
    state.waivers.retain(|old| old.code != code || old.target != target);
    if let Some(until_wall_ms) = *until_wall_ms {
        let (who, why, since_wall_ms) = (who.clone(), why.clone(), entry.at.wall_ms);
        state.waivers.push(Waiver { code, target, who, why, since_wall_ms, until_wall_ms });
    }
}

/// Whether a waiver still covers anything. A person's date, so the wall clock decides; a pause of this boot goes by the
/// boot's clock instead.
#[must_use]
pub fn standing(waiver: &Waiver, wall_ms: i64) -> Standing {
    if wall_ms >= waiver.until_wall_ms {
        Standing::Expired
    } else if wall_ms >= waiver.until_wall_ms.saturating_sub(SAID_MS) {
        Standing::Ending
    } else {
        Standing::Active
    }
}

/// The waiver that covers a check now.
#[must_use]
pub fn covering<'a>(waivers: &'a [Waiver], key: &CheckKey, wall_ms: i64) -> Option<&'a Waiver> {
    waivers.iter().find(|waiver| covers(waiver, key) && standing(waiver, wall_ms) != Standing::Expired)
}

fn covers(waiver: &Waiver, key: &CheckKey) -> bool {
    catalogue::means(&waiver.code, &key.code) && waiver.target.as_ref().is_none_or(|target| *target == key.target)
}

/// Nothing is done for a waived check, not even an action that was asked for just before.
///
/// # Errors
/// Who waived it, why and until when.
pub(crate) fn permits(state: &State, now: &Now, key: &CheckKey) -> Result<(), Refusal> {
    let Some(waiver) = covering(&state.waivers, key, now.wall_ms) else { return Ok(()) };
    let until = utc(waiver.until_wall_ms);
    let reason =
        format!("waived by {} until {until}: {}; wbdctl waiver add {waiver} --for 0 ends it", waiver.who, waiver.why);
    Err(Refusal { guard: Guard::Hold, reason, until_ms: None })
}

/// What becomes of an open incident whose check is waived: it is closed, but for an action that is being done, which
/// is seen to its end first.
pub(crate) fn ends(incident: &Incident) -> Option<Closing> {
    match incident.phase {
        Phase::Acting { .. } | Phase::RollingBack { .. } | Phase::Closed { .. } => None,
        Phase::Suppressed { .. }
        | Phase::Gated { .. }
        | Phase::Indeterminate { .. }
        | Phase::Verifying
        | Phase::Probation => Some(Closing::Waived),
    }
}

/// Takes what is waived out of a report's checks and causes; its verdict then has to be made anew. May be done
/// again when checks were added.
pub fn set_aside(report: &mut Report, waivers: &[Waiver], wall_ms: i64) {
    let waived = |code: &_, target: &_| {
        let key = CheckKey { code: Clone::clone(code), target: Clone::clone(target) };
        covering(waivers, &key, wall_ms).is_some()
    };
    report.causes.retain(|cause| !waived(&cause.code, &cause.target));
    for waiver in waivers {
        let standing = standing(waiver, wall_ms);
        // One that has long been over is history; `waiver list` still has it.
        if standing == Standing::Expired && wall_ms.saturating_sub(waiver.until_wall_ms) > SAID_MS {
            continue;
        }
        let covered = |row: &mut CheckRow| {
            let key = CheckKey { code: row.code.clone(), target: row.target.clone() };
            standing != Standing::Expired && covers(waiver, &key)
        };
        let checks: Vec<CheckRow> = report.checks.extract_if(.., covered).collect();
        match report.waived.iter_mut().find(|row| row.waiver == *waiver) {
            Some(row) => row.checks.extend(checks),
            None => report.waived.push(WaivedRow { waiver: waiver.clone(), standing, checks }),
        }
    }
}

/// What may have been meant by a name that nobody knows, as the end of a sentence.
#[must_use]
pub fn hint<'a>(wrong: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    wbd_model::suggest::hint(wrong, known).map_or_else(String::new, |hint| format!("; {hint}"))
}

/// The worst verdict of what a waiver covers; `None`: it covers nothing here.
#[must_use]
pub fn worst(row: &WaivedRow) -> Option<Verdict> {
    row.checks.iter().map(|check| check.verdict).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_waiver_is_a_leap_year() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        assert_eq!(LONGEST_MS, at("2029-01-01T00:00:00Z") - at("2028-01-01T00:00:00Z"));
    }

    #[test]
    fn a_name_that_nobody_knows_gets_a_hint_where_there_is_one() {
        assert_eq!(hint("WBD-540", ["WBD-5404", "AEGIS-DNS"].into_iter()), "; did you mean \"WBD-5404\"?");
        assert_eq!(hint("WBD-540", std::iter::empty()), "");
    }
}

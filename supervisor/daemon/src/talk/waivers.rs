//! Waivers as they are asked for: checked against the checks of this host and recorded. What they cover is the
//! engine's.
use wbd_engine::guard::waiver::{self, LONGEST_MS, MOST};
use wbd_engine::state::State;
use wbd_model::catalogue;
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Subject};
use wbd_model::name::{Code, TargetName};
use wbd_model::time::{Now, utc};

use crate::event::{ActEvent, CheckEvent};
use crate::follow::Follow;
use crate::look::checks::Checks;
use crate::talk::approvals::Decided;

/// Names in a message.
const NAMED: usize = 12;

/// What an operator asks for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) code: Code,
    pub(crate) target: Option<TargetName>,
    pub(crate) why: String,
    pub(crate) until_wall_ms: Option<i64>,
    /// Whether the products of this host are known.
    pub(crate) products_known: bool,
}

/// Gives a waiver, or ends one: what follows, and what to say.
///
/// # Errors
/// Why not, in words.
pub(crate) fn waive(wanted: Wanted, who: &str, checks: &Checks, state: &State, now: &Now) -> Decided {
    if wanted.why.trim().is_empty() {
        return Err("say why: whoever sees the waiver will ask".to_owned());
    }
    let given = state.waivers.iter().any(|old| old.code == wanted.code && old.target == wanted.target);
    match wanted.until_wall_ms {
        None if given => {}
        None => return Err(format!("there is no such waiver to end; {}", known_waivers(state))),
        Some(_) if !given && state.waivers.len() >= MOST => {
            return Err(format!("there are {MOST} waivers; end some first: wbdctl waiver list"));
        }
        Some(until_wall_ms) => {
            in_bounds(until_wall_ms, now.wall_ms)?;
            matches(&wanted, checks)?;
        }
    }
    let Wanted { code, target, why, until_wall_ms, .. } = wanted;
    let what = target.as_ref().map_or_else(|| code.to_string(), |target| format!("{code} on {target}"));
    let subject = Subject { code: Some(code), target, ..Subject::default() };
    let body = Body::Waived { who: who.to_owned(), why, until_wall_ms };
    // An action that was asked for and has not begun is not wanted any more.
    let follows =
        vec![Follow::Write(subject, Box::new(body)), Follow::Act(ActEvent::GiveUp), Follow::Check(CheckEvent::All)];
    let said = match until_wall_ms {
        Some(until) => format!("{what} is waived until {}; wbdctl waiver list shows it", utc(until)),
        None => format!("{what} counts again"),
    };
    Ok((follows, said))
}

/// A waiver for what nobody looks for is a slip of the finger.
fn matches(wanted: &Wanted, checks: &Checks) -> Result<(), String> {
    if !wanted.products_known {
        return Err("the products of this host are still being looked for; try again".to_owned());
    }
    let keys = checks.keys();
    let codes = keys.iter().map(|key| key.code.as_str());
    let is_meant = |key: &&CheckKey| catalogue::means(&wanted.code, &key.code);
    let targets: Vec<&str> = keys.iter().filter(is_meant).map(|key| key.target.as_str()).collect();
    if targets.is_empty() {
        let hint = waiver::hint(wanted.code.as_str(), codes);
        return Err(format!("no check on this host is for {}{hint}", wanted.code));
    }
    match &wanted.target {
        Some(target) if !targets.contains(&target.as_str()) => {
            let hint = waiver::hint(target.as_str(), targets.into_iter());
            Err(format!("{} is not checked on {target}{hint}", wanted.code))
        }
        Some(_) | None => Ok(()),
    }
}

fn known_waivers(state: &State) -> String {
    let mut known: Vec<String> = state.waivers.iter().map(ToString::to_string).collect();
    if known.is_empty() {
        return "there are none".to_owned();
    }
    known.truncate(NAMED);
    format!("there are: {}", known.join(", "))
}

fn in_bounds(until_wall_ms: i64, now_wall_ms: i64) -> Result<(), String> {
    if until_wall_ms <= now_wall_ms {
        return Err(format!("{} is over already; say a time to come, or --for 0 to end a waiver", utc(until_wall_ms)));
    }
    if until_wall_ms.saturating_sub(now_wall_ms) > LONGEST_MS {
        return Err("a waiver lasts a year (366 days) at most; give it again when it ends".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_waiver_ends_in_the_future_and_within_a_year() {
        let now = 1_760_000_000_000;
        for until in [now, now - 1, 0, i64::MIN, now + LONGEST_MS + 1, i64::MAX] {
            assert!(in_bounds(until, now).is_err(), "{until}");
        }
        for until in [now + 1, now + LONGEST_MS] {
            assert_eq!(in_bounds(until, now), Ok(()), "{until}");
        }
    }
}

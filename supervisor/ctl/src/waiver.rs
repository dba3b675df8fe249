//! `waiver add|list`, and what the ledger says of waivers and pauses where no supervisor can be asked. Judges nothing.
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Value, json};
use wbd_engine::guard::hold;
use wbd_engine::guard::waiver::standing;
use wbd_engine::state::State;
use wbd_ledger::{Filter, LedgerError, Reader};
use wbd_model::control::Request;
use wbd_model::hold::HoldRow;
use wbd_model::report::SCHEMA;
use wbd_model::time::Now;
use wbd_model::waiver::{Standing, Waiver};
use wbd_probes::holds;

use crate::Context;
use crate::ask;
use crate::cli::{Format, NewWaiver, Waiver as Verb};
use crate::client::Unanswered;
use crate::exit::{Ended, Exit, Failure};
use crate::out::{Out, Tone};
use crate::{moment, when};

/// `waiver VERB`.
///
/// # Errors
/// No answer, no leave, a code or target that is checked nowhere, an end out of bounds.
pub(crate) fn run(context: &mut Context, verb: Verb) -> Ended {
    match verb {
        Verb::Add(new) => add(context, new),
        Verb::List => list(context),
    }
}

fn add(context: &mut Context, new: NewWaiver) -> Ended {
    let now_ms = moment::clocks().wall_ms;
    let until_wall_ms = match (new.length, new.until) {
        (Some(length), _) if length.is_zero() => None,
        (Some(length), _) => Some(now_ms.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX))),
        (None, until) => until,
    };
    let request = Request::Waive { code: new.code, target: new.target, why: new.why, until_wall_ms };
    ask::change(context, &request)
}

fn list(context: &mut Context) -> Ended {
    let waivers = match context.client().call(&Request::Status {}) {
        Ok(response) => ask::status_of(response)?.waivers,
        Err(Unanswered::Unreachable(why)) => {
            let (state, _) = of_ledger(&context.root).map_err(|error| {
                let mut failure = Failure::from(error);
                failure.message = format!("{why}; and without it, {}", failure.message);
                failure
            })?;
            state.waivers
        }
        Err(error) => return Err(error.into()),
    };
    let now_ms = moment::clocks().wall_ms;
    if context.format != Format::Text {
        let rows: Vec<Value> =
            waivers.iter().map(|waiver| json!({"waiver": waiver, "standing": standing(waiver, now_ms)})).collect();
        context.out.document(context.format, &json!({"schema": SCHEMA, "waivers": rows}))?;
        return Ok(Exit::Done);
    }
    if waivers.is_empty() {
        context.out.line("No waivers.");
    }
    for waiver in &waivers {
        line(&mut context.out, waiver, standing(waiver, now_ms), now_ms, "");
    }
    Ok(Exit::Done)
}

/// One waiver: what, who, why, until when; `verdict` is what it covers, if that is known.
pub(crate) fn line(out: &mut Out, waiver: &Waiver, standing: Standing, now_ms: i64, verdict: &str) {
    let tone = if standing == Standing::Active { Tone::Plain } else { Tone::Warn };
    let verdict = if verdict.is_empty() { String::new() } else { format!(" ({verdict})") };
    let end = end(waiver, standing, now_ms);
    out.spans(&[(Tone::Strong, &format!("  {waiver}")), (Tone::Plain, &verdict), (tone, &format!(": {end}"))]);
    out.paragraph("      ", &format!("by {} since {}: {}", waiver.who, when::moment(waiver.since_wall_ms), waiver.why));
}

fn end(waiver: &Waiver, standing: Standing, now_ms: i64) -> String {
    let until = when::moment(waiver.until_wall_ms);
    let away = when::length(waiver.until_wall_ms.abs_diff(now_ms));
    match standing {
        Standing::Active => format!("until {until}"),
        Standing::Ending => format!("ends in {away}, at {until}"),
        Standing::Expired => format!("over since {away}, counts again (until {until})"),
    }
}

/// What the ledger says of waivers, pauses and hold files, only this part of the state; and the moment beside it.
///
/// # Errors
/// It cannot be read; a ledger that was never begun is an empty one.
pub(crate) fn of_ledger(root: &Path) -> Result<(State, Now), LedgerError> {
    let mut state = State::default();
    let kinds = ["waived", "hold", "lifted", "rotated"].map(str::to_owned).to_vec();
    let reader = match Reader::open(&wbd_ledger::state_dir(root)) {
        Ok(reader) => reader,
        Err(LedgerError::NotThere { .. }) => return Ok((state, moment::clocks())),
        Err(error) => return Err(error),
    };
    reader.each(&Filter { kinds, ..Filter::default() }, |entry| {
        state.apply(&entry);
        ControlFlow::Continue(())
    })?;
    Ok((state, moment::beside(&reader)))
}

/// The hold files under a root as they are now, and the pause of a supervisor or of the ledger.
pub(crate) fn holds(root: &Path, pauses: &[HoldRow]) -> Vec<HoldRow> {
    let now = moment::clocks();
    let files = holds::look(root).into_iter().filter_map(|file| {
        let hold = match &file.text {
            Ok(text) => hold::of_text(&file.path, text),
            Err(why) => hold::of_file(&file.path, why),
        };
        (!hold::is_over(&hold, &now)).then(|| hold::row(Some(&file.path), &hold, &now))
    });
    pauses.iter().filter(|row| row.file.is_none()).cloned().chain(files).collect()
}

/// The pause that stands by the ledger.
pub(crate) fn pauses(state: &State, now: &Now) -> Vec<HoldRow> {
    hold::standing(state, now).map(|(file, hold)| hold::row(file, hold, now)).collect()
}

#[cfg(test)]
mod tests {
    use wbd_model::name::{Code, TargetName};

    use super::*;
    use crate::out::testing::text_of;

    #[test]
    fn a_waiver_is_shown_with_who_why_and_its_end() {
        let now_ms = 1_760_000_000_000;
        let shown = |until_wall_ms: i64| {
            let waiver = Waiver {
                code: Code::new("WBD-5404").unwrap(),
                target: Some(TargetName::new("wbd").unwrap()),
                who: "root".to_owned(),
                why: "a test host".to_owned(),
                since_wall_ms: now_ms - 1000,
                until_wall_ms,
            };
            text_of(|out| line(out, &waiver, standing(&waiver, now_ms), now_ms, "fail"))
        };
        let day = 86_400_000;
        assert!(shown(now_ms + 30 * day).starts_with("  WBD-5404 on wbd (fail): until 2025-"), "{}", shown(now_ms));
        assert!(shown(now_ms + 3 * day).contains("ends in 3 days"));
        assert!(shown(now_ms - 3 * day).contains("over since 3 days, counts again"));
        assert!(shown(now_ms).contains("by root since") && shown(now_ms).contains("a test host"));
    }
}

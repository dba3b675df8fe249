//! `demo`: breaks a real agent under a real supervisor in a scratch folder and shows how each failure ends. Heals nothing itself.
mod breaks;
mod content;
mod follow;
mod interrupt;
mod proc;
mod program;
mod scratch;
mod show;
mod trial;

use std::time::Instant;

use serde_json::json;
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::cli::Format;
use crate::exit::{Ended, Exit, Failure};
use crate::{ledger, record};

use self::breaks::{Break, Outcome};
use self::interrupt::Interrupt;
use self::show::Show;
use self::trial::Trial;

pub(crate) use self::content::PLAYBOOKS;
pub(crate) use self::trial::child;

/// Runs it from the scratch folder to the removal of the same.
///
/// # Errors
/// A program that is missing or does not start, a failure that did not end as it should, an interruption.
pub(crate) fn run(context: &mut Context, keep: bool) -> Ended {
    let interrupt = Interrupt::new()?;
    let begun = Instant::now();
    let mut show = Show::new(&mut context.out, context.format == Format::Text);
    let mut trial = Trial::begin(keep, &interrupt, &mut show)?;
    let played = play(&mut trial, &interrupt, &mut show);
    let outcomes = match played {
        Ok(outcomes) => outcomes,
        Err(failure) => {
            drop(show);
            let failure = trial.explained(failure);
            trial.end();
            return Err(failure);
        }
    };
    let verified = account(&trial, &mut show)?;
    let right = outcomes.iter().filter(|outcome| outcome.as_it_should()).count();
    let seconds = begun.elapsed().as_secs_f32();
    let kept = trial.end();
    show.heading("Result");
    show.line(&format!("{right} of {} failures ended as they should, in {seconds:.0} s", outcomes.len()));
    show.line(&kept);
    drop(show);
    if context.format != Format::Text {
        let breaks: Vec<_> = outcomes.iter().map(Outcome::document).collect();
        let ok = right == outcomes.len() && verified;
        context
            .out
            .document(context.format, &json!({"schema": SCHEMA, "ok": ok, "verified": verified, "breaks": breaks}))?;
    }
    if !verified {
        return Err(Failure::failed("the demo's ledger does not verify; please report it"));
    }
    if right < outcomes.len() {
        return Err(Failure::failed(
            "not every failure ended as it should; run it again with --keep and look at supervisor.log",
        ));
    }
    Ok(Exit::Done)
}

fn play(trial: &mut Trial, interrupt: &Interrupt, show: &mut Show) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes = Vec::new();
    for (number, broken) in Break::ALL.into_iter().enumerate() {
        show.heading(&format!("{}. {}", number + 1, broken.title()));
        outcomes.push(broken.play(trial, interrupt, show)?);
    }
    Ok(outcomes)
}

/// The ledger and its verification.
fn account(trial: &Trial, show: &mut Show) -> Result<bool, Failure> {
    let reader = trial.reader()?;
    show.heading("The ledger (wbdctl ledger list)");
    let entries = reader.entries(&wbd_ledger::Filter::default())?;
    let verification = reader.verify()?;
    show.with(|out| record::list(out, &entries));
    show.heading("wbdctl ledger verify");
    show.with(|out| ledger::tell(out, &verification));
    Ok(verification.problem.is_none())
}

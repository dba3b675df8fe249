//! `playbook simulate`: hands a playbook and a record, this host's or another's, to the engine, and shows what it would
//! have done. Asks no supervisor and does nothing.
mod rehearsed;
mod text;

use std::time::Instant;

use serde_json::{Value, json};
use wbd_engine::play::simulate::{self, Record};
use wbd_engine::playbook::{Bound, Library};
use wbd_ledger::BundleHead;
use wbd_model::entry::Entry;
use wbd_model::name::ProfileName;
use wbd_model::observed::Observed;
use wbd_model::report::SCHEMA;
use wbd_model::settings::Settings;
use wbd_probes::clock;

use self::rehearsed::{Origin, Rehearsed, is_known, limits};
use crate::Context;
use crate::cli::{Format, Simulate};
use crate::config::broken;
use crate::exit::{Ended, Exit, Failure};
use crate::{export, host, ledger, moment, playbook};

/// `playbook simulate FILE`.
///
/// # Errors
/// A broken playbook, a record that cannot be read, a playbook that is about nothing there; and where nothing was
/// recorded of what it asks.
pub(crate) fn run(context: &mut Context, order: &Simulate) -> Ended {
    let began = Instant::now();
    let (library, problems, _) = playbook::loaded(context, std::slice::from_ref(&order.file));
    if !problems.is_empty() {
        return broken(context, &problems);
    }
    let path = order.file.display().to_string();
    let own: Vec<_> = library.playbooks.values().filter(|playbook| playbook.file == path).collect();
    if own.is_empty() {
        return Err(Failure::new(Exit::BadConfig, format!("{path} holds no playbook; name the file of one")));
    }
    let settings = match host::settings(&context.root, context.config.as_deref()) {
        Ok(settings) => settings,
        Err(problems) => return broken(context, &problems),
    };
    let (installed, _) = host::library(&context.root);
    let read = read(context, order, settings, &library, &installed)?;
    let (origin, entries, observed, bounds, old) = read;
    let leaks = library.leaks(bounds.iter().chain(&old));
    let since_ms = i64::try_from(order.since.as_millis()).unwrap_or(i64::MAX);
    let record = Record {
        bounds: &bounds,
        installed: &old,
        leaks: &leaks,
        settings: &origin.settings,
        entries: &entries,
        observed: &observed,
        from_wall_ms: origin.made.saturating_sub(since_ms),
        offset_s: origin.offset_s,
    };
    let report = simulate::simulate(&record).map_err(Failure::bug)?;
    let told = |p: &&std::sync::Arc<wbd_engine::playbook::Playbook>| json!({"name": p.name, "code": p.code, "file": p.file, "digest": p.digest});
    let rehearsed = Rehearsed {
        order,
        playbooks: own.iter().map(told).collect(),
        report,
        entries: entries.len(),
        answers: observed.changes.len(),
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        origin,
    };
    if context.format == Format::Text {
        text::show(&mut context.out, &rehearsed);
    } else {
        context.out.document(context.format, &document(&rehearsed))?;
    }
    // "Would have done nothing" can only be said of what was recorded.
    Ok(if is_known(&rehearsed.report) { Exit::Done } else { Exit::Failed })
}

type Read = (Origin, Vec<Entry>, Observed, Vec<Bound>, Vec<Bound>);

fn read(
    context: &Context,
    order: &Simulate,
    settings: Settings,
    library: &Library,
    installed: &Library,
) -> Result<Read, Failure> {
    if let Some(file) = &order.from {
        let bundle = wbd_ledger::read_bundle(file)?;
        let BundleHead { host, made, offset_s, profiles, settings, .. } = bundle.head;
        let words = file.display().to_string();
        let origin = Origin { words, host, settings, present: profiles.into_iter().collect(), made, offset_s };
        let (bounds, old) = bind(order, &origin, library, installed)?;
        return Ok((origin, bundle.entries, bundle.observed, bounds, old));
    }
    let now = moment::clocks();
    let origin = Origin {
        words: "this host".to_owned(),
        host: wbd_ledger::host_id(&context.root),
        present: export::present(&context.root, library, &settings),
        settings,
        made: now.wall_ms,
        offset_s: clock::zone_offset_s(now.wall_ms / 1000),
    };
    let (bounds, old) = bind(order, &origin, library, installed)?;
    let entries = export::chained(&ledger::open(context)?)?;
    let wanted = Record::questions(&bounds, &old);
    let observed = export::observed(&context.root, |probe| wanted.contains(probe))?;
    Ok((origin, entries, observed, bounds, old))
}

/// The checks to be rehearsed, and those that are installed.
fn bind(
    order: &Simulate,
    origin: &Origin,
    library: &Library,
    installed: &Library,
) -> Result<(Vec<Bound>, Vec<Bound>), Failure> {
    let path = order.file.display().to_string();
    let mut bounds = library.bind(&origin.present, &origin.settings);
    bounds.retain(|bound| bound.content().file == path);
    if bounds.is_empty() {
        let here: Vec<&str> = origin.present.iter().map(ProfileName::as_str).collect();
        let here = if here.is_empty() { "none".to_owned() } else { here.join(", ") };
        let text = format!("cannot simulate {path}: it is about no product of {}; found there: {here}", origin.words);
        return Err(Failure::failed(text));
    }
    if let Some(target) = &order.target {
        let all: Vec<String> = bounds.iter().map(|bound| bound.key.target.to_string()).collect();
        bounds.retain(|bound| bound.key.target == *target);
        if bounds.is_empty() {
            let text = format!("{path} has no target {target} there; it has {}", all.join(", "));
            return Err(Failure::new(Exit::Usage, text));
        }
    }
    Ok((bounds, installed.bind(&origin.present, &origin.settings)))
}

fn document(rehearsed: &Rehearsed<'_>) -> Value {
    let Rehearsed { order, origin, playbooks, report, entries, answers, duration_ms } = rehearsed;
    json!({
        "schema": SCHEMA,
        "playbooks": playbooks,
        "record": {
            "of": origin.words,
            "host": origin.host,
            "since_ms": u64::try_from(order.since.as_millis()).unwrap_or(u64::MAX),
            "made": origin.made,
            "from": report.from,
            "to": report.to,
            "entries": entries,
            "answers": answers,
        },
        "known": is_known(report),
        "checks": report.checks,
        "events": report.events,
        "events_left_out": report.events_left_out,
        "totals": report.totals,
        "in_life": {"deeds": report.actions_in_life, "words": report.decisions_in_life},
        "cannot_know": limits(rehearsed),
        "duration_ms": duration_ms,
    })
}

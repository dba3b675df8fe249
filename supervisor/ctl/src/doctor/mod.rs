//! `doctor`: looks, asks the supervisor what cannot be seen from here, and tells. Changes nothing itself.
mod block;
mod cause;
mod differ;
mod examine;
mod fix;
mod look;
mod merge;
mod nagios;
mod offers;
mod own;
mod pending;
mod policy;
mod recorded_facts;
mod supervisor;
mod text;
mod waived;
mod worker;

use std::thread::sleep;
use std::time::{Duration, Instant};

use wbd_model::control::Request;
use wbd_model::name::Code;
use wbd_model::report::Report;

use crate::Context;
use crate::ask;
use crate::cli::{Doctor, Format};
use crate::exit::{Ended, Exit, Failure};

use self::examine::Order;
pub(crate) use self::pending::aside;
use self::worker::Worker;

const WATCH_PAUSE: Duration = Duration::from_secs(2);

/// Examines the host and shows the report; its verdict is the exit code.
///
/// # Errors
/// A name that nobody knows; with `--fix` a supervisor that cannot be asked.
pub(crate) fn run(context: &mut Context, doctor: Doctor) -> Ended {
    let began = Instant::now();
    let order = Order {
        root: context.root.clone(),
        config: context.config.clone(),
        client: context.client(),
        lang: context.lang,
        doctor,
    };
    if let Some(parent) = context.examine_for {
        return worker::answer(context, parent, &order);
    }
    let mut worker = Worker::default();
    if order.doctor.watch {
        return watch(context, &order, &mut worker);
    }
    let mut report = worker.examine(&order)?;
    // A line for a monitoring system offers nothing.
    if context.format != Format::Nagios || order.doctor.fix {
        offers::ask(&order.client, &mut report, began + worker::PATIENCE, order.doctor.dry_run);
    }
    if order.doctor.fix && !order.doctor.dry_run {
        return heal(context, &order, &report, &mut worker);
    }
    show(context, &report, order.doctor.verbose)?;
    if order.doctor.dry_run && context.format == Format::Text {
        fix::show_plans(&mut context.out, &report);
    }
    Ok(Exit::Verdict(report.verdict))
}

/// Examines the host for one failure alone.
///
/// # Errors
/// A code that nobody knows.
pub(crate) fn examine_one(context: &Context, code: &Code) -> Result<Report, Failure> {
    Worker::default().examine(&order_of_one(context, code))
}

/// The second process's part of that.
///
/// # Errors
/// Whoever wants the answer is not there.
pub(crate) fn answer_one(context: &mut Context, parent: u32, code: &Code) -> Ended {
    let order = order_of_one(context, code);
    worker::answer(context, parent, &order)
}

fn order_of_one(context: &Context, code: &Code) -> Order {
    let only = vec![code.clone()];
    let doctor =
        Doctor { fix: false, dry_run: false, only, skip: Vec::new(), profile: None, verbose: false, watch: false };
    let (root, config) = (context.root.clone(), context.config.clone());
    Order { root, config, client: context.client(), lang: context.lang, doctor }
}

fn show(context: &mut Context, report: &Report, verbose: bool) -> Result<(), Failure> {
    match context.format {
        Format::Text => text::show(&mut context.out, report, verbose),
        Format::Nagios => context.out.line(nagios::line(report)),
        Format::Json | Format::Yaml => context.out.document(context.format, report)?,
    }
    Ok(())
}

/// Looks again and again; ends when nobody reads any more.
fn watch(context: &mut Context, order: &Order, worker: &mut Worker) -> Ended {
    loop {
        let began = Instant::now();
        let mut report = worker.examine(order)?;
        offers::ask(&order.client, &mut report, began + worker::PATIENCE, false);
        match context.format {
            // One document a line, so that a reader can tell them apart.
            Format::Json => {
                let line = serde_json::to_string(&report).map_err(Failure::bug)? + "\n";
                context.out.raw(line.as_bytes());
            }
            Format::Yaml => {
                context.out.raw(b"---\n");
                show(context, &report, order.doctor.verbose)?;
            }
            Format::Text | Format::Nagios => {
                context.out.begin_screen();
                show(context, &report, order.doctor.verbose)?;
            }
        }
        context.out.flush();
        if context.out.is_closed() {
            return Ok(Exit::Verdict(report.verdict));
        }
        sleep(WATCH_PAUSE);
    }
}

fn heal(context: &mut Context, order: &Order, report: &Report, worker: &mut Worker) -> Ended {
    let text = context.format == Format::Text;
    if text {
        text::show(&mut context.out, report, order.doctor.verbose);
        context.out.heading("Fixing");
        context.out.flush();
    }
    let mut fixed = Vec::new();
    if report.daemon.is_none() && fix::fixable(report).next().is_some() {
        // What it handed over or was denied is not known. If it does not answer now either, that says why.
        ask::refusals(order.client.call(&Request::Status {})?)?;
        let why = "the supervisor did not answer in time, so it was asked for nothing; try again";
        return Err(Failure::new(Exit::TryAgain, why));
    }
    for (cause, fix) in fix::fixable(report) {
        let came = fix::fix(&order.client, cause, fix)?;
        if text {
            came.show(&mut context.out);
            context.out.flush();
        }
        fixed.push(came);
    }
    if text && fixed.is_empty() {
        context.out.line("  Nothing: wbd has no fix for these causes.");
    }
    let mut after = if fixed.is_empty() { report.clone() } else { worker.examine(order)? };
    if !fixed.is_empty() {
        offers::ask(&order.client, &mut after, Instant::now() + worker::PATIENCE, false);
    }
    if text {
        context.out.heading("Afterwards");
        context.out.line(format!("{}: {}", text::word(after.verdict), text::sentence(&after)));
    } else if context.format == Format::Nagios {
        context.out.line(nagios::line(&after));
    } else {
        let mut value = serde_json::to_value(&after).map_err(Failure::bug)?;
        value["fixed"] = fixed.iter().map(fix::Fixed::document).collect();
        context.out.document(context.format, &value)?;
    }
    Ok(Exit::Verdict(after.verdict))
}

#[cfg(test)]
mod tests;

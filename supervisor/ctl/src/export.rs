//! `ledger export`: this host's record in one file, for a rehearsal elsewhere. Writes that one file and nothing else.
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use wbd_engine::playbook::Library;
use wbd_ledger::{BUNDLE_FORMAT, BundleError, BundleHead, Reader, Samples, SamplesError};
use wbd_model::name::ProfileName;
use wbd_model::observed::Observed;
use wbd_model::probe::Probe;
use wbd_model::report::SCHEMA;
use wbd_model::settings::Settings;
use wbd_probes::{Presence, ProbeRunner, clock};

use crate::Context;
use crate::cli::Format;
use crate::config::broken;
use crate::count::counted;
use crate::exit::{Ended, Exit, Failure};
use crate::host;
use crate::{ledger, moment, product};

impl From<BundleError> for Failure {
    fn from(error: BundleError) -> Self {
        match error {
            BundleError::Ledger(error) => error.into(),
            BundleError::Io { .. } | BundleError::IsThere { .. } | BundleError::Broken { .. } => {
                Self::failed(error.to_string())
            }
        }
    }
}

/// `ledger export FILE`.
///
/// # Errors
/// A ledger that cannot be read or does not verify, broken settings, a file that is there already.
pub(crate) fn run(context: &mut Context, file: &Path, since: Option<Duration>) -> Ended {
    let settings = match host::settings(&context.root, context.config.as_deref()) {
        Ok(settings) => settings,
        Err(problems) => return broken(context, &problems),
    };
    let ledger = ledger::open(context)?;
    if let Some(bad) = ledger::verified_under(&context.root)?.problem {
        let text = format!("cannot export a ledger that does not verify: record {}: {}", bad.seq, bad.what);
        return Err(Failure::failed(format!("{text}; see wbdctl ledger verify")));
    }
    let now = moment::clocks();
    let since = since.map(|since| now.wall_ms.saturating_sub(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)));
    let (library, _) = host::library(&context.root);
    let head = BundleHead {
        format: BUNDLE_FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: wbd_ledger::host_id(&context.root),
        made: now.wall_ms,
        since,
        offset_s: clock::zone_offset_s(now.wall_ms / 1000),
        profiles: present(&context.root, &library, &settings).into_iter().collect(),
        settings: told(settings),
    };
    let mut observed = observed(&context.root, |_| true)?;
    if let Some(since) = since {
        newer(&mut observed, since);
    }
    let counts = wbd_ledger::write_bundle(file, &head, &ledger, &observed)?;
    if context.format != Format::Text {
        let value = json!({"schema": SCHEMA, "file": file, "entries": counts.entries, "answers": counts.answers,
            "series": counts.series, "profiles": head.profiles});
        context.out.document(context.format, &value)?;
        return Ok(Exit::Done);
    }
    let out = &mut context.out;
    out.line(format!(
        "{}: {} of the ledger, {} of checks, {} series of samples",
        file.display(),
        counted(counts.entries, "record"),
        counted(counts.answers, "answer"),
        counts.series
    ));
    out.paragraph(
        "",
        "It names processes, paths, addresses and the people who gave orders here. Left out: the site's own facts and \
         its program for escalations. Only you can read the file.",
    );
    Ok(Exit::Done)
}

/// The settings that decide what would be done; what may hold a secret is left out.
fn told(settings: Settings) -> Settings {
    Settings { facts: Default::default(), on_escalation: Vec::new(), ..settings }
}

/// The products that are on this host.
pub(crate) fn present(root: &Path, library: &Library, settings: &Settings) -> BTreeSet<ProfileName> {
    let mut runner = ProbeRunner::new(root.to_owned());
    runner.facts.clone_from(&settings.facts);
    let (seen, boot) = product::seen(root);
    runner.remember_products(seen, &boot);
    let here = library.profiles.iter().filter(|(_, profile)| matches!(runner.present(profile), Presence::Yes));
    here.map(|(name, _)| name.clone()).collect()
}

/// What was recorded beside the ledger; nothing where no samples are kept.
///
/// # Errors
/// The file is there and cannot be read.
pub(crate) fn observed(root: &Path, wanted: impl Fn(&Probe) -> bool) -> Result<Observed, Failure> {
    let state_dir = wbd_ledger::state_dir(root);
    if !wbd_ledger::samples_database(&state_dir).exists() {
        return Ok(Observed::default());
    }
    let read = Samples::open_read_only(&state_dir).and_then(|samples| samples.observed(wanted));
    read.map_err(|error: SamplesError| {
        let source = std::error::Error::source(&error).map_or_else(String::new, |source| format!(": {source}"));
        Failure::failed(format!("{error}{source}"))
    })
}

/// Leaves what is from this moment (Unix milliseconds) on; a whole answer is at most a day older.
fn newer(observed: &mut Observed, since: i64) {
    const DAY_MS: i64 = 86_400_000;
    let from = since.saturating_sub(DAY_MS);
    let runs = &observed.runs;
    observed.changes.retain(|change| runs.get(change.run).is_some_and(|run| run.wall_ms(change.at_ms) >= from));
    for (_, samples) in &mut observed.series {
        samples.retain(|sample| sample.at_s >= from / 1000);
    }
    observed.series.retain(|(_, samples)| !samples.is_empty());
}

/// A ledger's records with their links checked on the way.
///
/// # Errors
/// It cannot be read, or does not verify.
pub(crate) fn chained(reader: &Reader) -> Result<Vec<wbd_model::entry::Entry>, Failure> {
    let mut entries: Vec<wbd_model::entry::Entry> = Vec::new();
    let mut torn = None;
    reader.each(&wbd_ledger::Filter::default(), |entry| {
        let follows = entries.last().is_none_or(|last| last.seq + 1 == entry.seq && last.hash == entry.prev);
        if !follows {
            torn = Some(entry.seq);
            return std::ops::ControlFlow::Break(());
        }
        entries.push(entry);
        std::ops::ControlFlow::Continue(())
    })?;
    match torn {
        None => Ok(entries),
        Some(seq) => Err(Failure::failed(format!(
            "the ledger does not verify: record {seq} does not follow the one before it; see wbdctl ledger verify"
        ))),
    }
}

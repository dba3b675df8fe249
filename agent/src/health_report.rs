//! The health document put together from what the parts of the agent know; it is written elsewhere.

use crate::clock;
use crate::commands::describe;
use crate::lock::Holder;
use crate::problems::Problem;
use crate::store::Loaded;
use crate::watch::{Share, Snapshot};
use std::fs;
use std::path::Path;
use wbd_agent_api::health::write_atomically;
use wbd_agent_api::{
    Code, Error, FailedAt, HealthDocument, HealthError, SCHEMA, SettingsReport, State, TargetReport, WasReport,
};

/// Details are cut to this where the document would be too long for its readers.
const SHORT_DETAIL_CHARS: usize = 120;

/// What the parts know.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) process: Holder,
    pub(crate) state: State,
    pub(crate) loaded: &'a Loaded,
    pub(crate) was: &'a WasReport,
    pub(crate) watched: &'a Snapshot,
    pub(crate) errors: Vec<Error>,
}

/// The document as of now.
pub(crate) fn document(parts: Parts<'_>) -> HealthDocument {
    let settings = &parts.loaded.settings;
    let targets = settings.targets.iter().map(|target| {
        let share = parts.watched.shares.get(&target.id).copied().unwrap_or(Share::default());
        TargetReport {
            id: target.id.clone(),
            web_root: target.web_root.clone(),
            upload_path: target.upload_path.clone(),
            language: target.language,
            watches: share.watches,
            missing: share.missing,
        }
    });
    HealthDocument {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_string(),
        pid: parts.process.pid,
        start_ticks: parts.process.start_ticks,
        state: parts.state,
        generation: settings.generation,
        settings: SettingsReport { source: parts.loaded.source, problem: parts.loaded.problem.clone() },
        targets: targets.collect(),
        was: parts.was.clone(),
        watches: parts.watched.report.clone(),
        fds_open: open_files(),
        errors: parts.errors,
        heartbeat_ms: clock::monotonic_ms(),
        written_at: clock::unix_seconds(),
    }
}

/// Writes the document; what is only for people is left out if it were too long otherwise.
pub(crate) fn write(path: &Path, mut document: HealthDocument) -> Result<(), HealthError> {
    match write_atomically(path, &document) {
        Err(HealthError::TooLarge { .. }) => {
            document.watches.uncovered.clear();
            document.watches.linked.clear();
            for error in &mut document.errors {
                error.detail = error.detail.chars().take(SHORT_DETAIL_CHARS).collect();
            }
            write_atomically(path, &document)
        }
        written => written,
    }
}

/// The listing's own descriptor is not counted.
fn open_files() -> Option<u64> {
    let listed = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(listed.saturating_sub(1)).ok()
}

/// What the watcher's report says is wrong.
pub(crate) fn watch_problems(watched: &Snapshot) -> Vec<Problem> {
    let mut problems = Vec::new();
    let report = &watched.report;
    let detail = match report.failed_at {
        FailedAt::None => None,
        FailedAt::Watches => Some("fs.inotify.max_user_watches is used up; raise it"),
        FailedAt::Instances => Some("fs.inotify.max_user_instances is used up; raise it"),
        FailedAt::QueuedEvents => {
            Some("events were dropped, so all folders were walked again; raise fs.inotify.max_queued_events")
        }
        FailedAt::Other => Some("the kernel refused a watch"),
    };
    if let Some(why) = detail {
        let errno = report.errno.as_deref().map(|errno| format!(" ({errno})")).unwrap_or_default();
        let first = report.uncovered.first().map(|path| format!(", first {path}")).unwrap_or_default();
        let detail = format!("{} of {} folders are not watched{first}: {why}{errno}", report.missing, report.needed);
        problems.push(Problem::new(Code::WATCH_LIMIT, "watches", detail));
    }
    if let Some(folder) = &report.unanswered {
        let detail = format!(
            "folder {folder} does not answer; what is below it is not watched, and how much that is, is unknown; look for a dead network file system"
        );
        problems.push(Problem::new(Code::PATH_UNREADABLE, "unanswered", detail));
    }
    if let Some(first) = watched.unreadable.first() {
        let detail = format!(
            "{} folders below the targets cannot be read, first {}: permission denied; give the agent's user the right to them",
            watched.unreadable_count,
            first.display()
        );
        problems.push(Problem::new(Code::PATH_UNREADABLE, "folders", detail));
    }
    problems
}

/// What is wrong with the settings.
pub(crate) fn settings_problem(loaded: &Loaded) -> Option<Problem> {
    let problem = loaded.problem.as_ref()?;
    let detail = format!("{}; the broken file is kept as settings.broken", describe(problem));
    Some(Problem::new(Code::Config, "settings", detail))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use wbd_agent_api::{BytesPath, WatchReport};

    #[test]
    fn each_limit_is_named_as_itself() {
        for (failed_at, word) in [
            (FailedAt::Watches, "max_user_watches"),
            (FailedAt::Instances, "max_user_instances"),
            (FailedAt::QueuedEvents, "max_queued_events"),
        ] {
            let report = WatchReport { failed_at, needed: 9, missing: 4, ..WatchReport::default() };
            let problems = watch_problems(&Snapshot { report, ..Snapshot::default() });
            assert_eq!(problems.len(), 1);
            assert!(problems[0].code == Code::WATCH_LIMIT && problems[0].detail.contains(word));
        }
        assert!(watch_problems(&Snapshot::default()).is_empty());
    }

    #[test]
    fn a_folder_that_does_not_answer_is_told_with_its_name() {
        let report = WatchReport { unanswered: Some(BytesPath::new("/srv/nfs")), ..WatchReport::default() };
        let problems = watch_problems(&Snapshot { report, ..Snapshot::default() });
        assert_eq!((problems.len(), problems[0].code), (1, Code::PATH_UNREADABLE));
        assert!(problems[0].detail.starts_with("folder /srv/nfs does not answer"), "{problems:?}");
    }

    #[test]
    fn a_permission_is_no_limit() {
        let watched =
            Snapshot { unreadable: vec![PathBuf::from("/srv/x")], unreadable_count: 3, ..Snapshot::default() };
        let problems = watch_problems(&watched);
        assert_eq!((problems.len(), problems[0].code), (1, Code::PATH_UNREADABLE));
        assert!(problems[0].detail.contains("/srv/x"));
    }
}

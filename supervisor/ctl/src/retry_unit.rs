//! One try to start a supervisor that has failed, by a unit of its own; the unit's timer makes the pauses. It looks first
//! whether somebody has decided otherwise, and begins nothing where that cannot be seen.
use std::path::Path;
use std::time::Duration;

use wbd_agent_api::program::{self, Output, Program};
use wbd_ledger::enter_in_journal;
use wbd_model::action::Class;
use wbd_model::hold::HoldRow;
use wbd_probes::{UnitState, shown_unit};

use crate::exit::{Ended, Exit, Failure};
use crate::{Context, waiver};

const SYSTEMCTL: &str = "/usr/bin/systemctl";
const UNIT: &str = "wbd-supervisord.service";
const TIMER: &str = "wbd-supervisord-retry.timer";
/// systemd answers within milliseconds; nothing here waits for a job.
const DEADLINE: Duration = Duration::from_secs(20);
const MOST_OUTPUT: usize = 16 << 10;
const NOTICE: &str = "5";

/// What becomes of this try.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// The supervisor is started.
    Start,
    /// Not now; why. The timer goes on.
    Later(String),
    /// No further try is made; why.
    End(&'static str),
}

/// Starts a supervisor that has failed, unless somebody has stopped, masked or disabled it, or holds actions back.
///
/// # Errors
/// systemd could not be asked, or said no.
pub(crate) fn run(context: &mut Context) -> Ended {
    let root = &context.root;
    let state = shown(root)?;
    let next = next(&state, &holds(root));
    let what = match &next {
        Next::Start => "the supervisor has failed; it is started once more".to_owned(),
        Next::Later(why) => format!("the supervisor has failed and is not started now: {why}"),
        Next::End(why) => format!("the supervisor is not started any more by {TIMER}: {why}"),
    };
    let entry = [
        ("MESSAGE", what),
        ("PRIORITY", NOTICE.to_owned()),
        ("SYSLOG_IDENTIFIER", "wbd-supervisord".to_owned()),
        ("WBD_CODE", "WBD-SUPERVISOR".to_owned()),
        ("WBD_TARGET", "host".to_owned()),
    ];
    // A journal that takes nothing is no reason to leave the supervisor dead.
    let _ = enter_in_journal(root, &entry);
    match next {
        Next::Start => {
            systemctl(root, &["reset-failed", UNIT])?;
            systemctl(root, &["start", "--no-block", UNIT])?;
        }
        Next::Later(_) => {}
        Next::End(_) => systemctl(root, &["stop", "--no-block", TIMER])?,
    }
    Ok(Exit::Done)
}

/// By the unit and by what people hold.
fn next(state: &UnitState, holds: &[HoldRow]) -> Next {
    if state.load == "masked" || state.file.starts_with("masked") {
        return Next::End("somebody has masked it");
    }
    if state.file == "disabled" {
        return Next::End("somebody has disabled it");
    }
    match state.active.as_str() {
        "failed" => {}
        "inactive" => return Next::End("somebody has stopped it, or has cleared its failure"),
        "activating" => return Next::Later("systemd is starting it".to_owned()),
        _ => return Next::End("it runs"),
    }
    // It is what starting an agent is, and starts agents in its turn.
    let held = holds.iter().find(|row| row.from_class <= Class::A2);
    held.map_or(Next::Start, |row| Next::Later(format!("actions are held {}", wbd_engine::guard::hold::words(row))))
}

/// A pause in a ledger that cannot be read is the supervisor's own to keep: with such a ledger it only observes.
fn holds(root: &Path) -> Vec<HoldRow> {
    let pauses = waiver::of_ledger(root).map(|(state, now)| waiver::pauses(&state, &now)).unwrap_or_default();
    waiver::holds(root, &pauses)
}

fn shown(root: &Path) -> Result<UnitState, Failure> {
    let shown = shown_unit(root, UNIT).map_err(|why| Failure::failed(format!("{UNIT} could not be seen: {why}")))?;
    let mut state = UnitState::default();
    for (name, value) in &shown {
        state.set(name, value);
    }
    Ok(state)
}

fn systemctl(root: &Path, args: &[&str]) -> Result<(), Failure> {
    let program = Program {
        path: root.join(SYSTEMCTL.trim_start_matches('/')),
        args: std::iter::once(&"--no-ask-password").chain(args).map(Into::into).collect(),
        env: vec![("LC_ALL".to_owned(), "C".to_owned())],
        deadline: DEADLINE,
        output: Output::Whole { most: MOST_OUTPUT },
    };
    let what = args.join(" ");
    let said = program::run(&program).map_err(|error| Failure::failed(format!("systemctl {what}: {error}")))?;
    if said.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&said.stderr).trim().to_owned();
    Err(Failure::failed(format!("systemctl {what} ended with {}: {words}", said.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(active: &str, file: &str) -> UnitState {
        UnitState { load: "loaded".into(), file: file.into(), active: active.into(), ..UnitState::default() }
    }

    fn hold(from_class: Class) -> HoldRow {
        HoldRow {
            who: "file /etc/wbd/hold".into(),
            why: "kernel upgrade".into(),
            from_class,
            until_wall_ms: None,
            file: Some("/etc/wbd/hold".into()),
            busy: None,
        }
    }

    #[test]
    fn only_a_failed_supervisor_that_nobody_has_taken_away_is_started() {
        assert_eq!(next(&unit("failed", "enabled"), &[]), Next::Start);
        // A masked unit's state may be either.
        let masked = UnitState { load: "masked".into(), ..unit("failed", "masked") };
        let ended = [
            (unit("active", "enabled"), "it runs"),
            (unit("reloading", "enabled"), "it runs"),
            (unit("inactive", "enabled"), "stopped"),
            (unit("failed", "disabled"), "disabled"),
            (unit("failed", "masked-runtime"), "masked"),
            (masked, "masked"),
        ];
        for (unit, words) in ended {
            let Next::End(why) = next(&unit, &[]) else { panic!("{unit:?}") };
            assert!(why.contains(words), "{why}");
        }
        assert!(matches!(next(&unit("activating", "enabled"), &[]), Next::Later(_)));
    }

    #[test]
    fn under_a_pause_or_a_hold_file_it_waits_unless_that_holds_greater_actions_only() {
        for class in [Class::A0, Class::A1, Class::A2] {
            let Next::Later(why) = next(&unit("failed", "enabled"), &[hold(class)]) else { panic!("{class}") };
            assert!(why.contains("file /etc/wbd/hold: kernel upgrade"), "{why}");
        }
        for class in [Class::A3, Class::A4] {
            assert_eq!(next(&unit("failed", "enabled"), &[hold(class)]), Next::Start, "{class}");
        }
    }

    #[test]
    fn hold_files_are_seen_without_a_ledger() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(holds(root.path()), []);
        std::fs::create_dir_all(root.path().join("etc/wbd")).unwrap();
        std::fs::write(root.path().join("etc/wbd/hold"), "").unwrap();
        assert_eq!(holds(root.path()).len(), 1);
    }

    #[test]
    fn a_service_manager_that_cannot_be_asked_is_no_leave_to_start() {
        let root = tempfile::tempdir().unwrap();
        let failure = shown(root.path()).unwrap_err();
        assert!(failure.exit == Exit::Failed && failure.message.contains("could not be seen"), "{}", failure.message);
    }
}

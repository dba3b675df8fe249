//! `service.state`: what the service manager says of the unit, and whether a stop was wanted; it asks for nothing to be
//! done.
use std::path::Path;

use wbd_agent_api::{StopNote, ThisBoot, paths, stop};
use wbd_model::observation::Observation;

use crate::bus::{self, UnitState};
use crate::clock;
use crate::runner::ProbeContext;

const FROM_MANAGER: [&str; 6] = ["active", "sub", "result", "restarts", "start_limit_hit", "masked"];

pub(crate) fn look(context: &ProbeContext, unit: Option<&str>) -> Observation {
    let note = stop_note(context, unit);
    let Some(name) = unit.filter(|_| bus::systemd_runs(context)) else { return observation(Manager::None, note) };
    match bus::units(context, &[name]).map(|mut units| units.pop()) {
        Ok(Some(unit)) => observation(Manager::Says(&unit), note),
        Ok(None) => observation(Manager::Silent("systemd answered for no unit"), note),
        Err(reason) => observation(Manager::Silent(&reason), note),
    }
}

/// What the service manager says.
#[derive(Debug, Clone, Copy)]
pub enum Manager<'a> {
    /// There is none.
    None,
    /// It could not be asked; the reason.
    Silent(&'a str),
    /// Its answer.
    Says(&'a UnitState),
}

/// `service.state` of wbd's agent for somebody who follows the unit himself.
#[must_use]
pub fn agent_service(root: &Path, manager: Manager<'_>) -> Observation {
    let boot = ThisBoot::now(Path::new("/proc"));
    observation(manager, stop::read(&paths::stop_note(root), &boot).map_err(|error| error.to_string()))
}

fn observation(manager: Manager<'_>, note: Result<Option<StopNote>, String>) -> Observation {
    let mut seen = Observation::default();
    match note {
        Ok(note) => {
            seen.know("stop_noted", note.is_some());
            match &note {
                Some(note) => seen.know("stop_age_s", age_s(note)),
                None => seen.miss("stop_age_s", "nobody stopped it"),
            };
            seen.know("stop_by", note.map(by).unwrap_or_default());
        }
        Err(reason) => {
            seen.miss("stop_noted", reason.clone()).miss("stop_by", reason.clone()).miss("stop_age_s", reason);
        }
    }
    match manager {
        Manager::None => without_manager(&mut seen),
        Manager::Silent(reason) => unseen(&mut seen, reason),
        Manager::Says(unit) => describe(unit, &mut seen),
    }
    seen
}

/// The note tells of wbd's agent only; nobody writes one for another product's unit.
fn stop_note(context: &ProbeContext, unit: Option<&str>) -> Result<Option<StopNote>, String> {
    if unit.is_some_and(|unit| unit != paths::UNIT) {
        return Ok(None);
    }
    let boot = ThisBoot::now(context.proc());
    stop::read(&paths::stop_note(context.root()), &boot).map_err(|error| error.to_string())
}

fn age_s(note: &StopNote) -> i64 {
    let age_ms = clock::now().boot_ms.saturating_sub(note.at_ms);
    i64::try_from(age_ms / 1_000).unwrap_or(i64::MAX)
}

fn by(note: StopNote) -> String {
    let reason = match note.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!("{} (uid {}){reason}", note.who, note.uid)
}

fn without_manager(seen: &mut Observation) {
    for field in ["manager", "active", "sub", "result"] {
        seen.know(field, "none");
    }
    seen.know("restarts", 0).know("start_limit_hit", false).know("masked", false);
}

fn unseen(seen: &mut Observation, reason: &str) {
    for field in FROM_MANAGER {
        seen.miss(field, reason);
    }
    // That there is a systemd is seen without asking it.
    seen.know("manager", "systemd");
}

fn describe(unit: &UnitState, seen: &mut Observation) {
    seen.know("manager", "systemd")
        .know("active", unit.active.clone())
        .know("sub", unit.sub.clone())
        .know("result", unit.result.clone())
        .know("restarts", i64::from(unit.restarts))
        .know("start_limit_hit", gave_up(unit))
        .know("masked", masked(unit));
}

/// systemd keeps the result of the crash when the start limit stops a crash loop, and says
/// start-limit-hit only where the last run ended well. A failed unit that its own Restart= should
/// have brought back is one that systemd gave up.
fn gave_up(unit: &UnitState) -> bool {
    if unit.result == "start-limit-hit" {
        return true;
    }
    let by_signal = matches!(unit.result.as_str(), "signal" | "core-dump" | "oom-kill");
    let by_time = matches!(unit.result.as_str(), "timeout" | "watchdog");
    let covered = match unit.restart.as_str() {
        "always" | "on-failure" => true,
        "on-abnormal" => by_signal || by_time,
        "on-abort" => by_signal,
        "on-watchdog" => unit.result == "watchdog",
        _ => false,
    };
    let tried = unit.restarts > 0 || unit.burst == 1;
    unit.active == "failed" && unit.sub == "failed" && covered && tried
}

/// Disabled counts only while nobody started it: who does so in spite of that wants it to run. systemd forgets that a
/// unit ran once it is inactive, and remembers it of a failed one, so a crash of a disabled unit is still a failure.
fn masked(unit: &UnitState) -> bool {
    unit.load == "masked" || unit.file.starts_with("masked") || (unit.file == "disabled" && !unit.was_active)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, known, unknown};
    use wbd_agent_api::boottime_ms;
    use wbd_model::observation::Value;

    fn note(host: &Host, at_ms: u64) {
        host.file("run/wbd/x", "");
        let note = StopNote { who: "wbd_agent -s stop".into(), uid: 7, at_ms, reason: "upgrade".into() };
        stop::write(&paths::stop_note(host.root()), &note).unwrap();
    }

    #[test]
    fn without_systemd_there_is_no_manager_and_the_note_still_counts() {
        let host = Host::new();
        let seen = look(&host.context(), Some(paths::UNIT));
        for (field, value) in [
            ("manager", Value::from("none")),
            ("active", Value::from("none")),
            ("sub", Value::from("none")),
            ("result", Value::from("none")),
            ("restarts", Value::from(0)),
            ("start_limit_hit", Value::from(false)),
            ("masked", Value::from(false)),
            ("stop_noted", Value::from(false)),
            ("stop_by", Value::from("")),
        ] {
            assert_eq!(known(&seen, field), value, "{field}");
        }
        note(&host, boottime_ms());
        let seen = look(&host.context(), Some(paths::UNIT));
        assert_eq!(known(&seen, "stop_noted"), Value::from(true));
        assert_eq!(known(&seen, "stop_by"), Value::from("wbd_agent -s stop (uid 7): upgrade"));
        assert_eq!(known(&look(&host.context(), Some("other.service")), "stop_noted"), Value::from(false));
        note(&host, boottime_ms() + 60_000);
        assert_eq!(known(&look(&host.context(), None), "stop_noted"), Value::from(false));
    }

    #[test]
    fn a_broken_note_is_unknown() {
        let host = Host::new();
        host.file("run/wbd/agent.stop.json", "{");
        assert!(unknown(&look(&host.context(), None), "stop_noted").contains("stop note"));
    }

    #[test]
    fn a_unit_that_systemd_gave_up_is_told_from_one_that_it_will_restart() {
        let unit = |active: &str, sub: &str, result: &str, restart: &str, restarts: u32| UnitState {
            active: active.into(),
            sub: sub.into(),
            result: result.into(),
            restart: restart.into(),
            restarts,
            burst: 5,
            ..UnitState::default()
        };
        for (unit, expected) in [
            (unit("failed", "failed", "start-limit-hit", "no", 0), true),
            (unit("failed", "failed", "signal", "on-failure", 5), true),
            (unit("failed", "failed", "exit-code", "always", 5), true),
            (unit("failed", "failed", "exit-code", "on-abnormal", 5), false),
            (unit("failed", "failed", "signal", "no", 0), false),
            (unit("failed", "failed", "exit-code", "on-failure", 0), false),
            (unit("activating", "auto-restart", "signal", "on-failure", 4), false),
            (unit("inactive", "dead", "success", "on-failure", 4), false),
        ] {
            assert_eq!(gave_up(&unit), expected, "{unit:?}");
        }
    }

    #[test]
    fn masked_and_disabled_units_are_not_to_be_started() {
        let unit = |load: &str, file: &str, was_active| UnitState {
            load: load.into(),
            file: file.into(),
            was_active,
            ..UnitState::default()
        };
        for (unit, expected) in [
            (unit("masked", "masked", false), true),
            (unit("loaded", "masked-runtime", true), true),
            (unit("loaded", "disabled", false), true),
            (unit("loaded", "disabled", true), false),
            (unit("loaded", "enabled", false), false),
            (unit("loaded", "static", false), false),
        ] {
            assert_eq!(masked(&unit), expected, "{unit:?}");
        }
    }
}

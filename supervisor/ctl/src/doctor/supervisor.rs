//! Whether the supervisor runs: by its own answer, else by what the service manager says of its unit. Starts nothing.
use std::path::Path;

use wbd_model::check::Verdict;
use wbd_model::control::{SOCKET, Status};
use wbd_probes::{UnitState, shown_unit};

use crate::client::Unanswered;

use super::own::Own;

const CODE: &str = "WBD-SUPERVISOR";
const UNIT: &str = "wbd-supervisord.service";
const PROGRAM: &str = "usr/libexec/wbd/wbd-supervisord";
/// Starts a supervisor that has failed again and again.
const RETRY: &str = "wbd-supervisord-retry.timer";

/// What the service manager says of the supervisor's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unit {
    /// There is no service manager, or the root is not this host's.
    None,
    /// It could not be asked; the reason.
    Unseen(String),
    /// Its answer.
    Seen(Box<Life>),
}

/// How the unit is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Life {
    state: UnitState,
    /// Since when it has not run, as systemd writes it; empty: it has not run in this boot.
    since: String,
    /// A job waits for it.
    queued: bool,
    /// The service manager tries to start it again by itself.
    retried: bool,
}

/// Asks the service manager of this host. Blocks for some seconds at most.
pub(crate) fn look(root: &Path) -> Unit {
    if root != Path::new("/") || !root.join("run/systemd/system").is_dir() {
        return Unit::None;
    }
    let shown = match shown_unit(root, UNIT) {
        Ok(shown) => shown,
        Err(reason) => return Unit::Unseen(reason),
    };
    let mut life = Life::default();
    for (name, value) in &shown {
        life.state.set(name, value);
        let text = || <&str>::try_from(value).unwrap_or_default().to_owned();
        match name.as_str() {
            "InactiveEnterTimestamp" => life.since = without_weekday(&text()),
            "Job" => life.queued = !matches!(text().as_str(), "" | "0"),
            _ => {}
        }
    }
    let timer = shown_unit(root, RETRY).unwrap_or_default();
    life.retried =
        timer.iter().any(|(name, value)| name == "ActiveState" && <&str>::try_from(value).ok() == Some("active"));
    Unit::Seen(Box::new(life))
}

/// `Mon 2026-11-30 22:00:05 UTC` is told as the other moments of doctor are.
fn without_weekday(text: &str) -> String {
    match text.split_once(' ') {
        Some((_, rest)) if text.starts_with(|letter: char| letter.is_ascii_alphabetic()) => rest.to_owned(),
        Some(_) | None => text.to_owned(),
    }
}

/// Its check; `belongs`: this host has a supervisor.
pub(crate) fn judge(root: &Path, belongs: bool, status: &Result<Status, Unanswered>, unit: &Unit) -> Own {
    let unanswered = match status {
        Ok(_) => return Own::new(CODE, Verdict::Pass, "it answers"),
        Err(unanswered) => unanswered,
    };
    let silent = || match unanswered {
        Unanswered::NotPermitted(text) => Own::new(CODE, Verdict::Unknown, text.clone()),
        Unanswered::Unreachable(text) | Unanswered::Late(text) | Unanswered::Garbled(text) => {
            Own::new(CODE, Verdict::Warn, text.clone())
        }
    };
    match unit {
        Unit::Seen(life) if life.state.load != "not-found" => of_unit(life).unwrap_or_else(silent),
        Unit::Seen(_) if root.join(PROGRAM).is_file() => {
            dead(format!("the unit {UNIT} is gone, and its program is there; install the package again"))
        }
        Unit::Seen(_) | Unit::None => without_manager(root, belongs, unanswered).unwrap_or_else(silent),
        Unit::Unseen(reason) => silent().and(&format!("; its unit could not be seen: {reason}")),
    }
}

/// `None`: it runs, or is about to.
fn of_unit(life: &Life) -> Option<Own> {
    let state = &life.state;
    let is_masked = state.load == "masked" || state.file.starts_with("masked");
    let since = if life.since.is_empty() { String::new() } else { format!(" since {}", life.since) };
    let start = "systemctl start wbd-supervisord";
    match state.active.as_str() {
        "failed" => {
            let restarts = match state.restarts {
                0 => String::new(),
                1 => ", after 1 restart".to_owned(),
                many => format!(", after {many} restarts"),
            };
            let retried = if life.retried {
                format!("; {RETRY} tries again, after 1, 5, 15 and 60 minutes and then more rarely")
            } else {
                String::new()
            };
            Some(dead(format!("{UNIT} has failed{since} ({}{restarts}); nothing is healed{retried}", state.result)))
        }
        "inactive" if life.queued => Some(Own::new(CODE, Verdict::Warn, format!("{UNIT} is about to be started"))),
        "inactive" if is_masked => {
            let unmask = format!("systemctl unmask wbd-supervisord; {start}");
            Some(stopped(format!("{UNIT} is masked and does not run{since}"), &unmask))
        }
        "inactive" if state.file == "disabled" => {
            let enable = "systemctl enable --now wbd-supervisord";
            Some(stopped(format!("{UNIT} is disabled and does not run{since}"), enable))
        }
        // Its unit says Restart=always: nothing but a stop job leaves it inactive.
        "inactive" if !life.since.is_empty() => {
            Some(stopped(format!("{UNIT} was stopped by a stop job (systemctl stop){since}"), start))
        }
        "inactive" => Some(dead(format!("{UNIT} is {} and was not started in this boot", state.file))),
        "activating" if state.sub == "auto-restart" => {
            Some(Own::new(CODE, Verdict::Warn, format!("{UNIT} ended{since}; systemd starts it again in a moment")))
        }
        _ => None,
    }
}

/// Nobody can be asked: a supervisor that ends in order takes its socket away. `None`: that tells nothing.
fn without_manager(root: &Path, belongs: bool, unanswered: &Unanswered) -> Option<Own> {
    match unanswered {
        Unanswered::Unreachable(_) if !belongs => {
            Some(Own::new(CODE, Verdict::Skip, format!("no supervisor is installed under {}", root.display())))
        }
        Unanswered::Unreachable(text) if root.join(SOCKET).symlink_metadata().is_ok() => {
            Some(dead(format!("it has vanished: nobody listens on its socket, which it has not taken away; {text}")))
        }
        Unanswered::Unreachable(_) | Unanswered::NotPermitted(_) | Unanswered::Late(_) | Unanswered::Garbled(_) => None,
    }
}

fn dead(reason: String) -> Own {
    Own::new(CODE, Verdict::Fail, reason).titled("The supervisor is dead, and nothing is healed")
}

/// By somebody's word; `ends`: the command that takes it back.
fn stopped(reason: String, ends: &str) -> Own {
    let guide = vec![format!("Start it: {ends}"), "See that it answers: wbdctl status".to_owned()];
    Own::new(CODE, Verdict::Warn, reason).titled("The supervisor was stopped, and nothing is healed").guided(guide)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(active: &str, file: &str, since: &str) -> Life {
        let state = UnitState {
            load: "loaded".into(),
            file: file.into(),
            active: active.into(),
            sub: "dead".into(),
            result: "success".into(),
            ..UnitState::default()
        };
        Life { state, since: since.into(), queued: false, retried: false }
    }

    fn said(life: Life) -> Own {
        let unreachable = Err(Unanswered::Unreachable("nobody listens".into()));
        judge(Path::new("/nowhere"), true, &unreachable, &Unit::Seen(Box::new(life)))
    }

    #[test]
    fn dead_is_critical_and_stopped_by_somebody_is_a_warning_with_the_command_that_ends_it() {
        const SINCE: &str = "2026-11-30 22:00:05 UTC";
        let masked = |life: Life| Life { state: UnitState { load: "masked".into(), ..life.state }, ..life };
        let queued = |life: Life| Life { queued: true, ..life };
        let table = [
            (life("failed", "enabled", SINCE), Verdict::Fail, "has failed since 2026-11-30 22:00:05 UTC"),
            (life("failed", "disabled", SINCE), Verdict::Fail, "has failed"),
            (life("inactive", "enabled", ""), Verdict::Fail, "is enabled and was not started in this boot"),
            (life("inactive", "enabled", SINCE), Verdict::Warn, "was stopped by a stop job"),
            (life("inactive", "disabled", ""), Verdict::Warn, "is disabled"),
            (masked(life("inactive", "masked", SINCE)), Verdict::Warn, "is masked"),
            (queued(life("inactive", "enabled", "")), Verdict::Warn, "is about to be started"),
            // It runs and does not answer: its watchdog is the service manager's.
            (life("active", "enabled", ""), Verdict::Warn, "nobody listens"),
            (life("activating", "enabled", ""), Verdict::Warn, "nobody listens"),
        ];
        for (life, verdict, words) in table {
            let own = said(life.clone());
            assert!(own.verdict() == verdict && own.reason().contains(words), "{life:?}: {own:?}");
        }
        let commands = [
            (life("inactive", "enabled", SINCE), "systemctl start wbd-supervisord"),
            (life("inactive", "disabled", SINCE), "systemctl enable --now wbd-supervisord"),
            (masked(life("inactive", "masked", SINCE)), "systemctl unmask wbd-supervisord"),
        ];
        for (life, command) in commands {
            let cause = said(life).cause().unwrap();
            assert!(cause.guide[0].contains(command), "{:?}", cause.guide);
            assert!(cause.title.contains("stopped"), "{}", cause.title);
        }
        let failed = said(life("failed", "enabled", SINCE)).cause().unwrap();
        assert!(failed.title.contains("dead") && failed.guide.len() > 2, "{failed:?}");
    }

    #[test]
    fn a_failed_unit_says_why_how_often_and_whether_it_is_tried_again() {
        let failed = life("failed", "enabled", "");
        let state = UnitState { result: "signal".into(), restarts: 5, ..failed.state.clone() };
        let own = said(Life { state, retried: true, ..failed });
        let words = "has failed (signal, after 5 restarts); nothing is healed; wbd-supervisord-retry.timer tries again";
        assert!(own.reason().contains(words), "{}", own.reason());
        let restarting = UnitState { sub: "auto-restart".into(), ..life("activating", "enabled", "").state };
        let own = said(Life { state: restarting, ..Life::default() });
        assert!(own.verdict() == Verdict::Warn && own.reason().contains("starts it again"), "{own:?}");
    }

    #[test]
    fn without_a_service_manager_a_socket_that_is_left_tells_of_a_death_and_none_does_not() {
        let root = tempfile::tempdir().unwrap();
        let silent = Err(Unanswered::Unreachable("nobody listens".into()));
        let judged = |belongs| judge(root.path(), belongs, &silent, &Unit::None);
        assert_eq!(judged(false).verdict(), Verdict::Skip);
        assert_eq!(judged(true).verdict(), Verdict::Warn);
        std::fs::create_dir_all(root.path().join("run/wbd")).unwrap();
        std::fs::write(root.path().join(SOCKET), "").unwrap();
        assert_eq!(judged(true).verdict(), Verdict::Fail);
        let late = judge(root.path(), true, &Err(Unanswered::Late("late".into())), &Unit::None);
        assert_eq!(late.verdict(), Verdict::Warn, "somebody listens");
        // A unit that is gone tells as little, unless its program is there.
        let gone = Unit::Seen(Box::new(Life {
            state: UnitState { load: "not-found".into(), active: "inactive".into(), ..UnitState::default() },
            ..Life::default()
        }));
        std::fs::remove_file(root.path().join(SOCKET)).unwrap();
        assert_eq!(judge(root.path(), true, &silent, &gone).verdict(), Verdict::Warn);
        std::fs::create_dir_all(root.path().join("usr/libexec/wbd")).unwrap();
        std::fs::write(root.path().join(PROGRAM), "").unwrap();
        assert_eq!(judge(root.path(), true, &silent, &gone).verdict(), Verdict::Fail);
    }

    #[test]
    fn what_the_manager_does_not_say_is_no_death() {
        let silent = Err(Unanswered::Unreachable("nobody listens".into()));
        let own = judge(Path::new("/nowhere"), true, &silent, &Unit::Unseen("no bus".into()));
        assert!(own.verdict() == Verdict::Warn && own.reason().contains("no bus"), "{own:?}");
        assert_eq!(look(Path::new("/nowhere")), Unit::None);
    }

    #[test]
    fn a_moment_is_told_without_its_weekday() {
        assert_eq!(without_weekday("Mon 2026-11-30 22:00:05 UTC"), "2026-11-30 22:00:05 UTC");
        assert_eq!(without_weekday(""), "");
        assert_eq!(without_weekday("2026-11-30 22:00:05 UTC"), "2026-11-30 22:00:05 UTC");
    }
}

//! Asking `wbdctl` for JSON and finding things in the answer; it holds no expectation of its own.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::exec::{self, Ran};
use crate::host::Host;
use crate::places;

/// `doctor` looks at everything once, slow name servers included.
const DEADLINE: Duration = Duration::from_secs(60);

/// What `wbdctl ... -o json` said.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Exit code.
    pub code: i32,
    /// The one document on standard output.
    pub json: Value,
}

impl Answer {
    /// # Panics
    /// When a signal ended the program, standard output is not one JSON document, or it is not of schema 1.
    #[must_use]
    pub fn of(ran: &Ran) -> Self {
        let json: Value =
            serde_json::from_slice(&ran.stdout).unwrap_or_else(|why| panic!("not JSON ({why}): {}", ran.report()));
        assert_eq!(json["schema"], 1, "{}", ran.report());
        let code = ran.code.unwrap_or_else(|| panic!("{}", ran.report()));
        Self { code, json }
    }

    /// Doctor's causes, but that detection is off by decision: most scenarios need no target.
    #[must_use]
    pub fn wrong(&self) -> Vec<&Value> {
        let by_decision = |cause: &Value| cause["code"] == "WBD-PROTECTION" && cause["severity"] == "warn";
        self.list("causes").iter().filter(|cause| !by_decision(cause)).collect()
    }

    /// Whether doctor finds nothing wrong.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.wrong().is_empty() && self.code <= 1
    }

    /// Whether doctor finds nothing wrong and could not see something.
    #[must_use]
    pub fn is_unseen(&self) -> bool {
        let unseen = self.list("checks").iter().any(|check| check["verdict"] == "unknown");
        unseen && self.wrong().is_empty() && matches!(self.code, 1 | 3)
    }

    /// Doctor's cause with this code, if it names it.
    #[must_use]
    pub fn cause(&self, code: &str) -> Option<&Value> {
        self.list("causes").iter().find(|cause| cause["code"] == code)
    }

    /// Doctor's checks with this code.
    #[must_use]
    pub fn checks(&self, code: &str) -> Vec<&Value> {
        let all = self.list("checks").iter();
        all.filter(|check| check["code"] == code).collect()
    }

    /// The ledger's entries of this kind, oldest first; all of them for the kind `""`.
    #[must_use]
    pub fn entries(&self, kind: &str) -> Vec<&Value> {
        let all = self.list("entries").iter();
        all.filter(|entry| kind.is_empty() || entry["kind"] == kind).collect()
    }

    /// The list under `key`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn list(&self, key: &str) -> &[Value] {
        self.json[key].as_array().unwrap_or_else(|| panic!("no list \"{key}\" in {}", self.json))
    }
}

/// Runs `wbdctl ARGS -o json` in a host.
///
/// # Panics
/// As [`Answer::of`].
#[must_use]
pub fn wbdctl<S: AsRef<OsStr>>(host: &Host, args: impl IntoIterator<Item = S>) -> Answer {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let argv = ["/usr/bin/wbdctl", "-o", "json"].map(Into::into);
    Answer::of(&host.run(argv.into_iter().chain(args)))
}

/// Runs `wbdctl ARGS -o json` of a host as [`Host::run_on_its_files`] does: for its ledger.
///
/// # Panics
/// As [`Answer::of`].
#[must_use]
#[track_caller]
pub fn wbdctl_on_files<S: AsRef<OsStr>>(host: &Host, args: impl IntoIterator<Item = S>) -> Answer {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let argv = ["/usr/bin/wbdctl", "-o", "json"].map(Into::into);
    Answer::of(&host.run_on_its_files(argv.into_iter().chain(args)))
}

/// Runs the built `wbdctl --root ROOT ARGS -o json` on this machine.
///
/// # Panics
/// As [`Answer::of`].
#[must_use]
pub fn wbdctl_at<S: AsRef<OsStr>>(root: &Path, args: impl IntoIterator<Item = S>) -> Answer {
    let mut ctl = Command::new(places::program("wbdctl"));
    ctl.arg("--root").arg(root).args(["-o", "json"]).args(args);
    Answer::of(&exec::run(&mut ctl, b"", DEADLINE))
}

/// Whether the supervisor whose status this is has looked at the failure `code` within the last `open`, on every target.
///
/// # Errors
/// It has not; what it says of its looks.
pub fn looked_within(status: &Value, code: &str, open: Duration) -> Result<(), String> {
    let checks = status["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_code: Vec<_> = checks.iter().filter(|check| check["code"] == code).collect();
    let fresh = |check: &&&Value| check["age_ms"].as_u64().is_some_and(|age| u128::from(age) < open.as_millis());
    let is_fresh = !of_code.is_empty() && of_code.iter().filter(fresh).count() == of_code.len();
    is_fresh.then_some(()).ok_or_else(|| format!("{code} was not looked at within {open:?}: {checks:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_causes_and_entries() {
        let json = serde_json::json!({
            "causes": [{"code": "WBD-5404"}],
            "checks": [],
            "entries": [{"kind": "intent", "seq": 1}, {"kind": "outcome", "seq": 2}],
        });
        let answer = Answer { code: 2, json };
        assert!(answer.cause("WBD-5404").is_some() && answer.cause("WBD-6007").is_none());
        assert_eq!(answer.entries("intent").len(), 1);
        assert_eq!(answer.entries("").len(), 2);
        assert!(answer.checks("WBD-5404").is_empty());
    }

    #[test]
    fn a_look_counts_when_it_began_in_time_on_every_target() {
        let status = serde_json::json!({"checks": [
            {"code": "A-1", "target": "x", "age_ms": 100}, {"code": "A-1", "target": "y", "age_ms": 900},
            {"code": "B-1", "target": "x", "age_ms": 100},
        ]});
        let looked = |code: &str, ms: u64| looked_within(&status, code, Duration::from_millis(ms)).is_ok();
        assert!(looked("A-1", 901) && !looked("A-1", 900) && looked("B-1", 101));
        assert!(!looked("C-1", 10_000), "nobody looks at what is no check");
    }
}

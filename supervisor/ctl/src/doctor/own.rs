//! wbd's own checks: supervisor, ledger, settings, and whether there is anything to check with. Heals nothing.
use std::path::Path;

use wbd_engine::guard::hold;
use wbd_ledger::{LedgerError, Verification};
use wbd_model::check::Verdict;
use wbd_model::control::Status;
use wbd_model::hold::HoldRow;
use wbd_model::name::{Code, TargetName};
use wbd_model::problem::Problem;
use wbd_model::report::{Cause, CheckRow};
use wbd_probes::programs::Finding;

use crate::client::Unanswered;
use crate::{catalogue, host};

/// A check of wbd itself with its cause, where it found one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Own {
    code: &'static str,
    verdict: Verdict,
    reason: String,
    /// Instead of the catalogue's.
    title: Option<&'static str>,
    /// Instead of the catalogue's, if there are any.
    guide: Vec<String>,
    /// Codes of wbd's own checks that it makes fail.
    explains: Vec<&'static str>,
}

impl Own {
    pub(super) fn new(code: &'static str, verdict: Verdict, reason: impl Into<String>) -> Self {
        let (title, guide, explains) = (None, Vec::new(), Vec::new());
        Self { code, verdict, reason: reason.into(), title, guide, explains }
    }

    /// With more to tell.
    pub(super) fn and(self, more: &str) -> Self {
        Self { reason: format!("{}{more}", self.reason), ..self }
    }

    /// Under another title than the catalogue's.
    pub(super) fn titled(self, title: &'static str) -> Self {
        Self { title: Some(title), ..self }
    }

    /// With other steps than the catalogue's.
    pub(super) fn guided(self, guide: Vec<String>) -> Self {
        Self { guide, ..self }
    }

    /// What it says.
    pub(super) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Why.
    #[cfg(test)]
    pub(super) fn reason(&self) -> &str {
        &self.reason
    }

    /// Its row; `None` only if its code were none.
    pub(crate) fn row(&self, duration_ms: u64) -> Option<CheckRow> {
        Some(CheckRow {
            code: Code::new(self.code).ok()?,
            target: TargetName::new("host").ok()?,
            verdict: self.verdict,
            reason: self.reason.clone(),
            duration_ms,
            unclear: false,
        })
    }

    /// Its cause, where there is something to tell; words and steps come from the catalogue.
    pub(crate) fn cause(&self) -> Option<Cause> {
        if !matches!(self.verdict, Verdict::Fail | Verdict::Warn) {
            return None;
        }
        let explained = catalogue::rows().ok()?.into_iter().find(|row| row.code.as_str() == self.code)?;
        Some(Cause {
            code: explained.code,
            severity: self.verdict,
            target: TargetName::new("host").ok()?,
            group: None,
            title: self.title.map_or(explained.title, str::to_owned),
            claim: String::new(),
            evidence: vec![self.reason.clone()],
            seen: Vec::new(),
            explains: self.explains.iter().filter_map(|code| Code::new(*code).ok()).collect(),
            incident: None,
            fix: None,
            guide: if self.guide.is_empty() { explained.guide } else { self.guide.clone() },
        })
    }
}

/// May it act, as far as its ledger goes? Without an answer that is the supervisor's own check.
pub(crate) fn degraded(status: &Result<Status, Unanswered>) -> Option<Own> {
    const CODE: &str = "WBD-DEGRADED";
    let status = status.as_ref().ok()?;
    Some(match &status.degraded {
        None => Own::new(CODE, Verdict::Pass, "its ledger can be used"),
        Some(why) => Own::new(CODE, Verdict::Warn, format!("it only observes: {why}")),
    })
}

/// Does a person hold actions back? What the host is busy with ends by itself, and is worth a look when it lasts.
pub(crate) fn held(holds: &[HoldRow]) -> Own {
    const CODE: &str = "WBD-HOLD";
    if holds.is_empty() {
        return Own::new(CODE, Verdict::Pass, "no hold is set");
    }
    let told: Vec<String> =
        holds.iter().map(|row| format!("held {}; {}", hold::words(row), hold::lifts(row))).collect();
    let is_passing = |row: &HoldRow| row.busy.as_ref().is_some_and(|busy| !busy.overdue);
    let verdict = if holds.iter().all(is_passing) { Verdict::Pass } else { Verdict::Warn };
    Own::new(CODE, verdict, told.join("; "))
}

/// Could a person be told where one is needed? Without an answer that is the supervisor's own check.
pub(crate) fn escalation(status: &Result<Status, Unanswered>) -> Option<Own> {
    const CODE: &str = "WBD-ESCALATION";
    let status = status.as_ref().ok()?;
    let failing = status.untold.iter().filter(|row| row.tries > 0).count();
    Some(if failing == 0 && status.untold_dropped == 0 {
        Own::new(CODE, Verdict::Pass, "no notification waits")
    } else {
        Own::new(CODE, Verdict::Warn, crate::status::untold(status).join("; "))
    })
}

/// Does the ledger verify? Where this user may not read it, the supervisor's word stands.
pub(crate) fn ledger(verified: Option<Result<Verification, LedgerError>>, status: Option<&Status>) -> Own {
    const CODE: &str = "WBD-LEDGER";
    match verified {
        None => Own::new(CODE, Verdict::Unknown, "verifying takes longer than a check may; run wbdctl ledger verify"),
        Some(Ok(Verification { problem: None, unread: Some(why), entries, .. })) => Own::new(
            CODE,
            Verdict::Unknown,
            format!(
                "{entries} records verified; the journal could not be read, so wbd cannot tell whether records at the end are missing: {why}"
            ),
        ),
        Some(Ok(Verification { problem: None, unread: None, entries, .. })) => {
            Own::new(CODE, Verdict::Pass, format!("{entries} records verified"))
        }
        Some(Ok(Verification { problem: Some(bad), entries, .. })) => Own::new(
            CODE,
            Verdict::Fail,
            format!("record {}: {} ({entries} records before it are good)", bad.seq, bad.what),
        ),
        Some(Err(LedgerError::NotThere { .. })) => Own::new(CODE, Verdict::Skip, "there is no ledger yet"),
        Some(Err(error @ LedgerError::Denied { .. })) => match status {
            Some(status) if status.degraded.is_none() => Own::new(
                CODE,
                Verdict::Pass,
                format!("only root can verify it; the supervisor uses it ({} records)", status.ledger_seq),
            ),
            Some(_) | None => Own::new(CODE, Verdict::Unknown, error.to_string()),
        },
        Some(Err(error @ (LedgerError::DoesNotVerify { .. } | LedgerError::ForeignHost { .. }))) => {
            Own::new(CODE, Verdict::Fail, error.to_string())
        }
        Some(Err(
            error @ (LedgerError::LockHeld { .. }
            | LedgerError::DiskFull { .. }
            | LedgerError::ReadOnly { .. }
            | LedgerError::Busy { .. }
            | LedgerError::Replaced { .. }
            | LedgerError::Unusable { .. }
            | LedgerError::Io { .. }
            | LedgerError::Database { .. }
            | LedgerError::IntentWithoutPermit
            | LedgerError::TooLarge { .. }
            | LedgerError::Encode { .. }
            | LedgerError::Reserve { .. }),
        )) => Own::new(CODE, Verdict::Unknown, error.to_string()),
    }
}

/// Can the settings be used? A supervisor that runs goes on with its old ones; one that is `dead` does not come back
/// with these.
pub(crate) fn settings(problems: &[Problem], dead: bool) -> Own {
    const CODE: &str = "WBD-SETTINGS";
    let Some((first, rest)) = problems.split_first() else { return Own::new(CODE, Verdict::Pass, "good") };
    let more = if rest.is_empty() { String::new() } else { format!("; {} more", rest.len()) };
    let told = format!("{}{more}", first.brief());
    if dead {
        let explains = vec!["WBD-SUPERVISOR"];
        return Own { explains, ..Own::new(CODE, Verdict::Fail, told) };
    }
    Own::new(CODE, Verdict::Warn, told)
}

/// Does everything in the settings and in files that load count? `None` where it does.
pub(crate) fn lint(warnings: &[Problem]) -> Option<Own> {
    let (first, rest) = warnings.split_first()?;
    let more = if rest.is_empty() { String::new() } else { format!("; {} more", rest.len()) };
    Some(Own::new("WBD-LINT", Verdict::Warn, format!("{}{more}", first.brief())))
}

/// They could not be read in time.
pub(crate) fn settings_unread(why: &str) -> Own {
    Own::new("WBD-SETTINGS", Verdict::Unknown, why)
}

/// The same of the playbooks: then nothing was checked from here.
pub(crate) fn playbooks_unread(why: &str) -> Option<Own> {
    Some(Own::new("WBD-PLAYBOOK", Verdict::Unknown, format!("nothing was checked from here: {why}")))
}

/// Could somebody else exchange a program that wbd runs or goes by? `None` where none is named.
pub(crate) fn programs(findings: &[Finding]) -> Own {
    const CODE: &str = "WBD-PROGRAM";
    if findings.is_empty() {
        return Own::new(CODE, Verdict::Pass, "only root may write the programs that profiles and settings name");
    }
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Own::new(CODE, Verdict::Warn, told.join("; "))
}

/// Is there anything to check with?
pub(crate) fn playbooks(root: &Path, loaded: usize) -> Option<Own> {
    let folder = host::playbook_folder(root);
    (loaded == 0).then(|| {
        Own::new(
            "WBD-PLAYBOOK",
            Verdict::Unknown,
            format!("there are no playbooks in {}: nothing was checked", folder.display()),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use wbd_ledger::{AnchorState, BadRecord};

    use super::*;
    use crate::client::Unanswered;
    use crate::doctor::supervisor::{self, Unit};

    fn verification(problem: Option<BadRecord>) -> Result<Verification, LedgerError> {
        Ok(Verification { entries: 6, head: None, problem, anchor: AnchorState::None, unread: None, took_ms: 1 })
    }

    #[test]
    fn a_bad_ledger_is_a_failure_with_the_way_on() {
        let own = ledger(Some(verification(Some(BadRecord { seq: 7, what: "changed".into() }))), None);
        assert_eq!(own.verdict, Verdict::Fail);
        let cause = own.cause().unwrap();
        assert!(cause.evidence[0].contains("record 7"), "{:?}", cause.evidence);
        assert!(cause.guide.iter().any(|step| step.contains("wbdctl ledger rotate --reason")), "{:?}", cause.guide);
    }

    #[test]
    fn what_could_not_be_read_is_neither_good_nor_bad() {
        let denied = || LedgerError::Denied { operation: "read", path: PathBuf::from("/l") };
        assert_eq!(ledger(Some(Err(denied())), None).verdict, Verdict::Unknown);
        assert_eq!(ledger(None, None).verdict, Verdict::Unknown);
        assert_eq!(ledger(Some(Err(LedgerError::NotThere { path: PathBuf::from("/l") })), None).verdict, Verdict::Skip);
        assert_eq!(ledger(Some(verification(None)), None).verdict, Verdict::Pass);
        let unread = Verification { unread: Some("it hangs".to_owned()), ..verification(None).unwrap() };
        let own = ledger(Some(Ok(unread)), None);
        assert!(own.verdict == Verdict::Unknown && own.reason.contains("it hangs"), "{own:?}");
    }

    #[test]
    fn broken_settings_are_a_failure_where_a_dead_supervisor_does_not_start_with_them() {
        let problem = |message: &str| Problem {
            file: "/etc/wbd/wbd.yaml".into(),
            line: 1,
            column: 1,
            message: message.into(),
            text: String::new(),
            hint: None,
        };
        let problems = [problem("one"), problem("two")];
        let (runs, dead) = (settings(&problems, false), settings(&problems, true));
        assert_eq!((runs.verdict, dead.verdict), (Verdict::Warn, Verdict::Fail));
        let explains = |own: &Own| own.cause().unwrap().explains.len();
        assert_eq!((explains(&runs), explains(&dead)), (0, 1));
        assert_eq!(settings(&[], true).verdict, Verdict::Pass);
    }

    #[test]
    fn a_supervisor_that_answers_and_only_observes_is_not_said_to_be_silent() {
        let full = crate::status::testing::status();
        let why = full.degraded.clone().unwrap();
        let well = Status { degraded: None, ..full.clone() };
        let says = |status: &Status| {
            let status = Ok(status.clone());
            (supervisor::judge(Path::new("/nowhere"), true, &status, &Unit::None).verdict, degraded(&status).unwrap())
        };
        let (answers, observes) = says(&full);
        assert_eq!((answers, observes.verdict), (Verdict::Pass, Verdict::Warn));
        let cause = observes.cause().unwrap();
        assert!(cause.title.contains("only observes") && cause.evidence[0].contains(&why), "{cause:?}");
        assert!(!cause.guide.iter().any(|step| step.contains("systemctl start")), "{:?}", cause.guide);
        let (answers, acts) = says(&well);
        assert_eq!((answers, acts.verdict), (Verdict::Pass, Verdict::Pass));
        assert!(degraded(&Err(Unanswered::Late("late".into()))).is_none());
    }

    #[test]
    fn a_hold_is_a_warning_that_names_who_holds_and_what_lifts_it() {
        let row = HoldRow {
            who: "root".into(),
            why: "kernel update".into(),
            from_class: wbd_model::action::Class::A1,
            until_wall_ms: None,
            file: None,
            busy: None,
        };
        let file = HoldRow { file: Some("/etc/wbd/hold".into()), ..row.clone() };
        let own = held(&[row, file]);
        assert_eq!(own.verdict, Verdict::Warn);
        for words in ["by root: kernel update", "wbdctl resume lifts it", "remove /etc/wbd/hold to lift it"] {
            assert!(own.reason.contains(words), "{}", own.reason);
        }
        assert_eq!(held(&[]).verdict, Verdict::Pass);
    }

    #[test]
    fn a_busy_host_is_nobodys_word_and_a_warning_only_where_it_lasts() {
        use wbd_model::hold::{Busy, HostBusy};
        let row = |overdue| HoldRow {
            who: "apt (process 77)".into(),
            why: "packages are being changed".into(),
            from_class: wbd_model::action::Class::A0,
            until_wall_ms: None,
            file: Some("packages".into()),
            busy: Some(HostBusy { with: Busy::Packages, overdue }),
        };
        let own = held(&[row(false)]);
        assert_eq!(own.verdict, Verdict::Pass);
        assert!(own.reason.contains("by apt (process 77)") && own.reason.contains("by itself"), "{}", own.reason);
        assert!(!own.reason.contains("remove"), "{}", own.reason);
        assert_eq!(held(&[row(false), row(true)]).verdict, Verdict::Warn);
    }

    #[test]
    fn every_own_code_can_be_explained() {
        let rows = catalogue::rows().unwrap();
        for code in [
            "WBD-SUPERVISOR",
            "WBD-DEGRADED",
            "WBD-ESCALATION",
            "WBD-HOLD",
            "WBD-LEDGER",
            "WBD-SETTINGS",
            "WBD-PLAYBOOK",
            "WBD-PROFILE",
            "WBD-PROGRAM",
            "WBD-LINT",
        ] {
            assert!(rows.iter().any(|row| row.code.as_str() == code), "{code}");
        }
    }
}

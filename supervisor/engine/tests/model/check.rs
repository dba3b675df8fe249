//! A check of the model: what its playbook says for each thing that may be seen. Has no state.
use std::collections::BTreeSet;

use wbd_engine::judge::Verification;
use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_model::action::{Action, Class, CommandRun, SysctlSet, UnitRestart};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::plan::Attempts;
use wbd_model::plan::{Approval, Plan};
use wbd_model::profile::{Command, Duration};

/// What a look shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sight {
    Pass,
    Fail,
    Unknown,
    /// The check is not there any more.
    Gone,
}

/// All that is done for this failure is of the agent's share of the budget.
pub(crate) const AGENT_DOWN: &str = "WBD-6007";

const SIGHTS: [Sight; 4] = [Sight::Pass, Sight::Fail, Sight::Unknown, Sight::Gone];

/// A check and the rungs of its playbook.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) snapshot: CheckSnapshot,
    rungs: Vec<Plan>,
}

impl Check {
    /// Opened at the first look, verified at the first look, or not within 5 s; as many attempts as `max`.
    pub(crate) fn new(code: &str, playbook: &str, max: u32) -> Self {
        let snapshot = CheckSnapshot {
            key: CheckKey { code: Code::new(code).unwrap(), target: TargetName::new("wbd").unwrap() },
            playbook: PlaybookName::new(playbook).unwrap(),
            digest: "d".to_owned(),
            verdict: Verdict::Pass,
            case: None,
            hold_ms: 0,
            evidence: Vec::new(),
            seen: [("toy".to_owned(), Observation::default())].into(),
            ladder: Vec::new(),
            windows: std::collections::BTreeMap::new(),
            ladder_unknown: None,
            cured: Verification::Failed,
            within_ms: 5_000,
            verify_hold_ms: 0,
            attempts: Attempts { max, per_ms: 3_600_000, backoff_from_ms: 5_000, backoff_to_ms: 5_000 },
            cause: None,
            guide: Vec::new(),
        };
        Self { snapshot, rungs: Vec::new() }
    }

    /// Of another product, or of the host; said before its rungs.
    pub(crate) fn of(mut self, target: &str) -> Self {
        self.snapshot.key.target = TargetName::new(target).unwrap();
        self
    }

    pub(crate) fn rung(mut self, approval: Approval, steps: &[Action]) -> Self {
        let rung = self.rungs.len();
        self.rungs.push(Plan {
            code: self.snapshot.key.code.clone(),
            target: self.snapshot.key.target.clone(),
            playbook: self.snapshot.playbook.clone(),
            digest: self.snapshot.digest.clone(),
            rung,
            rung_id: String::new(),
            approval,
            steps: steps.to_vec(),
        });
        self
    }

    pub(crate) fn auto(self, steps: &[Action]) -> Self {
        self.rung(Approval::Auto, steps)
    }

    /// The fault must be seen this long, and its absence too.
    pub(crate) fn held_for(mut self, ms: u64) -> Self {
        (self.snapshot.hold_ms, self.snapshot.verify_hold_ms) = (ms, ms);
        self
    }

    fn seen_as(&self, sight: Sight, cause: Option<CheckKey>) -> Option<CheckSnapshot> {
        let (verdict, cured) = match sight {
            Sight::Pass => (Verdict::Pass, Verification::Passed),
            Sight::Fail => (Verdict::Fail, Verification::Failed),
            Sight::Unknown => (Verdict::Unknown, Verification::Unknown(String::new())),
            Sight::Gone => return None,
        };
        let fails = sight == Sight::Fail;
        let ladder = if fails { self.rungs.clone() } else { Vec::new() };
        let case = fails.then(|| "broken".to_owned());
        Some(CheckSnapshot { verdict, cured, ladder, case, cause: cause.filter(|_| fails), ..self.snapshot.clone() })
    }
}

/// Everything that can be seen of all checks at one moment, made beforehand: looks and known checks.
#[derive(Debug)]
pub(crate) struct Views(Vec<(Vec<CheckSnapshot>, BTreeSet<CheckKey>)>);

impl Views {
    /// `causes`: pairs of (consequence, cause), while both fail.
    pub(crate) fn of(checks: &[Check], causes: &[(usize, usize)]) -> Self {
        let count = SIGHTS.len().pow(u32::try_from(checks.len()).unwrap());
        let views = (0..count).map(|mut code| {
            let sights: Vec<Sight> = checks
                .iter()
                .map(|_| {
                    let sight = SIGHTS[code % SIGHTS.len()];
                    code /= SIGHTS.len();
                    sight
                })
                .collect();
            let cause = |check: usize| {
                let direct = causes.iter().find(|(effect, cause)| *effect == check && sights[*cause] == Sight::Fail);
                direct.map(|(_, cause)| checks[*cause].snapshot.key.clone())
            };
            let snapshots = checks.iter().enumerate().filter_map(|(i, check)| check.seen_as(sights[i], cause(i)));
            let snapshots: Vec<CheckSnapshot> = snapshots.collect();
            let known = snapshots.iter().map(|snapshot| snapshot.key.clone()).collect();
            (snapshots, known)
        });
        Self(views.collect())
    }

    pub(crate) fn at(&self, sights: &[Sight]) -> &(Vec<CheckSnapshot>, BTreeSet<CheckKey>) {
        let digit = |sight: &Sight| SIGHTS.iter().position(|other| other == sight).unwrap();
        &self.0[sights.iter().rev().fold(0, |code, sight| code * SIGHTS.len() + digit(sight))]
    }
}

pub(crate) fn restart() -> Action {
    Action::AgentRestart {}
}

pub(crate) fn reload() -> Action {
    Action::AgentReload {}
}

pub(crate) fn raise() -> Action {
    Action::SysctlSet(SysctlSet { key: "fs.inotify.max_user_watches".to_owned(), value: 20_000, persist: false })
}

pub(crate) fn unit() -> Action {
    Action::UnitRestart(UnitRestart { unit: "named.service".to_owned() })
}

pub(crate) fn vendor(class: Class) -> Action {
    let argv = vec!["/opt/vendor/fix".to_owned()];
    Action::CommandRun(CommandRun {
        name: "fix".to_owned(),
        command: Command { argv, timeout: Duration::from_ms(1_000), class },
    })
}

//! A check of the toy world: what may be broken, what cures it, and what its playbook says.
use wbd_engine::judge::Verification;
use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_model::action::{Action, Class, CommandRun, SysctlSet, UnitRestart};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::plan::Attempts;
use wbd_model::plan::{Approval, Plan};
use wbd_model::profile::{Command, Duration};

/// A failure that may be there, what cures it, and what its playbook says.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) snapshot: CheckSnapshot,
    pub(crate) sight: Verdict,
    pub(crate) case: String,
    /// Rungs with the case that they fit; an empty case fits all.
    pub(crate) rungs: Vec<(String, Plan)>,
    /// The fault is gone once all of these were done; never by actions if empty.
    pub(crate) needs: Vec<Action>,
    pub(crate) met: Vec<Action>,
    /// The check (by position) that explains this one while both fail.
    pub(crate) cause: Option<usize>,
    pub(crate) absent: bool,
}

pub(crate) fn key(code: &str, target: &str) -> CheckKey {
    CheckKey { code: Code::new(code).unwrap(), target: TargetName::new(target).unwrap() }
}

pub(crate) fn restart() -> Action {
    Action::AgentRestart {}
}

pub(crate) fn start() -> Action {
    Action::AgentStart {}
}

pub(crate) fn reload() -> Action {
    Action::AgentReload {}
}

pub(crate) fn raise(value: i64) -> Action {
    Action::SysctlSet(SysctlSet { key: "fs.inotify.max_user_watches".to_owned(), value, persist: true })
}

pub(crate) fn unit(name: &str) -> Action {
    Action::UnitRestart(UnitRestart { unit: name.to_owned() })
}

pub(crate) fn command(class: Class) -> Action {
    let argv = vec!["/opt/vendor/fix".to_owned()];
    Action::CommandRun(CommandRun {
        name: "fix".to_owned(),
        command: Command { argv, timeout: Duration::from_ms(1_000), class },
    })
}

/// A check of a playbook without rungs: held 2 s, verified within 10 s for 2 s, three attempts an hour.
pub(crate) fn check(code: &str, target: &str, playbook: &str) -> Check {
    let snapshot = CheckSnapshot {
        key: key(code, target),
        playbook: PlaybookName::new(playbook).unwrap(),
        digest: "digest-1".to_owned(),
        verdict: Verdict::Pass,
        case: None,
        hold_ms: 2_000,
        evidence: vec!["toy.broken = true".to_owned()],
        seen: [("toy".to_owned(), Observation::default())].into(),
        ladder: Vec::new(),
        windows: std::collections::BTreeMap::new(),
        ladder_unknown: None,
        cured: Verification::Failed,
        within_ms: 10_000,
        verify_hold_ms: 2_000,
        attempts: Attempts { max: 3, per_ms: 3_600_000, backoff_from_ms: 5_000, backoff_to_ms: 300_000 },
        cause: None,
        guide: vec!["call a person".to_owned()],
    };
    Check {
        snapshot,
        sight: Verdict::Pass,
        case: "broken".to_owned(),
        rungs: Vec::new(),
        needs: Vec::new(),
        met: Vec::new(),
        cause: None,
        absent: false,
    }
}

/// The agent is down; a start cures it.
pub(crate) fn agent_down() -> Check {
    check("WBD-6007", "wbd", "agent-down").rung(&[start()]).cured_by(&[start()])
}

impl Check {
    pub(crate) fn rung(self, steps: &[Action]) -> Self {
        self.rung_for("", Approval::Auto, steps)
    }

    pub(crate) fn asking_rung(self, steps: &[Action]) -> Self {
        self.rung_for("", Approval::Operator, steps)
    }

    pub(crate) fn rung_for(mut self, case: &str, approval: Approval, steps: &[Action]) -> Self {
        let rung = self.rungs.len();
        let plan = Plan {
            code: self.snapshot.key.code.clone(),
            target: self.snapshot.key.target.clone(),
            playbook: self.snapshot.playbook.clone(),
            digest: self.snapshot.digest.clone(),
            rung,
            rung_id: format!("rung-{rung}"),
            approval,
            steps: steps.to_vec(),
        };
        self.rungs.push((case.to_owned(), plan));
        self
    }

    pub(crate) fn cured_by(mut self, needs: &[Action]) -> Self {
        self.needs = needs.to_vec();
        self
    }

    pub(crate) fn explained_by(mut self, cause: usize) -> Self {
        self.cause = Some(cause);
        self
    }

    pub(crate) fn held_for(mut self, ms: u64) -> Self {
        self.snapshot.hold_ms = ms;
        self
    }

    /// The playbook's text changes: new digest, on the looks and on the plans.
    pub(crate) fn edited(&mut self, digest: &str) {
        digest.clone_into(&mut self.snapshot.digest);
        for (_, plan) in &mut self.rungs {
            digest.clone_into(&mut plan.digest);
        }
    }

    pub(crate) fn looked_at(&self, cause: Option<CheckKey>) -> CheckSnapshot {
        let failing = self.sight == Verdict::Fail;
        let fits = |case: &str| failing && (case.is_empty() || case == self.case);
        CheckSnapshot {
            verdict: self.sight,
            case: matches!(self.sight, Verdict::Fail | Verdict::Warn).then(|| self.case.clone()),
            ladder: self.rungs.iter().filter(|(case, _)| fits(case)).map(|(_, plan)| plan.clone()).collect(),
            cured: match self.sight {
                Verdict::Pass | Verdict::Warn => Verification::Passed,
                Verdict::Fail => Verification::Failed,
                Verdict::Unknown | Verdict::Skip => Verification::Unknown("not seen".to_owned()),
            },
            cause: cause.filter(|_| failing),
            ..self.snapshot.clone()
        }
    }

    pub(crate) fn feels(&mut self, action: &Action) {
        if self.sight != Verdict::Fail || !self.needs.contains(action) {
            return;
        }
        self.met.push(action.clone());
        if self.needs.iter().all(|need| self.met.contains(need)) {
            self.met.clear();
            self.sight = Verdict::Pass;
        }
    }
}

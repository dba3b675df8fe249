//! The checks of a simulated host: their playbooks, what cures them, how they stand. Decides nothing.
use wbd_engine::judge::Verification;
use wbd_engine::judge::snapshot::CheckSnapshot;
use wbd_model::action::{Action, Class, CommandRun, SysctlSet, UnitRestart};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::observation::Observation;
use wbd_model::plan::Attempts;
use wbd_model::plan::{Approval, Plan};
use wbd_model::profile::{Command, Duration};

/// How many there are ...
pub(crate) const CHECKS: usize = 7;
/// ... and how many of them, the last ones, never fail.
pub(crate) const TWINS: usize = 1;

/// All that is done for this failure is of the agent's share of the budget.
pub(crate) const AGENT_DOWN: &str = "WBD-6007";

/// What a probe saw at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    Well,
    Broken,
    Nothing,
}

/// A failure that may be there, and what its playbook says.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) snapshot: CheckSnapshot,
    pub(crate) rungs: Vec<Plan>,
    /// Any of these actions cures a curable fault.
    pub(crate) cures: Vec<Action>,
    /// The check that explains this one while both fail.
    pub(crate) cause: Option<usize>,
    /// The truth: since when, and whether its cure works.
    pub(crate) broken: Option<(u64, bool)>,
    /// The truth: since when it is well.
    pub(crate) well_since_ms: u64,
    /// Since when its present fault can be seen: neither blind nor unwatched.
    pub(crate) visible_since_ms: Option<u64>,
    /// The longest time for which it could be.
    pub(crate) visible_ms: u64,
    /// The present fault has an incident, stands handed over, or has a cause that fails.
    pub(crate) attended: bool,
    pub(crate) blind: bool,
    /// When it is looked at next.
    pub(crate) due_ms: Option<u64>,
    /// A look under way: when it began, when it answers, what it saw.
    pub(crate) flying: Option<(u64, u64, Sight)>,
    /// What the last complete look saw.
    pub(crate) last: Sight,
    /// Looks in a row that changed nothing.
    pub(crate) idle: u64,
}

fn restart() -> Action {
    Action::AgentRestart {}
}

fn unit(name: &str) -> Action {
    Action::UnitRestart(UnitRestart { unit: name.to_owned() })
}

fn raise(value: i64) -> Action {
    Action::SysctlSet(SysctlSet { key: "fs.inotify.max_user_watches".to_owned(), value, persist: true })
}

fn command(class: Class) -> Action {
    let argv = vec!["/opt/vendor/fix".to_owned()];
    Action::CommandRun(CommandRun {
        name: "fix".to_owned(),
        command: Command { argv, timeout: Duration::from_ms(1_000), class },
    })
}

/// Causes and consequences, two targets of one playbook, rivals for the agent and for a unit, and a twin.
pub(crate) fn all() -> Vec<Check> {
    let dns = Check::of("AEGIS-DNS", "host", "dns", 10_000)
        .rung(Approval::Auto, &[unit("named.service")])
        .rung(Approval::Operator, &[command(Class::A4)])
        .cured_by(&[unit("named.service"), command(Class::A4)]);
    let endpoint = Check::of("AEGIS-NET", "aegis", "endpoint", 5_000)
        .rung(Approval::Auto, &[unit("named.service"), Action::AgentReload {}])
        .cured_by(&[Action::AgentReload {}]);
    let inotify = Check::of("WBD-5404", "wbd", "inotify-limit", 10_000)
        .rung(Approval::Auto, &[raise(20_000), Action::AgentReload {}])
        .rung(Approval::Auto, &[raise(40_000), restart()])
        .cured_by(&[Action::AgentReload {}]);
    let down = Check::of(AGENT_DOWN, "wbd", "agent-down", 3_000)
        .rung(Approval::Auto, &[Action::AgentStart {}])
        .rung(Approval::Auto, &[restart()])
        .cured_by(&[Action::AgentStart {}, restart()]);
    let other =
        Check::of(AGENT_DOWN, "other", "agent-down", 3_000).rung(Approval::Auto, &[restart()]).cured_by(&[restart()]);
    let leak = Check::of("IWSS-FTPLEAK", "iwss", "fd-leak", 60_000)
        .rung(Approval::Auto, &[command(Class::A3)])
        .cured_by(&[command(Class::A3)]);
    let twin =
        Check::of(AGENT_DOWN, "twin", "agent-down", 3_000).rung(Approval::Auto, &[restart()]).cured_by(&[restart()]);
    let mut all = vec![dns, endpoint, inotify, down, other, leak, twin];
    all[1].cause = Some(0);
    // A playbook that has enough tries to need the host's budget.
    all[4].snapshot.attempts.max = 10;
    all
}

impl Check {
    fn of(code: &str, target: &str, playbook: &str, hold_ms: u64) -> Self {
        let snapshot = CheckSnapshot {
            key: CheckKey { code: Code::new(code).unwrap(), target: TargetName::new(target).unwrap() },
            playbook: PlaybookName::new(playbook).unwrap(),
            digest: "digest-1".to_owned(),
            verdict: Verdict::Unknown,
            case: None,
            hold_ms,
            evidence: vec!["toy.broken = true".to_owned()],
            seen: [("toy".to_owned(), Observation::default())].into(),
            ladder: Vec::new(),
            windows: std::collections::BTreeMap::new(),
            ladder_unknown: None,
            cured: Verification::Failed,
            within_ms: 20_000,
            verify_hold_ms: 2_000,
            attempts: Attempts { max: 3, per_ms: 3_600_000, backoff_from_ms: 5_000, backoff_to_ms: 300_000 },
            cause: None,
            guide: vec!["call a person".to_owned()],
        };
        Self {
            snapshot,
            rungs: Vec::new(),
            cures: Vec::new(),
            cause: None,
            broken: None,
            well_since_ms: 0,
            visible_since_ms: None,
            visible_ms: 0,
            attended: false,
            blind: false,
            due_ms: Some(0),
            flying: None,
            last: Sight::Nothing,
            idle: 0,
        }
    }

    fn rung(mut self, approval: Approval, steps: &[Action]) -> Self {
        let rung = self.rungs.len();
        self.rungs.push(Plan {
            code: self.snapshot.key.code.clone(),
            target: self.snapshot.key.target.clone(),
            playbook: self.snapshot.playbook.clone(),
            digest: self.snapshot.digest.clone(),
            rung,
            rung_id: format!("rung-{rung}"),
            approval,
            steps: steps.to_vec(),
        });
        self
    }

    fn cured_by(mut self, cures: &[Action]) -> Self {
        self.cures = cures.to_vec();
        self
    }

    /// What a probe sees now.
    pub(crate) fn sight(&self) -> Sight {
        match (self.blind, self.broken) {
            (true, _) => Sight::Nothing,
            (false, Some(_)) => Sight::Broken,
            (false, None) => Sight::Well,
        }
    }

    /// What the engine is told of the last look.
    pub(crate) fn looked(&self, cause: Option<CheckKey>) -> CheckSnapshot {
        let (verdict, cured) = match self.last {
            Sight::Well => (Verdict::Pass, Verification::Passed),
            Sight::Broken => (Verdict::Fail, Verification::Failed),
            Sight::Nothing => (Verdict::Unknown, Verification::Unknown("not seen".to_owned())),
        };
        let failing = self.last == Sight::Broken;
        CheckSnapshot {
            verdict,
            case: failing.then(|| "broken".to_owned()),
            ladder: if failing { self.rungs.clone() } else { Vec::new() },
            cured,
            cause: cause.filter(|_| failing),
            ..self.snapshot.clone()
        }
    }
}

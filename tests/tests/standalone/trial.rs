//! One trial: a scratch root, a supervisor on it, what is done to them and what the ledger tells of it; it expects
//! nothing of its own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use wbd_tests::deadline::{stays_until, wait_until};
use wbd_tests::exec::{self, Ran};
use wbd_tests::json;
use wbd_tests::places;
use wbd_tests::story::IncidentRecords;
use wbd_tests::supervisor::{Supervisor, scratch_root};

/// What a healing and everything after it may take beside a compiler on two cores.
pub(crate) const SOON: Duration = Duration::from_secs(40);
/// How long nothing may happen before it counts as never; several looks.
pub(crate) const QUIET: Duration = Duration::from_secs(3);
/// The failure that most of this is about.
pub(crate) const DOWN: &str = "WBD-6007";
/// A heartbeat comes every second.
const FRESH_MS: u64 = 3_000;

/// Quick looks, and so much budget that a trial does not spend it.
const QUICK: &str = "every: 1s\nbudget: {per_hour: 1000, per_day: 1000}\n";
/// Settings of an agent that has nothing to watch.
const AGENT_SETTINGS: &str = "generation: 1\nactive: true\ntargets: []\n";

/// The site's copy of the playbook.
const AGENT_DOWN: &str = "etc/wbd/playbooks.d/agent-down.yaml";
/// Shorter waits and more attempts than `agent-down` ships with; each must be in the shipped text.
/// (Not a shorter silence, and no less time to prove a cure: a slow machine is neither hung nor sick.)
const SHORTER: [(&str, &str); 2] = [
    ("hold: 2s", "hold: 1s"),
    (
        "budget: {attempts: 3, per: 1h, backoff: {from: 5s, to: 5m}}",
        "budget: {attempts: 100, per: 1h, backoff: {from: 500ms, to: 2s}}",
    ),
];

/// A scratch root and the supervisor on it.
pub(crate) struct Trial {
    // Ended before its folder goes.
    pub(crate) supervisor: Supervisor,
    root: TempDir,
}

/// A scratch root that heals in this mode, with the shorter `agent-down`; nothing runs on it yet.
pub(crate) fn root(healing: &str) -> TempDir {
    let root = scratch_root();
    put(root.path(), "etc/wbd/wbd.yaml", &format!("healing: {healing}\n{QUICK}"));
    // Other products' processes may run on this machine; they are no part of the trial.
    for product in ["aegis", "dsva", "iwss"] {
        fs::remove_dir_all(root.path().join("usr/lib/wbd/playbooks").join(product)).expect("a vendor's folder");
    }
    let shipped = fs::read_to_string(places::repo().join("playbooks/agent-down.yaml")).expect("shipped");
    put(root.path(), AGENT_DOWN, &shipped);
    patch(root.path(), &SHORTER);
    for name in ["settings.yaml", "settings.good"] {
        let path = put(root.path(), &format!("var/lib/wbd/agent/{name}"), AGENT_SETTINGS);
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("our own file");
    }
    root
}

/// Replaces texts of the root's `agent-down`; each must be in it.
pub(crate) fn patch(root: &Path, patches: &[(&str, &str)]) {
    let mut text = fs::read_to_string(root.join(AGENT_DOWN)).expect("written before");
    for (old, new) in patches {
        assert!(text.contains(old), "agent-down does not say {old:?}");
        text = text.replace(old, new);
    }
    put(root, AGENT_DOWN, &text);
}

/// Gives the proof of a cure less time: where no start can work, waiting for it is all that happens.
pub(crate) fn prove_soon(root: &Path) {
    patch(root, &[("within: 20s", "within: 5s")]);
}

/// Writes a file below a root.
pub(crate) fn put(root: &Path, name: &str, text: &str) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().expect("below the root")).expect("scratch folder");
    fs::write(&path, text).expect("scratch file");
    path
}

/// `wbdctl ARGS` on a root, as text.
pub(crate) fn ctl(root: &Path, args: &[&str]) -> Ran {
    let mut wbdctl = Command::new(places::program("wbdctl"));
    exec::run(wbdctl.arg("--root").arg(root).args(args), b"", SOON)
}

impl Trial {
    /// Heals in this mode; the agent works.
    pub(crate) fn begin(healing: &str) -> Self {
        Self::on(root(healing))
    }

    /// On a prepared root; the agent works.
    pub(crate) fn on(root: TempDir) -> Self {
        let supervisor = Supervisor::start(root.path());
        let trial = Self::with(supervisor, root);
        trial.agent();
        trial.looks();
        trial
    }

    /// Of a supervisor that runs on this root already.
    pub(crate) fn with(supervisor: Supervisor, root: TempDir) -> Self {
        Self { supervisor, root }
    }

    /// The root.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Starts another supervisor in the place of one that ended.
    pub(crate) fn start_again(&mut self) {
        // The old one is dropped only now, and with it every agent that it left, so it must not be dropped.
        let old = std::mem::replace(&mut self.supervisor, Supervisor::start(self.root.path()));
        old.forget();
    }

    /// Waits until the supervisor has found the agent's product and looks at it.
    #[track_caller]
    pub(crate) fn looks(&self) {
        wait_until("the supervisor's looks", SOON, || {
            let status = self.status();
            let found = status["profiles"].as_array().is_some_and(|all| all.contains(&"wbd".into()));
            if found { Ok(()) } else { Err(status.to_string()) }
        });
    }

    /// Whether the supervisor that runs now has looked at all it knows.
    pub(crate) fn looked_again(&self) -> Result<(), String> {
        let status = self.status();
        let own = status["pid"].as_i64() == Some(i64::from(self.supervisor.pid().as_raw()));
        let looks = status["profiles"] == serde_json::json!(["wbd"]);
        if own && looks { Ok(()) } else { Err(status.to_string()) }
    }

    /// `wbdctl ARGS`, as text.
    pub(crate) fn ctl(&self, args: &[&str]) -> Ran {
        ctl(self.root(), args)
    }

    /// `wbdctl status`, when it answers.
    pub(crate) fn status(&self) -> Value {
        wait_until("a status", SOON, || {
            let ran = self.ctl(&["-o", "json", "status"]);
            serde_json::from_slice(&ran.stdout).map_err(|_| ran.report())
        })
    }

    /// The health document.
    pub(crate) fn health(&self) -> Result<Value, String> {
        let bytes = fs::read(self.root().join("run/wbd/agent.health.json")).map_err(|why| why.to_string())?;
        serde_json::from_slice(&bytes).map_err(|why| why.to_string())
    }

    /// The agent that works now: alive, a fresh heartbeat, its first look done.
    pub(crate) fn working(&self) -> Result<Pid, String> {
        let health = self.health()?;
        let pid = health["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
        let pid = pid.filter(|pid| self.supervisor.agents().contains(pid)).ok_or("it does not run")?;
        let fresh = monotonic_ms().saturating_sub(health["heartbeat_ms"].as_u64().unwrap_or_default()) < FRESH_MS;
        let at_work = matches!(health["state"].as_str(), Some("active" | "inactive"));
        if fresh && at_work { Ok(pid) } else { Err(health.to_string()) }
    }

    /// Waits for an agent that works.
    #[track_caller]
    pub(crate) fn agent(&self) -> Pid {
        wait_until("a working agent", SOON, || self.working())
    }

    /// Waits for an agent that works and is another process.
    #[track_caller]
    pub(crate) fn agent_after(&self, old: Pid) -> Pid {
        wait_until("another working agent", SOON, || match self.working() {
            Ok(pid) if pid != old => Ok(pid),
            other => Err(format!("{other:?}")),
        })
    }

    /// Sends a signal to the agent that works now; which it was.
    #[track_caller]
    pub(crate) fn hurt(&self, signal: Signal) -> Pid {
        let pid = self.agent();
        kill(pid, signal).expect("it runs");
        pid
    }

    /// All records, oldest first.
    pub(crate) fn records(&self) -> Vec<Value> {
        json::wbdctl_at(self.root(), ["ledger", "list", "--limit", "1000000"]).list("entries").to_vec()
    }

    /// All records of one kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["kind"] == kind).collect()
    }

    /// The incidents of this failure, each with its records.
    pub(crate) fn incidents(&self, code: &str) -> Vec<IncidentRecords> {
        let records = self.records();
        let opened = records.iter().filter(|record| record["kind"] == "opened" && record["code"] == code);
        let own = |id: &Value| records.iter().filter(|record| record["incident"] == *id).cloned().collect();
        opened
            .map(|opened| IncidentRecords {
                id: opened["incident"].as_str().unwrap_or_default().to_owned(),
                records: own(&opened["incident"]),
            })
            .collect()
    }

    /// Waits until the incident of this failure with this number (from 0) is closed.
    #[track_caller]
    pub(crate) fn closed(&self, code: &str, number: usize) -> IncidentRecords {
        wait_until(&format!("end of incident {number} of {code}"), SOON, || {
            let told = self.incidents(code).into_iter().nth(number);
            told.filter(|told| told.ending().is_some()).ok_or_else(|| self.summary())
        })
    }

    /// As [`Trial::closed`], and it was healed by these actions and proved.
    #[track_caller]
    pub(crate) fn healed(&self, code: &str, number: usize, actions: &[&str]) -> IncidentRecords {
        let told = self.closed(code, number);
        assert_eq!((told.ending(), told.actions().as_slice()), (Some("healed"), actions), "{}", self.summary());
        told.has_in_order(&["opened", "intent", "outcome", "verdict", "closed"]);
        assert_eq!(told.last("verdict")["result"], "pass", "{told:#?}");
        told
    }

    /// Waits until an open incident of this failure is held by this guard; its name.
    #[track_caller]
    pub(crate) fn held_by(&self, code: &str, guard: &str) -> String {
        wait_until(&format!("{code} held by {guard}"), SOON, || {
            let records = self.of("refused");
            let refused = records.iter().rev().find(|record| record["code"] == code && record["result"] == guard);
            refused.and_then(|record| record["incident"].as_str().map(str::to_owned)).ok_or_else(|| self.summary())
        })
    }

    /// For a while, and until the supervisor has looked at the agent once, no further action is intended or done.
    #[track_caller]
    pub(crate) fn stays_undone(&self, what: &str, span: Duration) {
        let actions = |trial: &Self| {
            let records = trial.records();
            records.iter().filter(|record| record["kind"] == "intent" || record["kind"] == "outcome").count()
        };
        let before = actions(self);
        let agents = self.supervisor.agents();
        self.stays(what, span, || {
            let same = actions(self) == before && self.supervisor.agents().iter().all(|pid| agents.contains(pid));
            same.then_some(()).ok_or_else(|| self.summary())
        });
    }

    /// For a while, and until the supervisor has looked at the agent once, `quiet` stays true.
    #[track_caller]
    pub(crate) fn stays(&self, what: &str, span: Duration, quiet: impl FnMut() -> Result<(), String>) {
        stays_until(what, span, quiet, |open| json::looked_within(&self.status(), DOWN, open));
    }

    /// The ledger verifies.
    #[track_caller]
    pub(crate) fn verifies(&self) {
        self.ctl(&["ledger", "verify"]).ok();
    }

    /// A line for each record, for messages.
    pub(crate) fn summary(&self) -> String {
        let line = |record: &Value| {
            let word = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
            let words = ["kind", "incident", "code", "action_id", "action", "result"].map(word).join(" ");
            format!("{} {} {words} {}", record["seq"], record["boot_ms"], record["evidence"])
        };
        self.records().iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

/// Milliseconds of CLOCK_MONOTONIC, as heartbeats have them.
fn monotonic_ms() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock that is always there");
    u64::try_from(now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000).unwrap_or_default()
}

//! The product in a virtual machine: its settings, whether it works, and what its ledger tells; it expects nothing of
//! its own.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use serde_json::Value;

use super::{SharedVm, Vm};
use crate::deadline::stays_until;
use crate::exec::Ran;
use crate::json::{self, Answer};
use crate::product::{AGENT, ROOMY, SETTINGS};
use crate::story::IncidentRecords;

/// What a restart of a unit, and everything after it, may take: emulated, beside compilers on two cores.
pub const SOON: Duration = Duration::from_secs(180);
/// A heartbeat comes every second, when the machine gives it the time.
const FRESH_S: f64 = 15.0;

/// The shared machine with roomy settings, healthy.
///
/// # Panics
/// When the machine does not boot or the product does not come up.
#[must_use]
#[track_caller]
pub fn shared() -> SharedVm {
    let vm = SharedVm::take(|vm| {
        roomy_playbooks(vm);
        configure(vm, ROOMY);
    });
    healthy(&vm);
    vm
}

/// Puts copies of shipped playbooks with many more attempts in their place. A start by systemd may take longer than the
/// three seconds after which a dead unit is an incident elsewhere. Takes effect with the next reload.
///
/// # Panics
/// When a playbook has changed beyond that.
#[track_caller]
pub fn roomy_playbooks(vm: &Vm) {
    let again = ("attempts: 3", "attempts: 50");
    patched_playbook(vm, "agent-down", &[again, ("for: 3s", "for: 10s")]);
    patched_playbook(vm, "inotify-limit", &[again]);
}

/// Puts settings in force.
///
/// # Panics
/// When the supervisor does not take them.
#[track_caller]
pub fn configure(vm: &Vm, settings: &str) {
    vm.write(SETTINGS, settings);
    patient(vm, &["/usr/bin/wbdctl", "reload", "--wait"]).ok();
}

/// Puts a copy of a shipped playbook, with some texts replaced by others, in the place of it; takes effect with the
/// next reload.
///
/// # Panics
/// When there is no such playbook, or a text does not stand in it.
#[track_caller]
pub fn patched_playbook(vm: &Vm, name: &str, patches: &[(&str, &str)]) {
    let shipped = vm.read(&format!("/usr/lib/wbd/playbooks/{name}.yaml"));
    let mut text = shipped.unwrap_or_else(|| panic!("no {name}"));
    for (old, new) in patches {
        assert!(text.contains(old), "{name} has no \"{old}\":\n{text}");
        text = text.replace(old, new);
    }
    vm.write(&format!("/etc/wbd/playbooks.d/{name}.yaml"), &text);
}

/// Waits until the agent works, the supervisor answers, and no incident is open.
///
/// # Panics
/// When that does not come.
#[track_caller]
pub fn healthy(vm: &Vm) {
    agent_works(vm);
    status_is(vm, "a supervisor without open incidents", |status| {
        status["open"].as_array().is_some_and(Vec::is_empty) && status["degraded"] == ""
    });
}

/// Waits until the supervisor's status is as wanted, and returns it.
///
/// # Panics
/// When it does not become so.
#[track_caller]
pub fn status_is(vm: &Vm, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    vm.wait_for(what, SOON, || {
        let ran = vm.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
        if ran.code != Some(0) {
            return Err(ran.report());
        }
        let status = Answer::of(&ran).json;
        if wanted(&status) { Ok(status) } else { Err(status.to_string()) }
    })
}

/// Waits until the agent works: the unit's own main process, with a fresh heartbeat and its first look done. Its
/// process id.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn agent_works(vm: &Vm) -> u32 {
    vm.wait_for("a working agent", SOON, || working(vm))
}

/// As [`agent_works`], for another agent than `before`.
///
/// # Panics
/// When none comes.
#[track_caller]
pub fn another_agent_works(vm: &Vm, before: u32) -> u32 {
    vm.wait_for("another working agent", SOON, || {
        working(vm).and_then(|pid| if pid == before { Err(format!("still {pid}")) } else { Ok(pid) })
    })
}

/// The process id of the agent that works now.
///
/// # Errors
/// What is wrong with it.
pub fn working(vm: &Vm) -> Result<u32, String> {
    let all = format!(
        "cat /run/wbd/agent.health.json; echo; cut -d' ' -f1 /proc/uptime; systemctl show --value -p MainPID {AGENT}"
    );
    let ran = vm.sh(&all);
    let text = ran.text();
    let mut lines = text.rsplitn(3, '\n');
    let (main, uptime, health) = (lines.next(), lines.next(), lines.next());
    let (Some(main), Some(uptime), Some(health)) = (main, uptime, health) else { return Err(ran.report()) };
    let health: Value = serde_json::from_str(health).map_err(|why| format!("{why}: {}", ran.report()))?;
    let uptime: f64 = uptime.parse().map_err(|_| ran.report())?;
    let beat = Duration::from_millis(health["heartbeat_ms"].as_u64().unwrap_or_default()).as_secs_f64();
    let good = matches!(health["state"].as_str(), Some("active" | "inactive"))
        && uptime - beat < FRESH_S
        && health["pid"].as_u64() == main.parse().ok();
    if good { main.parse().map_err(|_| main.to_owned()) } else { Err(format!("{main} at {uptime}: {health}")) }
}

/// `wbdctl ARGS -o json`.
///
/// # Panics
/// As [`Answer::of`].
#[must_use]
#[track_caller]
pub fn wbdctl<S: AsRef<OsStr>>(vm: &Vm, args: impl IntoIterator<Item = S>) -> Answer {
    let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
    let argv: Vec<OsString> = ["/usr/bin/wbdctl", "-o", "json"].map(Into::into).into_iter().chain(args).collect();
    Answer::of(&patient(vm, &argv))
}

/// Runs what may say "try again" (75), which a starved supervisor makes it say, until it says something else.
#[track_caller]
fn patient<S: AsRef<OsStr>>(vm: &Vm, argv: &[S]) -> Ran {
    vm.wait_for("an answer", SOON, || {
        let ran = vm.run(argv);
        if ran.code == Some(75) { Err(ran.report()) } else { Ok(ran) }
    })
}

/// Waits until doctor's answer is as wanted, and returns it.
///
/// # Panics
/// When it does not become so.
#[track_caller]
pub fn doctor_says(vm: &Vm, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    vm.wait_for(what, SOON, || {
        let answer = wbdctl(vm, ["doctor"]);
        if wanted(&answer) { Ok(answer) } else { Err(format!("exit {}, {}", answer.code, answer.json)) }
    })
}

/// What the ledger tells from one moment on.
#[derive(Debug)]
pub struct VmStory<'a> {
    vm: &'a Vm,
    after: u64,
}

impl<'a> VmStory<'a> {
    /// From now on.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    #[must_use]
    #[track_caller]
    pub fn begin(vm: &'a Vm) -> Self {
        let after = Self::whole(vm).records().last().map_or(0, seq);
        Self { vm, after }
    }

    /// From its first record on.
    #[must_use]
    pub fn whole(vm: &'a Vm) -> Self {
        Self { vm, after: 0 }
    }

    /// All records since then, oldest first.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    #[must_use]
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        let answer = wbdctl(self.vm, ["ledger", "list", "--limit", "1000000"]);
        answer.list("entries").iter().filter(|record| seq(record) > self.after).cloned().collect()
    }

    /// The records of one kind since then.
    ///
    /// # Panics
    /// As [`VmStory::records`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["kind"] == kind).collect()
    }

    /// For the whole of `span`, and until the supervisor has looked at the agent once, no record comes that `unwanted`
    /// takes.
    ///
    /// # Panics
    /// At once when one does.
    #[track_caller]
    pub fn stays_without(&self, what: &str, span: Duration, unwanted: impl Fn(&Value) -> bool) {
        let quiet = || {
            let found = self.records().into_iter().find(|record| unwanted(record));
            found.map_or(Ok(()), |record| Err(record.to_string()))
        };
        stays_until(&format!("{what} on {}", self.vm.name), span, quiet, |open| {
            json::looked_within(&wbdctl(self.vm, ["status"]).json, "WBD-6007", open)
        });
    }

    /// Waits for a record that `wanted` takes, and returns it.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.vm.wait_for(what, SOON, || {
            let records = self.records();
            records.iter().find(|record| wanted(record)).cloned().ok_or_else(|| told("", &records).to_string())
        })
    }

    /// Waits until the first incident of this failure is closed, and returns it.
    ///
    /// # Panics
    /// When it is not opened or not closed in time.
    #[track_caller]
    pub fn closed(&self, code: &str) -> IncidentRecords {
        self.vm.wait_for(&format!("{code} closed"), SOON, || {
            let records = self.records();
            let opened = records.iter().find(|record| record["kind"] == "opened" && record["code"] == code);
            let id = opened.map(|opened| opened["incident"].clone()).unwrap_or_default();
            let own: Vec<_> = records.iter().filter(|record| record["incident"] == id).cloned().collect();
            let one = told(id.as_str().unwrap_or_default(), &own);
            if opened.is_some() && one.ending().is_some() { Ok(one) } else { Err(told("", &records).to_string()) }
        })
    }
}

fn told(id: &str, records: &[Value]) -> IncidentRecords {
    IncidentRecords { id: id.to_owned(), records: records.to_vec() }
}

fn seq(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap_or_default()
}

//! The product on a booted host: installed, configured, and what it says of itself; the ledger's records are `story`'s.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::deadline::stays_until;
use crate::exec::Ran;
use crate::host::Host;
use crate::json::{self, Answer};
use crate::places;
use crate::shared::SharedHost;

/// The agent's unit.
pub const AGENT: &str = "wbd-agent.service";
/// The supervisor's unit.
pub const SUPERVISOR: &str = "wbd-supervisord.service";
/// The administrator's settings.
pub const SETTINGS: &str = "/etc/wbd/wbd.yaml";

/// As shipped, but with so much budget that one scenario does not use up the next one's, and looking often.
pub const ROOMY: &str = "healing: auto\nevery: 2s\nbudget: {per_hour: 1000, per_day: 1000}\n";
/// So often may the playbooks of [`roomy_playbook`] try, for the same reason.
const ROOMY_ATTEMPTS: &str = "attempts: 100,";

/// After this a restart of a unit, and everything after it, is given up: several times what it takes beside other hosts
/// and a compiler on two cores.
pub const SOON: Duration = Duration::from_secs(90);
/// A heartbeat comes every second.
const FRESH_MS: u64 = 3_000;

/// The one host of all scenarios that put back what they changed, with the package and roomy settings.
///
/// # Panics
/// When the host does not boot or the product does not come up.
#[must_use]
#[track_caller]
pub fn shared() -> SharedHost {
    let host = SharedHost::take(|host| {
        install(host);
        for playbook in ["agent-down", "inotify-limit", "agent-version", "fd-leak"] {
            roomy_playbook(host, playbook);
        }
        configure(host, ROOMY);
    });
    healthy(&host);
    host
}

/// Installs the package and waits until both halves work.
///
/// # Panics
/// When they do not.
#[track_caller]
pub fn install(host: &Host) {
    host.install_deb(&places::deb());
    healthy(host);
}

/// Waits until the agent works, the supervisor answers, and no incident is open.
///
/// # Panics
/// When that does not come.
#[track_caller]
pub fn healthy(host: &Host) {
    agent_works(host);
    host.wait_for("a supervisor without open incidents", SOON, || {
        let status = host.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
        if status.code != Some(0) {
            return Err(status.report());
        }
        let status = Answer::of(&status);
        let quiet = status.list("open").is_empty() && status.json["degraded"] == "";
        quiet.then_some(()).ok_or_else(|| status.json.to_string())
    });
}

/// Waits until the agent works; its process id.
///
/// # Panics
/// When it does not.
#[track_caller]
pub fn agent_works(host: &Host) -> u32 {
    host.wait_for("a working agent", SOON, || working(host))
}

/// Waits until another agent than `before` works; its process id.
///
/// # Panics
/// When none does.
#[track_caller]
pub fn another_agent_works(host: &Host, before: u32) -> u32 {
    host.wait_for("another working agent", SOON, || {
        working(host).and_then(|pid| if pid == before { Err(format!("still {pid}")) } else { Ok(pid) })
    })
}

/// The process id of the agent that works now: the unit's own main process, with a fresh heartbeat and its first look
/// done.
///
/// # Errors
/// What is wrong with it.
pub fn working(host: &Host) -> Result<u32, String> {
    let health = health(host)?;
    let main = host.main_pid(AGENT).map(u64::from);
    let state = health["state"].as_str().unwrap_or_default();
    let beat = health["heartbeat_ms"].as_u64().unwrap_or_default();
    let now = uptime_ms();
    if !matches!(state, "active" | "inactive") || now.saturating_sub(beat) > FRESH_MS || health["pid"].as_u64() != main
    {
        return Err(format!("main process {main:?} at {now}: {health}"));
    }
    main.and_then(|pid| u32::try_from(pid).ok()).ok_or_else(|| "no main process".to_owned())
}

/// The agent's health document.
///
/// # Errors
/// There is none, or it is no document.
pub fn health(host: &Host) -> Result<Value, String> {
    let bytes = fs::read(host.inside("/run/wbd/agent.health.json")?).map_err(|why| why.to_string())?;
    serde_json::from_slice(&bytes).map_err(|why| why.to_string())
}

/// Waits until the health document is as wanted, and returns it.
///
/// # Panics
/// When it does not become so.
#[track_caller]
pub fn health_is(host: &Host, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    host.wait_for(what, SOON, || {
        let health = health(host)?;
        if wanted(&health) { Ok(health) } else { Err(health.to_string()) }
    })
}

/// For the whole of `span`, and until the supervisor has looked at the agent once, `quiet` stays true.
///
/// # Panics
/// At once when `quiet` says what happened.
#[track_caller]
pub fn stays(host: &Host, what: &str, span: Duration, quiet: impl FnMut() -> Result<(), String>) {
    stays_until(what, span, quiet, |open| looked(host, "WBD-6007", open));
}

/// Whether the supervisor has looked at this failure within the last `open`.
///
/// # Errors
/// It has not, or does not say.
pub fn looked(host: &Host, code: &str, open: Duration) -> Result<(), String> {
    let status = host.run(["/usr/bin/wbdctl", "-o", "json", "status"]);
    if status.code != Some(0) {
        return Err(status.report());
    }
    json::looked_within(&Answer::of(&status).json, code, open)
}

/// Puts settings in force.
///
/// # Panics
/// When the supervisor does not take them.
#[track_caller]
pub fn configure(host: &Host, settings: &str) {
    host.write(SETTINGS, settings.as_bytes());
    reload(host).ok();
}

/// `wbdctl reload --wait`.
#[must_use]
pub fn reload(host: &Host) -> Ran {
    host.run(["/usr/bin/wbdctl", "reload", "--wait"])
}

/// Puts a copy of a shipped playbook, with many more attempts, in the place of it; takes effect with the next reload.
///
/// # Panics
/// When there is no such playbook, or it does not bound its attempts.
#[track_caller]
pub fn roomy_playbook(host: &Host, name: &str) {
    let shipped = shipped_playbook(host, name);
    let attempts = shipped.split_once("attempts: ").and_then(|(_, rest)| rest.split(',').next());
    let attempts = attempts.unwrap_or_else(|| panic!("{name} bounds no attempts:\n{shipped}"));
    patched_playbook(host, name, &[(&format!("attempts: {attempts},"), ROOMY_ATTEMPTS)]);
}

/// A heartbeat counts as missed after 4 s instead of 10, until [`patient_agent_down`]. (What is as shipped stands in
/// scenarios of its own.)
///
/// # Panics
/// When the playbook has changed beyond that, or the product is not healthy with it.
#[track_caller]
pub fn hurried_agent_down(host: &Host) {
    patched_playbook(host, "agent-down", &[("attempts: 3,", ROOMY_ATTEMPTS), ("_ms > 10000", "_ms > 4000")]);
    reload(host).ok();
    healthy(host);
}

/// The end of [`hurried_agent_down`].
///
/// # Panics
/// When the product is not healthy.
#[track_caller]
pub fn patient_agent_down(host: &Host) {
    roomy_playbook(host, "agent-down");
    reload(host).ok();
    healthy(host);
}

/// Puts a copy of a shipped playbook, with some texts replaced by others, in the place of it; takes effect with the
/// next reload.
///
/// # Panics
/// When there is no such playbook, or a text does not stand in it.
#[track_caller]
pub fn patched_playbook(host: &Host, name: &str, patches: &[(&str, &str)]) {
    let mut text = shipped_playbook(host, name);
    for (old, new) in patches {
        assert!(text.contains(old), "{name} has no \"{old}\":\n{text}");
        text = text.replace(old, new);
    }
    host.write(&format!("/etc/wbd/playbooks.d/{name}.yaml"), text.as_bytes());
}

fn shipped_playbook(host: &Host, name: &str) -> String {
    let shipped = host.read(&format!("/usr/lib/wbd/playbooks/{name}.yaml")).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(shipped).expect("playbooks are text")
}

/// What doctor says.
///
/// # Panics
/// When it says nothing that can be read.
#[must_use]
#[track_caller]
pub fn doctor(host: &Host) -> Answer {
    json::wbdctl(host, ["doctor"])
}

/// Waits until doctor's answer is as wanted, and returns it.
///
/// # Panics
/// When it does not become so.
#[track_caller]
pub fn doctor_says(host: &Host, what: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
    host.wait_for(what, SOON, || {
        let answer = doctor(host);
        if wanted(&answer) { Ok(answer) } else { Err(format!("exit {}, {}", answer.code, answer.json)) }
    })
}

/// Milliseconds of this kernel's CLOCK_MONOTONIC, which hosts share with the machine.
fn uptime_ms() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).expect("a clock that is always there");
    u64::try_from(now.tv_sec() * 1000 + now.tv_nsec() / 1_000_000).unwrap_or_default()
}

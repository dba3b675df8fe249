//! The power is cut at random moments of acts: the ledger verifies, the host is as before or as after, and the ledger
//! says which.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use wbd_tests::deadline::stays;
use wbd_tests::product::{AGENT, ROOMY, SUPERVISOR};
use wbd_tests::vm::Vm;
use wbd_tests::vm::product::{self, VmStory};

use crate::site::{self, LOW, Limit};

const RAISE: &str = "WBD-5404";
/// In every run; with `WBD_LONG` set, in `tests/run long`.
const CUTS: usize = 3;
const CUTS_LONG: usize = 50;
/// From the record of the intent or of the incident to after the outcome, emulated: a start takes its second, a limit
/// is written at once.
const START_TAKES: Duration = Duration::from_millis(2_500);
const LIMIT_TAKES: Duration = Duration::from_millis(300);
/// The supervisor begins only when a test says so: what a cut left behind is looked at before anybody changes it.
const GO: &str = "/run/wbd-tests/go";
/// Every start of the agent leaves the boot's name here, on disk.
const STARTS: &str = "/root/starts";

/// What is under way when the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scene {
    /// The limit is raised, now and in the drop-in.
    Raise,
    /// That is taken back.
    Undo,
    /// The agent is started.
    Start,
}

#[test]
fn a_power_cut_leaves_the_host_as_before_or_as_after_and_the_ledger_says_which() {
    let mut vm = product::shared();
    prepare(&vm);
    let seed = seed();
    println!("seed {seed}; the same moments again: WBD_SEED={seed}");
    let mut random = seed;
    let cuts = if std::env::var_os("WBD_LONG").is_some() { CUTS_LONG } else { CUTS };
    let mut ends: BTreeMap<(Scene, &str), usize> = BTreeMap::new();
    let begun = Account::of(&vm).begun();
    for round in 0..cuts {
        let (scene, before) = set(&vm, round, &mut random);
        let act = if scene == Scene::Start { START_TAKES } else { LIMIT_TAKES };
        let moment = act * (next(&mut random) % 1_000) / 1_000;
        stays("the delay", moment, || Ok(()));
        vm.power_cut();
        vm.power_on();
        let end = judge_cut(&vm, &before);
        println!("cut {round}: {scene:?}, {moment:?} after its record: {end}");
        *ends.entry((scene, end)).or_default() += 1;
        vm.sh(&format!("mkdir -p $(dirname {GO}); touch {GO}; systemctl start {SUPERVISOR}")).ok();
        judge_recovery(&vm, begun);
    }
    println!("{cuts} power cuts, seed {seed}: {ends:?}");
    put_back(&vm);
}

/// So that a cycle is cheap and an act takes its time.
fn prepare(vm: &Vm) {
    let again = ("attempts: 3", "attempts: 50");
    product::patched_playbook(
        vm,
        "inotify-limit",
        &[again, ("for: 10s", "for: 1s"), ("hold: 10s", "hold: 1s"), ("to: 5m", "to: 5s")],
    );
    product::patched_playbook(vm, "agent-down", &[again, ("hold: 2s", "hold: 1s"), ("to: 5m", "to: 5s")]);
    let start = format!("+/bin/sh -c 'cat /proc/sys/kernel/random/boot_id >>{STARTS}; sync {STARTS}; sleep 1'");
    vm.write(&format!("/etc/systemd/system/{AGENT}.d/test.conf"), &format!("[Service]\nExecStartPre={start}\n"));
    let gate = format!("[Unit]\nConditionPathExists={GO}\n");
    vm.write(&format!("/etc/systemd/system/{SUPERVISOR}.d/test.conf"), &gate);
    vm.sh(&format!("mkdir -p $(dirname {GO}); touch {GO}; systemctl daemon-reload")).ok();
    product::configure(vm, ROOMY);
    site::make(vm);
    let story = VmStory::begin(vm);
    site::lower(vm);
    assert_eq!(story.closed(RAISE).ending(), Some("healed"));
    vm.sh("sync").ok();
}

fn put_back(vm: &Vm) {
    vm.sh(&format!(
        "rm -r /etc/systemd/system/{AGENT}.d /etc/systemd/system/{SUPERVISOR}.d {STARTS}; systemctl daemon-reload"
    ))
    .ok();
    product::roomy_playbooks(vm);
    product::configure(vm, ROOMY);
    site::forget(vm);
}

/// Begins an act on a host with room for all watches, and returns as soon as it is on record, with the limit before it.
fn set(vm: &Vm, round: usize, random: &mut u32) -> (Scene, Limit) {
    let raised = last_raise(vm);
    let scene = match round % 3 {
        0 if raised.is_some() => Scene::Undo,
        0 | 1 => Scene::Raise,
        _ => Scene::Start,
    };
    let undo = raised.map(|raised| format!("wbdctl undo {raised}"));
    if scene == Scene::Raise {
        // What is held stays, so that nothing is missing before the agent begins anew.
        let taken_back = undo.as_ref().map(|undo| vm.sh(undo).ok());
        taken_back.map_or_else(|| site::lower_limit(vm), drop);
    }
    let before = Limit::of(vm);
    let begin = match scene {
        Scene::Undo => format!("{} &", undo.unwrap_or_default()),
        Scene::Raise => format!("systemctl restart {AGENT}"),
        Scene::Start => format!("kill -TERM $(systemctl show --value -p MainPID {AGENT})"),
    };
    // Either from the incident on or from the intent on.
    let record = if scene != Scene::Undo && next(random) % 3 == 0 { "opened" } else { "intent" };
    // What is there before must have been counted before anything begins.
    let script = format!(
        "rm -f {WATCHING}; perl /root/watch {record} {WATCHING} & watch=$!
        until [ -e {WATCHING} ]; do sleep 0.1; done; {begin}\nwait $watch"
    );
    vm.write("/root/watch", WATCH);
    let seen = vm.run_with(["/bin/sh", "-c", &script], b"", product::SOON);
    assert_eq!(seen.code, Some(0), "{scene:?}: {}\n{:?}", seen.report(), VmStory::whole(vm).records());
    (scene, before)
}

/// There as soon as the watch has begun.
const WATCHING: &str = "/run/watching";

/// Ends as soon as the ledger's files hold a record of the kind given that they did not hold at its beginning, which it marks
/// by a file. Records are told apart by their number: while the write-ahead log is begun anew, their count may stay the same.
const WATCH: &str = r#"
my ($kind, $mark) = @ARGV;
sub seen {
    my %seen;
    for (glob '/var/lib/wbd/ledger.db*') {
        open my $file, '<:raw', $_ or next;
        local $/;
        my $all = <$file>;
        $seen{$1} = 1 while $all =~ /\{"seq":(\d+),"at":(?:(?!\{"seq":)[^\0]){0,2000}?"body":\{"$kind":/g;
    }
    return %seen;
}
my %before = seen();
open my $begun, '>', $mark or die $!;
for (1 .. 6000) {
    my %now = seen();
    exit 0 if grep { !$before{$_} } keys %now;
    select undef, undef, undef, 0.01;
}
exit 1;
"#;

/// The name of the last raise that was done and not taken back.
fn last_raise(vm: &Vm) -> Option<String> {
    let records = VmStory::whole(vm).records();
    let done = |intent: &&Value| outcome(&records, &intent["action_id"]) == Some("done");
    let last = records.iter().rfind(|record| changes_limit(record))?;
    let raise = last["action"] == "sysctl.set" && done(&last);
    raise.then(|| last["action_id"].as_str().map(str::to_owned)).flatten()
}

fn changes_limit(record: &Value) -> bool {
    record["kind"] == "intent" && matches!(record["action"].as_str(), Some("sysctl.set" | "sysctl.restore"))
}

fn outcome<'a>(records: &'a [Value], action: &Value) -> Option<&'a str> {
    let of = |record: &&Value| record["kind"] == "outcome" && record["action_id"] == *action;
    records.iter().find(of).and_then(|record| record["result"].as_str())
}

/// What is found after the cut, before anybody changes it. Says where in the act the cut came.
#[track_caller]
fn judge_cut(vm: &Vm, before: &Limit) -> &'static str {
    let verified = product::wbdctl(vm, ["ledger", "verify"]);
    assert_eq!((verified.code, &verified.json["verified"]), (0, &true.into()), "{}", verified.json);
    let records = VmStory::whole(vm).records();
    let now = Limit::of(vm);
    // The kernel begins with what the files say: the drop-in's value, else the administrator's own.
    assert_eq!(now.value, now.kept().unwrap_or(LOW), "{now:?}");
    let context = || format!("{before:?} -> {now:?} with {records:?}");
    let last = records.iter().rfind(|record| changes_limit(record)).unwrap_or_else(|| panic!("{}", context()));
    let after = match last["action"].as_str() {
        Some("sysctl.set") => value(&last["params"]),
        _ => None,
    };
    match outcome(&records, &last["action_id"]) {
        Some("done") => assert_eq!(now.kept(), after, "what is done stays done: {}", context()),
        _ => assert!(now.kept() == after || now.kept() == before.kept(), "{}", context()),
    }
    // No start of the agent in any boot but the boot's own, the tests' and those of intents on record.
    let intents = records.iter().filter(|record| record["kind"] == "intent");
    let open = intents.filter(|intent| outcome(&records, &intent["action_id"]).is_none()).count();
    starts_have_intents(vm, &records);
    match (open, records.last().map(|record| record["kind"].as_str().unwrap_or_default())) {
        (0, Some("opened")) => "before the intent",
        (0, _) => "after the outcome",
        _ => "between intent and outcome",
    }
}

/// The value of a raise, wherever its parameters hold it.
fn value(params: &Value) -> Option<u64> {
    match params {
        Value::Object(map) => map.get("value").and_then(Value::as_u64).or_else(|| map.values().find_map(value)),
        _ => None,
    }
}

#[track_caller]
fn starts_have_intents(vm: &Vm, records: &[Value]) {
    let starts = vm.read(STARTS).unwrap_or_default();
    let mut made: BTreeMap<&str, usize> = BTreeMap::new();
    for boot in starts.lines() {
        *made.entry(boot).or_default() += 1;
    }
    for (boot, made) in made {
        let here = |record: &&Value| record["boot"] == boot;
        let restarts = records.iter().filter(here).filter(|record| record["kind"] == "intent");
        let restarts =
            restarts.filter(|record| record["action"].as_str().is_some_and(|action| action.contains("start")));
        // The boot's own, and at most one by the test in each boot (two in the first, which prepares).
        assert!(made <= 3 + restarts.count(), "{made} starts of the agent in boot {boot}: {records:?}");
    }
}

/// What is left of the hour's budget, and what this ledger's file says was paid. (Earlier tests on this machine may
/// have made the supervisor begin a new file, which carries what was paid before.)
struct Account {
    left: u64,
    paid: u64,
}

impl Account {
    #[track_caller]
    fn of(vm: &Vm) -> Self {
        let costs = |record: &&Value| {
            let class = matches!(record["class"].as_str(), Some("A2" | "A3" | "A4"));
            record["kind"] == "intent" && class && !record["evidence"].to_string().contains("by hand")
        };
        let paid = VmStory::whole(vm).records().iter().filter(costs).count();
        let left = product::wbdctl(vm, ["status"]).json["budget_left_hour"].as_u64().expect("a number");
        Self { left, paid: u64::try_from(paid).expect("few") }
    }

    /// What was left before all of this file.
    fn begun(&self) -> u64 {
        self.left + self.paid
    }
}

/// The supervisor finds its way: every intent gets one outcome, everything open ends, and what was paid is paid.
#[track_caller]
fn judge_recovery(vm: &Vm, begun: u64) {
    product::healthy(vm);
    vm.wait_for("room for all watches", product::SOON, || {
        let (health, limit) = (vm.read("/run/wbd/agent.health.json").unwrap_or_default(), Limit::of(vm));
        let seen: Value = serde_json::from_str(&health).unwrap_or_default();
        let room = limit.value > LOW && seen["watches"]["missing"] == 0;
        room.then_some(()).ok_or_else(|| format!("{limit:?}, {health}"))
    });
    // An action by hand belongs to no incident: that its outcome is not known is written at the first turn.
    let records = vm.wait_for("an outcome of every intent, an end of every incident", product::SOON, || {
        let records = VmStory::whole(vm).records();
        let of = |kind: &'static str| records.iter().filter(move |record| record["kind"] == kind);
        if let Some(open) = of("opened").find(|open| of("closed").all(|end| end["incident"] != open["incident"])) {
            return Err(format!("{} is open", open["incident"]));
        }
        let mut intents = records.iter().filter(|record| record["kind"] == "intent");
        let lost = intents.find(|intent| outcome(&records, &intent["action_id"]).is_none());
        lost.map_or(Ok(records.clone()), |lost| Err(lost.to_string()))
    });
    let intents: Vec<_> = records.iter().filter(|record| record["kind"] == "intent").collect();
    for intent in &intents {
        let id = &intent["action_id"];
        let outcomes = records.iter().filter(|record| record["kind"] == "outcome" && record["action_id"] == *id);
        assert_eq!(outcomes.count(), 1, "{id} in {records:?}");
        assert_eq!(intents.iter().filter(|other| other["action_id"] == *id).count(), 1, "{id} in {records:?}");
    }
    // Debits of an earlier boot count as made at this boot, so none of them is over.
    assert_eq!(Account::of(vm).begun(), begun, "what was left and what was paid since: {records:?}");
    let last = records.iter().rfind(|record| changes_limit(record)).expect("the first raise");
    if outcome(&records, &last["action_id"]) == Some("done") && last["action"] == "sysctl.set" {
        assert_eq!(Limit::of(vm).kept(), value(&last["params"]), "{records:?}");
    }
}

/// Numbers that differ from run to run.
fn seed() -> u32 {
    let given = std::env::var("WBD_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(1, |now| now.subsec_nanos())) | 1
}

fn next(random: &mut u32) -> u32 {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    *random
}

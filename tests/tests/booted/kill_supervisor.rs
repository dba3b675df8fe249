//! The supervisor is killed again and again while it heals, and the jobs it asked systemd for are held against its
//! ledger: none without an intent, none twice, every incident ends.

use std::time::{Duration, SystemTime};

use wbd_tests::deadline::stays;
use wbd_tests::figures::say;
use wbd_tests::host::Host;
use wbd_tests::json;
use wbd_tests::judge::{self, Budget, Rules};
use wbd_tests::product::{self, AGENT, SOON, SUPERVISOR};
use wbd_tests::recorder::Recorder;
use wbd_tests::story::Story;

use crate::jobs::{self, Jobs};

const CODE: &str = "WBD-6007";
/// Rounds in every test, and in a long one.
const ROUNDS: [usize; 2] = [6, 10];
/// In so many of them the start of the agent stands still until the supervisor is dead.
const SHUT: usize = 3;
const AGENT_PATH: &str = "/opt/nbp/wbd/wbd_agent";
const SUPERVISOR_NAME: &str = "wbd-supervisord";
/// A start of the agent is made to take this long; so long is the time between an intent and its outcome.
const START_TAKES: &str = "1.5";
const START_TAKES_MS: u64 = 1_500;
/// Every start of the agent leaves a line here.
const STARTS: &str = "/run/wbd/starts";
/// While it is there, no start of the agent gets on.
const GATE: &str = "/run/wbd/gate";

#[test]
fn killed_between_intent_and_outcome_it_acts_once_and_ends_every_incident() {
    let host = product::shared();
    prepare(&host);
    let whole = Story::begin(&host);
    let (jobs, recorder) = (Jobs::listen(&host), Recorder::begin());
    let given = std::env::var("WBD_SEED").ok().and_then(|seed| seed.parse::<u32>().ok());
    let seed = given.unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().map_or(1, |now| now.subsec_nanos())) | 1;
    let mut random = seed;
    let mut lost = 0;
    let rounds = ROUNDS[usize::from(std::env::var_os("WBD_LONG").is_some())];
    for round in 0..rounds {
        let story = Story::begin(&host);
        let (agent, starts) = (product::agent_works(&host), starts(&host));
        let is_shut = round < SHUT;
        if is_shut {
            host.write(GATE, b"");
        }
        host.signal(agent, "STOP");
        let intent = story.wait_for("an intent", SOON, |record| record["kind"] == "intent");
        let delay = Duration::from_millis(u64::from(next(&mut random)) % (START_TAKES_MS + 300));
        if is_shut {
            host.wait_for("a start under way", SOON, || {
                if self::starts(&host) > starts { Ok(()) } else { Err(story.summary()) }
            });
        } else {
            stays("the delay", delay, || Ok(()));
        }
        let supervisor = host.main_pid(SUPERVISOR).expect("a running supervisor");
        host.signal(supervisor, "KILL");
        host.run(["/usr/bin/rm", "-f", GATE]).ok();
        // By its name: a host that stood still for a moment may have opened one before.
        let told = host.wait_for("its end", Duration::from_secs(60), || {
            let all = whole.incidents(CODE).into_iter();
            let mut ended = all.filter(|told| told.id == intent["incident"] && told.ending().is_some());
            ended.next().ok_or_else(|| whole.summary())
        });
        let when = if is_shut { "while a start stood still".to_owned() } else { format!("{delay:?} after the intent") };
        let context = format!("round {round}, seed {seed}, killed {when}\n{told}");
        assert_eq!(told.ending(), Some("healed"), "{context}");
        product::healthy(&host);
        let (actions, made) = (told.of("intent").len(), self::starts(&host) - starts);
        assert!(made <= actions, "{made} starts of the agent with {actions} intents: {context}");
        assert!(made >= 1, "healed without a start: {context}");
        product::another_agent_works(&host, agent);
        let ids: Vec<_> = told.of("intent").iter().map(|intent| intent["action_id"].clone()).collect();
        for id in &ids {
            let outcomes = told.of("outcome").iter().filter(|outcome| outcome["action_id"] == *id).count();
            assert_eq!((outcomes, ids.iter().filter(|other| *other == id).count()), (1, 1), "{id}: {context}");
        }
        let is_lost = told.of("outcome").iter().any(|outcome| outcome["result"] == "unknown");
        assert!(is_lost || !is_shut, "nobody was there to see its end: {context}");
        lost += usize::from(is_lost);
    }
    // Whatever a supervisor wants of a unit's process it asks systemd for. (Other hosts' agents have the same path.)
    let recording = recorder.so_far();
    let sent = recording
        .signals(&recording.lives(AGENT_PATH), |actor| actor == SUPERVISOR_NAME || actor.starts_with("tokio-"));
    assert!(sent.is_empty(), "signals of its own: {sent:?}\n{}", whole.summary());
    judge(
        &whole,
        &jobs,
        &format!("{rounds} kills, {SHUT} of them while a start stood still, {lost} before the outcome, seed {seed}"),
    );
    assert_eq!(whole.of("opened").len(), whole.of("closed").len(), "{}", whole.summary());
    let verified = json::wbdctl(&host, ["ledger", "verify"]);
    assert_eq!((verified.code, &verified.json["verified"]), (0, &true.into()), "{}", verified.json);
    put_back(&host);
}

/// Every job that was asked for, against the ledger.
fn judge(whole: &Story<'_>, jobs: &Jobs, what: &str) {
    let (records, effects) = (whole.records(), jobs.so_far());
    let budgets = vec![Budget { window_ms: 3_600_000, most: 1_000 }];
    // A monitor hears what the bus has passed on, so never too early.
    let rules = Rules { budgets, early_us: 0, late_us: jobs::LATE_US, sees_all: true };
    let wrongs = judge::judge(&records, &effects, &rules).wrongs;
    let actions = whole.of("intent").len();
    say(&format!(
        "crash trials on a booted host: {what}; {} jobs by {actions} actions, {} wrong",
        effects.len(),
        wrongs.len()
    ));
    assert!(wrongs.is_empty(), "{wrongs:#?}\n{effects:#?}\n{}", whole.summary());
}

/// So that the rounds take a minute and can be told: a missed heartbeat counts sooner, a start takes its time and
/// leaves its line, and no start limit ends the supervisor's own restarts.
fn prepare(host: &Host) {
    product::patched_playbook(host, "agent-down", &[("attempts: 3", "attempts: 100"), ("_ms > 10000", "_ms > 3000")]);
    product::reload(host).ok();
    host.write(
        &format!("/etc/systemd/system/{AGENT}.d/test.conf"),
        format!("[Service]\nTimeoutStartSec=60\nExecStartPre=/bin/sh -c 'echo >>{STARTS}; while [ -e {GATE} ]; do sleep 0.1; done; sleep {START_TAKES}'\n").as_bytes(),
    );
    host.write(&format!("/etc/systemd/system/{SUPERVISOR}.d/test.conf"), b"[Unit]\nStartLimitIntervalSec=0\n");
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    host.run(["/usr/bin/systemctl", "restart", AGENT]).ok();
    product::healthy(host);
}

fn put_back(host: &Host) {
    for unit in [AGENT, SUPERVISOR] {
        host.run(["/usr/bin/rm", "-r", &format!("/etc/systemd/system/{unit}.d")]).ok();
    }
    host.run(["/usr/bin/rm", "-f", STARTS, GATE]).ok();
    host.run(["/usr/bin/systemctl", "daemon-reload"]).ok();
    product::roomy_playbook(host, "agent-down");
    product::reload(host).ok();
    product::healthy(host);
}

fn starts(host: &Host) -> usize {
    host.read(STARTS).map_or(0, |lines| lines.iter().filter(|byte| **byte == b'\n').count())
}

/// Numbers that differ from run to run; the seed is told when it matters.
fn next(random: &mut u32) -> u32 {
    *random ^= *random << 13;
    *random ^= *random >> 17;
    *random ^= *random << 5;
    *random
}

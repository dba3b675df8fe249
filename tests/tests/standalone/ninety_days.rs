//! A rehearsal on a full ledger of ninety days, made of the records of one real incident many times over; it prints how long that takes.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use rusqlite::{Connection, params};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use wbd_tests::exec;
use wbd_tests::json::Answer;
use wbd_tests::places;

use crate::trial::{DOWN, Trial};

/// The size at which the supervisor rotates a ledger.
const FULL: u64 = 64 << 20;
const DAY_MS: i64 = 86_400_000;
const DAYS: i64 = 90;
/// Answers are kept for so long.
const KEPT_DAYS: i64 = 28;
/// A release build on a quiet machine needs less than 10 s.
const GIVEN_UP: Duration = Duration::from_secs(300);

/// Text of a record's place in the chain.
fn hash(prev: &str, payload: &str) -> String {
    let digest = Sha256::digest(format!("{prev}\n{payload}"));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The one incident's records as templates: the exit and all that followed, with its first moment.
fn templates(ledger: &Connection) -> (Vec<Value>, i64) {
    let mut statement = ledger
        .prepare("SELECT payload FROM entry WHERE kind = 'exit' OR incident = 1 ORDER BY seq")
        .expect("the ledger's table");
    let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("records");
    let all: Vec<Value> = rows.map(|text| serde_json::from_str(&text.expect("text")).expect("a record")).collect();
    assert!(all.len() >= 6, "an incident: {all:#?}");
    let first = all[0]["at"]["boot_ms"].as_i64().expect("a moment");
    (all, first)
}

/// Writes the incident again and again, until the ledger is full; how often.
fn fill_ledger(ledger: &mut Connection, begun_wall_ms: i64, path: &std::path::Path) -> i64 {
    let (templates, first_ms) = templates(ledger);
    let started: String =
        ledger.query_row("SELECT payload FROM entry WHERE kind = 'started'", [], |row| row.get(0)).expect("a start");
    let started: Value = serde_json::from_str(&started).expect("a record");
    let bytes: usize = templates.iter().map(|record| record.to_string().len() + 400).sum();
    let incidents = i64::try_from(FULL).expect("small") / i64::try_from(bytes).expect("small");
    let pause_ms = DAYS * DAY_MS / incidents;
    let transaction = ledger.transaction().expect("a ledger nobody writes");
    transaction.execute("DELETE FROM entry", []).expect("emptied");
    let (mut seq, mut prev) = (0_i64, "0".repeat(64));
    let mut put = |mut record: Value, at_ms: i64, number: Option<i64>| {
        seq += 1;
        record["seq"] = json!(seq);
        record["at"]["boot_ms"] = json!(at_ms);
        record["at"]["wall_ms"] = json!(begun_wall_ms + at_ms);
        if let Some(number) = number {
            if record["subject"]["incident"].is_u64() {
                record["subject"]["incident"] = json!(number);
            }
            for (kind, key) in [("intent", "action_id"), ("outcome", "action")] {
                if record["body"][kind].is_object() {
                    record["body"][kind][key] = json!(number);
                }
            }
        }
        let kind = record["body"].as_object().and_then(|body| body.keys().next().cloned()).expect("a kind");
        let subject = record["subject"].clone();
        let payload = record.to_string();
        let own = hash(&prev, &payload);
        let columns = params![
            seq,
            payload,
            prev,
            own,
            begun_wall_ms + at_ms,
            kind,
            subject["incident"].as_i64(),
            subject["code"].as_str(),
            subject["target"].as_str()
        ];
        transaction
            .prepare("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")
            .and_then(|mut insert| insert.execute(columns))
            .expect("written");
        prev = own;
    };
    put(started, 1, None);
    for number in 1..=incidents {
        for record in &templates {
            let after = record["at"]["boot_ms"].as_i64().expect("a moment") - first_ms;
            put(record.clone(), number * pause_ms + after, Some(number));
        }
    }
    transaction.commit().expect("written");
    ledger.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("folded in");
    let size = fs::metadata(path).expect("the ledger").len();
    println!("ledger: {} MiB, {seq} records, {incidents} incidents in {DAYS} days", size >> 20);
    assert!(size > FULL * 8 / 10, "a full one: {size}");
    pause_ms
}

/// Each question's whole answer while the agent was dead, and in the end.
fn answers(samples: &Connection) -> (BTreeMap<i64, String>, BTreeMap<i64, String>) {
    let mut statement = samples.prepare("SELECT question, at_ms, facts FROM seen ORDER BY id").expect("kept answers");
    let rows = statement
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?)))
        .expect("rows");
    let mut now: BTreeMap<i64, Map<String, Value>> = BTreeMap::new();
    let mut dead = BTreeMap::new();
    let text = |all: &BTreeMap<i64, Map<String, Value>>| {
        all.iter().map(|(question, facts)| (*question, Value::Object(facts.clone()).to_string())).collect()
    };
    for row in rows {
        let (question, _, facts) = row.expect("a row");
        let facts: Map<String, Value> = serde_json::from_str(&facts).expect("facts");
        now.entry(question).or_default().extend(facts);
        let is_dead = now.values().any(|facts| facts.get("alive") == Some(&json!(false)));
        if is_dead && now.values().any(|facts| facts.get("seen") == Some(&json!(true))) {
            dead = text(&now);
        }
    }
    assert!(!dead.is_empty(), "the death was kept: {now:#?}");
    (dead, text(&now))
}

/// What is kept of four weeks: each death and each cure whole, and a sweep every five minutes.
fn fill_samples(samples: &mut Connection, begun_wall_ms: i64, pause_ms: i64) {
    let (dead, alive) = answers(samples);
    let end_ms = DAYS * DAY_MS;
    let transaction = samples.transaction().expect("samples nobody writes");
    transaction.execute("DELETE FROM seen", []).expect("emptied");
    let until = "UPDATE run SET from_ms = 1, from_wall_ms = ?1, until_ms = ?2";
    transaction.execute(until, params![begun_wall_ms + 1, end_ms]).expect("one run");
    let mut rows = 0;
    let mut put = |at_ms: i64, all: &BTreeMap<i64, String>| {
        for (question, facts) in all {
            transaction
                .prepare("INSERT INTO seen(run, question, at_ms, whole, facts) SELECT id, ?1, ?2, 1, ?3 FROM run")
                .and_then(|mut insert| insert.execute(params![question, at_ms, facts]))
                .expect("written");
            rows += 1;
        }
    };
    let from_ms = end_ms - KEPT_DAYS * DAY_MS;
    for number in from_ms / pause_ms..end_ms / pause_ms {
        put(number * pause_ms, &dead);
        put(number * pause_ms + 900, &alive);
        for sweep in 1..pause_ms / 300_000 {
            put(number * pause_ms + sweep * 300_000, &alive);
        }
    }
    transaction.commit().expect("written");
    println!("answers: {rows} in {KEPT_DAYS} days");
}

#[test]
fn ninety_days_of_a_full_ledger_are_rehearsed() {
    let mut trial = Trial::begin("auto");
    let old = trial.hurt(Signal::SIGKILL);
    trial.healed(DOWN, 0, &["agent.start"]);
    trial.agent_after(old);
    trial.supervisor.terminate();
    let state = trial.root().join("var/lib/wbd");
    let now_ms = std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let begun_wall_ms = i64::try_from(now_ms).expect("small") - DAYS * DAY_MS;
    let path = state.join("ledger.db");
    let mut ledger = Connection::open(&path).expect("the ledger");
    let pause_ms = fill_ledger(&mut ledger, begun_wall_ms, &path);
    drop(ledger);
    trial.verifies();
    let mut samples = Connection::open(state.join("samples.db")).expect("the samples");
    fill_samples(&mut samples, begun_wall_ms, pause_ms);
    drop(samples);
    let file = trial.root().join("etc/wbd/playbooks.d/agent-down.yaml");
    let mut simulate = Command::new(places::program("wbdctl"));
    simulate.arg("--root").arg(trial.root()).args(["-o", "json", "playbook", "simulate"]).arg(file);
    let answer = Answer::of(&exec::run(simulate.args(["--since", "91d"]), b"", GIVEN_UP));
    assert_eq!((answer.code, &answer.json["known"]), (0, &true.into()));
    let incidents = answer.json["totals"]["incidents"].as_i64().unwrap_or_default();
    assert!(
        incidents > 5 * DAYS && answer.json["in_life"]["deeds"].as_i64() > Some(5 * DAYS),
        "{}",
        answer.json["totals"]
    );
}

//! What is kept of looks: each news once, the rest now and then, and never more than the bound.
use std::collections::BTreeSet;

use wbd_engine::{judge, playbook};
use wbd_model::name::ProfileName;
use wbd_model::problem::Source;
use wbd_model::settings::Settings;
use wbd_model::time::BootId;

use super::*;

const CONFIG: &str = include_str!("../../../../playbooks/agent-config.yaml");
const PROFILE: &str = include_str!("../../../../playbooks/wbd/profile.yaml");

/// One check, its fact recorder, and the samples of a folder.
struct Watched {
    folder: tempfile::TempDir,
    samples: Samples,
    checks: Checks,
    fact_recorder: FactRecorder,
    run: Option<i64>,
    open: BTreeMap<CheckKey, IncidentId>,
}

impl Watched {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = |text: &str| Source { path: "x.yaml".to_owned(), text: text.to_owned() };
        let (library, problems) = playbook::load(&[source(CONFIG), source(PROFILE)]);
        assert!(problems.is_empty(), "{problems:#?}");
        let mut checks = Checks::default();
        checks.replace(library.bind(&BTreeSet::from([ProfileName::new("wbd").unwrap()]), &Settings::default()), 0);
        let samples = Samples::open(folder.path(), 300).unwrap();
        Self { folder, samples, checks, fact_recorder: FactRecorder::default(), run: None, open: BTreeMap::new() }
    }

    /// The agent uses these settings; its heart beats.
    fn sees(&mut self, at_ms: u64, settings: &str, heartbeat_ms: i64) {
        let bound = self.checks.all[0].bound.clone();
        let mut seen = wbd_model::observation::Observations::new();
        for (name, probe) in &bound.probes {
            let mut answer = Observation::unseen(probe.name().fields(), "a test");
            answer.know("present", true).know("live", true).know("settings", settings);
            answer.know("settings_problem", "").know("heartbeat_age_ms", heartbeat_ms);
            seen.insert(name.clone(), answer);
        }
        let judgement = judge::judge(&bound, &seen);
        self.checks.store(0, Looked { seen, judgement, began_ms: at_ms, took_ms: 1 }, at_ms);
        let now = Now { boot: BootId("b".to_owned()), boot_ms: at_ms, wall_ms: 1_790_000_000_000 };
        if let Some(batch) = self.fact_recorder.news(&self.checks, &[0], &self.open, &now) {
            batch.write(&mut self.samples, &mut self.run).unwrap();
        }
    }

    fn kept(&self) -> Vec<(u64, bool, usize)> {
        let observed = Samples::open_read_only(self.folder.path()).unwrap().observed(|_| true).unwrap();
        observed.changes.iter().map(|change| (change.at_ms, change.whole, change.facts.len())).collect()
    }
}

#[test]
fn a_changed_verdict_is_kept_at_once_and_a_heartbeat_only_now_and_then() {
    let mut watched = Watched::new();
    let all = watched.checks.all[0].bound.probes.values().next().unwrap().name().fields().len();
    watched.sees(1_000, "current", 10);
    watched.sees(2_000, "current", 20);
    watched.sees(9_000, "good", 20);
    watched.sees(10_000, "good", 30);
    assert_eq!(watched.kept(), [(1_000, true, all), (9_000, false, 2)], "settings and heartbeat differ");
    watched.sees(1_000 + SWEEP_MS, "good", 40);
    watched.sees(2_000 + SWEEP_MS, "good", 50);
    assert_eq!(watched.kept()[2..], [(1_000 + SWEEP_MS, false, 1)]);
    watched.sees(1_000 + WHOLE_MS, "good", 50);
    assert_eq!(watched.kept()[3..], [(1_000 + WHOLE_MS, true, all)], "once a day all of it");
}

#[test]
fn while_an_incident_is_open_numbers_are_kept_each_second() {
    let mut watched = Watched::new();
    watched.sees(1_000, "current", 10);
    watched.open.insert(watched.checks.all[0].bound.key.clone(), IncidentId(1));
    for at_ms in [1_100, 1_900, 2_000, 2_100, 2_900, 3_000] {
        watched.sees(at_ms, "current", i64::try_from(at_ms).unwrap());
    }
    let at: Vec<u64> = watched.kept().iter().map(|(at_ms, _, _)| *at_ms).collect();
    assert_eq!(at, [1_000, 2_000, 3_000]);
    watched.open.clear();
    watched.sees(9_000, "current", 9);
    assert_eq!(watched.kept().len(), 3);
}

#[test]
fn a_word_that_changes_no_verdict_is_kept_at_once() {
    let mut watched = Watched::new();
    watched.sees(1_000, "current", 10);
    let verdict = watched.checks.all[0].last.as_ref().unwrap().judgement.verdict;
    watched.sees(2_000, "empty", 10);
    assert_eq!(watched.checks.all[0].last.as_ref().unwrap().judgement.verdict, verdict);
    assert_eq!(watched.kept()[1..], [(2_000, false, 1)]);
}

#[test]
fn a_flickering_check_is_kept_up_to_a_bound_and_goes_on_after_it() {
    let mut watched = Watched::new();
    for number in 0..2 * ROWS {
        watched.sees(1_000 + u64::try_from(number).unwrap(), if number % 2 == 0 { "current" } else { "good" }, 1);
    }
    assert_eq!(watched.kept().len(), ROWS);
    watched.sees(1_000 + SWEEP_MS, "current", 2);
    watched.sees(1_001 + SWEEP_MS, "good", 2);
    assert_eq!(watched.kept().len(), ROWS + 2);
}

#[test]
fn what_is_read_back_is_what_was_seen() {
    let mut watched = Watched::new();
    watched.sees(1_000, "current", 10);
    let observed = Samples::open_read_only(watched.folder.path()).unwrap().observed(|_| true).unwrap();
    let seen = watched.checks.all[0].last.as_ref().unwrap().seen.values().next().unwrap();
    assert_eq!(observed.changes[0].facts, seen.facts);
    assert_eq!(observed.questions[0], *watched.checks.all[0].bound.probes.values().next().unwrap());
    assert_eq!((observed.runs.len(), observed.runs[0].until_ms), (1, 1_000));
    let none = Samples::open_read_only(watched.folder.path()).unwrap().observed(|_| false).unwrap();
    assert!(none.changes.is_empty() && none.runs.len() == 1);
}

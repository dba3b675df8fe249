//! Rehearsals on made-up records: what would have been done, and above all what cannot be known.
use std::collections::{BTreeMap, BTreeSet};

use wbd_model::action::{Action, Class};
use wbd_model::entry::{Body, Entry, Exit, ExitHow, Intent, Outcome, Subject};
use wbd_model::incident::{ActionId, Closing, IncidentId};
use wbd_model::name::ProfileName;
use wbd_model::observation::{Fact, Observations, Value};
use wbd_model::observed::{Change, Observed, Run};
use wbd_model::probe::Probe;
use wbd_model::problem::Source;
use wbd_model::profile::Leak;
use wbd_model::sample::{Sample, SegmentId};
use wbd_model::settings::{Healing, Settings};
use wbd_model::time::{BootId, Now};

use super::*;
use crate::playbook::{self, Bound};

const DOWN: &str = include_str!("../../../../../playbooks/agent-down.yaml");
const LEAK: &str = include_str!("../../../../../playbooks/fd-leak.yaml");
const WBD: &str = include_str!("../../../../../playbooks/wbd/profile.yaml");
const FTP: &str = include_str!("../../../../../playbooks/iwss/ftp.yaml");
const WALL_MS: i64 = 1_790_000_000_000;
const HOUR: u64 = 3_600_000;

fn bounds(text: &str, profile: &str, name: &str) -> Vec<Bound> {
    let source = |text: &str, path: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let (library, problems) = playbook::load(&[source(text, "x.yaml"), source(profile, "p.yaml")]);
    assert!(problems.is_empty(), "{problems:#?}");
    let bounds = library.bind(&BTreeSet::from([ProfileName::new(name).unwrap()]), &Settings::default());
    assert_eq!(bounds.len(), 1, "{bounds:#?}");
    bounds
}

fn down(changes: &[(&str, &str)]) -> Vec<Bound> {
    let mut text = DOWN.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "agent-down no longer says {from:?}");
        text = text.replace(from, to);
    }
    bounds(&text, WBD, "wbd")
}

fn at(boot: &str, boot_ms: u64) -> Now {
    Now { boot: BootId(boot.to_owned()), boot_ms, wall_ms: WALL_MS + i64::try_from(boot_ms).unwrap() }
}

/// A record that grows as a host's would.
struct Recorded {
    boot: &'static str,
    entries: Vec<Entry>,
    observed: Observed,
}

impl Recorded {
    fn new() -> Self {
        Self { boot: "b1", entries: Vec::new(), observed: Observed::default() }
    }

    /// The supervisor looks from here to there.
    fn runs(&mut self, from_ms: u64, until_ms: u64) -> &mut Self {
        self.writes(from_ms, Body::Started { version: "1".to_owned(), mode: "standalone".to_owned() });
        let id = i64::try_from(self.observed.runs.len()).unwrap();
        self.observed.runs.push(Run { id, begun: at(self.boot, from_ms), until_ms });
        self
    }

    fn writes(&mut self, at_ms: u64, body: Body) -> &mut Self {
        self.writes_about(at_ms, Subject::default(), body)
    }

    fn writes_about(&mut self, at_ms: u64, subject: Subject, body: Body) -> &mut Self {
        let seq = self.entries.len() as u64 + 1;
        let (prev, hash) = (String::new(), String::new());
        self.entries.push(Entry { seq, at: at(self.boot, at_ms), subject, body, prev, hash });
        self
    }

    /// Every question of agent-down is answered: the agent lives with this process id, or is dead.
    fn agent(&mut self, at_ms: u64, pid: Option<i64>) -> &mut Self {
        let bound = down(&[]).remove(0);
        for (name, probe) in &bound.probes {
            let seen = agent(name, pid);
            let question = match self.observed.questions.iter().position(|known| known == probe) {
                Some(known) => known,
                None => {
                    self.observed.questions.push(probe.clone());
                    self.observed.questions.len() - 1
                }
            };
            let run = self.observed.runs.len() - 1;
            self.observed.changes.push(Change { run, at_ms, question, whole: true, facts: seen });
        }
        self
    }

    /// A real action of wbd's own for the agent, in incident `id`.
    fn starts(&mut self, at_ms: u64, id: u64) -> &mut Self {
        let about = Subject {
            incident: Some(IncidentId(id)),
            code: Some(down(&[])[0].key.code.clone()),
            target: Some(down(&[])[0].key.target.clone()),
            playbook: Some(down(&[])[0].playbook.clone()),
        };
        let opened = Body::Opened {
            digest: "d".to_owned(),
            case: "dead".to_owned(),
            evidence: vec!["proc.alive = false".to_owned()],
            before: quoted(None),
        };
        let action = Action::AgentStart {};
        let intent = Intent {
            action_id: ActionId(id),
            class: action.class(),
            plan: vec![action.clone()],
            action,
            rung: 0,
            rung_id: "start".to_owned(),
            step: 0,
            steps: 1,
            start_by_ms: at_ms + 5_000,
            changes: Vec::new(),
            undo: None,
            undoes: None,
            by_hand: None,
            paid: false,
            takes_back_stop: false,
            before: quoted(None),
        };
        let done = Body::Outcome { action: ActionId(id), result: Outcome::Done, detail: String::new(), took_ms: 5 };
        let evidence = ["present = true", "live = true", "heartbeat_age_ms = 142", "state = \"active\""];
        let of_process = ["proc.alive = true", "proc.pid = 8"].map(str::to_owned);
        let evidence = evidence.iter().map(|line| format!("agent.{line}")).chain(of_process).collect();
        let proved = Body::Verdict { passed: true, evidence, after_ms: 900 };
        self.writes_about(at_ms, about.clone(), opened)
            .writes_about(at_ms + 1, about.clone(), Body::Intent(Box::new(intent)))
            .writes_about(at_ms + 9, about.clone(), done)
            .writes_about(at_ms + 2_900, about.clone(), proved)
            .writes_about(at_ms + 4_950, about, Body::Closed { how: Closing::Healed })
    }

    fn rehearse(&self, bounds: &[Bound], settings: &Settings) -> SimulationReport {
        self.rehearse_from(bounds, settings, 0)
    }

    fn rehearse_from(&self, bounds: &[Bound], settings: &Settings, from_wall_ms: i64) -> SimulationReport {
        let record = Record {
            bounds,
            installed: &down(&[]),
            leaks: &BTreeMap::new(),
            settings,
            entries: &self.entries,
            observed: &self.observed,
            from_wall_ms,
            offset_s: 0,
        };
        simulate(&record).unwrap()
    }
}

fn agent(name: &str, pid: Option<i64>) -> BTreeMap<String, Fact> {
    let known = |pairs: &[(&str, Value)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), Fact::Known(value.clone()))).collect()
    };
    let alive = pid.is_some();
    match name {
        "proc" => known(&[
            ("alive", alive.into()),
            ("pid", pid.unwrap_or(0).into()),
            ("age_s", 100.into()),
            ("traced", false.into()),
            ("starved", false.into()),
        ]),
        "svc" => known(&[
            ("manager", "none".into()),
            ("stop_noted", false.into()),
            ("start_limit_hit", false.into()),
            ("active", "none".into()),
            ("masked", false.into()),
        ]),
        "exit" => known(&[
            ("seen", (!alive).into()),
            ("asked", false.into()),
            ("recent", 1.into()),
            ("how", "signal".into()),
            ("code", 9.into()),
        ]),
        "agent" => known(&[
            ("present", true.into()),
            ("live", alive.into()),
            ("heartbeat_age_ms", 200.into()),
            ("state", "active".into()),
        ]),
        other => panic!("agent-down asks {other}"),
    }
}

fn quoted(pid: Option<i64>) -> Observations {
    let names = down(&[]).remove(0).probes.into_keys();
    names.map(|name| (name.clone(), wbd_model::observation::Observation { facts: agent(&name, pid) })).collect()
}

fn kinds(report: &SimulationReport) -> Vec<&str> {
    report.events.iter().map(|event| event.kind.as_str()).collect()
}

/// Killed at 10 s and started by wbd at once.
fn healed_in_life() -> Recorded {
    let mut told = Recorded::new();
    told.runs(0, HOUR).agent(10, Some(7)).agent(10_000, None).starts(10_000, 1).agent(10_500, Some(8));
    told
}

#[test]
fn the_installed_playbook_would_have_done_what_it_did() {
    let report = healed_in_life().rehearse(&down(&[]), &Settings::default());
    assert_eq!(kinds(&report), ["opened", "intent", "verdict", "closed"], "{report:#?}");
    let action = &report.events[1];
    assert_eq!(
        (action.boot_ms, action.class, action.action.as_ref()),
        (10_000, Some(Class::A2), Some(&Action::AgentStart {}))
    );
    assert_eq!(action.in_life, ["A1 agent.start"]);
    let left = Budget { host_hour_left: 2, host_day_left: 5, attempt: 1, attempts_max: 3 };
    assert_eq!(action.budget, Some(left), "its own real action is not paid for twice");
    assert_eq!((report.events[2].word.as_str(), report.events[2].decidable), ("pass", Some(true)), "{report:#?}");
    assert_eq!((report.totals.incidents, report.totals.actions, report.totals.proved), (1, 1, 1));
    assert_eq!((report.actions_in_life, report.totals.not_decidable), (1, 0));
    let check = &report.checks[0];
    assert_eq!((check.recorded_ms, check.failures, check.undecided_ms), (HOUR - 10, 1, 0));
}

#[test]
fn a_longer_hold_would_have_left_it_alone() {
    let waits = down(&[(
        "      - id: dead\n        level: fail\n",
        "      - id: dead\n        level: fail\n        for: 60s\n",
    )]);
    let report = healed_in_life().rehearse(&waits, &Settings::default());
    assert!(report.events.is_empty(), "{report:#?}");
    assert_eq!(
        (report.checks[0].failures, report.actions_in_life),
        (1, 1),
        "it was seen, and wbd's real action is told"
    );
}

#[test]
fn another_action_is_proposed_and_its_proof_is_not_claimed() {
    let other = down(&[("        - agent.start: {}\n", "        - agent.restart: {}\n")]);
    let report = healed_in_life().rehearse(&other, &Settings::default());
    assert_eq!(report.events[1].action, Some(Action::AgentRestart {}));
    assert_eq!(report.events[2].decidable, Some(false), "{report:#?}");
    assert!(
        report.events[2].evidence.iter().any(|line| line.contains("A1, another action (agent.start)")),
        "{report:#?}"
    );
    assert_eq!((report.totals.proved, report.totals.not_decidable), (0, 1));
}

#[test]
fn what_was_only_observed_in_life_has_no_proof() {
    let mut told = Recorded::new();
    told.runs(0, HOUR).agent(10, Some(7)).agent(10_000, None).agent(HOUR, None);
    let report = told.rehearse(&down(&[]), &Settings::default());
    assert!(report.totals.actions >= 2, "{report:#?}");
    assert_eq!((report.totals.proved, report.totals.not_proved), (0, 0));
    assert_eq!(report.totals.not_decidable, report.totals.actions);
    assert!(!report.events[1].assumed, "the first action rests on the record");
    let second = report.events.iter().filter(|event| event.action.is_some()).nth(1).unwrap();
    assert!(second.assumed, "{second:#?}");
    let healing = Settings { healing: Healing::Observe, ..Settings::default() };
    let report = told.rehearse(&down(&[]), &healing);
    assert_eq!(kinds(&report), ["opened", "refused", "escalated", "closed"][..kinds(&report).len()], "{report:#?}");
    assert_eq!((report.totals.actions, report.totals.refusals, report.events[1].word.as_str()), (0, 1, "mode"));
}

#[test]
fn nothing_recorded_is_unknown_and_not_nothing() {
    let mut told = Recorded::new();
    told.runs(0, HOUR);
    let report = told.rehearse(&down(&[]), &Settings::default());
    assert_eq!((report.checks[0].recorded_ms, report.checks[0].failures), (0, 0));
    assert!(report.checks[0].never_recorded.contains("process.state"), "{report:#?}");
    let empty = Recorded::new().rehearse(&down(&[]), &Settings::default());
    assert_eq!((empty.from, empty.checks[0].recorded_ms), (None, 0));
}

#[test]
fn while_nobody_looked_nothing_is_known() {
    let mut told = Recorded::new();
    // The first run ends with a dead agent; a second one finds it alive an hour later.
    told.runs(0, 10_000).agent(10, Some(7)).agent(9_900, None);
    told.runs(HOUR, 2 * HOUR).agent(HOUR, Some(8));
    let waits = down(&[(
        "      - id: dead\n        level: fail\n",
        "      - id: dead\n        level: fail\n        for: 1m\n",
    )]);
    let report = told.rehearse(&waits, &Settings::default());
    assert!(report.events.is_empty(), "a hold is not counted across the gap: {report:#?}");
    assert_eq!(report.checks[0].recorded_ms, 9_990 + HOUR);
    let mut twin = Recorded::new();
    twin.runs(0, 2 * HOUR).agent(10, Some(7)).agent(9_900, None).agent(HOUR, Some(8));
    assert_eq!(twin.rehearse(&waits, &Settings::default()).totals.actions, 3, "without the gap it acts");
}

#[test]
fn a_difference_without_the_whole_before_it_says_nothing() {
    let mut told = Recorded::new();
    told.runs(0, HOUR).agent(10, None);
    told.observed.changes.iter_mut().for_each(|change| change.whole = false);
    let report = told.rehearse(&down(&[]), &Settings::default());
    assert!(report.events.is_empty() && report.checks[0].recorded_ms == 0, "{report:#?}");
}

#[test]
fn the_ledger_alone_tells_of_what_is_older_than_the_kept_answers() {
    let mut told = healed_in_life();
    told.observed = Observed::default();
    let report = told.rehearse(&down(&[]), &Settings::default());
    assert_eq!(kinds(&report), ["opened", "intent", "verdict", "closed"], "{report:#?}");
    assert_eq!((report.events[0].boot_ms, report.events[2].boot_ms), (10_000, 12_900));
    assert_eq!(report.checks[0].recorded_ms, 900, "from the opening to the proof's first sight, and nothing besides");
    assert_eq!((report.totals.proved, report.events[3].word.as_str()), (1, "healed"), "{report:#?}");
    // A proof over what the ledger did not quote cannot be told, and what would follow from it is not made up.
    let asks_more = down(&[("pass: \"proc.alive", "pass: \"proc.age_s >= 0 && proc.alive")]);
    let report = told.rehearse(&asks_more, &Settings::default());
    assert_eq!(kinds(&report), ["opened", "intent", "closed"], "{report:#?}");
    assert_eq!((report.totals.proved, report.totals.not_proved, report.totals.not_decidable), (0, 0, 1));
    assert_eq!(report.events[2].word, "not-told");
}

#[test]
fn a_spent_host_budget_says_no_and_until_when() {
    let mut told = Recorded::new();
    told.runs(0, 3 * HOUR).agent(10, Some(1));
    for number in 1..=4 {
        let killed = number * 600_000;
        told.agent(killed, None).agent(killed + 500, Some(i64::try_from(number).unwrap() + 1));
    }
    // The last one stays dead.
    told.agent(5 * 600_000, None).agent(HOUR + 1_800_000, Some(9));
    let loose = down(&[("budget: {attempts: 3, per: 1h,", "budget: {attempts: 9, per: 1h,")]);
    let report = told.rehearse(&loose, &Settings::default());
    let refused: Vec<_> = report.events.iter().filter(|event| event.kind == "refused").collect();
    assert!(refused.iter().take(2).all(|event| event.word == "host-budget"), "{report:#?}");
    let actions: Vec<u64> = report.events.iter().filter(|e| e.action.is_some()).map(|event| event.boot_ms).collect();
    assert_eq!(actions[..3], [600_000, 1_200_000, 1_800_000]);
    // A debit lives an hour and the start deadline.
    assert_eq!(actions[3], 600_000 + HOUR + 5_001);
    let left: Vec<u32> = report.events.iter().filter_map(|e| e.budget).map(|budget| budget.host_hour_left).collect();
    assert_eq!(left[..4], [2, 1, 0, 0]);
}

#[test]
fn a_pause_of_that_time_holds_until_it_was_lifted() {
    let mut told = Recorded::new();
    let hold = Body::Hold {
        who: "ann".to_owned(),
        why: "upgrade".to_owned(),
        until_wall_ms: None,
        from_class: Class::A1,
        file: None,
        busy: None,
    };
    told.runs(0, HOUR).writes(5_000, hold).agent(10, Some(7)).agent(10_000, None);
    told.writes(60_000, Body::Lifted { who: "ann".to_owned(), file: None }).agent(61_000, Some(8));
    let report = told.rehearse(&down(&[]), &Settings::default());
    assert_eq!(kinds(&report)[..3], ["opened", "refused", "intent"], "{report:#?}");
    assert_eq!((report.events[1].word.as_str(), report.events[2].boot_ms), ("hold", 60_000));
}

#[test]
fn actions_of_other_playbooks_cost_the_budget_that_they_cost() {
    let mut told = healed_in_life();
    for entry in &mut told.entries {
        entry.subject.playbook =
            entry.subject.playbook.take().map(|_| wbd_model::name::PlaybookName::new("other").unwrap());
        entry.subject.code = entry.subject.code.take().map(|_| wbd_model::name::Code::new("X-1").unwrap());
    }
    told.agent(HOUR / 2, None).agent(HOUR / 2 + 500, Some(9));
    let report = told.rehearse(&down(&[]), &Settings::default());
    let left: Vec<u32> = report.events.iter().filter_map(|event| event.budget).map(|b| b.host_hour_left).collect();
    assert_eq!((left[0], report.actions_in_life), (2, 0), "it acts before the other one is recorded: {report:#?}");
    assert_eq!(left[1], 0, "the other one's restart counts");
}

#[test]
fn a_reboot_counts_debits_as_made_at_the_boot_and_forgets_holds_in_memory() {
    let mut told = Recorded::new();
    told.runs(0, 2_000_000).agent(10, Some(1));
    for number in 1..=3 {
        told.agent(number * 100_000, None).agent(number * 100_000 + 500, Some(i64::try_from(number).unwrap() + 1));
    }
    told.boot = "b2";
    told.runs(1_000, HOUR * 2).agent(2_000, Some(5)).agent(10_000, None).agent(HOUR + 30_000, Some(6));
    let loose = down(&[("budget: {attempts: 3, per: 1h,", "budget: {attempts: 9, per: 1h,")]);
    let report = told.rehearse(&loose, &Settings::default());
    let after: Vec<_> = report.events.iter().filter(|event| event.boot == "b2").collect();
    assert_eq!((after[1].kind.as_str(), after[1].word.as_str()), ("refused", "host-budget"), "{after:#?}");
    let action = after.iter().find(|event| event.action.is_some()).unwrap();
    assert_eq!(action.boot_ms, HOUR + 5_001);
}

#[test]
fn nothing_is_decided_before_the_time_that_was_asked_for() {
    let told = healed_in_life();
    let report = told.rehearse_from(&down(&[]), &Settings::default(), WALL_MS + 600_000);
    assert!(report.events.is_empty() && report.totals.actions == 0, "{report:#?}");
    assert!(report.checks[0].recorded_ms <= HOUR - 600_000);
}

#[test]
fn an_exit_of_the_ledger_answers_where_nothing_was_kept_of_it() {
    let mut told = Recorded::new();
    told.runs(0, HOUR).agent(10, Some(7));
    let exit = Exit { pid: 7, how: ExitHow::Signal, code: 9, asked: false, by: String::new() };
    let about = Subject { target: Some(down(&[])[0].key.target.clone()), ..Subject::default() };
    told.writes_about(10_000, about, Body::Exit(exit)).agent(10_001, None).agent(10_900, Some(8));
    let of_exit = told.observed.questions.iter().position(|probe| matches!(probe, Probe::ExitLast(_))).unwrap();
    told.observed.changes.retain(|change| change.question != of_exit);
    let report = told.rehearse(&down(&[]), &Settings::default());
    assert_eq!(report.totals.actions, 1, "{report:#?}");
}

#[test]
fn samples_alone_show_a_leak_to_a_playbook_that_was_not_there() {
    let bounds = bounds(LEAK, FTP, "iwss-ftp");
    let Some(Probe::FdTrend(selector)) =
        bounds[0].probes.values().find(|probe| matches!(probe, Probe::FdTrend(_))).cloned()
    else {
        panic!("fd-leak asks for no trend");
    };
    let leak = Leak { window: "01:00-06:00".to_owned(), fallback: None };
    let mut told = Recorded::new();
    let days = 8 * 24 * HOUR;
    told.runs(0, days);
    let start_s = WALL_MS / 1000;
    let sample = |number: u32| {
        let open = 100 + number / 4;
        Sample { at_s: start_s + i64::from(number) * 300, min: open, max: open + 2, last: open, limit: 700 }
    };
    let segment = SegmentId {
        process: "iwss-ftp/x".to_owned(),
        start_ticks: 1,
        boot_id: "b1".to_owned(),
        executable: "e".to_owned(),
    };
    told.observed.series.push((segment, (1..8 * 288).map(sample).collect()));
    let leaks = BTreeMap::from([(selector, ("iwss-ftp/x".to_owned(), leak))]);
    let settings = Settings::default();
    let record = Record {
        bounds: &bounds,
        installed: &[],
        leaks: &leaks,
        settings: &settings,
        entries: &told.entries,
        observed: &told.observed,
        from_wall_ms: 0,
        offset_s: 0,
    };
    let report = simulate(&record).unwrap();
    let action = report.events.iter().find(|event| event.action.is_some()).expect("near its limit it is restarted");
    assert_eq!((action.class, action.code.as_ref().map(|code| code.as_str())), (Some(Class::A3), Some("IWSS-FTPLEAK")));
    assert_eq!(report.totals.not_decidable, report.totals.actions, "{report:#?}");
}

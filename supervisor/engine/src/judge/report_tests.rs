//! Doctor's answer, from looks to rows: which causes stand, in which order, with what they explain, and what a waiver
//! or a stop by a person makes of them.
use std::collections::BTreeSet;

use wbd_model::action::Class;
use wbd_model::name::TargetName;
use wbd_model::observation::Observation;
use wbd_model::plan::Approval;
use wbd_model::problem::Source;
use wbd_model::settings::Settings;
use wbd_model::waiver::Standing;

use super::*;
use crate::judge::judge;
use crate::playbook::load;

const FILE: &str = "\
apiVersion: wbd/v1
kind: Profile
metadata: {name: p}
spec:
  present: {any: [{file: /p}]}
  process: {main: {comm: p, user: [root]}}
  health: true
---
kind: Profile
metadata: {name: q}
spec:
  present: {any: [{file: /q}]}
  process: {main: {comm: q, user: [root]}}
  health: true
---
kind: Playbook
metadata: {name: full, code: WBD-2}
spec:
  applies: {has: [process.main, health]}
  observe: {fd: {fd.usage: {process: main}}}
  detect:
    for: 10s
    cases:
      - {id: full, level: fail, when: \"fd.open > 100\"}
      - {id: near, level: warn, when: \"fd.open > 50\"}
  explains: [slow]
  rungs:
    - id: raise
      approval: operator
      steps:
        - sysctl.set: {key: fs.inotify.max_user_watches, value: 20000}
        - agent.reload: {}
        - sysctl.set: {key: fs.inotify.max_user_instances, value: 256}
  verify: {pass: \"fd.open < 100\", within: 30s}
  text:
    en:
      full: {title: \"{fd.open} are open\", cause: too many, guide: [close some]}
      near: {title: nearly full, cause: nearly}
    ja:
      full: {title: \"{fd.open} open\", cause: ja, guide: [ja]}
      near: {title: ja, cause: ja}
---
kind: Playbook
metadata: {name: slow, code: WBD-1}
spec:
  applies: {has: [process.main]}
  observe: {fd: {fd.usage: {process: main}}}
  detect:
    cases:
      - {id: slow, level: fail, when: \"fd.open > 90\"}
      - {id: tired, level: warn, when: \"fd.open > 80\"}
  explains: [spare/spare]
  text:
    en:
      slow: {title: slow, cause: slow, guide: [wait]}
      tired: {title: tired, cause: tired}
---
kind: Playbook
metadata: {name: spare, code: WBD-3}
spec:
  applies: {has: [process.main]}
  observe: {fd: {fd.usage: {process: main}}}
  detect:
    cases:
      - {id: few, level: warn, when: \"fd.open > 200\"}
      - {id: spare, level: warn, when: \"fd.open > 10\"}
  text: {en: {few: {title: few, cause: few}, spare: {title: spare, cause: spare}}}
";

const STARTED_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 86_400_000;

struct Look {
    bound: Bound,
    seen: Observations,
    judgement: Judgement,
}

/// One look for each check that is named: its playbook, its product, how many files are open.
fn looks(wanted: &[(&str, &str, i64)]) -> Vec<Look> {
    let (library, problems) = load(&[Source { path: "x.yaml".to_owned(), text: FILE.to_owned() }]);
    assert_eq!(problems, []);
    let present: BTreeSet<_> = library.profiles.keys().cloned().collect();
    let bounds = library.bind(&present, &Settings::default());
    let look = |(playbook, target, open): &(&str, &str, i64)| {
        let is_it = |bound: &&Bound| bound.playbook.as_str() == *playbook && bound.key.target.as_str() == *target;
        let bound = bounds.iter().find(is_it).unwrap().clone();
        let mut fd = Observation::default();
        fd.know("open", *open);
        let seen = Observations::from([("fd".to_owned(), fd)]);
        Look { judgement: judge(&bound, &seen), bound, seen }
    };
    wanted.iter().map(look).collect()
}

fn row(look: &Look) -> Row<'_> {
    Row { bound: &look.bound, judgement: &look.judgement, seen: &look.seen, held_ms: Some(60_000), took_ms: 7 }
}

fn nothing() -> Inputs<'static> {
    Inputs {
        host: "h".to_owned(),
        started_ms: STARTED_MS,
        duration_ms: 12,
        rows: &[],
        unseen_profiles: &[],
        alike: &[],
        forgotten: &[],
        problems: &[],
        daemon: None,
        waivers: &[],
        alone: false,
        lang: Lang::En,
    }
}

fn told(wanted: &[(&str, &str, i64)], waivers: &[Waiver]) -> Report {
    let looks = looks(wanted);
    let rows: Vec<Row<'_>> = looks.iter().map(row).collect();
    report(Inputs { rows: &rows, waivers, ..nothing() })
}

/// The causes as `CODE on TARGET: what it explains`.
fn causes(report: &Report) -> Vec<String> {
    let line = |cause: &Cause| {
        let explains: Vec<&str> = cause.explains.iter().map(Code::as_str).collect();
        format!("{} on {}: {}", cause.code, cause.target, explains.join(" "))
    };
    report.causes.iter().map(line).collect()
}

/// The checks as `CODE on TARGET: verdict, reason`.
fn checks(report: &Report) -> Vec<String> {
    let line = |row: &CheckRow| format!("{} on {}: {}, {}", row.code, row.target, row.verdict.as_str(), row.reason);
    report.checks.iter().map(line).collect()
}

fn waiver(code: &str, target: Option<&str>, until_wall_ms: i64) -> Waiver {
    Waiver {
        code: Code::new(code).unwrap(),
        target: target.map(|target| TargetName::new(target).unwrap()),
        who: "root".to_owned(),
        why: "a test host".to_owned(),
        since_wall_ms: 0,
        until_wall_ms,
    }
}

#[test]
fn a_consequence_is_no_cause_of_its_own_and_names_the_one_that_it_has() {
    let report = told(&[("slow", "p", 95), ("full", "p", 101), ("spare", "p", 20)], &[]);
    assert_eq!(causes(&report), ["WBD-2 on p: WBD-1 WBD-3"]);
    assert_eq!(
        checks(&report),
        [
            "WBD-1 on p: fail, case slow; because of WBD-2 on p",
            "WBD-2 on p: fail, case full",
            "WBD-3 on p: warn, case spare; because of WBD-2 on p",
        ]
    );
    assert_eq!((report.verdict, report.host.as_str(), report.started), (Overall::Fail, "h", STARTED_MS));
    assert_eq!((report.duration_ms, report.checks[0].duration_ms), (12, 7));
    // Twins: another product's failure, a warning and another case explain nothing.
    assert_eq!(causes(&told(&[("slow", "q", 95), ("full", "p", 101)], &[])), ["WBD-1 on q: ", "WBD-2 on p: "]);
    let report = told(&[("slow", "p", 95), ("full", "p", 60), ("spare", "p", 20)], &[]);
    assert_eq!(causes(&report), ["WBD-1 on p: WBD-3", "WBD-2 on p: "]);
    let report = told(&[("slow", "p", 85), ("full", "p", 101), ("spare", "p", 20)], &[]);
    assert_eq!(causes(&report), ["WBD-2 on p: ", "WBD-1 on p: ", "WBD-3 on p: "]);
    let report = told(&[("slow", "p", 95), ("spare", "p", 201)], &[]);
    assert_eq!(causes(&report), ["WBD-1 on p: ", "WBD-3 on p: "]);
    assert_eq!(causes(&told(&[("full", "p", 5), ("slow", "p", 5)], &[])), [""; 0]);
}

#[test]
fn the_worst_stands_first_then_what_explains_most_then_the_code_and_the_product() {
    let all = [("spare", "p", 20), ("slow", "q", 95), ("full", "p", 101), ("slow", "p", 95), ("spare", "q", 300)];
    assert_eq!(causes(&told(&all, &[])), ["WBD-2 on p: WBD-1 WBD-3", "WBD-1 on q: ", "WBD-3 on q: "]);
    let two = [("slow", "q", 95), ("full", "q", 10), ("slow", "p", 95)];
    assert_eq!(causes(&told(&two, &[])), ["WBD-1 on p: ", "WBD-1 on q: "]);
    let order = ["WBD-1 on p: fail, case slow", "WBD-1 on q: fail, case slow", "WBD-2 on q: pass, "];
    assert_eq!(checks(&told(&two, &[])), order);
}

#[test]
fn the_fix_of_a_failure_says_what_is_done_and_a_warning_has_none() {
    let looks = looks(&[("full", "p", 101), ("full", "q", 60), ("spare", "q", 20)]);
    let rows: Vec<Row<'_>> = looks.iter().map(row).collect();
    let inputs = |alone, lang| Inputs { rows: &rows, alone, lang, ..nothing() };
    let says = report(inputs(false, Lang::En));
    let cause = &says.causes[0];
    assert_eq!((cause.title.as_str(), cause.claim.as_str()), ("101 are open", "too many"));
    assert_eq!((&cause.evidence, &cause.guide), (&vec!["fd.open = 101".to_owned()], &vec!["close some".to_owned()]));
    assert_eq!(
        (cause.in_words(), cause.group.as_deref()),
        (["open files: 101".to_owned()].as_slice(), Some("full/full"))
    );
    assert_eq!(cause.severity, Verdict::Fail);
    let fix = cause.fix.as_ref().unwrap();
    assert_eq!((fix.approval, fix.class, fix.playbook.as_str()), (Approval::Operator, Class::A1, "full"));
    let plan =
        ["set fs.inotify.max_user_watches to 20000", "reload the agent", "set fs.inotify.max_user_instances to 256"];
    assert_eq!((fix.plan.as_slice(), &fix.withheld), (plan.map(str::to_owned).as_slice(), &None));
    assert!(says.causes[1..].iter().all(|cause| cause.fix.is_none()), "{:?}", says.causes);
    // A stand-alone supervisor leaves to a person what changes the machine, and says how it is typed.
    let says = report(inputs(true, Lang::Ja));
    assert_eq!(says.causes[0].title, "101 open");
    let withheld = says.causes[0].fix.as_ref().and_then(|fix| fix.withheld.clone());
    let typed = "sysctl -w fs.inotify.max_user_watches=20000, then sysctl -w fs.inotify.max_user_instances=256";
    let why = "a stand-alone supervisor changes nothing outside of its root; on the machine";
    assert_eq!(withheld, Some(format!("{why}: {typed}")));
}

#[test]
fn what_stays_inside_of_the_root_is_not_withheld_from_a_stand_alone_supervisor() {
    let plan = |steps| Plan {
        code: Code::new("WBD-2").unwrap(),
        target: TargetName::new("p").unwrap(),
        playbook: wbd_model::name::PlaybookName::new("full").unwrap(),
        digest: String::new(),
        rung: 0,
        rung_id: String::new(),
        approval: Approval::Auto,
        steps,
    };
    assert_eq!(on_the_machine(&plan(vec![Action::AgentReload {}])), None);
}

#[test]
fn a_failure_that_has_not_lasted_yet_says_when_wbd_acts() {
    let said = |held_ms| {
        let looks = looks(&[("full", "p", 101)]);
        let rows = [Row { held_ms, ..row(&looks[0]) }];
        let report = report(Inputs { rows: &rows, ..nothing() });
        report.causes[0].evidence.get(1).cloned()
    };
    let not_yet = |text: &str| Some(format!("seen for {text} s so far; wbd takes it as a failure after 10 s"));
    assert_eq!((said(None), said(Some(0)), said(Some(4_500))), (not_yet("0"), not_yet("0"), not_yet("4")));
    assert_eq!((said(Some(9_999)), said(Some(10_000)), said(Some(10_001))), (not_yet("9"), None, None));
    // Twin: a warning need not last.
    let looks = looks(&[("full", "p", 60)]);
    let rows = [Row { held_ms: None, ..row(&looks[0]) }];
    assert_eq!(report(Inputs { rows: &rows, ..nothing() }).causes[0].evidence, ["fd.open = 60"]);
}

#[test]
fn a_check_that_passes_since_a_person_stopped_the_agent_says_whose_wish_that_was() {
    let said = |open, noted: bool, other: &str| {
        let mut looks = looks(&[("full", "p", open)]);
        let mut stop = Observation::default();
        stop.know("stop_noted", noted).know("stop_by", "root");
        looks[0].seen.insert("stop".to_owned(), stop);
        looks[0].judgement.reason.push_str(other);
        checks(&report(Inputs { rows: &[row(&looks[0])], ..nothing() })).remove(0)
    };
    assert_eq!(said(5, true, ""), format!("WBD-2 on p: pass, {STOPPED}root"));
    assert_eq!(said(5, false, ""), "WBD-2 on p: pass, ", "nobody stopped it");
    assert_eq!(said(101, true, ""), "WBD-2 on p: fail, case full", "a failure has its own reason");
    assert_eq!(said(60, true, ""), "WBD-2 on p: warn, case near");
    assert_eq!(said(5, true, "another"), "WBD-2 on p: pass, another", "what is said already stands");
    let mut looks = looks(&[("full", "p", 5)]);
    looks[0].seen.get_mut("fd").unwrap().know("stop_noted", true).miss("stop_by", "not permitted");
    assert_eq!(checks(&report(Inputs { rows: &[row(&looks[0])], ..nothing() })), ["WBD-2 on p: pass, "]);
}

#[test]
fn what_could_not_be_looked_at_is_said_and_makes_the_verdict_unknown() {
    let name = |text: &str| ProfileName::new(text).unwrap();
    let (unseen, alike) = ([(name("z"), "not permitted".to_owned())], [(name("y"), "another y runs".to_owned())]);
    let problems = ["x.yaml:3:1: unknown key\n  the line\n  ^".to_owned()];
    let said = report(Inputs { unseen_profiles: &unseen, alike: &alike, problems: &problems, ..nothing() });
    assert_eq!(
        checks(&said),
        [
            "WBD-PLAYBOOK on host: unknown, x.yaml:3:1: unknown key",
            "WBD-PROFILE on y: skip, it is not on this host (another y runs)",
            "WBD-PROFILE on z: unknown, not permitted",
        ]
    );
    assert_eq!(said.verdict, Overall::Unknown);
    let said = report(Inputs { alike: &alike, ..nothing() });
    assert_eq!((said.verdict, said.checks.len()), (Overall::Ok, 1), "what is not here is no fault");
    assert_eq!((report(nothing()).verdict, report(nothing()).checks.len()), (Overall::Ok, 0));
}

#[test]
fn the_verdict_is_the_worst_of_all_checks() {
    let (pass, warn, fail) = (("slow", "p", 5), ("slow", "p", 85), ("slow", "q", 95));
    for (wanted, verdict) in
        [(vec![pass], Overall::Ok), (vec![pass, warn], Overall::Warn), (vec![warn, fail], Overall::Fail)]
    {
        assert_eq!(told(&wanted, &[]).verdict, verdict, "{wanted:?}");
    }
    // Something seen to be wrong is more than something unseen.
    let rows = |verdicts: &[Verdict]| {
        let one = told(&[pass], &[]).checks.remove(0);
        verdicts.iter().map(|verdict| CheckRow { verdict: *verdict, ..one.clone() }).collect::<Vec<_>>()
    };
    assert_eq!(overall(&rows(&[Verdict::Unknown, Verdict::Warn])), Overall::Warn);
    assert_eq!(overall(&rows(&[Verdict::Unknown, Verdict::Pass, Verdict::Skip])), Overall::Unknown);
}

#[test]
fn what_is_waived_is_neither_a_cause_nor_counted_and_what_it_explains_stands_by_itself() {
    let wanted = [("slow", "p", 95), ("full", "p", 101), ("full", "q", 101)];
    let waived = |target, until| told(&wanted, &[waiver("WBD-2", target, until)]);
    let later = STARTED_MS + 30 * DAY_MS;
    let report = waived(None, later);
    assert_eq!(
        (causes(&report), checks(&report)),
        (vec!["WBD-1 on p: ".to_owned()], vec!["WBD-1 on p: fail, case slow".to_owned()])
    );
    let row = &report.waived[0];
    let covered: Vec<&str> = row.checks.iter().map(|row| row.target.as_str()).collect();
    assert_eq!((report.waived.len(), row.standing, covered), (1, Standing::Active, vec!["p", "q"]));
    assert_eq!(waiver::worst(row), Some(Verdict::Fail));
    // Twin: on one product only.
    let report = waived(Some("q"), later);
    assert_eq!((causes(&report).len(), report.checks.len(), report.waived[0].checks.len()), (1, 2, 1));
    let report = told(&[("full", "p", 101)], &[waiver("WBD-2", None, later)]);
    assert_eq!((report.verdict, report.checks.len()), (Overall::Ok, 0), "its verdict is made without it");
    let report = told(&[("full", "p", 101)], &[waiver("WBD-9", None, later)]);
    assert_eq!((waiver::worst(&report.waived[0]), report.verdict), (None, Overall::Fail));
}

#[test]
fn the_end_of_a_waiver_is_said_for_a_week_before_and_after_it() {
    let week = 7 * DAY_MS;
    for (from_now, standing, covered) in [
        (week + 1, Some(Standing::Active), 1),
        (week, Some(Standing::Ending), 1),
        (1, Some(Standing::Ending), 1),
        (0, Some(Standing::Expired), 0),
        (-week, Some(Standing::Expired), 0),
        (-week - 1, None, 0),
    ] {
        let report = told(&[("full", "p", 101)], &[waiver("WBD-2", None, STARTED_MS + from_now)]);
        let row = report.waived.first();
        let seen = (row.map(|row| row.standing), row.map_or(0, |row| row.checks.len()));
        assert_eq!(seen, (standing, covered), "{from_now}");
        assert_eq!(report.checks.len() + report.causes.len(), 2 - 2 * covered, "{from_now}");
    }
}

#[test]
fn checks_that_are_added_later_are_set_aside_in_the_row_of_their_waiver() {
    let waivers = [waiver("WBD-1", None, STARTED_MS + DAY_MS), waiver("WBD-2", None, STARTED_MS + DAY_MS)];
    let mut report = told(&[("full", "p", 101)], &waivers);
    let added = told(&[("full", "q", 60), ("spare", "p", 20)], &[]);
    report.checks.extend(added.checks);
    waiver::set_aside(&mut report, &waivers, STARTED_MS);
    let counts: Vec<usize> = report.waived.iter().map(|row| row.checks.len()).collect();
    assert_eq!((counts, report.checks.len()), (vec![0, 2], 1));
    assert_eq!(waiver::worst(&report.waived[1]), Some(Verdict::Fail));
}

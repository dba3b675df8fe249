//! Doctor's screen, its line for monitoring systems and its merge, on fixed reports.
use wbd_model::action::Class;
use wbd_model::check::Verdict;
use wbd_model::incident::IncidentId;
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::plan::Approval;
use wbd_model::report::{Cause, CheckRow, DaemonView, Fix, OpenIncident, Overall, Report, SCHEMA};

use proptest::strategy::Strategy as _;

use super::{merge, nagios, text};
use crate::out::testing::text_of;

fn code(text: &str) -> Code {
    Code::new(text).unwrap()
}

pub(super) fn target(text: &str) -> TargetName {
    TargetName::new(text).unwrap()
}

fn row(name: &str, whose: &str, verdict: Verdict, reason: &str) -> CheckRow {
    CheckRow {
        code: code(name),
        target: target(whose),
        verdict,
        reason: reason.to_owned(),
        duration_ms: 3,
        unclear: false,
    }
}

pub(super) fn cause(name: &str, severity: Verdict) -> Cause {
    Cause {
        code: code(name),
        severity,
        target: target("wbd"),
        group: None,
        title: "The inotify watch limit is used up".into(),
        claim: "37 folders of the web root are not watched.".into(),
        evidence: vec!["ino.user_used = 8192, fs.inotify.max_user_watches = 8192".into()],
        seen: vec![],
        explains: vec![code("WBD-5405")],
        incident: None,
        fix: Some(Fix {
            playbook: PlaybookName::new("inotify-limit").unwrap(),
            approval: Approval::Auto,
            class: Class::A1,
            plan: vec![
                "set fs.inotify.max_user_watches to 10287, now and at each boot".into(),
                "reload the agent".into(),
            ],
            changes: Vec::new(),
            withheld: None,
            command: None,
            held: None,
        }),
        guide: vec!["sysctl -w fs.inotify.max_user_watches=10287".into()],
    }
}

fn report(causes: Vec<Cause>, checks: Vec<CheckRow>) -> Report {
    let report = Report {
        schema: SCHEMA,
        version: "0.1.0".into(),
        host: "web1".into(),
        started: 1_760_000_000_000,
        duration_ms: 412,
        verdict: Overall::Ok,
        protection: None,
        causes,
        checks,
        differing: vec![],
        waived: vec![],
        waivers_unread: None,
        holds: vec![],
        daemon: Some(DaemonView { version: "0.1.0".into(), age_ms: 3200, healing: "auto".into() }),
    };
    merge::settle(report)
}

#[test]
fn the_second_line_says_what_is_protected() {
    use wbd_model::report::{Protection, ProtectionState};
    let line = |state, since, why: &str| {
        let mut report = report(vec![], vec![]);
        report.protection =
            Some(Protection { state, targets: Some(2), folders: Some(1_204_005), since, why: why.to_owned() });
        text_of(|out| text::show(out, &report, false)).lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(line(ProtectionState::On, None, ""), "protection: on, 2 targets, 1,204,005 folders");
    let off = line(ProtectionState::Off, Some(1_760_000_000_000), "the agent was stopped by root");
    assert!(
        off.starts_with("protection: OFF since 2025-10-0") && off.ends_with(", the agent was stopped by root"),
        "{off}"
    );
    assert_eq!(line(ProtectionState::Off, None, "no target is registered"), "protection: OFF, no target is registered");
    assert_eq!(line(ProtectionState::Unknown, None, "it is starting"), "protection: UNKNOWN, it is starting");
    let none = report(vec![], vec![]);
    assert!(!text_of(|out| text::show(out, &none, false)).contains("protection"), "a host without an agent of wbd");
}

#[test]
fn the_verdict_comes_first_then_the_cause_with_evidence_fix_and_code() {
    let report = report(
        vec![cause("WBD-5404", Verdict::Fail)],
        vec![
            row("WBD-5404", "wbd", Verdict::Fail, "37 missing"),
            row("WBD-6007", "wbd", Verdict::Pass, ""),
            row("AEGIS-TCP", "aegis/a.example:80", Verdict::Unknown, "no route known"),
        ],
    );
    let expected = "\
CRITICAL: 1 failure
web1: wbd 0.1.0, examined in 412 ms. Supervisor: healing auto; its last check
was 3.2 s ago.

1. FAIL  The inotify watch limit is used up  [WBD-5404 on wbd]
   37 folders of the web root are not watched.
   seen           ino.user_used = 8192, fs.inotify.max_user_watches = 8192
   also explains  WBD-5405
   fix            playbook inotify-limit, class A1 (raises a limit or reloads):
                  wbd does it by itself
                  - set fs.inotify.max_user_watches to 10287, now and at each
                    boot
                  - reload the agent
   by hand        sysctl -w fs.inotify.max_user_watches=10287
   more           wbdctl explain WBD-5404

Checks
  aegis                unknown  1 unknown
  wbd                  fail     1 fail, 1 pass

Not checked
  AEGIS-TCP      on aegis/a.example:80 (unknown)
      no route known
";
    assert_eq!(text_of(|out| text::show(out, &report, false)), expected);
}

#[test]
fn a_cause_without_a_fix_shows_the_steps_for_a_person() {
    let mut cause = cause("WBD-5404", Verdict::Warn);
    cause.fix = None;
    let shown = text_of(|out| text::show(out, &report(vec![cause], vec![]), false));
    assert!(shown.starts_with("WARNING: 1 warning"), "{shown}");
    assert!(shown.contains("1. sysctl -w fs.inotify.max_user_watches=10287"), "{shown}");
}

#[test]
fn a_fix_that_wbd_does_not_do_says_why_and_shows_the_steps_for_a_person() {
    let shown = |withheld: Option<&str>| {
        let mut cause = cause("WBD-5404", Verdict::Fail);
        let fix = cause.fix.as_mut().unwrap();
        fix.withheld = withheld.map(str::to_owned);
        text_of(|out| text::show(out, &report(vec![cause], vec![]), false))
    };
    let left = shown(Some("it was handed over"));
    assert!(left.contains("not done: it was") && !left.contains("wbd does it by itself"), "{left}");
    assert!(left.contains("by hand        1. sysctl -w"), "{left}");
    let own = shown(None);
    assert!(own.contains("wbd does it by itself") && !own.contains("1. sysctl -w"), "{own}");
}

#[test]
fn at_most_five_causes_are_shown_and_the_rest_is_counted() {
    let shown = text_of(|out| text::show(out, &report(vec![cause("WBD-5404", Verdict::Fail); 7], vec![]), false));
    assert!(shown.contains("5. FAIL") && !shown.contains("6. FAIL"), "{shown}");
    assert!(shown.contains("2 more causes are not shown. See all: wbdctl doctor -v"), "{shown}");
}

#[test]
fn monitoring_gets_one_line_with_numbers_and_no_second_bar() {
    let mut broken = cause("WBD-5404", Verdict::Fail);
    broken.title = "a | b".into();
    let line = nagios::line(&report(vec![broken], vec![row("WBD-5404", "wbd", Verdict::Fail, "")]));
    let expected =
        "WBD CRITICAL - 1 failure: WBD-5404 a / b on wbd | failed=1;;1 warned=0;1 unknown=0 passed=0 time=412ms";
    assert_eq!(line, expected);
}

#[test]
fn what_the_supervisor_says_fills_only_what_is_unknown_here() {
    let own = report(
        vec![],
        vec![
            row("WBD-6007", "wbd", Verdict::Unknown, "needs root"),
            row("WBD-5404", "wbd", Verdict::Unknown, "needs root"),
            row("WBD-CONFIG", "wbd", Verdict::Pass, ""),
        ],
    );
    assert_eq!(own.verdict, Overall::Unknown);
    let theirs = |limit: Verdict| {
        let causes = if limit == Verdict::Fail {
            vec![cause("WBD-5404", Verdict::Fail), cause("WBD-CONFIG", Verdict::Fail)]
        } else {
            vec![]
        };
        report(
            causes,
            vec![
                row("WBD-6007", "wbd", Verdict::Pass, ""),
                row("WBD-5404", "wbd", limit, ""),
                row("WBD-CONFIG", "wbd", Verdict::Fail, "older than our own look"),
            ],
        )
    };
    let healthy = merge::fill(own.clone(), &theirs(Verdict::Pass), 3000);
    assert_eq!(healthy.verdict, Overall::Ok, "a pass of the supervisor never raises the code");
    assert!(
        healthy.checks[0].reason.contains("needs root") && healthy.checks[0].reason.contains("said pass, 3.0 s ago")
    );
    let mut unclear = own.clone();
    unclear.checks.iter_mut().for_each(|row| row.unclear = true);
    assert_eq!(merge::fill(unclear.clone(), &theirs(Verdict::Pass), 3000), unclear, "what was seen is not taken over");
    let sick = merge::fill(own, &theirs(Verdict::Fail), 3000);
    assert_eq!(sick.verdict, Overall::Fail);
    assert_eq!(sick.causes.len(), 1, "our own look at WBD-CONFIG is newer");
}

#[test]
fn an_unknown_does_not_outweigh_a_warning() {
    let rows = vec![row("WBD-6007", "wbd", Verdict::Unknown, ""), row("WBD-5404", "wbd", Verdict::Warn, "")];
    assert_eq!(report(vec![], rows).verdict, Overall::Warn);
}

#[test]
fn a_product_that_only_the_supervisor_can_see_is_taken_over_with_its_checks() {
    let own = || report(vec![], vec![row("WBD-PROFILE", "iwss-ftp", Verdict::Unknown, "needs root")]);
    let here = report(
        vec![],
        vec![row("IWSS-FTPLEAK", "iwss-ftp", Verdict::Fail, "leaking"), row("WBD-6007", "wbd", Verdict::Fail, "")],
    );
    let seen = merge::fill(own(), &here, 3000);
    assert_eq!(seen.checks.len(), 2, "only that product's: {:?}", seen.checks);
    assert_eq!((seen.verdict, seen.checks[0].verdict), (Overall::Fail, Verdict::Pass));
    let absent = merge::fill(own(), &report(vec![], vec![]), 3000);
    assert_eq!((absent.verdict, absent.checks[0].verdict), (Overall::Ok, Verdict::Skip));
    let unknown = merge::fill(own(), &own(), 3000);
    assert_eq!(unknown.verdict, Overall::Unknown, "neither can tell");
}

/// A report in which everything that may come from the host is this text.
fn report_of(text: &str) -> Report {
    let mut cause = cause("WBD-5404", Verdict::Fail);
    (cause.title, cause.claim) = (text.to_owned(), text.to_owned());
    (cause.evidence, cause.guide) = (vec![text.to_owned(); 2], vec![text.to_owned()]);
    if let Some(fix) = &mut cause.fix {
        (fix.plan, fix.withheld) = (vec![text.to_owned()], Some(text.to_owned()));
    }
    let mut report = report(vec![cause], vec![row("AEGIS-TCP", "aegis", Verdict::Unknown, text)]);
    report.host = text.to_owned();
    report.daemon = Some(DaemonView { version: text.to_owned(), age_ms: 1, healing: text.to_owned() });
    report.waivers_unread = Some(text.to_owned());
    report
}

/// Doctor's screen in UTF-8, and its line for monitoring.
fn screens(report: &Report) -> [String; 2] {
    let shown = |write: &dyn Fn(&mut crate::out::Out)| crate::out::testing::utf8_text_of(write);
    [shown(&|out| text::show(out, report, false)), shown(&|out| out.line(nagios::line(report)))]
}

proptest::proptest! {
    #[test]
    fn no_text_of_the_host_adds_a_line_or_steers_the_screen(
        text in proptest::prelude::prop_oneof![
            "\\PC{0,40}",
            proptest::collection::vec(proptest::char::any(), 0..40).prop_map(String::from_iter),
            "[a|\\n\\r\\t\u{1b}\u{202e}\u{2028}\u{2029}\u{85}\u{200b}\u{feff}OK: ]{0,60}",
        ]
    ) {
        // Text of wide characters breaks beside any of them; what breaks at spaces only has a twin of the same shape.
        let columns = |ch: char| wbd_model::text::columns(ch.encode_utf8(&mut [0; 4]));
        let is_plain = |ch: char| ch.is_control() || columns(ch) == 1;
        let text: String = text.chars().map(|ch| if is_plain(ch) { ch } else { '\u{200b}' }).collect();
        let shown = wbd_model::text::Shown::of(&text).to_string();
        // Of the same shape: the widths decide where lines break.
        let plain: String = shown.chars().map(|ch| if ch.is_whitespace() { ' ' } else { 'x' }).collect();
        let (told, reference) = (screens(&report_of(&text)), screens(&report_of(&plain)));
        for (told, reference) in told.iter().zip(&reference) {
            let bad = told.chars().find(|ch| {
                (ch.is_control() && *ch != '\n') || matches!(ch, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
            });
            proptest::prop_assert_eq!(bad, None, "{}", told);
            proptest::prop_assert_eq!(told.lines().count(), reference.lines().count(), "{}\n{}", told, reference);
        }
        proptest::prop_assert_eq!(told[1].matches('|').count(), 1, "performance data begins once: {}", told[1]);
        // For programs it is exact.
        let json = serde_json::to_string(&report_of(&text)).unwrap();
        let read: Report = serde_json::from_str(&json).unwrap();
        proptest::prop_assert_eq!(&read.causes[0].title, &text);
    }
}

#[test]
fn a_japanese_screen_stays_within_a_narrow_terminal() {
    let text = "監視できないフォルダーがあります。上限を引き上げて、エージェントを再起動してください。";
    for width in [40, 60, 80] {
        let page =
            crate::out::testing::utf8_text_within(width, |out| text::show(out, &report_of(&text.repeat(3)), false));
        let wide: Vec<&str> = page.lines().filter(|line| line.contains('監') || line.contains('再')).collect();
        assert!(wide.len() > 10, "{page}");
        let over = wide.iter().find(|line| wbd_model::text::columns(line) > width);
        assert_eq!(over, None, "{width}:\n{page}");
    }
}

#[test]
fn a_wanted_absence_says_whose_wish_it_was() {
    let stopped = "stopped by wbd_agent -s stop (uid 0)";
    let shown = |reason: &str| {
        let report = report(vec![], vec![row("WBD-6007", "wbd", Verdict::Pass, reason)]);
        text_of(|out| text::show(out, &report, false))
    };
    assert!(shown(stopped).contains(&format!("WBD-6007 on wbd: {stopped}")), "{}", shown(stopped));
    assert!(!shown("it answers").contains("it answers"), "other good news is short");
    let report = report(vec![], vec![row("WBD-6007", "wbd", Verdict::Pass, "it answers")]);
    let page = text_of(|out| text::show(out, &report, true));
    assert!(page.contains("    pass    WBD-6007 on wbd: it answers"), "-v names every check: {page}");
}

/// The host of one packet filter rule that stands in the way of seven endpoints.
fn blocked() -> Report {
    let endpoint = |number: usize| {
        let claim = format!(
            "Port 80 of 203.0.113.{number} gets no answer. The rule is: ip daddr 203.0.113.0/24 tcp dport 80 drop."
        );
        Cause {
            target: target(&format!("aegis/jsrv{number}.example")),
            group: Some("endpoint-tcp/local-drop".into()),
            title: "A packet filter on this host blocks the connection".into(),
            claim,
            evidence: vec!["ep.tcp = \"dropped\"".into(), "ep.local_drop = true".into()],
            seen: vec!["TCP: dropped".into(), "a packet filter rule on this host drops the packets".into()],
            explains: vec![],
            fix: None,
            guide: vec!["See the rule: nft list ruleset".into(), "Change it where it is kept".into()],
            ..cause("AEGIS-TCP", Verdict::Fail)
        }
    };
    let rows = (1..8).map(|n| row("AEGIS-TCP", &format!("aegis/jsrv{n}.example"), Verdict::Fail, "case local-drop"));
    report((1..8).map(endpoint).collect(), rows.collect())
}

#[test]
fn one_cause_is_one_block_with_the_list_of_its_endpoints() {
    let page = text_of(|out| text::show(out, &blocked(), false));
    let expected = "\
CRITICAL: 1 failure
web1: wbd 0.1.0, examined in 412 ms. Supervisor: healing auto; its last check
was 3.2 s ago.

1. FAIL  A packet filter on this host blocks the connection
        [AEGIS-TCP on 7 targets]
   The rule is: ip daddr 203.0.113.0/24 tcp dport 80 drop.
   on             aegis/jsrv1.example: Port 80 of 203.0.113.1 gets no answer.
                  aegis/jsrv2.example: Port 80 of 203.0.113.2 gets no answer.
                  aegis/jsrv3.example: Port 80 of 203.0.113.3 gets no answer.
                  aegis/jsrv4.example: Port 80 of 203.0.113.4 gets no answer.
                  aegis/jsrv5.example: Port 80 of 203.0.113.5 gets no answer.
                  aegis/jsrv6.example: Port 80 of 203.0.113.6 gets no answer.
                  aegis/jsrv7.example: Port 80 of 203.0.113.7 gets no answer.
   seen           TCP: dropped
                  a packet filter rule on this host drops the packets
   by hand        1. See the rule: nft list ruleset
                  2. Change it where it is kept
   more           wbdctl explain AEGIS-TCP

Checks
  aegis                fail     7 fail
";
    assert_eq!(page, expected);
    // For programs nothing is folded.
    let json = serde_json::to_value(blocked()).unwrap();
    assert_eq!((json["causes"].as_array().map(Vec::len), blocked().verdict.exit_code()), (Some(7), 2));
    let line = nagios::line(&blocked());
    assert!(
        line.contains("1 failure: AEGIS-TCP") && line.contains("on 7 targets |") && line.contains("failed=7;"),
        "{line}"
    );
}

#[test]
fn what_was_handed_over_for_several_targets_is_told_once() {
    let handed = |number: u64| {
        let mut one = cause("TOY-1", Verdict::Fail);
        (one.target, one.group) = (target(&format!("toy{number}")), Some("toy-match/differ".into()));
        let why = format!("wbd handed this over to you; one more try: wbdctl playbook run toy --target toy{number}");
        one.fix.as_mut().unwrap().withheld = Some(why);
        let (id, stands) = (IncidentId(number), "handed over".to_owned());
        one.incident = Some(OpenIncident { id, since: 1_760_000_000_000, stands });
        one
    };
    let page = text_of(|out| text::show(out, &report((1..5).map(handed).collect(), vec![]), false));
    assert_eq!(page.matches("handed this over").count(), 1, "{page}");
    assert!(page.contains("   on             toy1, toy2, toy3, toy4\n"), "{page}");
    assert!(page.contains("I1, I2, I3, I4 since 2025-10-0"), "{page}");
}

#[test]
fn the_steps_for_a_person_are_folded_to_the_first_while_wbd_acts() {
    let page = |verbose| {
        let mut one = cause("WBD-5404", Verdict::Fail);
        one.guide = vec!["first".into(), "second".into(), "third".into()];
        text_of(|out| text::show(out, &report(vec![one], vec![]), verbose))
    };
    let short = page(false);
    assert!(short.contains("   by hand        first (2 more steps: wbdctl doctor -v)\n"), "{short}");
    assert!(!short.contains("second"), "{short}");
    assert!(page(true).contains("3. third"), "{}", page(true));
}

#[test]
fn checks_that_could_not_be_made_for_one_reason_are_told_together() {
    let rows = (1..4).map(|n| row("AEGIS-TCP", &format!("aegis/{n}"), Verdict::Unknown, "needs root"));
    let other = row("AEGIS-TCP", "aegis/4", Verdict::Unknown, "no time was left");
    let page = text_of(|out| text::show(out, &report(vec![], rows.chain([other]).collect()), false));
    assert_eq!(page.matches("needs root").count(), 1, "{page}");
    assert!(page.contains("on aegis/1, aegis/2, aegis/3 (unknown)\n      needs root\n"), "{page}");
    assert!(page.contains("on aegis/4 (unknown)\n      no time was left\n"), "{page}");
}

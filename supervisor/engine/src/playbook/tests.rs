//! Loading: what is refused, with which place and remedy; overlays; binding. And every shipped playbook with its tests.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use wbd_model::action::{Action, SysctlSet};
use wbd_model::check::Verdict;
use wbd_model::lang::Lang;
use wbd_model::name::{PlaybookName, ProfileName};
use wbd_model::observation::{Observation, Observations};
use wbd_model::probe::Probe;
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::PublicAddress;
use wbd_model::settings::Settings;

use super::{Bound, Level, Library, load, schema};
use crate::judge::plan::{ladder, plan};
use crate::judge::words::words;
use crate::judge::{Judgement, Verification, cured, judge, proof};

const PROFILE: &str = "\
apiVersion: wbd/v1
kind: Profile
metadata: {name: p}
spec:
  present: {any: [{file: /p}]}
  process: {main: {comm: p}}
  health: true
  limits: {ceiling: 1000}
  endpoints:
    - {host: a.example, ports: [80, 443], when: public}
    - {host: b.example, ports: [80, 443], when: private}
    - {host: 192.0.2.1, ports: [53]}
  codes: {good: VENDOR-1}
";

const PLAYBOOK: &str = "\
apiVersion: wbd/v1
kind: Playbook
metadata: {name: good, code: WBD-1}
spec:
  applies: {has: [process.main, health]}
  observe:
    ino: {inotify.usage: {process: main}}
  let:
    wanted: {cel: \"least(profile.limits.ceiling, ino.user_used * 2)\"}
  detect:
    for: 10s
    cases:
      - {id: full, level: fail, when: \"ino.missing > 0\"}
      - {id: near, level: warn, for: 1m, when: \"ino.user_used > 90\"}
  rungs:
    - id: raise
      if: \"case == 'full' && wanted > ino.max_watches\"
      steps:
        - sysctl.set: {key: fs.inotify.max_user_watches, value: {cel: wanted}}
        - agent.reload: {}
  verify: {pass: \"ino.missing < before.ino.missing\", within: 30s}
  text:
    en:
      full: {title: \"{ino.missing} missing\", cause: \"{wanted} of {profile.limits.ceiling} {{}}\", guide: [\"raise\"]}
      near: {title: near, cause: near}
";

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

fn with(from: &str, to: &str) -> Vec<Problem> {
    assert!(PLAYBOOK.contains(from), "{from:?} is not in the text");
    load(&[source("x.yaml", &PLAYBOOK.replacen(from, to, 1))]).1
}

fn library() -> Library {
    let (library, problems) = load(&[source("p.yaml", PROFILE), source("x.yaml", PLAYBOOK)]);
    assert_eq!(problems, []);
    library
}

fn bind(library: &Library, public: PublicAddress) -> Vec<Bound> {
    let present = library.profiles.keys().cloned().collect();
    library.bind(&present, &Settings { public, ..Settings::default() })
}

/// What is wrong, where, and what is meant.
#[test]
fn each_mistake_is_told_with_its_place_and_remedy() {
    let mut untold = String::new();
    for (from, to, line, column, message, hint) in [
        ("  observe:", "  obsreve:", 6, 3, "unknown key \"obsreve\"", "did you mean \"observe\"?"),
        ("  rungs:", "  detect: {}\n  rungs:", 15, 3, "", ""),
        ("for: 10s", "for: 10", 11, 10, "found the number 10, wanted a time with its unit", ""),
        ("for: 10s", "for: ten", 11, 10, "is not a time", ""),
        ("ino.missing > 0", "ino.mising > 0", 13, 40, "no field \"mising\"", "did you mean \"missing\"?"),
        ("ino.missing > 0", "true && inot.missing > 0", 13, 48, "\"inot\" names nothing", "did you mean \"ino\"?"),
        ("ino.missing > 0", "true", 13, 39, "it selects everything", "something in observe"),
        ("ino.missing > 0", "profile.limits.ceiling > 10", 13, 39, "it selects everything", ""),
        ("ino.missing < before.ino.missing", "true", 21, 18, "proves nothing", "something in observe"),
        ("ino.missing < before.ino.missing", "before.ino.missing > 0", 21, 18, "proves nothing", ""),
        ("ino.missing > 0", "ino.missing + 0", 13, 40, "a bool is wanted here, and this is an int", ""),
        ("level: warn", "level: wran", 14, 27, "unknown word \"wran\"", "did you mean \"warn\"?"),
        ("inotify.usage", "inotfy.usage", 7, 11, "unknown word \"inotfy.usage\"", "did you mean \"inotify.usage\"?"),
        ("sysctl.set", "sysctl.sett", 19, 11, "unknown word \"sysctl.sett\"", "did you mean \"sysctl.set\"?"),
        ("{process: main}", "{proces: main}", 7, 27, "unknown key \"proces\"", "did you mean \"process\"?"),
        ("{process: main}", "{process: mian}", 7, 36, "needs process.mian", ""),
        (
            "has: [process.main, health]",
            "has: [proces.main, process.main, health]",
            5,
            19,
            "a profile cannot have",
            "process.main",
        ),
        ("has: [process.main, health]", "has: []", 5, 12, "applies to nothing", ""),
        ("  verify: {pass: \"ino.missing < before.ino.missing\", within: 30s}\n", "", 16, 7, "must prove the cure", ""),
        ("  verify: {", "  budget: {per: 25h}\n  verify: {", 21, 17, "per must be a day at most", "write 1d or less"),
        ("before.ino.missing", "befor.ino.missing", 21, 33, "names nothing", ""),
        ("case == 'full'", "case == 'ful'", 17, 20, "no case \"ful\"", "did you mean \"full\"?"),
        ("ino.missing > 0", "case == 'near'", 13, 40, "`case` is not known yet", ""),
        ("      near: {title", "      naer: {title", 25, 7, "no case \"naer\"", "did you mean \"near\"?"),
        ("{ino.missing} missing", "{ino.mising} missing", 24, 23, "no field \"mising\"", "did you mean \"missing\"?"),
        ("{wanted} of", "{wantd} of", 24, 55, "\"wantd\" names nothing", "did you mean \"wanted\"?"),
        ("{{}}", "{{}", 24, 0, "a '}' without its '{'", ""),
        (", guide: [\"raise\"]", "", 24, 7, "no guide", ""),
        (
            "        - sysctl.set: {key: fs.inotify.max_user_watches, value: {cel: wanted}}\n        - agent.reload: {}\n",
            "        []\n",
            19,
            9,
            "without steps",
            "",
        ),
        ("fs.inotify.max_user_watches", "vm.swappiness", 19, 29, "unknown word \"vm.swappiness\"", ""),
        ("value: {cel: wanted}", "value: {cel: wantd}", 19, 71, "\"wantd\" names nothing", ""),
        ("value: {cel: wanted}", "value: {cell: wanted}", 19, 66, "unknown key \"cell\"", ""),
        ("    wanted: {", "    ino: {", 9, 5, "\"ino\" is an observation already", ""),
        ("    wanted: {", "    case: {", 9, 5, "has a meaning already", ""),
        ("kind: Playbook", "kind: Playbok", 2, 7, "unknown kind \"Playbok\"", "did you mean \"Playbook\"?"),
        ("apiVersion: wbd/v1\n", "", 1, 1, "apiVersion", ""),
        ("wbd/v1", "wbd/v2", 1, 13, "unknown word \"wbd/v2\"", "did you mean"),
        ("id: raise", "id: Raise it", 16, 11, "is not a name", ""),
        ("name: good", "name: Good One", 3, 18, "is not a playbook name", ""),
        ("{cel: \"least(", "{cel: \"leest(", 9, 25, "no function \"leest\"", "did you mean \"least\"?"),
        ("health]}", "health]", 6, 3, "did not find expected", ""),
        ("level: fail", "level: yes", 13, 27, "unknown word \"yes\"", ""),
        ("title: near", "title: 5", 25, 21, "wanted text", "quotes"),
        ("title: near", "title: !foo near", 25, 0, "", ""),
        ("title: near", "title: &a near", 25, 0, "", ""),
    ] {
        let problems = with(from, to);
        let found = problems.iter().find(|problem| {
            problem.line == line
                && (column == 0 || problem.column == column)
                && problem.message.contains(message)
                && problem.hint.clone().unwrap_or_default().contains(hint)
        });
        if found.is_none() {
            let told: String = problems.iter().map(|problem| format!("  {problem}\n")).collect();
            untold += &format!("{from:?} -> {to:?} at {line}:{column}: {message} ({hint})\n{told}");
        }
        assert!(
            problems.iter().all(|problem| problem.file == "x.yaml" && problem.line > 0 && !problem.text.is_empty()),
            "{problems:#?}"
        );
    }
    assert!(untold.is_empty(), "{untold}");
}

#[test]
fn a_case_may_look_through_values_only_and_one_whose_values_do_not_look_is_refused() {
    let wanted = "least(profile.limits.ceiling, ino.user_used * 2)";
    let through = |first: &str| {
        let text = PLAYBOOK
            .replace(wanted, first)
            .replace("  detect:", "    more: {cel: \"wanted + 1\"}\n  detect:")
            .replace("ino.missing > 0", "more > 10");
        load(&[source("x.yaml", &text)]).1
    };
    assert_eq!(through(wanted), []);
    let problems = through("profile.limits.ceiling");
    assert!(problems.len() == 1 && problems[0].message.contains("it selects everything"), "{problems:#?}");
}

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let text = format!("{}---\n{}", PLAYBOOK, PLAYBOOK)
        .replacen("  observe:", "  obsreve:", 1)
        .replacen("level: warn", "level: wran", 1)
        .replacen("name: good", "name: other", 1);
    // The second document is sound in its keys and wrong in three expressions and texts.
    let (first, second) = text.split_once("---\n").unwrap();
    let second = second
        .replace("ino.missing > 0", "ino.mising > 0")
        .replace("before.ino.missing", "before.ino.mising")
        .replace("{wanted} of", "{wantd} of");
    let (library, problems) = load(&[source("x.yaml", &format!("{first}---\n{second}"))]);
    let lines: Vec<(u64, &str)> = problems.iter().map(|problem| (problem.line, problem.message.as_str())).collect();
    // `observe` is not told to be missing as well: it is the misspelt one.
    assert_eq!(lines.len(), 5, "{lines:#?}");
    for (line, word) in [(6, "obsreve"), (14, "wran"), (39, "mising"), (47, "mising"), (50, "wantd")] {
        assert!(lines.iter().any(|(at, message)| *at == line && message.contains(word)), "{line} {word}: {lines:#?}");
    }
    assert!(library.playbooks.is_empty(), "a broken file contributes nothing");
}

#[test]
fn a_key_that_stands_twice_is_refused() {
    for (from, to, line) in [
        ("      near: {title", "      full: {title: a, cause: a}\n      near: {title", 25),
        ("  rungs:", "  observe: {}\n  rungs:", 15),
        ("metadata: {name: good,", "metadata: {name: good, name: good,", 3),
    ] {
        let problems = with(from, to);
        assert!(
            problems.iter().any(|problem| problem.line == line && problem.message.contains("stands here twice")),
            "{problems:#?}"
        );
    }
}

#[test]
fn hostile_files_are_refused_quickly() {
    let started = std::time::Instant::now();
    for text in [
        "[".repeat(60_000),
        "{a: ".repeat(15_000),
        "- ".repeat(30_000),
        format!("{PLAYBOOK}{}", "#".repeat(70_000)),
        PLAYBOOK.replace("ino.missing > 0", &format!("{}true{}", "(".repeat(200), ")".repeat(200))),
        PLAYBOOK.replace("ino.missing > 0", &"!".repeat(400)),
        "a: &a [1]\nb: [*a, *a]".to_owned(),
        "\u{0}\u{1}".to_owned(),
        "---\n".repeat(200) + &"a: 1\n---\n".repeat(100),
    ] {
        let (library, problems) = load(&[source("x.yaml", &text)]);
        assert!(library.playbooks.is_empty());
        assert!(!problems.is_empty());
        assert!(problems.iter().all(|problem| problem.to_string().len() < 2000), "{:.300}", problems[0].to_string());
    }
    let huge = "[".repeat(100_000);
    assert!(load(&[source("x.yaml", &huge)]).1[0].message.contains("at most 65536"));
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
}

#[test]
fn a_broken_file_leaves_the_others_and_the_earlier_one_of_its_name() {
    let broken = PLAYBOOK.replace("ino.missing > 0", "ino.mising > 0");
    let other = PLAYBOOK.replace("name: good", "name: other");
    let sources = [source("a.yaml", PLAYBOOK), source("b.yaml", &other), source("z.yaml", &broken)];
    let (library, problems) = load(&sources);
    assert_eq!(problems.len(), 1);
    let files: Vec<&str> = library.playbooks.values().map(|playbook| playbook.file.as_str()).collect();
    assert_eq!(files, ["a.yaml", "b.yaml"]);
}

#[test]
fn a_later_document_of_the_same_name_wins() {
    let later = PLAYBOOK.replace("for: 10s", "for: 20s");
    let (library, problems) = load(&[source("a.yaml", PLAYBOOK), source("b.yaml", &later)]);
    assert_eq!(problems, []);
    let playbook = library.playbooks.values().next().unwrap();
    assert_eq!((library.playbooks.len(), playbook.file.as_str()), (1, "b.yaml"));
    assert_eq!(playbook.cases[0].held_for.as_ms(), 20_000);
}

#[test]
fn comments_and_layout_do_not_change_the_digest_and_values_do() {
    let digest = |text: &str| load(&[source("x.yaml", text)]).0.playbooks.values().next().unwrap().digest.clone();
    assert_eq!(digest(PLAYBOOK), digest(&format!("# a comment\n{}", PLAYBOOK.replace("for: 10s", "for:   10s"))));
    assert_ne!(digest(PLAYBOOK), digest(&PLAYBOOK.replace("for: 10s", "for: 11s")));
    assert_eq!(digest(PLAYBOOK).len(), 64);
}

#[test]
fn a_cause_cannot_be_its_own_consequence() {
    let make = |name: &str, explains: &str| {
        let text = PLAYBOOK.replace("name: good", &format!("name: {name}"));
        source(&format!("{name}.yaml"), &text.replace("  rungs:", &format!("  explains: [{explains}]\n  rungs:")))
    };
    let (library, problems) =
        load(&[make("one", "two"), make("two", "three/full"), make("three", "one"), make("four", "one")]);
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.line == 15 && problem.column == 14 && problem.message.contains("own consequence"))
    );
    assert_eq!(library.playbooks.len(), 1);
    let (_, problems) = load(&[make("one-thing", "two-thngs"), make("two-things", "")]);
    assert!(problems[0].hint.as_deref().unwrap_or_default().contains("two-things"), "{problems:#?}");
    // A masked playbook does not break the ones that explain it.
    assert_eq!(load(&[make("one", "absent-altogether")]).1, []);
}

#[test]
fn profiles_are_checked() {
    for (from, to, line, message) in [
        ("{comm: p}", "{comm: a-name-of-20-bytes-x}", 6, "1 to 15 bytes"),
        ("{comm: p}", "{}", 6, "selects nothing"),
        ("{comm: p}", "{user: [root]}", 6, "selects nothing"),
        ("{comm: p}", "{exe: /opt/../home/p}", 6, "without .."),
        ("{comm: p}", "{unit: p}", 6, "write NAME.service"),
        ("{comm: p}", "{comm: p, user: [\"a b\"]}", 6, "names of users"),
        ("{file: /p}", "{file: p}", 5, "absolute"),
        ("[{file: /p}]", "[]", 5, "never be found"),
        ("ceiling: 1000", "ceiling: 0", 8, "above 0"),
        ("ports: [53]", "ports: []", 12, "1 to 8"),
        ("ports: [53]", "ports: [70000]", 12, "wrong value"),
        ("  codes:", "  unit: wbd-supervisord.service\n  codes:", 13, "wbd's own"),
        ("  codes:", "  installer: [{exe: setup}]\n  codes:", 13, "absolute"),
        ("  codes:", "  commands: {restart: {argv: [sh, -c], timeout: 5s, class: A2}}\n  codes:", 13, "absolute path"),
        ("  codes:", "  commands: {restart: {argv: [/x], timeout: 5s, class: A4}}\n  codes:", 13, "must be A3"),
        ("  codes:", "  unit: wbd-supervisord-failed.service\n  codes:", 13, "wbd's own"),
        (
            "  codes:",
            "  commands: {restart: {argv: [/x, wbd-supervisord], timeout: 5s, class: A2}}\n  codes:",
            13,
            "names wbd",
        ),
        (
            "  codes:",
            "  commands: {restart: {argv: [/x, stop, \"wbd-*\"], timeout: 5s, class: A2}}\n  codes:",
            13,
            "names wbd",
        ),
        (
            "  codes:",
            "  commands: {restart: {argv: [/usr/bin/wbdctl, resume], timeout: 5s, class: A2}}\n  codes:",
            13,
            "names wbd",
        ),
        (
            "  codes:",
            "  commands: {restart: {argv: [/x, /var/lib/wbd/ledger.db], timeout: 5s, class: A2}}\n  codes:",
            13,
            "names wbd",
        ),
        ("  codes:", "  leak: {window: \"1-2\"}\n  codes:", 13, "HH:MM-HH:MM"),
        ("VENDOR-1", "vendor", 13, "is not a code"),
    ] {
        let (library, problems) = load(&[source("p.yaml", &PROFILE.replacen(from, to, 1))]);
        assert!(
            problems
                .iter()
                .any(|problem| problem.line == line && problem.column > 0 && problem.message.contains(message)),
            "{to}: {problems:#?}"
        );
        assert!(library.profiles.is_empty());
    }
}

#[test]
fn a_check_is_made_for_each_product_that_has_what_it_needs() {
    let library = library();
    let checks = bind(&library, PublicAddress::Auto);
    assert_eq!(checks.len(), 1);
    let check = &checks[0];
    assert_eq!(check.key.to_string(), "VENDOR-1 on p");
    assert!(matches!(&check.probes["ino"], Probe::InotifyUsage(selector) if selector.comm.as_deref() == Some("p")));
    assert_eq!((check.held_for("full").as_ms(), check.held_for("near").as_ms()), (10_000, 60_000));
    assert_eq!(check.every, Settings::default().every);
    assert!(check.has_rungs);
    assert!(library.bind(&BTreeSet::new(), &Settings::default()).is_empty());
    let (poor, _) = load(&[source("p.yaml", &PROFILE.replace("  health: true\n", "")), source("x.yaml", PLAYBOOK)]);
    assert!(bind(&poor, PublicAddress::Auto).is_empty());
}

#[test]
fn endpoints_follow_the_side_this_host_is_on() {
    let tcp = std::fs::read_to_string(shipped().join("endpoint-tcp.yaml")).unwrap();
    let (library, problems) = load(&[source("p.yaml", PROFILE), source("x.yaml", &tcp)]);
    assert_eq!(problems, []);
    let targets =
        |public| bind(&library, public).iter().map(|check| check.key.target.to_string()).collect::<Vec<String>>();
    assert_eq!(targets(PublicAddress::Yes), ["p/a.example:80,443", "p/192.0.2.1:53"]);
    assert_eq!(targets(PublicAddress::No), ["p/b.example:80,443", "p/192.0.2.1:53"]);
    assert_eq!(targets(PublicAddress::Auto), ["p/a.example:80,443", "p/192.0.2.1:53"]);
    let auto = bind(&library, PublicAddress::Auto);
    let Probe::NetEndpoint(endpoint) = &auto[0].probes["ep"] else { panic!("{auto:?}") };
    assert_eq!(endpoint.alternate.as_deref(), Some("b.example"));
}

#[test]
fn the_host_is_judged_once_for_all_products() {
    let dns = std::fs::read_to_string(shipped().join("dns.yaml")).unwrap();
    let second = PROFILE.replace("name: p}", "name: q}").replace("a.example", "c.example");
    let (library, problems) = load(&[source("p.yaml", PROFILE), source("q.yaml", &second), source("x.yaml", &dns)]);
    assert_eq!(problems, []);
    let checks = bind(&library, PublicAddress::Auto);
    assert_eq!(checks.len(), 1);
    assert_eq!(checks[0].key.to_string(), "NET-DNS on host");
    let Probe::DnsServers(dns) = &checks[0].probes["dns"] else { panic!() };
    assert_eq!(dns.names, ["a.example", "b.example", "c.example"]);
}

fn seen(missing: Option<i64>, used: i64) -> Observations {
    let mut ino = Observation::default();
    ino.know("user_used", used).know("max_watches", 100);
    match missing {
        Some(missing) => ino.know("missing", missing),
        None => ino.miss("missing", "not permitted"),
    };
    Observations::from([("ino".to_owned(), ino)])
}

fn judged(missing: Option<i64>, used: i64) -> (Bound, Observations, Judgement) {
    let check = bind(&library(), PublicAddress::Auto).remove(0);
    let seen = seen(missing, used);
    let says = judge(&check, &seen);
    (check, seen, says)
}

#[test]
fn the_first_true_case_decides_and_an_unknown_one_stops() {
    let (_, _, says) = judged(Some(0), 50);
    assert_eq!((says.verdict, says.case.as_deref()), (Verdict::Pass, None));
    let (_, _, says) = judged(Some(3), 95);
    assert_eq!((says.verdict, says.case.as_deref()), (Verdict::Fail, Some("full")));
    assert_eq!(says.evidence, ["ino.missing = 3"]);
    let (_, _, says) = judged(Some(0), 95);
    assert_eq!((says.verdict, says.case.as_deref()), (Verdict::Warn, Some("near")));
    // `near` would be true; it is not tried as if `full` were false.
    let (_, _, says) = judged(None, 95);
    assert_eq!((says.verdict, says.case.as_deref()), (Verdict::Unknown, Some("full")));
    assert_eq!(says.reason, "wbd cannot tell whether case full applies: watches missing: not known (not permitted)");
}

#[test]
fn a_plan_has_nothing_left_to_choose() {
    let (check, seen, says) = judged(Some(3), 95);
    let plan = plan(&check, &says, &seen, 0).unwrap().unwrap();
    assert_eq!((plan.rung, plan.rung_id.as_str(), plan.code.as_str()), (0, "raise", "VENDOR-1"));
    let key = "fs.inotify.max_user_watches".to_owned();
    assert_eq!(plan.steps, [Action::SysctlSet(SysctlSet { key, value: 190, persist: false }), Action::AgentReload {}]);
    assert_eq!(ladder(&check, &says, &seen).unwrap(), [plan]);
    assert_eq!(crate::judge::plan::plan(&check, &says, &seen, 1).unwrap(), None);
}

#[test]
fn there_is_no_plan_without_a_failure_or_with_something_unknown() {
    let (check, seen, says) = judged(Some(0), 95);
    assert_eq!(plan(&check, &says, &seen, 0).unwrap(), None);
    let (check, mut seen, _) = judged(Some(3), 95);
    seen.get_mut("ino").unwrap().miss("user_used", "not permitted");
    let says = judge(&check, &seen);
    assert_eq!(says.verdict, Verdict::Fail);
    assert!(plan(&check, &says, &seen, 0).unwrap_err().contains("wanted: ino.user_used: not permitted"));
    assert!(ladder(&check, &says, &seen).is_err());
}

#[test]
fn the_cure_is_measured_against_the_state_before() {
    let (check, before, _) = judged(Some(3), 95);
    assert_eq!(cured(&check, &seen(Some(0), 95), &before), Verification::Passed);
    assert_eq!(cured(&check, &seen(Some(3), 95), &before), Verification::Failed);
    assert_eq!(cured(&check, &seen(None, 95), &before), Verification::Unknown("ino.missing: not permitted".to_owned()));
    assert!(matches!(cured(&check, &seen(Some(0), 95), &Observations::new()), Verification::Unknown(_)));
    assert_eq!(proof(&check, &seen(Some(0), 95), &before), ["ino.missing = 0", "before.ino.missing = 3"]);
}

#[test]
fn words_carry_this_hosts_values() {
    let (check, seen, says) = judged(Some(3), 95);
    let said = words(&check, "full", &seen, &says.lets, Lang::Ja);
    assert_eq!((said.title.as_str(), said.cause.as_str()), ("3 missing", "190 of 1000 {}"));
    assert_eq!(said.guide, ["raise"]);
    let said = words(&check, "full", &Observations::new(), &says.lets, Lang::En);
    assert_eq!(said.title, "? missing");
}

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks")
}

pub(crate) fn shipped_sources() -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![shipped()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yaml") && !path.ends_with("catalogue.yaml")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    let read = |path: &PathBuf| source(&path.display().to_string(), &std::fs::read_to_string(path).unwrap());
    files.iter().map(read).collect()
}

#[test]
fn every_shipped_playbook_loads_and_its_tests_pass() {
    let (library, problems) = load(&shipped_sources());
    assert!(problems.is_empty(), "{}", problems.iter().map(|problem| format!("{problem}\n")).collect::<String>());
    let failures: Vec<String> = library
        .tests
        .values()
        .flat_map(|test| crate::play::testing::run(&library, test))
        .map(|failure| failure.to_string())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(library.tests.len() >= 30, "{}", library.tests.len());
}

/// Each playbook has a test in which it fails, and a twin in which nothing is done; each case is seen once.
#[test]
fn every_case_of_every_shipped_playbook_is_tested() {
    let (library, _) = load(&shipped_sources());
    let text: String = shipped_sources()
        .iter()
        .filter(|source| source.path.ends_with(".test.yaml"))
        .map(|source| source.text.clone())
        .collect();
    for playbook in library.playbooks.values() {
        let tests = || library.tests.values().filter(|test| test.spec.playbook == playbook.name);
        assert!(tests().count() >= 2, "{}", playbook.name);
        for explains in &playbook.explains {
            let target = library.playbooks.get(&explains.playbook);
            let known =
                target.is_some_and(|target| explains.case.as_deref().is_none_or(|case| target.case(case).is_some()));
            assert!(known, "{} explains {explains:?}", playbook.name);
        }
        let acts = playbook.acts();
        for case in playbook.cases.iter().filter(|case| case.level == Level::Fail && acts) {
            assert!(text.contains(&format!("case: {}", case.id)), "{}/{} is never tested", playbook.name, case.id);
        }
    }
}

/// A test that cannot fail is a defect: a wrong expectation must be told.
#[test]
fn a_playbook_test_that_expects_the_wrong_thing_fails() {
    let test = "apiVersion: wbd/v1\nkind: PlaybookTest\nmetadata: {name: t}\nspec:\n  playbook: good\n  profile: p\n  at:\n    - see: {ino: {missing: 3, user_used: 95, max_watches: 100}}\n  expect:\n    - {after: 10s, VERDICT}\n";
    let run = |expect: &str| {
        let sources = [
            source("p.yaml", PROFILE),
            source("x.yaml", PLAYBOOK),
            source("t.test.yaml", &test.replace("VERDICT", expect)),
        ];
        let (library, problems) = load(&sources);
        assert_eq!(problems, []);
        let test = library.tests.values().next().unwrap().clone();
        crate::play::testing::run(&library, &test).iter().map(ToString::to_string).collect::<Vec<String>>()
    };
    assert_eq!(
        run("verdict: fail, case: full, plan: [sysctl.set, agent.reload], says: [\"3 missing\"]"),
        Vec::<String>::new()
    );
    for wrong in [
        "verdict: pass",
        "verdict: fail, case: near",
        "verdict: fail, plan: []",
        "verdict: fail, rung: other",
        "verdict: fail, cured: proven",
        "verdict: fail, cause: WBD-2",
        "verdict: fail, says: [nothing]",
    ] {
        assert_eq!(run(wrong).len(), 1, "{wrong}");
    }
    let misspelt = test.replace("missing: 3", "mising: 3").replace("VERDICT", "verdict: fail");
    let (_, problems) = load(&[source("p.yaml", PROFILE), source("x.yaml", PLAYBOOK), source("t.yaml", &misspelt)]);
    assert!(
        problems[0]
            .to_string()
            .contains("t.yaml:8:19: inotify.usage has no field \"mising\" (did you mean \"missing\"?)"),
        "{problems:#?}"
    );
}

#[test]
fn the_committed_schema_is_the_one_of_the_code() {
    let committed = std::fs::read_to_string(shipped().join("schema.json")).unwrap_or_default();
    let committed: serde_json::Value = serde_json::from_str(&committed).unwrap_or_default();
    assert!(
        committed == schema(),
        "playbooks/schema.json is not what the code says; write it anew: wbdctl playbook schema > playbooks/schema.json"
    );
}

#[test]
fn names_of_shipped_things_are_the_documented_ones() {
    let (library, _) = load(&shipped_sources());
    let names: Vec<&str> = library.profiles.keys().map(ProfileName::as_str).collect();
    assert_eq!(names, ["aegis", "dsva", "iwss-ftp", "iwss-http", "wbd"]);
    let names: Vec<&str> = library.playbooks.keys().map(PlaybookName::as_str).collect();
    let wanted = "agent-config agent-down agent-log agent-path agent-server agent-servers agent-version dns endpoint \
                  endpoint-tcp fd-leak inotify-limit linked-folders open-files protection role-down \
                  version-match";
    assert_eq!(names.join(" "), wanted);
}

//! Observations in, a verdict out. Knows nothing of time, of other checks and of cures.
use std::collections::BTreeMap;

use wbd_model::check::Verdict;
use wbd_model::lang::Lang;
use wbd_model::observation::{Fact, Observations, Value};

use super::{evidence, health, words};
use crate::expr::{Expr, Scope};
use crate::playbook::{Bound, Level};

/// What a verification says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// Proven.
    Passed,
    /// Disproven.
    Failed,
    /// Could not be seen, and why.
    Unknown(String),
}

/// What one check says of one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The true case; for `unknown` the case that could not be decided.
    pub case: Option<String>,
    /// The values of `let`.
    pub lets: BTreeMap<String, Fact>,
    /// Why, in words.
    pub reason: String,
    /// It is unknown although all was seen: what was seen fits no case that tells more, and is not healthy.
    pub unclear: bool,
    /// The facts behind it, by name: `ino.user_used = 8190`.
    pub evidence: Vec<String>,
    /// The same in words: `watches of the user: 8190`.
    pub seen: Vec<String>,
}

/// The first true case decides. A case that cannot be decided makes the verdict unknown, and later cases
/// are not tried as if it were false. Where no case is true, it is healthy if the playbook's `healthy` is true.
#[must_use]
pub fn judge(bound: &Bound, seen: &Observations) -> Judgement {
    let mut judgement = by_cases(bound, seen);
    // What has the name of the process that was looked at and does not count: no case asks it, and a person has to see
    // it.
    for (line, told) in others(bound, seen) {
        match judgement.verdict {
            Verdict::Pass => judgement.reason.clone_from(&told),
            Verdict::Skip | Verdict::Unknown => judgement.reason = format!("{}; {told}", judgement.reason),
            Verdict::Warn | Verdict::Fail => {}
        }
        judgement.evidence.push(line);
        judgement.seen.push(told);
    }
    judgement
}

fn by_cases(bound: &Bound, seen: &Observations) -> Judgement {
    let lets = lets(bound, seen);
    let scope = scope(bound, seen, &lets);
    for case in &bound.content.cases {
        let (verdict, reason) = match case.when.evaluate(&scope) {
            Fact::Known(Value::Bool(false)) => continue,
            Fact::Known(Value::Bool(true)) => match case.level {
                Level::Fail => (Verdict::Fail, format!("case {}", case.id)),
                Level::Warn => (Verdict::Warn, format!("case {}", case.id)),
                // Nothing else tells people of it.
                Level::Skip => (Verdict::Skip, words::words(bound, &case.id, seen, &lets, Lang::En).cause),
                Level::Unknown => (Verdict::Unknown, words::words(bound, &case.id, seen, &lets, Lang::En).cause),
            },
            Fact::Known(value @ (Value::Int(_) | Value::Text(_))) => {
                (Verdict::Unknown, format!("case {} gave {value}, which is no truth value: report this bug", case.id))
            }
            Fact::Unknown(why) => {
                let why = evidence::unknown(bound, &case.when, &scope, &why);
                (Verdict::Unknown, format!("wbd cannot tell whether case {} applies: {why}", case.id))
            }
        };
        let holds = case.when.evaluate(&scope) == Fact::Known(Value::Bool(true));
        let unclear = holds && case.level == Level::Unknown;
        let evidence = evidence::by_name(&case.when, &scope);
        let seen = evidence::in_words(bound, &case.when, &scope);
        return Judgement { verdict, case: Some(case.id.clone()), lets: lets.clone(), reason, unclear, evidence, seen };
    }
    let asked = || bound.content.cases.iter().map(|case| &case.when).chain(&bound.content.healthy);
    let evidence = each_once(asked().flat_map(|asked| evidence::by_name(asked, &scope)));
    let seen = each_once(asked().flat_map(|asked| evidence::in_words(bound, asked, &scope)));
    let (verdict, reason, unclear) = health::without_case(bound, &scope);
    Judgement { verdict, case: None, reason, unclear, evidence, seen, lets }
}

fn each_once(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for line in lines {
        if !all.contains(&line) {
            all.push(line);
        }
    }
    all
}

/// By name, and in words.
fn others(bound: &Bound, seen: &Observations) -> Vec<(String, String)> {
    let told = seen.iter().filter_map(|(name, observation)| match observation.fact("others") {
        Fact::Known(Value::Text(words)) if !words.is_empty() => {
            let line = format!("{name}.others = {words:?}");
            let told = evidence::told(bound, name, "others", &Fact::Known(Value::Text(words)));
            Some((line.clone(), told.unwrap_or(line)))
        }
        Fact::Known(_) | Fact::Unknown(_) => None,
    });
    told.collect()
}

/// Why the playbook contradicts itself about what was seen: it is healthy although a case fails.
#[must_use]
pub fn contradiction(bound: &Bound, seen: &Observations) -> Option<String> {
    let lets = lets(bound, seen);
    let scope = scope(bound, seen, &lets);
    let holds = |expression: &Expr| expression.evaluate(&scope) == Fact::Known(Value::Bool(true));
    let case = bound.content.cases.iter().find(|case| case.level == Level::Fail && holds(&case.when))?;
    let healthy = bound.content.healthy.as_ref().filter(|healthy| holds(healthy))?;
    let facts = evidence::by_name(healthy, &scope).join(", ");
    Some(format!("healthy and the case {:?} hold at once: {facts}", case.id))
}

/// Whether the cure is proved, against the state before the action. Without a verification nothing is proved.
#[must_use]
pub fn cured(bound: &Bound, seen: &Observations, before: &Observations) -> Verification {
    let Some(verify) = &bound.content.verify else {
        return Verification::Unknown("the playbook has no verification".to_owned());
    };
    let lets = lets(bound, seen);
    let scope = Scope { before: Some(before), ..scope(bound, seen, &lets) };
    match verify.pass.evaluate(&scope) {
        Fact::Known(Value::Bool(true)) => Verification::Passed,
        Fact::Known(Value::Bool(false)) => Verification::Failed,
        Fact::Known(value) => Verification::Unknown(format!("the verification gave {value}")),
        Fact::Unknown(why) => Verification::Unknown(why),
    }
}

/// The facts that the verification looks at, as evidence lines.
#[must_use]
pub fn proof(bound: &Bound, seen: &Observations, before: &Observations) -> Vec<String> {
    let lets = lets(bound, seen);
    let scope = Scope { before: Some(before), ..scope(bound, seen, &lets) };
    bound.content.verify.as_ref().map(|verify| evidence::by_name(&verify.pass, &scope)).unwrap_or_default()
}

/// The values of `let`, each over those above it.
fn lets(bound: &Bound, seen: &Observations) -> BTreeMap<String, Fact> {
    let mut lets = BTreeMap::new();
    for (name, expression) in &bound.content.lets {
        let fact = expression.evaluate(&scope(bound, seen, &lets));
        lets.insert(name.clone(), fact);
    }
    lets
}

fn scope<'a>(bound: &'a Bound, seen: &'a Observations, lets: &'a BTreeMap<String, Fact>) -> Scope<'a> {
    Scope { seen, before: None, lets, case: None, profile: &bound.facts.constants, item: &bound.item }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wbd_model::observation::Observation;
    use wbd_model::problem::Source;
    use wbd_model::settings::Settings;

    use super::*;
    use crate::playbook::load;

    const FILE: &str = "\
apiVersion: wbd/v1
kind: Profile
metadata: {name: p}
spec:
  present: {any: [{file: /p}]}
  process: {main: {comm: p, user: [root]}}
---
kind: Playbook
metadata: {name: few, code: WBD-1}
spec:
  applies: {has: [process.main]}
  observe: {fd: {fd.usage: {process: main}}}
  detect:
    cases:
      - {id: few, level: warn, when: \"fd.open > 100\"}
      - {id: near, level: warn, when: \"fd.open > 90\"}
  text: {en: {few: {title: few, cause: few}, near: {title: near, cause: near}}}
";

    fn judged(open: Fact, others: &str) -> Judgement {
        judged_by("", open, others)
    }

    /// By a playbook with this line in its `detect`.
    fn judged_by(line: &str, open: Fact, others: &str) -> Judgement {
        let text = FILE.replace("  detect:\n", &format!("  detect:\n{line}"));
        let (library, problems) = load(&[Source { path: "x.yaml".to_owned(), text }]);
        assert_eq!(problems, []);
        let present: BTreeSet<_> = library.profiles.keys().cloned().collect();
        let bounds = library.bind(&present, &Settings::default());
        let mut seen = Observation::default();
        seen.facts.insert("open".to_owned(), open);
        seen.know("others", others);
        judge(&bounds[0], &Observations::from([("fd".to_owned(), seen)]))
    }

    #[test]
    fn processes_that_do_not_count_are_told_with_every_verdict_and_change_none() {
        let told = "fd.others = \"not counted: x\"";
        let pass = judged(Fact::Known(5.into()), "not counted: x");
        let words = "other processes of that name: not counted: x";
        assert_eq!((pass.verdict, pass.reason.as_str()), (Verdict::Pass, words));
        assert_eq!(pass.seen, ["open files: 5", words]);
        assert_eq!(pass.evidence, ["fd.open = 5", told], "a fact that two cases look at is told once");
        let warn = judged(Fact::Known(500.into()), "not counted: x");
        assert_eq!((warn.verdict, warn.evidence), (Verdict::Warn, vec!["fd.open = 500".to_owned(), told.to_owned()]));
        let unknown = judged(Fact::Unknown("none runs".to_owned()), "not counted: x");
        assert_eq!(unknown.verdict, Verdict::Unknown);
        assert!(unknown.reason.contains("none runs") && unknown.reason.ends_with(words), "{unknown:?}");
        // Twin: nobody else is there, and nothing is said.
        assert_eq!(judged(Fact::Known(5.into()), "").reason, "");
    }

    #[test]
    fn what_no_case_covers_passes_only_if_it_is_what_the_playbook_calls_healthy() {
        let line = "    healthy: \"fd.open > 3 && fd.open < 50\"\n";
        let by = |open| judged_by(line, open, "");
        let healthy = by(Fact::Known(5.into()));
        assert_eq!((healthy.verdict, healthy.reason.as_str()), (Verdict::Pass, ""));
        let between = by(Fact::Known(60.into()));
        assert_eq!((between.verdict, between.case), (Verdict::Unknown, None));
        assert!(between.unclear && !healthy.unclear);
        assert!(between.reason.ends_with("calls healthy does not hold: open files: 60"), "{}", between.reason);
        let unseen = by(Fact::Unknown("none runs".to_owned()));
        assert_eq!((unseen.verdict, unseen.unclear), (Verdict::Unknown, false));
        assert_eq!(by(Fact::Known(500.into())).verdict, Verdict::Warn, "a case comes first");
        // Twin: a playbook that does not say what healthy is.
        assert_eq!(judged(Fact::Known(60.into()), "").verdict, Verdict::Pass);
    }

    #[test]
    fn a_case_that_nobody_can_tell_is_unknown_in_its_own_words() {
        let text = FILE.replace("level: warn, when: \"fd.open > 100\"", "level: unknown, when: \"fd.open == 7\"");
        let text = text.replace("cause: few", "cause: \"{fd.open} are open\"");
        let (library, problems) = load(&[Source { path: "x.yaml".to_owned(), text }]);
        assert_eq!(problems, []);
        let bounds = library.bind(&library.profiles.keys().cloned().collect(), &Settings::default());
        let mut seen = Observation::default();
        seen.know("open", 7).know("others", "");
        let said = judge(&bounds[0], &Observations::from([("fd".to_owned(), seen)]));
        assert_eq!((said.verdict, said.unclear, said.reason.as_str()), (Verdict::Unknown, true, "7 are open"));
    }

    #[test]
    fn a_state_that_is_healthy_and_fails_is_a_contradiction() {
        let text =
            FILE.replace("few, level: warn", "few, level: fail").replace("cause: few", "cause: few, guide: [few]");
        let said = |healthy: &str| {
            let text = text.replace("  detect:\n", &format!("  detect:\n    healthy: \"{healthy}\"\n"));
            let (library, problems) = load(&[Source { path: "x.yaml".to_owned(), text }]);
            assert_eq!(problems, []);
            let bounds = library.bind(&library.profiles.keys().cloned().collect(), &Settings::default());
            let mut seen = Observation::default();
            seen.know("open", 200).know("others", "");
            contradiction(&bounds[0], &Observations::from([("fd".to_owned(), seen)]))
        };
        assert_eq!(said("fd.open > 3").as_deref(), Some("healthy and the case \"few\" hold at once: fd.open = 200"));
        assert_eq!(said("fd.open <= 100"), None);
    }
}

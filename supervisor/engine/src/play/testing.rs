//! PlaybookTest: observations over time in, expected verdict, case, cause, plan and cure out. No host, no waiting.
//!
//! Facts are carried from one moment to the next until they are given anew; a fact never given, or given as
//! `null`, is unknown. So a test says only what changes.
use std::collections::BTreeSet;
use std::fmt;

use wbd_model::check::Verdict;
use wbd_model::lang::Lang;
use wbd_model::name::{Code, PlaybookName, ProfileName};
use wbd_model::observation::{Fact, Observation, Observations};
use wbd_model::profile::{Duration, Profile};
use wbd_model::settings::Settings;

use super::rehearse;
use crate::judge::diagnose::diagnose;
use crate::judge::plan::plan;
use crate::judge::words::words;
use crate::judge::{Judgement, Verification, contradiction, cured, judge};
use crate::playbook::{Bound, CuredWord, Expectation, Library, Moment, PlaybookTest, ProfileChoice, Seen, VerdictWord};

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestFailure {
    /// The test.
    pub test: PlaybookName,
    /// Its file.
    pub file: String,
    /// The moment in the test; `None` where it could not be run.
    pub after: Option<Duration>,
    /// What was expected, and what came.
    pub message: String,
}

impl fmt::Display for TestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.test)?;
        if let Some(after) = self.after {
            write!(f, " after {after}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Runs a test; the expectations that were not met.
#[must_use]
pub fn run(library: &Library, test: &PlaybookTest) -> Vec<TestFailure> {
    let fail = |after, message| TestFailure { test: test.name.clone(), file: test.file.clone(), after, message };
    let stage = match Stage::set(library, test) {
        Ok(stage) => stage,
        Err(message) => return vec![fail(None, message)],
    };
    let mut failures = Vec::new();
    for expectation in &test.spec.expect {
        let unmet = stage.check(expectation);
        failures.extend(unmet.into_iter().map(|message| fail(Some(expectation.after), message)));
    }
    for (from_ms, seen) in &stage.moments {
        let message = contradiction(&stage.bound, seen);
        failures.extend(message.map(|message| fail(Some(Duration::from_ms(*from_ms)), message)));
    }
    if let Some(wanted) = &test.spec.ledger {
        match rehearse::ring(&stage.bound, &stage.moments) {
            Ok(kinds) if kinds == *wanted => {}
            Ok(kinds) => failures.push(fail(None, format!("ledger: wanted {wanted:?}, got {kinds:?}"))),
            Err(message) => failures.push(fail(None, format!("ledger: {message}"))),
        }
    }
    failures
}

/// A test ready to be judged at any moment.
struct Stage {
    bound: Bound,
    moments: Vec<(u64, Observations)>,
    others: Vec<(Bound, Vec<(u64, Observations)>)>,
}

impl Stage {
    fn set(library: &Library, test: &PlaybookTest) -> Result<Self, String> {
        let spec = &test.spec;
        if spec.at.is_empty() || spec.expect.is_empty() {
            return Err("nothing is seen or nothing is expected: such a test cannot fail".to_owned());
        }
        if !spec.at.windows(2).all(|pair| pair[0].after < pair[1].after) {
            return Err("the moments of `at` must follow each other".to_owned());
        }
        let mut stage = library.clone();
        let profile = match &spec.profile {
            ProfileChoice::Named(name) => name.clone(),
            ProfileChoice::Inline(profile) => {
                // A playbook that is for one product is tried on that one.
                let meant = library.playbooks.get(&spec.playbook).and_then(|playbook| playbook.profiles.first());
                let name = meant.cloned().map_or_else(|| ProfileName::new("inline"), Ok);
                let name = name.map_err(|bad| bad.to_string())?;
                let profile = Profile { name: name.clone(), spec: (**profile).clone() };
                stage.profiles.insert(name.clone(), profile.into());
                name
            }
        };
        if !stage.profiles.contains_key(&profile) {
            return Err(format!("there is no profile {profile}"));
        }
        let checks = stage.bind(&BTreeSet::from([profile]), &Settings::default());
        let find = |name: &PlaybookName| {
            checks.iter().find(|check| check.playbook == *name).cloned().ok_or_else(|| {
                if library.playbooks.contains_key(name) {
                    format!("playbook {name} does not apply to this profile")
                } else {
                    format!("there is no playbook {name}")
                }
            })
        };
        let bound = find(&spec.playbook)?;
        let names: BTreeSet<&PlaybookName> = spec.at.iter().flat_map(|moment| moment.others.keys()).collect();
        let mut others = Vec::new();
        for name in names {
            let other = find(name)?;
            let moments = accumulate(&other, &spec.at, |moment| moment.others.get(name));
            others.push((other, moments));
        }
        let moments = accumulate(&bound, &spec.at, |moment| Some(&moment.see));
        Ok(Self { bound, moments, others })
    }

    /// What is not as it should be.
    fn check(&self, wanted: &Expectation) -> Vec<String> {
        let now = wanted.after.as_ms();
        let Some(seen) = at(&self.moments, now) else { return vec!["nothing is seen by then".to_owned()] };
        let says = judge(&self.bound, seen);
        let mut unmet = Vec::new();
        let verdict = match wanted.verdict {
            VerdictWord::Pass => Verdict::Pass,
            VerdictWord::Unknown => Verdict::Unknown,
            VerdictWord::Skip => Verdict::Skip,
            VerdictWord::Warn => Verdict::Warn,
            VerdictWord::Fail => Verdict::Fail,
        };
        if says.verdict != verdict {
            let got = says.verdict.as_str();
            unmet.push(format!(
                "verdict: wanted {}, got {got} ({}; {})",
                verdict.as_str(),
                says.reason,
                says.evidence.join(", ")
            ));
            return unmet;
        }
        if wanted.case.is_some() && wanted.case != says.case {
            unmet.push(format!("case: wanted {:?}, got {:?} ({})", wanted.case, says.case, says.reason));
        }
        if let Some(code) = &wanted.cause {
            let cause = self.cause(&says, now);
            if cause.as_ref() != Some(code) {
                unmet.push(format!(
                    "cause: wanted {code}, got {}",
                    cause.map_or("none".to_owned(), |code| code.to_string())
                ));
            }
        }
        unmet.extend(self.plan(wanted, &says, seen, now));
        unmet.extend(wanted.cured.and_then(|cured| self.cure(cured, seen, now)));
        if let (false, Some(case)) = (wanted.says.is_empty(), &says.case) {
            let words = words(&self.bound, case, seen, &says.lets, Lang::En);
            let all = format!("{}\n{}\n{}", words.title, words.cause, words.guide.join("\n"));
            let missing = wanted.says.iter().filter(|wanted| !all.contains(wanted.as_str()));
            unmet.extend(missing.map(|wanted| format!("says: {wanted:?} is not in: {all}")));
        }
        unmet
    }

    fn cause(&self, says: &Judgement, now: u64) -> Option<Code> {
        let others: Vec<(&Bound, Judgement)> =
            self.others.iter().filter_map(|(bound, moments)| Some((bound, judge(bound, at(moments, now)?)))).collect();
        let mut checks = vec![(&self.bound, says)];
        checks.extend(others.iter().map(|(bound, says)| (*bound, says)));
        diagnose(&checks).into_iter().find(|(effect, _)| *effect == self.bound.key).map(|(_, cause)| cause.code)
    }

    fn plan(&self, wanted: &Expectation, says: &Judgement, seen: &Observations, now: u64) -> Vec<String> {
        let held = says.case.as_ref().is_some_and(|case| {
            let since = self.since(case, now);
            since.is_some_and(|since| now.saturating_sub(since) >= self.bound.held_for(case).as_ms())
        });
        let plan = if held { plan(&self.bound, says, seen, 0) } else { Ok(None) };
        let (steps, rung, why) = match plan {
            Ok(Some(plan)) => {
                (plan.steps.iter().map(|step| step.name().to_owned()).collect(), Some(plan.rung_id), String::new())
            }
            Ok(None) if held => (Vec::new(), None, "no rung fits".to_owned()),
            Ok(None) => (Vec::new(), None, "not held long enough".to_owned()),
            Err(why) => (Vec::new(), None, why),
        };
        let mut unmet = Vec::new();
        if wanted.plan.as_ref().is_some_and(|wanted| *wanted != steps) {
            unmet
                .push(format!("plan: wanted {:?}, got {steps:?} ({why})", wanted.plan.as_ref().unwrap_or(&Vec::new())));
        }
        if wanted.rung.is_some() && wanted.rung != rung {
            unmet.push(format!("rung: wanted {:?}, got {rung:?} ({why})", wanted.rung));
        }
        unmet
    }

    /// Since when the check has failed with this very case without a break.
    fn since(&self, case: &str, now: u64) -> Option<u64> {
        let mut since = None;
        for (from, seen) in self.moments.iter().filter(|(from, _)| *from <= now) {
            let says = judge(&self.bound, seen);
            if says.case.as_deref() != Some(case) || says.verdict != Verdict::Fail {
                since = None;
            } else if since.is_none() {
                since = Some(*from);
            }
        }
        since
    }

    fn cure(&self, wanted: CuredWord, seen: &Observations, now: u64) -> Option<String> {
        let failed =
            |(from, seen): &&(u64, Observations)| *from <= now && judge(&self.bound, seen).verdict == Verdict::Fail;
        let before = self.moments.iter().rev().find(failed).map_or(seen, |(_, seen)| seen);
        let truth = cured(&self.bound, seen, before);
        let got = match &truth {
            Verification::Passed => CuredWord::Proven,
            Verification::Failed => CuredWord::Disproven,
            Verification::Unknown(_) => CuredWord::Unknown,
        };
        (got != wanted).then(|| format!("cured: wanted {wanted:?}, got {truth:?}"))
    }
}

fn at(moments: &[(u64, Observations)], now: u64) -> Option<&Observations> {
    moments.iter().rev().find(|(from, _)| *from <= now).map(|(_, seen)| seen)
}

/// What is seen from each moment on: every field of every probe, unknown until it is given.
fn accumulate<'a>(
    bound: &Bound,
    at: &'a [Moment],
    pick: impl Fn(&'a Moment) -> Option<&'a Seen>,
) -> Vec<(u64, Observations)> {
    let unseen =
        |probe: &wbd_model::probe::Probe| Observation::unseen(probe.name().fields(), "the test does not give it");
    let mut seen: Observations = bound.probes.iter().map(|(name, probe)| (name.clone(), unseen(probe))).collect();
    let mut moments = Vec::new();
    for moment in at {
        for (name, facts) in pick(moment).into_iter().flatten() {
            let observation = seen.entry(name.clone()).or_default();
            for (field, value) in facts {
                let fact = value.0.clone().map_or_else(|| Fact::Unknown("the test says so".to_owned()), Fact::Known);
                observation.facts.insert(field.clone(), fact);
            }
        }
        moments.push((moment.after.as_ms(), seen.clone()));
    }
    moments
}

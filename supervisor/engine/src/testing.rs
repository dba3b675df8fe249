//! PlaybookTest: observations over time in, expected verdict, case, cause, plan and cure out. No host, no waiting.
//!
//! Facts are carried from one moment to the next until they are given anew; a fact never given, or given as
//! `null`, is unknown. So a test says only what changes.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, IntoDeserializer};
use wbd_model::check::Verdict;
use wbd_model::name::{Code, PlaybookName, ProfileName};
use wbd_model::observation::{Fact, Observation, Observations, Value};
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::{Duration, Profile, ProfileSpec};
use wbd_model::settings::Settings;

use crate::diagnose::diagnose;
use crate::judge::{Judgement, cured, judge};
use crate::plan::plan;
use crate::playbook::{Bound, Library, Node, Playbook, suggest};
use crate::round::Truth;
use crate::words::{Lang, words};

/// One test of one playbook.
#[derive(Debug)]
pub struct PlaybookTest {
    /// Its name.
    pub name: PlaybookName,
    /// The file it was read from.
    pub file: String,
    pub(crate) spec: TestSpec,
}

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

/// Runs the ring over a check's moments (milliseconds from the test's start, and what is seen from then on)
/// and gives the kinds of the records that it writes, in order.
pub type Ring<'a> = &'a dyn Fn(&Bound, &[(u64, Observations)]) -> Result<Vec<String>, String>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestSpec {
    /// The playbook under test.
    pub(crate) playbook: PlaybookName,
    /// The product: a profile's name, or the keys of a profile.
    pub(crate) profile: ProfileChoice,
    /// What is seen, and from when on.
    pub(crate) at: Vec<Moment>,
    /// What must come of it, and when.
    pub(crate) expect: Vec<Expectation>,
    /// The kinds of all records that the ledger must hold in the end: opened, intent, outcome, verdict, closed, ...
    #[serde(default)]
    pub(crate) ledger: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    /// From when on, counted from the start of the test.
    #[serde(default)]
    after: Duration,
    /// Facts by observation and field, as the playbook names them.
    #[serde(default)]
    see: Seen,
    /// The same for other playbooks, by their names, where a cause is expected.
    #[serde(default)]
    others: BTreeMap<PlaybookName, Seen>,
}

type Seen = BTreeMap<String, BTreeMap<String, SeenValue>>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// When, counted from the start of the test.
    after: Duration,
    /// What the check says.
    verdict: VerdictWord,
    /// The true case, or the one that cannot be decided.
    #[serde(default)]
    case: Option<String>,
    /// The code of the failure that this one is a consequence of.
    #[serde(default)]
    cause: Option<Code>,
    /// The deeds of the rung that would be done now; `[]` for none.
    #[serde(default)]
    plan: Option<Vec<String>>,
    /// The rung that they belong to.
    #[serde(default)]
    rung: Option<String>,
    /// What the verification says, against the last state that failed.
    #[serde(default)]
    cured: Option<CuredWord>,
    /// Words that title, cause or guide must hold.
    #[serde(default)]
    says: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum VerdictWord {
    Pass,
    Unknown,
    Warn,
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CuredWord {
    Yes,
    No,
    Unknown,
}

/// A profile by its name, or its keys.
#[derive(Debug)]
pub(crate) enum ProfileChoice {
    Named(ProfileName),
    Inline(Box<ProfileSpec>),
}

impl<'de> Deserialize<'de> for ProfileChoice {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChoiceVisitor;
        impl<'de> de::Visitor<'de> for ChoiceVisitor {
            type Value = ProfileChoice;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a profile, or its keys")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<ProfileChoice, E> {
                ProfileName::deserialize(name.into_deserializer()).map(ProfileChoice::Named)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, access: A) -> Result<ProfileChoice, A::Error> {
                let spec = ProfileSpec::deserialize(de::value::MapAccessDeserializer::new(access))?;
                Ok(ProfileChoice::Inline(Box::new(spec)))
            }
        }
        deserializer.deserialize_any(ChoiceVisitor)
    }
}

impl JsonSchema for ProfileChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProfileChoice".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (name, spec) = (generator.subschema_for::<ProfileName>(), generator.subschema_for::<ProfileSpec>());
        schemars::json_schema!({ "anyOf": [name, spec] })
    }
}

/// A fact as a test gives it; `null` is "not seen".
#[derive(Debug, Clone)]
struct SeenValue(Option<Value>);

impl<'de> Deserialize<'de> for SeenValue {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SeenVisitor;
        impl de::Visitor<'_> for SeenVisitor {
            type Value = SeenValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a whole number, text or null")
            }
            fn visit_unit<E>(self) -> Result<SeenValue, E> {
                Ok(SeenValue(None))
            }
            fn visit_bool<E>(self, value: bool) -> Result<SeenValue, E> {
                Ok(SeenValue(Some(value.into())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<SeenValue, E> {
                Ok(SeenValue(Some(value.into())))
            }
            fn visit_str<E>(self, value: &str) -> Result<SeenValue, E> {
                Ok(SeenValue(Some(value.into())))
            }
        }
        deserializer.deserialize_any(SeenVisitor)
    }
}

impl JsonSchema for SeenValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SeenValue".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["boolean", "integer", "string", "null"] })
    }
}

/// Runs a test; the expectations that were not met.
#[must_use]
pub fn run(library: &Library, test: &PlaybookTest) -> Vec<TestFailure> {
    run_with(library, test, None)
}

/// As [`run`]; with the ring, `ledger:` is checked as well. Without one, a test that wants it fails.
#[must_use]
pub fn run_with(library: &Library, test: &PlaybookTest, ring: Option<Ring<'_>>) -> Vec<TestFailure> {
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
    if let Some(wanted) = &test.spec.ledger {
        let kinds = ring.map_or_else(|| Err("there is no ring to write a ledger here".to_owned()), |ring| ring(&stage.bound, &stage.moments));
        match kinds {
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
                let name = ProfileName::new("inline").map_err(|bad| bad.to_string())?;
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
            VerdictWord::Warn => Verdict::Warn,
            VerdictWord::Fail => Verdict::Fail,
        };
        if says.verdict != verdict {
            let got = says.verdict.as_str();
            unmet.push(format!("verdict: wanted {}, got {got} ({}; {})", verdict.as_str(), says.reason, says.evidence.join(", ")));
            return unmet;
        }
        if wanted.case.is_some() && wanted.case != says.case {
            unmet.push(format!("case: wanted {:?}, got {:?} ({})", wanted.case, says.case, says.reason));
        }
        if let Some(code) = &wanted.cause {
            let cause = self.cause(&says, now);
            if cause.as_ref() != Some(code) {
                unmet.push(format!("cause: wanted {code}, got {}", cause.map_or("none".to_owned(), |code| code.to_string())));
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
        let others: Vec<(&Bound, Judgement)> = self
            .others
            .iter()
            .filter_map(|(bound, moments)| Some((bound, judge(bound, at(moments, now)?))))
            .collect();
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
            Ok(Some(plan)) => (plan.steps.iter().map(|step| step.name().to_owned()).collect(), Some(plan.rung_id), String::new()),
            Ok(None) if held => (Vec::new(), None, "no rung fits".to_owned()),
            Ok(None) => (Vec::new(), None, "not held long enough".to_owned()),
            Err(why) => (Vec::new(), None, why),
        };
        let mut unmet = Vec::new();
        if wanted.plan.as_ref().is_some_and(|wanted| *wanted != steps) {
            unmet.push(format!("plan: wanted {:?}, got {steps:?} ({why})", wanted.plan.as_ref().unwrap_or(&Vec::new())));
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
        let failed = |(from, seen): &&(u64, Observations)| *from <= now && judge(&self.bound, seen).verdict == Verdict::Fail;
        let before = self.moments.iter().rev().find(failed).map_or(seen, |(_, seen)| seen);
        let truth = cured(&self.bound, seen, before);
        let got = match &truth {
            Truth::True => CuredWord::Yes,
            Truth::False => CuredWord::No,
            Truth::Unknown(_) => CuredWord::Unknown,
        };
        (got != wanted).then(|| format!("cured: wanted {wanted:?}, got {truth:?}"))
    }
}

fn at(moments: &[(u64, Observations)], now: u64) -> Option<&Observations> {
    moments.iter().rev().find(|(from, _)| *from <= now).map(|(_, seen)| seen)
}

/// What is seen from each moment on: every field of every probe, unknown until it is given.
fn accumulate<'a>(bound: &Bound, at: &'a [Moment], pick: impl Fn(&'a Moment) -> Option<&'a Seen>) -> Vec<(u64, Observations)> {
    let unseen = |probe: &wbd_model::probe::Probe| Observation::unseen(probe.name().fields(), "the test does not give it");
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

/// What a test names and its playbook does not have. A misspelt fact would be unknown for ever.
pub(crate) fn misfits(source: &Source, tree: &Node, test: &PlaybookTest, library: &Library) -> Vec<Problem> {
    let mut found = Vec::new();
    let spec = tree.get("spec");
    let name = test.spec.playbook.as_str();
    let Some(playbook) = library.playbooks.get(&test.spec.playbook) else {
        let near = suggest::nearest(name, library.playbooks.keys().map(PlaybookName::as_str));
        let place = tree.place_of(&["spec", "playbook"]);
        // A masked playbook's test is no error of its file; running it tells.
        found.extend(near.map(|near| place.problem(source, format!("there is no playbook {name:?}"), Some(format!("did you mean {near:?}?")))));
        return found;
    };
    for moment in spec.and_then(|spec| spec.get("at")).map(Node::elements).unwrap_or_default() {
        found.extend(moment.get("see").map(|see| unknown_facts(source, see, playbook)).unwrap_or_default());
        for (other, see) in moment.get("others").map(Node::entries).unwrap_or_default() {
            let other = library.playbooks.iter().find(|(name, _)| name.as_str() == other.text);
            found.extend(other.map(|(_, playbook)| unknown_facts(source, see, playbook)).unwrap_or_default());
        }
    }
    for wanted in spec.and_then(|spec| spec.get("expect")).map(Node::elements).unwrap_or_default() {
        let Some(case) = wanted.get("case") else { continue };
        let ids = playbook.cases.iter().map(|case| case.id.as_str());
        if let Some(text) = case.text().filter(|text| playbook.case(text).is_none()) {
            found.push(case.place.problem(source, format!("{name} has no case {text:?}"), suggest::hint(text, ids)));
        }
    }
    found
}

fn unknown_facts(source: &Source, see: &Node, playbook: &Playbook) -> Vec<Problem> {
    let mut found = Vec::new();
    for (name, facts) in see.entries() {
        let Some((_, question)) = playbook.observe.iter().find(|(known, _)| *known == name.text) else {
            let known = playbook.observe.iter().map(|(known, _)| known.as_str());
            let message = format!("{} observes nothing as {:?}", playbook.name, name.text);
            found.push(name.place.problem(source, message, suggest::hint(&name.text, known)));
            continue;
        };
        let fields = question.name().fields();
        for (field, value) in facts.entries() {
            let Some(known) = fields.iter().find(|known| known.name == field.text) else {
                let message = format!("{} has no field {:?}", question.name().as_str(), field.text);
                let hint = suggest::hint(&field.text, fields.iter().map(|known| known.name));
                found.push(field.place.problem(source, message, hint));
                continue;
            };
            if value.kind().is_some_and(|kind| kind != known.kind) {
                found.push(value.place.problem(source, format!("{}.{} is {}", name.text, field.text, crate::expr::a(known.kind)), None));
            }
        }
    }
    found
}

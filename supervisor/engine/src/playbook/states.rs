//! The states that a playbook tells apart, one of each kind, and what it says of them: looked through at lint, so that no
//! state is left out by mistake. Judges no host.
//!
//! A name is given a value only where what is said hangs on it, and of numbers only those beside a limit; so few states
//! stand for all.
use std::collections::{BTreeMap, BTreeSet};

use wbd_model::observation::{Fact, Field, Kind, Observation, Observations, Value};

use super::compiled::{Case, Level, Playbook};
use crate::expr::{Compared, Expr, Reference, Scope};

/// Steps of one search; more than any playbook of ours takes by far.
const MOST_STEPS: usize = 200_000;
/// A text that no playbook compares anything with.
const ANOTHER: &str = "(another text)";

/// What was found.
#[derive(Debug, Default)]
pub(super) struct States {
    /// Neither a case nor `healthy` holds.
    pub(super) uncovered: Vec<String>,
    /// A failing case and `healthy` hold at once: the case, and the first such state.
    pub(super) both: BTreeMap<String, String>,
    /// The verification and a failing case that asks the same hold at once.
    pub(super) proven_though: BTreeMap<String, String>,
    /// The verification and `healthy` hold at once somewhere.
    pub(super) can_be_proven: bool,
    /// There are too many states to look through.
    pub(super) cut: bool,
}

/// Looks through the states of a playbook that says what healthy is.
pub(super) fn look_through(playbook: &Playbook) -> States {
    let Some(healthy) = &playbook.healthy else { return States::default() };
    let mut search = Search {
        playbook,
        healthy,
        domains: domains(playbook),
        state: State::default(),
        steps: 0,
        found: States::default(),
    };
    search.cases(0);
    search.steps = 0;
    search.proof();
    search.found
}

/// The names that have a value so far; a value that could not be seen is `None`.
#[derive(Debug, Default)]
struct State {
    given: Vec<(Reference, Option<Value>)>,
    seen: Observations,
    before: Observations,
    profile: BTreeMap<String, Value>,
    item: BTreeMap<String, Value>,
}

impl State {
    fn set(&mut self, reference: &Reference, value: Option<&Value>) {
        let fact = || value.cloned().map_or_else(|| Fact::Unknown("not seen".to_owned()), Fact::Known);
        match reference {
            Reference::Fact { observation, field } => {
                self.seen.entry(observation.clone()).or_default().facts.insert(field.clone(), fact());
            }
            Reference::Before { observation, field } => {
                self.before.entry(observation.clone()).or_default().facts.insert(field.clone(), fact());
            }
            Reference::Profile(path) => self.profile.extend(value.map(|value| (path.clone(), value.clone()))),
            Reference::Item { field, .. } => self.item.extend(value.map(|value| (field.clone(), value.clone()))),
            Reference::Let(_) | Reference::Case => {}
        }
    }

    fn unset(&mut self, reference: &Reference) {
        let forget = |all: &mut Observations, observation: &str, field: &str| {
            all.get_mut(observation).map(|seen: &mut Observation| seen.facts.remove(field));
        };
        match reference {
            Reference::Fact { observation, field } => forget(&mut self.seen, observation, field),
            Reference::Before { observation, field } => forget(&mut self.before, observation, field),
            Reference::Profile(path) => drop(self.profile.remove(path)),
            Reference::Item { field, .. } => drop(self.item.remove(field)),
            Reference::Let(_) | Reference::Case => {}
        }
    }

    fn has(&self, reference: &Reference) -> bool {
        self.given.iter().any(|(given, _)| given == reference)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, (reference, value)) in self.given.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match value {
                Some(Value::Text(text)) => write!(f, "{reference} = '{text}'")?,
                Some(value @ (Value::Bool(_) | Value::Int(_))) => write!(f, "{reference} = {value}")?,
                None => write!(f, "{reference} is not known")?,
            }
        }
        Ok(())
    }
}

/// Values that stand for all that a name can have.
type Domains<'a> = BTreeMap<&'a Reference, Vec<Option<Value>>>;

struct Search<'a> {
    playbook: &'a Playbook,
    healthy: &'a Expr,
    domains: Domains<'a>,
    state: State,
    steps: usize,
    found: States,
}

impl<'a> Search<'a> {
    /// The cases from this one on; none before it holds.
    fn cases(&mut self, from: usize) {
        for (index, case) in self.playbook.cases.iter().enumerate().skip(from) {
            match self.value(&case.when) {
                Err(open) => return self.each(open, |search| search.cases(index)),
                Ok(Some(false)) => {}
                Ok(Some(true)) if case.level == Level::Fail => return self.beside(case),
                Ok(Some(true) | None) => return,
            }
        }
        match self.value(self.healthy) {
            Err(open) => self.each(open, |search| search.cases(usize::MAX)),
            Ok(Some(false)) => self.found.uncovered.push(self.state.to_string()),
            Ok(Some(true) | None) => {}
        }
    }

    /// Whether it is healthy beside a failing case.
    fn beside(&mut self, case: &'a Case) {
        if self.found.both.contains_key(&case.id) {
            return;
        }
        match self.value(self.healthy) {
            Err(open) => self.each(open, |search| search.beside(case)),
            Ok(Some(true)) => {
                self.found.both.insert(case.id.clone(), self.state.to_string());
            }
            Ok(Some(false) | None) => {}
        }
    }

    /// Where the verification holds.
    fn proof(&mut self) {
        let Some(verify) = &self.playbook.verify else { return };
        match self.value(&verify.pass) {
            Err(open) => self.each(open, Self::proof),
            Ok(Some(true)) => self.proven(0),
            Ok(Some(false) | None) => {}
        }
    }

    /// What the cases from this one on say where the verification holds.
    fn proven(&mut self, from: usize) {
        for (index, case) in self.playbook.cases.iter().enumerate().skip(from) {
            match self.value(&case.when) {
                Err(open) => return self.each(open, |search| search.proven(index)),
                Ok(Some(false)) => {}
                Ok(Some(true)) => {
                    if case.level == Level::Fail && self.shares(case) {
                        let state = self.state.to_string();
                        self.found.proven_though.entry(case.id.clone()).or_insert(state);
                    }
                    return;
                }
                Ok(None) => return,
            }
        }
        if self.found.can_be_proven {
            return;
        }
        match self.value(self.healthy) {
            Err(open) => self.each(open, |search| search.proven(usize::MAX)),
            Ok(healthy) => self.found.can_be_proven |= healthy == Some(true),
        }
    }

    /// Whether the verification asks something that this case asks too; else the two tell of different things.
    fn shares(&self, case: &Case) -> bool {
        let facts = |expression: &'a Expr| -> BTreeSet<&'a Reference> {
            let all = self.through_lets(expression).into_iter().flat_map(Expr::references);
            all.filter(|reference| matches!(reference, Reference::Fact { .. })).collect()
        };
        let Some(case) = self.playbook.cases.iter().find(|own| own.id == case.id) else { return false };
        let asked = self.playbook.verify.as_ref().map(|verify| facts(&verify.pass)).unwrap_or_default();
        !facts(&case.when).is_disjoint(&asked)
    }

    fn through_lets(&self, expression: &'a Expr) -> Vec<&'a Expr> {
        let mut all = vec![expression];
        for reference in expression.references() {
            if let Some(value) = named(self.playbook, reference) {
                // A value of `let` knows only those before it, so that this ends.
                all.extend(self.through_lets(value));
            }
        }
        all
    }

    /// Goes on with each value of a name.
    fn each(&mut self, open: &'a Reference, go_on: impl Fn(&mut Self)) {
        let values = self.domains.get(open).cloned().unwrap_or_default();
        for value in values {
            if self.steps >= MOST_STEPS {
                self.found.cut = true;
                return;
            }
            self.steps += 1;
            self.state.set(open, value.as_ref());
            self.state.given.push((open.clone(), value));
            go_on(self);
            self.state.given.pop();
            self.state.unset(open);
        }
    }

    /// Whether a condition holds; `None`: that is not known. What is still open is the error.
    fn value(&self, expression: &'a Expr) -> Result<Option<bool>, &'a Reference> {
        let mut lets = BTreeMap::new();
        for (name, value) in &self.playbook.lets {
            let fact = value.evaluate(&self.scope(&lets));
            lets.insert(name.clone(), fact);
        }
        let scope = self.scope(&lets);
        if let Some(open) = self.open(expression, &scope) {
            return Err(open);
        }
        Ok(match expression.evaluate(&scope) {
            Fact::Known(Value::Bool(truth)) => Some(truth),
            Fact::Known(Value::Int(_) | Value::Text(_)) | Fact::Unknown(_) => None,
        })
    }

    fn open(&self, expression: &'a Expr, scope: &Scope<'_>) -> Option<&'a Reference> {
        expression.open(scope, &|reference| match named(self.playbook, reference) {
            Some(value) => self.open(value, scope),
            None => (!self.state.has(reference) && self.domains.contains_key(reference)).then_some(reference),
        })
    }

    fn scope<'s>(&'s self, lets: &'s BTreeMap<String, Fact>) -> Scope<'s> {
        let State { seen, before, profile, item, .. } = &self.state;
        Scope { seen, before: Some(before), lets, case: None, profile, item }
    }
}

/// The value of `let` behind a name.
fn named<'a>(playbook: &'a Playbook, reference: &Reference) -> Option<&'a Expr> {
    match reference {
        Reference::Let(name) => playbook.lets.iter().find(|(own, _)| own == name).map(|(_, value)| value),
        Reference::Fact { .. }
        | Reference::Before { .. }
        | Reference::Profile(_)
        | Reference::Case
        | Reference::Item { .. } => None,
    }
}

/// For each name of cases, `healthy` and verification the values that stand for all.
fn domains(playbook: &Playbook) -> Domains<'_> {
    let asked = playbook.cases.iter().map(|case| &case.when).chain(&playbook.healthy);
    let asked = asked.chain(playbook.verify.as_ref().map(|verify| &verify.pass));
    let all: Vec<&Expr> = asked.chain(playbook.lets.iter().map(|(_, value)| value)).collect();
    let compared: Vec<(&Reference, Compared<'_>)> = all.iter().flat_map(|expression| expression.compared()).collect();
    let references: BTreeSet<&Reference> = all.iter().flat_map(|expression| expression.references()).collect();
    let of = |reference: &Reference| {
        compared.iter().filter(|(known, _)| *known == reference).map(|(_, with)| with).collect::<Vec<_>>()
    };
    references.into_iter().filter_map(|it| Some((it, domain(playbook, it, &of(it))?))).collect()
}

fn domain(playbook: &Playbook, reference: &Reference, compared: &[&Compared<'_>]) -> Option<Vec<Option<Value>>> {
    let field = field(playbook, reference);
    let kind = field.map(|field| field.kind).or_else(|| reference.constant_kind())?;
    let constants = compared.iter().filter_map(|with| match with {
        Compared::With(value) => Some(*value),
        Compared::Mixed | Compared::Known => None,
    });
    let mut values: Vec<Option<Value>> = match kind {
        Kind::Bool => [true, false].into_iter().map(|truth| Some(Value::Bool(truth))).collect(),
        Kind::Text => texts(field, constants).into_iter().map(|text| Some(Value::Text(text))).collect(),
        Kind::Int => {
            let mixed = compared.iter().any(|with| **with == Compared::Mixed);
            numbers(constants, mixed).into_iter().map(|number| Some(Value::Int(number))).collect()
        }
    };
    // Not to know decides nothing but where it is asked for: a condition that holds then holds with a value too.
    if compared.iter().any(|with| **with == Compared::Known) {
        values.push(None);
    }
    Some(values)
}

/// The field of a probe behind a name.
pub(super) fn field(playbook: &Playbook, reference: &Reference) -> Option<&'static Field> {
    let (Reference::Fact { observation, field } | Reference::Before { observation, field }) = reference else {
        return None;
    };
    let (_, question) = playbook.observe.iter().find(|(name, _)| name == observation)?;
    question.name.fields().iter().find(|known| known.name == field)
}

fn texts<'v>(field: Option<&Field>, constants: impl Iterator<Item = &'v Value>) -> BTreeSet<String> {
    let words = field.map(|field| field.words).unwrap_or_default();
    if !words.is_empty() {
        return words.iter().map(|word| (*word).to_owned()).collect();
    }
    constants.map(ToString::to_string).chain([String::new(), ANOTHER.to_owned()]).collect()
}

/// Each limit and its neighbours. What is counted is never below 0, unless it is compared with less.
fn numbers<'v>(constants: impl Iterator<Item = &'v Value>, mixed: bool) -> BTreeSet<i64> {
    let constants: Vec<i64> =
        constants.filter_map(|value| if let Value::Int(number) = value { Some(*number) } else { None }).collect();
    let least = constants.iter().copied().chain([0]).min().unwrap_or_default();
    let beside = constants.iter().flat_map(|it| [it.saturating_sub(1), *it, it.saturating_add(1)]);
    let plain: &[i64] = if mixed { &[0, 1, 2] } else { &[0, 1] };
    beside.chain(plain.iter().copied()).filter(|number| *number >= least).collect()
}

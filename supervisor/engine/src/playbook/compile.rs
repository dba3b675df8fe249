//! From the written keys to a playbook whose parts fit together. Every problem of the document is found in
//! one go; reads nothing but the document.
use std::collections::BTreeMap;

use wbd_model::action::ActionName;
use wbd_model::declared::{Need, Parameter, Takes};
use wbd_model::name::PlaybookName;
use wbd_model::observation::{Kind, Value};
use wbd_model::plan::Attempts;
use wbd_model::probe::ProbeName;
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::Duration;
use wbd_model::{suggest, unit};

use super::compiled::{Case, Explains, Level, Playbook, Question, Requirement, Rung, RungWindow, Step, Verify};
use super::document::{CaseSpec, Each, LevelWord, PlaybookDocument, PlaybookSpec, RungSpec, ScopeWord, WindowSpec};
use super::faults::Faults;
use super::given::Given;
use super::named::Named;
use super::texts;
use crate::expr::{Expr, Items, Names, RESERVED, Reference};
use crate::yaml::{At, Node, Place};

/// Observations, values, cases, rungs and steps that a playbook may have of each.
const MAX_PARTS: usize = 24;
/// Attempts are remembered for as long as the host's own longest budget, a day.
const LONGEST_PER: Duration = Duration::from_ms(86_400_000);

/// The playbook that a document is, or every problem of it.
pub(crate) fn compile(source: &Source, node: &Node, document: PlaybookDocument) -> Result<Playbook, Vec<Problem>> {
    let mut compiler = Compiler { faults: Faults::new(source), has: Vec::new(), for_host: false, items: None };
    let playbook = compiler.playbook(node, document);
    match playbook {
        Some(playbook) if compiler.faults.found.is_empty() => Ok(playbook),
        Some(_) | None => Err(compiler.faults.found),
    }
}

struct Compiler<'a> {
    faults: Faults<'a>,
    has: Vec<Requirement>,
    for_host: bool,
    items: Option<Items>,
}

impl Compiler<'_> {
    fn playbook(&mut self, node: &Node, document: PlaybookDocument) -> Option<Playbook> {
        let PlaybookDocument { metadata, spec, .. } = document;
        self.for_host = spec.scope == ScopeWord::Host;
        self.requirements(&spec);
        let items = self.items(&spec);
        let observe = self.questions(&spec, items);
        let mut names = Names { profile: !self.for_host, items, ..Names::default() };
        names.observations = observe.iter().map(|(name, question)| (name.value.as_str(), question.name)).collect();
        let lets = self.lets(&spec, &mut names);
        let cases = self.cases(&spec, &names);
        self.see_something(&spec, lets.as_deref(), cases.as_deref());
        let healthy = spec.detect.healthy.as_ref().map(|text| self.healthy(text, lets.as_deref(), &names));
        let case_names: Vec<&str> = spec.detect.cases.value.iter().map(|case| case.id.value.as_str()).collect();
        let acting = Names { cases: Some(case_names), ..names.clone() };
        let rungs = self.rungs(&spec, &acting);
        let verify = self.verify(&spec, &names);
        if let (Some(lets), Some(verify), Some(written)) = (&lets, &verify, &spec.verify)
            && !looks(&verify.pass, lets)
        {
            self.blind(&written.pass, "a proof that names no observation proves nothing");
        }
        let attempts = self.attempts(node, &spec);
        let explains = self.explains(&spec);
        let texts = texts::compile(&mut self.faults, &spec, &names);
        self.limit(spec.observe.0.len(), "observe", node.place_of(&["spec", "observe"]));
        self.limit(spec.lets.0.len(), "let", node.place_of(&["spec", "let"]));
        self.limit(spec.detect.cases.value.len(), "cases", spec.detect.cases.place);
        self.limit(spec.rungs.len(), "rungs", node.place_of(&["spec", "rungs"]));
        Some(Playbook {
            name: metadata.name.value,
            code: metadata.code,
            source: metadata.source,
            file: String::new(),
            digest: node.digest(),
            for_host: self.for_host,
            explains,
            profiles: spec.applies.value.profile.as_ref().map(|names| names.0.clone()).unwrap_or_default(),
            has: self.has.clone(),
            items,
            every: spec.every,
            observe: observe.into_iter().map(|(name, question)| (name.value.clone(), question)).collect(),
            lets: lets?,
            cases: cases?,
            healthy: match healthy {
                Some(compiled) => Some(compiled?),
                None => None,
            },
            rungs: rungs?,
            verify,
            attempts,
            texts,
        })
    }

    fn limit(&mut self, count: usize, what: &str, place: Place) {
        if count > MAX_PARTS {
            self.faults
                .add(place, format!("{count} entries in {what}; at most {MAX_PARTS} may be: split the playbook"));
        }
    }

    fn requirements(&mut self, spec: &PlaybookSpec) {
        if spec.applies.value.has.is_empty() && spec.applies.value.profile.is_none() {
            let message = "it applies to nothing: name what a profile must have (has), or the profile itself (profile)";
            self.faults.add(spec.applies.place, message);
        }
        for text in &spec.applies.value.has {
            match Requirement::parse(&text.value) {
                Some(requirement) => self.has.push(requirement),
                None => {
                    let hint = suggest::hint(&text.value, Requirement::KNOWN);
                    self.faults.add_with_hint(text.place, format!("a profile cannot have {:?}", text.value), hint);
                }
            }
        }
    }

    /// What is used must be required, so that a product without it is never judged half.
    fn needs(&mut self, place: Place, requirement: &Requirement) {
        if !self.has.contains(requirement) {
            self.faults.add(place, format!("this needs {requirement}: add it to applies.has"));
        }
    }

    fn items(&mut self, spec: &PlaybookSpec) -> Option<Items> {
        let items = match spec.each? {
            Each::Endpoint(_) => Items::Endpoints,
            Each::Role(_) => Items::Roles,
        };
        let needed = match items {
            Items::Endpoints => Requirement::Endpoints,
            Items::Roles => Requirement::Roles,
        };
        self.needs(spec.applies.place, &needed);
        if self.for_host {
            self.faults.add(spec.applies.place, "`each` and `scope: host` exclude each other");
        }
        self.items = Some(items);
        self.items
    }

    fn questions<'s>(&mut self, spec: &'s PlaybookSpec, items: Option<Items>) -> Vec<(&'s At<String>, Question)> {
        let mut questions = Vec::new();
        for (name, look) in &spec.observe.0 {
            self.is_name(name);
            if let Some(question) = self.question(look, items) {
                questions.push((name, question));
            }
        }
        questions
    }

    fn question(&mut self, look: &At<Named<ProbeName>>, items: Option<Items>) -> Option<Question> {
        let name = look.value.name;
        if self.for_host && !name.declaration().of_host {
            let known: Vec<&str> =
                ProbeName::ALL.iter().filter(|it| it.declaration().of_host).map(|it| it.as_str()).collect();
            self.faults.add(look.place, format!("a playbook for the host can ask {} only", known.join(", ")));
            return None;
        }
        self.needs_all(look.place, name.declaration().needs);
        let mut given = BTreeMap::new();
        for (parameter, written) in look.value.parameters() {
            given.insert(parameter.name, self.named(parameter, written, items)?);
        }
        Some(Question { name, given })
    }

    fn needs_all(&mut self, place: Place, needs: &[Need]) {
        for need in needs {
            let requirement = match need {
                Need::Health => Requirement::Health,
                Need::Endpoints => Requirement::Endpoints,
            };
            self.needs(place, &requirement);
        }
    }

    /// The value of a parameter that says what is asked: it is known before anything is seen, and what it names of the
    /// profile is required.
    fn named(&mut self, parameter: &Parameter, written: &At<Given<Value>>, items: Option<Items>) -> Option<Value> {
        let value = match &written.value {
            Given::Plain(value) => value.clone(),
            Given::Cel(text) => {
                self.faults.add(text.place, format!("{} cannot follow what is seen: write a value", parameter.name));
                return None;
            }
        };
        if let (Takes::Unit, Value::Text(name)) = (parameter.takes, &value)
            && let Some(fault) = unit::never(name)
        {
            self.faults.add(written.place, format!("{name:?} {fault}"));
            return None;
        }
        let requirement = match parameter.takes {
            Takes::Process => Requirement::Process(value.to_string()),
            Takes::Version => Requirement::Version(value.to_string()),
            Takes::Command => Requirement::Command(value.to_string()),
            Takes::Endpoint if items != Some(Items::Endpoints) => {
                self.faults.add(written.place, "there is no such item: add each: {endpoint: profile.endpoints}");
                return None;
            }
            Takes::Role if items != Some(Items::Roles) => {
                self.faults.add(written.place, "there is no such item: add each: {role: profile.process}");
                return None;
            }
            Takes::Endpoint | Takes::Role | Takes::Word(_) | Takes::Truth | Takes::Number | Takes::Unit => {
                return Some(value);
            }
        };
        self.needs(written.place, &requirement);
        Some(value)
    }

    fn is_name(&mut self, name: &At<String>) {
        let text = name.value.as_str();
        let is_word = text.len() <= 32
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        if !is_word {
            let rule = "a small letter, then small letters, digits and '_', at most 32";
            self.faults.add(name.place, format!("{text:?} is no name: {rule}"));
        } else if RESERVED.contains(&text) || self.items.is_some_and(|items| items.name() == text) {
            self.faults.add(name.place, format!("the name {text:?} has a meaning already: choose another"));
        }
    }

    fn lets<'s>(&mut self, spec: &'s PlaybookSpec, names: &mut Names<'s>) -> Option<Vec<(String, Expr)>> {
        let mut lets = Vec::new();
        for (name, cel) in &spec.lets.0 {
            self.is_name(name);
            if names.observations.contains_key(name.value.as_str()) {
                self.faults.add(name.place, format!("{:?} is an observation already: choose another name", name.value));
            }
            match self.faults.compile(&cel.cel, None, names) {
                Some(expression) => {
                    names.lets.push((name.value.as_str(), expression.kind()));
                    lets.push((name.value.clone(), expression));
                }
                // So that its name is not told as missing everywhere else.
                None => names.lets.push((name.value.as_str(), Kind::Int)),
            }
        }
        (lets.len() == spec.lets.0.len()).then_some(lets)
    }

    fn cases(&mut self, spec: &PlaybookSpec, names: &Names<'_>) -> Option<Vec<Case>> {
        let specs = &spec.detect.cases.value;
        if specs.is_empty() {
            self.faults.add(spec.detect.cases.place, "a playbook without a case sees nothing");
        }
        for (index, case) in specs.iter().enumerate() {
            self.is_id(&case.id);
            if specs.iter().take(index).any(|earlier| earlier.id.value == case.id.value) {
                self.faults.add(case.id.place, format!("the case {:?} stands here twice", case.id.value));
            }
        }
        let cases: Vec<Case> = specs.iter().filter_map(|case| self.case(spec, case, names)).collect();
        (cases.len() == specs.len()).then_some(cases)
    }

    fn case(&mut self, spec: &PlaybookSpec, case: &CaseSpec, names: &Names<'_>) -> Option<Case> {
        let when = self.faults.compile(&case.when, Some(Kind::Bool), names)?;
        Some(Case {
            id: case.id.value.clone(),
            level: match case.level {
                LevelWord::Fail => Level::Fail,
                LevelWord::Warn => Level::Warn,
                LevelWord::Skip => Level::Skip,
                LevelWord::Unknown => Level::Unknown,
            },
            held_for: case.held_for.unwrap_or(spec.detect.held_for),
            when,
        })
    }

    fn healthy(&mut self, text: &At<String>, lets: Option<&[(String, Expr)]>, names: &Names<'_>) -> Option<Expr> {
        let healthy = self.faults.compile(text, Some(Kind::Bool), names)?;
        if lets.is_some_and(|lets| !looks(&healthy, lets)) {
            self.blind(text, "what names no observation is healthy whatever is seen");
        }
        Some(healthy)
    }

    /// A case that says the same whatever is seen would select every product and every host.
    fn see_something(&mut self, spec: &PlaybookSpec, lets: Option<&[(String, Expr)]>, cases: Option<&[Case]>) {
        let (Some(lets), Some(cases)) = (lets, cases) else { return };
        for (written, case) in spec.detect.cases.value.iter().zip(cases) {
            if !looks(&case.when, lets) {
                let message = "a case that names no observation is the same whatever is seen: it selects everything";
                self.blind(&written.when, message);
            }
        }
    }

    fn blind(&mut self, text: &At<String>, message: &str) {
        let hint = "compare a field of something in observe".to_owned();
        self.faults.add_with_hint(text.place, message, Some(hint));
    }

    fn is_id(&mut self, id: &At<String>) {
        if let Err(bad) = PlaybookName::new(id.value.as_str()) {
            self.faults.add(id.place, bad.to_string().replace("playbook name", "name"));
        }
    }

    fn rungs(&mut self, spec: &PlaybookSpec, names: &Names<'_>) -> Option<Vec<Rung>> {
        for (index, rung) in spec.rungs.iter().enumerate() {
            self.is_id(&rung.value.id);
            if spec.rungs.iter().take(index).any(|earlier| earlier.value.id.value == rung.value.id.value) {
                self.faults.add(rung.value.id.place, format!("the rung {:?} stands here twice", rung.value.id.value));
            }
            if spec.verify.is_none() {
                let message = "a playbook that acts must prove the cure: add verify: {pass: ..., within: ...}";
                self.faults.add(rung.place, message);
            }
        }
        let rungs: Vec<Rung> = spec.rungs.iter().filter_map(|rung| self.rung(&rung.value, names)).collect();
        (rungs.len() == spec.rungs.len()).then_some(rungs)
    }

    fn rung(&mut self, rung: &RungSpec, names: &Names<'_>) -> Option<Rung> {
        let steps = &rung.steps.value;
        if steps.is_empty() {
            self.faults.add(rung.steps.place, "a rung without steps does nothing");
        }
        self.limit(steps.len(), "steps", rung.steps.place);
        let condition = rung.condition.as_ref().map(|text| self.faults.compile(text, Some(Kind::Bool), names));
        let compiled: Vec<Step> = steps.iter().filter_map(|step| self.step(step, rung.steps.place, names)).collect();
        let at = rung.at.as_ref().map(|window| self.window(window, names));
        if compiled.len() != steps.len() || condition == Some(None) || matches!(at, Some(None)) {
            return None;
        }
        let id = rung.id.value.clone();
        Some(Rung { id, condition: condition.flatten(), approval: rung.approval, at: at.flatten(), steps: compiled })
    }

    fn window(&mut self, window: &WindowSpec, names: &Names<'_>) -> Option<RungWindow> {
        let opens_in = self.faults.compile(&window.opens_in, Some(Kind::Int), names);
        let runs_out_in = window.runs_out_in.as_ref().map(|text| self.faults.compile(text, Some(Kind::Int), names));
        match (opens_in, runs_out_in) {
            (Some(opens_in), None) => Some(RungWindow { opens_in, runs_out_in: None }),
            (Some(opens_in), Some(Some(runs_out_in))) => Some(RungWindow { opens_in, runs_out_in: Some(runs_out_in) }),
            (None, _) | (_, Some(None)) => None,
        }
    }

    fn step(&mut self, step: &Named<ActionName>, place: Place, names: &Names<'_>) -> Option<Step> {
        self.needs_all(place, step.name.declaration().needs);
        let mut given = BTreeMap::new();
        for (parameter, written) in step.parameters() {
            let value = match &written.value {
                Given::Cel(text) => self.faults.compile(text, Some(parameter.takes.kind()), names)?,
                Given::Plain(_) => Expr::constant(self.named(parameter, written, None)?),
            };
            given.insert(parameter.name, value);
        }
        Some(Step { name: step.name, given })
    }

    fn verify(&mut self, spec: &PlaybookSpec, names: &Names<'_>) -> Option<Verify> {
        let written = spec.verify.as_ref()?;
        if written.within.as_ms() == 0 {
            self.faults.add(written.pass.place, "verify.within must be longer than nothing");
        }
        let names = Names { before: true, ..names.clone() };
        let pass = self.faults.compile(&written.pass, Some(Kind::Bool), &names)?;
        Some(Verify { pass, within: written.within, hold: written.hold })
    }

    fn attempts(&mut self, node: &Node, spec: &PlaybookSpec) -> Attempts {
        let budget = spec.budget;
        let backoff = budget.backoff;
        if !(1..=100).contains(&budget.attempts) {
            self.faults.add(node.place_of(&["spec", "budget", "attempts"]), "attempts must be 1 to 100");
        }
        if budget.per.as_ms() < 1000 {
            self.faults.add(node.place_of(&["spec", "budget", "per"]), "per must be a second at least");
        }
        if budget.per > LONGEST_PER {
            let place = node.place_of(&["spec", "budget", "per"]);
            let hint = "write 1d or less, or fewer attempts".to_owned();
            self.faults.add_with_hint(place, "per must be a day at most: older attempts are forgotten", Some(hint));
        }
        if backoff.from > backoff.to || backoff.from.as_ms() == 0 {
            self.faults
                .add(node.place_of(&["spec", "budget", "backoff"]), "backoff must begin above nothing and not shrink");
        }
        Attempts {
            max: budget.attempts,
            per_ms: budget.per.as_ms(),
            backoff_from_ms: backoff.from.as_ms(),
            backoff_to_ms: backoff.to.as_ms(),
        }
    }

    fn explains(&mut self, spec: &PlaybookSpec) -> Vec<Explains> {
        let mut all = Vec::new();
        for text in &spec.explains {
            let (name, case) = match text.value.split_once('/') {
                Some((name, case)) => (name, Some(case.to_owned())),
                None => (text.value.as_str(), None),
            };
            match PlaybookName::new(name) {
                Ok(playbook) => all.push(Explains { playbook, case }),
                Err(bad) => self.faults.add(text.place, bad.to_string()),
            }
        }
        all
    }
}

/// Whether the value depends on what is seen now, be it through `let`.
fn looks(expression: &Expr, lets: &[(String, Expr)]) -> bool {
    expression.references().into_iter().any(|reference| match reference {
        Reference::Fact { .. } => true,
        // A value of `let` knows only those before it, so that this ends.
        Reference::Let(name) => match lets.iter().position(|(own, _)| own == name) {
            Some(index) => looks(&lets[index].1, &lets[..index]),
            None => false,
        },
        Reference::Before { .. } | Reference::Profile(_) | Reference::Case | Reference::Item { .. } => false,
    })
}

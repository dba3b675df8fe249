//! The words for a finding: title, cause and guide of a case with this host's values. Renders no screen.
use std::collections::BTreeMap;

use wbd_model::lang::Lang;
use wbd_model::observation::{Fact, Observations};

use crate::expr::Scope;
use crate::playbook::Bound;

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// A claim that is true while the case holds.
    pub title: String,
    /// Why, with this host's values.
    pub cause: String,
    /// Steps for a person that this host has the programs for.
    pub guide: Vec<String>,
}

/// The words of a case; a value that is not known reads `?`. Empty for a case that the playbook has not.
#[must_use]
pub fn words(bound: &Bound, case: &str, seen: &Observations, lets: &BTreeMap<String, Fact>, lang: Lang) -> Words {
    let texts = &bound.content.texts;
    let text = texts.get(&lang).or_else(|| texts.get(&Lang::En)).and_then(|cases| cases.get(case));
    let Some(text) = text else { return Words::default() };
    let scope =
        Scope { seen, before: None, lets, case: Some(case), profile: &bound.facts.constants, item: &bound.item };
    let shown = text.guide.iter().filter(|step| !step.needs.iter().any(|need| bound.lacking.contains(need)));
    Words {
        title: text.title.render(&scope),
        cause: text.cause.render(&scope),
        guide: shown.map(|step| step.line.render(&scope)).collect(),
    }
}

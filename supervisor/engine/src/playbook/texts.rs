//! The words of a playbook, checked: each case has its words in each language, and each `{name}` a value.
use std::collections::BTreeMap;

use wbd_model::lang::Lang;
use wbd_model::suggest;

use super::compiled::{CaseText, GuideStep};
use super::document::{CaseTexts, LevelWord, PlaybookSpec};
use super::faults::Faults;
use super::guide::{self, GuideLine};
use super::template::Template;
use crate::expr::Names;
use crate::yaml::{At, Ordered, Place};

/// Compiles all languages; problems are collected.
/// The words of each case, by language.
pub(crate) type Texts<T> = BTreeMap<Lang, BTreeMap<String, T>>;

pub(super) fn compile(faults: &mut Faults<'_>, spec: &PlaybookSpec, names: &Names<'_>) -> Texts<CaseText> {
    let mut texts = BTreeMap::new();
    let place = spec.text.place;
    texts.insert(Lang::En, language(faults, spec, names, &spec.text.value.en, place));
    if let Some(japanese) = &spec.text.value.ja {
        texts.insert(Lang::Ja, language(faults, spec, names, japanese, place));
    }
    texts
}

fn language(
    faults: &mut Faults<'_>,
    spec: &PlaybookSpec,
    names: &Names<'_>,
    written: &Ordered<CaseTexts>,
    place: Place,
) -> BTreeMap<String, CaseText> {
    let cases = &spec.detect.cases.value;
    let mut compiled = BTreeMap::new();
    for (id, words) in &written.0 {
        let Some(case) = cases.iter().find(|case| case.id.value == id.value) else {
            let hint = suggest::hint(&id.value, cases.iter().map(|case| case.id.value.as_str()));
            faults.add_with_hint(id.place, format!("there is no case {:?}", id.value), hint);
            continue;
        };
        if case.level == LevelWord::Fail && words.guide.is_empty() {
            faults.add(id.place, format!("the case {:?} has no guide: a person may have to take over", id.value));
        }
        let title = template(faults, &words.title, names);
        let cause = template(faults, &words.cause, names);
        let guide: Vec<Option<GuideStep>> = words.guide.iter().map(|line| step(faults, line, names)).collect();
        let guide: Option<Vec<GuideStep>> = guide.into_iter().collect();
        if let (Some(title), Some(cause), Some(guide)) = (title, cause, guide) {
            compiled.insert(id.value.clone(), CaseText { title, cause, guide });
        }
    }
    for case in cases {
        if !written.0.iter().any(|(id, _)| id.value == case.id.value) {
            // The text's own place is where the words have to be written.
            faults.add(place, format!("there are no words for the case {:?}", case.id.value));
        }
    }
    compiled
}

fn step(faults: &mut Faults<'_>, written: &At<GuideLine>, names: &Names<'_>) -> Option<GuideStep> {
    let (line, needs) = match &written.value {
        GuideLine::Always(text) => (At { place: written.place, value: text.clone() }, &[][..]),
        GuideLine::Where(needing) => (needing.line.clone(), needing.needs.0.as_slice()),
    };
    for program in needs {
        if let Some(fault) = guide::name_fault(&program.value) {
            faults.add(program.place, format!("{:?} {fault}", program.value));
        }
    }
    let needs = needs.iter().map(|program| program.value.clone()).collect();
    Some(GuideStep { line: template(faults, &line, names)?, needs })
}

fn template(faults: &mut Faults<'_>, text: &At<String>, names: &Names<'_>) -> Option<Template> {
    match Template::compile(&text.value, names) {
        Ok(template) => Some(template),
        Err(found) => {
            for fault in found {
                faults.add_inside(text, fault);
            }
            None
        }
    }
}

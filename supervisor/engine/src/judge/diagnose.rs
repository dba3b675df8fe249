//! Which failures are consequences of which: cause before consequence. Judges nothing anew.
use std::collections::BTreeMap;

use wbd_model::check::{CheckKey, Verdict};

use super::verdict::Judgement;
use crate::playbook::Bound;

/// Pairs of (consequence, cause). Each consequence stands once, with the cause that is no consequence
/// itself. Only a failing check is a cause; a failing check is a consequence, and so is a warning whose
/// very case is named in `explains`. A product's failure explains only checks of the same product.
#[must_use]
pub fn diagnose(checks: &[(&Bound, &Judgement)]) -> Vec<(CheckKey, CheckKey)> {
    let mut direct: BTreeMap<&CheckKey, &CheckKey> = BTreeMap::new();
    for (effect, effect_says) in checks {
        let cause = checks.iter().find(|(cause, cause_says)| {
            cause_says.verdict == Verdict::Fail && cause.key != effect.key && explains(cause, effect, effect_says)
        });
        if let Some((cause, _)) = cause {
            direct.insert(&effect.key, &cause.key);
        }
    }
    let root = |key: &CheckKey| {
        let mut cause = direct.get(key).copied()?;
        // Loading refuses cycles; the count ends this even if one slipped through.
        for _ in 0..direct.len() {
            match direct.get(cause) {
                Some(deeper) => cause = deeper,
                None => break,
            }
        }
        (cause != key).then(|| cause.clone())
    };
    direct.keys().filter_map(|key| Some(((*key).clone(), root(key)?))).collect()
}

fn explains(cause: &Bound, effect: &Bound, effect_says: &Judgement) -> bool {
    if cause.profile.is_some() && cause.profile != effect.profile {
        return false;
    }
    cause.explains.iter().filter(|explains| explains.playbook == effect.playbook).any(|explains| {
        let is_case = explains.case.is_some() && explains.case == effect_says.case;
        match effect_says.verdict {
            Verdict::Fail => explains.case.is_none() || is_case,
            Verdict::Warn => is_case,
            Verdict::Pass | Verdict::Skip | Verdict::Unknown => false,
        }
    })
}

//! "Did you mean": the nearest of the names that would have been right. Knows nothing of where the names stand.

/// Beyond this many edits, two names have nothing to do with each other.
const FAR: usize = 3;

/// The candidate nearest to `wrong`, if one is near enough to have been meant and no other one is as near: of `A0` to `A4`
/// none is meant by `A9`.
#[must_use]
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = wrong.chars().count();
    let allowed = FAR.min(length.div_ceil(3));
    let near: Vec<(usize, &str)> = candidates
        .into_iter()
        // Each edit adds or takes one character at most: a text of any length costs no more than its own counting.
        .filter(|candidate| candidate.chars().count().abs_diff(length) <= allowed)
        // Two neighbours that changed places are one slip, not two.
        .map(|candidate| (strsim::osa_distance(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .collect();
    let (least, first) = *near.iter().min()?;
    let is_alone = near.iter().all(|(distance, candidate)| *distance > least || *candidate == first);
    is_alone.then_some(first)
}

/// A hint for a message: the nearest candidate, or all of them if they are few.
#[must_use]
pub fn hint<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(near) = nearest(wrong, candidates.clone()) {
        return Some(format!("did you mean {near:?}?"));
    }
    let mut all: Vec<&str> = candidates.into_iter().collect();
    all.sort_unstable();
    all.dedup();
    match all.len() {
        0 => None,
        1..=24 => Some(format!("known here: {}", all.join(", "))),
        _ => Some(format!("known here: {}, ...", all[..24].join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let names = ["observe", "verify", "rungs"];
        assert_eq!(nearest("obsreve", names), Some("observe"));
        assert_eq!(nearest("verfy", names), Some("verify"));
        assert_eq!(nearest("budget", names), None);
        assert_eq!(nearest("x", ["y"]), Some("y"));
        assert_eq!(nearest("A9", ["A0", "A1", "A2"]), None, "each is as near");
        assert_eq!(nearest("verfy", ["verify", "verify"]), Some("verify"));
        assert_eq!(nearest("", ["y"]), None);
        assert_eq!(nearest("WBD-54O4", ["WBD-5401", "WBD-5404"]), Some("WBD-5404"));
        assert_eq!(
            nearest("監視フォルダ", ["監視フォルダー", "停止"]),
            Some("監視フォルダー"),
            "characters, not bytes"
        );
        assert_eq!(nearest(&"observe".repeat(100_000), names), None);
    }

    #[test]
    fn a_hint_lists_what_there_is_when_nothing_is_near() {
        assert_eq!(hint("budget", ["verify", "rungs"]).unwrap(), "known here: rungs, verify");
        assert_eq!(hint("budget", []), None);
    }
}

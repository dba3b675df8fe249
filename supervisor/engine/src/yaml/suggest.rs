//! "Did you mean": the nearest of the names that would have been right. Knows nothing of YAML or CEL.

/// Beyond this many edits, two names have nothing to do with each other.
const FAR: usize = 3;

/// The candidate nearest to `wrong`, if any is near enough to have been meant.
pub(crate) fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = FAR.min(wrong.chars().count().div_ceil(3));
    candidates
        .into_iter()
        .map(|candidate| (distance(wrong, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// A hint for a message: the nearest candidate, or all of them if they are few.
pub(crate) fn hint<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> Option<String> {
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

/// Edits from one text to the other: insert, delete, replace or swap two neighbours.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, to) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(from != to);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *from == right[column - 1] && left[row - 1] == *to {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().unwrap_or(0)
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
    }

    #[test]
    fn a_hint_lists_what_there_is_when_nothing_is_near() {
        assert_eq!(hint("budget", ["verify", "rungs"]).unwrap(), "known here: rungs, verify");
        assert_eq!(hint("budget", []), None);
    }
}

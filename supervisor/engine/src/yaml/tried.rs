//! Hints are tried before they are offered: advice that is refused in its turn helps nobody. Finds no problem itself.
use wbd_model::problem::{Problem, Source};

/// The hint for a number or a truth where text is wanted.
pub(super) const QUOTES: &str = "put it in quotes to make it text";
/// The hint for a word where a truth is wanted.
pub(super) const TRUTH: &str = "write true or false";

/// The problems, each with its hint only where following it mends the place. `read` finds the problems of a text.
pub(crate) fn tried(source: &Source, problems: Vec<Problem>, read: &dyn Fn(&Source) -> Vec<Problem>) -> Vec<Problem> {
    let known: Vec<(u64, u64, String)> = problems.iter().map(|it| (it.line, it.column, it.message.clone())).collect();
    let settle = |problem: Problem| {
        let Some(changed) = followed(source, &problem) else { return problem };
        let is_new = |other: &Problem| {
            (other.line, other.column) == (problem.line, problem.column)
                && !known.iter().any(|(line, column, text)| {
                    (*line, *column) == (other.line, other.column) && *text == other.message && *text != problem.message
                })
        };
        match read(&changed).into_iter().find(is_new) {
            None => problem,
            // What would be said next is said at once: the word's rule, and not that it is no text.
            Some(next) if problem.hint.as_deref() == Some(QUOTES) => {
                Problem { message: next.message, hint: None, ..problem }
            }
            Some(_) => Problem { hint: None, ..problem },
        }
    };
    problems.into_iter().map(settle).collect()
}

/// The file with the hint followed; `None` where the hint is no single word to write, or stands inside a text.
pub(crate) fn followed(source: &Source, problem: &Problem) -> Option<Source> {
    let hint = problem.hint.as_deref()?;
    let (from, to) = token(source, problem)?;
    let written = source.text.get(from..to)?;
    let new = match hint {
        QUOTES => format!("\"{written}\""),
        TRUTH => "true".to_owned(),
        _ => {
            let meant = hint.strip_prefix("did you mean \"")?.strip_suffix("\"?")?;
            // Within an expression the place is a part of a text, and what stands there is not the wrong word alone.
            let is_it = problem.message.contains(&format!("{:?}", unquoted(written)));
            let quote = written.chars().next().filter(|first| ['"', '\''].contains(first));
            let quote = quote.map(String::from).unwrap_or_default();
            is_it.then(|| format!("{quote}{meant}{quote}"))?
        }
    };
    let text = format!("{}{new}{}", source.text.get(..from)?, source.text.get(to..)?);
    Some(Source { path: source.path.clone(), text })
}

/// Where the word at the place of a problem begins and ends, in bytes.
pub(crate) fn token(source: &Source, problem: &Problem) -> Option<(usize, usize)> {
    let index = |number: u64| number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    let (line, column) = (index(problem.line)?, index(problem.column)?);
    let start: usize = source.text.split_inclusive('\n').take(line).map(str::len).sum();
    let rest = source.text.get(start..)?;
    let from = start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
    let rest = source.text.get(from..)?;
    let length = match rest.chars().next()? {
        quote @ ('"' | '\'') => rest.get(1..)?.find(quote)? + 2,
        _ => rest.find(|c: char| !is_of_a_word(c)).unwrap_or(rest.len()),
    };
    (length > 0).then_some((from, from + length))
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || "_.-/+".contains(c)
}

fn unquoted(written: &str) -> &str {
    written.trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(column: u64, message: &str, hint: &str) -> Problem {
        Problem {
            file: "f".into(),
            line: 2,
            column,
            message: message.into(),
            text: String::new(),
            hint: Some(hint.into()),
        }
    }

    fn source(text: &str) -> Source {
        Source { path: "f".into(), text: text.into() }
    }

    #[test]
    fn a_hint_is_followed_at_its_place_and_nowhere_else() {
        let file = source("a: fial\nb: {c: fial, d: 'fial'}\n");
        let changed = |column| followed(&file, &problem(column, "unknown word \"fial\"", "did you mean \"fail\"?"));
        assert_eq!(changed(8).unwrap().text, "a: fial\nb: {c: fail, d: 'fial'}\n");
        assert_eq!(changed(17).unwrap().text, "a: fial\nb: {c: fial, d: 'fail'}\n");
        assert_eq!(changed(5), None, "another word stands there");
        let quoted = followed(&source("\nb: 10\n"), &problem(4, "wrong type", QUOTES)).unwrap();
        assert_eq!(quoted.text, "\nb: \"10\"\n");
    }

    #[test]
    fn a_hint_that_is_refused_is_not_offered_and_one_that_is_taken_is() {
        let file = source("\nb: 10\n");
        let told = |next: Option<&str>| {
            let read = |_: &Source| next.map(|message| problem(4, message, "x")).into_iter().collect();
            tried(&file, vec![problem(4, "found a number, wanted text", QUOTES)], &read).remove(0)
        };
        assert_eq!(told(None).hint.as_deref(), Some(QUOTES));
        let refused = told(Some("\"10\" is not a time: write 10s"));
        assert_eq!((refused.message.as_str(), refused.hint), ("\"10\" is not a time: write 10s", None));
    }
}

//! What is wrong with a file that a person wrote: the place, the line itself, the remedy.
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::{Shown, columns};

/// A file as it was read: its text, and how messages name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its path, for messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// One problem of one file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: u64,
    /// Column in characters, from 1; 0 where the whole line is meant.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// The line itself, empty if there is none.
    pub text: String,
    /// "did you mean ...", or another remedy.
    pub hint: Option<String>,
}

impl Problem {
    /// Place, message and remedy, on one line.
    #[must_use]
    pub fn brief(&self) -> String {
        let numbers = [self.line, self.column].into_iter().take_while(|number| *number > 0);
        let place: String = numbers.map(|number| format!(":{number}")).collect();
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})"));
        format!("{}{place}: {}{}", Shown::of(&self.file), Shown::of(&self.message), Shown::of(&hint))
    }
}

/// [`Problem::brief`], and below it the line itself with a mark. A file's name and text add no line of their own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.brief())?;
        if self.text.is_empty() {
            return Ok(());
        }
        write!(f, "\n    {}", Shown::of(&self.text))?;
        if self.column > 0 {
            let before = usize::try_from(self.column - 1).unwrap_or(0);
            let text: String = self.text.chars().take(before).collect();
            let pad = columns(Shown::of(&text).as_str()) + before.saturating_sub(text.chars().count());
            write!(f, "\n    {:pad$}^", "")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_below_the_place_in_a_line_of_wide_characters_too() {
        let marked = |text: &str, column| {
            let problem = Problem {
                file: "a.yaml".into(),
                line: 4,
                column,
                message: "unknown key".into(),
                text: text.into(),
                hint: None,
            };
            problem.to_string().lines().nth(2).unwrap().to_owned()
        };
        assert_eq!(marked("run: x", 6), "         ^");
        assert_eq!(marked("再起動: x", 6), "            ^", "three characters of two columns");
        assert_eq!(marked("a\tb", 3), "       ^", "a tab is shown as two characters");
        assert_eq!(marked("ab", 5), "        ^", "behind the end");
    }
}

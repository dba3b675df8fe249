//! What is wrong with a file that a person wrote: the place, the line itself, the remedy.
use std::fmt;

use serde::{Deserialize, Serialize};

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

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        if self.column > 0 {
            write!(f, ":{}", self.column)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        if !self.text.is_empty() {
            write!(f, "\n    {}", self.text)?;
            if self.column > 0 {
                let pad = usize::try_from(self.column - 1).unwrap_or(0);
                write!(f, "\n    {:pad$}^", "")?;
            }
        }
        Ok(())
    }
}

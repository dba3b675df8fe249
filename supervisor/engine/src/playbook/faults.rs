//! Where a problem inside a scalar lies in the file, and the list of what was found. Decides nothing.
use wbd_model::observation::Kind;
use wbd_model::problem::{Problem, Source};

use crate::expr::{Expr, Fault, Names};
use crate::yaml::{At, Place};

/// Collects the problems of one file.
#[derive(Debug)]
pub(crate) struct Faults<'a> {
    source: &'a Source,
    pub(crate) found: Vec<Problem>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self { source, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, place: Place, message: impl Into<String>) {
        self.add_with_hint(place, message, None);
    }

    pub(crate) fn add_with_hint(&mut self, place: Place, message: impl Into<String>, hint: Option<String>) {
        self.found.push(place.problem(self.source, message, hint));
    }

    /// A problem inside a text.
    pub(crate) fn add_inside(&mut self, text: &At<String>, fault: Fault) {
        let place = inside(self.source, text, fault.offset);
        self.add_with_hint(place, fault.message, fault.hint);
    }

    /// Compiles an expression; a problem is collected and gives `None`.
    pub(crate) fn compile(&mut self, text: &At<String>, wanted: Option<Kind>, names: &Names<'_>) -> Option<Expr> {
        match Expr::compile(&text.value, wanted, names) {
            Ok(expression) => Some(expression),
            Err(fault) => {
                self.add_inside(text, fault);
                None
            }
        }
    }
}

/// The place of a text's character in the file: exact where the text stands on one line as it is, the
/// text's beginning where quoting or folding changed it.
fn inside(source: &Source, text: &At<String>, offset: usize) -> Place {
    let place = text.place;
    let index = |number: u64| number.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    let (Some(line), Some(column)) = (index(place.line), index(place.column)) else { return place };
    let written: Vec<char> = source.text.lines().nth(line).unwrap_or_default().chars().skip(column).collect();
    let quotes = usize::from(matches!(written.first(), Some('"' | '\'')));
    let before: Vec<char> = text.value.chars().take(offset).collect();
    if written.get(quotes..quotes + before.len()) != Some(before.as_slice()) {
        return place;
    }
    Place { line: place.line, column: place.column + u64::try_from(quotes + offset).unwrap_or(0) }
}

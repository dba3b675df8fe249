//! Words for people with `{name}` in them. Not a template language: a name, nothing else; `{{` and `}}` are braces.
use wbd_model::observation::Fact;

use crate::expr::{Fault, Names, Reference, Scope};

/// Longest text, in characters.
const MAX_CHARS: usize = 1000;

/// A text whose names are known to be right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Plain(String),
    Name(Reference),
}

impl Template {
    /// Reads a text; every problem of it.
    pub(crate) fn compile(text: &str, names: &Names<'_>) -> Result<Self, Vec<Fault>> {
        let fault = |offset, message: String, hint| Fault { offset, message, hint };
        let mut faults = Vec::new();
        if text.chars().count() > MAX_CHARS {
            faults.push(fault(0, format!("the text has more than {MAX_CHARS} characters"), None));
        }
        // A block of YAML ends with a line feed that nobody means.
        let chars: Vec<char> = text.trim_end().chars().collect();
        let (mut parts, mut plain, mut index) = (Vec::new(), String::new(), 0);
        while let Some(c) = chars.get(index).copied() {
            let doubled = chars.get(index + 1) == Some(&c);
            match c {
                '{' | '}' if doubled => {
                    plain.push(c);
                    index += 2;
                }
                '{' => {
                    let end = chars[index..].iter().position(|c| *c == '}').map(|length| index + length);
                    let Some(end) = end else {
                        faults.push(fault(index, "a '{' is not closed; write '{{' for a brace".to_owned(), None));
                        break;
                    };
                    let name: String = chars[index + 1..end].iter().collect();
                    let path: Vec<&str> = name.split('.').collect();
                    match names.resolve(&path) {
                        Ok((reference, _)) => {
                            parts.push(Part::Plain(std::mem::take(&mut plain)));
                            parts.push(Part::Name(reference));
                        }
                        Err((message, hint)) => faults.push(fault(index + 1, message, hint)),
                    }
                    index = end + 1;
                }
                '}' => {
                    faults.push(fault(index, "a '}' without its '{'; write '}}' for a brace".to_owned(), None));
                    index += 1;
                }
                c => {
                    plain.push(c);
                    index += 1;
                }
            }
        }
        parts.push(Part::Plain(plain));
        parts.retain(|part| *part != Part::Plain(String::new()));
        if faults.is_empty() { Ok(Self(parts)) } else { Err(faults) }
    }

    /// The text with its values; `?` for what is not known.
    pub(crate) fn render(&self, scope: &Scope<'_>) -> String {
        let words = self.0.iter().map(|part| match part {
            Part::Plain(text) => text.clone(),
            Part::Name(reference) => match scope.value(reference) {
                Fact::Known(value) => value.to_string(),
                Fact::Unknown(_) => "?".to_owned(),
            },
        });
        words.collect()
    }
}

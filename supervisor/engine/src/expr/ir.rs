//! An expression as it is evaluated: a small typed tree, and what may be wrong with its text.
use wbd_model::observation::{Kind, Value};

use super::names::Reference;

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where in the text, in characters from 0.
    pub(crate) offset: usize,
    /// What is wrong.
    pub(crate) message: String,
    /// The remedy.
    pub(crate) hint: Option<String>,
}

/// The expression itself; each node's type was checked when it was built.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ir {
    Const(Value),
    Ref(Reference),
    Has(Reference),
    Not(Box<Ir>),
    Negate(Box<Ir>),
    And(Box<Ir>, Box<Ir>),
    Or(Box<Ir>, Box<Ir>),
    If(Box<(Ir, Ir, Ir)>),
    Compare(Comparison, Box<Ir>, Box<Ir>),
    Calculate(Calculation, Box<Ir>, Box<Ir>),
    Join(Box<Ir>, Box<Ir>),
    In(Box<Ir>, Vec<Ir>),
    Extreme(Extreme, Vec<Ir>),
    Look(TextTest, Box<Ir>, Box<Ir>),
    Size(Box<Ir>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Least,
    Greatest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

/// A type with its article.
pub(crate) const fn a(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "a bool",
        Kind::Int => "an int",
        Kind::Text => "a text",
    }
}

/// A value that an expression may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome<'a> {
    /// This text.
    Text(&'a str),
    /// What this refers to.
    Of(&'a Reference),
    /// What it makes of others.
    Made,
}

impl Ir {
    /// Adds each value that it may give.
    pub(super) fn outcomes<'a>(&'a self, found: &mut Vec<Outcome<'a>>) {
        match self {
            Self::Const(Value::Text(text)) => found.push(Outcome::Text(text)),
            Self::Ref(reference) => found.push(Outcome::Of(reference)),
            Self::If(parts) => {
                parts.1.outcomes(found);
                parts.2.outcomes(found);
            }
            Self::Const(Value::Bool(_) | Value::Int(_))
            | Self::Has(_)
            | Self::Not(_)
            | Self::Negate(_)
            | Self::And(..)
            | Self::Or(..)
            | Self::Compare(..)
            | Self::Calculate(..)
            | Self::Join(..)
            | Self::In(..)
            | Self::Extreme(..)
            | Self::Look(..)
            | Self::Size(_) => found.push(Outcome::Made),
        }
    }

    /// Adds what it refers to, each once.
    pub(super) fn collect<'a>(&'a self, found: &mut Vec<&'a Reference>) {
        match self {
            Self::Const(_) => {}
            Self::Ref(reference) | Self::Has(reference) => {
                if !found.contains(&reference) {
                    found.push(reference);
                }
            }
            Self::Not(inner) | Self::Negate(inner) | Self::Size(inner) => inner.collect(found),
            Self::And(left, right)
            | Self::Or(left, right)
            | Self::Compare(_, left, right)
            | Self::Calculate(_, left, right)
            | Self::Join(left, right)
            | Self::Look(_, left, right) => {
                left.collect(found);
                right.collect(found);
            }
            Self::If(parts) => {
                parts.0.collect(found);
                parts.1.collect(found);
                parts.2.collect(found);
            }
            Self::In(needle, list) => {
                needle.collect(found);
                list.iter().for_each(|element| element.collect(found));
            }
            Self::Extreme(_, list) => list.iter().for_each(|element| element.collect(found)),
        }
    }
}

//! Conditions and values of playbooks: CEL text in, a small typed expression out. Looks at nothing by itself.
//!
//! Decision (2026-11-22): the parser is the `cel` crate's, the evaluation is ours. The crate's own
//! evaluator knows no third truth value, while here an unknown operand must neither be false nor an
//! error; it finds a wrong name or type only while it runs, while here both must be told at load, with
//! their place; and its comprehensions have no cost limit. Our expressions have no loops, so that their
//! cost is their length, and they drop the parser's tree, which is many times larger. Alternatives: `rhai`
//! (a whole language to be fenced in) and conditions as YAML maps (typed, but unreadable beyond one
//! comparison). A `cel` with partial evaluation and a type checker would reverse this.
mod build;
mod eval;
mod limits;
mod names;

use wbd_model::observation::{Fact, Kind, Value};

pub(crate) use eval::Scope;
pub(crate) use limits::STACK_BYTES;
pub(crate) use names::{Items, Names, RESERVED, Reference};

/// An expression whose names and types are known to be right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    ir: Ir,
    kind: Kind,
}

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
enum Ir {
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
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extreme {
    Least,
    Greatest,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

impl Expr {
    /// The expression that `text` is, of type `wanted` (any type where `None`), over `names`.
    ///
    /// To be called with [`STACK_BYTES`] of stack: the parser recurses.
    pub(crate) fn compile(text: &str, wanted: Option<Kind>, names: &Names<'_>) -> Result<Self, Fault> {
        limits::check(text)?;
        let (ir, kind) = build::build(text, names)?;
        match wanted {
            Some(wanted) if wanted != kind => Err(Fault {
                offset: 0,
                message: format!("{} is wanted here, and this is {}", a(wanted), a(kind)),
                hint: None,
            }),
            Some(_) | None => Ok(Self { ir, kind }),
        }
    }

    /// A constant.
    pub(crate) fn constant(value: Value) -> Self {
        Self { kind: value.kind(), ir: Ir::Const(value) }
    }

    /// The type of its value.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Its value over what was seen; unknown with the reason where that does not decide it.
    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Fact {
        eval::evaluate(&self.ir, scope)
    }

    /// Everything that it refers to, in the order of the text, each once.
    pub(crate) fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.ir.collect(&mut found);
        found
    }
}

/// A type with its article.
pub(crate) const fn a(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "a bool",
        Kind::Int => "an int",
        Kind::Text => "a text",
    }
}

impl Ir {
    fn collect<'a>(&'a self, found: &mut Vec<&'a Reference>) {
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

#[cfg(test)]
mod tests;

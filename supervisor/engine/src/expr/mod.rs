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
mod hang;
mod ir;
mod limits;
mod names;

use wbd_model::observation::{Fact, Kind, Value};

use ir::Ir;

pub(crate) use eval::Scope;
pub(crate) use hang::Compared;
pub(crate) use ir::{Fault, Outcome, a};
pub(crate) use limits::STACK_BYTES;
pub(crate) use names::{Items, Names, RESERVED, Reference};

/// An expression whose names and types are known to be right.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Expr {
    ir: Ir,
    kind: Kind,
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

    /// Each value that it may give.
    pub(crate) fn outcomes(&self) -> Vec<Outcome<'_>> {
        let mut found = Vec::new();
        self.ir.outcomes(&mut found);
        found
    }

    /// Everything that it refers to, in the order of the text, each once.
    pub(crate) fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.ir.collect(&mut found);
        found
    }

    /// The first name that has to be known before its value is, as `find` gives the open name behind a reference.
    pub(crate) fn open<'a, F>(&'a self, scope: &Scope<'_>, find: &F) -> Option<&'a Reference>
    where
        F: Fn(&'a Reference) -> Option<&'a Reference>,
    {
        hang::open(&self.ir, scope, find)
    }

    /// The names that make it false, each once.
    pub(crate) fn blamed(&self, scope: &Scope<'_>) -> Vec<&Reference> {
        let mut found = Vec::new();
        hang::blamed(&self.ir, scope, &mut found);
        found
    }

    /// What each name is compared with.
    pub(crate) fn compared(&self) -> Vec<(&Reference, Compared<'_>)> {
        let mut found = Vec::new();
        hang::compared(&self.ir, &mut found);
        found
    }
}

#[cfg(test)]
mod tests;

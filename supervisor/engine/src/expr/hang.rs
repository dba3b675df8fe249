//! What the value of an expression hangs on: the name that is still open, the names behind a no, and what each name is
//! compared with. Values come from `eval`.
use wbd_model::observation::Value;

use super::eval::{Scope, truth};
use super::ir::Ir;
use super::names::Reference;

/// What a name is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Compared<'a> {
    /// With this constant.
    With(&'a Value),
    /// With other names, or it is calculated with.
    Mixed,
    /// Whether it is known is asked.
    Known,
}

/// The first name that has to be known before the value is; `find` gives the open name behind a reference, if there is
/// one.
pub(super) fn open<'a, F>(ir: &'a Ir, scope: &Scope<'_>, find: &F) -> Option<&'a Reference>
where
    F: Fn(&'a Reference) -> Option<&'a Reference>,
{
    match ir {
        Ir::Const(_) => None,
        Ir::Ref(reference) | Ir::Has(reference) => find(reference),
        Ir::Not(inner) | Ir::Negate(inner) | Ir::Size(inner) => open(inner, scope, find),
        Ir::And(left, right) => open_of_two(left, right, scope, find, false),
        Ir::Or(left, right) => open_of_two(left, right, scope, find, true),
        Ir::If(parts) => {
            let (condition, yes, no) = &**parts;
            open(condition, scope, find).or_else(|| match truth(condition, scope) {
                Ok(true) => open(yes, scope, find),
                Ok(false) => open(no, scope, find),
                Err(_) => None,
            })
        }
        Ir::Compare(_, left, right)
        | Ir::Calculate(_, left, right)
        | Ir::Join(left, right)
        | Ir::Look(_, left, right) => open(left, scope, find).or_else(|| open(right, scope, find)),
        Ir::In(needle, list) => {
            open(needle, scope, find).or_else(|| list.iter().find_map(|element| open(element, scope, find)))
        }
        Ir::Extreme(_, list) => list.iter().find_map(|element| open(element, scope, find)),
    }
}

/// Of `&&` and `||`: nothing is open where one side decides by itself.
fn open_of_two<'a, F>(left: &'a Ir, right: &'a Ir, scope: &Scope<'_>, find: &F, decisive: bool) -> Option<&'a Reference>
where
    F: Fn(&'a Reference) -> Option<&'a Reference>,
{
    let (of_left, of_right) = (open(left, scope, find), open(right, scope, find));
    let decides = |side: &Ir, open: Option<&Reference>| open.is_none() && truth(side, scope) == Ok(decisive);
    if decides(left, of_left) || decides(right, of_right) {
        return None;
    }
    of_left.or(of_right)
}

/// Adds the names that make it false, each once: of what is joined by `&&` only the parts that do not hold.
pub(super) fn blamed<'a>(ir: &'a Ir, scope: &Scope<'_>, found: &mut Vec<&'a Reference>) {
    match ir {
        Ir::And(left, right) | Ir::Or(left, right) => {
            for side in [left, right] {
                if truth(side, scope) == Ok(false) {
                    blamed(side, scope, found);
                }
            }
        }
        Ir::Const(_)
        | Ir::Ref(_)
        | Ir::Has(_)
        | Ir::Not(_)
        | Ir::Negate(_)
        | Ir::If(_)
        | Ir::Compare(..)
        | Ir::Calculate(..)
        | Ir::Join(..)
        | Ir::In(..)
        | Ir::Extreme(..)
        | Ir::Look(..)
        | Ir::Size(_) => ir.collect(found),
    }
}

/// Adds what each name is compared with.
pub(super) fn compared<'a>(ir: &'a Ir, found: &mut Vec<(&'a Reference, Compared<'a>)>) {
    match ir {
        Ir::Const(_) | Ir::Ref(_) => {}
        Ir::Has(reference) => found.push((reference, Compared::Known)),
        Ir::Not(inner) => compared(inner, found),
        Ir::And(left, right) | Ir::Or(left, right) => {
            compared(left, found);
            compared(right, found);
        }
        Ir::If(parts) => {
            compared(&parts.0, found);
            compared(&parts.1, found);
            compared(&parts.2, found);
        }
        Ir::Compare(_, left, right) | Ir::Look(_, left, right) => pair(left, right, found),
        Ir::In(needle, list) => list.iter().for_each(|element| pair(needle, element, found)),
        Ir::Negate(inner) | Ir::Size(inner) => mixed(inner, found),
        Ir::Calculate(_, left, right) | Ir::Join(left, right) => {
            mixed(left, found);
            mixed(right, found);
        }
        Ir::Extreme(_, list) => list.iter().for_each(|element| mixed(element, found)),
    }
}

fn pair<'a>(left: &'a Ir, right: &'a Ir, found: &mut Vec<(&'a Reference, Compared<'a>)>) {
    match (left, right) {
        (Ir::Ref(reference), Ir::Const(value)) | (Ir::Const(value), Ir::Ref(reference)) => {
            found.push((reference, Compared::With(value)));
        }
        _ => {
            mixed(left, found);
            mixed(right, found);
        }
    }
}

fn mixed<'a>(ir: &'a Ir, found: &mut Vec<(&'a Reference, Compared<'a>)>) {
    let mut references = Vec::new();
    ir.collect(&mut references);
    found.extend(references.into_iter().map(|reference| (reference, Compared::Mixed)));
    compared(ir, found);
}

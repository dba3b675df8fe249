//! Which problems of a document may follow from others of it: those in the same part. Finds none.
use wbd_model::problem::Problem;

use crate::yaml::{Node, Place};

/// A key, and one below it where there is one.
type Region = (usize, Option<usize>);

/// Those of `found` that stand in no part of this map where one of `broken` stands.
pub(super) fn apart(map: &Node, found: Vec<Problem>, broken: &[Problem]) -> Vec<Problem> {
    let regions: Vec<Region> = broken.iter().filter_map(|problem| region(map, problem)).collect();
    let follows = |problem: &Problem| {
        region(map, problem).is_some_and(|(key, below)| {
            regions
                .iter()
                .any(|(other, others)| *other == key && (below.is_none() || others.is_none() || *others == below))
        })
    };
    found.into_iter().filter(|problem| !follows(problem)).collect()
}

fn region(map: &Node, problem: &Problem) -> Option<Region> {
    let place = Place { line: problem.line, column: problem.column };
    let key = entry(map, place)?;
    Some((key, map.entries().get(key).and_then(|(_, value)| entry(value, place))))
}

/// The last entry of a map that begins at or before this place.
fn entry(node: &Node, place: Place) -> Option<usize> {
    node.entries().iter().rposition(|(key, _)| key.place <= place)
}

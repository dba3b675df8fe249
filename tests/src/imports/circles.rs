//! Circles among imports: files each of which leads to every other one of them. Reads nothing.
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::tree::Import;

/// Files that import each other, directly or through others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circle {
    /// All of them.
    pub files: BTreeSet<String>,
    /// The shortest way round, for a start.
    pub way: Vec<Import>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<&str> = self.files.iter().map(String::as_str).collect();
        writeln!(f, "a circle of {} files ({}); one way round:", files.len(), files.join(", "))?;
        self.way.iter().try_for_each(|import| writeln!(f, "  {import}"))
    }
}

/// All circles; no file is in two of them.
#[must_use]
pub fn circles(imports: &[Import]) -> Vec<Circle> {
    let mut out: BTreeMap<&str, Vec<&Import>> = BTreeMap::new();
    for import in imports {
        out.entry(&import.from).or_default().push(import);
    }
    let reached: BTreeMap<&str, BTreeSet<&str>> = out.keys().map(|from| (*from, reach(&out, from))).collect();
    let leads = |from: &str, to: &str| reached.get(from).is_some_and(|reached| reached.contains(to));
    let mut found: Vec<Circle> = Vec::new();
    for from in out.keys().filter(|from| leads(from, from)) {
        if found.iter().any(|circle| circle.files.contains(*from)) {
            continue;
        }
        let members = out.keys().filter(|to| leads(from, to) && leads(to, from));
        let files: BTreeSet<String> = members.map(|file| (*file).to_owned()).collect();
        let ways = files.iter().filter_map(|file| way_round(&out, file));
        let way = ways.min_by_key(Vec::len).unwrap_or_default();
        found.push(Circle { files, way });
    }
    found
}

fn reach<'a>(out: &BTreeMap<&str, Vec<&'a Import>>, from: &str) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(file) = open.pop() {
        for import in out.get(file).into_iter().flatten() {
            if reached.insert(import.to.as_str()) {
                open.push(&import.to);
            }
        }
    }
    reached
}

/// The shortest way from a file back to itself.
fn way_round(out: &BTreeMap<&str, Vec<&Import>>, start: &str) -> Option<Vec<Import>> {
    let mut came: BTreeMap<&str, &Import> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(file) = open.pop_front() {
        for import in out.get(file).into_iter().flatten() {
            if !came.contains_key(import.to.as_str()) {
                came.insert(&import.to, import);
                open.push_back(&import.to);
            }
        }
    }
    let mut way = vec![(*came.get(start)?).clone()];
    while let Some(first) = way.first().filter(|first| first.from != start) {
        let before = (*came.get(first.from.as_str())?).clone();
        way.insert(0, before);
    }
    Some(way)
}

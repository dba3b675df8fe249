//! YAML text as a tree in which each node knows its line and column. Says nothing of what the keys mean.
//!
//! The text is read by serde-saphyr with hardened options: duplicate keys, tags, anchors and merge keys
//! are refused, and so is what is deeper or bigger than any playbook. A tree of our own, and not the
//! library's typed reading alone, because a file must be told all its problems at once: typed reading
//! ends at the first.
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Location, Options, Spanned};
use sha2::{Digest as _, Sha256};
use wbd_model::observation::Kind;
use wbd_model::problem::{Problem, Source};
use wbd_model::suggest;

/// Bytes a file may have.
pub(crate) const MAX_BYTES: usize = 64 * 1024;
/// Documents a file may hold.
const MAX_DOCUMENTS: usize = 64;

/// Line and column in a file, from 1; 0 where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Line, from 1.
    pub(crate) line: u64,
    /// Column in characters, from 1.
    pub(crate) column: u64,
}

impl Place {
    /// The same place, `lines` further down.
    const fn down(self, lines: u64) -> Self {
        Self { line: self.line + lines, column: self.column }
    }

    /// The problem `message` at this place of `source`, with the line itself.
    pub(crate) fn problem(self, source: &Source, message: impl Into<String>, hint: Option<String>) -> Problem {
        let line = self.line.checked_sub(1).and_then(|above| usize::try_from(above).ok());
        let text = line.and_then(|above| source.text.lines().nth(above)).unwrap_or_default();
        // A hostile line must not fill the screen; the caret stays right within what is kept.
        let text = text.chars().take(200).collect();
        Problem { file: source.path.clone(), line: self.line, column: self.column, message: message.into(), text, hint }
    }
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line(), column: location.column() }
    }
}

/// A key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) text: String,
}

/// A value with its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) raw: Raw,
}

/// What stands at a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// SHA-256 of its values, lower-case hex: comments and layout do not count.
    pub(crate) fn digest(&self) -> String {
        let hash = Sha256::digest(self.to_json().to_string().as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The entries of a map; none for anything else.
    pub(crate) fn entries(&self) -> &[(Key, Node)] {
        if let Raw::Map(entries) = &self.raw { entries } else { &[] }
    }

    /// The elements of a list; none for anything else.
    pub(crate) fn elements(&self) -> &[Self] {
        if let Raw::List(elements) = &self.raw { elements } else { &[] }
    }

    /// The text of a scalar text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Raw::Text(text) = &self.raw { Some(text) } else { None }
    }

    /// The type of a fact of this value; `None` for what is no fact.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match &self.raw {
            Raw::Bool(_) => Some(Kind::Bool),
            Raw::Int(_) => Some(Kind::Int),
            Raw::Text(_) => Some(Kind::Text),
            Raw::Null | Raw::Float(_) | Raw::List(_) | Raw::Map(_) => None,
        }
    }

    /// The value under a key of a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|(name, _)| name.text == key).map(|(_, value)| value)
    }

    /// The place of the value at a path of keys, or of the last part of the path that is there.
    pub(crate) fn place_of(&self, path: &[&str]) -> Place {
        let mut node = self;
        for key in path {
            match node.get(key) {
                Some(inner) => node = inner,
                None => break,
            }
        }
        node.place
    }

    /// The same values without places, keys sorted: what a digest is made of.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value;
        match &self.raw {
            Raw::Null => Value::Null,
            Raw::Bool(value) => (*value).into(),
            Raw::Int(value) => (*value).into(),
            Raw::Float(value) => (*value).into(),
            Raw::Text(value) => value.as_str().into(),
            Raw::List(elements) => Value::Array(elements.iter().map(Self::to_json).collect()),
            Raw::Map(entries) => {
                // Sorted here: whether the library sorts depends on what else is built with it.
                let sorted: BTreeMap<&str, &Self> =
                    entries.iter().map(|(key, value)| (key.text.as_str(), value)).collect();
                Value::Object(sorted.into_iter().map(|(key, value)| (key.to_owned(), value.to_json())).collect())
            }
        }
    }

    /// Leaves the first of keys that stand twice in a map, and tells each other one; `1` and `"1"` are one key to us.
    fn part_doubles(&mut self, source: &Source, problems: &mut Vec<Problem>) {
        match &mut self.raw {
            Raw::List(elements) => elements.iter_mut().for_each(|element| element.part_doubles(source, problems)),
            Raw::Map(entries) => {
                let mut first: BTreeMap<String, u64> = BTreeMap::new();
                entries.retain_mut(|(key, value)| {
                    if let Some(line) = first.get(&key.text) {
                        let message = format!("the key {:?} stands here twice; first in line {line}", key.text);
                        problems.push(key.place.problem(source, message, None));
                        return false;
                    }
                    first.insert(key.text.clone(), key.place.line);
                    value.part_doubles(source, problems);
                    true
                });
            }
            Raw::Null | Raw::Bool(_) | Raw::Int(_) | Raw::Float(_) | Raw::Text(_) => {}
        }
    }

    fn shift(&mut self, lines: u64) {
        self.place = self.place.down(lines);
        match &mut self.raw {
            Raw::List(elements) => elements.iter_mut().for_each(|element| element.shift(lines)),
            Raw::Map(entries) => {
                for (key, value) in entries {
                    key.place = key.place.down(lines);
                    value.shift(lines);
                }
            }
            Raw::Null | Raw::Bool(_) | Raw::Int(_) | Raw::Float(_) | Raw::Text(_) => {}
        }
    }
}

/// Every document of a file as a tree, and what cannot be read as YAML at all. Empty documents are left out.
pub(crate) fn documents(source: &Source) -> (Vec<Node>, Vec<Problem>) {
    let nowhere = Place::default();
    if source.text.len() > MAX_BYTES {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read: split it", source.text.len());
        return (Vec::new(), vec![nowhere.problem(source, message, None)]);
    }
    let mut trees = Vec::new();
    let mut problems = Vec::new();
    for (above, text) in split(&source.text) {
        if trees.len() >= MAX_DOCUMENTS {
            problems.push(nowhere.problem(
                source,
                format!("more than {MAX_DOCUMENTS} documents: split the file"),
                None,
            ));
            break;
        }
        match read(text) {
            Ok(None) => {}
            Ok(Some(mut tree)) => {
                tree.shift(above);
                tree.part_doubles(source, &mut problems);
                trees.push(tree);
            }
            Err((place, message)) => problems.push(place.down(above).problem(source, message, None)),
        }
    }
    (trees, problems)
}

/// The texts between lines that are `---`, each with the number of lines above it. Such a line at the
/// first column is a document's end wherever it stands, also inside quoted and block texts.
fn split(text: &str) -> Vec<(u64, &str)> {
    let mut parts = Vec::new();
    let (mut start, mut above, mut offset, mut line_number) = (0, 0, 0, 0);
    for line in text.split_inclusive('\n') {
        line_number += 1;
        let rest = line.strip_prefix("---");
        if rest.is_some_and(|rest| rest.trim().is_empty() || rest.trim_start().starts_with('#')) {
            parts.push((above, &text[start..offset]));
            start = offset + line.len();
            above = line_number;
        }
        offset += line.len();
    }
    parts.push((above, &text[start..]));
    parts
}

fn read(text: &str) -> Result<Option<Node>, (Place, String)> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(None);
    }
    serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, hardened())
        .map(|spanned| Some(Node::from(spanned)))
        .map_err(|error| {
            let place = error.location().map(Place::from).unwrap_or_default();
            (place, plain_words(&error))
        })
}

/// serde-saphyr's default options serve people who trust the file; these serve a program run as root.
fn hardened() -> Options {
    let budget = serde_saphyr::budget! {
        max_reader_input_bytes: Some(MAX_BYTES),
        max_depth: 24,
        flow_nesting_limit: 24,
        max_documents: 1,
        max_nodes: 20_000,
        max_events: 60_000,
        max_aliases: 0,
        max_anchors: 0,
        max_merge_keys: 0,
        max_total_scalar_bytes: MAX_BYTES,
    };
    serde_saphyr::options! {
        budget: budget,
        // They are refused below, in words of ours and with the other problems of the file.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
        emit_comments: false,
    }
}

/// The library's message without its place, which a [`Problem`] carries itself.
fn plain_words(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or("not YAML").trim();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let cut = text.find(" at line ").or_else(|| text.find(" (line "));
    let text = cut.map_or(text, |end| &text[..end]);
    // "line 4 column 14: invalid u32"
    match text.strip_prefix("line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, message)) => message.to_owned(),
        None => text.to_owned(),
    }
}

impl From<Spanned<Raw>> for Node {
    fn from(spanned: Spanned<Raw>) -> Self {
        Self { place: spanned.referenced.into(), raw: spanned.value }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Raw, E> {
        i64::try_from(value).map(Raw::Int).map_err(|_| E::custom(format!("the number {value} is too large")))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Raw, E> {
        Ok(Raw::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = access.next_element::<Spanned<Raw>>()? {
            elements.push(Node::from(element));
        }
        Ok(Raw::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        while let Some((key, value)) = access.next_entry::<Spanned<String>, Spanned<Raw>>()? {
            entries.push((Key { place: key.referenced.into(), text: key.value }, Node::from(value)));
        }
        Ok(Raw::Map(entries))
    }
}

/// The problem of a key that is none of `known`.
pub(crate) fn unknown_key(key: &str, known: &[&str]) -> (String, Option<String>) {
    (format!("unknown key {key:?}"), suggest::hint(key, known.iter().copied()))
}

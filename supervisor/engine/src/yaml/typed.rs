//! A tree of nodes as a value of a Rust type, with every problem of the tree and not the first only.
//!
//! serde stops at the first problem. So the tree is read again and again: each problem's node is taken
//! out of a copy, and reading goes on with the rest, until the rest is right or nothing is left. A key
//! that is missing only because it was taken out is no further problem.
use std::fmt;

use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use wbd_model::problem::{Problem, Source};
use wbd_model::suggest;

use super::located::WITH_PLACE;
use super::node::{Key, Node, Place, Raw, unknown_key};
use super::tried::{QUOTES, TRUTH};

/// A key is missing, whichever.
const ANY_KEY: &str = "";
/// Problems of one document that are told at once.
const MAX_PROBLEMS: usize = 40;

/// The document as a `T`, or every problem that keeps it from being one.
pub(crate) fn typed<T: DeserializeOwned>(source: &Source, document: &Node) -> Result<T, Vec<Problem>> {
    match readable(source, document) {
        (Some(value), problems) if problems.is_empty() => Ok(value),
        (Some(_) | None, problems) => Err(problems),
    }
}

/// The same, and what the document says apart from its problems, where the rest of it is a `T`.
pub(crate) fn readable<T: DeserializeOwned>(source: &Source, document: &Node) -> (Option<T>, Vec<Problem>) {
    let mut rest = document.clone();
    let mut problems = Vec::new();
    let mut taken: Vec<(Place, String)> = Vec::new();
    while problems.len() < MAX_PROBLEMS {
        let wrong = match T::deserialize(Reader(&rest)) {
            Ok(value) => return (Some(value), problems),
            Err(wrong) => wrong,
        };
        let is_consequence = wrong.missing.is_some_and(|field| {
            taken.iter().any(|(place, key)| *place == wrong.place && (field == ANY_KEY || field == key))
        });
        if !is_consequence {
            problems.push(wrong.place.problem(source, wrong.message, wrong.hint));
        }
        if !take_out(&mut rest, wrong.place, wrong.at_key, &mut taken) {
            break;
        }
        // A misspelt key is there, under a wrong name: it is not missing as well.
        if let (Some(meant), Some((place, _))) = (wrong.meant, taken.last().cloned()) {
            taken.push((place, meant));
        }
    }
    (None, problems)
}

/// Takes the entry or element at a place out of the tree; false if it is the tree itself.
fn take_out(node: &mut Node, place: Place, at_key: bool, taken: &mut Vec<(Place, String)>) -> bool {
    let own = node.place;
    match &mut node.raw {
        Raw::List(elements) => {
            if let (false, Some(index)) = (at_key, elements.iter().position(|element| element.place == place)) {
                elements.remove(index);
                return true;
            }
            elements.iter_mut().any(|element| take_out(element, place, at_key, taken))
        }
        Raw::Map(entries) => {
            let is_it = |(key, value): &(Key, Node)| if at_key { key.place == place } else { value.place == place };
            if let Some(index) = entries.iter().position(is_it) {
                let (key, _) = entries.remove(index);
                taken.push((own, key.text));
                return true;
            }
            entries.iter_mut().any(|(_, value)| take_out(value, place, at_key, taken))
        }
        Raw::Null | Raw::Bool(_) | Raw::Int(_) | Raw::Float(_) | Raw::Text(_) => false,
    }
}

/// One problem of a tree.
#[derive(Debug)]
struct Wrong {
    place: Place,
    at_key: bool,
    message: String,
    hint: Option<String>,
    missing: Option<&'static str>,
    meant: Option<String>,
}

impl Wrong {
    fn new(message: String, hint: Option<String>) -> Self {
        Self { place: Place::default(), at_key: false, message, hint, missing: None, meant: None }
    }

    /// Gives it a place, if a deeper reader has not done so.
    fn or_at(mut self, place: Place, at_key: bool) -> Self {
        if self.place == Place::default() {
            self.place = place;
            self.at_key = at_key;
        }
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Wrong {}

impl de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string(), None)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "serde's list; most kinds need no remedy")]
    fn invalid_type(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let wanted = wanted.to_string();
        let hint = match found {
            de::Unexpected::Signed(_) | de::Unexpected::Float(_) | de::Unexpected::Bool(_)
                if wanted.contains("string") || wanted.starts_with("a text") =>
            {
                Some(QUOTES.to_owned())
            }
            de::Unexpected::Str("yes" | "no" | "on" | "off") if wanted == "a boolean" => Some(TRUTH.to_owned()),
            _ => None,
        };
        Self::new(format!("wrong type: found {}, wanted {}", found_words(found), wanted_words(&wanted)), hint)
    }

    fn invalid_value(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        let wanted = wanted.to_string();
        Self::new(format!("wrong value: found {}, wanted {}", found_words(found), wanted_words(&wanted)), None)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("unknown word {variant:?}"), suggest::hint(variant, expected.iter().copied()))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let (message, hint) = unknown_key(field, expected);
        let meant = suggest::nearest(field, expected.iter().copied()).map(str::to_owned);
        Self { at_key: true, meant, ..Self::new(message, hint) }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Some(field), ..Self::new(format!("the key {field:?} is missing"), None) }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "serde's list; the rest does not come from YAML")]
fn found_words(found: de::Unexpected<'_>) -> String {
    match found {
        de::Unexpected::Bool(value) => value.to_string(),
        de::Unexpected::Signed(value) => format!("the number {value}"),
        de::Unexpected::Unsigned(value) => format!("the number {value}"),
        de::Unexpected::Float(value) => format!("the number {value}"),
        de::Unexpected::Str(text) => format!("the text {:?}", text.chars().take(60).collect::<String>()),
        de::Unexpected::Unit | de::Unexpected::Option => "nothing".to_owned(),
        de::Unexpected::Seq => "a list".to_owned(),
        de::Unexpected::Map => "a map".to_owned(),
        other => other.to_string(),
    }
}

fn wanted_words(wanted: &str) -> String {
    match wanted {
        "a string" => "text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "i64" | "u32" | "u64" | "i32" | "u16" => "a whole number".to_owned(),
        other if other.starts_with("struct ") || other.starts_with("struct variant ") => "a map of keys".to_owned(),
        other if other.starts_with("enum ") => "one word, or a map of one key".to_owned(),
        other => other.to_owned(),
    }
}

/// Reads a node.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a Node);

impl<'de> Reader<'_> {
    fn any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.0.raw {
            Raw::Null => visitor.visit_unit(),
            Raw::Bool(value) => visitor.visit_bool(*value),
            Raw::Int(value) => visitor.visit_i64(*value),
            Raw::Float(value) => visitor.visit_f64(*value),
            Raw::Text(value) => visitor.visit_str(value),
            Raw::List(elements) => visitor.visit_seq(Elements(elements.iter())),
            Raw::Map(entries) => visitor.visit_map(Entries { rest: entries.iter(), value: None }),
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.any(visitor).map_err(|wrong| wrong.or_at(self.0.place, false))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0.raw {
            Raw::Null => visitor.visit_none(),
            Raw::Bool(_) | Raw::Int(_) | Raw::Float(_) | Raw::Text(_) | Raw::List(_) | Raw::Map(_) => {
                visitor.visit_some(self)
            }
        }
        .map_err(|wrong: Wrong| wrong.or_at(self.0.place, false))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        if name == WITH_PLACE {
            let place = self.0.place;
            return visitor.visit_seq(Placed { place, part: 0, inner: self });
        }
        visitor.visit_newtype_struct(self).map_err(|wrong| wrong.or_at(self.0.place, false))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let place = self.0.place;
        match &self.0.raw {
            Raw::Text(word) => visitor.visit_enum(Choice { name: word, place, content: None }),
            Raw::Map(entries) if entries.len() == 1 => match entries.first() {
                Some((key, value)) => {
                    visitor.visit_enum(Choice { name: &key.text, place: key.place, content: Some(value) })
                }
                None => Err(Wrong::new("an empty map".to_owned(), None)),
            },
            Raw::Map(entries) if entries.is_empty() => {
                let wrong =
                    Wrong::new("one key is wanted here".to_owned(), suggest::hint("", variants.iter().copied()));
                Err(Wrong { missing: Some(ANY_KEY), ..wrong })
            }
            Raw::Map(entries) => {
                let keys: Vec<&str> = entries.iter().map(|(key, _)| key.text.as_str()).collect();
                let message = format!("one key is wanted here, found {}: {}", keys.len(), keys.join(", "));
                Err(Wrong::new(message, suggest::hint("", variants.iter().copied())))
            }
            Raw::Null | Raw::Bool(_) | Raw::Int(_) | Raw::Float(_) | Raw::List(_) => {
                Err(Wrong::new("one word is wanted here".to_owned(), suggest::hint("", variants.iter().copied())))
            }
        }
        .map_err(|wrong| wrong.or_at(place, false))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Place first, then the value: what [`super::located::At`] asks for.
struct Placed<D> {
    place: Place,
    part: u8,
    inner: D,
}

impl<'de, D: Deserializer<'de, Error = Wrong> + Copy> de::SeqAccess<'de> for Placed<D> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        self.part += 1;
        match self.part {
            1 => seed.deserialize(U64Deserializer::new(self.place.line)).map(Some),
            2 => seed.deserialize(U64Deserializer::new(self.place.column)).map(Some),
            3 => seed.deserialize(self.inner).map(Some),
            _ => Ok(None),
        }
    }
}

struct Elements<'a>(std::slice::Iter<'a, Node>);

impl<'de> de::SeqAccess<'de> for Elements<'_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(node) = self.0.next() else { return Ok(None) };
        seed.deserialize(Reader(node)).map(Some).map_err(|wrong| wrong.or_at(node.place, false))
    }
}

struct Entries<'a> {
    rest: std::slice::Iter<'a, (Key, Node)>,
    value: Option<&'a Node>,
}

impl<'de> de::MapAccess<'de> for Entries<'_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(KeyReader(key)).map(Some).map_err(|wrong| wrong.or_at(key.place, true))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        let node =
            self.value.take().ok_or_else(|| Wrong::new("a value was asked for before its key".to_owned(), None))?;
        seed.deserialize(Reader(node)).map_err(|wrong| wrong.or_at(node.place, false))
    }
}

#[derive(Clone, Copy)]
struct KeyReader<'a>(&'a Key);

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_str(&self.0.text).map_err(|wrong: Wrong| wrong.or_at(self.0.place, true))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        if name == WITH_PLACE {
            return visitor.visit_seq(Placed { place: self.0.place, part: 0, inner: self });
        }
        visitor.visit_newtype_struct(self).map_err(|wrong| wrong.or_at(self.0.place, true))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let key: StrDeserializer<'_, Wrong> = self.0.text.as_str().into_deserializer();
        key.deserialize_enum(name, variants, visitor).map_err(|wrong| wrong.or_at(self.0.place, true))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// A word, or a map of one key: an enum with its external tag.
struct Choice<'a> {
    name: &'a str,
    place: Place,
    content: Option<&'a Node>,
}

impl<'a, 'de> de::EnumAccess<'de> for Choice<'a> {
    type Error = Wrong;
    type Variant = Content<'a>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Content<'a>), Wrong> {
        let at_key = self.content.is_some();
        let name: StrDeserializer<'_, Wrong> = self.name.into_deserializer();
        let variant = seed.deserialize(name).map_err(|wrong| wrong.or_at(self.place, at_key))?;
        Ok((variant, Content { name: self.name, content: self.content }))
    }
}

struct Content<'a> {
    name: &'a str,
    content: Option<&'a Node>,
}

impl<'a> Content<'a> {
    fn node(&self) -> Result<&'a Node, Wrong> {
        self.content
            .ok_or_else(|| Wrong::new(format!("{:?} needs its keys: write {}: {{...}}", self.name, self.name), None))
    }
}

impl<'de> de::VariantAccess<'de> for Content<'_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        match self.content {
            None => Ok(()),
            Some(node) => {
                Err(Wrong::new(format!("{:?} stands alone, without keys", self.name), None).or_at(node.place, false))
            }
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(Reader(self.node()?))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Wrong> {
        Reader(self.node()?).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _fields: &'static [&'static str], visitor: V) -> Result<V::Value, Wrong> {
        Reader(self.node()?).deserialize_any(visitor)
    }
}

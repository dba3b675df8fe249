//! What an expression or a text may refer to, with the type of each name. Holds no values.
use std::collections::BTreeMap;
use std::fmt;

use wbd_model::observation::Kind;
use wbd_model::probe::ProbeName;
use wbd_model::suggest;

/// One thing referred to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reference {
    /// A field of an observation: `ino.missing`.
    Fact { observation: String, field: String },
    /// The same before the action: `before.ino.missing`.
    Before { observation: String, field: String },
    /// A constant of the profile, its path without `profile.`.
    Profile(String),
    /// A value of `let`.
    Let(String),
    /// The id of the true case.
    Case,
    /// A field of the item: `endpoint.host`.
    Item { name: &'static str, field: String },
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fact { observation, field } => write!(f, "{observation}.{field}"),
            Self::Before { observation, field } => write!(f, "before.{observation}.{field}"),
            Self::Profile(path) => write!(f, "profile.{path}"),
            Self::Let(name) => f.write_str(name),
            Self::Case => f.write_str("case"),
            Self::Item { name, field } => write!(f, "{name}.{field}"),
        }
    }
}

impl Reference {
    /// The type of a constant of the profile or of a field of the item; `None` for what is no such thing.
    pub(crate) fn constant_kind(&self) -> Option<Kind> {
        match self {
            Self::Profile(path) => profile_constant(&path.split('.').collect::<Vec<_>>()).ok().map(|(_, kind)| kind),
            Self::Item { name, field } => {
                let items = [Items::Endpoints, Items::Roles].into_iter().find(|items| items.name() == *name)?;
                items.fields().iter().find(|(known, _)| known == field).map(|(_, kind)| *kind)
            }
            Self::Fact { .. } | Self::Before { .. } | Self::Let(_) | Self::Case => None,
        }
    }
}

/// The lists of a profile that a playbook may judge item by item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Items {
    /// `each: {endpoint: profile.endpoints}`
    Endpoints,
    /// `each: {role: profile.process}`
    Roles,
}

impl Items {
    /// The item's name in expressions.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoint",
            Self::Roles => "role",
        }
    }

    /// The item's fields.
    pub(crate) const fn fields(self) -> &'static [(&'static str, Kind)] {
        match self {
            Self::Endpoints => {
                &[("host", Kind::Text), ("ports", Kind::Text), ("ping", Kind::Bool), ("alternate", Kind::Text)]
            }
            Self::Roles => &[("name", Kind::Text), ("process", Kind::Text), ("unit", Kind::Text)],
        }
    }
}

/// Names that are taken, so that no observation and no `let` may hide them.
pub(crate) const RESERVED: [&str; 9] = ["profile", "case", "before", "endpoint", "true", "false", "null", "in", "host"];

/// Constants of a profile: those with a fixed name, and the maps (marked by `*`).
const PROFILE: [(&str, Kind); 7] = [
    ("name", Kind::Text),
    ("unit", Kind::Text),
    ("limits.*", Kind::Int),
    ("version.*", Kind::Text),
    ("leak.window", Kind::Text),
    ("leak.fallback", Kind::Text),
    ("builds.fixed_from", Kind::Int),
];

/// The names in reach.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names<'a> {
    /// Observations and their questions.
    pub(crate) observations: BTreeMap<&'a str, ProbeName>,
    /// Values of `let` with their types.
    pub(crate) lets: Vec<(&'a str, Kind)>,
    /// Ids of the cases, where `case` may be used.
    pub(crate) cases: Option<Vec<&'a str>>,
    /// `profile.` may be used.
    pub(crate) profile: bool,
    /// `before.` may be used.
    pub(crate) before: bool,
    /// The item.
    pub(crate) items: Option<Items>,
}

/// A name that is not there, and what may have been meant.
pub(crate) type Unnamed = (String, Option<String>);

impl Names<'_> {
    /// What a dotted path means, and its type.
    pub(crate) fn resolve(&self, path: &[&str]) -> Result<(Reference, Kind), Unnamed> {
        match path {
            ["case"] if self.cases.is_some() => Ok((Reference::Case, Kind::Text)),
            ["case"] => Err(("`case` is not known yet here".to_owned(), None)),
            ["profile", rest @ ..] if self.profile => profile_constant(rest),
            ["profile", ..] => Err(("a playbook for the host has no profile".to_owned(), None)),
            ["before", observation, field] if self.before => {
                let (observation, field, kind) = self.fact(observation, field)?;
                Ok((Reference::Before { observation, field }, kind))
            }
            ["before", ..] if !self.before => Err(("`before` is known in verify only".to_owned(), None)),
            ["before", ..] => Err(("write before.NAME.FIELD".to_owned(), None)),
            [name, field] if self.items.is_some_and(|items| items.name() == *name) => self.item(field),
            [name] => match self.lets.iter().find(|(known, _)| known == name) {
                Some((_, kind)) => Ok((Reference::Let((*name).to_owned()), *kind)),
                None if self.observations.contains_key(name) => Err((
                    format!("{name} is an observation: write {name}.FIELD"),
                    self.observations.get(name).and_then(|probe| field_hint(*probe, "")),
                )),
                None => Err(self.nothing(name)),
            },
            [observation, field] => {
                let (observation, field, kind) = self.fact(observation, field)?;
                Ok((Reference::Fact { observation, field }, kind))
            }
            _ => Err((format!("{} names nothing", path.join(".")), None)),
        }
    }

    fn fact(&self, observation: &str, field: &str) -> Result<(String, String, Kind), Unnamed> {
        let Some(probe) = self.observations.get(observation) else { return Err(self.nothing(observation)) };
        let known = probe.fields().iter().find(|known| known.name == field);
        known.map(|known| (observation.to_owned(), field.to_owned(), known.kind)).ok_or_else(|| {
            (format!("{observation} ({}) has no field {field:?}", probe.as_str()), field_hint(*probe, field))
        })
    }

    fn item(&self, field: &str) -> Result<(Reference, Kind), Unnamed> {
        let items = self.items.unwrap_or(Items::Endpoints);
        let known = items.fields().iter().find(|(name, _)| *name == field);
        known.map(|(_, kind)| (Reference::Item { name: items.name(), field: field.to_owned() }, *kind)).ok_or_else(
            || {
                let names: Vec<&str> = items.fields().iter().map(|(name, _)| *name).collect();
                (format!("{} has no field {field:?}", items.name()), suggest::hint(field, names.iter().copied()))
            },
        )
    }

    fn nothing(&self, name: &str) -> Unnamed {
        let mut known: Vec<&str> = self.observations.keys().copied().collect();
        known.extend(self.lets.iter().map(|(name, _)| *name));
        known.extend(self.profile.then_some("profile"));
        known.extend(self.before.then_some("before"));
        known.extend(self.cases.is_some().then_some("case"));
        known.extend(self.items.map(Items::name));
        (format!("{name:?} names nothing here"), suggest::hint(name, known.iter().copied()))
    }
}

fn field_hint(probe: ProbeName, field: &str) -> Option<String> {
    suggest::hint(field, probe.fields().iter().map(|known| known.name))
}

fn profile_constant(path: &[&str]) -> Result<(Reference, Kind), Unnamed> {
    let joined = path.join(".");
    let pattern = match path {
        [map, _] if PROFILE.iter().any(|(known, _)| known.strip_suffix(".*") == Some(map)) => format!("{map}.*"),
        _ => joined.clone(),
    };
    match PROFILE.iter().find(|(known, _)| *known == pattern) {
        Some((_, kind)) => Ok((Reference::Profile(joined), *kind)),
        None => {
            let known = PROFILE.iter().map(|(known, _)| *known);
            Err((format!("a profile has no constant {joined:?}"), suggest::hint(&joined, known)))
        }
    }
}

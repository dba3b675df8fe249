//! A probe or an action as a playbook writes it: its one key and its parameters, read as the declaration says.
//! Whether what they name exists is not checked here.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use schemars::{JsonSchema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, Visitor};
use serde_json::{Map, Value as Json, json};
use wbd_model::action::{ActionName, NamedBy};
use wbd_model::declared::{Parameter, Takes};
use wbd_model::observation::Value;
use wbd_model::probe::ProbeName;

use super::given::Given;
use crate::yaml::At;

/// Something that is declared with a key and parameters: probes, and the actions of steps.
pub(crate) trait Declared: Copy + 'static {
    /// All keys, in the manual's order.
    fn keys() -> &'static [&'static str];
    /// The one of this key.
    fn of_key(key: &str) -> Option<Self>;
    /// Its key.
    fn key(self) -> &'static str;
    /// Its parameters.
    fn parameters(self) -> &'static [Parameter];
    /// What it is, in words.
    fn doc(self) -> &'static str;
    /// The list's name in the schema, and what an entry of it is.
    const SCHEMA: (&'static str, &'static str);
}

impl Declared for ProbeName {
    const SCHEMA: (&'static str, &'static str) = ("Look", "A question by its name, with its parameters.");

    fn keys() -> &'static [&'static str] {
        Self::KEYS
    }
    fn of_key(key: &str) -> Option<Self> {
        Self::of_key(key)
    }
    fn key(self) -> &'static str {
        self.as_str()
    }
    fn parameters(self) -> &'static [Parameter] {
        self.declaration().parameters
    }
    fn doc(self) -> &'static str {
        self.declaration().asks
    }
}

/// Those that a step can name.
static STEPS: LazyLock<Vec<ActionName>> =
    LazyLock::new(|| ActionName::all().filter(|name| name.declaration().named_by == NamedBy::Playbook).collect());
static STEP_KEYS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| STEPS.iter().map(|name| name.declaration().key).collect());

impl Declared for ActionName {
    const SCHEMA: (&'static str, &'static str) = ("StepSpec", "An action by its name, with its parameters.");

    fn keys() -> &'static [&'static str] {
        &STEP_KEYS
    }
    fn of_key(key: &str) -> Option<Self> {
        Self::of_step(key)
    }
    fn key(self) -> &'static str {
        self.declaration().key
    }
    fn parameters(self) -> &'static [Parameter] {
        self.declaration().parameters
    }
    fn doc(self) -> &'static str {
        self.declaration().does
    }
}

/// One that was named, and what was given.
#[derive(Debug)]
pub(crate) struct Named<D> {
    pub(crate) name: D,
    pub(crate) given: BTreeMap<&'static str, At<Given<Value>>>,
}

impl<D: Declared> Named<D> {
    /// The parameters that were given, with what was declared of them.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'static Parameter, &At<Given<Value>>)> {
        self.name.parameters().iter().filter_map(|parameter| Some((parameter, self.given.get(parameter.name)?)))
    }
}

impl<'de, D: Declared> Deserialize<'de> for Named<D> {
    fn deserialize<R: Deserializer<'de>>(deserializer: R) -> Result<Self, R::Error> {
        deserializer.deserialize_enum(D::SCHEMA.0, D::keys(), NamedVisitor(std::marker::PhantomData))
    }
}

struct NamedVisitor<D>(std::marker::PhantomData<D>);

impl<'de, D: Declared> Visitor<'de> for NamedVisitor<D> {
    type Value = Named<D>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one word, or a map of one key")
    }

    fn visit_enum<A: de::EnumAccess<'de>>(self, access: A) -> Result<Named<D>, A::Error> {
        let (name, variant) = access.variant_seed(Key(std::marker::PhantomData::<D>))?;
        let given = de::VariantAccess::newtype_variant_seed(variant, Parameters(name.parameters()))?;
        Ok(Named { name, given })
    }
}

/// Which one it is.
struct Key<D>(std::marker::PhantomData<D>);

impl<'de, D: Declared> DeserializeSeed<'de> for Key<D> {
    type Value = D;

    fn deserialize<R: Deserializer<'de>>(self, deserializer: R) -> Result<D, R::Error> {
        let key = String::deserialize(deserializer)?;
        D::of_key(&key).ok_or_else(|| de::Error::unknown_variant(&key, D::keys()))
    }
}

/// The map of parameters.
#[derive(Clone, Copy)]
struct Parameters(&'static [Parameter]);

impl<'de> DeserializeSeed<'de> for Parameters {
    type Value = BTreeMap<&'static str, At<Given<Value>>>;

    fn deserialize<R: Deserializer<'de>>(self, deserializer: R) -> Result<Self::Value, R::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Parameters {
    type Value = BTreeMap<&'static str, At<Given<Value>>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of keys")
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut given = BTreeMap::new();
        while let Some(parameter) = access.next_key_seed(ParameterKey(self.0))? {
            given.insert(parameter.name, access.next_value_seed(ParameterValue(parameter))?);
        }
        match self.0.iter().find(|parameter| parameter.required && !given.contains_key(parameter.name)) {
            Some(missing) => Err(de::Error::missing_field(missing.name)),
            None => Ok(given),
        }
    }
}

struct ParameterKey(&'static [Parameter]);

impl<'de> DeserializeSeed<'de> for ParameterKey {
    type Value = &'static Parameter;

    fn deserialize<R: Deserializer<'de>>(self, deserializer: R) -> Result<Self::Value, R::Error> {
        let key = String::deserialize(deserializer)?;
        let known = self.0.iter().find(|parameter| parameter.name == key);
        known.ok_or_else(|| de::Error::unknown_field(&key, names(self.0)))
    }
}

/// The names alone: serde wants them as they lie in the program.
fn names(parameters: &'static [Parameter]) -> &'static [&'static str] {
    type Lists = Vec<(&'static [Parameter], Vec<&'static str>)>;
    static LISTS: LazyLock<Lists> = LazyLock::new(|| {
        let of = |all: &'static [Parameter]| (all, all.iter().map(|parameter| parameter.name).collect());
        let steps = STEPS.iter().map(|name| of(name.parameters()));
        ProbeName::ALL.iter().map(|name| of(name.parameters())).chain(steps).collect()
    });
    LISTS.iter().find(|(all, _)| *all == parameters).map_or(&[], |(_, names)| names)
}

struct ParameterValue(&'static Parameter);

impl<'de> DeserializeSeed<'de> for ParameterValue {
    type Value = At<Given<Value>>;

    fn deserialize<R: Deserializer<'de>>(self, deserializer: R) -> Result<Self::Value, R::Error> {
        fn plain<T: Into<Value>>(it: At<T>) -> At<Given<Value>> {
            At { place: it.place, value: Given::Plain(it.value.into()) }
        }
        fn given<T: Into<Value>>(it: At<Given<T>>) -> At<Given<Value>> {
            let value = match it.value {
                Given::Plain(value) => Given::Plain(value.into()),
                Given::Cel(text) => Given::Cel(text),
            };
            At { place: it.place, value }
        }
        let word = |deserializer: R, known: &'static [&'static str]| {
            let word = At::<String>::deserialize(deserializer)?;
            let is_known = known.contains(&word.value.as_str());
            if is_known { Ok(plain(word)) } else { Err(de::Error::unknown_variant(&word.value, known)) }
        };
        match self.0.takes {
            Takes::Process | Takes::Version | Takes::Command => At::<String>::deserialize(deserializer).map(plain),
            Takes::Endpoint => word(deserializer, &["endpoint"]),
            Takes::Role => word(deserializer, &["role"]),
            Takes::Word(known) => word(deserializer, known),
            Takes::Truth => At::<bool>::deserialize(deserializer).map(plain),
            Takes::Number => At::<Given<i64>>::deserialize(deserializer).map(given),
            Takes::Unit => At::<Given<String>>::deserialize(deserializer).map(given),
        }
    }
}

impl<D: Declared> JsonSchema for Named<D> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        D::SCHEMA.0.into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> schemars::Schema {
        let each = |key: &&str| -> Option<Json> {
            let it = D::of_key(key)?;
            Some(json!({
                "type": "object",
                "description": it.doc(),
                "properties": { it.key(): of_parameters(it.parameters(), generator) },
                "required": [it.key()],
                "additionalProperties": false,
            }))
        };
        let all: Vec<Json> = D::keys().iter().filter_map(each).collect();
        json_schema!({ "description": D::SCHEMA.1, "oneOf": all })
    }
}

fn of_parameters(parameters: &[Parameter], generator: &mut SchemaGenerator) -> Json {
    let mut properties = Map::new();
    for parameter in parameters {
        let mut schema = match parameter.takes {
            Takes::Process | Takes::Version | Takes::Command => json!({"type": "string"}),
            Takes::Endpoint => json!({"type": "string", "enum": ["endpoint"]}),
            Takes::Role => json!({"type": "string", "enum": ["role"]}),
            Takes::Word(known) => json!({"type": "string", "enum": known}),
            Takes::Truth => json!({"type": "boolean", "default": false}),
            Takes::Number => generator.subschema_for::<Given<i64>>().to_value(),
            Takes::Unit => generator.subschema_for::<Given<String>>().to_value(),
        };
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), parameter.doc.into());
        }
        properties.insert(parameter.name.to_owned(), schema);
    }
    let required: Vec<&str> = parameters.iter().filter(|it| it.required).map(|it| it.name).collect();
    let mut schema = json!({"type": "object", "additionalProperties": false});
    if let Some(schema) = schema.as_object_mut() {
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), properties.into());
        }
        if !required.is_empty() {
            schema.insert("required".to_owned(), required.into());
        }
    }
    schema
}

//! A parameter of an action: a value, or an expression that gives it. Evaluates nothing.
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, IntoDeserializer};

use crate::yaml::At;

/// An expression in CEL.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cel {
    /// At most 512 characters, 64 operators, brackets 16 deep; no macros.
    pub(crate) cel: At<String>,
}

/// A value as it stands, or an expression in a map of its own.
#[derive(Debug)]
pub(crate) enum Given<T> {
    Plain(T),
    Cel(At<String>),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Given<T> {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct GivenVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> de::Visitor<'de> for GivenVisitor<T> {
            type Value = Given<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, or {cel: \"...\"}")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Given<T>, E> {
                T::deserialize(value.into_deserializer()).map(Given::Plain)
            }
            fn visit_str<E: de::Error>(self, value: &str) -> Result<Given<T>, E> {
                T::deserialize(value.into_deserializer()).map(Given::Plain)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, access: A) -> Result<Given<T>, A::Error> {
                let cel = Cel::deserialize(de::value::MapAccessDeserializer::new(access))?;
                Ok(Given::Cel(cel.cel))
            }
        }
        deserializer.deserialize_any(GivenVisitor(std::marker::PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Given<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Given_{}", T::schema_name()).into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (plain, cel) = (generator.subschema_for::<T>(), generator.subschema_for::<Cel>());
        schemars::json_schema!({ "anyOf": [plain, cel] })
    }
}

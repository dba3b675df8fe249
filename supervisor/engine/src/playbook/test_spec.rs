//! A PlaybookTest, its keys exactly as they are written. Runs nothing.
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, IntoDeserializer};
use wbd_model::name::{Code, PlaybookName, ProfileName};
use wbd_model::observation::Value;
use wbd_model::profile::{Duration, ProfileSpec};

/// One test of one playbook.
#[derive(Debug)]
pub struct PlaybookTest {
    /// Its name.
    pub name: PlaybookName,
    /// The file it was read from.
    pub file: String,
    pub(crate) spec: TestSpec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestSpec {
    /// The playbook under test.
    pub(crate) playbook: PlaybookName,
    /// The product: a profile's name, or the keys of a profile.
    pub(crate) profile: ProfileChoice,
    /// What is seen, and from when on.
    pub(crate) at: Vec<Moment>,
    /// What must come of it, and when.
    pub(crate) expect: Vec<Expectation>,
    /// The kinds of all records that the ledger must hold in the end: opened, intent, outcome, verdict, closed, ...
    #[serde(default)]
    pub(crate) ledger: Option<Vec<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moment {
    /// From when on, counted from the start of the test.
    #[serde(default)]
    pub(crate) after: Duration,
    /// Facts by observation and field, as the playbook names them.
    #[serde(default)]
    pub(crate) see: Seen,
    /// The same for other playbooks, by their names, where a cause is expected.
    #[serde(default)]
    pub(crate) others: BTreeMap<PlaybookName, Seen>,
}

pub(crate) type Seen = BTreeMap<String, BTreeMap<String, SeenValue>>;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expectation {
    /// When, counted from the start of the test.
    pub(crate) after: Duration,
    /// What the check says.
    pub(crate) verdict: VerdictWord,
    /// The true case, or the one that cannot be decided.
    #[serde(default)]
    pub(crate) case: Option<String>,
    /// The code of the failure that this one is a consequence of.
    #[serde(default)]
    pub(crate) cause: Option<Code>,
    /// The actions of the rung that would be done now; `[]` for none.
    #[serde(default)]
    pub(crate) plan: Option<Vec<String>>,
    /// The rung that they belong to.
    #[serde(default)]
    pub(crate) rung: Option<String>,
    /// What the verification says, against the last state that failed. (Not yes and no: editors read those as booleans.)
    #[serde(default)]
    pub(crate) cured: Option<CuredWord>,
    /// Words that title, cause or guide must hold.
    #[serde(default)]
    pub(crate) says: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum VerdictWord {
    Pass,
    Unknown,
    Skip,
    Warn,
    Fail,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CuredWord {
    Proven,
    Disproven,
    Unknown,
}

/// A profile by its name, or its keys.
#[derive(Debug)]
pub(crate) enum ProfileChoice {
    Named(ProfileName),
    Inline(Box<ProfileSpec>),
}

impl<'de> Deserialize<'de> for ProfileChoice {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ChoiceVisitor;
        impl<'de> de::Visitor<'de> for ChoiceVisitor {
            type Value = ProfileChoice;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a profile, or its keys")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<ProfileChoice, E> {
                ProfileName::deserialize(name.into_deserializer()).map(ProfileChoice::Named)
            }
            fn visit_map<A: de::MapAccess<'de>>(self, access: A) -> Result<ProfileChoice, A::Error> {
                let spec = ProfileSpec::deserialize(de::value::MapAccessDeserializer::new(access))?;
                Ok(ProfileChoice::Inline(Box::new(spec)))
            }
        }
        deserializer.deserialize_any(ChoiceVisitor)
    }
}

impl JsonSchema for ProfileChoice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProfileChoice".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let (name, spec) = (generator.subschema_for::<ProfileName>(), generator.subschema_for::<ProfileSpec>());
        schemars::json_schema!({ "anyOf": [name, spec] })
    }
}

/// A fact as a test gives it; `null` is "not seen".
#[derive(Debug, Clone)]
pub(crate) struct SeenValue(pub(crate) Option<Value>);

impl<'de> Deserialize<'de> for SeenValue {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SeenVisitor;
        impl de::Visitor<'_> for SeenVisitor {
            type Value = SeenValue;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, a whole number, text or null")
            }
            fn visit_unit<E>(self) -> Result<SeenValue, E> {
                Ok(SeenValue(None))
            }
            fn visit_bool<E>(self, value: bool) -> Result<SeenValue, E> {
                Ok(SeenValue(Some(value.into())))
            }
            fn visit_i64<E>(self, value: i64) -> Result<SeenValue, E> {
                Ok(SeenValue(Some(value.into())))
            }
            fn visit_str<E>(self, value: &str) -> Result<SeenValue, E> {
                Ok(SeenValue(Some(value.into())))
            }
        }
        deserializer.deserialize_any(SeenVisitor)
    }
}

impl JsonSchema for SeenValue {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SeenValue".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["boolean", "integer", "string", "null"] })
    }
}

//! A product's facts, stated once: how to find it, its processes, commands, versions and endpoints.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::class::Class;
use crate::name::{Code, ProfileName};

/// One product on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileSpec {
    /// When the product counts as being on this host.
    pub present: Present,
    /// Processes by role (`main`).
    #[serde(default)]
    pub process: BTreeMap<String, ProcessSelector>,
    /// The product writes wbd's health document.
    #[serde(default)]
    pub health: bool,
    /// The systemd unit of the main process, and of every other one that names none.
    #[serde(default)]
    pub unit: Option<String>,
    /// The vendor's installers: while one of these processes runs, nothing is healed for this product.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub installer: Vec<ProcessSelector>,
    /// Documented programs by name (`restart`).
    #[serde(default)]
    pub commands: BTreeMap<String, Command>,
    /// Where versions can be read, by name (`running`, `installed`).
    #[serde(default)]
    pub version: BTreeMap<String, VersionSource>,
    /// Builds known to be bad or good.
    #[serde(default)]
    pub builds: Option<Builds>,
    /// When a leaking process may be restarted.
    #[serde(default)]
    pub leak: Option<Leak>,
    /// Services the product must reach.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// Whether this host has a public address (chooses endpoints marked `public` or `private`).
    #[serde(default)]
    pub public: PublicAddress,
    /// Upper bounds for what wbd may raise.
    #[serde(default)]
    pub limits: BTreeMap<String, i64>,
    /// The vendor's codes for the generic failures, by playbook name or `playbook/case`.
    #[serde(default)]
    pub codes: BTreeMap<String, Code>,
}

impl ProfileSpec {
    /// The units that it names as its product's.
    #[must_use]
    pub fn units(&self) -> BTreeSet<String> {
        self.unit.iter().chain(self.process.values().filter_map(|process| process.unit.as_ref())).cloned().collect()
    }

    /// The unit of a process: its own, or the product's.
    #[must_use]
    pub fn unit_of(&self, role: &str) -> Option<&String> {
        self.process.get(role)?.unit.as_ref().or(self.unit.as_ref())
    }

    /// The packages that bring the product.
    #[must_use]
    pub fn packages(&self) -> Vec<String> {
        let name = |sign: &Sign| match sign {
            Sign::Package(name) => Some(name.clone()),
            Sign::File(_) | Sign::Process(_) => None,
        };
        self.present.any.iter().filter_map(name).collect()
    }
}

/// A profile with its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: ProfileName,
    /// Its facts.
    pub spec: ProfileSpec,
}

/// Present when any one of the signs is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Present {
    /// The signs; an empty list is never present.
    pub any: Vec<Sign>,
}

/// One sign of a product's presence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sign {
    /// This file or folder exists.
    File(PathBuf),
    /// Such a process runs.
    Process(ProcessSelector),
    /// The Debian or RPM package of this name is installed.
    Package(String),
}

/// Which process is meant. All given keys must fit; `comm` alone is not enough, since anybody may run a program under any
/// name: it then means root's. Only processes of wbd's own pid namespace and root folder are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = program_is_exe)]
pub struct ProcessSelector {
    /// The kernel's name of the process, at most 15 bytes.
    #[serde(default)]
    pub comm: Option<String>,
    /// `program`, or `exe`: the absolute path of its program, a `*` for any part of one name. The file and the folders
    /// above it must be root's, and nobody else may write them.
    #[serde(default, alias = "program")]
    pub exe: Option<PathBuf>,
    /// In place of `program`: the absolute path of a folder that its program lies in, or below; a `*` as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Words that all stand among its arguments: they tell apart processes that `program`, `folder` or `unit` mean.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The systemd service that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// It runs as one of these users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user: Vec<String>,
    /// Process that writes wbd's health document: the pid stands there.
    #[serde(default)]
    pub health: bool,
}

/// The schema knows no second name of a key by itself.
fn program_is_exe(schema: &mut schemars::Schema) {
    let properties = schema.get_mut("properties").and_then(serde_json::Value::as_object_mut);
    if let Some(properties) = properties
        && let Some(exe) = properties.get("exe").cloned()
    {
        properties.insert("program".to_owned(), exe);
    }
}

impl ProcessSelector {
    /// Nothing but a name says which process is meant, and anybody can take that.
    #[must_use]
    pub fn is_by_name_alone(&self) -> bool {
        let qualified = self.is_qualified() || !self.user.is_empty() || self.health;
        self.comm.is_some() && !qualified
    }

    /// Something that only root can arrange says which process is meant.
    #[must_use]
    pub fn is_qualified(&self) -> bool {
        self.exe.is_some() || self.folder.is_some() || self.unit.is_some()
    }

    /// What people know the process by: its name, its program, or its unit.
    #[must_use]
    pub fn words(&self) -> String {
        let program = self.exe.as_ref().and_then(|exe| exe.file_name()).map(|name| name.to_string_lossy().into_owned());
        let folder = self.folder.as_ref().map(|folder| folder.to_string_lossy().into_owned());
        self.comm.clone().or(program).or_else(|| self.unit.clone()).or(folder).unwrap_or_default()
    }

    /// No process is meant: users alone name all that they run.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.comm.is_none() && !self.is_qualified() && !self.health
    }
}

/// A documented program: run by absolute path with a deadline and a cleared environment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Absolute path, then arguments.
    pub argv: Vec<String>,
    /// Deadline, e.g. `120s`.
    pub timeout: Duration,
    /// A3, and may be left out. A lower one counts as A3; of A4 none is run.
    #[serde(default = "class_of_programs")]
    pub class: Class,
}

/// What every program of a vendor counts as.
const fn class_of_programs() -> Class {
    Class::A3
}

/// Where a version can be read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionSource {
    /// The running agent's health document.
    Health {},
    /// The Debian or RPM package of this name.
    Package(String),
    /// The first word of the first line of a file.
    File(PathBuf),
    /// A program's answer, run by absolute path: the first word that looks like a version.
    Program(Vec<String>),
    /// The site states it under `facts:` in wbd.yaml.
    Setting(String),
}

/// Builds by number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Builds {
    /// Known bad.
    #[serde(default)]
    pub bad: Vec<i64>,
    /// Bad as debug module.
    #[serde(default)]
    pub bad_debug: Vec<i64>,
    /// The first good one.
    #[serde(default)]
    pub fixed_from: Option<i64>,
}

/// When a leaking process may be restarted (local time).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// `HH:MM-HH:MM`; may cross midnight.
    pub window: String,
    /// `HH:MM` of the vendor's documented daily restart, for when samples are too few.
    #[serde(default)]
    pub fallback: Option<String>,
}

/// A service to reach.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// TCP ports that must accept.
    pub ports: Vec<u16>,
    /// Send a ping with a 1000-byte payload.
    #[serde(default)]
    pub ping: bool,
    /// Only for hosts with (`public`) or without (`private`) a public address.
    #[serde(default)]
    pub when: Option<PublicSide>,
    /// The host name of the other side, tried when this one fails. Set by the engine where it is not
    /// known which side this host is on; never written in a profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub alternate: Option<String>,
}

/// Which hosts an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PublicSide {
    /// Hosts with a public address.
    Public,
    /// Hosts without one.
    Private,
}

/// Whether this host has a public address. An EIP is NAT and not visible on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PublicAddress {
    /// It has.
    Yes,
    /// It has not.
    No,
    /// Not known: try both sides, fail only if both fail.
    #[default]
    Auto,
}

/// A length of time written as `500ms`, `10s`, `5m`, `2h` or `1d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, JsonSchema)]
#[serde(into = "String")]
#[schemars(with = "String")]
pub struct Duration {
    ms: u64,
}

/// The longest that can be written: a year of any kind.
const LONGEST: Duration = Duration::from_ms(366 * 86_400_000);

impl Duration {
    /// From milliseconds.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self { ms }
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.ms
    }
}

impl From<Duration> for String {
    fn from(value: Duration) -> Self {
        for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)] {
            if value.ms != 0 && value.ms.is_multiple_of(factor) {
                return format!("{}{unit}", value.ms / factor);
            }
        }
        format!("{}ms", value.ms)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

/// A number alone is told that it wants a unit, and not that it is no text.
impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl de::Visitor<'_> for TimeVisitor {
            type Value = Duration;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time with its unit, such as 500ms, 10s, 5m, 2h or 1d")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Duration, E> {
                Duration::try_from(text.to_owned()).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TimeVisitor)
    }
}

impl TryFrom<String> for Duration {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not a time: write 500ms, 10s, 5m, 2h or 1d");
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refuse()),
        };
        if number.is_empty() {
            return Err(refuse());
        }
        // Digits alone fail only where there are too many of them.
        let ms = number.parse().ok().and_then(|number: u64| number.checked_mul(factor));
        let ms = ms.filter(|ms| *ms <= LONGEST.as_ms());
        ms.map(Self::from_ms).ok_or_else(|| format!("{text:?} is too long a time: write {LONGEST} or less"))
    }
}

/// I16: what no argument of a program may name. `wbdctl` could lift holds and set the ledger aside.
const OURSELVES: [&str; 6] = ["wbd-supervisord", "wbd-inspector", "wbd-actuator", "wbdctl", "var/lib/wbd", "run/wbd"];

/// Whether arguments name the supervisor, its ledger or its command line; a pattern that begins like ours counts.
#[must_use]
pub fn names_ourselves(argv: &[String]) -> bool {
    let names = |argument: &String| OURSELVES.iter().any(|own| argument.contains(own));
    let pattern = |argument: &String| argument.contains("wbd") && argument.contains(['*', '?', '[']);
    argv.iter().any(|argument| names(argument) || pattern(argument))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_back() {
        for text in ["500ms", "10s", "5m", "2h", "1d", "90s"] {
            let time = Duration::try_from(text.to_owned()).unwrap();
            assert_eq!(Duration::try_from(String::from(time)).unwrap(), time, "{text}");
        }
        let why = |text: &str| Duration::try_from(text.to_owned()).expect_err(text);
        for text in ["", "10", "s", "-1s", "1.5s"] {
            assert!(why(text).contains("is not a time: write 500ms, 10s, 5m, 2h or 1d"), "{text}: {}", why(text));
        }
        assert!(Duration::try_from("366d".to_owned()).is_ok());
        for text in ["367d", "99999d", "18446744073709551615d", "99999999999999999999s"] {
            assert!(why(text).ends_with("is too long a time: write 366d or less"), "{text}: {}", why(text));
        }
    }
}

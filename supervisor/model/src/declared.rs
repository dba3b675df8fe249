//! What a declaration says of a parameter that a playbook gives, for probes and actions alike. Reads nothing.

use crate::observation::Kind;

/// One parameter of a probe or an action, as a playbook writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its key.
    pub name: &'static str,
    /// What may stand there.
    pub takes: Takes,
    /// It may not be left out.
    pub required: bool,
    /// What it means.
    pub doc: &'static str,
}

/// What a profile must have for something that does not name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// A health document.
    Health,
    /// Endpoints.
    Endpoints,
}

/// What may stand in the place of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// The role of a process of the profile.
    Process,
    /// The name of a version of the profile.
    Version,
    /// The name of a program of the profile.
    Command,
    /// The item of `each`, an endpoint.
    Endpoint,
    /// The item of `each`, a role.
    Role,
    /// One of these words.
    Word(&'static [&'static str]),
    /// true or false.
    Truth,
    /// A whole number, or an expression that gives one.
    Number,
    /// A service's unit by its name, or an expression that gives it.
    Unit,
}

impl Takes {
    /// The type of its value.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Process
            | Self::Version
            | Self::Command
            | Self::Endpoint
            | Self::Role
            | Self::Word(_)
            | Self::Unit => Kind::Text,
            Self::Truth => Kind::Bool,
            Self::Number => Kind::Int,
        }
    }

    /// The word for it in the forms of the manual: `ROLE`; `None`: its key's own.
    #[must_use]
    const fn form(self) -> Option<&'static str> {
        match self {
            Self::Process => Some("ROLE"),
            Self::Version | Self::Command => Some("NAME"),
            Self::Endpoint => Some("endpoint"),
            Self::Role => Some("role"),
            Self::Truth => Some("BOOL"),
            Self::Word(_) | Self::Number | Self::Unit => None,
        }
    }

    /// What may stand there, in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Process => "a role of the profile".to_owned(),
            Self::Version => "a version of the profile by its name".to_owned(),
            Self::Command => "a program of the profile by its name".to_owned(),
            Self::Endpoint => "the word endpoint".to_owned(),
            Self::Role => "the word role".to_owned(),
            Self::Word(known) => format!("one of {}", known.join(", ")),
            Self::Truth => "true or false".to_owned(),
            Self::Number => "a number or {cel: EXPRESSION}".to_owned(),
            Self::Unit => "a unit's name or {cel: EXPRESSION}".to_owned(),
        }
    }
}

impl Parameter {
    /// A process of the profile, by its role.
    pub const PROCESS: Self = Self {
        name: "process",
        takes: Takes::Process,
        required: true,
        doc: "The process by its role in the profile: `main`.",
    };

    /// `key: {NAME: FORM, ...}`: how a playbook writes it.
    #[must_use]
    pub fn form(key: &str, parameters: &[Self]) -> String {
        let word = |it: &Self| it.takes.form().map_or_else(|| it.name.to_ascii_uppercase(), str::to_owned);
        let all: Vec<String> = parameters.iter().map(|it| format!("{}: {}", it.name, word(it))).collect();
        format!("{key}: {{{}}}", all.join(", "))
    }
}

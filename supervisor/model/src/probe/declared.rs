//! What a declaration says of a probe, and what binding may fill its parameters from. Declares none itself.
use std::collections::BTreeMap;

use crate::declared::{Need, Parameter};
use crate::name::{ProfileName, TargetName};
use crate::observation::{Field, Value};
use crate::profile::{Endpoint, ProcessSelector, ProfileSpec, VersionSource};

/// All that is said once of a probe. Reading, the schema, the types of expressions, the reference and the manual
/// come from here.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// Its name as playbooks spell it.
    pub key: &'static str,
    /// What it asks, in a sentence or two.
    pub asks: &'static str,
    /// What a playbook gives.
    pub parameters: &'static [Parameter],
    /// What the profile must have, beside what the parameters name.
    pub needs: &'static [Need],
    /// Who answers.
    pub answered: Answered,
    /// A playbook for the host may ask it: it needs no profile.
    pub of_host: bool,
    /// It waits for others or reads much, so a proof that is awaited does not ask it again and again.
    pub costly: bool,
    /// The fields of its answer: the contract between probes, expressions, texts and the manual.
    pub fields: &'static [Field],
    /// What makes it, or some of its fields, unknown.
    pub unknown: &'static str,
}

/// Who answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// A look at the host.
    Host,
    /// The ledger.
    Ledger,
    /// The samples.
    Samples,
}

impl Answered {
    /// The sentence that the manual adds where no look answers.
    #[must_use]
    pub const fn note(self) -> Option<&'static str> {
        match self {
            Self::Host => None,
            Self::Ledger => Some("Answered from the ledger, not from the host."),
            Self::Samples => Some("Answered from the samples, not from the host."),
        }
    }
}

/// What a question may be filled in from: the words of the playbook and what they name on this host.
#[derive(Debug, Clone, Copy)]
pub struct Binding<'a> {
    /// The words of the playbook, by parameter.
    pub given: &'a BTreeMap<&'static str, Value>,
    /// The product; `None` for a playbook for the host.
    pub profile: Option<&'a ProfileSpec>,
    /// Whose check it is.
    pub target: &'a TargetName,
    /// The item of `each`.
    pub item: Option<Item<'a>>,
    /// The host names of the endpoints.
    pub host_names: &'a [String],
}

/// One item of `each`.
#[derive(Debug, Clone, Copy)]
pub enum Item<'a> {
    /// A service to reach.
    Endpoint(&'a Endpoint),
    /// A process of a product.
    Role {
        /// The product.
        product: &'a ProfileName,
        /// The process by its role.
        role: &'a str,
    },
}

impl Binding<'_> {
    /// The text that was given for a parameter.
    #[must_use]
    pub fn text(&self, parameter: &str) -> Option<&str> {
        match self.given.get(parameter)? {
            Value::Text(text) => Some(text),
            Value::Bool(_) | Value::Int(_) => None,
        }
    }

    /// The process of the role that was given.
    #[must_use]
    pub fn process(&self, parameter: &str) -> Option<ProcessSelector> {
        self.profile?.process.get(self.text(parameter)?).cloned()
    }

    /// The version of the name that was given.
    #[must_use]
    pub fn version(&self, parameter: &str) -> Option<VersionSource> {
        self.profile?.version.get(self.text(parameter)?).cloned()
    }
}

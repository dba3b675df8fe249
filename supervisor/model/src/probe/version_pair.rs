//! `version.pair`: two versions, compared in their first three parts.
use serde::{Deserialize, Serialize};

use super::declared::{Answered, Binding, Declaration};
use crate::declared::{Parameter, Takes};
use crate::observation::Field;
use crate::profile::VersionSource;

/// Which versions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parameters {
    /// The one that should follow.
    pub left: VersionSource,
    /// The one that leads.
    pub right: VersionSource,
}

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "version.pair",
    asks: "Two versions of the profile by their names, compared in their first three parts.",
    parameters: &[
        Parameter {
            name: "left",
            takes: Takes::Version,
            required: true,
            doc: "The version that should follow, by its name in the profile.",
        },
        Parameter {
            name: "right",
            takes: Takes::Version,
            required: true,
            doc: "The version that leads, by its name in the profile.",
        },
    ],
    needs: &[],
    answered: Answered::Host,
    of_host: false,
    costly: true,
    fields: &[
        Field::text("left", "version that follows", "the one that should follow"),
        Field::text("right", "version that leads", "the one that leads"),
        Field::flag(
            "same3",
            "the first three parts of the versions are equal",
            "the first three parts of the versions differ",
            "the first three parts are equal",
        ),
        Field::flag("equal", "the versions are equal", "the versions differ", "all parts are equal"),
        Field::word(
            "older",
            "which version is older",
            &["left", "right", "none"],
            "left, right or none: which is older in the first three parts",
        ),
    ],
    unknown: "One side where its package is not installed, its file or program cannot be read or run, it shows nothing \
              that looks like a version, or the site did not state it; the comparison where either side is unknown.",
};

pub(super) fn bind(binding: &Binding<'_>) -> Option<Parameters> {
    Some(Parameters { left: binding.version("left")?, right: binding.version("right")? })
}

//! Playbooks, profiles, their tests and the settings: from texts to things known to fit together. Reads no file itself.
mod advice;
mod bind;
mod compile;
mod compiled;
mod document;
mod expressions;
mod faults;
mod given;
mod guide;
mod guide_programs;
mod health;
mod library;
mod load;
mod named;
mod one_or_more;
mod profile;
mod references;
mod regions;
mod schema;
pub mod settings;
mod states;
mod template;
mod test_misfits;
mod test_spec;
mod texts;
mod units;
mod unprovable;

pub use advice::{advice, advice_on_health};
pub use bind::Bound;
pub use compiled::{Case, Explains, Level, Outline, Playbook};
pub use library::Library;
pub use load::load;
pub use schema::schema;
pub use test_spec::PlaybookTest;

pub(crate) use compiled::Step;
pub(crate) use test_spec::{CuredWord, Expectation, Moment, ProfileChoice, Seen, VerdictWord};

#[cfg(test)]
mod hints_tests;
#[cfg(test)]
pub(crate) mod tests;

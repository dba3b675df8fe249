//! What is asked of an action with its values. Answers nothing itself.
use super::declared::{Conflict, Declaration};
use crate::class::Class;

/// The values of one action.
pub(super) trait Does {
    /// What is said of all of its kind.
    fn declaration(&self) -> &'static Declaration;

    /// How much it disturbs.
    fn class(&self) -> Class {
        self.declaration().class
    }

    /// Its one line for people.
    fn describe(&self) -> String;

    /// What may not be acted on by two at once.
    fn conflict(&self) -> Conflict;

    /// What a person types on the machine instead.
    fn typed(&self) -> Option<String> {
        None
    }

    /// What a look at what it would change reads; `None`: nothing that could hang.
    fn reads(&self) -> Option<&str> {
        None
    }

    /// How long what it runs may take by itself, in milliseconds.
    fn takes_ms(&self) -> u64 {
        0
    }
}

//! The languages in which people are told.

/// A language that playbooks may speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Lang {
    /// English; every playbook has it.
    #[default]
    En,
    /// Japanese; English where a playbook has none.
    Ja,
}

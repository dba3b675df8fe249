//! The ledger under a root, opened and verified without the supervisor. Shows nothing.
use std::error::Error;
use std::path::Path;

use wbd_ledger::{Filter, LedgerError, Reader, Verification};
use wbd_model::entry::Entry;
use wbd_model::incident::IncidentId;

use crate::context::Context;
use crate::exit::{Exit, Failure};

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        let exit = match &error {
            LedgerError::Denied { .. } => Exit::NotPermitted,
            LedgerError::Busy { .. } | LedgerError::LockHeld { .. } => Exit::TryAgain,
            LedgerError::ForeignHost { .. }
            | LedgerError::DoesNotVerify { .. }
            | LedgerError::DiskFull { .. }
            | LedgerError::ReadOnly { .. }
            | LedgerError::NotThere { .. }
            | LedgerError::Replaced { .. }
            | LedgerError::Unusable { .. }
            | LedgerError::Io { .. }
            | LedgerError::Database { .. }
            | LedgerError::IntentWithoutPermit
            | LedgerError::TooLarge { .. }
            | LedgerError::Encode { .. }
            | LedgerError::Reserve { .. } => Exit::Failed,
        };
        let source = error.source().map_or_else(String::new, |source| format!(": {source}"));
        Self::new(exit, format!("{error}{source}"))
    }
}

/// Opens the ledger under the root.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn open(context: &Context) -> Result<Reader, LedgerError> {
    Reader::open(&wbd_ledger::state_dir(&context.root))
}

/// The records of one incident.
///
/// # Errors
/// Why they cannot be read.
pub(crate) fn of_incident(context: &Context, id: IncidentId) -> Result<Vec<Entry>, Failure> {
    Ok(open(context)?.entries(&Filter { incident: Some(id.0), ..Filter::default() })?)
}

/// Verifies against the journal's anchors.
///
/// # Errors
/// A ledger that is not there, that this user may not read, or that is no ledger at all.
pub(crate) fn verified_under(root: &Path) -> Result<Verification, LedgerError> {
    let reader = Reader::open(&wbd_ledger::state_dir(root))?;
    reader.verify_against(&wbd_ledger::anchors(root))
}

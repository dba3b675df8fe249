//! What can go wrong with the ledger, told apart by what an operator can do. Recovers from nothing.
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The ledger could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process is the one writer of this state folder.
    #[error("cannot lock ledger folder {path}: {holder} holds it; stop that supervisor first")]
    LockHeld {
        /// The folder.
        path: PathBuf,
        /// `process 123`, or `an unknown process`.
        holder: String,
    },
    /// The ledger was begun on another host (a cloned disk, a copied folder).
    #[error(
        "cannot use ledger {path}: it was begun on another host; set it aside with 'wbdctl ledger rotate --reason ...'"
    )]
    ForeignHost {
        /// The file.
        path: PathBuf,
    },
    /// The chain is broken, or the file is no ledger.
    #[error(
        "cannot trust ledger {path}: record {seq}: {what}; look at 'wbdctl ledger verify', then set it aside with 'wbdctl ledger rotate --reason ...'"
    )]
    DoesNotVerify {
        /// The file.
        path: PathBuf,
        /// The first bad record.
        seq: u64,
        /// What is wrong with it.
        what: String,
    },
    /// No space, or a quota is used up.
    #[error("cannot {operation} ledger {path}: the disk is full; free some space there")]
    DiskFull {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file system or the file may not be written.
    #[error("cannot {operation} ledger {path}: it is read-only here; look at the mount and the file's mode")]
    ReadOnly {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// Somebody else kept the database locked for the whole wait.
    #[error("cannot {operation} ledger {path}: another program keeps it locked; close that program and try again")]
    Busy {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// This process may not read or write it.
    #[error("cannot {operation} ledger {path}: not permitted; run as root, or as the user that runs the supervisor")]
    Denied {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// No ledger has been begun here.
    #[error("cannot read ledger {path}: there is none yet; it is begun when the supervisor first runs")]
    NotThere {
        /// The file.
        path: PathBuf,
    },
    /// The file was removed or replaced while it was in use.
    #[error("cannot append to ledger {path}: the file was removed or replaced; restart the supervisor")]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// It could not be opened, or the fate of its last record is not known.
    #[error("cannot use ledger {path}: {why}; it is tried again, look at 'wbdctl ledger verify'")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The file system refused in another way.
    #[error("cannot {operation} {path}; look at that file system")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// SQLite refused in another way.
    #[error("cannot {operation} ledger {path}; look at 'wbdctl ledger verify'")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: rusqlite::Error,
    },
    /// An intent was handed to `append`: only a permit can become one. A bug.
    #[error("cannot append an intent without a permit; this is a bug in wbd, please report it")]
    IntentWithoutPermit,
    /// One record would be larger than a reader accepts. A bug.
    #[error("cannot append a record of {bytes} bytes (at most {max}); this is a bug in wbd, please report it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A record could not be put into words. A bug.
    #[error("cannot encode a record; this is a bug in wbd, please report it")]
    Encode {
        /// Why.
        source: serde_json::Error,
    },
    /// The reserve holds restarts of the agent only, is used up, or is not needed.
    #[error("cannot use the reserve of restarts: {why}")]
    Reserve {
        /// Why not.
        why: &'static str,
    },
}

impl LedgerError {
    #[expect(clippy::wildcard_enum_match_arm, reason = "std's kinds are open-ended; the source is kept")]
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { operation, path },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { operation, path },
            io::ErrorKind::PermissionDenied => Self::Denied { operation, path },
            _ => Self::Io { operation, path, source },
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "SQLite's codes are open-ended; the source is kept")]
    pub(crate) fn database(operation: &'static str, path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        let Some(code) = source.sqlite_error_code() else {
            return Self::Database { operation, path, source };
        };
        match code {
            ErrorCode::DiskFull => Self::DiskFull { operation, path },
            ErrorCode::ReadOnly => Self::ReadOnly { operation, path },
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Busy { operation, path },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Self::DoesNotVerify { path, seq: 0, what: source.to_string() }
            }
            _ => Self::Database { operation, path, source },
        }
    }
}

/// Samples could not be read or kept. They may be lost: log it and go on.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} samples {path}; trends start anew when the file can be used again")]
pub struct SamplesError {
    pub(crate) operation: &'static str,
    pub(crate) path: PathBuf,
    #[source]
    pub(crate) source: rusqlite::Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_not_read_the_ledger_is_told_who_may() {
        let refused = io::Error::from(io::ErrorKind::PermissionDenied);
        let told = LedgerError::io("read", Path::new("/var/lib/wbd/ledger.db"), refused).to_string();
        assert!(told.ends_with("run as root, or as the user that runs the supervisor"), "{told}");
        assert!(!told.contains("wbd-admin"), "the group may give orders, the file is root's: {told}");
    }

    #[test]
    fn what_an_operator_can_act_on_is_told_apart_and_the_rest_keeps_its_source() {
        let path = Path::new("/var/lib/wbd/ledger.db");
        let of_io = |kind| LedgerError::io("read", path, io::Error::from(kind)).to_string();
        let words = [
            (io::ErrorKind::StorageFull, "the disk is full"),
            (io::ErrorKind::QuotaExceeded, "the disk is full"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only here"),
            (io::ErrorKind::PermissionDenied, "not permitted"),
            (io::ErrorKind::TimedOut, "look at that file system"),
        ];
        for (kind, words) in words {
            assert!(of_io(kind).contains(words), "{kind}: {}", of_io(kind));
        }
        let of_database = |code| {
            let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error { code, extended_code: 0 }, None);
            LedgerError::database("append to", path, source)
        };
        let words = [
            (ErrorCode::DiskFull, "the disk is full"),
            (ErrorCode::ReadOnly, "read-only here"),
            (ErrorCode::DatabaseBusy, "another program keeps it locked"),
            (ErrorCode::DatabaseLocked, "another program keeps it locked"),
            (ErrorCode::DatabaseCorrupt, "cannot trust ledger"),
            (ErrorCode::NotADatabase, "cannot trust ledger"),
        ];
        for (code, words) in words {
            let told = of_database(code).to_string();
            assert!(told.contains(words), "{code:?}: {told}");
        }
        let other = of_database(ErrorCode::OutOfMemory);
        assert!(std::error::Error::source(&other).is_some(), "{other}");
    }
}

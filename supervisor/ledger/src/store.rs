//! The ledger's SQLite file: how it is made, opened and read row by row. Believes nothing it reads.
use std::fs;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use crate::error::LedgerError;
use crate::files;
use crate::record::{Columns, Head, MAX_PAYLOAD_BYTES, Row};

/// Of a file that is there; one thread uses the connection.
pub(crate) const WRITER: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
const READER: OpenFlags = OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);
/// How long a locked database is waited for.
pub(crate) const BUSY: Duration = Duration::from_secs(2);
const SCHEMA_VERSION: &str = "1";
const SCHEMA: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE entry(
  seq INTEGER PRIMARY KEY,  -- gapless
  payload TEXT NOT NULL,    -- JSON: seq, at, subject, body
  prev TEXT NOT NULL,       -- hash of the record before
  hash TEXT NOT NULL,       -- sha256 of prev, a line feed, payload
  time INTEGER NOT NULL,    -- from here on repeated from payload, for queries
  kind TEXT NOT NULL,
  incident INTEGER,
  code TEXT,
  target TEXT
);";
// The daemon has 8 MiB in all. A short write-ahead file also bounds what an unclean end leaves to recover.
pub(crate) const SETTINGS: &str = "PRAGMA cache_size = -256; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;
PRAGMA wal_autocheckpoint = 64; PRAGMA journal_size_limit = 1048576;";
const COLUMNS: &str = "seq, length(CAST(payload AS BLOB)), payload, prev, hash, time, kind, incident, code, target";

/// Which file a path led to; another one in its place is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Makes a new ledger with at most one first record, whole or not at all: `path` never shows a half-made file.
pub(crate) fn create(path: &Path, host: Option<&str>, first: Option<&Row>) -> Result<(), LedgerError> {
    let fresh = files::beside(path, ".new");
    for leftover in
        [fresh.clone(), files::beside(&fresh, "-wal"), files::beside(&fresh, "-shm"), files::beside(&fresh, "-journal")]
    {
        match fs::remove_file(&leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LedgerError::io("remove unfinished", &leftover, error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o640)
        .open(&fresh)
        // Whatever the umask is: one mode for every ledger.
        .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o640)))
        .map_err(|source| LedgerError::io("create", &fresh, source))?;
    fill(&fresh, host, first).map_err(|source| LedgerError::database("create", &fresh, source))?;
    Ok(())
}

/// Puts a file made by [`create`] into its place, over whatever is there.
pub(crate) fn put_in_place(path: &Path) -> Result<(), LedgerError> {
    let fresh = files::beside(path, ".new");
    fs::rename(&fresh, path).map_err(|source| LedgerError::io("put in place", path, source))?;
    let dir = path.parent().unwrap_or(Path::new("/"));
    files::sync_dir(dir).map_err(|source| LedgerError::io("sync folder of", path, source))
}

fn fill(path: &Path, host: Option<&str>, first: Option<&Row>) -> rusqlite::Result<()> {
    let mut connection = Connection::open_with_flags(path, WRITER)?;
    durable(&connection)?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO meta VALUES ('schema', ?1)", [SCHEMA_VERSION])?;
    if let Some(host) = host {
        transaction.execute("INSERT INTO meta VALUES ('host', ?1)", [host])?;
    }
    if let Some(row) = first {
        insert(&transaction, row)?;
    }
    transaction.commit()?;
    // The last close moves everything into the one file and removes the write-ahead files.
    connection.close().map_err(|(_, error)| error)
}

/// EXTRA is FULL in write-ahead mode; where that mode cannot be had (no shared memory on the file system)
/// it also makes the rollback journal's removal durable, without which a commit could come undone.
fn durable(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "synchronous", "EXTRA")?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.execute_batch(SETTINGS)
}

/// Opens an existing ledger for the one writer.
pub(crate) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, WRITER)?;
    keep_helpers(&connection)?;
    durable(&connection)?;
    Ok(connection)
}

/// Leaves the write-ahead files in place at close, for readers who may not make them anew.
pub(crate) fn keep_helpers(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(|_| ())
}

/// Opens an existing ledger for reading only; needs no leave to write the file or its folder.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let opened = Connection::open_with_flags(path, READER).and_then(settle_reader);
    let Err(error) = opened else { return opened };
    let no_helpers = matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
        && !files::beside(path, "-wal").exists();
    if !no_helpers {
        return Err(error);
    }
    // Somebody's last close removed the write-ahead files and we may not make them anew. Then the one
    // file is complete, and nobody has it open.
    let Some(uri) = immutable_uri(path) else {
        return Err(error);
    };
    Connection::open_with_flags(uri, READER.union(OpenFlags::SQLITE_OPEN_URI)).and_then(settle_reader)
}

fn settle_reader(connection: Connection) -> rusqlite::Result<Connection> {
    keep_helpers(&connection)?;
    connection.busy_timeout(BUSY)?;
    connection.execute_batch("PRAGMA cache_size = -256; PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    // The file is opened lazily: ask something that has to read it.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn immutable_uri(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let absolute = if path.is_absolute() { "" } else { "./" };
    let escaped = text.replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    Some(format!("file:{absolute}{escaped}?immutable=1"))
}

/// It is a database, and none of ours or an older one of ours.
pub(crate) fn lacks_table(error: &rusqlite::Error) -> bool {
    error.to_string().contains("no such table")
}

/// The host named at creation; `None` where it had no name.
pub(crate) fn host(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("SELECT value FROM meta WHERE key = 'host'", [], |row| row.get(0)).optional()
}

pub(crate) fn insert(connection: &Connection, row: &Row) -> rusqlite::Result<()> {
    let Columns { time, kind, incident, code, target } = &row.columns;
    let seq = i64::try_from(row.seq).unwrap_or(i64::MAX);
    connection
        .prepare("INSERT INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
        .execute(params![seq, row.payload, row.prev, row.hash, time, kind, incident, code, target])
        .map(|_| ())
}

/// The last record's number and hash as they stand in the file.
pub(crate) fn head(connection: &Connection) -> rusqlite::Result<Option<Head>> {
    connection
        .prepare("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| {
            let seq: i64 = row.get(0)?;
            Ok(Head { seq: u64::try_from(seq).unwrap_or(0), hash: row.get(1)? })
        })
        .optional()
}

/// The query for rows of `entry`, `rest` being what follows FROM. Columns as [`row`] reads them.
pub(crate) fn select(rest: &str) -> String {
    format!("SELECT {COLUMNS} FROM entry {rest}")
}

/// One row of [`select`]; the inner error is about the row's content.
pub(crate) fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Row, BadRow>> {
    let seq: i64 = row.get(0)?;
    let seq = u64::try_from(seq).unwrap_or(0);
    let bytes: i64 = row.get(1).unwrap_or(0);
    if usize::try_from(bytes).is_ok_and(|bytes| bytes > MAX_PAYLOAD_BYTES) {
        return Ok(Err(BadRow { seq, what: format!("its text has {bytes} bytes, more than any record") }));
    }
    Ok(content(row, seq).map_err(|what| BadRow { seq, what }))
}

/// A row whose content is of the wrong kind.
#[derive(Debug)]
pub(crate) struct BadRow {
    pub(crate) seq: u64,
    pub(crate) what: String,
}

fn content(row: &rusqlite::Row<'_>, seq: u64) -> Result<Row, String> {
    let text = |index: usize, name: &str| match row.get_ref(index) {
        Ok(ValueRef::Text(bytes)) => String::from_utf8(bytes.to_vec()).map_err(|_| format!("its {name} is not UTF-8")),
        Ok(ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_)) | Err(_) => {
            Err(format!("its {name} is not text"))
        }
    };
    let optional = |index: usize, name: &str| match row.get_ref(index) {
        Ok(ValueRef::Null) => Ok(None),
        Ok(ValueRef::Text(_) | ValueRef::Integer(_) | ValueRef::Real(_) | ValueRef::Blob(_)) | Err(_) => {
            text(index, name).map(Some)
        }
    };
    Ok(Row {
        seq,
        payload: text(2, "text")?,
        prev: text(3, "link")?,
        hash: text(4, "hash")?,
        columns: Columns {
            time: row.get(5).map_err(|_| "its time is no number".to_owned())?,
            kind: text(6, "kind")?,
            incident: row.get(7).map_err(|_| "its incident is no number".to_owned())?,
            code: optional(8, "code")?,
            target: optional(9, "target")?,
        },
    })
}

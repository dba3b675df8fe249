//! File-descriptor counts over weeks, for trends. Not chained and not dear: a lost or broken file starts anew. Judges no series.
use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};
use wbd_model::sample::{Sample, SegmentId};
use wbd_model::time::Now;

use crate::error::SamplesError;
use crate::{files, store};

/// How many single readings are kept for a segment, so that a young one can be judged within minutes.
pub const RAW_READINGS: usize = 30;
/// How long buckets are kept, in seconds: 28 days.
pub const RETENTION_S: i64 = 28 * 86_400;
const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS segment(id INTEGER PRIMARY KEY, process TEXT NOT NULL, start_ticks INTEGER NOT NULL,
  boot_id TEXT NOT NULL, executable TEXT NOT NULL, UNIQUE(process, start_ticks, boot_id, executable));
CREATE TABLE IF NOT EXISTS bucket(segment INTEGER NOT NULL, at_s INTEGER NOT NULL, min INTEGER NOT NULL,
  max INTEGER NOT NULL, last INTEGER NOT NULL, lim INTEGER NOT NULL, PRIMARY KEY(segment, at_s)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reading(segment INTEGER NOT NULL, at_s INTEGER NOT NULL, open INTEGER NOT NULL,
  lim INTEGER NOT NULL, PRIMARY KEY(segment, at_s)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS clock(boot_id TEXT PRIMARY KEY, base_s INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS confirmed(process TEXT NOT NULL, executable TEXT NOT NULL, at_s INTEGER NOT NULL,
  PRIMARY KEY(process, executable)) WITHOUT ROWID;";

/// Of the answers that are kept beside them.
const ANSWERS: &str = "
CREATE TABLE IF NOT EXISTS run(id INTEGER PRIMARY KEY, boot TEXT NOT NULL, from_ms INTEGER NOT NULL,
  from_wall_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS question(id INTEGER PRIMARY KEY, probe TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS seen(id INTEGER PRIMARY KEY, run INTEGER NOT NULL, question INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, whole INTEGER NOT NULL, facts TEXT NOT NULL);
CREATE VIEW IF NOT EXISTS seen_words AS SELECT
  datetime((from_wall_ms + at_ms - from_ms) / 1000, 'unixepoch') AS utc, probe, whole, facts
  FROM seen JOIN run ON run.id = seen.run JOIN question ON question.id = seen.question ORDER BY seen.id;";

/// The samples of one segment, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    /// Buckets of the length given at opening; the newest may still be growing.
    pub buckets: Vec<Sample>,
    /// The last [`RAW_READINGS`] single readings.
    pub readings: Vec<Sample>,
}

/// The life of a process that was sampled last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Life {
    /// Its executable, as [`SegmentId::executable`].
    pub executable: String,
    /// Buckets, then readings.
    pub samples: Vec<Sample>,
    /// A leak of this executable was confirmed, in this life or an earlier one.
    pub confirmed: bool,
}

/// The samples of one state folder.
#[derive(Debug)]
pub struct Samples {
    path: PathBuf,
    pub(crate) connection: Connection,
    bucket_s: i64,
}

impl Samples {
    /// Opens the samples of a state folder for writing; a file that is broken is removed and begun anew.
    /// `bucket_s` is the length of a bucket in seconds (300 as shipped; at least 1).
    ///
    /// # Errors
    /// [`SamplesError`]: disk full, read-only, not permitted. Go on without.
    pub fn open(state_dir: &Path, bucket_s: i64) -> Result<Self, SamplesError> {
        let path = files::samples_database(state_dir);
        let connection = match writer(&path) {
            Ok(connection) => Ok(connection),
            Err(error) if is_broken(&error) => {
                for suffix in ["", "-wal", "-shm", "-journal"] {
                    let _ = fs::remove_file(files::beside(&path, suffix));
                }
                writer(&path)
            }
            Err(error) => Err(error),
        };
        let connection = connection.map_err(|source| SamplesError { operation: "open", path: path.clone(), source })?;
        Ok(Self { path, connection, bucket_s: bucket_s.max(1) })
    }

    /// Opens them for reading only; writing methods then fail.
    ///
    /// # Errors
    /// [`SamplesError`]: none there, not permitted, broken.
    pub fn open_read_only(state_dir: &Path) -> Result<Self, SamplesError> {
        let path = files::samples_database(state_dir);
        match store::open_reader(&path) {
            Ok(connection) => Ok(Self { path, connection, bucket_s: 1 }),
            Err(source) => Err(SamplesError { operation: "open", path, source }),
        }
    }

    /// The present on the samples' own clock, Unix seconds, which no step of the wall clock moves: the wall clock at the
    /// first question of this boot, going on with the boot's clock; and never before a sample of an earlier boot, however
    /// wrong the wall clock is at a start.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn now_s(&self, now: &Now) -> Result<i64, SamplesError> {
        let boot_s = i64::try_from(now.boot_ms / 1000).unwrap_or(i64::MAX);
        let known = self
            .connection
            .query_row("SELECT base_s FROM clock WHERE boot_id = ?1", [&now.boot.0], |row| row.get(0))
            .optional();
        // A file of an earlier version, opened for reading only, has no such table: then nobody knows better.
        if let Ok(Some(base_s)) = known {
            return Ok(boot_s.saturating_add(base_s));
        }
        let newest_s: Option<i64> = self
            .connection
            .query_row("SELECT max(at_s) FROM bucket", [], |row| row.get(0))
            .map_err(|source| self.failed("read", source))?;
        let now_s = newest_s.map_or(i64::MIN, |newest_s| newest_s.saturating_add(1)).max(now.wall_ms / 1000);
        // Who may only read goes by the same rule, and forgets it.
        let _ = self.connection.execute("DELETE FROM clock", []).and_then(|_| {
            self.connection
                .execute("INSERT INTO clock VALUES (?1, ?2)", params![now.boot.0, now_s.saturating_sub(boot_s)])
        });
        Ok(now_s)
    }

    /// Adds one reading: `open` descriptors at `at_s` (by [`Samples::now_s`]) under the soft limit `limit` (see [`Sample::limit`]).
    ///
    /// # Errors
    /// [`SamplesError`]; the reading is lost.
    pub fn add(&mut self, segment: &SegmentId, at_s: i64, open: u32, limit: u32) -> Result<(), SamplesError> {
        let end_s = at_s.div_euclid(self.bucket_s).saturating_add(1).saturating_mul(self.bucket_s);
        let added = (|| {
            let transaction = self.connection.transaction()?;
            let id = ensure_segment(&transaction, segment)?;
            transaction
                .prepare(
                    "INSERT INTO bucket VALUES (?1, ?2, ?3, ?3, ?3, ?4) ON CONFLICT DO UPDATE SET
                min = min(min, excluded.min), max = max(max, excluded.max), last = excluded.last, lim = excluded.lim",
                )?
                .execute(params![id, end_s, open, limit])?;
            transaction
                .prepare("INSERT OR REPLACE INTO reading VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![id, at_s, open, limit])?;
            transaction
                .prepare(
                    "DELETE FROM reading WHERE segment = ?1 AND at_s NOT IN
                    (SELECT at_s FROM reading WHERE segment = ?1 ORDER BY at_s DESC LIMIT ?2)",
                )?
                .execute(params![id, i64::try_from(RAW_READINGS).unwrap_or(i64::MAX)])?;
            transaction.commit()
        })();
        added.map_err(|source| self.failed("add to", source))
    }

    /// What is kept of a segment; empty for one that is not known.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn series(&self, segment: &SegmentId) -> Result<Series, SamplesError> {
        let read = (|| {
            let Some(id) = find_segment(&self.connection, segment)? else {
                return Ok(Series::default());
            };
            let bucket = |row: &rusqlite::Row<'_>| {
                Ok(Sample {
                    at_s: row.get(0)?,
                    min: row.get(1)?,
                    max: row.get(2)?,
                    last: row.get(3)?,
                    limit: row.get(4)?,
                })
            };
            let mut statement = self
                .connection
                .prepare("SELECT at_s, min, max, last, lim FROM bucket WHERE segment = ?1 ORDER BY at_s")?;
            let buckets = statement.query_map([id], bucket)?.collect::<Result<_, _>>()?;
            let mut statement =
                self.connection.prepare("SELECT at_s, open, lim FROM reading WHERE segment = ?1 ORDER BY at_s")?;
            let readings = statement
                .query_map([id], |row| Ok(Sample::reading(row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<_, _>>()?;
            Ok(Series { buckets, readings })
        })();
        read.map_err(|source| self.failed("read", source))
    }

    /// All that is kept of the last life of a process; `None` if nothing is.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn latest_life(&self, process: &str) -> Result<Option<Life>, SamplesError> {
        let Some(segment) = self.latest_segment(process)? else { return Ok(None) };
        let Series { buckets, readings } = self.series(&segment)?;
        let confirmed = self.confirmed(process, &segment.executable)?;
        let samples = buckets.into_iter().chain(readings).collect();
        Ok(Some(Life { executable: segment.executable, samples, confirmed }))
    }

    /// The segment of a process that was sampled last.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn latest_segment(&self, process: &str) -> Result<Option<SegmentId>, SamplesError> {
        self.connection
            .query_row(
                "SELECT process, start_ticks, boot_id, executable FROM segment JOIN bucket ON bucket.segment = segment.id
                 WHERE process = ?1 ORDER BY at_s DESC, id DESC LIMIT 1",
                [process],
                |row| {
                    let ticks: i64 = row.get(1)?;
                    let start_ticks = u64::try_from(ticks).unwrap_or(0);
                    Ok(SegmentId { process: row.get(0)?, start_ticks, boot_id: row.get(2)?, executable: row.get(3)? })
                },
            )
            .optional()
            .map_err(|source| self.failed("read", source))
    }

    /// Whether a leak of this process was confirmed for this executable.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn confirmed(&self, process: &str, executable: &str) -> Result<bool, SamplesError> {
        self.connection
            .query_row("SELECT 1 FROM confirmed WHERE process = ?1 AND executable = ?2", [process, executable], |_| {
                Ok(())
            })
            .optional()
            .map(|found| found.is_some())
            .map_err(|source| self.failed("read", source))
    }

    /// Remembers that a leak was confirmed, for later segments of the same executable.
    ///
    /// # Errors
    /// [`SamplesError`]; it is then not remembered.
    pub fn mark_confirmed(&mut self, process: &str, executable: &str, at_s: i64) -> Result<(), SamplesError> {
        self.connection
            .execute("INSERT OR REPLACE INTO confirmed VALUES (?1, ?2, ?3)", params![process, executable, at_s])
            .map(|_| ())
            .map_err(|source| self.failed("add to", source))
    }

    /// Drops what is older than 28 days and more than 28 days' worth of a process, and segments without any. (By the clock
    /// alone, a host that starts with a wrong one would lose everything.)
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn prune(&mut self, now_s: i64) -> Result<(), SamplesError> {
        let oldest = now_s.saturating_sub(RETENTION_S);
        let most = RETENTION_S / self.bucket_s;
        let pruned = (|| {
            let transaction = self.connection.transaction()?;
            transaction.execute(
                "DELETE FROM bucket WHERE at_s < ?1 AND (segment, at_s) IN (SELECT segment, at_s FROM
                (SELECT segment, at_s, row_number() OVER (PARTITION BY process ORDER BY at_s DESC) AS number
                 FROM bucket JOIN segment ON segment.id = bucket.segment) WHERE number > ?2)",
                [oldest, most],
            )?;
            transaction.execute("DELETE FROM segment WHERE id NOT IN (SELECT segment FROM bucket)", [])?;
            transaction.execute("DELETE FROM reading WHERE segment NOT IN (SELECT id FROM segment)", [])?;
            transaction.commit()
        })();
        pruned.map_err(|source| self.failed("prune", source))
    }

    pub(crate) fn failed(&self, operation: &'static str, source: rusqlite::Error) -> SamplesError {
        SamplesError { operation, path: self.path.clone(), source }
    }
}

fn writer(path: &Path) -> rusqlite::Result<Connection> {
    if !path.exists() {
        // SQLite would make it with the umask's mode. If this fails, opening says why.
        let _ = fs::File::options()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(path)
            .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o640)));
    }
    let connection = Connection::open_with_flags(path, store::WRITER.union(OpenFlags::SQLITE_OPEN_CREATE))?;
    store::keep_helpers(&connection)?;
    connection.busy_timeout(store::BUSY)?;
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(store::SETTINGS)?;
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(ANSWERS)?;
    Ok(connection)
}

fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::Unknown)
    )
}

fn find_segment(connection: &Connection, segment: &SegmentId) -> rusqlite::Result<Option<i64>> {
    let SegmentId { process, start_ticks, boot_id, executable } = segment;
    connection
        .prepare("SELECT id FROM segment WHERE process = ?1 AND start_ticks = ?2 AND boot_id = ?3 AND executable = ?4")?
        .query_row(params![process, ticks(*start_ticks), boot_id, executable], |row| row.get(0))
        .optional()
}

fn ensure_segment(connection: &Connection, segment: &SegmentId) -> rusqlite::Result<i64> {
    if let Some(id) = find_segment(connection, segment)? {
        return Ok(id);
    }
    let SegmentId { process, start_ticks, boot_id, executable } = segment;
    connection
        .prepare("INSERT INTO segment(process, start_ticks, boot_id, executable) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![process, ticks(*start_ticks), boot_id, executable])?;
    Ok(connection.last_insert_rowid())
}

fn ticks(start_ticks: u64) -> i64 {
    i64::try_from(start_ticks).unwrap_or(i64::MAX)
}

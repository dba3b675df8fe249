//! Reads the ledger without being its writer: queries and verification. Needs no daemon and no privilege beyond reading the file.
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use wbd_model::catalogue;
use wbd_model::entry::Entry;

use crate::anchor::Anchors;
use crate::error::LedgerError;
use crate::verify::{self, Verification};
use crate::{files, record, store};

/// Which records; the default is all of them, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only records after this one.
    pub after_seq: Option<u64>,
    /// Only records from this moment on, as Unix time in milliseconds.
    pub since_wall_ms: Option<i64>,
    /// Only these kinds ([`wbd_model::entry::Body::kind`]); empty: all.
    pub kinds: Vec<String>,
    /// Only of this incident.
    pub incident: Option<u64>,
    /// Only of this failure (`WBD-5404`), under whichever of its codes it was written.
    pub code: Option<String>,
    /// Only of this target.
    pub target: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
    /// With `limit`: the last ones instead of the first ones. The order stays oldest first.
    pub last: bool,
}

/// A ledger opened for reading.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

impl Reader {
    /// Opens the ledger of a state folder.
    ///
    /// # Errors
    /// [`LedgerError`]: not there, not permitted, locked for more than 2 s, or no database at all.
    pub fn open(state_dir: &Path) -> Result<Self, LedgerError> {
        let path = files::database(state_dir);
        match std::fs::File::open(&path) {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(LedgerError::NotThere { path });
            }
            Err(error) => return Err(LedgerError::io("read", &path, error)),
        }
        let connection = store::open_reader(&path).map_err(|source| LedgerError::database("open", &path, source))?;
        Ok(Self { path, connection })
    }

    /// The records that fit, oldest first.
    ///
    /// # Errors
    /// [`LedgerError::DoesNotVerify`] at the first one that is not a record by itself; locked, damaged.
    pub fn entries(&self, filter: &Filter) -> Result<Vec<Entry>, LedgerError> {
        let mut entries = Vec::new();
        self.each(filter, |entry| {
            entries.push(entry);
            ControlFlow::Continue(())
        })?;
        Ok(entries)
    }

    /// Hands over the records that fit one by one, so that a long ledger needs no memory.
    ///
    /// # Errors
    /// As [`Reader::entries`].
    pub fn each(&self, filter: &Filter, take: impl FnMut(Entry) -> ControlFlow<()>) -> Result<(), LedgerError> {
        each(&self.connection, &self.path, filter, take)
    }

    /// Hands over text, link and hash of each record from a moment (Unix milliseconds) on, oldest first.
    pub(crate) fn each_text<E: From<LedgerError>>(
        &self,
        since: Option<i64>,
        mut take: impl FnMut(String, String, String) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| LedgerError::database("read", &self.path, source);
        let clause = "WHERE seq >= (SELECT min(seq) FROM entry WHERE time >= ?) ORDER BY seq";
        let mut statement = self.connection.prepare(&store::select(clause)).map_err(failed)?;
        let mut rows = statement.query([since.unwrap_or(i64::MIN)]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let bad = |seq, what| LedgerError::DoesNotVerify { path: self.path.clone(), seq, what };
            let row = store::row(row).map_err(failed)?.map_err(|row| bad(row.seq, row.what))?;
            take(row.payload, row.prev, row.hash)?;
        }
        Ok(())
    }

    /// Walks the whole chain.
    ///
    /// # Errors
    /// Only what has nothing to do with the content: locked, not permitted. A bad ledger is an answer.
    pub fn verify(&self) -> Result<Verification, LedgerError> {
        self.verify_against(&Anchors::default())
    }

    /// Walks the whole chain and compares it with every head the journal has seen.
    ///
    /// # Errors
    /// As [`Reader::verify`].
    pub fn verify_against(&self, anchors: &Anchors) -> Result<Verification, LedgerError> {
        verify::walk(&self.connection, &self.path, anchors)
    }

    /// Whether it was begun on another host than `host` ([`crate::host_id`]); a name that is missing proves nothing.
    #[must_use]
    pub fn is_foreign(&self, host: Option<&str>) -> bool {
        let begun_on = store::host(&self.connection).ok().flatten();
        begun_on.zip(host).is_some_and(|(begun_on, host)| begun_on != host)
    }

    /// The last record's number and hash as they stand in the file, unverified.
    ///
    /// # Errors
    /// [`LedgerError`]: locked, damaged.
    pub fn head(&self) -> Result<Option<(u64, String)>, LedgerError> {
        let head = store::head(&self.connection).map_err(|source| LedgerError::database("read", &self.path, source))?;
        Ok(head.map(|head| (head.seq, head.hash)))
    }
}

pub(crate) fn each(
    connection: &Connection,
    path: &Path,
    filter: &Filter,
    mut take: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::database("read", path, source);
    let (clause, values) = clause(filter);
    let mut statement = connection.prepare(&store::select(&clause)).map_err(failed)?;
    let mut rows = statement.query(params_from_iter(values)).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let bad = |seq, what| LedgerError::DoesNotVerify { path: path.to_path_buf(), seq, what };
        let row = store::row(row).map_err(failed)?.map_err(|row| bad(row.seq, row.what))?;
        let seq = row.seq;
        let entry = record::read(row).map_err(|what| bad(seq, what))?;
        if take(entry).is_break() {
            break;
        }
    }
    Ok(())
}

fn clause(filter: &Filter) -> (String, Vec<Value>) {
    let Filter { after_seq, since_wall_ms, kinds, incident, code, target, limit, last } = filter;
    let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
    let mut conditions = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut equal = |column: &str, operator: &str, value: Option<Value>| {
        if let Some(value) = value {
            conditions.push(format!("{column} {operator} ?"));
            values.push(value);
        }
    };
    equal("seq", ">", after_seq.map(number));
    equal("time", ">=", since_wall_ms.map(Value::Integer));
    equal("incident", "=", incident.map(number));
    equal("target", "=", target.clone().map(Value::Text));
    let mut one_of = |column: &str, wanted: &[String]| {
        if !wanted.is_empty() {
            conditions.push(format!("{column} IN ({})", vec!["?"; wanted.len()].join(", ")));
            values.extend(wanted.iter().cloned().map(Value::Text));
        }
    };
    one_of("kind", kinds);
    let codes = code.iter().flat_map(|code| catalogue::names(code)).map(str::to_owned).collect::<Vec<String>>();
    one_of("code", &codes);
    let wanted = conditions.join(" AND ");
    let Some(limit) = limit else {
        return (format!("WHERE {wanted} ORDER BY seq"), values);
    };
    values.push(Value::Integer(i64::try_from(*limit).unwrap_or(i64::MAX)));
    if *last {
        // Chosen newest first, shown oldest first.
        (format!("WHERE seq IN (SELECT seq FROM entry WHERE {wanted} ORDER BY seq DESC LIMIT ?) ORDER BY seq"), values)
    } else {
        (format!("WHERE {wanted} ORDER BY seq LIMIT ?"), values)
    }
}

//! The one writer of a ledger: appends, and turns a permit into a recorded intent. Judges no action.
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};
use wbd_engine::guard::Permit;
use wbd_model::entry::{Body, Entry, Intent, Subject};
use wbd_model::incident::IncidentId;
use wbd_model::text::chain;
use wbd_model::time::Now;

use crate::anchor::Anchors;
use crate::error::LedgerError;
use crate::files;
use crate::lock::Lock;
use crate::reader::{self, Filter};
use crate::record::{self, Head, Row};
use crate::recorded::Recorded;
use crate::reserve::{self, Reserve, ReservedIntent};
use crate::rotate::{self, Rotation};
use crate::store::{self, FileId};
use crate::verify::{self, BadRecord, Verification};

const ROTATE_AT_BYTES: u64 = 64 << 20;
const ROTATE_AFTER_MS: i64 = 365 * 86_400_000;

/// Whether the ledger can be relied on. In all but the first case nothing can be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It verifies and can be written.
    Sound,
    /// It was begun on another host.
    Foreign,
    /// It does not verify.
    Broken(BadRecord),
    /// It could not be opened, was removed, or the fate of its last record is not known. [`Ledger::reopen`] tries
    /// again.
    Unusable(String),
}

/// The ledger as its one writer holds it. The lock is kept whatever the standing, so that nobody else acts.
#[derive(Debug)]
pub struct Ledger {
    dir: PathBuf,
    path: PathBuf,
    host: Option<String>,
    _lock: Lock,
    connection: Option<Connection>,
    file: Option<FileId>,
    head: Head,
    standing: Standing,
    verification: Verification,
    reserve: Reserve,
    anchors: Anchors,
    /// What a failed append tried to write: it may or may not be in the file.
    doubtful: Option<Head>,
}

impl Ledger {
    /// Takes the lock of a state folder, opens its ledger (beginning one if there is none) and walks the
    /// whole chain. `host` is [`crate::host_id`], `anchors` are [`crate::anchors`]. Read the state from
    /// [`Ledger::each`] afterwards; then take in what the reserve holds ([`Ledger::adopt_reserve`]).
    ///
    /// # Errors
    /// [`LedgerError::LockHeld`] when another supervisor runs on this folder, or the folder or the lock
    /// cannot be made. A ledger that is broken, foreign or unusable is no error here: see [`Ledger::standing`].
    pub fn open(state_dir: &Path, host: Option<&str>, anchors: &Anchors) -> Result<Self, LedgerError> {
        let lock = Lock::take(state_dir)?;
        let mut ledger = Self {
            dir: state_dir.to_path_buf(),
            path: files::database(state_dir),
            host: host.map(str::to_owned),
            _lock: lock,
            connection: None,
            file: None,
            head: Head::none(),
            standing: Standing::Unusable("it was not opened yet".to_owned()),
            verification: Verification::unreadable(String::new(), 0),
            reserve: Reserve::open(state_dir),
            anchors: Anchors::default(),
            doubtful: None,
        };
        ledger.reopen(anchors);
        Ok(ledger)
    }

    /// Opens and verifies it anew. When this makes it sound, the state must be read from it again.
    pub fn reopen(&mut self, anchors: &Anchors) -> &Standing {
        self.connection = None;
        self.doubtful = None;
        self.anchors = anchors.clone();
        self.standing = match self.load(anchors) {
            Ok(standing) => standing,
            Err(LedgerError::DoesNotVerify { seq, what, .. }) => {
                self.verification = Verification::unreadable(what.clone(), 0);
                Standing::Broken(BadRecord { seq, what })
            }
            Err(error) => Standing::Unusable(chain(&error)),
        };
        if self.standing == Standing::Sound {
            self.reserve.make(&self.dir);
        }
        &self.standing
    }

    fn load(&mut self, anchors: &Anchors) -> Result<Standing, LedgerError> {
        if std::fs::symlink_metadata(&self.path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            store::create(&self.path, self.host.as_deref(), None)?;
            store::put_in_place(&self.path)?;
        }
        let failed = |operation| move |source| (operation, source);
        let opened = || -> Result<(Connection, Option<String>), (&'static str, rusqlite::Error)> {
            let connection = store::open_writer(&self.path).map_err(failed("open"))?;
            let host = store::host(&connection).map_err(failed("read"))?;
            Ok((connection, host))
        };
        let (connection, host) = opened().map_err(|(operation, source)| no_ledger(operation, &self.path, source))?;
        self.file = FileId::of(&self.path);
        self.verification = verify::walk(&connection, &self.path, anchors)?;
        let (seq, hash) = self.verification.head.clone().unwrap_or((0, Head::none().hash));
        self.head = Head { seq, hash };
        self.connection = Some(connection);
        // A name that is missing on either side proves nothing.
        if host.is_some() && self.host.is_some() && host != self.host {
            return Ok(Standing::Foreign);
        }
        Ok(match &self.verification.problem {
            Some(problem) => Standing::Broken(problem.clone()),
            None => Standing::Sound,
        })
    }

    /// Its disk is known not to take writes: nothing is appended before [`Ledger::reopen`] finds it good again.
    pub fn distrust(&mut self, why: &str) {
        if self.standing == Standing::Sound {
            self.standing = Standing::Unusable(why.to_owned());
        }
    }

    /// Where restarts from the reserve are marked when the disk cannot even keep a mark: a folder that lives until
    /// the next boot. Only a reserve that was set aside in this boot is marked there, so that a reboot grants no more.
    pub fn mark_reserve_in(&mut self, run_dir: &Path) {
        self.reserve.mark_in(run_dir, &self.dir);
    }

    /// What was done from the reserve and is not in the ledger yet.
    #[must_use]
    pub fn reserved(&self) -> Vec<ReservedIntent> {
        self.reserve.used(&self.dir)
    }

    /// Whether it can be relied on.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What the walk at the last opening found.
    #[must_use]
    pub fn verification(&self) -> &Verification {
        &self.verification
    }

    /// The last record: number and hash, for the anchor. `None` when nothing is in it.
    #[must_use]
    pub fn head(&self) -> Option<(u64, &str)> {
        (self.head.seq > 0).then_some((self.head.seq, self.head.hash.as_str()))
    }

    /// Appends one record; it is on disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError::IntentWithoutPermit`] for an intent; the standing, if it is not sound; disk full, read-only,
    /// busy. After an error the record is not part of the state.
    pub fn append(&mut self, at: &Now, subject: Subject, body: Body) -> Result<Entry, LedgerError> {
        if body.is_intent() {
            return Err(LedgerError::IntentWithoutPermit);
        }
        self.write(at, subject, body)
    }

    /// Appends several records as one: all of them or none, and one wait for the disk.
    ///
    /// # Errors
    /// As [`Ledger::append`].
    pub fn append_all(&mut self, at: &Now, records: Vec<(Subject, Body)>) -> Result<Vec<Entry>, LedgerError> {
        if records.iter().any(|(_, body)| body.is_intent()) {
            return Err(LedgerError::IntentWithoutPermit);
        }
        self.write_all(at, records)
    }

    /// Puts the intent of a permitted action on disk; only what this returns can act.
    ///
    /// # Errors
    /// As [`Ledger::append`]; the permit is spent, nothing may be done.
    pub fn record(&mut self, permit: Permit, at: &Now) -> Result<Recorded, LedgerError> {
        let (subject, intent) = permit.into_parts();
        self.write_intent(subject, intent, at)
    }

    pub(crate) fn write_intent(&mut self, subject: Subject, intent: Intent, at: &Now) -> Result<Recorded, LedgerError> {
        let body = Body::Intent(Box::new(intent.clone()));
        let entry = self.write(at, subject, body)?;
        Ok(Recorded::new(entry, intent))
    }

    /// Puts a restart of the agent into the reserve: the one thing left when the ledger cannot be written
    /// or does not verify. Two of them, on disk beforehand, so that a full disk does not matter.
    ///
    /// # Errors
    /// [`LedgerError::Reserve`]: another action, used up, or the ledger works. The permit is spent.
    pub fn record_in_reserve(&mut self, permit: Permit, at: &Now) -> Result<Recorded, LedgerError> {
        let (subject, intent) = permit.into_parts();
        self.reserve_intent(subject, intent, at)
    }

    pub(crate) fn reserve_intent(
        &mut self,
        subject: Subject,
        intent: Intent,
        at: &Now,
    ) -> Result<Recorded, LedgerError> {
        if self.standing == Standing::Sound && self.doubtful.is_none() {
            return Err(LedgerError::Reserve { why: "the ledger works" });
        }
        self.reserve.take(at, subject, intent)
    }

    /// How many restarts the reserve still holds.
    #[must_use]
    pub fn reserve_left(&self) -> usize {
        self.reserve.left()
    }

    /// Appends what an earlier process did from the reserve, with the outcome unknown; returns it, to be applied to the
    /// state. What `waiting` holds is this process's own and follows by [`Ledger::append_reserved`], among the records
    /// that it was made between. `is_open`: the chain knows the incident; one that was opened in the lost memory only
    /// is nobody's.
    ///
    /// # Errors
    /// As [`Ledger::append`]; the reserve then stays as it is.
    pub fn adopt_reserve(
        &mut self,
        at: &Now,
        waiting: &[Intent],
        is_open: impl Fn(IncidentId) -> bool,
    ) -> Result<Vec<Entry>, LedgerError> {
        let used: Vec<_> =
            self.reserve.used(&self.dir).into_iter().filter(|used| !waiting.contains(&used.intent)).collect();
        if used.is_empty() {
            return Ok(Vec::new());
        }
        // A crash after the append and before the slots were cleared must not count a restart twice.
        let known = self.among(|intent| used.iter().any(|used| used.intent == *intent))?;
        self.write_all(at, reserve::adoption(used, &known, is_open))
    }

    /// Appends a restart that this process took from the reserve, at its own moment. `None`: the chain holds it
    /// already.
    ///
    /// # Errors
    /// As [`Ledger::append`]; [`LedgerError::IntentWithoutPermit`] for what does not stand in the reserve.
    pub fn append_reserved(
        &mut self,
        at: &Now,
        subject: Subject,
        intent: Intent,
    ) -> Result<Option<Entry>, LedgerError> {
        if !self.reserve.used(&self.dir).iter().any(|used| used.intent == intent) {
            return Err(LedgerError::IntentWithoutPermit);
        }
        if !self.among(|known| *known == intent)?.is_empty() {
            return Ok(None);
        }
        self.write(at, subject, Body::Intent(Box::new(intent))).map(Some)
    }

    /// Sets the reserve aside anew, for this boot: everything that was taken from it is in the chain.
    pub fn refill_reserve(&mut self, at: &Now) {
        self.reserve.refill(&self.dir, &at.boot);
    }

    fn among(&self, wanted: impl Fn(&Intent) -> bool) -> Result<Vec<Intent>, LedgerError> {
        let mut found = Vec::new();
        let kinds = vec!["intent".to_owned()];
        self.each(&Filter { kinds, ..Filter::default() }, |entry| {
            if let Body::Intent(intent) = entry.body
                && wanted(&intent)
            {
                found.push(*intent);
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Hands over the records that fit one by one, oldest first.
    ///
    /// # Errors
    /// The standing, if there is nothing to read; [`LedgerError::DoesNotVerify`] at a record that is none.
    pub fn each(&self, filter: &Filter, take: impl FnMut(Entry) -> ControlFlow<()>) -> Result<(), LedgerError> {
        let connection = self.connection.as_ref().ok_or_else(|| self.refusal())?;
        reader::each(connection, &self.path, filter, take)
    }

    /// Why it is time to begin a new file, if it is: 64 MiB or a year.
    #[must_use]
    pub fn rotation_due(&self, at: &Now) -> Option<&'static str> {
        if std::fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() >= ROTATE_AT_BYTES) {
            return Some("it has reached 64 MiB");
        }
        let mut begun = None;
        self.each(&Filter::default(), |entry| {
            begun = Some(entry.at.wall_ms);
            ControlFlow::Break(())
        })
        .ok()?;
        (at.wall_ms.saturating_sub(begun?) >= ROTATE_AFTER_MS).then_some("it is a year old")
    }

    /// Sets the file aside and begins a new one whose first record names the old head; sound afterwards.
    /// Returns that record. The state must be read again from the new file.
    ///
    /// # Errors
    /// [`LedgerError`]: disk full, read-only and so on; the old file then stands as before.
    pub fn rotate(&mut self, at: &Now, rotation: &Rotation) -> Result<Entry, LedgerError> {
        let mut rotation = rotation.clone();
        rotation.anchor = rotation.anchor.or_else(|| self.anchors.newest().cloned());
        let entry = rotate::set_aside(&self.path, self.host.as_deref(), at, &rotation, self.connection.take());
        // The anchors again: a rotation that failed must not make a cut-off ledger look whole.
        let anchors = std::mem::take(&mut self.anchors);
        self.reopen(&anchors);
        entry
    }

    fn write(&mut self, at: &Now, subject: Subject, body: Body) -> Result<Entry, LedgerError> {
        let (entry, row) = record::follow(&self.head, at, subject, body)?;
        self.keep(&[row])?;
        Ok(entry)
    }

    fn write_all(&mut self, at: &Now, records: Vec<(Subject, Body)>) -> Result<Vec<Entry>, LedgerError> {
        let mut head = self.head.clone();
        let (mut entries, mut rows) = (Vec::new(), Vec::new());
        for (subject, body) in records {
            let (entry, row) = record::follow(&head, at, subject, body)?;
            head = row.head();
            entries.push(entry);
            rows.push(row);
        }
        self.keep(&rows)?;
        Ok(entries)
    }

    fn keep(&mut self, rows: &[Row]) -> Result<(), LedgerError> {
        if self.standing != Standing::Sound {
            return Err(self.refusal());
        }
        let head = rows.last().map_or_else(|| self.head.clone(), Row::head);
        if let Err(error) = self.commit(rows) {
            self.doubtful = Some(head);
            return Err(error);
        }
        self.head = head;
        self.doubtful = None;
        Ok(())
    }

    fn commit(&mut self, rows: &[Row]) -> Result<(), LedgerError> {
        if FileId::of(&self.path) != self.file {
            self.standing = Standing::Unusable("the file was removed or replaced while it was in use".to_owned());
            return Err(LedgerError::Replaced { path: self.path.clone() });
        }
        let Some(connection) = self.connection.as_mut() else {
            return Err(self.refusal());
        };
        let failed = |source| LedgerError::database("append to", &self.path, source);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found = store::head(&transaction).map_err(failed)?.unwrap_or_else(Head::none);
        if found != self.head {
            // A commit whose reply was an error may have been one all the same: read it again, blame nobody.
            self.standing = if self.doubtful.as_ref() == Some(&found) {
                Standing::Unusable("the fate of its last record was not known".to_owned())
            } else {
                let what = "the ledger's end was changed while it was in use".to_owned();
                Standing::Broken(BadRecord { seq: found.seq.min(self.head.seq), what })
            };
            drop(transaction);
            return Err(self.refusal());
        }
        for row in rows {
            store::insert(&transaction, row).map_err(failed)?;
        }
        transaction.commit().map_err(failed)
    }

    fn refusal(&self) -> LedgerError {
        let path = self.path.clone();
        match &self.standing {
            Standing::Foreign => LedgerError::ForeignHost { path },
            Standing::Broken(bad) => LedgerError::DoesNotVerify { path, seq: bad.seq, what: bad.what.clone() },
            Standing::Unusable(why) => LedgerError::Unusable { path, why: why.clone() },
            Standing::Sound => LedgerError::Unusable { path, why: "it is not open".to_owned() },
        }
    }

    #[cfg(test)]
    pub(crate) fn connection(&self) -> &Connection {
        self.connection.as_ref().unwrap()
    }
}

/// A database without our tables is no ledger; that needs a person, not another try.
fn no_ledger(operation: &'static str, path: &Path, source: rusqlite::Error) -> LedgerError {
    if store::lacks_table(&source) {
        return LedgerError::DoesNotVerify {
            path: path.to_path_buf(),
            seq: 0,
            what: "the file is no ledger".to_owned(),
        };
    }
    LedgerError::database(operation, path, source)
}

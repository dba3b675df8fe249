//! One record as stored text, its hash, and the columns repeated for queries. Pure; touches no file.
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::time::Now;

use crate::error::LedgerError;
use crate::files::hex;

/// `prev` of the very first record, and the head of a ledger that could not be read.
pub(crate) const NO_HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Evidence is bounded long before; a reader needs a bound of its own against a hostile file.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 1 << 20;

#[derive(Serialize)]
struct PayloadRef<'a> {
    seq: u64,
    at: &'a Now,
    subject: &'a Subject,
    body: &'a Body,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    seq: u64,
    at: Now,
    subject: Subject,
    body: Body,
}

/// A position in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) seq: u64,
    pub(crate) hash: String,
}

impl Head {
    pub(crate) fn none() -> Self {
        Self { seq: 0, hash: NO_HASH.to_owned() }
    }
}

/// A row as it stands in the file, before anything about it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) seq: u64,
    pub(crate) payload: String,
    pub(crate) prev: String,
    pub(crate) hash: String,
    pub(crate) columns: Columns,
}

impl Row {
    pub(crate) fn head(&self) -> Head {
        Head { seq: self.seq, hash: self.hash.clone() }
    }
}

/// What queries look at. Repeats the payload; `verify` compares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) time: i64,
    pub(crate) kind: String,
    pub(crate) incident: Option<i64>,
    pub(crate) code: Option<String>,
    pub(crate) target: Option<String>,
}

impl Columns {
    fn of(entry: &Entry) -> Self {
        Self {
            time: entry.at.wall_ms,
            kind: entry.body.kind().to_owned(),
            incident: entry.subject.incident.and_then(|id| i64::try_from(id.0).ok()),
            code: entry.subject.code.as_ref().map(|code| code.as_str().to_owned()),
            target: entry.subject.target.as_ref().map(|target| target.as_str().to_owned()),
        }
    }
}

/// The record that follows `head`, with the text to store.
pub(crate) fn follow(head: &Head, at: &Now, subject: Subject, body: Body) -> Result<(Entry, Row), LedgerError> {
    let seq = head.seq + 1;
    let payload = serde_json::to_string(&PayloadRef { seq, at, subject: &subject, body: &body })
        .map_err(|source| LedgerError::Encode { source })?;
    if payload.len() > MAX_PAYLOAD_BYTES {
        return Err(LedgerError::TooLarge { bytes: payload.len(), max: MAX_PAYLOAD_BYTES });
    }
    let hash = chain_hash(&head.hash, &payload);
    let entry = Entry { seq, at: at.clone(), subject, body, prev: head.hash.clone(), hash: hash.clone() };
    let columns = Columns::of(&entry);
    let row = Row { seq, payload, prev: head.hash.clone(), hash, columns };
    Ok((entry, row))
}

/// The record in a row, if it is one by itself: text, own hash, own number, columns. Its place in the
/// chain is the caller's to check.
pub(crate) fn read(row: Row) -> Result<Entry, String> {
    let Row { seq, payload, prev, hash, columns } = row;
    let entry = read_text(Some(seq), &payload, prev, hash)?;
    if Columns::of(&entry) != columns {
        return Err("the columns used for queries do not repeat its text: edited".to_owned());
    }
    Ok(entry)
}

/// The record in a text with its link and its hash; `place` is the number that it should have.
pub(crate) fn read_text(place: Option<u64>, text: &str, prev: String, hash: String) -> Result<Entry, String> {
    let payload: Payload = match serde_json::from_str(text) {
        Ok(payload) => payload,
        Err(error) if chain_hash(&prev, text) == hash => {
            return Err(format!("its text is no record this version knows: {error}"));
        }
        Err(_) => return Err("its text was edited".to_owned()),
    };
    if place.is_some_and(|place| place != payload.seq) {
        return Err(format!("record {} stands in its place: swapped, moved or edited", payload.seq));
    }
    if chain_hash(&prev, text) != hash {
        return Err("its text, its hash or its link was edited".to_owned());
    }
    let Payload { seq, at, subject, body } = payload;
    Ok(Entry { seq, at, subject, body, prev, hash })
}

fn chain_hash(prev: &str, payload: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(prev);
    hasher.update("\n");
    hasher.update(payload);
    hex(&hasher.finalize())
}

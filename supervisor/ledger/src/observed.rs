//! What probes answered over weeks, kept beside the samples so that a playbook can be rehearsed on it later. Not chained
//! and not dear: a lost row only makes a rehearsal say "unknown". Judges nothing.
//!
//! A row holds the facts of one answer that differ from the row before it; once a day, and at the start of each run,
//! it holds all of them, so that old rows can go. By hand: `sqlite3 samples.db "SELECT * FROM seen_words"`.
use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Map, Value as Json};
use wbd_model::observation::{Fact, Kind, Value};
use wbd_model::observed::{Change, Observed, Run};
use wbd_model::probe::Probe;
use wbd_model::sample::{Sample, SegmentId};
use wbd_model::time::{BootId, Now};

use crate::error::SamplesError;
use crate::samples::{RETENTION_S, Samples};
use crate::store;

/// Space that the samples' file may take, bytes: when it is used up the oldest answers go first.
pub const MAX_BYTES: i64 = 16 << 20;
/// A longer text is not kept, in characters.
const MAX_TEXT: usize = 1024;
/// A part of the rows that goes when there is no room, as a divisor.
const PART: i64 = 10;

/// One answer to keep.
#[derive(Debug)]
pub struct Answer {
    /// The question.
    pub probe: Probe,
    /// These are all facts, and not only those that changed.
    pub whole: bool,
    /// The facts.
    pub facts: BTreeMap<String, Fact>,
}

impl Samples {
    /// Begins a life of the supervisor; gives its number.
    ///
    /// # Errors
    /// [`SamplesError`]; nothing can then be kept of this run.
    pub fn begin_run(&mut self, at: &Now) -> Result<i64, SamplesError> {
        let from_ms = number(at.boot_ms);
        self.connection
            .execute(
                "INSERT INTO run(boot, from_ms, from_wall_ms, until_ms) VALUES (?1, ?2, ?3, ?2)",
                params![at.boot.0, from_ms, at.wall_ms],
            )
            .map(|_| self.connection.last_insert_rowid())
            .map_err(|source| self.failed("add to", source))
    }

    /// Keeps answers of a run that was seen at `at_ms` (milliseconds of its boot), and that the run still looks.
    ///
    /// # Errors
    /// [`SamplesError`]; the answers are lost.
    pub fn keep_answers(&mut self, run: i64, at_ms: u64, answers: &[Answer]) -> Result<(), SamplesError> {
        let kept = (|| {
            let transaction = self.connection.transaction()?;
            for answer in answers {
                let question = ensure_question(&transaction, &answer.probe)?;
                transaction
                    .prepare("INSERT INTO seen(run, question, at_ms, whole, facts) VALUES (?1, ?2, ?3, ?4, ?5)")?
                    .execute(params![run, question, number(at_ms), answer.whole, encode(&answer.facts)])?;
            }
            transaction.execute("UPDATE run SET until_ms = ?2 WHERE id = ?1", params![run, number(at_ms)])?;
            transaction.commit()
        })();
        kept.map_err(|source| self.failed("add to", source))
    }

    /// Drops answers older than 28 days, and the oldest ones of a file that grew beyond [`MAX_BYTES`].
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn forget_answers(&mut self, now_wall_ms: i64) -> Result<(), SamplesError> {
        let oldest = now_wall_ms.saturating_sub(RETENTION_S * 1000);
        let forgot = (|| {
            let transaction = self.connection.transaction()?;
            // In the order of writing, which no step of the clock changes.
            transaction.execute(
                "DELETE FROM seen WHERE id <= (SELECT max(seen.id) FROM seen JOIN run ON run.id = seen.run
                 WHERE from_wall_ms + at_ms - from_ms < ?1)",
                [oldest],
            )?;
            if used(&transaction)? > MAX_BYTES {
                transaction.execute(
                    "DELETE FROM seen WHERE id <= (SELECT min(id) + (max(id) - min(id)) / ?1 FROM seen)",
                    [PART],
                )?;
            }
            transaction.execute(
                "DELETE FROM run WHERE id NOT IN (SELECT run FROM seen) AND id < (SELECT max(id) FROM run)",
                [],
            )?;
            transaction.execute("DELETE FROM question WHERE id NOT IN (SELECT question FROM seen)", [])?;
            transaction.commit()
        })();
        forgot.map_err(|source| self.failed("prune", source))
    }

    /// The text that was recorded last in this field of the questions that `wanted` names, and is not empty.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn last_text(&self, wanted: impl Fn(&Probe) -> bool, field: &str) -> Result<Option<String>, SamplesError> {
        let read = || {
            let mut last: Option<(i64, String)> = None;
            let mut questions = self.connection.prepare("SELECT id, probe FROM question")?;
            let mut in_answers = self.connection.prepare(
                "SELECT id, json_extract(facts, ?2) FROM seen WHERE question = ?1 AND json_type(facts, ?2) = 'text'
                 AND json_extract(facts, ?2) <> '' ORDER BY id DESC LIMIT 1",
            )?;
            let mut rows = questions.query([])?;
            while let Some(row) = rows.next()? {
                let (question, text): (i64, String) = (row.get(0)?, row.get(1)?);
                if serde_json::from_str(&text).is_ok_and(|probe| wanted(&probe)) {
                    let answer = params![question, format!("$.{field}")];
                    let found = in_answers.query_row(answer, |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
                    last = last.max(found);
                }
            }
            Ok(last.map(|(_, text)| text))
        };
        match read() {
            // A file of before answers were kept.
            Err(error) if store::lacks_table(&error) => Ok(None),
            read => read.map_err(|source| self.failed("read", source)),
        }
    }

    /// What was recorded of the questions that `wanted` names, and all series of file descriptors.
    ///
    /// # Errors
    /// [`SamplesError`].
    pub fn observed(&self, wanted: impl Fn(&Probe) -> bool) -> Result<Observed, SamplesError> {
        let read = || {
            let mut observed = Observed { series: all_series(&self.connection)?, ..Observed::default() };
            match answers(&self.connection, &wanted, &mut observed) {
                // A file of before answers were kept.
                Err(error) if store::lacks_table(&error) => {
                    observed.runs.clear();
                    Ok(observed)
                }
                other => other.map(|()| observed),
            }
        };
        read().map_err(|source| self.failed("read", source))
    }
}

fn answers(connection: &Connection, wanted: &impl Fn(&Probe) -> bool, observed: &mut Observed) -> rusqlite::Result<()> {
    let mut indexes = BTreeMap::new();
    let mut statement = connection.prepare("SELECT id, boot, from_ms, from_wall_ms, until_ms FROM run ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let begun = Now { boot: BootId(row.get(1)?), boot_ms: unsigned(row.get(2)?), wall_ms: row.get(3)? };
        indexes.insert(id, observed.runs.len());
        observed.runs.push(Run { id, begun, until_ms: unsigned(row.get(4)?) });
    }
    let mut questions = BTreeMap::new();
    let mut statement = connection.prepare("SELECT id, probe FROM question ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (id, text): (i64, String) = (row.get(0)?, row.get(1)?);
        // A question of another version of wbd is nobody's any more.
        let Ok(probe) = serde_json::from_str::<Probe>(&text) else { continue };
        if wanted(&probe) {
            questions.insert(id, observed.questions.len());
            observed.questions.push(probe);
        }
    }
    let mut statement = connection.prepare("SELECT run, question, at_ms, whole, facts FROM seen ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (run, question): (i64, i64) = (row.get(0)?, row.get(1)?);
        let (Some(run), Some(question)) = (indexes.get(&run), questions.get(&question)) else { continue };
        let Some(probe) = observed.questions.get(*question) else { continue };
        let text = row.get_ref(4)?.as_str().unwrap_or_default();
        let Some(facts) = decode(probe, text) else { continue };
        let (at_ms, whole) = (unsigned(row.get(2)?), row.get(3)?);
        observed.changes.push(Change { run: *run, at_ms, question: *question, whole, facts });
    }
    Ok(())
}

/// Every process that was sampled, oldest life first.
fn all_series(connection: &Connection) -> rusqlite::Result<Vec<(SegmentId, Vec<Sample>)>> {
    let mut all: Vec<(i64, SegmentId, Vec<Sample>)> = Vec::new();
    let mut statement = connection.prepare(
        "SELECT id, process, start_ticks, boot_id, executable, at_s, min, max, last, lim
         FROM segment JOIN bucket ON bucket.segment = segment.id ORDER BY id, at_s",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let sample =
            Sample { at_s: row.get(5)?, min: row.get(6)?, max: row.get(7)?, last: row.get(8)?, limit: row.get(9)? };
        if let Some((_, _, samples)) = all.last_mut().filter(|(last, _, _)| *last == id) {
            samples.push(sample);
            continue;
        }
        let start_ticks = unsigned(row.get(2)?);
        let segment = SegmentId { process: row.get(1)?, start_ticks, boot_id: row.get(3)?, executable: row.get(4)? };
        all.push((id, segment, vec![sample]));
    }
    Ok(all.into_iter().map(|(_, segment, samples)| (segment, samples)).collect())
}

fn ensure_question(connection: &Connection, probe: &Probe) -> rusqlite::Result<i64> {
    let text = serde_json::to_string(probe).unwrap_or_default();
    let found = connection
        .prepare("SELECT id FROM question WHERE probe = ?1")?
        .query_row([&text], |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    connection.execute("INSERT INTO question(probe) VALUES (?1)", [&text])?;
    Ok(connection.last_insert_rowid())
}

/// Bytes of the file that hold anything.
fn used(connection: &Connection) -> rusqlite::Result<i64> {
    let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    Ok((pragma("page_count")? - pragma("freelist_count")?).saturating_mul(pragma("page_size")?))
}

/// `{"alive":true,"pid":7,"age_s":{"unknown":"why"}}`.
pub(crate) fn encode(facts: &BTreeMap<String, Fact>) -> String {
    let unknown = |why: String| Json::Object(Map::from_iter([("unknown".to_owned(), Json::String(why))]));
    let word = |fact: &Fact| match fact {
        Fact::Known(Value::Bool(value)) => Json::Bool(*value),
        Fact::Known(Value::Int(value)) => Json::from(*value),
        Fact::Known(Value::Text(text)) if text.chars().count() > MAX_TEXT => unknown("longer than is kept".to_owned()),
        Fact::Known(Value::Text(text)) => Json::String(text.clone()),
        Fact::Unknown(why) => unknown(why.chars().take(MAX_TEXT).collect()),
    };
    Json::Object(facts.iter().map(|(name, fact)| (name.clone(), word(fact))).collect()).to_string()
}

/// The facts of an answer to `probe`; `None` where the text is none. A fact of another type than its field's is unknown.
pub(crate) fn decode(probe: &Probe, text: &str) -> Option<BTreeMap<String, Fact>> {
    Some(facts(probe, serde_json::from_str(text).ok()?))
}

/// The same from JSON that was read.
pub(crate) fn facts(probe: &Probe, all: Map<String, Json>) -> BTreeMap<String, Fact> {
    let fields = probe.name().fields();
    let fact = |name: String, value: Json| {
        let kind = fields.iter().find(|field| field.name == name)?.kind;
        let fact = match (kind, value) {
            (Kind::Bool, Json::Bool(value)) => Fact::Known(Value::Bool(value)),
            (Kind::Text, Json::String(value)) => Fact::Known(Value::Text(value)),
            (Kind::Int, Json::Number(value)) => Fact::Known(Value::Int(value.as_i64()?)),
            (_, Json::Object(why)) => {
                Fact::Unknown(why.get("unknown").and_then(Json::as_str).unwrap_or("not recorded").to_owned())
            }
            (
                Kind::Bool | Kind::Int | Kind::Text,
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_),
            ) => Fact::Unknown("recorded with another type".to_owned()),
        };
        Some((name, fact))
    };
    all.into_iter().filter_map(|(name, value)| fact(name, value)).collect()
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

//! A host's record in one file, to be rehearsed on elsewhere: ledger, kept answers and samples as lines of JSON. Reading
//! trusts no line: sizes are bounded, the chain and the file's own digest are checked. Judges and runs nothing.
use std::fs;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use sha2::{Digest as _, Sha256};
use wbd_model::entry::{Body, Entry};
use wbd_model::name::ProfileName;
use wbd_model::observed::{Change, Observed, Run};
use wbd_model::probe::Probe;
use wbd_model::sample::{Sample, SegmentId};
use wbd_model::settings::Settings;

use crate::reader::Reader;
use crate::record::NO_HASH;
use crate::{files, observed, record};

/// The format's number.
pub const BUNDLE_FORMAT: u32 = 1;
/// A bundle is no longer than this, bytes: several times a full ledger.
const MAX_FILE_BYTES: u64 = 512 << 20;
/// One line, bytes: a record of the ledger as text in text.
const MAX_LINE_BYTES: u64 = 4 << 20;
/// Lives of the supervisor.
const MAX_RUNS: usize = 20_000;
/// Numbers and moments above this are no host's.
const MAX_NUMBER: u64 = 1 << 53;
/// Rungs and steps above this are no playbook's.
const MAX_STEPS: usize = 10_000;

/// What a bundle says of the host it is from: no secret, and nothing that names the host to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleHead {
    /// [`BUNDLE_FORMAT`].
    pub format: u32,
    /// The version of wbd that wrote it.
    pub version: String,
    /// The host, as [`crate::host_id`] names it.
    pub host: Option<String>,
    /// When it was made, Unix milliseconds.
    pub made: i64,
    /// Records from this moment on, Unix milliseconds; `None`: all.
    pub since: Option<i64>,
    /// The local zone's offset from UTC, seconds.
    pub offset_s: i32,
    /// Products that were found on the host.
    pub profiles: Vec<ProfileName>,
    /// Its settings, without the site's own facts and its program for escalations.
    pub settings: Settings,
}

/// A bundle that was read.
#[derive(Debug)]
pub struct Bundle {
    /// Where it is from.
    pub head: BundleHead,
    /// The records of its ledger; their chain is whole.
    pub entries: Vec<Entry>,
    /// What was recorded beside it.
    pub observed: Observed,
}

/// What a bundle holds, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleCounts {
    /// Records of the ledger.
    pub entries: usize,
    /// Kept answers.
    pub answers: usize,
    /// Series of samples.
    pub series: usize,
}

/// A bundle could not be written or is not as it was written.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file system refused.
    #[error("cannot {operation} bundle {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
    /// The file is there already.
    #[error("cannot write bundle {path}: it is there already and is not overwritten; name another file")]
    IsThere {
        /// The file.
        path: PathBuf,
    },
    /// It was edited, cut off, or never was one.
    #[error("cannot use bundle {path}: line {line}: {what}; export it again on its host")]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// The ledger could not be read.
    #[error("cannot write a bundle: {0}")]
    Ledger(#[from] crate::LedgerError),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    WbdBundle(Box<BundleHead>),
    Entry(EntryText),
    Run(Run),
    Question(Probe),
    Seen(SeenText),
    Series(SeriesText),
    End(End),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryText {
    payload: String,
    prev: String,
    hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeenText {
    run: usize,
    question: usize,
    at_ms: u64,
    whole: bool,
    facts: Map<String, Json>,
}

/// Samples as at, fewest, most, last, limit.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesText {
    segment: SegmentId,
    samples: Vec<(i64, u32, u32, u32, u32)>,
}

/// The last line: what came before it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    counts: BundleCounts,
    sha256: String,
}

/// Writes a bundle, readable by its owner only, over no file that is there. The caller has verified the ledger.
///
/// # Errors
/// [`BundleError`]; nothing is left behind then.
pub fn write_bundle(
    path: &Path,
    head: &BundleHead,
    ledger: &Reader,
    observed: &Observed,
) -> Result<BundleCounts, BundleError> {
    let io = |source: std::io::Error| {
        let path = path.to_owned();
        if source.kind() == std::io::ErrorKind::AlreadyExists {
            return BundleError::IsThere { path };
        }
        BundleError::Io { operation: "write", path, source }
    };
    let file = fs::File::options().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
    let mut writer = Writer { file: BufWriter::new(file), hasher: Sha256::new(), counts: BundleCounts::default() };
    let written = writer.all(head, ledger, observed).and_then(|()| writer.end());
    written
        .inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
        .map_err(|error| match error {
            Trouble::Io(source) => io(source),
            Trouble::Ledger(error) => error.into(),
        })
}

enum Trouble {
    Io(std::io::Error),
    Ledger(crate::LedgerError),
}

impl From<crate::LedgerError> for Trouble {
    fn from(error: crate::LedgerError) -> Self {
        Self::Ledger(error)
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

struct Writer {
    file: BufWriter<fs::File>,
    hasher: Sha256,
    counts: BundleCounts,
}

impl Writer {
    fn all(&mut self, head: &BundleHead, ledger: &Reader, observed: &Observed) -> Result<(), Trouble> {
        self.line(&Line::WbdBundle(Box::new(head.clone())))?;
        ledger.each_text(head.since, |payload, prev, hash| {
            self.counts.entries += 1;
            self.line(&Line::Entry(EntryText { payload, prev, hash })).map_err(Trouble::Io)
        })?;
        for run in &observed.runs {
            self.line(&Line::Run(run.clone()))?;
        }
        for probe in &observed.questions {
            self.line(&Line::Question(probe.clone()))?;
        }
        for change in &observed.changes {
            let facts = serde_json::from_str(&observed::encode(&change.facts)).unwrap_or_default();
            let Change { run, at_ms, question, whole, .. } = *change;
            self.counts.answers += 1;
            self.line(&Line::Seen(SeenText { run, question, at_ms, whole, facts }))?;
        }
        for (segment, samples) in &observed.series {
            let samples = samples.iter().map(|s| (s.at_s, s.min, s.max, s.last, s.limit)).collect();
            self.counts.series += 1;
            self.line(&Line::Series(SeriesText { segment: segment.clone(), samples }))?;
        }
        Ok(())
    }

    fn end(mut self) -> Result<BundleCounts, Trouble> {
        let sha256 = files::hex(&self.hasher.clone().finalize());
        let counts = self.counts;
        self.line(&Line::End(End { counts, sha256 }))?;
        let file = self.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(counts)
    }

    fn line(&mut self, line: &Line) -> std::io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.hasher.update(&text);
        self.file.write_all(&text)
    }
}

/// Reads a bundle. It is untrusted: whatever is wrong with it is an error that names the line.
///
/// # Errors
/// [`BundleError`].
pub fn read_bundle(path: &Path) -> Result<Bundle, BundleError> {
    let io = |source| BundleError::Io { operation: "read", path: path.to_owned(), source };
    let broken = |line, what: String| BundleError::Broken { path: path.to_owned(), line, what };
    let file = fs::File::open(path).map_err(io)?;
    let length = file.metadata().map_err(io)?.len();
    if length > MAX_FILE_BYTES {
        return Err(broken(1, format!("the file has {length} bytes, more than any bundle")));
    }
    let mut file = BufReader::new(file.take(MAX_FILE_BYTES));
    let mut reading = Reading::default();
    let mut text = Vec::new();
    for number in 1.. {
        text.clear();
        let read = (&mut file).take(MAX_LINE_BYTES).read_until(b'\n', &mut text).map_err(io)?;
        if read == 0 {
            return Err(broken(number, "the file ends here: cut off".to_owned()));
        }
        if reading.take(&text).map_err(|what| broken(number, what))? {
            let more = file.fill_buf().map_err(io)?;
            if !more.is_empty() {
                return Err(broken(number + 1, "something follows the end".to_owned()));
            }
            break;
        }
    }
    let Reading { head: Some(head), entries, observed, .. } = reading else {
        return Err(broken(1, "it does not begin as a bundle does".to_owned()));
    };
    Ok(Bundle { head, entries, observed })
}

#[derive(Default)]
struct Reading {
    head: Option<BundleHead>,
    hasher: Sha256,
    entries: Vec<Entry>,
    observed: Observed,
    starts: usize,
}

impl Reading {
    /// Takes a line; whether it was the last one.
    fn take(&mut self, text: &[u8]) -> Result<bool, String> {
        if text.last() != Some(&b'\n') {
            return Err("the line has no end: cut off, or longer than any line of a bundle".to_owned());
        }
        let line: Line = serde_json::from_slice(text).map_err(|error| format!("it is no line of a bundle: {error}"))?;
        if self.head.is_none() && !matches!(line, Line::WbdBundle(_)) {
            return Err("a bundle begins with {\"wbd_bundle\": ...}".to_owned());
        }
        match line {
            Line::WbdBundle(head) => self.begin(*head)?,
            Line::Entry(entry) => self.entry(entry)?,
            Line::Run(run) => self.run(run)?,
            Line::Question(probe) => self.observed.questions.push(probe),
            Line::Seen(seen) => self.seen(&seen)?,
            Line::Series(series) => self.series(series)?,
            Line::End(end) => return self.end(&end).map(|()| true),
        }
        self.hasher.update(text);
        Ok(false)
    }

    fn begin(&mut self, head: BundleHead) -> Result<(), String> {
        if head.format != BUNDLE_FORMAT {
            return Err(format!("its format is {}, this wbd reads {BUNDLE_FORMAT}", head.format));
        }
        match self.head.replace(head) {
            None => Ok(()),
            Some(_) => Err("a second beginning".to_owned()),
        }
    }

    fn entry(&mut self, text: EntryText) -> Result<(), String> {
        let bad = |what: String| format!("the ledger's record does not verify: {what}");
        let entry = record::read_text(None, &text.payload, text.prev, text.hash).map_err(bad)?;
        match self.entries.last() {
            Some(last) if last.seq + 1 != entry.seq => {
                return Err(bad(format!("record {} follows record {}: one is missing", entry.seq, last.seq)));
            }
            Some(last) if last.hash != entry.prev => {
                return Err(bad(format!("record {} does not follow record {}", entry.seq, last.seq)));
            }
            None if entry.seq == 1 && entry.prev != NO_HASH => {
                return Err(bad("the first record follows another one".to_owned()));
            }
            Some(_) | None => {}
        }
        self.starts += usize::from(matches!(entry.body, Body::Started { .. }));
        if !is_plausible(&entry) || self.starts > MAX_RUNS {
            return Err("it holds numbers that no host writes".to_owned());
        }
        self.entries.push(entry);
        Ok(())
    }

    fn run(&mut self, run: Run) -> Result<(), String> {
        let good = is_moment(run.begun.boot_ms, run.begun.wall_ms) && run.until_ms < MAX_NUMBER;
        if !good || self.observed.runs.len() >= MAX_RUNS {
            return Err("a run that no host has".to_owned());
        }
        self.observed.runs.push(run);
        Ok(())
    }

    fn seen(&mut self, seen: &SeenText) -> Result<(), String> {
        let Some(probe) = self.observed.questions.get(seen.question) else {
            return Err(format!("there is no question {}", seen.question));
        };
        if seen.run >= self.observed.runs.len() || seen.at_ms >= MAX_NUMBER {
            return Err(format!("there is no run {} that could have seen it", seen.run));
        }
        let facts = observed::facts(probe, seen.facts.clone());
        let SeenText { run, question, at_ms, whole, .. } = *seen;
        self.observed.changes.push(Change { run, at_ms, question, whole, facts });
        Ok(())
    }

    fn series(&mut self, series: SeriesText) -> Result<(), String> {
        let sample = |(at_s, min, max, last, limit): (i64, u32, u32, u32, u32)| Sample { at_s, min, max, last, limit };
        let samples: Vec<Sample> = series.samples.into_iter().map(sample).collect();
        let in_order = samples.windows(2).all(|pair| pair[0].at_s < pair[1].at_s);
        if !in_order || samples.iter().any(|sample| !(0..1 << 40).contains(&sample.at_s)) {
            return Err("its samples are not in order".to_owned());
        }
        self.observed.series.push((series.segment, samples));
        Ok(())
    }

    fn end(&self, end: &End) -> Result<(), String> {
        let counts = BundleCounts {
            entries: self.entries.len(),
            answers: self.observed.changes.len(),
            series: self.observed.series.len(),
        };
        if counts != end.counts {
            return Err(format!("it should hold {:?} and holds {counts:?}: lines are missing", end.counts));
        }
        if files::hex(&self.hasher.clone().finalize()) != end.sha256 {
            return Err("the file's digest is another one: a line before this one was edited".to_owned());
        }
        Ok(())
    }
}

fn is_moment(boot_ms: u64, wall_ms: i64) -> bool {
    boot_ms < MAX_NUMBER && wall_ms.unsigned_abs() < MAX_NUMBER
}

/// Whether the numbers in a record can be added to.
fn is_plausible(entry: &Entry) -> bool {
    let good = |number: u64| number < MAX_NUMBER;
    let body = if let Body::Intent(intent) = &entry.body {
        let steps = [intent.rung, intent.step, intent.steps];
        let undone = intent.undoes.is_none_or(|id| good(id.0));
        good(intent.action_id.0) && good(intent.start_by_ms) && undone && steps.iter().all(|n| *n < MAX_STEPS)
    } else if let Body::Rotated { old_seq, debits_ms, next_incident, next_action, .. } = &entry.body {
        [old_seq, next_incident, next_action].into_iter().chain(debits_ms).all(|number| good(*number))
    } else {
        true
    };
    let incident = entry.subject.incident.is_none_or(|id| good(id.0));
    body && incident && good(entry.seq) && is_moment(entry.at.boot_ms, entry.at.wall_ms)
}

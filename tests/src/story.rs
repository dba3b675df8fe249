//! What a host's ledger tells from one moment on, one incident at a time; it judges nothing beyond what a test asks.

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use crate::deadline::stays_until;
use crate::host::Host;
use crate::json;
use crate::product;

/// Where the ledger and what is not yet merged into it stand.
const FILES: [&str; 2] = ["/var/lib/wbd/ledger.db", "/var/lib/wbd/ledger.db-wal"];
/// More records than any scenario makes.
const ALL: &str = "1000000";

/// Size and time of the ledger's files: `wbdctl` is asked again only when they change.
type Print = Vec<Option<(u64, SystemTime)>>;
/// A record is written to the files first, then brought to the disk, and only then to be seen: files that were written
/// to just now may hold more than an answer about them. (And file times are as coarse as the kernel's tick.)
const AT_REST: Duration = Duration::from_secs(2);
/// The disk may take longer than that.
const KEPT: Duration = Duration::from_secs(1);

/// An answer that is good for a while.
#[derive(Debug)]
struct Seen {
    print: Print,
    at: Instant,
    records: Vec<Value>,
}

/// The ledger from one moment on.
#[derive(Debug)]
pub struct Story<'a> {
    host: &'a Host,
    after: u64,
    /// The failure that the supervisor must have looked at before "nothing happens" means anything.
    about: &'static str,
    seen: RefCell<Option<Seen>>,
}

impl<'a> Story<'a> {
    /// From now on.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    #[must_use]
    pub fn begin(host: &'a Host) -> Self {
        let after = all(host).last().map_or(0, seq);
        Self::after(host, after)
    }

    /// From the record after `seq` on.
    #[must_use]
    pub fn after(host: &'a Host, seq: u64) -> Self {
        Self { host, after: seq, about: "WBD-6007", seen: RefCell::default() }
    }

    /// It is about this failure, and not about a dead or hung agent.
    #[must_use]
    pub fn about(self, code: &'static str) -> Self {
        Self { about: code, ..self }
    }

    /// All records since then, oldest first.
    ///
    /// # Panics
    /// When the ledger cannot be read.
    #[must_use]
    #[track_caller]
    pub fn records(&self) -> Vec<Value> {
        let print = self.print();
        let mut seen = self.seen.borrow_mut();
        if let Some(seen) = seen.as_ref().filter(|seen| seen.print == print && seen.at.elapsed() < KEPT) {
            return seen.records.clone();
        }
        let (at, at_rest) = (Instant::now(), is_at_rest(&print));
        let records: Vec<_> = all(self.host).into_iter().filter(|record| seq(record) > self.after).collect();
        *seen = at_rest.then(|| Seen { print, at, records: records.clone() });
        records
    }

    /// The records of one kind since then.
    ///
    /// # Panics
    /// As [`Story::records`].
    #[must_use]
    #[track_caller]
    pub fn of(&self, kind: &str) -> Vec<Value> {
        self.records().into_iter().filter(|record| record["kind"] == kind).collect()
    }

    /// The incidents of this failure that were opened since then, each with all of its records.
    ///
    /// # Panics
    /// As [`Story::records`].
    #[must_use]
    #[track_caller]
    pub fn incidents(&self, code: &str) -> Vec<IncidentRecords> {
        let records = self.records();
        let opened = records.iter().filter(|record| record["kind"] == "opened" && record["code"] == code);
        opened
            .map(|opened| {
                let id = &opened["incident"];
                let own = records.iter().filter(|record| record["incident"] == *id);
                IncidentRecords { id: id.as_str().unwrap_or_default().to_owned(), records: own.cloned().collect() }
            })
            .collect()
    }

    /// Waits for a record that `wanted` takes, and returns it.
    ///
    /// # Panics
    /// When none comes.
    #[track_caller]
    pub fn wait_for(&self, what: &str, deadline: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        self.host.wait_for(what, deadline, || {
            self.records().into_iter().find(|record| wanted(record)).ok_or_else(|| self.summary())
        })
    }

    /// Waits until the first incident of this failure is closed, and returns it.
    ///
    /// # Panics
    /// When it is not opened or not closed in time.
    #[track_caller]
    pub fn closed(&self, code: &str, deadline: Duration) -> IncidentRecords {
        self.host.wait_for(&format!("{code} closed"), deadline, || {
            let told = self.incidents(code).into_iter().next();
            told.filter(|told| told.ending().is_some()).ok_or_else(|| self.summary())
        })
    }

    /// As [`Story::closed`], and the incident was healed: intent, outcome, verdict and end in this order.
    ///
    /// # Panics
    /// When it ends otherwise.
    #[track_caller]
    pub fn healed(&self, code: &str, deadline: Duration) -> IncidentRecords {
        let told = self.closed(code, deadline);
        assert_eq!(told.ending(), Some("healed"), "{told}");
        told.has_in_order(&["opened", "intent", "outcome", "verdict", "closed"]);
        assert_eq!(told.last("verdict")["result"], "pass", "{told}");
        assert_eq!(told.last("outcome")["result"], "done", "{told}");
        told
    }

    /// For the whole of `span`, and until the supervisor has looked at the failure once, nothing is opened, intended or
    /// done.
    ///
    /// # Panics
    /// At once when something is.
    #[track_caller]
    pub fn stays_quiet(&self, what: &str, span: Duration) {
        self.stays_without(what, span, &["opened", "intent", "outcome", "escalated"]);
    }

    /// For the whole of `span`, as [`Story::stays_quiet`], nothing is done for anything but this incident, and nothing
    /// else is opened.
    ///
    /// # Panics
    /// At once when something is.
    #[track_caller]
    pub fn stays_with(&self, told: &IncidentRecords, span: Duration) {
        let known = told.records.len();
        let quiet = || {
            let all = self.records();
            let foreign = all.iter().any(|record| {
                let act = ["opened", "intent", "outcome", "escalated"].iter().any(|kind| record["kind"] == *kind);
                act && record["incident"] != told.id
            });
            let own = all.iter().filter(|record| record["incident"] == told.id).count();
            if foreign || own != known { Err(self.summary()) } else { Ok(()) }
        };
        stays_until(&format!("the end of {}", told.id), span, quiet, |open| {
            product::looked(self.host, self.about, open)
        });
    }

    /// For the whole of `span`, as [`Story::stays_quiet`], nothing is intended or done; an incident may be opened.
    ///
    /// # Panics
    /// At once when something is.
    #[track_caller]
    pub fn stays_undone(&self, what: &str, span: Duration) {
        self.stays_without(what, span, &["intent", "outcome"]);
    }

    #[track_caller]
    fn stays_without(&self, what: &str, span: Duration, kinds: &[&str]) {
        let quiet = || {
            let found = self.records().into_iter().find(|record| kinds.iter().any(|kind| record["kind"] == *kind));
            found.map_or(Ok(()), |record| Err(format!("{record}\nafter:\n{}", self.summary())))
        };
        stays_until(what, span, quiet, |open| product::looked(self.host, self.about, open));
    }

    /// A line for each record, for messages.
    ///
    /// # Panics
    /// As [`Story::records`].
    #[must_use]
    pub fn summary(&self) -> String {
        lines(&self.records())
    }

    fn print(&self) -> Print {
        let print = |path: &str| {
            let file = fs::metadata(self.host.inside(path).ok()?).ok()?;
            Some((file.len(), file.modified().ok()?))
        };
        FILES.iter().map(|path| print(path)).collect()
    }
}

/// One incident as the ledger tells it.
#[derive(Debug, Clone)]
pub struct IncidentRecords {
    /// Its name, such as `I4`.
    pub id: String,
    /// Its records, oldest first.
    pub records: Vec<Value>,
}

impl IncidentRecords {
    /// How it ended; `None` while it is open.
    #[must_use]
    pub fn ending(&self) -> Option<&str> {
        self.of("closed").last().and_then(|closed| closed["result"].as_str())
    }

    /// Its records of one kind.
    #[must_use]
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.records.iter().filter(|record| record["kind"] == kind).collect()
    }

    /// Its last record of one kind.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn last(&self, kind: &str) -> &Value {
        self.of(kind).last().copied().unwrap_or_else(|| panic!("no {kind} in {self}"))
    }

    /// The actions it intended, by name, without those that were not begun (their outcome is `aborted`: it was too
    /// late).
    #[must_use]
    pub fn actions(&self) -> Vec<&str> {
        let aborted: Vec<_> = self.of("outcome").into_iter().filter(|outcome| outcome["result"] == "aborted").collect();
        let intents = self.of("intent").into_iter();
        let begun = intents.filter(|intent| aborted.iter().all(|outcome| outcome["action_id"] != intent["action_id"]));
        begun.filter_map(|intent| intent["action"].as_str()).collect()
    }

    /// Its records hold these kinds in this order; others may stand between.
    ///
    /// # Panics
    /// When they do not.
    #[track_caller]
    pub fn has_in_order(&self, kinds: &[&str]) {
        let mut records = self.records.iter();
        for kind in kinds {
            assert!(records.any(|record| record["kind"] == *kind), "no {kind} in its place of {kinds:?} in {self}");
        }
    }

    /// All words of its records' evidence, for looking something up.
    #[must_use]
    pub fn words(&self) -> String {
        let lines = self.records.iter().filter_map(|record| record["evidence"].as_array()).flatten();
        lines.filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for IncidentRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n{}", self.id, lines(&self.records))
    }
}

/// Whether what is read now stays true for as long as the files keep this print.
fn is_at_rest(print: &Print) -> bool {
    let now = SystemTime::now();
    print.iter().all(|file| file.is_some_and(|(_, at)| now.duration_since(at).is_ok_and(|age| age > AT_REST)))
}

fn lines(records: &[Value]) -> String {
    let line = |record: &Value| {
        let word = |key: &str| record[key].as_str().unwrap_or("-").to_owned();
        let words = ["kind", "incident", "code", "target", "action_id", "action", "result"].map(word).join(" ");
        format!("{} {} {words} {}", record["boot_ms"], record["seq"], record["evidence"])
    };
    records.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn seq(record: &Value) -> u64 {
    record["seq"].as_u64().unwrap_or_default()
}

#[track_caller]
fn all(host: &Host) -> Vec<Value> {
    json::wbdctl_on_files(host, ["ledger", "list", "--limit", ALL]).list("entries").to_vec()
}

//! Follows the ledger from a break to the end of every incident that it opened, and shows each record. Reads only.
use std::collections::BTreeMap;
use std::time::Duration;

use wbd_ledger::{Filter, Reader};
use wbd_model::entry::{Body, Entry};
use wbd_model::incident::{Closing, IncidentId};

use crate::exit::Failure;
use crate::out::Tone;
use crate::{moment, record};

use super::interrupt::Interrupt;
use super::show::Show;
use super::trial::Trial;

/// What each of the breaks is.
const DOWN: &str = "WBD-6007";

/// What was seen of one break.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How the incidents ended; `None` while one is open.
    pub(crate) ends: BTreeMap<u64, Option<Closing>>,
    /// Milliseconds from the break to the last passing verdict.
    pub(crate) proved_ms: Option<u64>,
    /// Actions intended.
    pub(crate) actions: u32,
    /// The guide that a person was given.
    pub(crate) guide: Vec<String>,
}

impl Seen {
    /// Something was found, and all of it ended.
    pub(crate) fn is_over(&self) -> bool {
        !self.ends.is_empty() && self.ends.values().all(Option::is_some)
    }

    /// How the last incident ended.
    pub(crate) fn end(&self) -> Option<Closing> {
        self.ends.values().next_back().copied().flatten()
    }

    fn note(&mut self, entry: &Entry, after_ms: u64) {
        let Some(IncidentId(id)) = entry.subject.incident else { return };
        // What else this machine has wrong (an inotify limit that is used up) is shown and is no part of the break.
        let opens = matches!(entry.body, Body::Opened { .. });
        let is_break = opens && entry.subject.code.as_ref().is_some_and(|code| code.as_str() == DOWN);
        if !is_break && !self.ends.contains_key(&id) {
            return;
        }
        if opens {
            self.ends.insert(id, None);
        } else if let Body::Closed { how } = &entry.body {
            // An incident of an earlier break does not end this one.
            if let Some(end) = self.ends.get_mut(&id) {
                *end = Some(*how);
            }
        } else if let Body::Verdict { passed: true, .. } = &entry.body {
            self.proved_ms = Some(after_ms);
        } else if let Body::Intent(_) = &entry.body {
            self.actions = self.actions.saturating_add(1);
        } else if let Body::Escalated { guide, .. } = &entry.body {
            self.guide.clone_from(guide);
        }
    }
}

/// The place in the ledger from which a break is followed.
///
/// # Errors
/// The ledger cannot be read.
pub(crate) fn mark(reader: &Reader) -> Result<u64, Failure> {
    Ok(reader.head()?.map_or(0, |(seq, _)| seq))
}

/// Shows each record after `mark` until everything that was opened is closed.
///
/// # Errors
/// Not in time, interrupted, the supervisor ended, the ledger cannot be read.
pub(crate) fn follow(
    trial: &mut Trial,
    interrupt: &Interrupt,
    show: &mut Show,
    mark: u64,
    broken_ms: u64,
    deadline: Duration,
) -> Result<Seen, Failure> {
    let reader = trial.reader()?;
    let mut seen = Seen::default();
    let mut last = mark;
    interrupt.until("the end of the incident", deadline, || {
        trial.alive()?;
        if show.is_closed() {
            // A reader that went away wants no word either.
            return Err(Failure::failed(""));
        }
        for entry in reader.entries(&Filter { after_seq: Some(last), ..Filter::default() })? {
            last = entry.seq;
            let after_ms = entry.at.boot_ms.saturating_sub(broken_ms);
            seen.note(&entry, after_ms);
            let (word, tone) = told(&entry.body);
            show.event(after_ms, word, tone, &record::gist(&entry));
        }
        show.tick(moment::clocks().boot_ms.saturating_sub(broken_ms));
        Ok(seen.is_over().then_some(()))
    })?;
    Ok(seen)
}

const fn told(body: &Body) -> (&'static str, Tone) {
    if let Body::Opened { .. } = body {
        ("finding", Tone::Bad)
    } else if let Body::Intent(_) = body {
        ("act", Tone::Strong)
    } else if let Body::Verdict { passed, .. } = body {
        if *passed { ("proof", Tone::Good) } else { ("no proof", Tone::Bad) }
    } else if let Body::Escalated { .. } = body {
        ("hand-over", Tone::Warn)
    } else if let Body::Refused(_) = body {
        ("guard", Tone::Warn)
    } else {
        (body.kind(), Tone::Plain)
    }
}

#[cfg(test)]
mod tests {
    use wbd_model::entry::Subject;
    use wbd_model::time::{BootId, Now};

    use super::*;

    /// Incidents from here on are of another failure.
    const FOREIGN: u64 = 10;

    fn entry(incident: u64, body: Body) -> Entry {
        let at = Now { boot: BootId("b".into()), boot_ms: 0, wall_ms: 0 };
        let code = wbd_model::name::Code::new(if incident < FOREIGN { DOWN } else { "WBD-5404" }).ok();
        let subject = Subject { incident: Some(IncidentId(incident)), code, ..Subject::default() };
        Entry { seq: 1, at, subject, body, prev: String::new(), hash: String::new() }
    }

    fn opened() -> Body {
        Body::Opened {
            digest: String::new(),
            case: "dead".into(),
            evidence: vec![],
            before: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn over_only_when_everything_that_was_opened_since_the_break_ended() {
        let mut seen = Seen::default();
        seen.note(&entry(1, Body::Closed { how: Closing::Healed }), 5);
        assert!(!seen.is_over(), "an incident of an earlier break");
        seen.note(&entry(2, opened()), 10);
        seen.note(&entry(3, opened()), 11);
        seen.note(&entry(2, Body::Closed { how: Closing::Healed }), 20);
        assert!(!seen.is_over());
        seen.note(&entry(3, Body::Closed { how: Closing::HandedOver }), 30);
        seen.note(&entry(FOREIGN, opened()), 31);
        seen.note(&entry(FOREIGN, Body::Escalated { reason: String::new(), guide: vec!["sysctl".into()] }), 32);
        assert!(seen.is_over() && seen.guide.is_empty(), "another failure of the machine's is not waited for");
        assert_eq!(seen.end(), Some(Closing::HandedOver));
    }
}

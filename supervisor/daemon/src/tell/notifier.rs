//! The owner of what people are told of escalations: the journal entry, and the site's program for what waits in the
//! ledger, one run at a time. What waits and when is the engine's; nothing is decided here.
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tracing::error;
use wbd_engine::state::State;
use wbd_engine::state::escalations::Untold;
use wbd_model::control::{EscalationTest, NotifyBy, Response, UntoldRow};
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{Closing, Phase};
use wbd_model::time::Now;

use crate::event::{Event, NotifyEvent};
use crate::follow::Follow;
use crate::tell::journal::{self, Fields};
use wbd_model::control::Mode;

/// The program gets this long.
const SITE_PROGRAM: Duration = Duration::from_secs(30);
/// So much longer is waited for a run that cannot even be ended, or begun (a dead mount).
const GRACE: Duration = Duration::from_secs(15);
/// A text in the program's environment, bytes; the kernel takes 128 KiB.
const LONGEST_TEXT: usize = 32 << 10;
/// Entries that wait for the journal; with more of them the oldest is dropped and counted.
const ENTRIES: usize = 64;
/// A journal that was away is tried again this often.
const JOURNAL_RETRY_MS: u64 = 5_000;

/// The code of the incident that there is not.
const TEST_CODE: &str = "WBD-TEST";

/// Who waits for an answer.
type Reply = oneshot::Sender<Response>;

/// What waits for the journal and the site's program, and what is under way.
#[derive(Debug)]
pub(crate) struct Notifier {
    root: PathBuf,
    mode: Mode,
    /// The site's program and its arguments; empty: none.
    program: Vec<String>,
    events: Sender<Event>,
    /// One run at a time, also where an earlier one hangs for ever.
    place: Arc<Semaphore>,
    running: bool,
    uses_journal: bool,
    entries: VecDeque<Entry>,
    entries_dropped: u64,
    journal_ms: u64,
}

/// An entry that the journal did not take yet.
#[derive(Debug)]
struct Entry {
    about: Subject,
    at: Now,
    reason: String,
    fields: Fields,
    tries: u32,
    detail: String,
}

impl Notifier {
    pub(crate) fn new(root: &Path, mode: Mode, program: Vec<String>, events: Sender<Event>) -> Self {
        Self {
            root: root.to_owned(),
            mode,
            program,
            events,
            place: Arc::new(Semaphore::new(1)),
            running: false,
            uses_journal: journal::is_ours(),
            entries: VecDeque::new(),
            entries_dropped: 0,
            journal_ms: 0,
        }
    }

    fn add(&mut self, entry: Entry) {
        if self.entries.len() >= ENTRIES {
            self.entries.pop_front();
            self.entries_dropped = self.entries_dropped.saturating_add(1);
        }
        self.entries.push_back(entry);
    }

    /// Sends what waits for the journal, in order, until it takes no more.
    fn send_entries(&mut self, now: &Now) {
        if self.entries.is_empty() || now.boot_ms < self.journal_ms {
            return;
        }
        while let Some(entry) = self.entries.front_mut() {
            match wbd_ledger::enter_in_journal(&self.root, &entry.fields) {
                Ok(()) => {
                    self.entries.pop_front();
                }
                Err(error) => {
                    entry.tries = entry.tries.saturating_add(1);
                    entry.detail = format!("the journal does not take it: {error}");
                    self.journal_ms = now.boot_ms + JOURNAL_RETRY_MS;
                    return;
                }
            }
        }
    }
}

impl Notifier {
    /// An escalation was written, a run of the program ended, or time has passed. Who tells stands in the ledger before
    /// any escalation that it is for.
    pub(crate) fn on(&mut self, event: NotifyEvent, state: &State, now: &Now) -> Vec<Follow> {
        match event {
            NotifyEvent::Begun => self.remind(state),
            NotifyEvent::Program(program) => self.program = program,
            NotifyEvent::Escalated { about, at, reason, guide } => self.enter(&about, &at, &reason, &guide),
            NotifyEvent::TimePassed => {
                self.send_entries(now);
                if state.escalations.program != self.program {
                    let body = Body::Notifier { program: self.program.clone() };
                    return vec![Follow::Write(Subject::default(), Box::new(body)), Follow::NotifyWhatIsDue];
                }
                self.run_what_is_due(state, now);
            }
            NotifyEvent::ProgramRecorded => self.run_what_is_due(state, now),
            NotifyEvent::Ran { about, of, tries, result } => return vec![self.ran(about, of, tries, result)],
            NotifyEvent::Test { reply } => self.test(now, reply),
            NotifyEvent::Tested { test, reply } => {
                self.running = false;
                let _ = reply.send(Response::Escalation(test));
            }
        }
        Vec::new()
    }

    /// An escalation's entry for the journal; it waits here while the journal is away.
    fn enter(&mut self, about: &Subject, at: &Now, reason: &str, guide: &[String]) {
        if !self.uses_journal {
            error!("{}", journal::sentence_of(about, reason));
            return;
        }
        let fields = journal::fields(about, at, reason, guide);
        let (about, at, reason) = (about.clone(), at.clone(), reason.to_owned());
        self.add(Entry { about, at, reason, fields, tries: 0, detail: String::new() });
    }

    /// At a start: whether the supervisor before us got as far as the journal is not known, so what still needs a
    /// person is entered once more. Told twice is better than never.
    fn remind(&mut self, state: &State) {
        let needs = |phase: &Phase, key| match phase {
            Phase::Closed { how: Closing::HandedOver } => state.latched.contains(key),
            Phase::Closed {
                how: Closing::Healed | Closing::SelfHealed | Closing::Subsumed | Closing::Noise | Closing::Waived,
            } => false,
            Phase::Suppressed { .. }
            | Phase::Gated { .. }
            | Phase::Acting { .. }
            | Phase::Indeterminate { .. }
            | Phase::Verifying
            | Phase::RollingBack { .. }
            | Phase::Probation => true,
        };
        for incident in state.incidents.values().filter(|incident| needs(&incident.phase, &incident.key)) {
            let Some(guide) = &incident.escalated else { continue };
            let reason = "it still waits for a person; the supervisor was started again";
            self.enter(&incident.subject(), &incident.changed, reason, guide);
        }
    }

    fn run_what_is_due(&mut self, state: &State, now: &Now) {
        if self.running {
            return;
        }
        let due = state.escalations.next(now).filter(|(due_ms, _)| *due_ms <= now.boot_ms);
        if let Some(untold) = due.map(|(_, untold)| untold.clone()) {
            self.run_site_program(untold);
        }
    }

    /// When there is something to tell next.
    pub(crate) fn next_ms(&self, state: &State, now: &Now) -> Option<u64> {
        let due = state.escalations.next(now).filter(|_| !self.running);
        due.map(|(due_ms, _)| due_ms)
    }

    /// An escalation is told.
    fn run_site_program(&mut self, untold: Untold) {
        let tries = untold.tries.saturating_add(1);
        // Outside of our sandbox where the manager can be asked; every second try does without it, since the bus
        // may be what is broken.
        let by_manager = self.mode == Mode::Systemd && tries % 2 == 1;
        self.run(environment(&untold, tries), by_manager, move |result, _| NotifyEvent::Ran {
            about: untold.about,
            of: untold.at,
            tries,
            result: result.map(drop),
        });
    }

    /// The program is run as for an escalation, with one that is made up; somebody waits for what becomes of it.
    fn test(&mut self, now: &Now, reply: Reply) {
        let refusal = if self.program.is_empty() {
            Some("no program is configured: set on_escalation in wbd.yaml, then wbdctl reload --wait")
        } else if self.running {
            Some("the program runs just now, for an escalation; see wbdctl status, and try again")
        } else {
            None
        };
        if let Some(message) = refusal {
            // A peer that went away wants no answer.
            let _ = reply.send(Response::Refused { message: message.to_owned() });
            return;
        }
        let program = self.program.clone();
        let by_manager = self.mode == Mode::Systemd;
        self.run(test_environment(now), by_manager, move |result, took_ms| {
            let (ok, detail) = match result {
                Ok(said) => (true, said),
                Err(why) => (false, why),
            };
            NotifyEvent::Tested { test: EscalationTest { program, ok, detail, took_ms }, reply }
        });
    }

    /// On a thread of its own: looking at the program and starting it may hang on a dead mount.
    fn run(
        &mut self,
        env: Vec<(String, String)>,
        by_manager: bool,
        then: impl FnOnce(Result<String, String>, u64) -> NotifyEvent + Send + 'static,
    ) {
        self.running = true;
        let argv = self.program.clone();
        let (place, events) = (Arc::clone(&self.place), self.events.clone());
        tokio::spawn(async move {
            let began = Instant::now();
            let result = match place.try_acquire_owned() {
                Err(_) => Err("an earlier run of it still hangs; look for a dead mount".to_owned()),
                Ok(place) => {
                    let runtime = tokio::runtime::Handle::current();
                    let run = tokio::task::spawn_blocking(move || {
                        let ran =
                            runtime.block_on(wbd_actions::run_site_program(&argv, &env, SITE_PROGRAM, by_manager));
                        drop(place);
                        ran
                    });
                    match tokio::time::timeout(SITE_PROGRAM + GRACE, run).await {
                        Ok(ran) => ran.unwrap_or_else(|error| Err(format!("bug: the run broke off: {error}"))),
                        Err(_) => Err("it could be neither started nor ended; look for a dead mount".to_owned()),
                    }
                }
            };
            let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            // Nobody listens only when the supervisor stops; the next one tells again.
            let _ = events.send(Event::Tell(then(result, took_ms))).await;
        });
    }

    /// The site's program ended. A supervisor that dies before this record is written tells once more.
    fn ran(&mut self, about: Subject, of: Now, tries: u32, result: Result<(), String>) -> Follow {
        self.running = false;
        let (ok, detail) = match result {
            Ok(()) => (true, "it ended with 0".to_owned()),
            Err(why) => (false, why),
        };
        Follow::Write(about, Box::new(Body::Notified { of, ok, detail, tries }))
    }

    /// What waits to be told, for status.
    pub(crate) fn untold_rows(&self, state: &State, now: &Now) -> Vec<UntoldRow> {
        let row = |by, about: &Subject, since: &Now, reason: &str| UntoldRow {
            by,
            incident: about.incident,
            code: about.code.clone(),
            target: about.target.clone(),
            since: since.wall_ms,
            reason: reason.to_owned(),
            tries: 0,
            detail: String::new(),
            given_up: false,
        };
        let programs = state.escalations.untold.iter().map(|untold| UntoldRow {
            tries: untold.tries,
            detail: untold.detail.clone(),
            given_up: untold.due_ms(now).is_none(),
            ..row(NotifyBy::Program, &untold.about, &untold.at, &untold.reason)
        });
        let entries = self.entries.iter().map(|entry| UntoldRow {
            tries: entry.tries,
            detail: entry.detail.clone(),
            ..row(NotifyBy::Journal, &entry.about, &entry.at, &entry.reason)
        });
        programs.chain(entries).collect()
    }

    /// Escalations that nobody was notified of because too many waited.
    pub(crate) fn untold_dropped(&self, state: &State) -> u64 {
        state.escalations.dropped.saturating_add(self.entries_dropped)
    }
}

fn environment(untold: &Untold, tries: u32) -> Vec<(String, String)> {
    let word = |value: Option<String>| value.unwrap_or_default();
    let lines: Vec<&str> = std::iter::once(&untold.reason).chain(&untold.guide).map(String::as_str).collect();
    let mut reason = lines.join("\n");
    journal::shorten(&mut reason, LONGEST_TEXT);
    [
        ("WBD_CODE", word(untold.about.code.as_ref().map(ToString::to_string))),
        ("WBD_TARGET", word(untold.about.target.as_ref().map(ToString::to_string))),
        ("WBD_INCIDENT", word(untold.about.incident.map(|id| id.to_string()))),
        ("WBD_REASON", reason),
        ("WBD_TIME", (untold.at.wall_ms / 1000).to_string()),
        ("WBD_TRY", tries.to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// What the program is told of an incident that there is not.
fn test_environment(now: &Now) -> Vec<(String, String)> {
    [
        ("WBD_CODE", TEST_CODE),
        ("WBD_TARGET", "host"),
        ("WBD_INCIDENT", "I0"),
        ("WBD_REASON", "This is a test of on_escalation. Nothing is wrong on this host."),
        ("WBD_TIME", &(now.wall_ms / 1000).to_string()),
        ("WBD_TRY", "1"),
        ("WBD_TEST", "1"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

#[cfg(test)]
#[path = "notifier_tests.rs"]
mod tests;

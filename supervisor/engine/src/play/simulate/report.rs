//! The report of a rehearsal: what would have been done, and how far the record can tell. Plain data, and how it is
//! gathered; decides nothing.
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use serde::Serialize;
use wbd_model::action::{Action, Class};
use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry, Intent, Outcome, Subject};
use wbd_model::incident::{ActionId, Closing, IncidentId};
use wbd_model::name::{Code, PlaybookName, TargetName};
use wbd_model::time::{BootId, Now};

use super::record::Record;
use crate::guard;
use crate::playbook::Bound;
use crate::state::State;

/// Events that are told one by one; all are counted.
pub const MOST_EVENTS: usize = 20_000;
/// A real action this long before a rehearsed incident is not its cure, milliseconds.
const JUST_BEFORE_MS: u64 = 60_000;

/// What is left after an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Disruptive actions that the host still had in this hour.
    pub host_hour_left: u32,
    /// The same in this day.
    pub host_day_left: u32,
    /// Which attempt of the playbook on this target it was, within its window.
    pub attempt: u32,
    /// How many it may make.
    pub attempts_max: u32,
}

/// One thing that would have been written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Unix time in milliseconds, as the host's clock stood.
    pub time: i64,
    /// The boot.
    pub boot: String,
    /// Milliseconds since that boot.
    pub boot_ms: u64,
    /// As in the ledger: opened, intent, refused, verdict, escalated, closed, ...
    pub kind: String,
    /// A number of the rehearsal's own: S1, S2, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The failure.
    pub code: Option<Code>,
    /// Whose.
    pub target: Option<TargetName>,
    /// The playbook.
    pub playbook: Option<PlaybookName>,
    /// The case, the rung, the guard, the result or the ending: the record's one word.
    pub word: String,
    /// What was seen, or why, a line each.
    pub evidence: Vec<String>,
    /// The action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// Its class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// What is left of the budgets after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Actions that were really done on the same thing about then: `A17 agent.start`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_life: Vec<String>,
    /// Of a proof: whether the record can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decidable: Option<bool>,
    /// It follows from a proof that the record cannot tell.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
}

/// How far the record can tell of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// The failure.
    pub code: Code,
    /// Whose.
    pub target: TargetName,
    /// The playbook.
    pub playbook: PlaybookName,
    /// Everything it asks was recorded for this long, milliseconds.
    pub recorded_ms: u64,
    /// Of that it could not be decided whether it fails, milliseconds.
    pub undecided_ms: u64,
    /// How often it began to fail.
    pub failures: u64,
    /// Questions of which nothing was recorded.
    pub never_recorded: BTreeSet<String>,
}

/// All of it, counted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Incidents opened.
    pub incidents: u64,
    /// Actions.
    #[serde(rename = "deeds")]
    pub actions: u64,
    /// Actions by their class.
    pub by_class: BTreeMap<Class, u64>,
    /// Times a guard said no.
    pub refusals: u64,
    /// Proofs that the record shows.
    pub proved: u64,
    /// Proofs that the record shows to fail.
    pub not_proved: u64,
    /// Proofs of which the record cannot tell.
    pub not_decidable: u64,
    /// Incidents handed over to a person.
    pub handed_over: u64,
}

/// A rehearsal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SimulationReport {
    /// First moment that was rehearsed, Unix milliseconds; `None` where nothing was recorded.
    pub from: Option<i64>,
    /// Last moment of the record.
    pub to: Option<i64>,
    /// Each check, and what is known of it.
    pub checks: Vec<CheckReport>,
    /// What would have been written, oldest first; at most [`MOST_EVENTS`].
    pub events: Vec<Event>,
    /// Events that are not told one by one.
    pub events_left_out: u64,
    /// All of it, counted.
    pub totals: Totals,
    /// Actions that were really done for these failures in that time.
    pub actions_in_life: u64,
    /// Decisions of operators (approvals, denials) on these failures, which are not carried over.
    pub decisions_in_life: u64,
}

/// An action of the record.
#[derive(Debug)]
struct Real {
    at_ms: u64,
    id: ActionId,
    name: &'static str,
    thing: String,
    target: Option<TargetName>,
}

/// What is known of a rehearsed incident while it lasts.
#[derive(Debug, Default)]
struct Course {
    opened_ms: u64,
    actions: Vec<(&'static str, String)>,
    assumed: bool,
}

/// Gathers the report.
#[derive(Debug)]
pub(super) struct Recorder<'a> {
    record: &'a Record<'a>,
    first: u64,
    /// By boot, in the order of its clock.
    real: BTreeMap<BootId, Vec<Real>>,
    courses: BTreeMap<IncidentId, Course>,
    pub(super) report: SimulationReport,
}

impl<'a> Recorder<'a> {
    /// Rehearsed incidents are numbered from `first`.
    pub(super) fn new(record: &'a Record<'a>, first: u64) -> Self {
        let undone: BTreeSet<ActionId> = record.entries.iter().filter_map(fruitless).collect();
        let mut by_boot: BTreeMap<BootId, Vec<Real>> = BTreeMap::new();
        for entry in record.entries {
            if let Some(action) = real(entry).filter(|action| !undone.contains(&action.id)) {
                by_boot.entry(entry.at.boot.clone()).or_default().push(action);
            }
        }
        by_boot.values_mut().for_each(|actions| actions.sort_by_key(|action| action.at_ms));
        Self { record, first, real: by_boot, courses: BTreeMap::new(), report: SimulationReport::default() }
    }

    /// Nothing more is known of a rehearsed incident.
    pub(super) fn lose(&mut self, now: &Now, key: &CheckKey, playbook: &PlaybookName, id: IncidentId) {
        let subject = Subject {
            incident: Some(id),
            code: Some(key.code.clone()),
            target: Some(key.target.clone()),
            playbook: Some(playbook.clone()),
        };
        let mut event = self.event(now, &subject, &Body::Closed { how: Closing::Noise });
        "not-told".clone_into(&mut event.word);
        if self.courses.get(&id).is_some_and(|course| !course.actions.is_empty()) {
            event.decidable = Some(false);
            self.report.totals.not_decidable += 1;
        }
        event.evidence = vec!["it ended in life; how it looked afterwards was not recorded".to_owned()];
        self.push(event);
    }

    /// One record of the rehearsal; `sees`: what its check saw was recorded whole.
    pub(super) fn tell(&mut self, now: &Now, state: &State, subject: &Subject, body: &Body, sees: bool) {
        let mut event = self.event(now, subject, body);
        if let Some(id) = subject.incident {
            event.assumed = self.courses.get(&id).is_some_and(|course| course.assumed);
        }
        let totals = &mut self.report.totals;
        if let Body::Opened { case, .. } = body {
            totals.incidents += 1;
            event.word.clone_from(case);
            if let Some(id) = subject.incident {
                self.courses.insert(id, Course { opened_ms: now.boot_ms, ..Course::default() });
            }
        } else if let Body::Intent(intent) = body {
            totals.actions += 1;
            *totals.by_class.entry(intent.class).or_default() += 1;
            self.action(now, state, subject, intent, &mut event);
        } else if let Body::Refused(refusal) = body {
            totals.refusals += 1;
            let wait = refusal.until_ms.map(|until| until.saturating_sub(now.boot_ms).div_ceil(1000));
            event.evidence.extend(wait.map(|seconds| format!("until {seconds} s later")));
        } else if let Body::Verdict { passed, .. } = body {
            self.proof(now, subject, (*passed, sees), &mut event);
        } else if let Body::Closed { how: Closing::HandedOver } = body {
            totals.handed_over += 1;
        } else if let Body::Outcome { .. } = body {
            // It is always "done", and the action itself was told.
            return;
        }
        self.push(event);
    }

    fn push(&mut self, event: Event) {
        if self.report.events.len() < MOST_EVENTS {
            self.report.events.push(event);
        } else {
            self.report.events_left_out += 1;
        }
    }

    fn event(&self, now: &Now, subject: &Subject, body: &Body) -> Event {
        let number = subject.incident.map(|id| id.0.saturating_sub(self.first) + 1);
        let ours = subject.incident.map(|id| (id.to_string(), format!("S{}", id.0.saturating_sub(self.first) + 1)));
        let renamed = |line: String| match &ours {
            Some((real, ours)) => line.replace(real, ours),
            None => line,
        };
        let evidence = if let Body::Opened { evidence, .. } = body { evidence.clone() } else { body.evidence() };
        Event {
            time: now.wall_ms,
            boot: now.boot.0.clone(),
            boot_ms: now.boot_ms,
            kind: body.kind().to_owned(),
            incident: number.map(|number| format!("S{number}")),
            code: subject.code.clone(),
            target: subject.target.clone(),
            playbook: subject.playbook.clone(),
            word: body.result().unwrap_or_default().to_owned(),
            evidence: evidence.into_iter().map(renamed).collect(),
            action: None,
            class: None,
            budget: None,
            in_life: Vec::new(),
            decidable: None,
            assumed: false,
        }
    }

    fn action(&mut self, now: &Now, state: &State, subject: &Subject, intent: &Intent, event: &mut Event) {
        let (host_hour_left, host_day_left) = guard::budget_left(state, self.record.settings, now);
        let made = state.attempts.iter().filter(|made| {
            subject.playbook.as_ref() == Some(&made.playbook) && subject.target.as_ref() == Some(&made.target)
        });
        let bound = self.bound(subject);
        let within_ms = bound.map_or(0, |bound| bound.verify_within.as_ms());
        let per_ms = bound.map_or(0, |bound| bound.attempts.per_ms);
        let made = made.filter(|made| state.age_ms(made.at_ms, now) <= per_ms).count();
        event.budget = Some(Budget {
            host_hour_left,
            host_day_left,
            attempt: u32::try_from(made).unwrap_or(u32::MAX),
            attempts_max: bound.map_or(0, |bound| bound.attempts.max),
        });
        event.word.clone_from(&intent.rung_id);
        event.action = Some(intent.action.clone());
        event.class = Some(intent.class);
        let thing = intent.action.conflict().to_string();
        let course = subject.incident.and_then(|id| self.courses.get_mut(&id));
        let since_ms = course.as_ref().map_or(now.boot_ms, |course| course.opened_ms).saturating_sub(JUST_BEFORE_MS);
        if let Some(course) = course {
            course.actions.push((intent.action.name(), thing.clone()));
        }
        let span = since_ms..=now.boot_ms.saturating_add(within_ms);
        let same = between(&self.real, &now.boot, span).iter();
        event.in_life =
            same.filter(|real| real.thing == thing).map(|real| format!("{} {}", real.id, real.name)).collect();
    }

    /// The record tells of a proof only where the same action was really done; else it shows what another action, or
    /// none, led to.
    fn proof(&mut self, now: &Now, subject: &Subject, (passed, sees): (bool, bool), event: &mut Event) {
        let totals = &mut self.report.totals;
        let Some(course) = subject.incident.and_then(|id| self.courses.get_mut(&id)) else { return };
        let span = course.opened_ms.saturating_sub(JUST_BEFORE_MS)..=now.boot_ms;
        let about = between(&self.real, &now.boot, span);
        let same = about
            .iter()
            .find(|real| course.actions.iter().any(|(name, thing)| *name == real.name && *thing == real.thing));
        let other = about.iter().rev().find(|real| real.target.is_none() || real.target == subject.target);
        if !passed && !sees {
            event.decidable = Some(false);
            event
                .evidence
                .push("not decidable: how it looked then was not recorded; its course is not told".to_owned());
            totals.not_decidable += 1;
            return;
        }
        event.in_life = same.or(other).map(|real| format!("{} {}", real.id, real.name)).into_iter().collect();
        event.decidable = Some(same.is_some());
        let why = match (same, other, passed) {
            (Some(real), _, true) => format!("as recorded after {}, the same action", real.id),
            (Some(real), _, false) => format!("{}, the same action, did not cure it", real.id),
            (None, Some(real), _) => {
                format!("not decidable: the record goes on after {}, another action ({})", real.id, real.name)
            }
            (None, None, true) => "not decidable: it went away without an action of wbd".to_owned(),
            (None, None, false) => "not decidable: in life this was not done, and the failure stayed".to_owned(),
        };
        event.evidence.push(why);
        match (same.is_some(), passed) {
            (true, true) => totals.proved += 1,
            (true, false) => totals.not_proved += 1,
            (false, _) => totals.not_decidable += 1,
        }
        course.assumed |= same.is_none() && !passed;
    }

    fn bound(&self, subject: &Subject) -> Option<&'a Bound> {
        let key = CheckKey { code: subject.code.clone()?, target: subject.target.clone()? };
        self.record.bounds.iter().find(|bound| bound.key == key)
    }
}

/// The actions of a boot in a span of its clock.
fn between<'a>(real: &'a BTreeMap<BootId, Vec<Real>>, boot: &BootId, span: RangeInclusive<u64>) -> &'a [Real] {
    let actions = real.get(boot).map(Vec::as_slice).unwrap_or_default();
    let from = actions.partition_point(|action| action.at_ms < *span.start());
    let to = actions.partition_point(|action| action.at_ms <= *span.end());
    actions.get(from..to).unwrap_or_default()
}

fn real(entry: &Entry) -> Option<Real> {
    let Body::Intent(intent) = &entry.body else { return None };
    Some(Real {
        at_ms: entry.at.boot_ms,
        id: intent.action_id,
        name: intent.action.name(),
        thing: intent.action.conflict().to_string(),
        target: entry.subject.target.clone(),
    })
}

/// An action that was not begun.
fn fruitless(entry: &Entry) -> Option<ActionId> {
    let Body::Outcome { action, result: Outcome::Aborted, .. } = &entry.body else { return None };
    Some(*action)
}

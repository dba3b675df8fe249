//! What the ledger itself quotes of observations: what was seen when an incident was opened and before each action.
//! That goes back further than what is kept beside it. Judges nothing.
use std::collections::BTreeMap;

use wbd_model::check::CheckKey;
use wbd_model::entry::{Body, Entry};
use wbd_model::incident::IncidentId;
use wbd_model::observation::{Fact, Kind, Observation, Observations, Value};
use wbd_model::probe::Probe;
use wbd_model::time::Now;

use super::event::{SupervisorRun, TimelineEvent};
use super::record::Record;
use crate::playbook::Bound;

/// Quoted answers with their moments. They stand until the next quotation or the incident's end; then nothing is
/// known again.
pub(super) fn quotes<'a>(record: &Record<'a>, lives: &[SupervisorRun]) -> Vec<(Now, TimelineEvent<'a>)> {
    let mut all = Vec::new();
    let mut open: BTreeMap<IncidentId, (&Bound, Vec<Probe>)> = BTreeMap::new();
    for entry in record.entries {
        let Some(id) = entry.subject.incident else { continue };
        if let Body::Opened { case, before, .. } = &entry.body {
            let Some(bound) = bound(record, entry) else { continue };
            let quoted = answers(bound, before);
            open.insert(id, (bound, quoted.iter().map(|(probe, _)| probe.clone()).collect()));
            // It was seen for as long as it was held before.
            let at = earlier(&entry.at, bound.held_for(case).as_ms(), lives);
            all.extend(quoted.into_iter().map(|(probe, seen)| (at.clone(), TimelineEvent::Quoted(probe, seen, true))));
        } else if let Body::Intent(intent) = &entry.body {
            let Some((bound, _)) = open.get(&id) else { continue };
            let quoted = answers(bound, &intent.before);
            all.extend(
                quoted.into_iter().map(|(probe, seen)| (entry.at.clone(), TimelineEvent::Quoted(probe, seen, true))),
            );
        } else if let Body::Verdict { passed: true, evidence, .. } = &entry.body {
            let Some((bound, _)) = open.get(&id) else { continue };
            // The proof had held for a while when it was written.
            let at = earlier(&entry.at, bound.verify_hold.as_ms(), lives);
            let quoted = proof(bound, evidence);
            all.extend(quoted.into_iter().map(|(probe, seen)| (at.clone(), TimelineEvent::Quoted(probe, seen, false))));
        } else if let Body::Closed { .. } = &entry.body
            && let Some((_, probes)) = open.remove(&id)
        {
            all.push((entry.at.clone(), TimelineEvent::Over(probes)));
        }
    }
    all
}

/// The facts that a proof's evidence names (`agent.live = true`); all others are unknown.
fn proof(bound: &Bound, evidence: &[String]) -> Vec<(Probe, Observation)> {
    let unseen = |probe: &Probe| Observation::unseen(probe.name().fields(), "the ledger does not quote it");
    let mut all: BTreeMap<&str, (Probe, Observation)> =
        bound.probes.iter().map(|(name, probe)| (name.as_str(), (probe.clone(), unseen(probe)))).collect();
    for line in evidence {
        let Some((fact, value)) = line.split_once(" = ") else { continue };
        let Some((name, field)) = fact.split_once('.') else { continue };
        let Some((probe, seen)) = all.get_mut(name) else { continue };
        let Some(field) = probe.name().fields().iter().find(|known| known.name == field) else { continue };
        let value = match field.kind {
            Kind::Bool => value.parse().ok().map(Value::Bool),
            Kind::Int => value.parse().ok().map(Value::Int),
            Kind::Text => serde_json::from_str(value).ok().map(Value::Text),
        };
        if let Some(value) = value {
            seen.know(field.name, value);
        }
    }
    all.into_values().collect()
}

/// The check that an incident was opened for, as it is installed now.
fn bound<'a>(record: &Record<'a>, entry: &Entry) -> Option<&'a Bound> {
    let key = CheckKey { code: entry.subject.code.clone()?, target: entry.subject.target.clone()? };
    let playbook = entry.subject.playbook.as_ref()?;
    let all = record.installed.iter().chain(record.bounds);
    all.filter(|bound| bound.key == key).find(|bound| bound.playbook == *playbook)
}

/// The answers behind the names of a playbook. An answer whose fields are not the question's belongs to another
/// version of the playbook, and is left out.
fn answers(bound: &Bound, before: &Observations) -> Vec<(Probe, Observation)> {
    let fits = |probe: &Probe, seen: &Observation| {
        let fields = probe.name().fields();
        !seen.facts.is_empty()
            && seen.facts.iter().all(|(name, fact)| {
                let field = fields.iter().find(|field| field.name == name);
                field.is_some_and(|field| match fact {
                    Fact::Known(value) => value.kind() == field.kind,
                    Fact::Unknown(_) => true,
                })
            })
    };
    let named = before.iter().filter_map(|(name, seen)| Some((bound.probes.get(name)?, seen)));
    named.filter(|(probe, seen)| fits(probe, seen)).map(|(probe, seen)| (probe.clone(), seen.clone())).collect()
}

/// So much earlier, but not before the supervisor began to look.
fn earlier(at: &Now, by_ms: u64, lives: &[SupervisorRun]) -> Now {
    let same = lives.iter().filter(|life| life.begun.boot == at.boot && life.begun.boot_ms <= at.boot_ms);
    let begun_ms = same.map(|life| life.begun.boot_ms).max().unwrap_or(at.boot_ms);
    let boot_ms = at.boot_ms.saturating_sub(by_ms).max(begun_ms);
    let wall_ms = at.wall_ms.saturating_sub_unsigned(at.boot_ms.saturating_sub(boot_ms));
    Now { boot: at.boot.clone(), boot_ms, wall_ms }
}

//! What the guards would say if an action were asked for at this moment: an offer to a person was asked of them. Permits
//! nothing.
use wbd_model::control::Offer;
use wbd_model::entry::{Body, Entry, Subject};
use wbd_model::incident::IncidentId;
use wbd_model::observation::Observations;
use wbd_model::settings::Settings;
use wbd_model::time::Now;

use super::permit;
use crate::state::{ActionRequest, Incident, State};

/// Asks every guard, as if this were asked for now: for wbd itself, and for an operator who approves it or runs its
/// playbook. A failure without an incident is taken as if it had one.
#[must_use]
pub fn offer(state: &State, settings: &Settings, now: &Now, want: &ActionRequest) -> Offer {
    let open = state.open_for(&want.key).map(|incident| incident.id);
    let asked = |approved: bool| {
        let id = open.unwrap_or(IncidentId(state.next_incident.max(1)));
        let want = ActionRequest { incident: id, ..want.clone() };
        let state = as_if(state, now, &want, approved);
        permit::check(&state, settings, now, &want).err()
    };
    Offer { incident: open, by_itself: asked(false), by_hand: asked(true) }
}

/// A state with the records that asking would write. The guards read it and nothing else, so they cannot tell the two
/// apart.
fn as_if(state: &State, now: &Now, want: &ActionRequest, approved: bool) -> State {
    let mut state = state.clone();
    let subject = Subject {
        incident: Some(want.incident),
        code: Some(want.key.code.clone()),
        target: Some(want.key.target.clone()),
        playbook: Some(want.playbook.clone()),
    };
    let seq = state.seq + 1;
    let entry = |body| {
        let (prev, hash) = (String::new(), String::new());
        Entry { seq, at: now.clone(), subject: subject.clone(), body, prev, hash }
    };
    let (digest, case) = (want.plan.digest.clone(), String::new());
    let opened = entry(Body::Opened { digest, case, evidence: Vec::new(), before: Observations::new() });
    let known = state.open_for(&want.key).cloned();
    let Some(mut incident) = known.or_else(|| Incident::opened(want.incident, &opened)) else { return state };
    if approved {
        incident.apply(&entry(Body::Approved { who: String::new(), shown: None }));
    }
    state.incidents.insert(want.incident, incident);
    state
}

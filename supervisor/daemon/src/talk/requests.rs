//! The owner of what is asked on the control socket. Whether the peer may ask was checked at the socket.
use std::path::{Path, PathBuf};

use tokio::sync::oneshot;
use wbd_agent_api::paths;
use wbd_engine::guard::{hold, waiver};
use wbd_engine::state::{Hold, Incident, State};
use wbd_ledger::LedgerError;
use wbd_model::action::{Action, AgentStop, Class};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::control::{AgentVerb, Request, Response};
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{ActionId, Guard, IncidentId};
use wbd_model::name::{PlaybookName, TargetName};
use wbd_model::plan::Plan;
use wbd_model::time::Now;

use crate::event::{ActEvent, ByHand, CheckEvent, ProductEvent, TalkEvent};
use crate::follow::Follow;
use crate::talk::agent_call;
use crate::talk::answer::{UNDER_WAY, begun, done, refused};
use crate::talk::approvals::{About, Approvals, Decided, Decision};
use crate::talk::products;
use crate::talk::waivers::{self, Wanted};
use crate::view::View;

/// A check that is asked for again and again is looked at this often.
const LOOK_AGAIN_MS: u64 = 1_000;

type Reply = oneshot::Sender<Response>;

/// What is asked on the control socket, and what of it is remembered.
#[derive(Debug)]
pub(crate) struct RequestHandler {
    root: PathBuf,
    /// Plans that were shown and may be approved.
    approvals: Approvals,
    /// The check whose playbook an operator asked for, and who.
    asked_by: Option<(CheckKey, String)>,
}

impl RequestHandler {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), approvals: Approvals::default(), asked_by: None }
    }

    /// Somebody asks something, or what was asked can be answered now.
    pub(crate) fn on(&mut self, event: TalkEvent, view: &View<'_>, now: &Now) -> Vec<Follow> {
        match event {
            TalkEvent::Asked { request, who, reply } => self.asked(request, &who, reply, view, now),
            TalkEvent::PlanPreviewed { incident, plan, changes, offer, reply } => {
                let runs = || view.agent.process().is_some();
                let (plan, changes, digest) = self.approvals.previewed(incident, *plan, changes, runs);
                say(reply, Response::Preview { plan, changes, digest, offer: offer.map(Box::new) })
            }
            TalkEvent::Resumed { about, reply } => resumed(about, reply, view.state(), now),
            TalkEvent::CallAgent { command, change, reply } => {
                self.call_agent(command, change, reply);
                Vec::new()
            }
        }
    }

    fn asked(&mut self, request: Request, who: &str, reply: Reply, view: &View<'_>, now: &Now) -> Vec<Follow> {
        let about = about(view, now);
        match request {
            Request::Status {} => vec![Follow::SeeHolds, Follow::Status(reply)],
            Request::Report {} => say(reply, Response::Report(view.report().map(Box::new))),
            Request::LookAgain { checks } => look_again(&checks, reply, view, now),
            Request::Incidents {} => say(reply, Response::Incidents(view.incident_rows(true))),
            Request::Preview { incident } => ask_plan(Some(incident), about.waiting_plan(incident), reply),
            Request::PreviewFix { key } => ask_plan(None, about.fix_plan(&key), reply),
            Request::Approve { incident, shown } => {
                let decision = Decision::Approve { incident, digest: shown.as_deref() };
                answer(self.approvals.on(decision, &about, who), reply)
            }
            Request::Deny { incident } => answer(self.approvals.on(Decision::Deny { incident }, &about, who), reply),
            Request::Pause { why, for_ms, from_class } => pause(who, why, for_ms, from_class, reply, now),
            Request::Resume {} => resume(who, reply, view.state(), now),
            Request::Waive { code, target, why, until_wall_ms } => {
                let products_known = view.products.is_known();
                let wanted = Wanted { code, target, why, until_wall_ms, products_known };
                answer(waivers::waive(wanted, who, view.checks, view.state(), now), reply)
            }
            Request::Reload {} => vec![
                Follow::manual("reload", who, "settings and playbooks"),
                Follow::Products(ProductEvent::Reload(Some(reply))),
            ],
            Request::RunPlaybook { playbook, target, without_approval } => {
                match to_run(&playbook, target.as_ref(), without_approval, &about, view.products.is_known()) {
                    Ok(key) => self.run_playbook(&playbook, key, without_approval, who, &about, reply),
                    Err(why) => say(reply, refused(why)),
                }
            }
            Request::TestEscalation {} => vec![
                Follow::manual("escalation.test", who, "on_escalation with a made-up incident"),
                Follow::TestNotification(reply),
            ],
            Request::ForgetProduct { name } => match products::may_forget(&name, view) {
                Ok(()) => vec![
                    Follow::manual("product.forget", who, name.as_str()),
                    Follow::Products(ProductEvent::Forget { name, who: who.to_owned(), reply }),
                ],
                Err(why) => say(reply, refused(why)),
            },
            Request::RotateLedger { .. } if view.is_acting => say(reply, refused(UNDER_WAY)),
            Request::RotateLedger { reason } => {
                vec![Follow::Act(ActEvent::GiveUp), Follow::Rotate { reason, who: who.to_owned(), reply }]
            }
            Request::Undo { action } => undo(action, who, reply, view),
            Request::Agent { verb } => by_hand(agent_action(verb, who), None, who, reply),
            Request::AgentCall { command, change } => {
                // What changes something is on record before the agent hears of it.
                let record = change.then(|| Follow::manual("agent.command", who, &command));
                record.into_iter().chain([Follow::Talk(TalkEvent::CallAgent { command, change, reply })]).collect()
            }
        }
    }

    fn run_playbook(
        &mut self,
        name: &PlaybookName,
        key: CheckKey,
        without_approval: bool,
        who: &str,
        about: &About<'_>,
        reply: Reply,
    ) -> Vec<Follow> {
        let mut follows = vec![Follow::manual("playbook.run", who, &format!("{name} on {}", key.target))];
        match about.state.open_for(&key).map(|incident| incident.id) {
            Some(id) if !without_approval => {
                follows.extend(answer_about(about.approve_unseen(id, who), vec![key], reply));
                return follows;
            }
            Some(_) => {}
            None => {
                follows.push(Follow::AskedFor(key.clone()));
                if without_approval {
                    // An approval of this very failure that was said just before stands.
                    self.asked_by.take_if(|(asked, _)| *asked != key);
                } else {
                    self.asked_by = Some((key.clone(), who.to_owned()));
                }
            }
        }
        let message = format!("{name} is asked for on {}; see what comes of it: wbdctl incidents list", key.target);
        follows.push(Follow::Check(CheckEvent::Now(key.clone())));
        follows.push(Follow::Answer { reply, response: Box::new(begun(message, vec![key])) });
        follows
    }

    /// Who approved beforehand what is done about this: by running its playbook by hand. An approval is good for once.
    pub(crate) fn takes_approval(&mut self, about: &Subject) -> Option<String> {
        let (code, target) = (about.code.clone()?, about.target.clone()?);
        let about = CheckKey { code, target };
        self.asked_by.take_if(|(key, _)| *key == about).map(|(_, who)| who)
    }

    /// What an operator asked for is over, or was not needed: it is no approval for a later incident.
    pub(crate) fn forget_approval(&mut self) {
        self.asked_by = None;
    }

    /// The agent is asked.
    fn call_agent(&self, command: String, change: bool, reply: Reply) {
        let socket = paths::socket(&self.root);
        tokio::spawn(async move {
            let response = match agent_call::call(&socket, &command, change).await {
                Ok(answer) => Response::Agent { reply: answer },
                Err(error) => {
                    refused(format!("the agent did not take the command ({error}); wbdctl doctor tells why [WBD-6023]"))
                }
            };
            let _ = reply.send(response);
        });
    }
}

/// What an operator's decisions are about.
pub(crate) fn about<'a>(view: &View<'a>, now: &'a Now) -> About<'a> {
    About { checks: view.checks, state: view.state(), settings: view.settings(), now }
}

/// A peer that went away wants no answer.
fn say(reply: Reply, response: Response) -> Vec<Follow> {
    let _ = reply.send(response);
    Vec::new()
}

/// What follows from a decision is done, and then said.
fn answer(decided: Decided, reply: Reply) -> Vec<Follow> {
    answer_about(decided, Vec::new(), reply)
}

/// The same, where the incidents of these checks tell what comes of it.
fn answer_about(decided: Decided, about: Vec<CheckKey>, reply: Reply) -> Vec<Follow> {
    match decided {
        Ok((follows, message)) if follows.is_empty() => say(reply, begun(message, about)),
        Ok((mut follows, message)) => {
            follows.push(Follow::Say { reply, message, about });
            follows
        }
        Err(why) => say(reply, refused(why)),
    }
}

/// Whoever asks waits for nothing here: status tells when it was done. Everybody may ask, so each check is looked at once
/// a second at most.
fn look_again(checks: &[CheckKey], reply: Reply, view: &View<'_>, now: &Now) -> Vec<Follow> {
    let due_ms = |key: &CheckKey| {
        let last_ms = view.checks.get(key)?.last.as_ref().map_or(0, |last| last.began_ms);
        Some(now.boot_ms.max(last_ms.saturating_add(LOOK_AGAIN_MS)))
    };
    let looks = checks.iter().filter_map(|key| Some(Follow::Check(CheckEvent::By(key.clone(), due_ms(key)?))));
    let mut follows: Vec<Follow> = looks.collect();
    follows.push(Follow::Answer { reply, response: Box::new(done("they are looked at again")) });
    follows
}

fn ask_plan(incident: Option<IncidentId>, plan: Result<(Plan, usize), String>, reply: Reply) -> Vec<Follow> {
    match plan {
        Ok((plan, begun)) => vec![Follow::Act(ActEvent::PlanAsked { incident, plan: Box::new(plan), begun, reply })],
        Err(why) => say(reply, refused(why)),
    }
}

fn by_hand(action: Action, undoes: Option<ActionId>, who: &str, reply: Reply) -> Vec<Follow> {
    vec![Follow::Act(ActEvent::ByHand(ByHand { action, undoes, who: who.to_owned(), reply }))]
}

fn agent_action(verb: AgentVerb, who: &str) -> Action {
    match verb {
        // An earlier stop is taken back by the act itself: one that is refused leaves it standing.
        AgentVerb::Start => Action::AgentStart {},
        AgentVerb::Restart => Action::AgentRestart {},
        AgentVerb::Reload => Action::AgentReload {},
        AgentVerb::Stop => Action::AgentStop(AgentStop { who: who.to_owned() }),
    }
}

fn pause(who: &str, why: String, for_ms: Option<u64>, from_class: Class, reply: Reply, now: &Now) -> Vec<Follow> {
    if why.trim().is_empty() {
        return say(reply, refused("say why: the next person on this host will ask"));
    }
    let until_wall_ms = for_ms.map(|ms| now.wall_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)));
    let body = Body::Hold { who: who.to_owned(), why: why.clone(), until_wall_ms, from_class, file: None, busy: None };
    let pause = Hold { who: who.to_owned(), why, until_wall_ms, from_class, until_boot: None, busy: None };
    vec![Follow::Write(Subject::default(), Box::new(body)), Follow::KeepPause { pause: Box::new(pause), reply }]
}

fn resume(who: &str, reply: Reply, state: &State, now: &Now) -> Vec<Follow> {
    let mut follows = Vec::new();
    let mut write = |body| follows.push(Follow::Write(Subject::default(), Box::new(body)));
    let lifts = state.hold.as_ref().is_some_and(|pause| !hold::is_over(pause, now));
    if state.hold.is_some() {
        write(Body::Lifted { who: who.to_owned(), file: None });
    }
    // The end of a pause is no approval of what was given up before it.
    let tries_again = !state.suspended.is_empty() || (!lifts && state.has_given_up());
    if tries_again {
        write(Body::Resumed { who: who.to_owned() });
    }
    let about = let_go(state, tries_again);
    follows.extend([
        Follow::Check(CheckEvent::All),
        Follow::SeeHolds,
        Follow::Talk(TalkEvent::Resumed { about, reply }),
    ]);
    follows
}

/// What a `resume` lets go on: incidents that a pause or a suspension holds, and what was given up and is tried again.
fn let_go(state: &State, tries_again: bool) -> Vec<CheckKey> {
    let held = state.open.keys().filter(|key| {
        let refusal = state.open_for(key).and_then(Incident::held);
        refusal.is_some_and(|refusal| matches!(refusal.guard, Guard::Hold | Guard::Suspended))
    });
    let given_up = state.latched.difference(&state.denied).filter(|_| tries_again);
    held.chain(given_up).cloned().collect()
}

/// A pause was lifted, as far as it could be.
fn resumed(about: Vec<CheckKey>, reply: Reply, state: &State, now: &Now) -> Vec<Follow> {
    // What the host is busy with nobody lifts.
    let standing = hold::standing(state, now).filter(|(_, hold)| hold.busy.is_none());
    let files: Vec<&str> = standing.filter_map(|(file, _)| file).collect();
    if !files.is_empty() {
        let files = files.join(" and ");
        return say(reply, refused(format!("actions are still held by {files}; remove that to lift it")));
    }
    let message = if state.has_given_up() {
        "resumed; what wbd had given up stays so: wbdctl resume once more has it tried again".to_owned()
    } else if state.denied.is_empty() {
        "resumed".to_owned()
    } else {
        let denied = state.denied.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        format!("resumed; still denied until a check passes or you run the playbook: {denied}")
    };
    vec![Follow::Say { reply, message, about }]
}

/// The failing check whose playbook may be run by hand.
fn to_run(
    name: &PlaybookName,
    target: Option<&TargetName>,
    without_approval: bool,
    about: &About<'_>,
    products_known: bool,
) -> Result<CheckKey, String> {
    if !products_known {
        return Err("the products of this host are still being looked for; try again".to_owned());
    }
    let fits = |key: &CheckKey| target.is_none_or(|target| key.target == *target);
    let found: Vec<_> = about.checks.all.iter().filter(|c| c.bound.playbook == *name && fits(&c.bound.key)).collect();
    let failing: Vec<_> = found
        .iter()
        .filter(|check| check.last.as_ref().is_some_and(|last| last.judgement.verdict == Verdict::Fail))
        .collect();
    let key = match (found.as_slice(), failing.as_slice()) {
        ([], _) => {
            return Err(format!("{name} applies to nothing on this host; wbdctl playbook list shows what does"));
        }
        (_, []) => {
            let words: Vec<String> = found
                .iter()
                .map(|check| {
                    let says =
                        check.last.as_ref().map_or("was not checked yet", |last| last.judgement.verdict.as_str());
                    format!("{} says {says}", check.bound.key)
                })
                .collect();
            return Err(format!("nothing to heal: {}", words.join(", ")));
        }
        (_, [one]) => one.bound.key.clone(),
        (_, several) => {
            let targets: Vec<String> = several.iter().map(|check| check.bound.key.target.to_string()).collect();
            return Err(format!("say which with --target: {}", targets.join(", ")));
        }
    };
    if let Some(waiver) = waiver::covering(&about.state.waivers, &key, about.now.wall_ms) {
        return Err(format!("{key} is waived by {}: {}; wbdctl waiver list", waiver.who, waiver.why));
    }
    about.acts(name, &key.target)?;
    if without_approval && about.state.latched.contains(&key) {
        return Err(format!("{key} was handed over to a person; wbdctl doctor tells whether one more try may be made"));
    }
    Ok(key)
}

/// The ledger was set aside, or could not be.
pub(crate) fn rotated(rotated: Result<&str, LedgerError>) -> Response {
    const BEGUN: &str = "a new ledger that names the old one's head is begun";
    match rotated {
        Ok("") => done(BEGUN),
        Ok(spent) => done(format!("{BEGUN}; {spent}")),
        Err(error) => refused(error.to_string()),
    }
}

fn undo(id: ActionId, who: &str, reply: Reply, view: &View<'_>) -> Vec<Follow> {
    let why = match view.writer.undo_of(id) {
        Ok(Some(undo)) => return by_hand(undo.action, Some(id), who, reply),
        Err(error) => format!("{id} is not among the last actions, and {error}"),
        Ok(None) if id.0 == 0 || id.0 >= view.state().next_action => {
            format!("there is no action {id}; list them: wbdctl ledger list --kind intent")
        }
        Ok(None) => {
            format!("{id} cannot be taken back: it changed nothing that was captured, or it was taken back already")
        }
    };
    say(reply, refused(why))
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;

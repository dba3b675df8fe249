//! Answers requests of the control socket. Whether the peer may ask was checked at the socket.
use tokio::sync::oneshot;
use wbd_actions::Preview;
use wbd_agent_api::{paths, stop};
use wbd_engine::guard::{self, hold, waiver};
use wbd_engine::state::{Captured, Hold};
use wbd_model::action::{Action, AgentStop, Class};
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::control::{AgentVerb, IncidentRow, Request, Response};
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::ActionId;
use wbd_model::name::{PlaybookName, TargetName};
use wbd_probes::clock::now;

use crate::deed::Deed;
use crate::preview::Asked;
use crate::supervisor::Supervisor;
use crate::waivers::Wanted;

type Reply = oneshot::Sender<Response>;

const UNDER_WAY: &str = "a deed is under way; try again when it is done";

/// No, and why.
pub(crate) fn refused(message: impl Into<String>) -> Response {
    Response::Refused { message: message.into() }
}

/// Yes, it is done.
pub(crate) fn done(message: impl Into<String>) -> Response {
    Response::Done { message: message.into() }
}

impl Supervisor {
    /// Answers at once, or hands the reply on to what answers later.
    pub(crate) fn request(&mut self, request: Request, who: &str, reply: Reply) {
        let response = match request {
            Request::Status {} => {
                self.see_holds();
                Response::Status(Box::new(self.status()))
            }
            Request::Report {} => Response::Report(self.report().map(Box::new)),
            Request::Incidents {} => Response::Incidents(self.incident_rows(true)),
            Request::Preview { incident } => match self.waiting_plan(incident) {
                Ok((plan, begun)) => return self.look_at_plan(Some(incident), plan, begun, reply),
                Err(reason) => refused(reason),
            },
            Request::PreviewFix { key } => match self.fix_plan(&key) {
                Ok((plan, begun)) => return self.look_at_plan(None, plan, begun, reply),
                Err(reason) => refused(reason),
            },
            Request::Approve { incident, shown } => self.approve(incident, shown.as_deref(), who),
            Request::Deny { incident } => self.deny(incident, who),
            Request::Pause { why, for_ms, from_class } => self.pause(who, why, for_ms, from_class),
            Request::Resume {} => self.resume(who),
            Request::Waive { code, target, why, until_wall_ms } => {
                self.waive(Wanted { code, target, why, until_wall_ms }, who)
            }
            Request::Reload {} => {
                self.manual(&now(), "reload", who, "settings and playbooks");
                return self.reload(Some(reply));
            }
            Request::RunPlaybook { playbook, target, without_word } => {
                self.run_playbook(&playbook, target.as_ref(), without_word, who)
            }
            Request::RotateLedger { reason } => self.rotate(&reason, who),
            Request::Undo { action } => return self.undo(action, who, reply),
            Request::Agent { verb } => return self.agent_by_hand(verb, who, reply),
            Request::AgentCall { command, change } => return self.agent_call(command, change, who, reply),
        };
        // A peer that went away wants no answer.
        let _ = reply.send(response);
    }

    /// Open incidents, and the closed ones that are still in memory.
    pub(crate) fn incident_rows(&self, closed: bool) -> Vec<IncidentRow> {
        let rows = self.memory.state.incidents.values().filter(|incident| closed || !incident.is_closed());
        rows.map(|incident| IncidentRow {
            id: incident.id,
            code: incident.key.code.clone(),
            target: incident.key.target.clone(),
            playbook: incident.playbook.clone(),
            case: incident.case.clone(),
            phase: incident.phase.clone(),
            opened: incident.opened.wall_ms,
            changed: incident.changed.wall_ms,
            acts: incident.acts,
            held: incident.held().cloned(),
            guide: incident.escalated.clone().unwrap_or_default(),
        })
        .collect()
    }

    pub(crate) fn told(&self, message: String) -> Response {
        if self.memory.degraded.is_empty() {
            return done(message);
        }
        done(format!("{message}; it is not on disk yet: {}", self.memory.degraded))
    }

    fn pause(&mut self, who: &str, why: String, for_ms: Option<u64>, from_class: Class) -> Response {
        if why.trim().is_empty() {
            return refused("say why: the next person on this host will ask");
        }
        let now = now();
        let until_wall_ms = for_ms.map(|ms| now.wall_ms.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX)));
        let body = Body::Hold { who: who.to_owned(), why: why.clone(), until_wall_ms, from_class, file: None };
        self.memory.write(&now, Subject::default(), body);
        if !self.memory.degraded.is_empty() {
            return done(self.keep_pause(Hold {
                who: who.to_owned(),
                why,
                until_wall_ms,
                from_class,
                until_boot: None,
            }));
        }
        self.told("paused; wbdctl resume lifts it".to_owned())
    }

    fn resume(&mut self, who: &str) -> Response {
        let now = now();
        let lifts = self.memory.state.hold.as_ref().is_some_and(|pause| !hold::is_over(pause, &now));
        if self.memory.state.hold.is_some() {
            self.memory.write(&now, Subject::default(), Body::Lifted { who: who.to_owned(), file: None });
        }
        // The end of a pause is no word on what was given up before it.
        if !self.memory.state.suspended.is_empty() || (!lifts && self.memory.state.has_given_up()) {
            self.memory.write(&now, Subject::default(), Body::Resumed { who: who.to_owned() });
        }
        self.checks.hasten(now.boot_ms, |_| true);
        self.see_holds();
        let files: Vec<&str> = hold::standing(&self.memory.state, &now).filter_map(|(file, _)| file).collect();
        if !files.is_empty() {
            return refused(format!("deeds are still held by {}; remove that to lift it", files.join(" and ")));
        }
        let state = &self.memory.state;
        self.told(if state.has_given_up() {
            "resumed; what wbd had given up stays so: wbdctl resume once more has it tried again".to_owned()
        } else if state.denied.is_empty() {
            "resumed".to_owned()
        } else {
            let denied = state.denied.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!("resumed; what was denied stays so, until it is seen gone or its playbook is run by hand: {denied}")
        })
    }

    fn run_playbook(
        &mut self,
        name: &PlaybookName,
        target: Option<&TargetName>,
        without_word: bool,
        who: &str,
    ) -> Response {
        if !self.is_bound {
            return refused("the products of this host are still being looked for; try again");
        }
        let fits = |key: &CheckKey| target.is_none_or(|target| key.target == *target);
        let found: Vec<_> =
            self.checks.all.iter().filter(|c| c.bound.playbook == *name && fits(&c.bound.key)).collect();
        let failing: Vec<_> = found
            .iter()
            .filter(|check| check.last.as_ref().is_some_and(|last| last.judgement.verdict == Verdict::Fail))
            .collect();
        let key = match (found.as_slice(), failing.as_slice()) {
            ([], _) => {
                return refused(format!(
                    "{name} applies to nothing on this host; wbdctl playbook list shows what does"
                ));
            }
            (_, []) => {
                let words: Vec<String> = found
                    .iter()
                    .map(|check| {
                        let says =
                            check.last.as_ref().map_or("was not looked at yet", |last| last.judgement.verdict.as_str());
                        format!("{} says {says}", check.bound.key)
                    })
                    .collect();
                return refused(format!("nothing to heal: {}", words.join(", ")));
            }
            (_, [one]) => one.bound.key.clone(),
            (_, several) => {
                let targets: Vec<String> = several.iter().map(|check| check.bound.key.target.to_string()).collect();
                return refused(format!("say which with --target: {}", targets.join(", ")));
            }
        };
        if let Some(waiver) = waiver::covering(&self.memory.state.waivers, &key, now().wall_ms) {
            return refused(format!("{key} is waived by {}: {}; wbdctl waiver list", waiver.who, waiver.why));
        }
        if let Err(why) = self.acts(name) {
            return refused(why);
        }
        if without_word && self.memory.state.latched.contains(&key) {
            let again = format!("wbdctl playbook run {name} --target {}", key.target);
            return refused(format!("{key} was handed over; one more try: {again}"));
        }
        let open = self.memory.state.open_for(&key).map(|incident| incident.id);
        self.manual(&now(), "playbook.run", who, &format!("{name} on {}", key.target));
        match open {
            Some(id) if !without_word => return self.approve_unseen(id, who),
            Some(_) => {}
            None => {
                self.turns.asked = Some(key.clone());
                if without_word {
                    // A yes to this very failure that was said just before stands.
                    self.asked_by.take_if(|(asked, _)| *asked != key);
                } else {
                    self.asked_by = Some((key.clone(), who.to_owned()));
                }
            }
        }
        self.hasten_check(&key, now().boot_ms);
        done(format!("{name} runs on {}; wbdctl incidents list shows how it goes", key.target))
    }

    fn rotate(&mut self, reason: &str, who: &str) -> Response {
        if self.is_acting() {
            return refused(UNDER_WAY);
        }
        self.give_up_looking();
        const BEGUN: &str = "a new ledger that names the old one's head is begun";
        match self.memory.rotate(&now(), reason, who, self.loaded.settings.budget) {
            Ok("") => done(BEGUN),
            Ok(spent) => done(format!("{BEGUN}; {spent}")),
            Err(error) => refused(error.to_string()),
        }
    }

    fn undo(&mut self, id: ActionId, who: &str, reply: Reply) {
        match self.memory.undo_of(id) {
            Ok(Some(undo)) => self.by_hand(undo.action, Some(id), who, reply),
            Err(error) => {
                let _ = reply.send(refused(format!("{id} is not among the last deeds, and {error}")));
            }
            Ok(None) if id.0 == 0 || id.0 >= self.memory.state.next_action => {
                let message = format!("there is no deed {id}; list them: wbdctl ledger list --kind intent");
                let _ = reply.send(refused(message));
            }
            Ok(None) => {
                let message = format!(
                    "{id} cannot be taken back: it changed nothing that was captured, or it was taken back already"
                );
                let _ = reply.send(refused(message));
            }
        }
    }

    fn agent_by_hand(&mut self, verb: AgentVerb, who: &str, reply: Reply) {
        let action = match verb {
            AgentVerb::Start if self.is_acting() => {
                let _ = reply.send(refused(UNDER_WAY));
                return;
            }
            AgentVerb::Start => {
                let note = paths::stop_note(&self.root);
                if let Err(error) = stop::remove(&note) {
                    let _ = reply.send(refused(error.to_string()));
                    return;
                }
                Action::AgentStart {}
            }
            AgentVerb::Reload => Action::AgentReload {},
            AgentVerb::Stop => Action::AgentStop(AgentStop { who: who.to_owned() }),
        };
        self.by_hand(action, None, who, reply);
    }

    fn is_acting(&self) -> bool {
        self.deed.as_ref().is_some_and(Deed::is_acting)
    }

    fn by_hand(&mut self, action: Action, undoes: Option<ActionId>, who: &str, reply: Reply) {
        if self.is_acting() {
            let _ = reply.send(refused(UNDER_WAY));
            return;
        }
        self.ask_preview(action.clone(), Asked::ByHand { action, undoes, who: who.to_owned(), reply });
    }

    /// What it would change is known.
    pub(crate) fn by_hand_previewed(
        &mut self,
        action: Action,
        undoes: Option<ActionId>,
        who: &str,
        reply: Reply,
        preview: Result<Preview, String>,
    ) {
        if self.is_acting() {
            let _ = reply.send(refused(UNDER_WAY));
            return;
        }
        self.give_up_looking();
        let preview = match preview {
            Ok(preview) => preview,
            Err(message) => {
                let _ = reply.send(refused(message));
                return;
            }
        };
        let what = if undoes.is_some() { "undo" } else { action.name() };
        let text = action.describe();
        let changes = self.seen_before(&action, preview.changes);
        let captured = Captured { changes, undo: preview.undo, ..Captured::default() };
        match guard::permit_by_hand(&self.memory.state, &now(), who, action, undoes, captured) {
            Ok(permit) => {
                self.manual(&now(), what, who, &text);
                self.act(permit, Some(reply));
            }
            // What was not done does not stand in the ledger as done.
            Err(refusal) => {
                let _ = reply.send(refused(refusal.reason));
            }
        }
    }

    fn agent_call(&mut self, command: String, change: bool, who: &str, reply: Reply) {
        if change {
            self.manual(&now(), "agent.command", who, &command);
        }
        let socket = paths::socket(&self.root);
        tokio::spawn(async move {
            let response = match crate::agent_call::call(&socket, &command).await {
                Ok(answer) => Response::Agent { reply: answer },
                Err(error) => {
                    refused(format!("the agent did not take the command ({error}); wbdctl doctor tells why [WBD-6023]"))
                }
            };
            let _ = reply.send(response);
        });
    }
}

//! Settings, playbooks and products read again, beside the loop: files and mounts may hang. Judges none of them.
use std::collections::BTreeSet;

use tokio::sync::oneshot;
use tracing::{error, info};
use wbd_engine::state::State;
use wbd_model::control::Response;
use wbd_model::name::ProfileName;
use wbd_probes::clock::now;

use crate::event::{Event, TellEvent};
use crate::look::load::{self, Found, Loaded};
use crate::supervisor::Supervisor;

/// Products may come and go.
const FIND_MS: u64 = 60_000;

/// Whether products are being looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Finding {
    /// Not now.
    #[default]
    No,
    /// Right now.
    Running,
    /// Right now, but by profiles that are not in force any more: the answer says nothing.
    Outdated,
}

type Reply = Option<oneshot::Sender<Response>>;

impl Supervisor {
    /// Looks for the products of this host, now and then.
    pub(crate) fn find_products(&mut self, now_ms: u64) {
        if self.finding != Finding::No || now_ms < self.find_ms {
            return;
        }
        self.finding = Finding::Running;
        self.find_ms = now_ms + FIND_MS;
        self.memory.rotate_if_due(&now());
        let (profiles, eyes) = (self.loaded.library.profiles.clone(), self.lookout.eyes().clone());
        let events = self.events.clone();
        tokio::spawn(async move {
            let found = tokio::task::spawn_blocking(move || load::find(&profiles, &eyes)).await;
            // A broken look finds nothing new; the next one is a minute away.
            let _ = events.send(Event::Found(found.ok())).await;
        });
    }

    /// Which products are there; `None` where looking broke off.
    pub(crate) fn found(&mut self, found: Option<Found>) {
        let finding = std::mem::take(&mut self.finding);
        if let Some(found) = found.filter(|_| finding == Finding::Running) {
            self.bind(found);
        }
    }

    /// The checks of this host.
    fn bind(&mut self, found: Found) {
        let bound: BTreeSet<&ProfileName> =
            self.checks.all.iter().filter_map(|check| check.bound.profile.as_ref()).collect();
        let present = there(&self.loaded, &found, &bound, &self.memory.state);
        let bounds = self.loaded.library.bind(&present, &self.loaded.settings);
        let now_ms = now().boot_ms;
        self.unseen = found.unseen;
        self.alike = found.alike;
        self.checks.replace(bounds, now_ms);
        if !self.is_bound {
            self.is_bound = true;
            self.sample_ms = now_ms;
        }
    }

    /// Reads settings and playbooks again; the old set stays if anything is broken.
    pub(crate) fn reload(&mut self, reply: Reply) {
        if self.reloading {
            match reply {
                Some(reply) => {
                    let message = "settings and playbooks are being read just now; try again".to_owned();
                    let _ = reply.send(Response::Refused { message });
                }
                None => self.reload_again = true,
            }
            return;
        }
        self.reloading = true;
        let (root, events) = (self.root.clone(), self.events.clone());
        let eyes = self.lookout.eyes().clone();
        tokio::spawn(async move {
            let read = move || {
                let loaded = load::load(&root)?;
                if !loaded.problems.is_empty() {
                    return Err(loaded.problems);
                }
                let found = load::find(&loaded.library.profiles, &eyes);
                Ok(Box::new((loaded, found)))
            };
            let result = tokio::task::spawn_blocking(read).await;
            let result = result.unwrap_or_else(|error| Err(vec![format!("bug: reading broke off: {error}")]));
            let _ = events.send(Event::Loaded { result, reply }).await;
        });
    }

    /// They were read.
    pub(crate) fn loaded(&mut self, result: Result<Box<(Loaded, Found)>, Vec<String>>, reply: Reply) {
        self.reloading = false;
        let response = match result {
            Ok(read) => {
                let (loaded, found) = *read;
                self.loaded = loaded;
                self.lookout.state(self.loaded.settings.facts.clone());
                self.on_tell(TellEvent::Program(self.loaded.settings.on_escalation.clone()), &now());
                if self.finding == Finding::Running {
                    self.finding = Finding::Outdated;
                }
                self.bind(found);
                // Settings may let something be done now that was held before.
                self.checks.hasten(now().boot_ms, |_| true);
                let count = self.loaded.library.playbooks.len();
                info!(playbooks = count, "reloaded");
                let warnings = self.loaded.misplaced.iter().map(|finding| format!("; warning: {finding}"));
                Response::Done { message: format!("{count} playbooks loaded{}", warnings.collect::<String>()) }
            }
            Err(problems) => {
                let first = problems.first().and_then(|problem| problem.lines().next()).unwrap_or_default();
                error!(problems = problems.len(), %first, "reload refused, the old set stays");
                Response::Broken { problems }
            }
        };
        if let Some(reply) = reply {
            let _ = reply.send(response);
        }
        if std::mem::take(&mut self.reload_again) {
            self.reload(None);
        }
    }
}

/// The products of this host. One that cannot be looked for now is there if it was `bound` before, or if the ledger
/// has an open incident of it, as after a restart: its incidents must not end as if it had been removed.
fn there(loaded: &Loaded, found: &Found, bound: &BTreeSet<&ProfileName>, state: &State) -> BTreeSet<ProfileName> {
    let open_with = |present: &BTreeSet<ProfileName>| {
        let bounds = loaded.library.bind(present, &loaded.settings);
        bounds.iter().filter(|bound| state.open.contains_key(&bound.key)).count()
    };
    let mut present = found.present.clone();
    for (name, _) in &found.unseen {
        let mut with = present.clone();
        with.insert(name.clone());
        if bound.contains(name) || open_with(&with) > open_with(&present) {
            present = with;
        }
    }
    present
}

#[cfg(test)]
mod tests {
    use wbd_engine::playbook;
    use wbd_model::check::CheckKey;
    use wbd_model::incident::IncidentId;
    use wbd_model::name::{Code, TargetName};
    use wbd_model::problem::Source;
    use wbd_model::settings::Settings;

    use super::*;

    const DNS: &str = include_str!("../../../../playbooks/dns.yaml");
    const DOWN: &str = include_str!("../../../../playbooks/agent-down.yaml");
    const WBD: &str = include_str!("../../../../playbooks/wbd/profile.yaml");
    /// A product with a name to ask for: it makes the check of the host.
    const FAR: &str = "\
apiVersion: wbd/v1
kind: Profile
metadata: {name: far, source: \"a test\"}
spec:
  present: {any: [{file: /mnt/far}]}
  endpoints: [{host: far.example, ports: [443]}]
";

    fn name(name: &str) -> ProfileName {
        ProfileName::new(name).unwrap()
    }

    /// Which products count as there after a restart that can look for none, with this incident open.
    fn kept(open: Option<(&str, &str)>, bound: &[&str]) -> Vec<String> {
        let source = |text: &&str| Source { path: "x.yaml".to_owned(), text: (*text).to_owned() };
        let sources: Vec<Source> = [DNS, DOWN, WBD, FAR].iter().map(source).collect();
        let (library, problems) = playbook::load(&sources);
        assert!(problems.is_empty(), "{problems:#?}");
        let loaded = Loaded { settings: Settings::default(), library, problems: Vec::new(), misplaced: Vec::new() };
        let unseen = ["far", "wbd"].map(|profile| (name(profile), "a dead mount".to_owned())).into();
        let found = Found { unseen, ..Found::default() };
        let mut state = State::default();
        if let Some((code, target)) = open {
            let key = CheckKey { code: Code::new(code).unwrap(), target: TargetName::new(target).unwrap() };
            state.open.insert(key, IncidentId(1));
        }
        let bound: Vec<ProfileName> = bound.iter().map(|bound| name(bound)).collect();
        there(&loaded, &found, &bound.iter().collect(), &state).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_product_that_cannot_be_looked_for_is_there_while_an_incident_of_it_is_open() {
        assert_eq!(kept(Some(("WBD-6007", "wbd")), &[]), ["wbd"]);
        assert_eq!(kept(Some(("AEGIS-DNS", "host")), &[]), ["far"], "a check of the host that it alone makes");
    }

    #[test]
    fn a_product_that_cannot_be_looked_for_and_has_nothing_open_is_there_if_it_was_before() {
        assert!(kept(None, &[]).is_empty());
        assert!(kept(Some(("WBD-6007", "another")), &[]).is_empty());
        assert_eq!(kept(None, &["far"]), ["far"]);
    }
}

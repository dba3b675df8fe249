//! Settings, playbooks and products read again, beside the loop: files and mounts may hang. Judges none of them.
use tokio::sync::oneshot;
use tracing::{error, info};
use wbd_model::control::Response;
use wbd_probes::clock::now;

use crate::event::Event;
use crate::load::{self, Found, Loaded};
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
    fn bind(&mut self, mut found: Found) {
        // A product that cannot be looked for now and was there before is there: its incidents must not end as if it
        // had been removed.
        for (name, _) in &found.unseen {
            if self.checks.all.iter().any(|check| check.bound.profile.as_ref() == Some(name)) {
                found.present.insert(name.clone());
            }
        }
        let bounds = self.loaded.library.bind(&found.present, &self.loaded.settings);
        let now_ms = now().boot_ms;
        self.unseen = found.unseen;
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
                if self.finding == Finding::Running {
                    self.finding = Finding::Outdated;
                }
                self.bind(found);
                // Settings may let something be done now that was held before.
                self.checks.hasten(now().boot_ms, |_| true);
                let count = self.loaded.library.playbooks.len();
                info!(playbooks = count, "reloaded");
                Response::Done { message: format!("{count} playbooks loaded") }
            }
            Err(problems) => {
                error!(problems = problems.len(), first = problems.first(), "reload refused, the old set stays");
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

//! The owner of settings, playbooks and products: read again, beside the loop: files and mounts may hang. Judges none
//! of them.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tracing::{error, info};
use wbd_engine::state::State;
use wbd_model::control::Response;
use wbd_model::name::ProfileName;
use wbd_model::seen::{Forgotten, SeenProducts};
use wbd_model::time::Now;
use wbd_probes::ProbeRunner;

use super::load;
use crate::event::loaded::{Found, Loaded};
use crate::event::{CheckEvent, Event, ProductEvent};
use crate::follow::Follow;

/// Products may come and go.
const FIND_MS: u64 = 60_000;

/// Whether products are being looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum ProductScan {
    /// Not now.
    #[default]
    No,
    /// Right now.
    Running,
    /// Right now, but by profiles that are not in force any more: the answer says nothing.
    Outdated,
}

/// How far what is known of products is on the disk.
#[derive(Debug, Default)]
struct Memory {
    /// So many changes are there.
    kept: u64,
    /// So many will be, when what is being written now is there.
    writing: Option<u64>,
    /// It is not tried before (milliseconds of this boot).
    from_ms: u64,
    /// Who waits for the disk, and what is said then.
    waiting: Vec<(oneshot::Sender<Response>, String)>,
}

type Reply = Option<oneshot::Sender<Response>>;

/// What the supervisor works with, and for which products.
#[derive(Debug)]
pub(crate) struct Products {
    root: PathBuf,
    runner: ProbeRunner,
    events: Sender<Event>,
    /// Settings and playbooks in force.
    pub(crate) loaded: Loaded,
    /// Products of which it cannot be told whether they are here, and why.
    pub(crate) unseen: Vec<(ProfileName, String)>,
    /// Products that are not here, though something has the name of one.
    pub(crate) alike: Vec<(ProfileName, String)>,
    /// Products that an administrator does not want checked.
    pub(crate) forgotten: Vec<(ProfileName, Forgotten)>,
    /// What is known of products, on its way to the disk.
    memory: Memory,
    /// Those that checks were made for; `None`: nobody has looked yet, and there is nothing to report on.
    bound: Option<BTreeSet<ProfileName>>,
    /// Looking for them right now, and when it is done next.
    scan: ProductScan,
    find_ms: u64,
    /// Settings and playbooks are being read again.
    reloading: bool,
    /// SIGHUP came meanwhile.
    reload_again: bool,
}

impl Products {
    pub(crate) fn new(root: &Path, loaded: Loaded, runner: ProbeRunner, events: Sender<Event>) -> Self {
        Self {
            root: root.to_owned(),
            runner,
            events,
            loaded,
            unseen: Vec::new(),
            alike: Vec::new(),
            forgotten: Vec::new(),
            memory: Memory::default(),
            bound: None,
            scan: ProductScan::No,
            find_ms: 0,
            reloading: false,
            reload_again: false,
        }
    }

    /// Time has passed, a look for products or a reading came back, or somebody wants all to be read again.
    pub(crate) fn on(&mut self, event: ProductEvent, state: &State, now: &Now) -> Vec<Follow> {
        match event {
            ProductEvent::TimePassed => {
                self.keep(now.boot_ms);
                self.find(now.boot_ms)
            }
            ProductEvent::Found(found) => {
                let scan = std::mem::take(&mut self.scan);
                let found = found.filter(|_| scan == ProductScan::Running);
                found.map(|found| self.bind(found, state, now)).into_iter().collect()
            }
            ProductEvent::Forget { name, who, reply } => {
                self.forget(&name, who, reply, now);
                Vec::new()
            }
            ProductEvent::Kept(result) => {
                self.is_kept(result, now.boot_ms);
                Vec::new()
            }
            ProductEvent::Reload(reply) => {
                self.reload(reply);
                Vec::new()
            }
            ProductEvent::Loaded { result, reply } => self.loaded(result, reply, state, now),
        }
    }

    /// Whether the products of this host are known.
    pub(crate) fn is_known(&self) -> bool {
        self.bound.is_some()
    }

    /// Checks were made for this product.
    pub(crate) fn is_here(&self, name: &ProfileName) -> bool {
        self.bound.as_ref().is_some_and(|bound| bound.contains(name))
    }

    /// What is known of products, forgotten ones among them.
    pub(crate) fn seen(&self) -> SeenProducts {
        self.runner.seen_products().unwrap_or_default()
    }

    /// Looks for the products of this host, now and then.
    fn find(&mut self, now_ms: u64) -> Vec<Follow> {
        if self.scan != ProductScan::No || now_ms < self.find_ms {
            return Vec::new();
        }
        self.scan = ProductScan::Running;
        self.find_ms = now_ms + FIND_MS;
        let (profiles, runner) = (self.loaded.library.profiles.clone(), self.runner.clone());
        let (programs, root) = (self.loaded.library.programs_of_guides(), self.root.clone());
        let events = self.events.clone();
        tokio::spawn(async move {
            let find = move || load::find(&profiles, programs, &root, &runner);
            let found = tokio::task::spawn_blocking(find).await;
            // A broken look finds nothing new; the next one is a minute away.
            let _ = events.send(Event::Products(ProductEvent::Found(found.ok()))).await;
        });
        vec![Follow::RotateIfDue]
    }

    /// The checks of this host.
    fn bind(&mut self, found: Found, state: &State, now: &Now) -> Follow {
        let is_first = self.bound.is_none();
        self.remember(&found, now.wall_ms);
        let mut bound = self.bound.take().unwrap_or_default();
        let known = self.runner.seen_products().unwrap_or_default().products.into_iter();
        bound.extend(known.filter(|(_, product)| product.forgotten.is_none()).map(|(name, _)| name));
        let present = there(&self.loaded, &found, &bound.iter().collect(), state);
        let mut bounds = self.loaded.library.bind(&present, &self.loaded.settings);
        let lacking = Arc::new(found.lacking);
        bounds.iter_mut().for_each(|bound| bound.without(&lacking));
        self.unseen = found.unseen;
        self.alike = found.alike;
        self.forgotten = found.forgotten;
        self.bound = Some(bounds.iter().filter_map(|bound| bound.profile.clone()).collect());
        Follow::Check(CheckEvent::Bound { bounds, is_first })
    }

    /// What was found stays known; what is surely gone does not.
    fn remember(&self, found: &Found, wall_ms: i64) {
        self.runner.change_products(|seen| {
            for name in &found.present {
                seen.see(name, wall_ms);
            }
            for name in &found.absent {
                if seen.products.remove(name).is_some() {
                    info!(product = %name, "its files and its package are gone: it is not on this host any more");
                }
            }
        });
    }

    /// An administrator does not want this product checked. Whether it runs was asked before.
    fn forget(&mut self, name: &ProfileName, who: String, reply: oneshot::Sender<Response>, now: &Now) {
        let forgotten = Forgotten { who, at_wall_ms: now.wall_ms };
        self.runner.change_products(|seen| {
            seen.products.entry(name.clone()).or_default().forgotten = Some(forgotten);
        });
        // Whoever is asked for products right now was so before this.
        self.scan = match self.scan {
            ProductScan::No => ProductScan::No,
            ProductScan::Running | ProductScan::Outdated => ProductScan::Outdated,
        };
        self.find_ms = 0;
        self.memory.from_ms = 0;
        self.memory.waiting.push((reply, format!("{name} is forgotten: it is checked again once it runs again")));
    }

    /// Writes what is known of products, where that has changed, beside the loop.
    fn keep(&mut self, now_ms: u64) {
        let changes = self.runner.product_changes();
        if self.memory.writing.is_some() || changes == self.memory.kept || now_ms < self.memory.from_ms {
            return;
        }
        // What cannot be read is not written over.
        let Some(seen) = self.runner.seen_products() else { return };
        self.memory.writing = Some(changes);
        let (state_dir, events) = (wbd_ledger::state_dir(&self.root), self.events.clone());
        tokio::spawn(async move {
            let written = tokio::task::spawn_blocking(move || wbd_ledger::write_products(&state_dir, &seen)).await;
            let written = written.unwrap_or_else(|error| Err(format!("bug: writing broke off: {error}")));
            let _ = events.send(Event::Products(ProductEvent::Kept(written))).await;
        });
    }

    /// It is on the disk, or could not be written.
    fn is_kept(&mut self, result: Result<(), String>, now_ms: u64) {
        let written = self.memory.writing.take();
        let unkept = match result {
            Ok(()) => {
                self.memory.kept = written.unwrap_or(self.memory.kept);
                String::new()
            }
            Err(why) => {
                error!(%why, "which products were seen is not kept");
                self.memory.from_ms = now_ms + FIND_MS;
                format!("; it is not on the disk: {why}")
            }
        };
        // What was said while this was written is in the next one.
        if unkept.is_empty() && self.runner.product_changes() != self.memory.kept {
            return;
        }
        for (reply, message) in self.memory.waiting.drain(..) {
            let _ = reply.send(Response::Done { message: format!("{message}{unkept}"), about: vec![] });
        }
    }

    /// Reads settings and playbooks again; the old set stays if anything is broken.
    fn reload(&mut self, reply: Reply) {
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
        let runner = self.runner.clone();
        tokio::spawn(async move {
            let read = move || {
                let loaded = load::load(&root)?;
                if !loaded.problems.is_empty() {
                    return Err(loaded.problems);
                }
                let programs = loaded.library.programs_of_guides();
                let found = load::find(&loaded.library.profiles, programs, &root, &runner);
                Ok(Box::new((loaded, found)))
            };
            let result = tokio::task::spawn_blocking(read).await;
            let result = result.unwrap_or_else(|error| Err(vec![format!("bug: reading broke off: {error}")]));
            let _ = events.send(Event::Products(ProductEvent::Loaded { result, reply })).await;
        });
    }

    /// They were read.
    fn loaded(
        &mut self,
        result: Result<Box<(Loaded, Found)>, Vec<String>>,
        reply: Reply,
        state: &State,
        now: &Now,
    ) -> Vec<Follow> {
        self.reloading = false;
        let (response, mut follows) = match result {
            Ok(read) => self.take_over(*read, state, now),
            Err(problems) => {
                let first = problems.first().and_then(|problem| problem.lines().next()).unwrap_or_default();
                let count = problems.len();
                error!(
                    WBD_CODE = "WBD-SETTINGS",
                    "the new settings are not used and the old ones stay in force; problems: {count}, the first: {first}"
                );
                (Response::Broken { problems }, Vec::new())
            }
        };
        if let Some(reply) = reply {
            follows.push(Follow::Answer { reply, response: Box::new(response) });
        }
        if std::mem::take(&mut self.reload_again) {
            self.reload(None);
        }
        follows
    }

    /// The new set is in force.
    fn take_over(&mut self, (loaded, found): (Loaded, Found), state: &State, now: &Now) -> (Response, Vec<Follow>) {
        self.loaded = loaded;
        let settings = &self.loaded.settings;
        self.runner.facts.clone_from(&settings.facts);
        let facts = Follow::Check(CheckEvent::Facts(settings.facts.clone()));
        let program = Follow::NotifyBy(settings.on_escalation.clone());
        if self.scan == ProductScan::Running {
            self.scan = ProductScan::Outdated;
        }
        let bind = self.bind(found, state, now);
        let count = self.loaded.library.playbooks.len();
        info!("settings and playbooks were read again; playbooks: {count}");
        let warnings = self.loaded.misplaced.iter().map(|finding| format!("; warning: {finding}"));
        let message = format!("{count} playbooks loaded{}", warnings.collect::<String>());
        // Settings may let something be done now that was held before.
        (Response::Done { message, about: Vec::new() }, vec![facts, program, bind, Follow::Check(CheckEvent::All)])
    }
}

/// The products of this host. One that cannot be looked for now is there if it was before (`bound`), or if the ledger
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
#[path = "products_tests.rs"]
mod tests;

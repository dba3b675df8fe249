//! What a command changes: settings in, settings out, with a look at the host where one is needed; it runs beside the event loop.

use crate::look::{Around, Look, folder_problems, look};
use crate::settings::{Settings, check_targets};
use crate::store::{Loaded, Store};
use crate::was::Known;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use wbd_agent_api::{Code, Command, Reply, SettingsProblem, SettingsSource, Target, TargetId};

/// Makes a command either done or not done: whoever is first decides, the one who does it or the one who gives up waiting.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ticket(Arc<AtomicU8>);

const TAKEN: u8 = 1;
const GIVEN_UP: u8 = 2;

impl Ticket {
    /// From here on the command will be done; false if its asker has given up.
    pub(crate) fn take(&self) -> bool {
        self.decide(TAKEN)
    }

    /// From here on the command will not be done; false if it is being done already.
    pub(crate) fn give_up(&self) -> bool {
        self.decide(GIVEN_UP)
    }

    fn decide(&self, wanted: u8) -> bool {
        match self.0.compare_exchange(0, wanted, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => true,
            Err(decided) => decided == wanted,
        }
    }
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    /// What is in force from now on, if it changed.
    pub(crate) adopt: Option<Loaded>,
    /// The look that was taken for it.
    pub(crate) look: Option<Look>,
    /// All folders are to be walked again.
    pub(crate) walk: bool,
}

impl Outcome {
    fn only(reply: Reply) -> Self {
        Self { reply, adopt: None, look: None, walk: false }
    }

    fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::only(Reply::Refused { code, message: message.into() })
    }

    fn failed(message: impl Into<String>) -> Self {
        Self::only(Reply::Failed { message: message.into() })
    }
}

/// What a command works on.
#[derive(Debug)]
pub(crate) struct CommandHandler<'a> {
    pub(crate) store: &'a Store,
    pub(crate) running: &'a Loaded,
    pub(crate) around: &'a Around,
    pub(crate) ticket: &'a Ticket,
}

impl CommandHandler<'_> {
    /// Does the command, or says why not. Nothing changes unless the reply is `Done`; a reload may say `Failed` and
    /// still look at everything again.
    pub(crate) fn carry_out(&self, command: Command) -> Outcome {
        match command {
            Command::Activate => self.activate(),
            Command::Deactivate => self.deactivate(),
            Command::Reload => self.reload(),
            Command::Status => Outcome::failed("status is answered elsewhere; this is a bug, report it"),
            Command::TargetSet { targets } => self.set_targets(targets),
            Command::TargetAdd { target } => self.add_target(target),
            Command::TargetRemove { id } => self.remove_target(&id),
        }
    }

    fn activate(&self) -> Outcome {
        let settings = &self.running.settings;
        if settings.active {
            return Outcome::only(Reply::Done);
        }
        if settings.targets.is_empty() {
            return Outcome::refused(Code::INVALID_VALUE, "no target is registered; add one first");
        }
        let found = look(settings, self.around, &mut Known::default());
        let outcome = match found.problems.first() {
            Some(problem) => Outcome::refused(problem.code, problem.detail.clone()),
            None => self.commit(Settings { active: true, ..settings.clone() }),
        };
        Outcome { look: Some(found), ..outcome }
    }

    fn deactivate(&self) -> Outcome {
        if !self.running.settings.active {
            return Outcome::only(Reply::Done);
        }
        self.commit(Settings { active: false, ..self.running.settings.clone() })
    }

    fn add_target(&self, target: Target) -> Outcome {
        let mut targets = self.running.settings.targets.clone();
        match targets.iter().find(|known| known.id == target.id) {
            Some(known) if *known == target => return Outcome::only(Reply::Done),
            Some(_) => {
                let message = format!(
                    "target {} is registered already with other values; remove it first, or set all targets",
                    target.id
                );
                return Outcome::refused(Code::ALREADY, message);
            }
            None => targets.push(target),
        }
        self.set_targets(targets)
    }

    fn remove_target(&self, id: &TargetId) -> Outcome {
        let mut targets = self.running.settings.targets.clone();
        targets.retain(|target| target.id != *id);
        if targets.len() == self.running.settings.targets.len() {
            return Outcome::refused(
                Code::ALREADY,
                format!("target {id} is not registered; list the targets to see which are"),
            );
        }
        self.set_targets(targets)
    }

    fn set_targets(&self, targets: Vec<Target>) -> Outcome {
        let settings = &self.running.settings;
        if targets == settings.targets && self.running.problem.is_none() {
            return Outcome::only(Reply::Done);
        }
        if let Err(message) = check_targets(&targets) {
            return Outcome::refused(Code::INVALID_VALUE, message);
        }
        if targets.is_empty() && settings.active {
            return Outcome::refused(
                Code::INVALID_VALUE,
                "the agent is active and would be left without a target; deactivate it first",
            );
        }
        // Only what is new is being registered: a known target whose folder is away just now does not stand in its way.
        for target in targets.iter().filter(|target| !settings.targets.contains(target)) {
            if let Some(problem) = folder_problems(target, &self.around.root, Code::PATH_NOT_FOUND).into_iter().next() {
                return Outcome::refused(problem.code, problem.detail);
            }
        }
        self.commit(Settings { targets, ..settings.clone() })
    }

    fn commit(&self, settings: Settings) -> Outcome {
        let settings = Settings { generation: settings.generation.saturating_add(1), ..settings };
        if let Err(message) = settings.render() {
            return Outcome::refused(
                Code::INVALID_VALUE,
                format!("settings would be too large or not readable: {message}"),
            );
        }
        if !self.ticket.take() {
            return Outcome::failed("nobody waits for the answer any more; nothing was done");
        }
        match self.store.save(&settings) {
            Ok(()) => {
                let adopt = Some(Loaded { settings, source: SettingsSource::Current, problem: None });
                Outcome { adopt, walk: true, ..Outcome::only(Reply::Done) }
            }
            Err(message) => Outcome::failed(message),
        }
    }

    /// The file may have been mended or broken since. Broken: what runs now is at least as new as the last good copy, so it stays.
    fn reload(&self) -> Outcome {
        if !self.ticket.take() {
            return Outcome::failed("nobody waits for the answer any more; nothing was done");
        }
        let (reply, adopt) = match self.store.load() {
            Err(failure) => (Reply::Failed { message: failure.message }, None),
            Ok(found) => self.compare(found),
        };
        let settings = adopt.as_ref().map_or(&self.running.settings, |adopted| &adopted.settings);
        let look = Some(look(settings, self.around, &mut Known::default()));
        Outcome { reply, adopt, look, walk: true }
    }

    fn compare(&self, found: Loaded) -> (Reply, Option<Loaded>) {
        let nothing_lost = self.running.source == SettingsSource::Empty;
        match (found.source, found.problem) {
            (SettingsSource::Current, _) => {
                let adopt = Loaded { settings: found.settings, source: SettingsSource::Current, problem: None };
                (Reply::Done, Some(adopt))
            }
            (SettingsSource::Empty, None) if nothing_lost => (Reply::Done, None),
            (source, problem) => {
                let problem = problem.unwrap_or_else(|| self.store.missing());
                let message = format!("{}; the agent goes on with the settings it has", describe(&problem));
                let kept = if nothing_lost { found.settings } else { self.running.settings.clone() };
                let source = if nothing_lost { source } else { SettingsSource::Good };
                (Reply::Failed { message }, Some(Loaded { settings: kept, source, problem: Some(problem) }))
            }
        }
    }
}

/// One line with the place.
pub(crate) fn describe(problem: &SettingsProblem) -> String {
    let file = problem.file.as_path().display();
    if problem.line == 0 {
        return format!("settings {file}: {}", problem.message);
    }
    format!("settings {file}:{}:{}: {}", problem.line, problem.column, problem.message)
}

/// What a command asks for, for the log.
pub(crate) fn spoken(command: &Command) -> String {
    match command {
        Command::Activate => "switch detection on".to_owned(),
        Command::Deactivate => "switch detection off".to_owned(),
        Command::Reload => "read the settings again".to_owned(),
        Command::Status => "say how it is".to_owned(),
        Command::TargetSet { targets } => {
            format!("put another list in the place of all targets; targets: {}", targets.len())
        }
        Command::TargetAdd { target } => format!("add the target {}", target.id),
        Command::TargetRemove { id } => format!("remove the target {id}"),
    }
}

/// Why a command was not done, for the log; `None`: it was done, or asked for nothing to be done.
pub(crate) fn refusal(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Done | Reply::Status { .. } => None,
        Reply::Refused { code, message } => Some(format!("{code}: {message}")),
        Reply::NotPermitted { message } | Reply::Failed { message } => Some(message.clone()),
    }
}

/// What broken settings mean, for the log.
pub(crate) const fn in_force(source: SettingsSource) -> &'static str {
    match source {
        SettingsSource::Current | SettingsSource::Unknown => "the agent goes on with the settings it has",
        SettingsSource::Good => "the agent runs with the last good settings",
        SettingsSource::Empty => "the agent has no targets and detects nothing",
    }
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;

//! `sysctl.set`: a kernel setting is raised, and kept over the next boot where that is asked for. Never lowers one.
use wbd_model::action::{Action, SysctlRestore, SysctlSet, Undo};
use wbd_model::entry::Outcome;
use wbd_model::text::chain;

use crate::done::Done;
use crate::dropin;
use crate::error::ActionError;
use crate::preview::Preview;
use crate::reach::Machine;
use crate::sysctl::{Setting, value_change};

/// A raise, resolved against the host as it is.
struct Raise {
    present: i64,
    dropin: Option<String>,
    fresh: Option<String>,
}

pub(super) fn preview(values: &SysctlSet, machine: &Machine) -> Result<Preview, ActionError> {
    let setting = Setting::of(machine, &values.key)?;
    Ok(preview_of(values, &setting, &raise(values, &setting)?))
}

/// `captured`: the way back as it was planned.
pub(super) fn act(values: &SysctlSet, machine: &Machine, captured: Option<&Undo>) -> Result<Done, ActionError> {
    let SysctlSet { key, value, .. } = values;
    let setting = Setting::of(machine, key)?;
    let raise = raise(values, &setting)?;
    let Some(undo) = preview_of(values, &setting, &raise).undo else {
        return Ok(Done::new(Outcome::Aborted, format!("already so: {key} is at least {value}")));
    };
    if captured != Some(&undo) {
        // What was captured is the way back; with another state underneath it would lead elsewhere.
        let text = format!("{key} or its drop-in changed since the action was planned");
        return Ok(Done::new(Outcome::Aborted, text));
    }
    setting.write(*value)?;
    let Some(fresh) = raise.fresh else {
        return Ok(Done::new(Outcome::Done, format!("{key} raised from {} to {value}", raise.present)));
    };
    let path = setting.dropin();
    Ok(match dropin::write(&path, Some(&fresh)) {
        Ok(()) => Done::new(
            Outcome::Done,
            format!("{key} raised from {} to {value}, kept in {}", raise.present, path.display()),
        ),
        Err(error) => Done::new(
            Outcome::Failed,
            format!("{key} is raised to {value} until the next boot only: {}", chain(&error)),
        ),
    })
}

fn raise(SysctlSet { key, value, persist }: &SysctlSet, setting: &Setting<'_>) -> Result<Raise, ActionError> {
    if !(1..=setting.ceiling()).contains(value) {
        return Err(ActionError::NotAllowed {
            verb: "set",
            what: format!("{key} to {value}"),
            rule: "the value is outside wbd's own bounds for this key".to_owned(),
        });
    }
    let present = setting.read()?;
    let dropin = dropin::read(&setting.dropin())?;
    let fresh = persist.then(|| dropin::with(dropin.as_deref(), key, *value));
    Ok(Raise { present, dropin, fresh })
}

fn preview_of(SysctlSet { key, value, .. }: &SysctlSet, setting: &Setting<'_>, raise: &Raise) -> Preview {
    if raise.present >= *value {
        return Preview { changes: Vec::new(), undo: None };
    }
    let Raise { present, dropin, fresh } = raise;
    let back = SysctlRestore { key: key.clone(), value: *present, dropin: dropin.clone() };
    let mut changes = vec![value_change(key, *present, *value)];
    changes.extend(fresh.as_deref().map(|fresh| setting.file_change(dropin.as_deref(), Some(fresh))));
    Preview { changes, undo: Some(Undo { action: Action::SysctlRestore(back) }) }
}

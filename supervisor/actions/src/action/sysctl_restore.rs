//! `sysctl.restore`: a kernel setting and the drop-in that kept it are put back as they were.
use wbd_model::action::SysctlRestore;
use wbd_model::entry::Outcome;

use crate::done::Done;
use crate::dropin;
use crate::error::ActionError;
use crate::preview::Preview;
use crate::reach::Machine;
use crate::sysctl::{Setting, value_change};

/// The setting and its drop-in as they are, and the drop-in as it was.
struct WayBack {
    present: i64,
    dropin: Option<String>,
    restored: Option<String>,
}

pub(super) fn preview(values: &SysctlRestore, machine: &Machine) -> Result<Preview, ActionError> {
    let setting = Setting::of(machine, &values.key)?;
    let WayBack { present, dropin, restored } = way_back(values, &setting)?;
    let mut changes = Vec::new();
    if present != values.value {
        changes.push(value_change(&values.key, present, values.value));
    }
    if dropin != restored {
        changes.push(setting.file_change(dropin.as_deref(), restored.as_deref()));
    }
    Ok(Preview { changes, undo: None })
}

pub(super) fn act(values: &SysctlRestore, machine: &Machine) -> Result<Done, ActionError> {
    let SysctlRestore { key, value, .. } = values;
    let setting = Setting::of(machine, key)?;
    let WayBack { present, dropin, restored } = way_back(values, &setting)?;
    if present == *value && dropin == restored {
        let text = format!("already so: {key} is {value}, and the drop-in is as it was");
        return Ok(Done::new(Outcome::Aborted, text));
    }
    if present != *value {
        setting.write(*value)?;
    }
    if dropin != restored {
        dropin::write(&setting.dropin(), restored.as_deref())?;
    }
    Ok(Done::new(Outcome::Done, format!("{key} put back from {present} to {value}, and the drop-in as it was")))
}

fn way_back(values: &SysctlRestore, setting: &Setting<'_>) -> Result<WayBack, ActionError> {
    let present = setting.read()?;
    let dropin = dropin::read(&setting.dropin())?;
    let restored = dropin::restored(dropin.as_deref(), values.dropin.as_deref(), &values.key);
    Ok(WayBack { present, dropin, restored })
}

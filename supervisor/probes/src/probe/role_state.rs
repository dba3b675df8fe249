//! `role.state`: whether a process of a product runs, and else what files, package and unit say of it. Whether that is
//! bad is not asked here.
use std::fs;
use std::path::{Path, PathBuf};

use wbd_agent_api::standing;
use wbd_model::forbidden;
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;
use wbd_model::probe::role_state::Role;
use wbd_model::seen::SeenRole;

use crate::bus::{self, UnitState};
use crate::cgroup;
use crate::packages;
use crate::procs::{self, Process};
use crate::program_file::{is_below, is_installed, is_there};
use crate::runner::ProbeContext;
use crate::under::under;

const OF_UNIT: [&str; 8] = ["unit", "active", "result", "enabled", "ran", "stopped", "condition_failed", "collected"];

pub(crate) fn look(context: &ProbeContext, role: &Role) -> Observation {
    let chosen = match procs::choose_lately(context, &role.selector) {
        Ok(chosen) => chosen,
        Err(reason) => return Observation::unseen(ProbeName::RoleState.fields(), &reason),
    };
    let mut seen = Observation::default();
    seen.know("runs", !chosen.live.is_empty()).know("others", chosen.others.words());
    match chosen.live.first() {
        Some(process) => {
            seen.know("pid", i64::from(process.pid));
            keep(context, role, process);
        }
        None => {
            seen.miss("pid", chosen.none_runs());
        }
    }
    let (before, in_this_boot) = context.runner.memo.role(&role.product, &role.role);
    files(context, role, before.as_ref(), &mut seen);
    package(context, role, &mut seen);
    if chosen.live.is_empty() {
        unit(context, role, before.filter(|_| in_this_boot), &mut seen);
    } else {
        for field in OF_UNIT.iter().chain(&["masked"]) {
            seen.miss(field, "the process runs, so its unit is not asked");
        }
    }
    seen
}

/// Where it runs stays known.
fn keep(context: &ProbeContext, role: &Role, process: &Process) {
    let link = fs::read_link(context.proc().join(process.pid.to_string()).join("exe"));
    let program = link.ok().map(|link| standing::program_path(&link));
    let named = |path: PathBuf| match path.strip_prefix(context.root()) {
        Ok(below) => Path::new("/").join(below),
        Err(_) => path,
    };
    // That an interpreter is left says nothing of the script that it ran.
    let is_its_own = |program: &PathBuf| program.to_str().is_some() && !forbidden::is_shared(program);
    let program = program.map(named).filter(is_its_own);
    let unit = cgroup::unit(context.proc(), process.pid).ok().flatten();
    context.runner.memo.keep_role(&role.product, &role.role, program, unit);
}

/// Its program file.
fn files(context: &ProbeContext, role: &Role, before: Option<&SeenRole>, seen: &mut Observation) {
    let last = before.and_then(|before| before.program.as_ref());
    let named = role.selector.exe.as_ref().or(role.selector.folder.as_ref());
    let file = last.or(named).map(|path| path.to_string_lossy().into_owned());
    seen.know("file", file.unwrap_or_default());
    let found = || -> Result<&str, String> {
        let there = match last {
            Some(last) => is_there(&under(context.root(), last))?,
            None => false,
        };
        let (exe, folder) = (role.selector.exe.as_ref(), role.selector.folder.as_ref());
        // An update may have put it into a folder of another name.
        let elsewhere = match (exe, folder, last.and_then(|last| last.file_name())) {
            (Some(exe), _, _) => is_installed(context, exe),
            (None, Some(folder), Some(name)) => is_below(context, folder, name),
            (None, Some(_) | None, _) => Ok(false),
        };
        if there || elsewhere? {
            return Ok("there");
        }
        Ok(match (last, exe) {
            (Some(_), _) => "gone",
            (None, Some(_)) => "absent",
            (None, None) => "unnamed",
        })
    };
    match found() {
        Ok(word) => seen.know("program", word),
        Err(reason) => seen.miss("program", reason),
    };
}

/// The first of its packages that is installed.
fn package(context: &ProbeContext, role: &Role, seen: &mut Observation) {
    let mut unread = None;
    for name in &role.packages {
        match packages::is_installed(context, name) {
            Ok(true) => {
                seen.know("package", name.as_str());
                return;
            }
            Ok(false) => {}
            Err(reason) => unread = Some(reason),
        }
    }
    match unread {
        Some(reason) => seen.miss("package", reason),
        None => seen.know("package", ""),
    };
}

/// What the service manager says. A stop is told by the unit that the process was seen in; that it is to be started at
/// boot, by the one that the profile names.
fn unit(context: &ProbeContext, role: &Role, last: Option<SeenRole>, seen: &mut Observation) {
    let ran = last.is_some();
    let lived_in = last.as_ref().and_then(|last| last.unit.clone()).filter(|unit| unit.ends_with(".service"));
    let outside = ran && lived_in.is_none();
    let asked = lived_in.or_else(|| role.unit.clone());
    seen.know("unit", asked.clone().unwrap_or_default());
    let Some(asked) = asked.filter(|_| bus::systemd_runs(context)) else {
        seen.know("active", "none").know("result", "none").know("enabled", false).know("ran", ran);
        seen.know("stopped", false).know("masked", false).know("condition_failed", false).know("collected", false);
        return;
    };
    let names: Vec<&str> = role.unit.iter().map(String::as_str).chain([asked.as_str()]).collect();
    match bus::units(context, &names) {
        Ok(units) => {
            let own = units.last().cloned().unwrap_or_default();
            let named = role.unit.as_ref().and(units.first());
            describe(&own, named, ran, outside, seen);
        }
        Err(reason) => {
            for field in OF_UNIT.iter().filter(|field| **field != "unit").chain(&["masked"]) {
                seen.miss(field, reason.clone());
            }
        }
    }
}

/// `own`: the unit that it ran in; `named`: the profile's; `outside`: it was seen to run in no unit in this boot.
fn describe(own: &UnitState, named: Option<&UnitState>, ran: bool, outside: bool, seen: &mut Observation) {
    let at_rest = own.is_at_rest();
    let is_forgotten = at_rest && !own.was_active && own.exec_start == 0 && own.active_exit == 0;
    let enabled = named.is_some_and(is_enabled);
    seen.know("active", own.active.clone())
        .know("result", own.result.clone())
        .know("enabled", enabled)
        .know("ran", ran || (own.was_active && at_rest))
        .know("stopped", !outside && is_stopped(own))
        .know("masked", named.is_some_and(|unit| unit.load == "masked" || unit.file.starts_with("masked")))
        .know("condition_failed", named.is_some_and(|unit| unit.condition_asked && unit.condition_failed))
        .know("collected", ran && !outside && is_forgotten && !enabled);
}

/// It starts at boot: it is enabled, or it was made from an init script that a runlevel has.
fn is_enabled(unit: &UnitState) -> bool {
    match unit.file.as_str() {
        "enabled" | "enabled-runtime" | "alias" => true,
        "generated" => unit.wanted,
        _ => false,
    }
}

/// A stop job ended it, or is about to. One that stays active without a process ends in no other way.
fn is_stopped(unit: &UnitState) -> bool {
    let ended_first = unit.exec_start <= unit.exec_exit && unit.exec_exit != 0 && unit.exec_exit < unit.active_exit;
    match unit.active.as_str() {
        "deactivating" => !ended_first,
        "inactive" => unit.was_stopped() || (unit.remains && unit.active_exit != 0 && unit.exec_exit == 0),
        "failed" => unit.was_stopped(),
        _ => false,
    }
}

#[cfg(test)]
#[path = "role_state_tests.rs"]
mod tests;

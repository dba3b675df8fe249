//! What systemd says of a unit that is to be restarted: its own name, and what would go down with it. Restarts nothing.
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use wbd_agent_api::program::{Output, Program, run};
use wbd_model::action::Change;
use wbd_model::text::chain;
use wbd_model::unit;

use crate::error::ActionError;
use crate::program::SEARCH_PATH;

/// systemd answers within milliseconds. At the preview the look as a whole has a deadline too.
const DEADLINE: Duration = Duration::from_secs(4);
/// Units that need others, and those that need these: no deeper is gone.
const DEPTH: usize = 3;
/// What a restart may take along.
const MOST: usize = 32;
const MOST_OUTPUT: usize = 256 << 10;

/// A unit that may be restarted on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Restart {
    /// Its own name, whatever other one it was called by.
    pub(crate) id: String,
    state: String,
    /// What runs and is restarted with it.
    with: BTreeSet<String>,
}

impl Restart {
    /// What it changes.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let own = Change { what: self.id.clone(), before: Some(self.state.clone()), after: "restarted".to_owned() };
        let with = self.with.iter().map(|what| Change {
            what: what.clone(),
            before: Some("active".to_owned()),
            after: format!("restarted with {}", self.id),
        });
        std::iter::once(own).chain(with).collect()
    }
}

/// Whether a unit of this name may be restarted at all.
pub(crate) fn allowed(name: &str) -> Result<(), ActionError> {
    unit::never(name).map_or(Ok(()), |fault| Err(refuse(name, format!("{name} {fault}"))))
}

/// Looks at the unit and at all that depends on it.
///
/// # Errors
/// It may not be restarted, or systemd does not say.
pub(crate) fn look(root: &Path, name: &str) -> Result<Restart, ActionError> {
    judge(name, &|units| show(root, units))
}

/// The same on a thread of its own.
pub(crate) async fn look_aside(root: &Path, name: &str) -> Result<Restart, ActionError> {
    let (tell, told) = oneshot::channel();
    let (root, unit) = (root.to_owned(), name.to_owned());
    let thread = thread::Builder::new().name("wbd-unit".to_owned());
    thread
        // Nobody listens any more where the action was given up.
        .spawn(move || drop(tell.send(look(&root, &unit))))
        .map_err(|error| unseen(chain(&error)))?;
    told.await.unwrap_or_else(|_| Err(unseen("its answer was lost".to_owned())))
}

/// Properties of units, as `systemctl show` prints them.
type Shown = Vec<BTreeMap<String, String>>;

fn judge(name: &str, show: &dyn Fn(&BTreeSet<String>) -> Result<Shown, ActionError>) -> Result<Restart, ActionError> {
    let said = show(&BTreeSet::from([name.to_owned()]))?;
    let said = said.first().cloned().unwrap_or_default();
    let of = |key: &str| said.get(key).cloned().unwrap_or_default();
    if of("LoadState") != "loaded" {
        let state = of("LoadState");
        return Err(refuse(
            name,
            format!("this host has no such unit (systemd says {state:?}): see systemctl status {name}"),
        ));
    }
    let id = of("Id");
    if let Some(fault) = unit::never(&id) {
        return Err(refuse(name, format!("it is {id}, which {fault}")));
    }
    let mut with = BTreeSet::new();
    let mut next = dependents(&said);
    for _ in 0..DEPTH {
        next.retain(|unit| *unit != id && !with.contains(unit));
        if next.is_empty() {
            break;
        }
        let mut further = BTreeSet::new();
        for said in show(&next)? {
            // What does not run is not taken down.
            if said.get("ActiveState").is_some_and(|state| state == "active") {
                with.extend(said.get("Id").cloned());
                further.append(&mut dependents(&said));
            }
        }
        next = further;
    }
    if with.len() > MOST {
        return Err(refuse(name, format!("{} other units would go down with it: more than {MOST}", with.len())));
    }
    if let Some((taken, fault)) = with.iter().find_map(|unit| Some((unit, carried(unit)?))) {
        return Err(refuse(name, format!("{taken} would go down with it, which {fault}")));
    }
    Ok(Restart { id, state: of("ActiveState"), with })
}

/// Why a unit may not be taken down by the restart of another one; what is no service may.
fn carried(unit: &str) -> Option<&'static str> {
    if unit.ends_with(".service") { unit::never(unit) } else { None }
}

/// Those that are stopped and started with it.
fn dependents(said: &BTreeMap<String, String>) -> BTreeSet<String> {
    let of = |key: &str| said.get(key).into_iter().flat_map(|units| units.split_whitespace());
    ["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"].into_iter().flat_map(of).map(str::to_owned).collect()
}

fn show(root: &Path, units: &BTreeSet<String>) -> Result<Shown, ActionError> {
    let path = root.join("usr/bin/systemctl");
    let fixed = [
        "--no-ask-password",
        "--no-pager",
        "show",
        "--property=Id,LoadState,ActiveState,RequiredBy,RequisiteOf,BoundBy,ConsistsOf",
        "--",
    ];
    let args = fixed.into_iter().map(Into::into).chain(units.iter().take(MOST + 1).map(Into::into)).collect();
    let env = [("PATH", SEARCH_PATH), ("LC_ALL", "C")].map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let output = Output::Whole { most: MOST_OUTPUT };
    let said = run(&Program { path, args, env, deadline: DEADLINE, output });
    let said = said.map_err(|error| unseen(chain(&error)))?;
    if !said.status.success() {
        return Err(unseen(format!("systemctl show ended with {}", said.status)));
    }
    Ok(parsed(&String::from_utf8_lossy(&said.stdout)))
}

fn unseen(why: String) -> ActionError {
    ActionError::Manager { why }
}

/// One map a unit; an empty line stands between two.
fn parsed(text: &str) -> Shown {
    let lines = |block: &str| {
        let pair = |line: &str| line.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
        block.lines().filter_map(pair).collect::<BTreeMap<String, String>>()
    };
    text.split("\n\n").map(lines).filter(|said| !said.is_empty()).collect()
}

fn refuse(unit: &str, rule: String) -> ActionError {
    ActionError::NotAllowed { verb: "restart", what: unit.to_owned(), rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host's units: name, own name, load state, active state, who requires it.
    const HOST: [(&str, &str, &str, &str, &str); 9] = [
        (
            "web.service",
            "web.service",
            "loaded",
            "active",
            "RequiredBy=shop.service idle.service\nConsistsOf=part.service",
        ),
        ("shop.service", "shop.service", "loaded", "active", "BoundBy=till.service web.service"),
        ("idle.service", "idle.service", "loaded", "inactive", "RequiredBy=dbus.service"),
        ("part.service", "part.service", "loaded", "active", ""),
        ("till.service", "till.service", "loaded", "active", "RequiredBy=sales.target"),
        ("sales.target", "sales.target", "loaded", "active", ""),
        ("syslog.service", "systemd-journald.service", "loaded", "active", ""),
        ("under.service", "under.service", "loaded", "failed", "RequiredBy=dbus.service"),
        ("dbus.service", "dbus.service", "loaded", "active", ""),
    ];

    fn shown(units: &BTreeSet<String>) -> Result<Shown, ActionError> {
        let one = |unit: &String| match HOST.iter().find(|known| known.0 == unit) {
            Some((_, id, load, active, more)) => format!("Id={id}\nLoadState={load}\nActiveState={active}\n{more}\n"),
            None => format!("Id={unit}\nLoadState=not-found\nActiveState=inactive\n"),
        };
        Ok(parsed(&units.iter().map(one).collect::<Vec<String>>().join("\n")))
    }

    fn refused(unit: &str) -> String {
        judge(unit, &shown).unwrap_err().to_string()
    }

    #[test]
    fn what_runs_and_goes_down_with_it_is_shown_and_what_does_not_run_is_not() {
        let restart = judge("web.service", &shown).unwrap();
        let changes: Vec<(String, String)> = restart
            .changes()
            .into_iter()
            .map(|it| (it.what, format!("{} -> {}", it.before.unwrap(), it.after)))
            .collect();
        let with = |unit: &str| (unit.to_owned(), "active -> restarted with web.service".to_owned());
        assert_eq!(
            changes,
            [
                ("web.service".to_owned(), "active -> restarted".to_owned()),
                with("part.service"),
                with("sales.target"),
                with("shop.service"),
                with("till.service"),
            ]
        );
        let alone = judge("part.service", &shown).unwrap();
        assert_eq!(alone.changes().len(), 1);
    }

    #[test]
    fn a_unit_is_judged_by_its_own_name_by_what_it_takes_down_and_by_being_there() {
        let alias = refused("syslog.service");
        assert!(alias.contains("it is systemd-journald.service, which carries the whole host"), "{alias}");
        let under = refused("under.service");
        assert!(under.contains("dbus.service would go down with it"), "{under}");
        let missing = refused("none.service");
        assert!(missing.contains("this host has no such unit (systemd says \"not-found\")"), "{missing}");
    }

    #[test]
    fn a_look_that_fails_is_no_restart() {
        let dead = |_: &BTreeSet<String>| Err(unseen("it does not answer".to_owned()));
        assert!(judge("web.service", &dead).unwrap_err().to_string().contains("does not answer"));
    }
}

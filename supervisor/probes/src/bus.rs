//! Asks systemd over D-Bus how units are; it starts, stops and changes nothing.
use std::path::Path;
use std::time::Duration;

use systemd_zbus::ManagerProxy;
use wbd_agent_api::program::{Output, Program, run};
use zbus::fdo::PropertiesProxy;
use zbus::names::InterfaceName;
use zbus::zvariant::{OwnedValue, Value};

use crate::runner::ProbeContext;
use crate::under::under;

/// The bus answers within milliseconds; one that does not is as good as dead.
const BUS_PATIENCE: Duration = Duration::from_secs(1);
/// systemd answers within milliseconds; a manager that takes longer is not one to wait for.
const PATIENCE: Duration = Duration::from_secs(3);
const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// All properties of one unit are far fewer bytes.
const MAX_SHOWN_BYTES: usize = 256 << 10;
const SYSTEMD: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// What systemd says of one service, as far as it was told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UnitState {
    /// LoadState: loaded, not-found, masked, ...
    pub load: String,
    /// UnitFileState: enabled, disabled, static, masked, ...; empty for a unit without a file.
    pub file: String,
    /// ActiveState.
    pub active: String,
    /// SubState.
    pub sub: String,
    /// It was active at some time in this boot.
    pub was_active: bool,
    /// Result of the last run.
    pub result: String,
    /// NRestarts.
    pub restarts: u32,
    /// Restart: no, on-failure, always, ...
    pub restart: String,
    /// StartLimitBurst.
    pub burst: u32,
    /// When its main process began and ended, microseconds on the monotonic clock; 0: not, or not yet.
    pub exec_start: u64,
    /// See [`UnitState::exec_start`].
    pub exec_exit: u64,
    /// When it ceased to be active, on the same clock; 0: it did not.
    pub active_exit: u64,
    /// RemainAfterExit: it stays active when its processes have ended.
    pub remains: bool,
    /// ConditionResult is no; before the first start it is so, too.
    pub condition_failed: bool,
    /// Its conditions were looked at in this boot.
    pub condition_asked: bool,
    /// Another unit wants it (WantedBy, RequiredBy).
    pub wanted: bool,
}

impl UnitState {
    /// Takes over one property of the interfaces Unit and Service; others are not needed.
    pub fn set(&mut self, name: &str, value: &OwnedValue) {
        match name {
            "LoadState" => self.load = text(value),
            "UnitFileState" => self.file = text(value),
            "ActiveState" => self.active = text(value),
            "SubState" => self.sub = text(value),
            "ActiveEnterTimestampMonotonic" => self.was_active = number(value) > 0,
            "Result" => self.result = text(value),
            "NRestarts" => self.restarts = u32::try_from(number(value)).unwrap_or(u32::MAX),
            "Restart" => self.restart = text(value),
            "StartLimitBurst" => self.burst = u32::try_from(number(value)).unwrap_or(u32::MAX),
            "ExecMainStartTimestampMonotonic" => self.exec_start = number(value),
            "ExecMainExitTimestampMonotonic" => self.exec_exit = number(value),
            "ActiveExitTimestampMonotonic" => self.active_exit = number(value),
            "RemainAfterExit" => self.remains = truth(value) == Some(true),
            "ConditionResult" => self.condition_failed = truth(value) == Some(false),
            "ConditionTimestampMonotonic" => self.condition_asked = number(value) > 0,
            "WantedBy" | "RequiredBy" => self.wanted |= names_any(value),
            _ => {}
        }
    }

    /// Whether the unit was being stopped before its process ended: then somebody asked for that end. (A process that
    /// ends by itself does so first, and its unit follows.) Told from one reading, since an earlier one may have
    /// fallen into the middle of the stop. (The order is the same for what systemd ends on its own account, and for a
    /// restart whose start was refused before there was a process.)
    #[must_use]
    pub fn was_stopped(&self) -> bool {
        let before_its_end = self.exec_start <= self.active_exit && self.active_exit <= self.exec_exit;
        let other = ["oom-kill", "watchdog", "start-limit-hit", "resources", "exec-condition"];
        before_its_end && self.active_exit != 0 && !other.contains(&self.result.as_str())
    }

    /// Whether it stands still: stopped, or failed.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        matches!(self.active.as_str(), "inactive" | "failed")
    }
}

/// The host runs systemd; without it there is no unit to ask for.
pub(crate) fn systemd_runs(context: &ProbeContext) -> bool {
    context.root().join("run/systemd/system").is_dir()
}

/// How the services of these names are, in the same order.
pub(crate) fn units(context: &ProbeContext, names: &[&str]) -> Result<Vec<UnitState>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot prepare to ask systemd: {error}"))?;
    let patience = context.left(PATIENCE);
    let asked = runtime.block_on(async { tokio::time::timeout(patience, ask(names)).await });
    match asked {
        Ok(Ok(units)) => Ok(units),
        Ok(Err(error)) => {
            let direct: Result<Vec<_>, String> = names.iter().map(|name| state(context.root(), name)).collect();
            direct.map_err(|_| format!("cannot ask systemd over the system bus: {error}; look at dbus.service"))
        }
        Err(_) => Err(format!("systemd gave no answer over the system bus within {:.1} s", patience.as_secs_f32())),
    }
}

fn state(root: &Path, name: &str) -> Result<UnitState, String> {
    let mut unit = UnitState::default();
    for (name, value) in shown(root, name)? {
        unit.set(&name, &value);
    }
    Ok(unit)
}

/// What systemd says of a service where the bus is dead: `systemctl` asks it directly. Blocks for at most three
/// seconds.
///
/// # Errors
/// In words, why nothing was said; it needs root.
pub fn shown(root: &Path, unit: &str) -> Result<Vec<(String, OwnedValue)>, String> {
    let program = Program {
        path: under(root, Path::new(SYSTEMCTL)),
        args: ["show", "--no-pager", "--", unit].map(Into::into).to_vec(),
        env: vec![("LC_ALL".to_owned(), "C".to_owned())],
        deadline: PATIENCE,
        output: Output::Whole { most: MAX_SHOWN_BYTES },
    };
    let said = run(&program).map_err(|error| error.to_string())?;
    if !said.status.success() {
        return Err(format!("systemctl ended with {}", said.status));
    }
    Ok(properties(&String::from_utf8_lossy(&said.stdout)))
}

/// The properties that are numbers on the bus have their types there; the others are texts.
fn properties(text: &str) -> Vec<(String, OwnedValue)> {
    let typed = |name: &str, value: &str| match name {
        "ExecMainPID" | "NRestarts" | "StartLimitBurst" => value.parse::<u32>().ok().map(OwnedValue::from),
        "ExecMainCode" | "ExecMainStatus" => value.parse::<i32>().ok().map(OwnedValue::from),
        name if name.ends_with("TimestampMonotonic") => value.parse::<u64>().ok().map(OwnedValue::from),
        _ => OwnedValue::try_from(Value::from(value)).ok(),
    };
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines.filter_map(|(name, value)| Some((name.to_owned(), typed(name, value)?))).collect()
}

async fn ask(names: &[&str]) -> zbus::Result<Vec<UnitState>> {
    let bus = tokio::time::timeout(BUS_PATIENCE, zbus::Connection::system())
        .await
        .unwrap_or_else(|_| Err(zbus::Error::Failure("the bus does not answer".to_owned())))?;
    let manager = ManagerProxy::new(&bus).await?;
    let mut units = Vec::with_capacity(names.len());
    for name in names {
        // Loading a unit reads its file and starts nothing; a name without one is not an error.
        let path = manager.load_unit(name).await?;
        let proxy = PropertiesProxy::builder(&bus).destination(SYSTEMD)?.path(path)?.build().await?;
        let mut unit = UnitState::default();
        for interface in [UNIT, SERVICE] {
            for (name, value) in &proxy.get_all(InterfaceName::try_from(interface)?).await? {
                unit.set(name, value);
            }
        }
        units.push(unit);
    }
    Ok(units)
}

fn text(value: &OwnedValue) -> String {
    <&str>::try_from(value).unwrap_or_default().to_owned()
}

/// A truth of the bus, or as `systemctl` shows it.
fn truth(value: &OwnedValue) -> Option<bool> {
    bool::try_from(value).ok().or_else(|| match text(value).as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    })
}

/// A list of units of the bus, or as `systemctl` shows it.
fn names_any(value: &OwnedValue) -> bool {
    if let Value::Array(names) = &**value { !names.is_empty() } else { !text(value).is_empty() }
}

fn number(value: &OwnedValue) -> u64 {
    let wide = u64::try_from(value).ok();
    wide.or_else(|| u32::try_from(value).ok().map(u64::from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemctl_shows_has_the_types_of_the_bus() {
        let text = "Restart=on-failure\nNRestarts=3\nExecMainPID=77\nExecMainCode=1\nActiveState=failed\nno line\n\
                    ActiveEnterTimestampMonotonic=5\nDescription=a = b\nStartLimitBurst=nonsense\n";
        let mut unit = UnitState::default();
        for (name, value) in properties(text) {
            unit.set(&name, &value);
        }
        let expected = UnitState {
            active: "failed".into(),
            was_active: true,
            restarts: 3,
            restart: "on-failure".into(),
            ..UnitState::default()
        };
        assert_eq!(unit, expected);
        assert!(shown(Path::new("/nonexistent"), "x.service").unwrap_err().contains("/nonexistent/usr/bin/systemctl"));
    }
}

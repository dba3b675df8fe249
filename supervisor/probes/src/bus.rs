//! Asks systemd over D-Bus how units are; it starts, stops and changes nothing.
use std::collections::HashMap;
use std::time::Duration;

use systemd_zbus::ManagerProxy;
use zbus::fdo::PropertiesProxy;
use zbus::names::InterfaceName;
use zbus::zvariant::OwnedValue;

use crate::eyes::Look;

/// systemd answers within milliseconds; a manager that takes longer is not one to wait for.
const PATIENCE: Duration = Duration::from_secs(3);
const SYSTEMD: &str = "org.freedesktop.systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";

/// What systemd says of one service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Unit {
    /// LoadState: loaded, not-found, masked, ...
    pub(crate) load: String,
    /// UnitFileState: enabled, disabled, static, masked, ...; empty for a unit without a file.
    pub(crate) file: String,
    /// ActiveState.
    pub(crate) active: String,
    /// SubState.
    pub(crate) sub: String,
    /// It was active at some time in this boot.
    pub(crate) was_active: bool,
    /// Result of the last run.
    pub(crate) result: String,
    /// NRestarts.
    pub(crate) restarts: u32,
    /// Restart: no, on-failure, always, ...
    pub(crate) restart: String,
    /// StartLimitBurst.
    pub(crate) burst: u32,
}

/// The host runs systemd; without it there is no unit to ask for.
pub(crate) fn systemd_runs(look: &Look) -> bool {
    look.root().join("run/systemd/system").is_dir()
}

/// How the services of these names are, in the same order.
pub(crate) fn units(look: &Look, names: &[&str]) -> Result<Vec<Unit>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot prepare to ask systemd: {error}"))?;
    let patience = look.left(PATIENCE);
    let asked = runtime.block_on(async { tokio::time::timeout(patience, ask(names)).await });
    match asked {
        Ok(Ok(units)) => Ok(units),
        Ok(Err(error)) => Err(format!("cannot ask systemd over the system bus: {error}; look at dbus.service")),
        Err(_) => Err(format!("systemd gave no answer over the system bus within {:.1} s", patience.as_secs_f32())),
    }
}

async fn ask(names: &[&str]) -> zbus::Result<Vec<Unit>> {
    let bus = zbus::Connection::system().await?;
    let manager = ManagerProxy::new(&bus).await?;
    let mut units = Vec::with_capacity(names.len());
    for name in names {
        // Loading a unit reads its file and starts nothing; a name without one is not an error.
        let path = manager.load_unit(name).await?;
        let proxy = PropertiesProxy::builder(&bus).destination(SYSTEMD)?.path(path)?.build().await?;
        let unit = proxy.get_all(InterfaceName::try_from(UNIT)?).await?;
        let service = proxy.get_all(InterfaceName::try_from(SERVICE)?).await?;
        units.push(describe(&unit, &service));
    }
    Ok(units)
}

fn describe(unit: &HashMap<String, OwnedValue>, service: &HashMap<String, OwnedValue>) -> Unit {
    Unit {
        load: text(unit, "LoadState"),
        file: text(unit, "UnitFileState"),
        active: text(unit, "ActiveState"),
        sub: text(unit, "SubState"),
        was_active: number(unit, "ActiveEnterTimestampMonotonic") > 0,
        result: text(service, "Result"),
        restarts: u32::try_from(number(service, "NRestarts")).unwrap_or(u32::MAX),
        restart: text(service, "Restart"),
        burst: u32::try_from(number(unit, "StartLimitBurst")).unwrap_or(u32::MAX),
    }
}

fn text(properties: &HashMap<String, OwnedValue>, name: &str) -> String {
    let value = properties.get(name).map(<&str>::try_from);
    value.and_then(Result::ok).unwrap_or_default().to_owned()
}

fn number(properties: &HashMap<String, OwnedValue>, name: &str) -> u64 {
    let Some(value) = properties.get(name) else {
        return 0;
    };
    let wide = u64::try_from(value).ok();
    wide.or_else(|| u32::try_from(value).ok().map(u64::from)).unwrap_or(0)
}

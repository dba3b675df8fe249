//! Asks systemd over D-Bus how units are; it starts, stops and changes nothing.
use std::path::Path;
use std::time::Duration;

use systemd_zbus::ManagerProxy;
use zbus::fdo::PropertiesProxy;
use zbus::names::InterfaceName;
use zbus::zvariant::OwnedValue;

use crate::eyes::Look;

/// The bus answers within milliseconds; one that does not is as good as dead.
const BUS_PATIENCE: Duration = Duration::from_secs(1);
/// systemd answers within milliseconds; a manager that takes longer is not one to wait for.
const PATIENCE: Duration = Duration::from_secs(3);
const PRIVATE: &str = "run/systemd/private";
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
            _ => {}
        }
    }
}

/// The host runs systemd; without it there is no unit to ask for.
pub(crate) fn systemd_runs(look: &Look) -> bool {
    look.root().join("run/systemd/system").is_dir()
}

/// How the services of these names are, in the same order.
pub(crate) fn units(look: &Look, names: &[&str]) -> Result<Vec<UnitState>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot prepare to ask systemd: {error}"))?;
    let patience = look.left(PATIENCE);
    let asked = runtime.block_on(async { tokio::time::timeout(patience, ask(look.root(), names)).await });
    match asked {
        Ok(Ok(units)) => Ok(units),
        Ok(Err(error)) => Err(format!("cannot ask systemd over the system bus: {error}; look at dbus.service")),
        Err(_) => Err(format!("systemd gave no answer over the system bus within {:.1} s", patience.as_secs_f32())),
    }
}

/// The way to systemd: the system bus, or where that is dead the socket that `systemctl` itself uses as root.
///
/// # Errors
/// The bus's own, when neither answers.
pub async fn connect(root: &Path) -> zbus::Result<zbus::Connection> {
    let silent = || zbus::Error::Failure(format!("it gave no answer within {} s", BUS_PATIENCE.as_secs()));
    let bus = tokio::time::timeout(BUS_PATIENCE, zbus::Connection::system()).await.unwrap_or_else(|_| Err(silent()));
    let dead = match bus {
        Ok(bus) => return Ok(bus),
        Err(dead) => dead,
    };
    let Ok(stream) = tokio::net::UnixStream::connect(root.join(PRIVATE)).await else { return Err(dead) };
    zbus::connection::Builder::unix_stream(stream).p2p().build().await.map_err(|_| dead)
}

async fn ask(root: &Path, names: &[&str]) -> zbus::Result<Vec<UnitState>> {
    let bus = connect(root).await?;
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

fn number(value: &OwnedValue) -> u64 {
    let wide = u64::try_from(value).ok();
    wide.or_else(|| u32::try_from(value).ok().map(u64::from)).unwrap_or(0)
}

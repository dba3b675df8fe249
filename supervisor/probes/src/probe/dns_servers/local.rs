//! Which unit of this host is the configured resolver, and whether it failed. It restarts nothing.
use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use procfs::net::UdpNetEntries;
use procfs::{FromReadSI, current_system_info};
use wbd_model::observation::Observation;

use crate::bus::{self, UnitState};
use crate::cgroup;
use crate::memo::Holder;
use crate::names::conf::NameServer;
use crate::names::exchange::PORT;
use crate::procs;
use crate::runner::ProbeContext;
use crate::under::{self, absent, why};

/// A busy host's table of UDP sockets, in bytes.
const MAX_TABLE: u64 = 16 * 1024 * 1024;
/// No process of this host's view holds the socket (it belongs to a container): looked for again after this time.
const NOBODY: Duration = Duration::from_secs(300);
const RESOLVED: &str = "systemd-resolved.service";
/// Where systemd-resolved listens, and nothing else by default.
const STUBS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::new(127, 0, 0, 53)), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 54))];
/// Resolvers that distributions ship, for when nobody listens and so nobody can be asked.
const KNOWN: [&str; 5] = ["dnsmasq.service", "unbound.service", "named.service", "bind9.service", RESOLVED];

pub(crate) fn look(context: &ProbeContext, servers: &[NameServer], seen: &mut Observation) {
    match local(context, servers) {
        Ok(local) => {
            seen.know("local_address", local.address.map(|it| it.to_string()).unwrap_or_default())
                .know("local_unit", local.unit)
                .know("local_seen", local.seen)
                .know("local_missing", local.missing);
            match local.failed {
                Ok(failed) => seen.know("local_failed", failed),
                Err(reason) => seen.miss("local_failed", reason),
            }
        }
        Err(reason) => {
            for field in ["local_address", "local_unit", "local_failed", "local_seen", "local_missing"] {
                seen.miss(field, reason.clone());
            }
            seen
        }
    };
}

/// The configured resolver that is on this host itself.
struct Local {
    /// Its address; `None` where none is.
    address: Option<IpAddr>,
    /// Empty where it is no unit's, or not known.
    unit: String,
    failed: Result<bool, String>,
    /// `127.0.0.1 dnsmasq.service` where that unit listens now.
    seen: String,
    /// The address belongs to a resolver that this host does not have.
    missing: bool,
}

impl Local {
    fn at(address: Option<IpAddr>) -> Self {
        Self { address, unit: String::new(), failed: Ok(false), seen: String::new(), missing: false }
    }
}

fn local(context: &ProbeContext, servers: &[NameServer]) -> Result<Local, String> {
    let mut here = None;
    for server in servers {
        if here.is_none() && server.is_here()? {
            here = Some(server.address);
        }
    }
    let Some(address) = here else { return Ok(Local::at(None)) };
    let (systemd, is_stub) = (bus::systemd_runs(context), STUBS.contains(&address));
    if !systemd && !is_stub {
        return Ok(Local::at(here));
    }
    let sockets = listening(context.proc(), address)?;
    if !sockets.is_empty() && !systemd {
        return Ok(Local::at(here));
    }
    if !sockets.is_empty() {
        let Some(unit) = owner(context, &sockets)? else { return Ok(Local::at(here)) };
        context.runner.memo.keep_resolver(address, &unit);
        let asked = bus::units(context, &[unit.as_str()]);
        let failed = asked.map(|units| units.iter().any(has_failed));
        return Ok(Local { seen: format!("{address} {unit}"), unit, failed, ..Local::at(here) });
    }
    if !systemd {
        return Ok(Local { missing: true, ..Local::at(here) });
    }
    let remembered = context.runner.memo.resolver(address);
    let known = if is_stub { &[RESOLVED][..] } else { &KNOWN };
    let names: Vec<&str> = remembered.as_deref().into_iter().chain(known.iter().copied()).collect();
    let states = bus::units(context, &names)?;
    let units: Vec<(&str, &UnitState)> = names.into_iter().zip(&states).collect();
    let (was, shipped) = units.split_at(usize::from(remembered.is_some()));
    Ok(match down(was.first().copied(), shipped, is_stub) {
        Some((name, unit)) => Local { unit: name.to_owned(), failed: Ok(has_failed(unit)), ..Local::at(here) },
        None => Local { missing: is_stub, ..Local::at(here) },
    })
}

/// Nobody listens: whose address it is. The one that was seen there, unless it was stopped and another one has failed;
/// else a failed one that distributions ship, and an enabled one that is stopped. One without a unit file is none: it
/// cannot be started.
fn down<'a>(
    was: Option<(&'a str, &'a UnitState)>,
    shipped: &[(&'a str, &'a UnitState)],
    is_stub: bool,
) -> Option<(&'a str, &'a UnitState)> {
    let is_there = |(_, unit): &(&str, &UnitState)| unit.load == "loaded";
    let shipped = || shipped.iter().copied().filter(is_there);
    let was = was.filter(is_there);
    let certain = was.filter(|(_, unit)| unit.active != "inactive");
    let failed = || shipped().find(|(_, unit)| has_failed(unit) && is_enabled(unit));
    let also_failed = || shipped().find(|(_, unit)| has_failed(unit));
    // The address of a stub is nobody else's; and a unit that runs and does not listen hangs.
    let stopped = || shipped().find(|(_, unit)| is_stub || unit.active == "inactive" && is_enabled(unit));
    certain.or_else(failed).or_else(also_failed).or(was).or_else(stopped)
}

/// One that was stopped, or never started, is somebody's wish as far as can be told.
fn has_failed(unit: &UnitState) -> bool {
    unit.active == "failed"
}

fn is_enabled(unit: &UnitState) -> bool {
    unit.file.starts_with("enabled")
}

/// Inodes of the UDP sockets that take questions for this address.
fn listening(proc: &Path, server: IpAddr) -> Result<BTreeSet<u64>, String> {
    let mut inodes = BTreeSet::new();
    for table in ["net/udp", "net/udp6"] {
        let path = proc.join(table);
        let bytes = match under::read(&path, MAX_TABLE) {
            Ok(bytes) => bytes,
            // A kernel without IPv6 has no second table.
            Err(error) if absent(&error) && table == "net/udp6" => continue,
            Err(error) => return Err(why("read", &path, &error)),
        };
        let entries = UdpNetEntries::from_read(bytes.as_slice(), current_system_info())
            .map_err(|error| format!("cannot understand {}: {error}", path.display()))?;
        for entry in entries.0 {
            let address = entry.local_address.ip();
            let takes = address == server || address.is_unspecified();
            if takes && entry.local_address.port() == PORT && entry.remote_address.port() == 0 {
                inodes.insert(entry.inode);
            }
        }
    }
    Ok(inodes)
}

/// The unit whose process holds one of the sockets; `None` where it is no unit's. Who held it before is asked first:
/// looking through the open files of 5,000 processes takes 0.2 s.
fn owner(context: &ProbeContext, sockets: &BTreeSet<u64>) -> Result<Option<String>, String> {
    let links: Vec<String> = sockets.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let before = context.runner.memo.holder(sockets).filter(|_| context.runner.afresh_since().is_none());
    match before {
        Some((Some((pid, start_ticks)), _))
            if procs::still_runs(context.proc(), pid, start_ticks)? && holds(context.proc(), pid, &links)? =>
        {
            return service_of(context.proc(), pid);
        }
        Some((None, age)) if age <= NOBODY => return Ok(None),
        Some(_) | None => {}
    }
    let holder = search(context, &links)?;
    context.runner.memo.keep_holder(sockets, holder);
    holder.map_or(Ok(None), |(pid, _)| service_of(context.proc(), pid))
}

fn search(context: &ProbeContext, links: &[String]) -> Result<Option<Holder>, String> {
    let mut hidden = 0_usize;
    for pid in procs::list(context.proc())? {
        if context.left(Duration::MAX).is_zero() {
            return Err("not done in time: too many processes on this host".to_owned());
        }
        match holds(context.proc(), pid, links) {
            Ok(true) => {
                if let Some(process) = procs::read(context.proc(), pid)? {
                    return Ok(Some((pid, process.start_ticks)));
                }
            }
            Ok(false) => {}
            Err(_) => hidden += 1,
        }
    }
    match hidden {
        0 => Ok(None),
        _ => Err(format!(
            "the resolver on this host runs in one of {hidden} processes that could not be looked into; run as root"
        )),
    }
}

/// One in a container is in its scope, which is no service that could be restarted.
fn service_of(proc: &Path, pid: u32) -> Result<Option<String>, String> {
    Ok(cgroup::unit(proc, pid)?.filter(|unit| unit.ends_with(".service")))
}

fn holds(proc: &Path, pid: u32, links: &[String]) -> Result<bool, String> {
    let folder = proc.join(pid.to_string()).join("fd");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if absent(&error) => return Ok(false),
        Err(error) => return Err(why("list", &folder, &error)),
    };
    let targets = entries.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    let mut targets = targets.filter_map(|target| target.into_os_string().into_string().ok());
    Ok(targets.any(|target| links.contains(&target)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::conf::Conf;
    use crate::testing::{Host, known, unknown};
    use wbd_model::observation::Value;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n";

    fn socket(host: &Host, address: &str, inode: u64) {
        let line = format!(
            "  1: {address} 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 {inode} 2 0 0\n"
        );
        host.file("proc/net/udp", &format!("{HEAD}{line}"));
    }

    fn loopback() -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    #[test]
    fn the_owner_of_the_socket_is_found_by_its_unit() {
        let host = Host::new();
        socket(&host, "0100007F:0035", 4711);
        assert_eq!(listening(host.context().proc(), loopback()).unwrap(), [4711].into());
        assert!(listening(host.context().proc(), "127.0.0.9".parse().unwrap()).unwrap().is_empty());
        host.process(1, "init").write();
        host.process(5, "unbound").write();
        host.link("proc/5/fd/3", "socket:[4711]");
        host.file("proc/5/cgroup", "1:name=systemd:/system.slice/unbound.service/sub\n0::/\n");
        let owner = |inode| owner(&host.context(), &[inode].into());
        assert_eq!(owner(4711).unwrap().as_deref(), Some("unbound.service"));
        assert_eq!(owner(1), Ok(None));
        host.file("proc/7/fd", "not a folder that can be listed");
        assert_eq!(owner(1), Ok(None));
    }

    #[test]
    fn the_owner_found_before_is_asked_first_and_searched_for_when_it_is_gone() {
        let host = Host::new();
        host.process(1, "init").write();
        for (pid, unit) in [(5, "unbound"), (6, "named")] {
            host.process(pid, unit).write();
            host.file(&format!("proc/{pid}/cgroup"), &format!("0::/system.slice/{unit}.service\n"));
        }
        host.link("proc/5/fd/3", "socket:[4711]");
        let runner = host.runner();
        let until = std::time::Instant::now() + Duration::from_secs(5);
        let owner =
            |runner: &crate::ProbeRunner| owner(&ProbeContext { runner: runner.clone(), until }, &[4711].into());
        assert_eq!(owner(&runner).unwrap().as_deref(), Some("unbound.service"));
        // Without a list nobody could be searched for.
        let first = host.root().join("proc/1");
        fs::rename(&first, host.root().join("away")).unwrap();
        assert_eq!(owner(&runner).unwrap().as_deref(), Some("unbound.service"));
        assert!(owner(&runner.afresh()).is_err(), "just before an action it is");
        fs::rename(host.root().join("away"), &first).unwrap();
        // The socket was passed on.
        fs::remove_file(host.root().join("proc/5/fd/3")).unwrap();
        host.link("proc/6/fd/3", "socket:[4711]");
        assert_eq!(owner(&runner).unwrap().as_deref(), Some("named.service"));
        // It ended, and nobody else has it.
        fs::remove_dir_all(host.root().join("proc/6")).unwrap();
        assert_eq!(owner(&runner), Ok(None));
    }

    #[test]
    fn a_socket_for_all_addresses_counts_and_another_port_does_not() {
        let host = Host::new();
        socket(&host, "00000000:0035", 1);
        assert_eq!(listening(host.context().proc(), loopback()).unwrap().len(), 1);
        socket(&host, "0100007F:0036", 1);
        assert!(listening(host.context().proc(), loopback()).unwrap().is_empty());
        host.file("proc/net/udp", "head\nnonsense\n");
        assert!(listening(host.context().proc(), loopback()).unwrap_err().contains("understand"));
    }

    #[test]
    fn a_server_elsewhere_is_no_unit_of_this_host_and_an_unreadable_table_is_unknown() {
        let host = Host::new();
        let asked = |server: &str| {
            let mut seen = Observation::default();
            look(&host.context(), &Conf::parse(&format!("nameserver {server}\n"), None).servers, &mut seen);
            seen
        };
        assert_eq!(known(&asked("192.0.2.1"), "local_unit"), Value::from(""));
        assert_eq!(known(&asked("127.0.0.1"), "local_failed"), Value::from(false));
        std::fs::create_dir_all(host.root().join("run/systemd/system")).unwrap();
        assert!(unknown(&asked("127.0.0.1"), "local_unit").contains("net/udp"));
    }

    #[test]
    fn a_stub_that_this_host_does_not_have_is_missing_and_one_that_listens_is_not() {
        let asked = |host: &Host, server: &str| {
            let mut seen = Observation::default();
            look(&host.context(), &Conf::parse(&format!("nameserver {server}\n"), None).servers, &mut seen);
            (known(&seen, "local_missing"), known(&seen, "local_address"), known(&seen, "local_unit"))
        };
        let host = Host::new();
        host.file("proc/net/udp", HEAD);
        for (server, missing, address) in
            [("127.0.0.53", true, "127.0.0.53"), ("127.0.0.1", false, "127.0.0.1"), ("192.0.2.1", false, "")]
        {
            assert_eq!(asked(&host, server), (missing.into(), address.into(), "".into()), "{server}");
        }
        // Whatever listens there, it is a resolver of this host.
        socket(&host, "00000000:0035", 1);
        assert_eq!(asked(&host, "127.0.0.53").0, Value::from(false));
    }

    #[test]
    fn whose_address_it_is_when_nobody_listens() {
        let unit = |load: &str, file: &str, active: &str| UnitState {
            load: load.into(),
            file: file.into(),
            active: active.into(),
            ..UnitState::default()
        };
        let (none, gone) = (unit("not-found", "", "inactive"), unit("masked", "masked", "failed"));
        let failed = |file| unit("loaded", file, "failed");
        let stopped = |file| unit("loaded", file, "inactive");
        let running = unit("loaded", "enabled", "active");
        // What was seen there, what dnsmasq.service and unbound.service are, whether it is a stub's address.
        for (was, shipped, stub, expected) in [
            (Some(failed("disabled")), [none.clone(), none.clone()], false, Some("was")),
            (Some(stopped("enabled")), [none.clone(), none.clone()], false, Some("was")),
            (Some(stopped("disabled")), [none.clone(), failed("enabled")], false, Some("unbound")),
            (Some(running.clone()), [failed("enabled"), none.clone()], false, Some("was")),
            (Some(none.clone()), [none.clone(), none.clone()], false, None),
            (None, [failed("static"), failed("enabled")], false, Some("unbound")),
            (None, [failed("disabled"), none.clone()], false, Some("dnsmasq")),
            (None, [stopped("disabled"), stopped("enabled")], false, Some("unbound")),
            (None, [stopped("disabled"), none.clone()], false, None),
            (None, [gone.clone(), none.clone()], false, None),
            (None, [running.clone(), none.clone()], false, None),
            (None, [stopped("disabled"), none.clone()], true, Some("dnsmasq")),
            (None, [none.clone(), none.clone()], true, None),
        ] {
            let shipped = [("dnsmasq", &shipped[0]), ("unbound", &shipped[1])];
            let chosen = down(was.as_ref().map(|unit| ("was", unit)), &shipped, stub).map(|(name, _)| name);
            assert_eq!(chosen, expected, "{was:?} {shipped:?} {stub}");
        }
    }

    #[test]
    fn the_unit_that_was_seen_last_at_an_address_is_remembered() {
        let host = Host::new();
        let runner = host.runner();
        let at = |address: &str| runner.memo.resolver(address.parse().unwrap());
        for (seen, known) in [
            ("127.0.0.6 resolver@br\\x2dlan.service", Some("resolver@br\\x2dlan.service")),
            ("127.0.0.6 later-told.service", Some("resolver@br\\x2dlan.service")),
            ("127.0.0.7 container.scope", Some("resolver@br\\x2dlan.service")),
            ("nonsense", Some("resolver@br\\x2dlan.service")),
        ] {
            runner.remember_resolver(seen);
            assert_eq!(at("127.0.0.6").as_deref(), known, "{seen}");
        }
        assert_eq!(at("127.0.0.7"), None);
        runner.memo.keep_resolver("127.0.0.6".parse().unwrap(), "new.service");
        assert_eq!(at("127.0.0.6").as_deref(), Some("new.service"), "what is seen now counts");
    }
}

//! Which units a profile may name, and which of them `unit.restart` may restart. Judges names and looks at nothing, so
//! that loading, lint, planning and the executor judge alike.
use std::collections::BTreeSet;

use crate::probe::ProbeName;

/// Resolvers of names, which every playbook may restart: distributions ship them, and they hold no data.
pub const RESOLVERS: [&str; 5] =
    ["systemd-resolved.service", "dnsmasq.service", "unbound.service", "named.service", "bind9.service"];

/// Where a probe tells the unit of the resolver that it found on this host.
pub const FOUND: (ProbeName, &str) = (ProbeName::DnsServers, "local_unit");

/// wbd's own, the agent's among them: it has actions of its own.
const OURS: &str = "wbd-";
const AGENT: &str = "wbd-agent.service";
/// I16: units that no profile may take for its product's.
const SUPERVISOR: [&str; 5] = [
    "wbd-supervisord.service",
    "wbd-supervisord-failed.service",
    "wbd-supervisord-retry.service",
    "wbd-inspector.service",
    "wbd-actuator.service",
];
/// What the host itself stands on, under each of its names: without the bus nothing can be asked, without the journal
/// nothing is told, and without logind its users are gone.
const HOSTS: [&str; 5] = [
    "dbus.service",
    "dbus-broker.service",
    "systemd-journald.service",
    "systemd-logind.service",
    "dbus-org.freedesktop.login1.service",
];
const JOURNALS: &str = "systemd-journald@";

/// What is wrong with a unit's name in a profile.
#[must_use]
pub fn name_fault(unit: &str) -> Option<&'static str> {
    let is_name = unit.len() <= 255
        && unit.ends_with(".service")
        && !unit.starts_with('.')
        && unit.chars().all(|c| c.is_ascii_alphanumeric() || "@:_.-\\".contains(c));
    if !is_name {
        Some("is no name of a service: write NAME.service")
    } else if SUPERVISOR.contains(&unit) {
        Some("is wbd's own; no playbook may touch it")
    } else {
        None
    }
}

/// Why this unit is never restarted by a playbook, whoever names it.
#[must_use]
pub fn never(unit: &str) -> Option<&'static str> {
    if let Some(fault) = name_fault(unit) {
        Some(fault)
    } else if unit == AGENT {
        Some("is the agent's; the action for it is agent.restart")
    } else if unit.starts_with(OURS) {
        Some("is wbd's own; no playbook may touch it")
    } else if HOSTS.contains(&unit) || unit.starts_with(JOURNALS) {
        Some("carries the whole host; wbd never restarts it: write it into the guide, for a person")
    } else {
        None
    }
}

/// Why this unit is not restarted for a product that names `named` and on a host where the resolvers `found` were seen.
///
/// # Errors
/// The reason, with what to do.
pub fn restartable(unit: &str, named: &BTreeSet<String>, found: &BTreeSet<String>) -> Result<(), String> {
    if let Some(fault) = never(unit) {
        return Err(format!("{unit:?} {fault}"));
    }
    if named.contains(unit) || found.contains(unit) || RESOLVERS.contains(&unit) {
        return Ok(());
    }
    Err(format!("the profile does not name {unit:?}: write unit: {unit} into it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(units: &[&str]) -> BTreeSet<String> {
        units.iter().map(|&unit| unit.to_owned()).collect()
    }

    #[test]
    fn what_a_profile_names_and_resolvers_may_be_restarted_and_nothing_else() {
        let may = |unit: &str| restartable(unit, &set(&["nginx.service", "dbus.service"]), &set(&["br@lan.service"]));
        for unit in RESOLVERS.iter().chain(&["nginx.service", "br@lan.service"]) {
            assert_eq!(may(unit), Ok(()), "{unit}");
        }
        assert_eq!(
            may("sshd.service").unwrap_err(),
            "the profile does not name \"sshd.service\": write unit: sshd.service into it"
        );
        assert!(may("dbus.service").unwrap_err().contains("carries the whole host"), "named or not");
        for unit in ["nginx", "nginx.socket", "../nginx.service", "", "nginx*.service"] {
            assert!(may(unit).unwrap_err().contains("no name of a service"), "{unit}");
        }
    }

    #[test]
    fn wbds_own_units_and_what_carries_the_host_are_never_restarted() {
        let agent = never("wbd-agent.service").unwrap();
        assert!(agent.contains("agent.restart"), "{agent}");
        for unit in SUPERVISOR.iter().chain(&HOSTS).chain(&["systemd-journald@apps.service", "wbd-anything.service"]) {
            assert!(never(unit).is_some(), "{unit}");
        }
        for unit in ["dnsmasq.service", "rsyslog.service", "dbusd.service", "nginx@one.service"] {
            assert_eq!(never(unit), None, "{unit}");
        }
    }

    #[test]
    fn a_profile_may_name_the_agents_unit_and_never_the_supervisors() {
        assert_eq!(name_fault("wbd-agent.service"), None);
        assert_eq!(name_fault("dbus.service"), None, "it may be looked at");
        for unit in SUPERVISOR {
            assert!(name_fault(unit).is_some(), "{unit}");
        }
    }

    #[test]
    fn the_field_that_tells_the_resolver_is_there() {
        let (probe, field) = FOUND;
        assert!(probe.fields().iter().any(|known| known.name == field));
    }
}

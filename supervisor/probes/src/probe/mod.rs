//! One question to a host, answered by the file of its probe; each is declared in wbd-model. It judges no answer.
//!
//! A probe is added by its file, its `mod` and its line in `answer`.
use wbd_model::observation::{Fact, Field, Observation};
use wbd_model::probe::Probe;

use crate::runner::{ProbeContext, ProbeRunner};

mod agent_health;
mod dns_servers;
pub(crate) mod fd_usage;
mod inotify_usage;
mod net_endpoint;
pub(crate) mod package_lock;
mod process_state;
mod role_state;
mod service_state;
mod version_pair;

pub use service_state::{Manager, agent_service};

impl ProbeRunner {
    /// Asks one question. The answer carries every field of the probe's schema, known or unknown,
    /// and comes within the deadline.
    #[must_use]
    pub fn look(&self, probe: &Probe) -> Observation {
        let fields = probe.name().fields();
        let asked = probe.clone();
        match self.aside(&format!("{probe:?}"), move |context| answer(context, &asked)) {
            Ok(seen) => fit(fields, &seen),
            Err(reason) => Observation::unseen(fields, &reason),
        }
    }
}

fn answer(context: &ProbeContext, probe: &Probe) -> Observation {
    let by_caller = || Observation::unseen(probe.name().fields(), "answered by the caller");
    match probe {
        Probe::ProcessState(selector) => process_state::look(context, selector),
        Probe::AgentHealth => agent_health::look(context),
        Probe::ServiceState(service) => service_state::look(context, service.unit.as_deref()),
        Probe::ExitLast(_) | Probe::FdTrend(_) => by_caller(),
        Probe::InotifyUsage(selector) => inotify_usage::look(context, selector),
        Probe::DnsServers(dns) => dns_servers::look(context, &dns.names, dns_servers::PORT),
        Probe::NetEndpoint(endpoint) => net_endpoint::look(context, endpoint),
        Probe::FdUsage(selector) => fd_usage::look(context, selector),
        Probe::VersionPair(pair) => version_pair::look(context, &pair.left, &pair.right),
        Probe::PackageLock(lock) => package_lock::look(context, lock.manager.as_deref()),
        Probe::RoleState(role) => role_state::look(context, role),
    }
}

/// Holds an answer to its schema: every field, of its type, and no other.
fn fit(fields: &[Field], seen: &Observation) -> Observation {
    let mut fitted = Observation::default();
    for field in fields {
        match seen.fact(field.name) {
            Fact::Known(value) if value.kind() != field.kind => {
                fitted.miss(field.name, "seen as another type, which is a bug in wbd; please report it")
            }
            Fact::Known(value) => fitted.know(field.name, value),
            Fact::Unknown(reason) => fitted.miss(field.name, reason),
        };
    }
    fitted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use wbd_model::name::TargetName;
    use wbd_model::probe::{Answered, ProbeName, dns_servers, package_lock, role_state, service_state, version_pair};
    use wbd_model::profile::{Endpoint, ProcessSelector, VersionSource};

    #[test]
    fn every_probe_answers_every_field_even_on_an_empty_host() {
        let host = Host::new();
        let mut runner = host.runner();
        runner.proc = host.root().join("no-proc");
        let selector = ProcessSelector { comm: Some("x".into()), ..ProcessSelector::default() };
        let endpoint = Endpoint { host: "127.0.0.1".into(), ports: vec![], ping: false, when: None, alternate: None };
        let setting = || VersionSource::Setting("none".into());
        let all = [
            Probe::ProcessState(selector.clone()),
            Probe::AgentHealth,
            Probe::ServiceState(service_state::Parameters { unit: None }),
            Probe::ExitLast(TargetName::new("x").unwrap()),
            Probe::InotifyUsage(selector.clone()),
            Probe::DnsServers(dns_servers::Parameters { names: vec![] }),
            Probe::NetEndpoint(endpoint),
            Probe::FdUsage(selector.clone()),
            Probe::FdTrend(selector),
            Probe::VersionPair(version_pair::Parameters { left: setting(), right: setting() }),
            Probe::PackageLock(package_lock::Parameters { manager: None }),
            Probe::RoleState(Box::new(role_state::Role {
                product: wbd_model::name::ProfileName::new("x").unwrap(),
                role: "main".into(),
                selector: ProcessSelector { comm: Some("x".into()), ..ProcessSelector::default() },
                unit: None,
                packages: vec!["x".into()],
            })),
        ];
        let asked: Vec<_> = all.iter().map(Probe::name).collect();
        assert_eq!(asked, ProbeName::ALL);
        for probe in all {
            let seen = runner.look(&probe);
            let names: Vec<_> = seen.facts.keys().map(String::as_str).collect();
            let mut wanted: Vec<_> = probe.name().fields().iter().map(|f| f.name).collect();
            wanted.sort_unstable();
            assert_eq!(names, wanted, "{probe:?}");
            for (name, fact) in &seen.facts {
                if let Fact::Unknown(reason) = fact {
                    assert!(!reason.contains("bug"), "{probe:?} {name}: {reason}");
                    assert_ne!(reason, "not looked at", "{probe:?} {name}");
                    let by_caller = probe.name().declaration().answered != Answered::Host;
                    assert_eq!(reason == "answered by the caller", by_caller, "{probe:?} {name}");
                }
            }
        }
    }

    #[test]
    fn an_answer_of_the_wrong_type_is_not_passed_on() {
        let mut seen = Observation::default();
        seen.know("alive", 1).know("extra", true);
        let fitted = fit(ProbeName::ProcessState.fields(), &seen);
        assert!(matches!(fitted.fact("alive"), Fact::Unknown(_)));
        assert!(!fitted.facts.contains_key("extra"));
    }
}

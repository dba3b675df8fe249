//! The list of probes is whole, and what was recorded of them stays readable.
use std::collections::BTreeSet;

use super::*;
use crate::declared::Takes;
use crate::name::TargetName;
use crate::observation::{Kind, Unit};
use crate::profile::{Endpoint, ProcessSelector, VersionSource};

#[test]
fn a_recorded_question_keeps_its_form() {
    let process = ProcessSelector { comm: Some("x".to_owned()), ..ProcessSelector::default() };
    let endpoint = Endpoint { host: "h".to_owned(), ports: vec![1], ping: false, when: None, alternate: None };
    let selector = r#"{"comm":"x","exe":null,"health":false}"#;
    let versions =
        version_pair::Parameters { left: VersionSource::Health {}, right: VersionSource::Package("p".to_owned()) };
    for (probe, text) in [
        (Probe::ProcessState(process.clone()), format!(r#"{{"ProcessState":{selector}}}"#)),
        (Probe::AgentHealth, r#""AgentHealth""#.to_owned()),
        (Probe::ServiceState(service_state::Parameters { unit: None }), r#"{"ServiceState":{"unit":null}}"#.to_owned()),
        (Probe::ExitLast(TargetName::new("t").unwrap()), r#"{"ExitLast":"t"}"#.to_owned()),
        (Probe::InotifyUsage(process.clone()), format!(r#"{{"InotifyUsage":{selector}}}"#)),
        (
            Probe::DnsServers(dns_servers::Parameters { names: vec!["n".to_owned()] }),
            r#"{"DnsServers":{"names":["n"]}}"#.to_owned(),
        ),
        (
            Probe::NetEndpoint(endpoint),
            r#"{"NetEndpoint":{"host":"h","ports":[1],"ping":false,"when":null}}"#.to_owned(),
        ),
        (Probe::FdUsage(process.clone()), format!(r#"{{"FdUsage":{selector}}}"#)),
        (Probe::FdTrend(process), format!(r#"{{"FdTrend":{selector}}}"#)),
        (Probe::VersionPair(versions), r#"{"VersionPair":{"left":{"health":{}},"right":{"package":"p"}}}"#.to_owned()),
    ] {
        assert_eq!(serde_json::to_string(&probe).unwrap(), text);
        assert_eq!(serde_json::from_str::<Probe>(&text).unwrap(), probe);
    }
}

#[test]
fn every_declaration_says_everything_once() {
    let keys: BTreeSet<&str> = ProbeName::KEYS.iter().copied().collect();
    assert_eq!(keys.len(), ProbeName::ALL.len());
    for name in ProbeName::ALL {
        let it = name.declaration();
        assert_eq!(ProbeName::of_key(it.key), Some(*name));
        let fields: BTreeSet<&str> = it.fields.iter().map(|field| field.name).collect();
        assert_eq!(fields.len(), it.fields.len(), "{}: a field twice", it.key);
        for field in it.fields {
            assert!(!field.label.is_empty() && !field.doc.is_empty(), "{}.{}", it.key, field.name);
            assert!(field.words.iter().all(|word| field.doc.contains(word)), "{}.{}", it.key, field.name);
            assert_eq!(field.kind == Kind::Int, field.unit != Unit::None, "{}.{}", it.key, field.name);
            assert_eq!(field.kind == Kind::Bool, field.otherwise.is_some(), "{}.{}", it.key, field.name);
            let told = [Some(field.label), field.otherwise];
            assert!(!told.iter().flatten().any(|told| told.contains('_')), "{}.{}: no name", it.key, field.name);
        }
        assert!(it.asks.ends_with(['.', '?']) && it.unknown.ends_with('.'), "{}", it.key);
        for parameter in it.parameters {
            assert!(parameter.doc.ends_with('.'), "{}.{}", it.key, parameter.name);
            // What is asked must be known before anything is seen.
            assert!(!matches!(parameter.takes, Takes::Number | Takes::Unit), "{}.{}", it.key, parameter.name);
            let of_profile = matches!(parameter.takes, Takes::Process | Takes::Version | Takes::Endpoint | Takes::Role);
            assert!(!(it.of_host && of_profile), "{}: the host has no profile", it.key);
        }
    }
}

#[test]
fn a_question_takes_what_it_names_from_the_profile_and_nothing_else_will_do() {
    let spec: crate::profile::ProfileSpec = serde_json::from_str(
        r#"{"present":{"any":[]},"process":{"main":{"comm":"p"}},"unit":"p.service","version":{"a":{"health":{}}}}"#,
    )
    .unwrap();
    let target = TargetName::new("p").unwrap();
    let ask = |name: ProbeName, given: &[(&'static str, &str)], names: &[String], profile: bool| {
        let given = given.iter().map(|(key, value)| (*key, (*value).into())).collect();
        let profile = profile.then_some(&spec);
        Probe::bind(name, &Binding { given: &given, profile, target: &target, item: None, host_names: names })
    };
    let process = ProcessSelector { comm: Some("p".to_owned()), ..ProcessSelector::default() };
    assert_eq!(ask(ProbeName::FdUsage, &[("process", "main")], &[], true), Some(Probe::FdUsage(process)));
    assert_eq!(ask(ProbeName::FdUsage, &[("process", "other")], &[], true), None);
    assert_eq!(ask(ProbeName::FdUsage, &[("process", "main")], &[], false), None);
    assert_eq!(ask(ProbeName::VersionPair, &[("left", "a"), ("right", "b")], &[], true), None);
    assert_eq!(ask(ProbeName::NetEndpoint, &[("endpoint", "endpoint")], &[], true), None);
    let unit = service_state::Parameters { unit: Some("p.service".to_owned()) };
    assert_eq!(ask(ProbeName::ServiceState, &[], &[], true), Some(Probe::ServiceState(unit)));
    let names = ["n".to_owned()];
    let all = |names: &[String]| Some(Probe::DnsServers(dns_servers::Parameters { names: names.to_vec() }));
    assert_eq!(ask(ProbeName::DnsServers, &[], &names, false), all(&names));
    assert_eq!(ask(ProbeName::DnsServers, &[], &[], false), None, "no name to ask for is nothing to be seen");
    assert_eq!(ask(ProbeName::DnsServers, &[], &[], true), all(&[]));
}

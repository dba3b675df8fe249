//! Units that a playbook would restart and that nothing lets it, found at load. Looks at no host.
use std::collections::BTreeSet;

use wbd_model::declared::Takes;
use wbd_model::name::ProfileName;
use wbd_model::problem::{Problem, Source};
use wbd_model::{suggest, unit};

use super::compiled::Playbook;
use super::library::Library;
use crate::expr::{Expr, Outcome, Reference};
use crate::yaml::Node;

/// A message and its remedy.
type Fault = (String, Option<String>);

/// Each unit of each step that could never be restarted, or of which that cannot be told before it is seen.
pub(super) fn misfits(source: &Source, tree: &Node, playbook: &Playbook, library: &Library) -> Vec<Problem> {
    let list = |node: Option<&Node>, key: &str| node.and_then(|node| node.get(key)).cloned();
    let mut found = Vec::new();
    let rungs = list(tree.get("spec"), "rungs");
    for (rung, written) in playbook.rungs.iter().zip(rungs.as_ref().map(Node::elements).unwrap_or_default()) {
        let steps = list(Some(written), "steps");
        for (step, written) in rung.steps.iter().zip(steps.as_ref().map(Node::elements).unwrap_or_default()) {
            let declaration = step.name.declaration();
            for parameter in declaration.parameters.iter().filter(|parameter| parameter.takes == Takes::Unit) {
                let Some(expression) = step.given.get(parameter.name) else { continue };
                let place = written.place_of(&[declaration.key, parameter.name]);
                let faults = faults(expression, &playbook.lets, playbook, library);
                found.extend(faults.into_iter().map(|(message, hint)| place.problem(source, message, hint)));
            }
        }
    }
    found
}

/// What is wrong with each value that it may give; `lets` are those that it may use.
fn faults(expression: &Expr, lets: &[(String, Expr)], playbook: &Playbook, library: &Library) -> Vec<Fault> {
    let mut found = Vec::new();
    for outcome in expression.outcomes() {
        match outcome {
            Outcome::Text(text) => found.extend(of_text(text, playbook, library)),
            Outcome::Of(Reference::Profile(constant)) if constant == "unit" => {}
            Outcome::Of(Reference::Item { name: "role", field }) if field == "unit" => {}
            Outcome::Of(Reference::Fact { observation, field }) if is_resolver(playbook, observation, field) => {}
            Outcome::Of(Reference::Let(name)) => {
                // A value of `let` knows only those before it, so that this ends.
                if let Some(index) = lets.iter().position(|(own, _)| own == name) {
                    found.extend(faults(&lets[index].1, &lets[..index], playbook, library));
                }
            }
            Outcome::Of(
                Reference::Fact { .. }
                | Reference::Before { .. }
                | Reference::Profile(_)
                | Reference::Case
                | Reference::Item { .. },
            )
            | Outcome::Made => found.push((
                "only what the profile names, or a resolver that was found, is restarted".to_owned(),
                Some("write {cel: profile.unit}, {cel: NAME.local_unit} of dns.servers, or a unit's name".to_owned()),
            )),
        }
    }
    found
}

fn is_resolver(playbook: &Playbook, observation: &str, field: &str) -> bool {
    let (probe, known) = unit::FOUND;
    field == known && playbook.observe.iter().any(|(name, question)| name == observation && question.name == probe)
}

fn of_text(text: &str, playbook: &Playbook, library: &Library) -> Option<Fault> {
    if let Some(fault) = unit::never(text) {
        return Some((format!("{text:?} {fault}"), None));
    }
    let none = BTreeSet::new();
    if unit::restartable(text, &none, &none).is_ok() {
        return None;
    }
    if playbook.for_host {
        let message = format!("a playbook for the host restarts resolvers of names only, and {text} is none");
        return Some((message, Some("leave scope: host out, and name the unit in a profile".to_owned())));
    }
    let mut applying = library.profiles.values().filter(|profile| playbook.fits(profile)).peekable();
    // A playbook for products that are not here does nothing.
    applying.peek()?;
    let (names, units): (Vec<&ProfileName>, Vec<BTreeSet<String>>) =
        applying.map(|profile| (&profile.name, profile.spec.units())).unzip();
    if units.iter().any(|units| units.contains(text)) {
        return None;
    }
    let near = suggest::nearest(text, units.iter().flatten().map(String::as_str));
    let hint = near.map_or_else(
        || format!("write unit: {text} into the profile of its product"),
        |near| format!("did you mean {near:?}?"),
    );
    let names: Vec<&str> = names.into_iter().map(ProfileName::as_str).collect();
    Some((format!("no profile that this playbook applies to ({}) names {text:?}", names.join(", ")), Some(hint)))
}

#[cfg(test)]
mod tests {
    use wbd_model::settings::Settings;

    use super::super::{Bound, load};
    use super::*;

    const PLAYBOOK: &str = "apiVersion: wbd/v1
kind: Playbook
metadata: {name: port, code: WEB-PORT}
spec:
  applies: {has: [process.main, unit, endpoints]}
  observe:
    proc: {process.state: {process: main}}
    dns: {dns.servers: {}}
  let:
    wanted: {cel: \"proc.alive ? 'web.service' : dns.local_unit\"}
  detect:
    cases: [{id: down, level: fail, when: \"!proc.alive\"}]
  rungs:
    - id: restart
      steps:
        - unit.restart: {unit: UNIT}
  verify: {pass: \"proc.alive\", within: 10s}
  text: {en: {down: {title: t, cause: c, guide: [g]}}}
";
    const PROFILE: &str = "apiVersion: wbd/v1
kind: Profile
metadata: {name: web}
spec:
  present: {any: [{file: /web}]}
  process: {main: {program: /web}, worker: {unit: worker.service}}
  unit: web.service
  endpoints: [{host: a.example, ports: [80]}]
";

    fn loaded(unit: &str, profile: &str) -> Vec<String> {
        let files = [("p.yaml", PLAYBOOK.replace("UNIT", unit)), ("web.yaml", profile.to_owned())];
        let sources = files.map(|(path, text)| Source { path: path.to_owned(), text });
        load(&sources).1.iter().map(Problem::brief).collect()
    }

    #[test]
    fn what_the_profile_names_and_resolvers_are_taken() {
        let none: [String; 0] = [];
        for unit in [
            "web.service",
            "worker.service",
            "dnsmasq.service",
            "{cel: profile.unit}",
            "{cel: dns.local_unit}",
            "{cel: wanted}",
            "{cel: \"proc.alive ? profile.unit : 'web.service'\"}",
        ] {
            assert_eq!(loaded(unit, PROFILE), none, "{unit}");
        }
        let absent = PROFILE.replace("  unit: web.service\n", "");
        assert_eq!(loaded("any.service", &absent), none, "it applies to nothing");
    }

    #[test]
    fn anything_else_is_a_load_error_with_its_place_and_a_remedy() {
        for (unit, words) in [
            (
                "wbe.service",
                "p.yaml:16:32: no profile that this playbook applies to (web) names \"wbe.service\" (did you mean \"web.service\"?)",
            ),
            ("postgresql.service", "(write unit: postgresql.service into the profile of its product)"),
            (
                "wbd-agent.service",
                "p.yaml:16:32: \"wbd-agent.service\" is the agent's; the action for it is agent.restart",
            ),
            ("wbd-supervisord.service", "is wbd's own"),
            ("dbus.service", "carries the whole host"),
            ("systemd-logind.service", "carries the whole host"),
            ("web.socket", "is no name of a service"),
            ("{cel: \"'systemd-' + 'journald.service'\"}", "only what the profile names"),
            ("{cel: dns.first_bad}", "(write {cel: profile.unit}"),
            ("{cel: \"proc.alive ? profile.unit : 'sshd.service'\"}", "names \"sshd.service\""),
        ] {
            let said = loaded(unit, PROFILE);
            assert!(said.len() == 1 && said[0].contains(words), "{unit}: {said:#?}");
            assert!(said[0].starts_with("p.yaml:16:"), "{unit}: {said:#?}");
        }
    }

    #[test]
    fn a_hint_to_name_the_unit_is_taken() {
        let more = PROFILE.replace("unit: web.service", "unit: postgresql.service");
        assert_eq!(loaded("postgresql.service", &more), Vec::<String>::new());
    }

    #[test]
    fn a_playbook_for_the_host_restarts_resolvers_only() {
        let host = PLAYBOOK
            .replace(
                "  applies: {has: [process.main, unit, endpoints]}",
                "  applies: {has: [endpoints]}\n  scope: host",
            )
            .replace("    proc: {process.state: {process: main}}\n", "")
            .replace("proc.alive ? 'web.service' : dns.local_unit", "dns.local_unit")
            .replace("!proc.alive", "dns.answering == 0")
            .replace("pass: \"proc.alive\"", "pass: \"dns.answering > 0\"");
        let said = |unit: &str| {
            let text = host.replace("UNIT", unit);
            let (_, problems) = load(&[Source { path: "p.yaml".to_owned(), text }]);
            problems.iter().map(Problem::brief).collect::<Vec<String>>()
        };
        assert_eq!(said("unbound.service"), Vec::<String>::new());
        assert_eq!(said("{cel: dns.local_unit}"), Vec::<String>::new());
        let refused = said("web.service");
        assert!(refused.len() == 1 && refused[0].contains("restarts resolvers of names only"), "{refused:#?}");
    }

    #[test]
    fn the_product_whose_profile_does_not_name_the_unit_is_offered_nothing() {
        let other = PROFILE.replace("name: web}", "name: shop}").replace("web.service", "shop.service");
        let files = [
            ("p.yaml", PLAYBOOK.replace("UNIT", "web.service")),
            ("web.yaml", PROFILE.to_owned()),
            ("shop.yaml", other),
        ];
        let (library, problems) = load(&files.map(|(path, text)| Source { path: path.to_owned(), text }));
        assert_eq!(problems, []);
        let present = library.profiles.keys().cloned().collect();
        let planned = |bound: &Bound| {
            let mut proc = wbd_model::observation::Observation::default();
            proc.know("alive", false);
            let mut dns = wbd_model::observation::Observation::default();
            dns.know("local_unit", "");
            let seen = [("proc".to_owned(), proc), ("dns".to_owned(), dns)].into();
            let judgement = crate::judge::judge(bound, &seen);
            crate::judge::plan::plan(bound, &judgement, &seen, 0)
        };
        let bounds = library.bind(&present, &Settings::default());
        let of = |name: &str| bounds.iter().find(|bound| bound.key.target.as_str() == name).map(&planned).unwrap();
        assert_eq!(of("web").unwrap().unwrap().steps.len(), 1);
        let refused = of("shop").unwrap_err();
        assert!(refused.contains("the profile does not name \"web.service\""), "{refused}");
    }
}

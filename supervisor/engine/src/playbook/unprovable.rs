//! Verifications that cannot hold after the actions before them, as far as the declarations of probes and actions tell.
//! Such a playbook loads all the same; it would act, prove nothing and call a person. Runs nothing.
use std::collections::BTreeSet;

use wbd_model::action::Declaration;
use wbd_model::probe::ProbeName;

use super::compiled::{Playbook, Rung};
use crate::expr::{Expr, Reference};

/// What a trend still tells of a process that has just started.
const AT_ONCE: [&str; 4] = ["enough", "known_from", "window_in_min", "reason"];

/// Why the verification of a playbook cannot hold, a sentence each.
pub(super) fn reasons(playbook: &Playbook) -> Vec<String> {
    let Some(verify) = &playbook.verify else { return Vec::new() };
    let mut facts = BTreeSet::new();
    collect(&verify.pass, &playbook.lets, &mut facts);
    let asked: Vec<(ProbeName, &str, &str)> = facts
        .into_iter()
        .filter_map(|(observation, field)| {
            let question = playbook.observe.iter().find(|(name, _)| name == observation)?;
            Some((question.1.name, observation, field))
        })
        .collect();
    let slow = asked.iter().filter(|(probe, _, field)| *probe == ProbeName::FdTrend && !AT_ONCE.contains(field));
    let slow = slow.map(|(_, observation, field)| {
        format!("the verification asks {observation}.{field}, which is unknown for days after a restart: ask what is seen at once, such as fd.usage")
    });
    let idle = playbook.rungs.iter().filter(|rung| !asked.iter().any(|(probe, ..)| can_change(rung, *probe)));
    let idle = idle.map(|rung| {
        format!("the verification asks nothing that the steps of rung {:?} can change: it says after them what it said before", rung.id)
    });
    slow.chain(idle).collect()
}

/// The facts of now that an expression depends on, be it through `let`.
fn collect<'a>(expression: &'a Expr, lets: &'a [(String, Expr)], facts: &mut BTreeSet<(&'a str, &'a str)>) {
    for reference in expression.references() {
        match reference {
            Reference::Fact { observation, field } => {
                facts.insert((observation.as_str(), field.as_str()));
            }
            // A value of `let` knows only those before it, so that this ends.
            Reference::Let(name) => {
                if let Some(index) = lets.iter().position(|(own, _)| own == name)
                    && let (Some((_, value)), Some(earlier)) = (lets.get(index), lets.get(..index))
                {
                    collect(value, earlier, facts);
                }
            }
            Reference::Before { .. } | Reference::Profile(_) | Reference::Case | Reference::Item { .. } => {}
        }
    }
}

fn can_change(rung: &Rung, probe: ProbeName) -> bool {
    rung.steps.iter().any(|step| reaches(step.name.declaration(), probe))
}

/// Whether an action can change what a probe answers. In doubt it can.
fn reaches(action: &Declaration, probe: ProbeName) -> bool {
    let of_agent = match probe {
        ProbeName::ProcessState
        | ProbeName::AgentHealth
        | ProbeName::ServiceState
        | ProbeName::ExitLast
        | ProbeName::InotifyUsage
        | ProbeName::FdUsage
        | ProbeName::FdTrend
        | ProbeName::VersionPair => true,
        // Roles of our own agent are not asked for.
        ProbeName::RoleState => false,
        // What the agent does changes nothing of these.
        ProbeName::DnsServers | ProbeName::NetEndpoint | ProbeName::PackageLock => false,
    };
    match action.key {
        // The limits that wbd may set are all of inotify.
        "sysctl.set" => probe == ProbeName::InotifyUsage,
        _ if action.agent.concerns() => of_agent,
        // Another service or a vendor's program may be behind anything.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use wbd_model::problem::Source;

    use super::super::load;
    use super::super::tests::shipped_sources;
    use super::*;

    const PROFILE: &str = "apiVersion: wbd/v1\nkind: Profile\nmetadata: {name: p}\nspec:\n  present: {any: [{file: /p}]}\n  \
        process: {main: {comm: p, user: [root]}}\n  health: true\n  leak: {window: \"01:00-02:00\"}\n  \
        endpoints: [{host: h, ports: [1]}]\n  commands: {restart: {argv: [/p], timeout: 5s, class: A3}}\n";

    /// What is said of a playbook with this step and this verification.
    fn said(step: &str, pass: &str) -> Vec<String> {
        let text = format!(
            "{PROFILE}---\nkind: Playbook\nmetadata: {{name: t, code: X-1}}\nspec:\n  \
             applies: {{has: [process.main, health, leak, endpoints, commands.restart]}}\n  each: {{endpoint: profile.endpoints}}\n  \
             observe:\n    fd: {{fd.usage: {{process: main}}}}\n    trend: {{fd.trend: {{process: main}}}}\n    \
             net: {{net.endpoint: {{endpoint: endpoint}}}}\n    ino: {{inotify.usage: {{process: main}}}}\n  \
             let: {{rises: {{cel: \"trend.per_day\"}}}}\n  \
             detect: {{cases: [{{id: a, level: fail, when: \"fd.open > 5\"}}]}}\n  rungs: [{{id: r, steps: [{step}]}}]\n  \
             verify: {{pass: \"{pass}\", within: 5s}}\n  text: {{en: {{a: {{title: a, cause: a, guide: [a]}}}}}}\n"
        );
        let (library, problems) = load(&[Source { path: "x.yaml".to_owned(), text }]);
        assert_eq!(problems, [], "it loads all the same");
        library.playbooks.values().flat_map(|playbook| reasons(playbook.as_ref())).collect()
    }

    #[test]
    fn a_verification_that_waits_for_days_of_samples_is_found() {
        for pass in ["!trend.leaking", "fd.open < 5 && !trend.due", "rises < 1"] {
            let found = said("command.run: {command: restart}", pass);
            assert!(found.len() == 1 && found[0].contains("unknown for days after a restart"), "{pass}: {found:?}");
        }
        for pass in ["fd.open < before.fd.open", "fd.open < 5 && !before.trend.leaking", "!trend.enough && fd.open < 5"]
        {
            assert_eq!(said("command.run: {command: restart}", pass), Vec::<String>::new(), "{pass}");
        }
    }

    #[test]
    fn a_verification_that_no_step_can_change_is_found() {
        let idle = "nothing that the steps of rung \"r\" can change";
        let raise = "sysctl.set: {key: fs.inotify.max_user_watches, value: 20000, persist: false}";
        for (step, pass) in [("agent.restart: {}", "net.bad_ports == 0"), (raise, "fd.open < 5")] {
            let found = said(step, pass);
            assert!(found.len() == 1 && found[0].contains(idle), "{step} {pass}: {found:?}");
        }
        for (step, pass) in [
            ("agent.restart: {}", "net.bad_ports == 0 && fd.open < 5"),
            ("command.run: {command: restart}", "net.bad_ports == 0"),
            (raise, "ino.missing == 0"),
            ("agent.reload: {}", "ino.missing == 0"),
        ] {
            assert_eq!(said(step, pass), Vec::<String>::new(), "{step} {pass}");
        }
    }

    #[test]
    fn every_shipped_verification_can_hold() {
        let (library, _) = load(&shipped_sources());
        let found: Vec<String> = library.playbooks.values().flat_map(|playbook| reasons(playbook.as_ref())).collect();
        assert_eq!(found, Vec::<String>::new());
    }
}

//! What lint says of a playbook's account of health: that it is missing, leaves states out, or contradicts a case or the
//! verification. Such a playbook loads all the same.
use super::compiled::Playbook;
use super::faults::Faults;
use super::states::{States, look_through};
use crate::yaml::Node;

/// Adds what is found.
pub(super) fn advise(faults: &mut Faults<'_>, tree: &Node, playbook: &Playbook) {
    let place = |path: &[&str]| tree.place_of(path);
    if playbook.healthy.is_none() {
        let hint = "add to detect what a healthy answer looks like: healthy: \"EXPRESSION\"";
        let message = "detect has no healthy: a state that no case covers passes";
        faults.add_with_hint(place(&["spec", "detect"]), message, Some(hint.to_owned()));
        return;
    }
    let States { uncovered, both, proven_though, can_be_proven, cut } = look_through(playbook);
    let healthy = place(&["spec", "detect", "healthy"]);
    for (case, state) in both {
        faults.add(healthy, format!("healthy and the case {case:?} hold at once: {state}"));
    }
    if let Some(first) = uncovered.first() {
        let message = match uncovered.len() {
            1 => format!("neither healthy nor a case covers this state: {first}"),
            all => format!("neither healthy nor a case covers {all} kinds of states, among them: {first}"),
        };
        let hint = "it is told as unknown; widen healthy, add a case, or say why nobody can tell: level: unknown";
        faults.add_with_hint(healthy, message, Some(hint.to_owned()));
    }
    let pass = place(&["spec", "verify", "pass"]);
    for (case, state) in proven_though {
        faults.add(pass, format!("the verification holds although the case {case:?} holds: {state}"));
    }
    if playbook.verify.is_some() && !can_be_proven && !cut {
        faults.add(pass, "the verification holds in no state that is healthy");
    }
}

#[cfg(test)]
mod tests {
    use wbd_model::problem::Source;

    use super::super::states;
    use super::super::tests::shipped_sources;
    use super::super::{advice_on_health, load};

    /// What is said of a playbook with these lines below `detect` and behind it.
    fn said(detect: &str, verify: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: wbd/v1\nkind: Playbook\nmetadata: {{name: t, code: X-1}}\nspec:\n  \
             applies: {{has: [process.main, health]}}\n  observe:\n    proc: {{process.state: {{process: main}}}}\n    \
             agent: {{agent.health: {{}}}}\n  let: {{late: {{cel: \"agent.heartbeat_age_ms > 5\"}}}}\n  \
             detect:\n    cases: [{{id: dead, level: fail, when: \"!proc.alive\"}}]\n{detect}{verify}  \
             text: {{en: {{dead: {{title: a, cause: a, guide: [a]}}}}}}\n"
        );
        let source = Source { path: "x.yaml".to_owned(), text };
        assert_eq!(load(std::slice::from_ref(&source)).1, [], "it loads all the same");
        advice_on_health(&[source]).iter().map(|found| found.brief()).collect()
    }

    fn healthy(text: &str) -> Vec<String> {
        said(&format!("    healthy: \"{text}\"\n"), "")
    }

    #[test]
    fn a_playbook_that_does_not_say_what_healthy_is_is_told_so() {
        let found = said("", "");
        assert!(found.len() == 1 && found[0].contains("a state that no case covers passes"), "{found:?}");
        assert_eq!(healthy("proc.alive"), Vec::<String>::new(), "the twin says it");
    }

    #[test]
    fn states_that_nobody_covers_are_counted_and_the_first_is_named() {
        let found = healthy("proc.alive && agent.live && !late");
        assert!(found.len() == 1 && found[0].contains("2 kinds of states"), "{found:?}");
        assert!(found[0].contains("proc.alive = true, agent.live = true, agent.heartbeat_age_ms = 6"), "{found:?}");
        let found = healthy("agent.state in ['active', 'inactive', 'starting', 'stopping']");
        let none = "covers this state: proc.alive = true, agent.state = 'none'";
        assert!(found.iter().any(|it| it.contains(none)), "{found:?}");
        for covered in ["agent.live || !agent.live", "late || !late", "has(proc.pid) || !has(proc.pid)"] {
            assert!(healthy(&format!("proc.alive && ({covered})")).is_empty(), "{covered}");
        }
    }

    #[test]
    fn a_state_that_is_healthy_and_fails_is_found() {
        let found = healthy("proc.alive || agent.live");
        assert!(
            found
                .iter()
                .any(|it| it
                    .contains("healthy and the case \"dead\" hold at once: proc.alive = false, agent.live = true")),
            "{found:?}"
        );
    }

    #[test]
    fn a_verification_that_contradicts_health_or_a_case_is_found() {
        let verified = |pass: &str| {
            let verify = format!(
                "  rungs: [{{id: r, steps: [{{agent.restart: {{}}}}]}}]\n  verify: {{pass: \"{pass}\", within: 5s}}\n"
            );
            said("    healthy: \"proc.alive\"\n", &verify)
        };
        let found = verified("agent.live || !proc.alive");
        assert!(found.len() == 1 && found[0].contains("although the case \"dead\" holds"), "{found:?}");
        let found = verified("!proc.alive && agent.live");
        assert!(found.iter().any(|it| it.contains("in no state that is healthy")), "{found:?}");
        for good in ["proc.alive", "proc.alive && agent.live && proc.pid != before.proc.pid"] {
            assert_eq!(verified(good), Vec::<String>::new(), "{good}");
        }
        // What asks nothing that the case asks may hold meanwhile.
        assert_eq!(verified("agent.live"), Vec::<String>::new());
    }

    #[test]
    fn every_shipped_playbook_covers_all_states_and_contradicts_itself_in_none() {
        let sources = shipped_sources();
        assert_eq!(advice_on_health(&sources), []);
        for playbook in load(&sources).0.playbooks.values() {
            assert!(!states::look_through(playbook).cut, "{}: too many states", playbook.name);
        }
    }
}

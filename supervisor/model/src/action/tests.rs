//! The list of actions is whole, and what the ledger holds of them stays readable.
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::observation::Value;
use crate::profile::{Command, Duration};

fn command(class: Class) -> Command {
    Command { argv: vec!["/bin/x".to_owned(), "go".to_owned()], timeout: Duration::from_ms(1_000), class }
}

fn all() -> Vec<Action> {
    vec![
        Action::SysctlSet(SysctlSet { key: "k".to_owned(), value: 2, persist: true }),
        Action::AgentReload {},
        Action::AgentStart {},
        Action::AgentRestart {},
        Action::UnitRestart(UnitRestart { unit: "u.service".to_owned() }),
        Action::CommandRun(CommandRun { name: "restart".to_owned(), command: command(Class::A0) }),
        Action::AgentStop(AgentStop { who: "root".to_owned() }),
        Action::SysctlRestore(SysctlRestore { key: "k".to_owned(), value: 1, dropin: None }),
    ]
}

#[test]
fn a_recorded_action_keeps_its_form() {
    let forms = [
        r#"{"sysctl.set":{"key":"k","value":2,"persist":true}}"#,
        r#"{"agent.reload":{}}"#,
        r#"{"agent.start":{}}"#,
        r#"{"agent.restart":{}}"#,
        r#"{"unit.restart":{"unit":"u.service"}}"#,
        r#"{"command.run":{"name":"restart","command":{"argv":["/bin/x","go"],"timeout":"1s","class":"A0"}}}"#,
        r#"{"agent.stop":{"who":"root"}}"#,
        r#"{"sysctl.restore":{"key":"k","value":1,"dropin":null}}"#,
    ];
    for (action, form) in all().iter().zip(forms) {
        assert_eq!(serde_json::to_string(action).unwrap(), form);
        assert_eq!(&serde_json::from_str::<Action>(form).unwrap(), action);
    }
}

#[test]
fn the_list_has_every_action_once_under_the_name_that_the_ledger_keeps() {
    let keys: Vec<&str> = ActionName::all().map(|name| name.declaration().key).collect();
    assert_eq!(keys, all().iter().map(Action::name).collect::<Vec<_>>());
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
    for action in all() {
        let form = serde_json::to_value(&action).unwrap();
        assert!(form.get(action.name()).is_some(), "{form}");
        let it = action.declaration();
        assert!(it.does.ends_with('.') && !it.conflicts.is_empty(), "{}", it.key);
        assert_eq!(it.alone.is_some(), action.on_the_machine().is_some(), "{}", it.key);
        let named = it.named_by == NamedBy::Playbook;
        assert_eq!(ActionName::of_step(it.key).is_some(), named, "{}", it.key);
        assert!(named || it.parameters.is_empty(), "{}", it.key);
    }
}

#[test]
fn each_action_says_what_it_does_to_the_agent_and_what_it_may_not_be_done_beside() {
    let said = |action: &Action| {
        let agent = action.on_agent();
        (
            action.class(),
            agent.concerns(),
            agent.ends(),
            agent.starts(),
            action.is_provable(),
            action.conflict().to_string(),
        )
    };
    let words = |text: &str| text.to_owned();
    let wanted = [
        (Class::A1, false, false, false, true, words("sysctl:k")),
        (Class::A1, true, false, false, true, words("agent")),
        (Class::A2, true, false, true, true, words("agent")),
        (Class::A2, true, true, true, true, words("agent")),
        (Class::A3, false, false, false, false, words("unit:u.service")),
        (Class::A3, false, false, false, false, words("program:/bin/x")),
        (Class::A2, true, true, false, true, words("agent")),
        (Class::A1, false, false, false, true, words("sysctl:k")),
    ];
    assert_eq!(all().iter().map(said).collect::<Vec<_>>(), wanted);
    let harder = Action::CommandRun(CommandRun { name: words("x"), command: command(Class::A3) });
    assert_eq!((harder.class(), harder.takes_ms(), harder.reads()), (Class::A3, 1_000, Some("/bin/x")));
}

#[test]
fn a_step_is_made_from_what_it_gives_and_from_nothing_that_does_not_fit() {
    let commands = BTreeMap::from([("restart".to_owned(), command(Class::A3))]);
    let make = |key: &str, given: &[(&'static str, Value)]| {
        let values = given.iter().cloned().collect();
        let (units, found) = (BTreeSet::from(["u.service".to_owned()]), BTreeSet::new());
        ActionName::of_step(key).unwrap().action(&Given {
            values: &values,
            commands: &commands,
            units: &units,
            found: &found,
        })
    };
    let set = |value: i64| make("sysctl.set", &[("key", "k".into()), ("value", value.into())]);
    assert_eq!(set(5), Ok(Action::SysctlSet(SysctlSet { key: "k".to_owned(), value: 5, persist: false })));
    assert_eq!(set(0).unwrap_err(), "k would be set to 0: only values above 0 make sense");
    assert!(make("sysctl.set", &[("key", "k".into()), ("value", "5".into())]).unwrap_err().contains("no whole number"));
    assert!(make("command.run", &[("command", "other".into())]).unwrap_err().contains("no program \"other\""));
    let run = make("command.run", &[("command", "restart".into())]);
    assert_eq!(run, Ok(Action::CommandRun(CommandRun { name: "restart".to_owned(), command: command(Class::A3) })));
    assert!(make("unit.restart", &[("unit", 5.into())]).is_err());
    assert!(make("unit.restart", &[("unit", "u.service".into())]).is_ok());
    assert!(make("unit.restart", &[("unit", "other.service".into())]).unwrap_err().contains("does not name"));
    assert_eq!(make("agent.start", &[]), Ok(Action::AgentStart {}));
}

#[test]
fn only_the_value_that_follows_what_is_measured_is_left_out_of_a_comparison() {
    let set = |value: i64, persist: bool| Action::SysctlSet(SysctlSet { key: "k".to_owned(), value, persist });
    assert_eq!(set(5, true).without_value(), set(7, true).without_value());
    assert_ne!(set(5, true).without_value(), set(5, false).without_value());
    let unit = |name: &str| Action::UnitRestart(UnitRestart { unit: name.to_owned() });
    assert_ne!(unit("a").without_value(), unit("b").without_value());
}

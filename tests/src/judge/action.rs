//! The actions that a ledger tells of, from its records as `wbdctl -o json` gives them; whether they happened is not
//! asked here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::what::What;

const HUP: i32 = 1;
const KILL: i32 = 9;
const TERM: i32 = 15;
const CONT: i32 = 18;
/// Before who asked for an action that no incident asked for, and that cost budget all the same.
const PAID: &str = "paid for, asked by: ";

/// One action as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Its number.
    pub id: String,
    /// Its name, such as `agent.restart`.
    pub name: String,
    /// Its class, such as `A2`.
    pub class: String,
    /// Its parameters, such as `{"key": .., "value": ..}`.
    pub params: Value,
    /// When it was meant, milliseconds of CLOCK_BOOTTIME.
    pub at_ms: u64,
    /// When its outcome was written.
    pub ended_ms: Option<u64>,
    /// The outcome in a word; empty without one.
    pub result: String,
    /// Somebody asked for it by hand, or it is the agent's first start in this boot: it cost nothing.
    pub by_hand: bool,
    /// The start of a supervisor asked for it, and it cost budget.
    pub at_start: bool,
}

impl Action {
    /// Whether such an effect belongs to it.
    pub(super) fn may(&self, what: &What) -> bool {
        match what {
            What::Start { .. } => matches!(self.name.as_str(), "agent.start" | "agent.restart"),
            What::Signal { number, .. } => match self.name.as_str() {
                "agent.restart" | "agent.stop" => [TERM, CONT, KILL].contains(number),
                "agent.reload" => *number == HUP,
                _ => false,
            },
            What::Job { verb, .. } => self.name.rsplit_once('.').is_some_and(|(_, own)| own == verb),
            What::Set { key, value } => {
                matches!(self.name.as_str(), "sysctl.set" | "sysctl.restore")
                    && self.params["key"] == key.as_str()
                    && self.params["value"] == *value
            }
        }
    }

    /// Whether it counts in the host's budget.
    pub(super) fn is_disruptive(&self) -> bool {
        self.class.as_str() >= "A2"
    }
}

/// All actions in their order, and the numbers that were used twice.
#[must_use]
pub fn actions(records: &[Value]) -> (Vec<Action>, Vec<String>) {
    let word = |record: &Value, key: &str| record[key].as_str().unwrap_or_default().to_owned();
    let mut actions: Vec<Action> = Vec::new();
    let (mut ids, mut same) = (BTreeSet::new(), Vec::new());
    for record in records {
        let id = word(record, "action_id");
        match word(record, "kind").as_str() {
            "intent" => {
                if !ids.insert(id.clone()) {
                    same.push(id.clone());
                }
                let mut lines = record["evidence"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let asked = lines.find(|line| line.starts_with("by hand: ") || line.starts_with(PAID));
                actions.push(Action {
                    id,
                    params: record["params"][word(record, "action")].clone(),
                    name: word(record, "action"),
                    class: word(record, "class"),
                    at_ms: record["boot_ms"].as_u64().unwrap_or_default(),
                    ended_ms: None,
                    result: String::new(),
                    by_hand: asked.is_some_and(|line| !line.starts_with(PAID)),
                    at_start: asked.is_some_and(|line| line.starts_with(PAID)),
                });
            }
            "outcome" => {
                let Some(action) = actions.iter_mut().rev().find(|action| action.id == id) else { continue };
                if action.ended_ms.is_some() {
                    same.push(id);
                }
                action.ended_ms = record["boot_ms"].as_u64();
                action.result = word(record, "result");
            }
            _ => {}
        }
    }
    (actions, same)
}

//! `/etc/wbd/wbd.yaml`: what the administrator decides. Parsing is the engine's.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::action::Class;
use crate::maintenance::Maintenance;
use crate::name::TargetName;
use crate::profile::{Duration, PublicAddress};

/// The supervisor's settings; every key has a default, an empty file is valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What heals: `observe` never acts, `approve` asks before each action, `auto` acts.
    pub healing: Healing,
    /// Actions above this class always wait for an operator. A4 waits whatever stands here.
    pub ceiling: Class,
    /// By playbook: its own `healing` and `ceiling`; the stricter of the two holds.
    pub playbooks: BTreeMap<String, PlaybookPolicy>,
    /// By product (the name of its profile): its own `healing` and `ceiling`; the strictest of all holds.
    pub products: BTreeMap<String, PlaybookPolicy>,
    /// Actions of class A2 and above on this host.
    pub budget: HostBudget,
    /// When actions that disturb may be done; at any time if it is left out.
    pub maintenance: Option<Maintenance>,
    /// How often checks run (events make them run at once).
    pub every: Duration,
    /// How often file descriptors are sampled.
    pub sample_every: Duration,
    /// Whether this host has a public address.
    pub public: PublicAddress,
    /// Facts that the site states (versions of products that write theirs nowhere): texts, or whole numbers.
    #[serde(deserialize_with = "facts")]
    #[schemars(with = "BTreeMap<String, Stated>")]
    pub facts: BTreeMap<String, String>,
    /// Program and arguments to run for an incident that needs a person.
    pub on_escalation: Vec<String>,
    /// wbd's own agent on this host.
    pub agent: AgentSettings,
}

/// What is expected of wbd's own agent on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AgentSettings {
    /// `false`: this host uses wbd for other vendors' agents only; wbd's own agent is not checked and not missed.
    pub expected: bool,
}

impl Default for AgentSettings {
    fn default() -> Self {
        Self { expected: true }
    }
}

/// A fact as it is written: a build is a number to people.
struct Stated(String);

fn facts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let stated = BTreeMap::<String, Stated>::deserialize(deserializer)?;
    Ok(stated.into_iter().map(|(name, Stated(text))| (name, text)).collect())
}

impl<'de> Deserialize<'de> for Stated {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct StatedVisitor;
        impl de::Visitor<'_> for StatedVisitor {
            type Value = Stated;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a whole number")
            }
            fn visit_str<E>(self, text: &str) -> Result<Stated, E> {
                Ok(Stated(text.to_owned()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Stated, E> {
                Ok(Stated(number.to_string()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Stated, E> {
                Ok(Stated(number.to_string()))
            }
        }
        deserializer.deserialize_any(StatedVisitor)
    }
}

impl JsonSchema for Stated {
    fn schema_name() -> Cow<'static, str> {
        "Stated".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer"] })
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            healing: Healing::Auto,
            ceiling: Class::A3,
            playbooks: BTreeMap::new(),
            products: BTreeMap::new(),
            budget: HostBudget::default(),
            maintenance: None,
            every: Duration::from_ms(10_000),
            sample_every: Duration::from_ms(60_000),
            public: PublicAddress::Auto,
            facts: BTreeMap::new(),
            on_escalation: Vec::new(),
            agent: AgentSettings::default(),
        }
    }
}

/// What the supervisor may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Healing {
    /// Check and report, never act.
    Observe,
    /// Prepare each action and wait for an operator's approval.
    Approve,
    /// Act within guards and budgets.
    #[default]
    Auto,
}

impl Healing {
    /// The word in settings, JSON and on the screen.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Approve => "approve",
            Self::Auto => "auto",
        }
    }
}

/// A playbook's or a product's own policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaybookPolicy {
    /// Its own healing mode.
    #[serde(default)]
    pub healing: Option<Healing>,
    /// Its own ceiling.
    #[serde(default)]
    pub ceiling: Option<Class>,
}

/// The host's budget for actions of class A2 and above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HostBudget {
    /// At most so many in any hour.
    pub per_hour: u32,
    /// At most so many in any day.
    pub per_day: u32,
    /// Of these so many are kept for wbd's own agent.
    pub agent_reserve: BudgetShare,
    /// Of these at most so many are for one product other than wbd's own agent.
    pub product_limit: BudgetShare,
}

/// A share of the host's budget. What is left out is a third of the whole, one at least; what is more than the whole is
/// the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BudgetShare {
    /// In any hour.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<u32>,
    /// In any day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u32>,
}

/// The budget in one window of time, with nothing left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetWindow {
    /// All actions.
    pub whole: u32,
    /// Kept for wbd's own agent; the rest is for everything else.
    pub kept: u32,
    /// The most for one product other than that.
    pub product: u32,
}

impl BudgetWindow {
    fn of(whole: u32, kept: Option<u32>, product: Option<u32>) -> Self {
        let third = (whole / 3).max(1);
        // A site that allows one action alone is left with one for whoever comes first, as before there were shares.
        let kept = kept.unwrap_or_else(|| third.min(whole.saturating_sub(1)));
        Self { whole, kept: kept.min(whole), product: product.unwrap_or(third).min(whole) }
    }

    /// What everything else than wbd's own agent may use together.
    #[must_use]
    pub const fn others(self) -> u32 {
        self.whole.saturating_sub(self.kept)
    }
}

impl HostBudget {
    /// So many an hour and a day, with the shares that follow from that.
    #[must_use]
    pub const fn of(per_hour: u32, per_day: u32) -> Self {
        let third = BudgetShare { per_hour: None, per_day: None };
        Self { per_hour, per_day, agent_reserve: third, product_limit: third }
    }

    /// In any hour.
    #[must_use]
    pub fn hour(&self) -> BudgetWindow {
        BudgetWindow::of(self.per_hour, self.agent_reserve.per_hour, self.product_limit.per_hour)
    }

    /// In any day.
    #[must_use]
    pub fn day(&self) -> BudgetWindow {
        BudgetWindow::of(self.per_day, self.agent_reserve.per_day, self.product_limit.per_day)
    }
}

impl Default for HostBudget {
    fn default() -> Self {
        Self::of(3, 6)
    }
}

impl Settings {
    /// The mode that holds for a playbook on a target: the strictest of the general one, the playbook's and the
    /// product's.
    #[must_use]
    pub fn healing_for(&self, playbook: &str, target: &TargetName) -> Healing {
        let own = self.own(playbook, target).filter_map(|(_, _, policy)| policy.healing);
        own.fold(self.healing, Healing::min)
    }

    /// The ceiling that holds for a playbook on a target: the lowest of the general one, the playbook's and the
    /// product's.
    #[must_use]
    pub fn ceiling_for(&self, playbook: &str, target: &TargetName) -> Class {
        let own = self.own(playbook, target).filter_map(|(_, _, policy)| policy.ceiling);
        own.fold(self.ceiling, Class::min)
    }

    /// [`Settings::healing_for`] in words, with whose it is: `observe`, `observe for the product aegis`.
    #[must_use]
    pub fn healing_words(&self, playbook: &str, target: &TargetName) -> String {
        let healing = self.healing_for(playbook, target);
        let mut own = self.own(playbook, target).filter(|(_, _, policy)| policy.healing == Some(healing));
        match own.next().filter(|_| healing != self.healing) {
            Some((what, name, _)) => format!("{} for the {what} {name}", healing.as_str()),
            None => healing.as_str().to_owned(),
        }
    }

    /// What a playbook and a product have of their own.
    fn own<'a>(
        &'a self,
        playbook: &'a str,
        target: &'a TargetName,
    ) -> impl Iterator<Item = (&'static str, &'a str, &'a PlaybookPolicy)> {
        let product = target.product();
        let of_product = self.products.get(product).map(|policy| ("product", product, policy));
        of_product.into_iter().chain(self.playbooks.get(playbook).map(|policy| ("playbook", playbook, policy)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_of_all_that_is_said_holds_and_is_named() {
        let observe = PlaybookPolicy { healing: Some(Healing::Observe), ceiling: Some(Class::A2) };
        let approve = PlaybookPolicy { healing: Some(Healing::Approve), ceiling: None };
        let settings = Settings {
            products: [("aegis".to_owned(), observe)].into(),
            playbooks: [("dns".to_owned(), approve)].into(),
            ..Settings::default()
        };
        for (playbook, target, healing, ceiling, words) in [
            ("endpoint", "aegis/a.example:80", Healing::Observe, Class::A2, "observe for the product aegis"),
            ("dns", "aegis", Healing::Observe, Class::A2, "observe for the product aegis"),
            ("dns", "host", Healing::Approve, Class::A3, "approve for the playbook dns"),
            ("endpoint", "aegis-2", Healing::Auto, Class::A3, "auto"),
            ("agent-down", "wbd", Healing::Auto, Class::A3, "auto"),
        ] {
            let target = TargetName::new(target).unwrap();
            let said = settings.healing_words(playbook, &target);
            let found = (settings.healing_for(playbook, &target), settings.ceiling_for(playbook, &target));
            assert_eq!((found, said.as_str()), ((healing, ceiling), words), "{playbook} on {target}");
        }
        let strict = Settings { healing: Healing::Observe, ..settings };
        assert_eq!(strict.healing_words("dns", &TargetName::new("aegis").unwrap()), "observe");
    }

    fn shares(window: BudgetWindow) -> (u32, u32, u32) {
        (window.kept, window.others(), window.product)
    }

    #[test]
    fn as_shipped_one_an_hour_and_two_a_day_are_kept_and_a_product_has_as_many() {
        let budget = HostBudget::default();
        assert_eq!((shares(budget.hour()), shares(budget.day())), ((1, 2, 1), (2, 4, 2)));
    }

    #[test]
    fn a_budget_of_a_sites_own_without_shares_leaves_something_for_everybody() {
        for whole in 0..1_000 {
            let BudgetWindow { kept, product, .. } = HostBudget::of(whole, whole).hour();
            let others = HostBudget::of(whole, whole).hour().others();
            assert!(others >= 1.min(whole) && product >= 1.min(whole), "{whole}");
            assert!(kept >= 1 || whole < 2, "{whole}");
            assert_eq!((kept + others, product <= whole), (whole, true), "{whole}");
        }
    }

    #[test]
    fn shares_that_a_site_writes_count_up_to_the_whole() {
        let share = |n| BudgetShare { per_hour: Some(n), per_day: None };
        let budget = HostBudget { agent_reserve: share(5), product_limit: share(0), ..HostBudget::of(4, 6) };
        assert_eq!((shares(budget.hour()), shares(budget.day())), ((4, 0, 0), (2, 4, 2)));
    }
}

//! Products that were seen on this host, and where their processes ran: what stays known when they are gone. Looks at
//! nothing.
use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::name::ProfileName;
use crate::time::BootId;

/// All products that were seen, and are not gone since.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeenProducts {
    /// Each under its profile's name.
    #[serde(default)]
    pub products: BTreeMap<ProfileName, SeenProduct>,
}

/// One product that was seen.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SeenProduct {
    /// Unix time in milliseconds at which it was seen first.
    pub since_wall_ms: i64,
    /// Its processes that were seen to run, by role.
    #[serde(default)]
    pub roles: BTreeMap<String, SeenRole>,
    /// An administrator does not want it checked any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Forgotten>,
}

/// A process that was seen to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRole {
    /// The program that it ran, as it is named under the root; `None` where it is a shell or an interpreter, or has no
    /// name in UTF-8.
    pub program: Option<PathBuf>,
    /// The unit that it ran in; `None` where it was in none.
    pub unit: Option<String>,
    /// The boot in which it was seen last.
    pub boot: BootId,
}

/// An administrator's word that a product is not to be checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forgotten {
    /// Who.
    pub who: String,
    /// Unix time in milliseconds at which it was said.
    pub at_wall_ms: i64,
}

impl SeenProducts {
    /// The product is here: from now on it is known, and not forgotten any more.
    pub fn see(&mut self, name: &ProfileName, wall_ms: i64) {
        let product = self
            .products
            .entry(name.clone())
            .or_insert_with(|| SeenProduct { since_wall_ms: wall_ms, ..SeenProduct::default() });
        product.forgotten = None;
    }

    /// A process of it runs. Says nothing of a product that was not seen before.
    pub fn see_role(&mut self, name: &ProfileName, role: &str, seen: SeenRole) {
        if let Some(product) = self.products.get_mut(name) {
            product.roles.insert(role.to_owned(), seen);
        }
    }

    /// What was seen of a process; `None`: it was never seen.
    #[must_use]
    pub fn role(&self, name: &ProfileName, role: &str) -> Option<&SeenRole> {
        self.products.get(name)?.roles.get(role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_again_is_known_since_the_first_time_and_not_forgotten_any_more() {
        let name = ProfileName::new("acme").unwrap();
        let mut seen = SeenProducts::default();
        let role = SeenRole { program: None, unit: None, boot: BootId("b".to_owned()) };
        seen.see_role(&name, "main", role.clone());
        assert_eq!(seen, SeenProducts::default(), "nobody saw the product");
        seen.see(&name, 5);
        seen.see_role(&name, "main", role.clone());
        let product = seen.products.get_mut(&name).unwrap();
        product.forgotten = Some(Forgotten { who: "root".to_owned(), at_wall_ms: 6 });
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<SeenProducts>(&text).unwrap(), seen);
        seen.see(&name, 7);
        let product = &seen.products[&name];
        assert_eq!((product.since_wall_ms, &product.forgotten), (5, &None));
        assert_eq!((seen.role(&name, "main"), seen.role(&name, "other")), (Some(&role), None));
    }
}

//! What the host is busy with, looked at beside the loop, and the holds that come of it. Writes no record.
use std::collections::BTreeMap;
use std::path::Path;

use tokio::task::spawn_blocking;
use wbd_engine::guard::hold;
use wbd_engine::playbook::Library;
use wbd_engine::state::Hold;
use wbd_model::hold::{Busy, HostBusy};
use wbd_model::name::ProfileName;
use wbd_model::profile::ProcessSelector;
use wbd_probes::{ProbeRunner, Sighting};

/// An upgrade is over in minutes, a great one within an hour: what lasts for longer may wait for an answer.
const OVERDUE_MS: u64 = 2 * 3_600_000;

/// The programs that change a product, with its name.
pub(crate) type Installers = Vec<(ProfileName, ProcessSelector)>;

/// All that the profiles name.
pub(crate) fn installers(library: &Library) -> Installers {
    let of = |profile: &wbd_model::profile::Profile| {
        let name = profile.name.clone();
        profile.spec.installer.iter().map(move |selector| (name.clone(), selector.clone())).collect::<Vec<_>>()
    };
    library.profiles.values().flat_map(|profile| of(profile)).collect()
}

/// Looks at the host under a root.
#[derive(Debug, Clone)]
pub(crate) struct BusyLook(ProbeRunner);

impl BusyLook {
    /// Of this root.
    pub(crate) fn new(root: &Path) -> Self {
        Self(ProbeRunner::new(root))
    }

    /// What it is busy with now. Takes five seconds at most, on a thread of its own.
    pub(crate) async fn now(self, installers: Installers) -> Vec<Sighting> {
        let looking = spawn_blocking(move || self.0.busy(&installers));
        looking.await.unwrap_or_else(|error| vec![Sighting::unseen(&format!("the look broke off: {error}"))])
    }
}

/// Since when the host has been seen busy with what, by this supervisor; milliseconds of this boot.
#[derive(Debug, Default)]
pub(crate) struct BusySince(BTreeMap<Busy, u64>);

impl BusySince {
    /// The holds that these sightings make, by name.
    pub(crate) fn holds(&mut self, sightings: Vec<Sighting>, now_ms: u64) -> BTreeMap<String, Hold> {
        self.0.retain(|with, _| sightings.iter().any(|seen| seen.with == *with));
        let hold = |Sighting { with, who, why }| {
            let since_ms = *self.0.entry(with.clone()).or_insert(now_ms);
            let overdue = now_ms.saturating_sub(since_ms) >= OVERDUE_MS;
            let hours = OVERDUE_MS / 3_600_000;
            let look = format!("; for more than {hours} h, see whether it waits for an answer");
            let why = if overdue { format!("{why}{look}") } else { why };
            (with.key(), hold::of_host(HostBusy { with, overdue }, &who, &why))
        };
        sightings.into_iter().map(hold).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_for_hours_is_told_once_more_and_still_holds() {
        let mut since = BusySince::default();
        let seen = || {
            let who = "apt (process 77)".to_owned();
            vec![Sighting { with: Busy::Packages, who, why: "packages are being changed".to_owned() }]
        };
        let is_overdue = |holds: &BTreeMap<String, Hold>| {
            let busy = holds.get("packages").and_then(|hold| hold.busy.clone()).unwrap();
            (busy.overdue, holds["packages"].why.contains("waits for an answer"))
        };
        let first = since.holds(seen(), 1_000);
        assert_eq!(is_overdue(&first), (false, false));
        assert_eq!(since.holds(seen(), 999 + OVERDUE_MS), first, "nothing new is told of it");
        assert_eq!(is_overdue(&since.holds(seen(), 1_000 + OVERDUE_MS)), (true, true));
        // Another one begins anew.
        assert_eq!(since.holds(Vec::new(), 1_001 + OVERDUE_MS), BTreeMap::new());
        assert_eq!(is_overdue(&since.holds(seen(), 1_002 + OVERDUE_MS)), (false, false));
    }
}

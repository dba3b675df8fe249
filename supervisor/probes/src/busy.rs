//! What the host is busy with while nothing should be healed: packages that are changed, a boot that has not ended, a
//! shutdown. It waits for none of them and ends none.
use std::path::Path;
use std::time::Duration;

use wbd_agent_api::program::{Output, Program, run};
use wbd_model::hold::Busy;
use wbd_model::name::ProfileName;
use wbd_model::profile::ProcessSelector;

use crate::bus;
use crate::probe::package_lock;
use crate::procs;
use crate::runner::{ProbeContext, ProbeRunner};
use crate::under::under;

/// All of it together; systemd, asked directly, answers within milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);
const SYSTEMD: Duration = Duration::from_secs(3);
const SYSTEMCTL: &str = "/usr/bin/systemctl";
const MOST_OUTPUT: usize = 4 << 10;
/// A job that never ends must not keep the host from being healed for ever.
const LONGEST_BOOT_S: i64 = 600;

/// One thing that the host is busy with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// With what.
    pub with: Busy,
    /// Who, in words.
    pub who: String,
    /// What is going on, in words that stay the same while it goes on.
    pub why: String,
}

impl ProbeRunner {
    /// What the host is busy with now; `installers`: the programs that change a product. Blocks for at most five seconds.
    #[must_use]
    pub fn busy(&self, installers: &[(ProfileName, ProcessSelector)]) -> Vec<Sighting> {
        let installers = installers.to_vec();
        let look = move |context: &ProbeContext| look(context, &installers);
        let seen = self.begin("what the host is busy with", DEADLINE, look).and_then(crate::runner::Pending::answer);
        // Never act on what could not be seen.
        seen.unwrap_or_else(|reason| vec![Sighting::unseen(&reason)])
    }
}

impl Sighting {
    /// It could not be looked; then packages may be being changed.
    #[must_use]
    pub fn unseen(reason: &str) -> Self {
        let why = format!("whether packages are being changed cannot be told: {reason}");
        Self { with: Busy::Packages, who: "wbd itself".to_owned(), why }
    }
}

fn look(context: &ProbeContext, installers: &[(ProfileName, ProcessSelector)]) -> Vec<Sighting> {
    // Whoever is not root may not look at everything; what wbd may do then is no package's.
    let is_root = nix::unistd::geteuid().is_root();
    let installing = installers.iter().filter_map(|(profile, selector)| installer(context, profile, selector, is_root));
    packages(context, is_root).into_iter().chain(manager(context)).chain(installing).collect()
}

fn packages(context: &ProbeContext, is_root: bool) -> Option<Sighting> {
    match package_lock::at_work(context) {
        Ok(None) => None,
        Ok(Some((who, file))) => {
            let why = format!("packages are being changed, it holds the lock {file}");
            Some(Sighting { with: Busy::Packages, who, why })
        }
        Err(_) if !is_root => None,
        Err(reason) => Some(Sighting::unseen(&reason)),
    }
}

/// By systemd's own word, asked directly: the bus may be dead. A manager that does not answer holds nothing: it would do
/// nothing that it is asked for either, and what is done without it neither boot nor shutdown stands against.
fn manager(context: &ProbeContext) -> Option<Sighting> {
    if !context.runner.is_this_host() || !bus::systemd_runs(context) {
        return None;
    }
    let word = word(context.root(), context.left(SYSTEMD))?;
    let age_s = procs::read(context.proc(), 1)
        .ok()
        .flatten()
        .and_then(|first| procs::age_s(context.proc(), first.start_ticks).ok());
    of_manager(&word, age_s)
}

fn word(root: &Path, deadline: Duration) -> Option<String> {
    let program = Program {
        path: under(root, Path::new(SYSTEMCTL)),
        args: vec!["is-system-running".into()],
        env: vec![("LC_ALL".to_owned(), "C".to_owned())],
        deadline,
        output: Output::Whole { most: MOST_OUTPUT },
    };
    // It ends with 1 for every word but "running".
    let said = run(&program).ok()?;
    Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// `age_s`: how long the first process has run, which is this boot's age in a container too.
fn of_manager(word: &str, age_s: Option<i64>) -> Option<Sighting> {
    let said = |with, who: &str, why: String| Some(Sighting { with, who: who.to_owned(), why });
    match word {
        "initializing" | "starting" if age_s.is_some_and(|age_s| age_s < LONGEST_BOOT_S) => {
            let minutes = LONGEST_BOOT_S / 60;
            let why =
                format!("systemd has not started everything yet; wbd waits for it until {minutes} min after the boot");
            said(Busy::Boot, "the boot of this host", why)
        }
        "stopping" => said(Busy::Shutdown, "the shutdown of this host", "systemd stops everything".to_owned()),
        _ => None,
    }
}

fn installer(
    context: &ProbeContext,
    profile: &ProfileName,
    selector: &ProcessSelector,
    is_root: bool,
) -> Option<Sighting> {
    let with = Busy::Installer(profile.clone());
    match procs::choose(context, selector) {
        Ok(chosen) => chosen.live.first().map(|process| {
            let who = format!("{} (process {})", String::from_utf8_lossy(&process.comm), process.pid);
            Sighting { with, who, why: format!("the vendor's installer changes {profile}") }
        }),
        Err(_) if !is_root => None,
        Err(reason) => {
            let why = format!("whether the vendor's installer changes {profile} cannot be told: {reason}");
            Some(Sighting { with, who: "wbd itself".to_owned(), why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    #[test]
    fn a_host_that_boots_or_shuts_down_is_busy_and_a_degraded_one_is_not() {
        let with = |word: &str, age_s| of_manager(word, age_s).map(|seen| seen.with);
        for word in ["initializing", "starting"] {
            assert_eq!(with(word, Some(LONGEST_BOOT_S - 1)), Some(Busy::Boot), "{word}");
            // A job that hangs for ever, and a boot whose age is not known.
            assert_eq!((with(word, Some(LONGEST_BOOT_S)), with(word, None)), (None, None), "{word}");
        }
        assert_eq!(with("stopping", Some(LONGEST_BOOT_S)), Some(Busy::Shutdown));
        for word in ["running", "degraded", "maintenance", "offline", "unknown", ""] {
            assert_eq!(with(word, Some(1)), None, "{word:?}");
        }
    }

    #[test]
    fn a_made_up_host_has_no_service_manager_to_ask() {
        let host = Host::new();
        host.file("run/systemd/system/x", "");
        assert_eq!(look(&host.context(), &[]), []);
        assert_eq!(host.runner().busy(&[]), []);
    }

    #[test]
    fn who_changes_packages_is_named_with_the_lock_and_lists_and_downloads_change_none() {
        let host = Host::new();
        host.process(1, "init").write();
        host.process(77, "dnf").write();
        host.file("var/cache/dnf/metadata_lock.pid", "77");
        assert_eq!(look(&host.context(), &[]), [], "it reads lists");
        host.file("var/lib/dnf/rpmdb_lock.pid", "77");
        let seen = look(&host.context(), &[]);
        let [Sighting { with: Busy::Packages, who, why }] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!(who, "dnf (process 77)");
        assert!(why.contains("/var/lib/dnf/rpmdb_lock.pid"), "{why}");
        let mut zombie = host.process(77, "dnf");
        zombie.state = 'Z';
        zombie.write();
        assert_eq!(look(&host.context(), &[]), [], "it has ended");
    }

    #[test]
    fn a_lock_that_cannot_be_looked_at_counts_as_held() {
        let host = Host::new();
        // Nobody opens a link to itself, root no more than another.
        host.link("var/lib/dpkg/lock", "lock");
        let seen = packages(&host.context(), true);
        let Some(Sighting { with: Busy::Packages, why, .. }) = seen else { panic!("{seen:?}") };
        assert!(why.contains("cannot be told") && why.contains("var/lib/dpkg/lock"), "{why}");
        assert_eq!(packages(&host.context(), false), None, "who is not root may not look");
    }

    #[test]
    fn a_vendors_installer_is_busy_with_its_own_product_while_it_runs() {
        let host = Host::new();
        host.process(1, "init").write();
        let profile = ProfileName::new("iwss-ftp").unwrap();
        let selector = ProcessSelector { comm: Some("isinst".to_owned()), ..ProcessSelector::default() };
        let installers = [(profile.clone(), selector)];
        assert_eq!(look(&host.context(), &installers), []);
        host.process(9, "isinst").write();
        let seen = look(&host.context(), &installers);
        let [Sighting { with, who, .. }] = seen.as_slice() else { panic!("{seen:?}") };
        assert_eq!((with, who.as_str()), (&Busy::Installer(profile), "isinst (process 9)"));
        // Anybody may give a program that name.
        let mut borrowed = host.process(9, "isinst");
        borrowed.uid = 1_000;
        borrowed.write();
        assert_eq!(look(&host.context(), &installers), []);
    }
}

//! What the demo's folder is filled with: the repository's playbooks as they are, and settings for a quick run.

/// Folders of the root.
pub(crate) const FOLDERS: &[&str] = &[
    "opt/nbp/wbd",
    "etc/wbd/playbooks.d",
    "usr/lib/wbd/playbooks/wbd",
    "usr/lib/wbd/playbooks/aegis",
    "usr/lib/wbd/playbooks/iwss",
    "usr/lib/wbd/playbooks/dsva",
    "var/lib/wbd/agent",
    "run/wbd",
];

/// The supervisor's settings: quick looks, and a budget that four failures in a minute do not spend.
pub(crate) const SETTINGS: &str = "\
healing: auto
every: 1s
budget: {per_hour: 100, per_day: 100}
";

/// The agent's settings: nothing to watch.
pub(crate) const AGENT_SETTINGS: &str = "generation: 1\nactive: true\ntargets: []\n";

/// Settings that no agent can read.
pub(crate) const BROKEN_SETTINGS: &str = "generation: 2\nactive: maybe\ntargets: [\n";

/// A program in the agent's place that ends at once.
pub(crate) const BROKEN_AGENT: &str = "#!/bin/sh\nexit 7\n";

macro_rules! playbooks {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../../playbooks/", $name)))),*]
    };
}

/// Every playbook and profile of the repository.
pub(crate) const PLAYBOOKS: &[(&str, &str)] = playbooks![
    "agent-config.yaml",
    "agent-down.yaml",
    "agent-log.yaml",
    "agent-path.yaml",
    "agent-server.yaml",
    "agent-servers.yaml",
    "agent-version.yaml",
    "dns.yaml",
    "endpoint-tcp.yaml",
    "endpoint.yaml",
    "fd-leak.yaml",
    "inotify-limit.yaml",
    "linked-folders.yaml",
    "open-files.yaml",
    "protection.yaml",
    "role-down.yaml",
    "version-match.yaml",
    "aegis/profile.yaml",
    "dsva/profile.yaml",
    "iwss/ftp.yaml",
    "iwss/http.yaml",
    "wbd/profile.yaml",
];

/// The playbook whose waits the demo shortens.
const SHORTENED: &str = "agent-down.yaml";

/// An overlay as an administrator may write one: the same playbook, with a shorter time for the proof and
/// more attempts an hour, since the demo breaks the agent four times in a minute.
pub(crate) fn overlay() -> Option<(&'static str, String)> {
    PLAYBOOKS.iter().find(|(name, _)| *name == SHORTENED).map(|(name, text)| (*name, shortened(text)))
}

fn shortened(text: &str) -> String {
    let changed = text.lines().map(|line| {
        let indent: String = line.chars().take_while(|ch| *ch == ' ').collect();
        match line.trim_start().split(':').next() {
            Some("within") => format!("{indent}within: 8s"),
            Some("budget") => format!("{indent}budget: {{attempts: 6, per: 1h, backoff: {{from: 1s, to: 5s}}}}"),
            Some(_) | None => line.to_owned(),
        }
    });
    changed.fold(String::new(), |text, line| text + &line + "\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use wbd_engine::playbook;
    use wbd_model::problem::Source;

    use super::*;

    #[test]
    fn every_playbook_of_the_repository_is_built_in() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../playbooks");
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let below = if entry.path().is_dir() {
                fs::read_dir(entry.path()).unwrap().flatten().map(|e| e.path()).collect()
            } else {
                vec![entry.path()]
            };
            found.extend(below.iter().map(|path| path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned()));
        }
        found.retain(|name| name.ends_with(".yaml") && !name.ends_with(".test.yaml") && name != "catalogue.yaml");
        let built_in: BTreeSet<String> = PLAYBOOKS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(built_in, found);
        for name in &built_in {
            let parent = Path::new("usr/lib/wbd/playbooks").join(name);
            let parent = parent.parent().unwrap().to_str().unwrap();
            assert!(FOLDERS.iter().any(|folder| folder.starts_with(parent)), "{name}");
        }
    }

    #[test]
    fn the_overlay_is_the_same_playbook_with_shorter_waits() {
        let (name, text) = overlay().unwrap();
        let (library, problems) = playbook::load(&[Source { path: name.to_owned(), text: text.clone() }]);
        assert!(problems.is_empty(), "{problems:#?}");
        assert_eq!(library.playbooks.len(), 1);
        let shipped = PLAYBOOKS.iter().find(|(shipped, _)| *shipped == name).unwrap().1;
        let differing = text.lines().zip(shipped.lines()).filter(|(one, other)| one != other).count();
        assert_eq!((differing, text.lines().count()), (2, shipped.lines().count()), "{text}");
    }
}

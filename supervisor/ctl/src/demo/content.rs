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
];

/// The playbook of this failure, waiting seconds instead of minutes between its attempts, as an
/// administrator's overlay: the demo is over in a minute.
pub(crate) fn quick() -> Vec<(&'static str, String)> {
    PLAYBOOKS.iter().filter(|(name, _)| *name == "agent-down.yaml").map(|(name, text)| (*name, hurried(text))).collect()
}

fn hurried(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        lines.push(line.to_owned());
    }
    lines.join("\n") + "\n"
}

//! Which systemd unit a process belongs to, by its control group; it asks no manager.
use std::path::Path;

use procfs::{FromRead, ProcessCGroup, ProcessCGroups};

use crate::under;

/// systemd puts itself into one of these, below the top of what it manages.
const MANAGERS_OWN: [&str; 2] = ["/init.scope", "/system.slice"];

/// The unit of this host's manager that the process runs in; `None` where it is in none, or has ended.
///
/// A user can make services of any name below his own `user@UID.service`, and a container has a whole tree: only the
/// first one on the way down is the host's.
pub(crate) fn unit(proc: &Path, pid: u32) -> Result<Option<String>, String> {
    let Some(own) = group(proc, pid)? else { return Ok(None) };
    let first = group(proc, 1)?.unwrap_or_default();
    let top = MANAGERS_OWN.iter().find_map(|name| first.strip_suffix(name)).unwrap_or(&first);
    let below = own.strip_prefix(top.trim_end_matches('/')).filter(|below| below.starts_with('/')).unwrap_or_default();
    let unit = below.split('/').find(|name| !name.is_empty() && !name.ends_with(".slice"));
    // A name that the kernel could take for its own has this before it.
    let unit = unit.map(|name| name.strip_prefix('_').unwrap_or(name));
    Ok(unit.filter(|name| name.ends_with(".service") || name.ends_with(".scope")).map(str::to_owned))
}

/// The control group in systemd's hierarchy.
fn group(proc: &Path, pid: u32) -> Result<Option<String>, String> {
    let groups = all(proc, pid)?;
    let of_systemd = |group: &&ProcessCGroup| group.controllers.iter().any(|name| name == "name=systemd");
    let found = groups.iter().find(of_systemd).or_else(|| groups.iter().find(|group| is_unified(group)));
    Ok(found.map(|group| group.pathname.clone()))
}

/// All control groups of a process, one a hierarchy; none of one that has ended.
pub(crate) fn all(proc: &Path, pid: u32) -> Result<Vec<ProcessCGroup>, String> {
    let path = proc.join(pid.to_string()).join("cgroup");
    let Some(text) = under::text_if_there(&path)? else { return Ok(Vec::new()) };
    let groups = ProcessCGroups::from_read(text.as_bytes());
    groups.map(|groups| groups.0).map_err(|error| format!("cannot understand {}: {error}", path.display()))
}

/// The path of the group in the unified hierarchy.
pub(crate) fn unified(groups: &[ProcessCGroup]) -> Option<&str> {
    groups.iter().find(|group| is_unified(group)).map(|group| group.pathname.as_str())
}

/// The number behind this key in one of the kernel's files of keys and numbers (`memory.events`, `cpu.stat`).
pub(crate) fn count(text: &str, key: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next() == Some(key)).then(|| words.next()?.parse().ok())?)
}

fn is_unified(group: &ProcessCGroup) -> bool {
    group.hierarchy == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

    fn unit_of(first: &str, own: &str) -> Option<String> {
        let host = Host::new();
        host.file("proc/1/cgroup", first);
        host.file("proc/5/cgroup", own);
        unit(host.context().proc(), 5).unwrap()
    }

    #[test]
    fn the_first_unit_below_the_manager_is_the_hosts() {
        let plain = "0::/init.scope\n";
        for (own, expected) in [
            ("0::/system.slice/unbound.service\n", Some("unbound.service")),
            ("0::/system.slice/system-a.slice/a@1.service/sub\n", Some("a@1.service")),
            ("0::/a.slice/_b.service\n", Some("b.service")),
            // A user's own manager and a container may name a service as they like.
            ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/unbound.service\n", Some("user@1000.service")),
            ("0::/machine.slice/machine-x.scope/payload/system.slice/unbound.service\n", Some("machine-x.scope")),
            ("0::/\n", None),
            ("0::/docker/unbound.service/x\n", None),
            ("", None),
        ] {
            assert_eq!(unit_of(plain, own).as_deref(), expected, "{own}");
        }
    }

    #[test]
    fn a_manager_below_another_ones_group_and_the_older_hierarchy_are_understood() {
        let first = "3:cpu:/x\n1:name=systemd:/machine/payload/init.scope\n0::/\n";
        let own = "3:cpu:/\n1:name=systemd:/machine/payload/system.slice/a.service\n0::/\n";
        assert_eq!(unit_of(first, own).as_deref(), Some("a.service"));
        assert_eq!(unit_of(first, "1:name=systemd:/machine/a.service\n0::/\n"), None);
        assert_eq!(unit_of("0::/docker/1\n", "0::/docker/1/a.service\n").as_deref(), Some("a.service"));
        assert_eq!(unit_of("0::/docker/1\n", "0::/docker/12/a.service\n"), None);
    }

    #[test]
    fn a_group_of_any_name_is_understood_and_one_that_is_no_line_of_the_kernels_is_not() {
        let host = Host::new();
        host.file("proc/5/cgroup", "2:cpu,cpuacct:/a:b\n0::/x.slice/y:z\n");
        let groups = all(host.context().proc(), 5).unwrap();
        assert_eq!((groups[0].controllers.join(" "), groups[0].pathname.as_str()), ("cpu cpuacct".into(), "/a:b"));
        assert_eq!(unified(&groups), Some("/x.slice/y:z"));
        assert!(all(host.context().proc(), 6).unwrap().is_empty(), "it has ended");
        host.file("proc/5/cgroup", "nonsense\n");
        assert!(all(host.context().proc(), 5).unwrap_err().contains("cannot understand"));
    }
}

//! A process of a host put on ice: alone in a control group that is frozen; it holds no expectation.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::deadline::wait_until;
use crate::host::Host;

const TREES: [(&str, &str, &str, &str); 2] =
    [("/sys/fs/cgroup/freezer", "freezer.state", "FROZEN", "THAWED"), ("/sys/fs/cgroup", "cgroup.freeze", "1", "0")];
const SOON: Duration = Duration::from_secs(10);

/// A frozen process. Dropping it thaws it and puts it back where it was.
#[derive(Debug)]
pub struct Frozen {
    pid: u32,
    home: PathBuf,
    group: PathBuf,
    switch: &'static str,
    thawed: &'static str,
}

impl Frozen {
    /// Freezes the process that the host numbers `pid`.
    ///
    /// # Panics
    /// When this machine has no freezer.
    #[must_use]
    #[track_caller]
    pub fn begin(host: &Host, pid: u32) -> Self {
        let pid = outside(host, pid);
        let (tree, switch, frozen, thawed) = TREES
            .into_iter()
            .find(|(tree, ..)| Path::new(tree).join("cgroup.procs").exists())
            .expect("a tree of control groups");
        let home = home(tree, pid);
        let group = home.join("wbd-tests-ice");
        fs::create_dir_all(&group).expect("a control group");
        let ice = Self { pid, home, group, switch, thawed };
        fs::write(ice.group.join("cgroup.procs"), pid.to_string()).expect("the process moves in");
        fs::write(ice.group.join(switch), frozen).expect("the freezer's switch");
        wait_until("the freeze", SOON, || {
            let state = fs::read_to_string(ice.group.join(switch)).map_err(|why| why.to_string())?;
            if state.trim() == frozen { Ok(()) } else { Err(state) }
        });
        ice
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        fs::write(self.group.join(self.switch), self.thawed).ok();
        fs::write(self.home.join("cgroup.procs"), self.pid.to_string()).ok();
        // Empty once the process has moved out, or has ended.
        drop(crate::deadline::poll(SOON, || fs::remove_dir(&self.group).map_err(|why| why.to_string())));
    }
}

/// The machine's own number for a process of the host.
#[track_caller]
fn outside(host: &Host, pid: u32) -> u32 {
    let leader = host.leader().unwrap_or_else(|why| panic!("{why}"));
    let space = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
    let same = space(&leader.to_string());
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut numbers = processes.filter_map(|entry| entry.file_name().to_str().map(str::to_owned));
    let found = numbers.find(|number| {
        let status = fs::read_to_string(format!("/proc/{number}/status")).unwrap_or_default();
        let inner =
            status.lines().find_map(|line| line.strip_prefix("NSpid:")?.split_whitespace().last()?.parse().ok());
        number.parse::<u32>().is_ok() && inner == Some(pid) && space(number) == same
    });
    found.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no process {pid} in {}", host.name()))
}

/// The group's folder of a process in a tree.
#[track_caller]
fn home(tree: &str, pid: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("its control groups");
    let is_own = |line: &&str| match tree.rsplit('/').next() {
        Some("freezer") => line.split(':').nth(1) == Some("freezer"),
        Some(_) | None => line.starts_with("0::"),
    };
    let line = text.lines().find(is_own).unwrap_or_else(|| panic!("not in {tree}: {text}"));
    let group = line.splitn(3, ':').nth(2).unwrap_or_default();
    Path::new(tree).join(group.trim_start_matches('/'))
}

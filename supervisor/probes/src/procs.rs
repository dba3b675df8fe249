//! Finds the processes that a selector means; it judges none.
use std::ffi::OsStr;
use std::path::Path;
use std::time::{Duration, Instant};

use wbd_agent_api::{HealthError, ThisBoot, paths};
use wbd_model::profile::ProcessSelector;

use crate::ours::{self, Others, Standing};
use crate::runner::ProbeContext;
use crate::scan::Since;
use crate::stat::runs;

pub(crate) use crate::stat::{Process, age_s, list, read, still_runs};

/// PF_KTHREAD: the kernel's own threads run no program and are nobody's product.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// A process list of this age is good enough to say whether a product is here.
const LATELY: Duration = Duration::from_secs(5);
/// While one that was found before still runs, others beside it are looked for this often: they change the count only.
const LISTED_AGAIN: Duration = Duration::from_secs(60);
/// The kernel keeps this much of a process's name, in bytes.
const COMM_BYTES: usize = 15;

/// The processes that a selector means.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// Those that run, the oldest first.
    pub(crate) live: Vec<Process>,
    /// Those that ended and were not reaped.
    pub(crate) zombies: usize,
    /// Those of which it could not be told whether they are meant.
    pub(crate) unreadable: usize,
    /// Those that have the name and do not count.
    pub(crate) others: Others,
}

impl Chosen {
    /// How much was found, whatever it is.
    fn size(&self) -> usize {
        self.live.len() + self.zombies + self.unreadable + self.others.count
    }

    /// The oldest that runs.
    pub(crate) fn oldest(&self) -> Result<&Process, String> {
        self.live.first().ok_or_else(|| self.none_runs())
    }

    /// That none runs, and what might be taken for one.
    pub(crate) fn none_runs(&self) -> String {
        match self.others.words() {
            others if others.is_empty() => "none runs".to_owned(),
            others => format!("none runs ({others})"),
        }
    }
}

/// The processes meant. None found counts only if every process could be looked at.
pub(crate) fn choose(context: &ProbeContext, selector: &ProcessSelector) -> Result<Chosen, String> {
    choose_since(context, selector, Duration::ZERO)
}

/// The same among the processes of a moment ago: whether a product is here is asked for one after the other.
pub(crate) fn choose_lately(context: &ProbeContext, selector: &ProcessSelector) -> Result<Chosen, String> {
    choose_since(context, selector, LATELY)
}

fn choose_since(context: &ProbeContext, selector: &ProcessSelector, age: Duration) -> Result<Chosen, String> {
    if selector.is_empty() {
        return Err("the selector names no process; give comm, exe, unit or health".to_owned());
    }
    let chosen = if selector.health { by_health(context, selector)? } else { scan(context, selector, age)? };
    if chosen.live.is_empty() && chosen.unreadable > 0 {
        let count = chosen.unreadable;
        return Err(format!("none found, but {count} processes could not be looked at; run as root"));
    }
    Ok(chosen)
}

fn by_health(context: &ProbeContext, selector: &ProcessSelector) -> Result<Chosen, String> {
    let boot = ThisBoot::now(context.proc());
    match wbd_agent_api::read(&paths::health(context.root())) {
        Ok(document) if document.is_of(&boot) => {
            let process = read(context.proc(), document.pid)?.filter(|it| it.start_ticks == document.start_ticks);
            let mut chosen = Chosen::default();
            if let Some(process) = process {
                sort_in(context, selector, process, &mut chosen);
            }
            Ok(chosen)
        }
        // Without a document of this boot the program's name is all there is to go by. It may be
        // the agent on its way up; that it has not written yet is no proof that it does not run.
        Ok(_) | Err(HealthError::NotThere { .. }) => {
            let binary = paths::binary(Path::new("/"));
            let name = binary.file_name().map(OsStr::to_string_lossy);
            let by_name = ProcessSelector {
                comm: selector.comm.clone().or(name.map(|name| name.into_owned())),
                exe: selector.exe.clone().or(Some(binary)),
                health: false,
                ..selector.clone()
            };
            scan(context, &by_name, Duration::ZERO)
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Those found before are asked for directly, so that an end is seen at once. That there is none is said by a list that
/// was begun for this look (or is of the given age), and just before an action by one of which everybody was read.
fn scan(context: &ProbeContext, selector: &ProcessSelector, age: Duration) -> Result<Chosen, String> {
    let asked = Instant::now();
    let ago = |age| asked.checked_sub(age).unwrap_or(asked);
    let shared = &context.runner.memo.scan;
    let mut chosen = Chosen::default();
    let before = shared.found(context.proc(), context.until, selector)?;
    let mut found = Vec::new();
    for pid in &before {
        match read(context.proc(), *pid) {
            Ok(Some(process)) => sort_in(context, selector, process, &mut chosen),
            Ok(None) => continue,
            Err(_) => chosen.unreadable += 1,
        }
        // Until it ends, also where it does not look like the one that is meant just now.
        found.push(*pid);
    }
    let afresh = context.runner.afresh_since();
    let list = afresh.unwrap_or_else(|| ago(if chosen.live.is_empty() { age } else { LISTED_AGAIN }));
    let news = shared.news(context.proc(), context.until, selector, Since { list, whole: afresh })?;
    for process in news.processes.iter().filter(|process| !before.contains(&process.pid)) {
        let (pid, size) = (process.pid, chosen.size());
        sort_in(context, selector, process.clone(), &mut chosen);
        if chosen.size() > size {
            found.push(pid);
        }
    }
    chosen.unreadable += news.unreadable.iter().filter(|pid| !before.contains(pid)).count();
    shared.judged(context.proc(), context.until, selector, &news, found)?;
    chosen.live.sort_by_key(|it| (it.start_ticks, it.pid));
    Ok(chosen)
}

fn sort_in(context: &ProbeContext, selector: &ProcessSelector, process: Process, chosen: &mut Chosen) {
    if process.flags & KERNEL_THREAD != 0 {
        return;
    }
    let comm_fits = selector.comm.as_ref().is_none_or(|comm| {
        let wanted = comm.as_bytes();
        process.comm == wanted.get(..COMM_BYTES).unwrap_or(wanted)
    });
    if !comm_fits {
        return;
    }
    if !runs(&process) {
        // A zombie has no program any more; with a name to go by it is still worth a word.
        let has_name = selector.exe.is_none() || selector.comm.is_some();
        chosen.zombies += usize::from(has_name && ours::may_have_been(context, selector, &process));
        return;
    }
    match ours::standing(context, selector, &process) {
        Standing::Ours => chosen.live.push(process),
        Standing::Other(why) => chosen.others.add(&process, &why),
        Standing::Unlike | Standing::Gone => {}
        Standing::Unreadable => chosen.unreadable += 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, by_comm, by_exe, by_health, document};

    fn pids(chosen: &Chosen) -> Vec<u32> {
        chosen.live.iter().map(|it| it.pid).collect()
    }

    #[test]
    fn selects_by_name_the_oldest_first_and_no_zombie() {
        let host = Host::new();
        host.process(1, "init").write();
        for (pid, start, state) in [(5, 300, 'S'), (9, 200, 'R'), (11, 100, 'Z')] {
            let mut process = host.process(pid, "a-very-long-nam");
            process.start_ticks = start;
            process.state = state;
            process.write();
        }
        let chosen = choose(&host.context(), &by_comm("a-very-long-name-cut-by-the-kernel")).unwrap();
        assert_eq!((pids(&chosen), chosen.zombies), (vec![9, 5], 1));
        assert!(choose(&host.context(), &by_comm("other")).unwrap().live.is_empty());
    }

    #[test]
    fn selects_by_program_below_the_root_also_when_it_was_removed() {
        let host = Host::new();
        host.process(1, "init").write();
        let exe = host.file("opt/x", "");
        let removed = host.file("opt/x (deleted)", "");
        for (pid, link) in [(5, exe), (6, removed), (7, "/opt/x".into())] {
            let mut process = host.process(pid, "x");
            process.exe = Some(link);
            process.write();
        }
        let mut thread = host.process(8, "x");
        thread.flags = 0x0020_0040;
        thread.write();
        let selector = by_exe(Path::new("/opt/x"));
        assert_eq!(pids(&choose(&host.context(), &selector).unwrap()), [5, 6]);
    }

    #[test]
    fn an_empty_selector_and_a_hidden_list_are_unknown() {
        let host = Host::new();
        host.process(5, "x").write();
        let empty = ProcessSelector { health: false, ..by_health() };
        assert!(choose(&host.context(), &empty).unwrap_err().contains("names no process"));
        let error = choose(&host.context(), &by_comm("y")).unwrap_err();
        assert!(error.contains("not complete"), "{error}");
        assert!(still_runs(host.context().proc(), 77, 1).is_err());
    }

    #[test]
    fn the_health_document_names_one_process_for_good() {
        let host = Host::new();
        host.process(1, "init").write();
        host.process(5, "wbd_agent").write();
        host.health(&document(5, 10_000));
        assert_eq!(pids(&choose(&host.context(), &by_health()).unwrap()), [5]);
        host.health(&document(5, 9_999));
        assert!(choose(&host.context(), &by_health()).unwrap().live.is_empty());
        std::fs::write(paths::health(host.root()), "{").unwrap();
        assert!(choose(&host.context(), &by_health()).unwrap_err().contains("malformed"));
    }

    #[test]
    fn a_document_of_an_earlier_boot_names_nobody_and_the_program_is_looked_for() {
        let host = Host::new();
        let mut first = host.process(1, "init");
        first.start_ticks = 15_000;
        first.write();
        host.process(5, "other").write();
        let mut agent = host.process(6, "wbd_agent");
        agent.start_ticks = 20_000;
        agent.exe = Some(host.file("opt/nbp/wbd/wbd_agent", ""));
        agent.write();
        host.health(&document(5, 10_000));
        assert_eq!(pids(&choose(&host.context(), &by_health()).unwrap()), [6]);
        // Twin: one of this boot is believed.
        first.start_ticks = 0;
        first.write();
        assert_eq!(pids(&choose(&host.context(), &by_health()).unwrap()), [5]);
        host.health(&document(5, 9_999));
        assert!(
            choose(&host.context(), &by_health()).unwrap().live.is_empty(),
            "it names another start, and nobody else"
        );
    }

    #[test]
    fn that_none_runs_is_said_with_what_might_be_taken_for_one() {
        let host = Host::new();
        host.process(1, "init").write();
        let none = || choose(&host.context(), &by_comm("x")).unwrap().oldest().unwrap_err();
        assert_eq!(none(), "none runs");
        let mut process = host.process(5, "x");
        process.pid_namespace = "pid:[2]";
        process.write();
        assert!(none().starts_with("none runs (not counted: x (pid 5) runs in another pid namespace"), "{}", none());
    }

    #[test]
    fn a_process_of_which_nothing_can_be_understood_may_be_the_one_meant() {
        let host = Host::new();
        host.process(1, "init").write();
        host.process(5, "x").write();
        host.file("proc/6/stat", "?");
        let runner = host.runner();
        let ask = |name: &str| choose(&ProbeContext { runner: runner.clone(), ..host.context() }, &by_comm(name));
        assert!(ask("y").unwrap_err().contains("1 processes could not be looked at"));
        // Beside one that surely runs it does not matter.
        let seen = ask("x").unwrap();
        assert_eq!((pids(&seen), seen.unreadable), (vec![5], 1));
        // Nor is the one that was found before told to be dead; and it is one process, on the list or not.
        host.file("proc/5/stat", "?");
        std::fs::remove_dir_all(host.root().join("proc/6")).unwrap();
        for _ in 0..2 {
            assert!(ask("x").unwrap_err().contains("1 processes could not be looked at"));
        }
        host.process(5, "x").write();
        assert_eq!(pids(&ask("x").unwrap()), [5]);
    }

    #[test]
    fn a_process_that_ended_and_was_not_reaped_counts_by_its_name_or_its_unit_and_only_as_roots() {
        let host = Host::new();
        host.process(1, "init").write();
        for (pid, comm, uid, cgroup) in [
            (5, "x", 0, "0::/system.slice/some.service\n"),
            (6, "y", 0, "0::/system.slice/other.service\n"),
            (7, "x", 12_345, "0::/system.slice/some.service\n"),
        ] {
            let mut process = host.process(pid, comm);
            (process.state, process.uid, process.cgroup) = ('Z', uid, cgroup);
            process.write();
        }
        let zombies = |selector: &ProcessSelector| {
            let seen = choose(&host.context(), selector).unwrap();
            assert_eq!((pids(&seen), seen.others.count), (vec![], 0));
            seen.zombies
        };
        let program = by_exe(Path::new("/opt/x"));
        assert_eq!(zombies(&by_comm("x")), 1);
        assert_eq!(zombies(&by_comm("z")), 0);
        assert_eq!(zombies(&program), 0, "it has no program any more");
        assert_eq!(
            zombies(&ProcessSelector { comm: Some("y".into()), ..program }),
            1,
            "with a name it is worth a word"
        );
        let unit = |name: &str| ProcessSelector { unit: Some(name.into()), ..ProcessSelector::default() };
        assert_eq!(zombies(&unit("some.service")), 1);
        assert_eq!(zombies(&unit("third.service")), 0, "other units' ended processes are not this one's");
    }

    #[test]
    fn without_a_document_the_program_under_the_root_is_looked_for() {
        let host = Host::new();
        host.process(1, "init").write();
        assert!(choose(&host.context(), &by_health()).unwrap().live.is_empty());
        let mut elsewhere = host.process(4, "wbd_agent");
        elsewhere.exe = Some("/opt/nbp/wbd/wbd_agent".into());
        elsewhere.write();
        let mut ours = host.process(5, "wbd_agent");
        ours.exe = Some(host.file("opt/nbp/wbd/wbd_agent", ""));
        ours.write();
        assert_eq!(pids(&choose(&host.context(), &by_health()).unwrap()), [5]);
    }
}

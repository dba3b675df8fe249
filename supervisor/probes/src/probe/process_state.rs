//! `process.state`: is it there, held, starved, or older than its program? Whether that is bad is not asked here.
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use wbd_agent_api::{paths, standing};
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;
use wbd_model::profile::ProcessSelector;

use crate::procs::{self, Chosen, Process};
use crate::runner::ProbeContext;
use crate::starvation;
use crate::under::{self, absent, why};

pub(crate) fn look(context: &ProbeContext, selector: &ProcessSelector) -> Observation {
    let fields = ProbeName::ProcessState.fields();
    let chosen = match procs::choose(context, selector) {
        Ok(chosen) => chosen,
        Err(reason) => return Observation::unseen(fields, &reason),
    };
    let mut seen = Observation::default();
    seen.know("alive", !chosen.live.is_empty()).know("others", chosen.others.words());
    match chosen.unreadable {
        0 => seen.know("count", i64::try_from(chosen.live.len()).unwrap_or(i64::MAX)),
        hidden => seen.miss("count", format!("{hidden} processes could not be looked at; run as root")),
    };
    match chosen.live.first() {
        Some(oldest) => describe(context, selector, oldest, &mut seen),
        None => describe_none(&chosen, &mut seen),
    }
    seen
}

fn describe_none(chosen: &Chosen, seen: &mut Observation) {
    let state = if chosen.zombies > 0 { "zombie" } else { "none" };
    seen.know("state", state)
        .know("traced", false)
        .know("starved", false)
        .know("starved_why", "")
        .know("replaced", false)
        .miss("pid", chosen.none_runs())
        .miss("age_s", chosen.none_runs());
}

fn describe(context: &ProbeContext, selector: &ProcessSelector, process: &Process, seen: &mut Observation) {
    seen.know("pid", i64::from(process.pid)).know("state", word(process.state));
    match procs::age_s(context.proc(), process.start_ticks) {
        Ok(age) => seen.know("age_s", age),
        Err(reason) => seen.miss("age_s", reason),
    };
    match traced(context, process) {
        Ok(traced) => seen.know("traced", traced),
        Err(reason) => seen.miss("traced", reason),
    };
    match starvation::of(context, process.pid) {
        Ok(cause) => {
            seen.know("starved", cause.is_some());
            seen.know("starved_why", cause.unwrap_or_default())
        }
        Err(reason) => {
            seen.miss("starved", reason.clone());
            seen.miss("starved_why", reason)
        }
    };
    match replaced(context, selector, process) {
        Ok(replaced) => seen.know("replaced", replaced),
        Err(reason) => seen.miss("replaced", reason),
    };
}

fn word(state: char) -> &'static str {
    match state {
        'R' => "running",
        'S' => "sleeping",
        'D' => "disk",
        'T' => "stopped",
        't' => "traced",
        'Z' => "zombie",
        _ => "other",
    }
}

fn traced(context: &ProbeContext, process: &Process) -> Result<bool, String> {
    let path = context.proc().join(process.pid.to_string()).join("status");
    let text = under::text(&path).map_err(|error| why("read", &path, &error))?;
    let tracer = text.lines().find_map(|line| line.strip_prefix("TracerPid:"));
    let tracer = tracer.ok_or_else(|| format!("{} names no tracer", path.display()))?;
    Ok(tracer.trim() != "0" || process.state == 't')
}

fn replaced(context: &ProbeContext, selector: &ProcessSelector, process: &Process) -> Result<bool, String> {
    let folder = context.proc().join(process.pid.to_string());
    let exe = folder.join("exe");
    let link = fs::read_link(&exe).map_err(|error| why("read", &exe, &error))?;
    let path = standing::program_path(&link);
    // Following the kernel's link reaches the running file even after it was removed.
    let running = fs::metadata(&exe).ok().map(|it| (it.dev(), it.ino()));
    // The kernel's name follows a file that is moved aside, so the installed one is asked for by its own name.
    if let Some(wanted) = installed_as(context, selector)
        && wanted != path
    {
        let running = running.ok_or_else(|| format!("cannot look at the file that process {} runs", process.pid))?;
        let installed = file_id(&folder, &wanted)?;
        return installed
            .map(|installed| installed != running)
            .ok_or_else(|| format!("{} is not there; install the program again", wanted.display()));
    }
    Ok(differs(&link, &path, running, file_id(&folder, &path)?))
}

/// Where the program is installed, where the selector says so.
fn installed_as(context: &ProbeContext, selector: &ProcessSelector) -> Option<PathBuf> {
    let one_file = |exe: &&PathBuf| !exe.as_os_str().as_bytes().contains(&b'*');
    let named = selector.exe.as_ref().filter(one_file).map(|exe| under::under(context.root(), exe));
    named.or_else(|| selector.health.then(|| paths::binary(context.root())))
}

/// The file under this name, in the process's own view of the file system if it has one of its own.
fn file_id(process: &Path, path: &Path) -> Result<Option<FileId>, String> {
    let own_root = process.join("root");
    let place = match fs::metadata(&own_root) {
        Ok(_) => under::under(&own_root, path),
        Err(_) => path.to_owned(),
    };
    match fs::metadata(&place) {
        Ok(file) => Ok(Some((file.dev(), file.ino()))),
        Err(error) if absent(&error) => Ok(None),
        Err(error) => Err(why("look at", &place, &error)),
    }
}

type FileId = (u64, u64);

/// The file that runs is not the one now found under its name.
fn differs(link: &Path, path: &Path, running: Option<FileId>, installed: Option<FileId>) -> bool {
    match (running, installed) {
        (Some(running), Some(installed)) => running != installed,
        // No file under its name, or one whose name merely looks like a removed one's.
        (_, None) => true,
        (None, Some(_)) => link != path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, by_comm, by_exe, by_health, copy_program, document, known, unknown};
    use std::process::{Command, Stdio};
    use wbd_model::observation::{Fact, Value};

    #[test]
    fn a_process_is_described_by_its_oldest() {
        let host = Host::new();
        host.process(1, "init").write();
        let exe = host.file("opt/x", "");
        let mut process = host.process(5, "x");
        process.exe = Some(exe);
        process.state = 'T';
        process.start_ticks = 400 * procfs::ticks_per_second();
        process.write();
        let seen = look(&host.context(), &by_comm("x"));
        for (field, value) in [
            ("alive", Value::from(true)),
            ("count", Value::from(1)),
            ("pid", Value::from(5)),
            ("state", Value::from("stopped")),
            ("age_s", Value::from(600)),
            ("traced", Value::from(false)),
            ("starved", Value::from(false)),
            ("starved_why", Value::from("")),
            ("replaced", Value::from(false)),
        ] {
            assert_eq!(known(&seen, field), value, "{field}");
        }
    }

    #[test]
    fn a_tracer_is_seen() {
        let host = Host::new();
        host.process(1, "init").write();
        let mut process = host.process(5, "x");
        process.tracer = 1;
        process.write();
        let seen = look(&host.context(), &by_comm("x"));
        assert_eq!(known(&seen, "traced"), Value::from(true));
    }

    #[test]
    fn a_zombie_is_not_alive_and_an_unreadable_list_is_not_a_death() {
        let host = Host::new();
        host.process(1, "init").write();
        let mut process = host.process(5, "x");
        process.state = 'Z';
        process.write();
        let seen = look(&host.context(), &by_comm("x"));
        assert_eq!(known(&seen, "alive"), Value::from(false));
        assert_eq!(known(&seen, "state"), Value::from("zombie"));
        unknown(&seen, "pid");

        std::fs::remove_dir_all(host.root().join("proc/1")).unwrap();
        let seen = look(&host.context(), &by_comm("y"));
        assert!(seen.facts.values().all(|fact| matches!(fact, Fact::Unknown(_))));
    }

    #[test]
    fn a_replaced_program_is_told_from_the_same_one() {
        let (a, b) = (Some((1, 1)), Some((1, 2)));
        let (plain, gone) = (Path::new("/x"), Path::new("/x (deleted)"));
        for (link, running, installed, expected) in [
            (plain, a, a, false),
            (plain, a, b, true),
            (gone, a, b, true),
            (gone, a, None, true),
            (gone, None, b, true),
            (plain, None, b, false),
        ] {
            assert_eq!(differs(link, plain, running, installed), expected, "{link:?} {running:?} {installed:?}");
        }
    }

    #[test]
    fn one_that_was_moved_aside_for_its_successor_is_seen_as_replaced() {
        let host = Host::new();
        host.process(1, "init").write();
        let aside = host.file("opt/nbp/wbd/wbd_agent.old", "old");
        let mut process = host.process(5, "wbd_agent");
        process.exe = Some(aside.clone());
        process.write();
        host.health(&document(5, 10_000));
        let replaced = || look(&host.context(), &by_health());
        // Moved aside, and nothing there yet: a restart would have nothing to start.
        assert!(unknown(&replaced(), "replaced").contains("install the program again"));
        let installed = host.file("opt/nbp/wbd/wbd_agent", "new");
        assert_eq!(known(&replaced(), "replaced"), true.into());
        // Twin: untouched, under a second name.
        fs::remove_file(&installed).unwrap();
        fs::hard_link(&aside, &installed).unwrap();
        assert_eq!(known(&replaced(), "replaced"), false.into());
        fs::remove_file(&aside).unwrap();
        assert!(unknown(&replaced(), "replaced").contains("cannot look at the file that process 5 runs"));
    }

    #[test]
    fn a_real_process_whose_file_is_replaced_is_seen_as_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wbd-sleeper");
        copy_program("/bin/sleep", &path);
        let mut child = Command::new(&path).arg("60").stdin(Stdio::null()).spawn().unwrap();
        let selector = by_exe(&path);
        let runner = crate::ProbeRunner::new("/");
        let ask = || runner.look(&wbd_model::probe::Probe::ProcessState(selector.clone()));
        crate::testing::deadline_passes("the program runs", || ask().fact("alive") == Fact::Known(true.into()));
        let before = known(&ask(), "replaced");
        let new = dir.path().join("new");
        fs::copy("/bin/sleep", &new).unwrap();
        fs::rename(&new, &path).unwrap();
        let after = ask();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((before, known(&after, "replaced")), (false.into(), true.into()));
        assert_eq!(known(&after, "pid"), i64::from(child.id()).into());
    }
}

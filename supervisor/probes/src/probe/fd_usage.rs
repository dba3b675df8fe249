//! `fd.usage`: how many files a process has open, against its own limit. Whether it leaks is the trend's to say.
use std::fs;
use std::path::{Path, PathBuf};

use procfs::FromRead;
use procfs::process::{LimitValue, Limits};
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;
use wbd_model::profile::ProcessSelector;

use crate::procs;
use crate::runner::ProbeContext;
use crate::under::{self, why};

pub(crate) fn look(context: &ProbeContext, selector: &ProcessSelector) -> Observation {
    let fields = ProbeName::FdUsage.fields();
    let chosen = match procs::choose(context, selector) {
        Ok(chosen) => chosen,
        Err(reason) => return Observation::unseen(fields, &reason),
    };
    let mut seen = Observation::unseen(fields, &chosen.none_runs());
    seen.know("others", chosen.others.words());
    let Ok(process) = chosen.oldest() else { return seen };
    let folder = context.proc().join(process.pid.to_string());
    let open = open(context.proc(), &folder.join("fd"));
    let limits = limits(context.proc(), &folder.join("limits"));
    match (&open, &limits) {
        (Ok(open), Ok((soft, _))) if *soft > 0 => seen.know("percent", open.saturating_mul(100) / soft),
        (Ok(_), Ok(_)) => seen.miss("percent", "its soft limit is 0"),
        (Err(reason), _) | (_, Err(reason)) => seen.miss("percent", reason.clone()),
    };
    match open {
        Ok(open) => seen.know("open", open),
        Err(reason) => seen.miss("open", reason),
    };
    match limits {
        Ok((soft, hard)) => seen.know("soft", soft).know("hard", hard),
        Err(reason) => seen.miss("soft", reason.clone()).miss("hard", reason),
    };
    match procs::age_s(context.proc(), process.start_ticks) {
        Ok(age) => seen.know("age_s", age),
        Err(reason) => seen.miss("age_s", reason),
    };
    seen
}

/// From Linux 6.2 on the folder's size is the count, readable by all and 5,000 times cheaper than
/// a list of 10,000 files. Our own folder is never empty, so it shows which kernel this is.
pub(crate) fn open(proc: &Path, folder: &Path) -> Result<i64, String> {
    let counted = fs::metadata(proc.join("self/fd")).is_ok_and(|own| own.len() > 0);
    let failed = |error| why("count the open files in", folder, &error);
    if counted {
        let size = fs::metadata(folder).map_err(failed)?.len();
        return Ok(i64::try_from(size).unwrap_or(i64::MAX));
    }
    let count = fs::read_dir(folder).map_err(failed)?.count();
    Ok(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Soft and hard limit; where there is none, the kernel's own (fs.nr_open).
pub(crate) fn limits(proc: &Path, path: &Path) -> Result<(i64, i64), String> {
    let bytes = under::read(path, under::SMALL).map_err(|error| why("read", path, &error))?;
    let limits = Limits::from_read(bytes.as_slice())
        .map_err(|error| format!("cannot understand {}: {error}", path.display()))?;
    let value = |limit| match limit {
        LimitValue::Value(value) => Ok(i64::try_from(value).unwrap_or(i64::MAX)),
        LimitValue::Unlimited => most(proc.join("sys/fs/nr_open")),
    };
    let files = limits.max_open_files;
    Ok((value(files.soft_limit)?, value(files.hard_limit)?))
}

fn most(path: PathBuf) -> Result<i64, String> {
    let text = under::text(&path).map_err(|error| why("read", &path, &error))?;
    let number = text.trim().parse();
    number.map_err(|_| format!("cannot understand {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, by_comm, known, unknown};
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};
    use wbd_model::observation::Value;

    const HEAD: &str = "Limit                     Soft Limit           Hard Limit           Units     \n";

    fn limits_file(soft: &str, hard: &str) -> String {
        let mut text = HEAD.to_owned();
        for (name, unit) in [
            ("Max cpu time", "seconds"),
            ("Max file size", "bytes"),
            ("Max data size", "bytes"),
            ("Max stack size", "bytes"),
            ("Max core file size", "bytes"),
            ("Max resident set", "bytes"),
            ("Max processes", "processes"),
            ("Max open files", "files"),
            ("Max locked memory", "bytes"),
            ("Max address space", "bytes"),
            ("Max file locks", "locks"),
            ("Max pending signals", "signals"),
            ("Max msgqueue size", "bytes"),
            ("Max nice priority", ""),
            ("Max realtime priority", ""),
            ("Max realtime timeout", "us"),
        ] {
            let (soft, hard) = match name {
                "Max open files" => (soft, hard),
                _ => ("unlimited", "unlimited"),
            };
            text.push_str(&format!("{name:<25} {soft:<20} {hard:<20} {unit:<10}\n"));
        }
        text
    }

    #[test]
    fn counts_by_listing_where_the_kernel_does_not_count() {
        let host = Host::new();
        host.process(1, "init").write();
        host.process(5, "x").write();
        for fd in 0..10 {
            host.link(&format!("proc/5/fd/{fd}"), "/dev/null");
        }
        host.file("proc/5/limits", &limits_file("40", "unlimited"));
        host.file("proc/sys/fs/nr_open", "1048576\n");
        let seen = look(&host.context(), &by_comm("x"));
        for (field, value) in [("open", 10), ("soft", 40), ("hard", 1_048_576), ("percent", 25)] {
            assert_eq!(known(&seen, field), Value::from(value), "{field}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_unknown_by_itself() {
        let host = Host::new();
        host.process(1, "init").write();
        host.process(5, "x").write();
        let seen = look(&host.context(), &by_comm("x"));
        assert_eq!(known(&seen, "open"), Value::from(0));
        assert!(unknown(&seen, "soft").contains("limits"));
        assert!(unknown(&seen, "percent").contains("limits"));
        assert_eq!(unknown(&look(&host.context(), &by_comm("y")), "open"), "none runs");
    }

    #[test]
    fn both_ways_of_counting_agree() {
        let proc = Path::new("/proc");
        // Once it has answered it opens nothing any more.
        let mut quiet = Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        quiet.stdin.as_mut().unwrap().write_all(b"x").unwrap();
        quiet.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let folder = proc.join(quiet.id().to_string()).join("fd");
        let counted = open(proc, &folder);
        let listed = open(Path::new("/nonexistent"), &folder);
        drop(quiet.stdin.take());
        quiet.wait().unwrap();
        assert!(counted.as_ref().is_ok_and(|count| *count >= 3) && counted == listed, "{counted:?} {listed:?}");
        let (soft, hard) = limits(proc, &proc.join("self/limits")).unwrap();
        assert!(soft > 0 && soft <= hard);
    }
}

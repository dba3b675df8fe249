//! `inotify.usage`: watches and instances against the kernel's limits, which hold for a user and not for a process.
//!
//! A descriptor that two processes share after a fork is counted in each: the kernel shows no
//! cheap way to tell it from two. It raises no limit and watches nothing.
use std::time::Duration;

use wbd_agent_api::{FailedAt, HealthDocument, paths};
use wbd_model::observation::{Fact, Observation, Value};
use wbd_model::probe::ProbeName;
use wbd_model::profile::ProcessSelector;

use crate::held::{Held, held, held_by, instances, real_uid};
use crate::memo::{Of, Usage};
use crate::procs;
use crate::runner::ProbeContext;
use crate::under::{self, why};

/// While nothing is missing and the limits are far, other processes are counted this often: looking into 5,000 of them
/// takes 0.3 s, which is 0.03 % of a core.
const COUNTED_AGAIN: Duration = Duration::from_secs(900);
/// While something is missing, or eight tenths of a limit are used (at nine there is a warning).
const NEAR_COUNTED_AGAIN: Duration = Duration::from_secs(60);
const LIMITS: [(&str, &str); 3] =
    [("max_watches", "max_user_watches"), ("max_instances", "max_user_instances"), ("max_queued", "max_queued_events")];

pub(crate) fn look(context: &ProbeContext, selector: &ProcessSelector) -> Observation {
    let mut seen = Observation::unseen(ProbeName::InotifyUsage.fields(), "not looked at");
    limits(context, &mut seen);
    let document = wbd_agent_api::read(&paths::health(context.root())).map_err(|error| error.to_string());
    from_health(&document, &mut seen);
    let chosen = procs::choose(context, selector);
    let oldest = chosen.and_then(|chosen| chosen.oldest().cloned());
    let of_user = oldest.and_then(|process| Ok((real_uid(context.proc(), process.pid)?, process)));
    match of_user {
        Ok((Some(uid), process)) => {
            // Its own word, which names the very process, is free; the kernel walks all its watches to tell theirs.
            let told = document.ok().filter(|it| (it.pid, it.start_ticks) == (process.pid, process.start_ticks));
            let told = told.and_then(|it| i64::try_from(it.watches.used).ok());
            let of = Of { pid: process.pid, start_ticks: process.start_ticks, uid, is_well: is_well(&seen) };
            match told.and_then(|told| lately(context, of, told, &seen)) {
                Some((told, others)) => tell(Ok(told), &Ok(others), &mut seen),
                None => count(context, of, told, &mut seen),
            }
        }
        Ok((None, _)) => usage_unseen(&mut seen, "the process ended while it was looked at"),
        Err(reason) => usage_unseen(&mut seen, &reason),
    }
    seen
}

/// What was counted lately: looking into every process of the machine is most of what a supervisor would cost. What
/// this process holds itself is told by its health document at each look. Where something begins to be missing, or
/// ceases to be, everything is counted at once, and so it is just before an act.
fn lately(context: &ProbeContext, of: Of, told: i64, seen: &Observation) -> Option<(i64, Usage)> {
    if context.runner.afresh_since().is_some() {
        return None;
    }
    let (usage, age) = context.runner.memo.usage(of)?;
    let far = |used: i64, most: &str| {
        number(seen, most).is_some_and(|most| used.saturating_mul(10) <= most.saturating_mul(8))
    };
    let is_far = far(usage.watches.saturating_add(told), "max_watches") && far(usage.instances, "max_instances");
    (age <= if of.is_well && is_far { COUNTED_AGAIN } else { NEAR_COUNTED_AGAIN }).then_some((told, usage))
}

fn number(seen: &Observation, field: &str) -> Option<i64> {
    match seen.fact(field) {
        Fact::Known(Value::Int(number)) => Some(number),
        Fact::Known(_) | Fact::Unknown(_) => None,
    }
}

/// Nothing is missing, as far as the agent's own word goes.
fn is_well(seen: &Observation) -> bool {
    number(seen, "missing") == Some(0) && seen.fact("failed_at") == Fact::Known("none".into())
}

/// `own`: watches of the process itself; the rest: of the user's others, and instances of all.
fn tell(own: Result<i64, String>, usage: &Result<Usage, String>, seen: &mut Observation) {
    match &own {
        Ok(own) => seen.know("process_used", *own),
        Err(reason) => seen.miss("process_used", reason.clone()),
    };
    match usage {
        Ok(usage) => {
            // A process that even root cannot look into is one of those that are counted as unread.
            seen.know("user_used", usage.watches.saturating_add(own.unwrap_or(0)))
                .know("user_instances", usage.instances)
                .know("unread", usage.unread)
        }
        Err(reason) => {
            seen.miss("user_used", reason.clone()).miss("user_instances", reason.clone()).miss("unread", reason.clone())
        }
    };
}

fn usage_unseen(seen: &mut Observation, reason: &str) {
    for field in ["user_used", "unread", "process_used", "user_instances"] {
        seen.miss(field, reason);
    }
}

fn limits(context: &ProbeContext, seen: &mut Observation) {
    for (field, name) in LIMITS {
        let path = context.proc().join("sys/fs/inotify").join(name);
        match under::text(&path).map(|text| text.trim().parse::<i64>()) {
            Ok(Ok(value)) => seen.know(field, value),
            Ok(Err(_)) => seen.miss(field, format!("cannot understand {}", path.display())),
            Err(error) => seen.miss(field, why("read", &path, &error)),
        };
    }
}

fn from_health(document: &Result<HealthDocument, String>, seen: &mut Observation) {
    let document = match document {
        Ok(document) => document,
        Err(error) => {
            for field in ["needed", "missing", "failed_at", "errno"] {
                seen.miss(field, error.clone());
            }
            return;
        }
    };
    let watches = &document.watches;
    let failed_at = match watches.failed_at {
        FailedAt::None => "none",
        FailedAt::Watches => "watches",
        FailedAt::Instances => "instances",
        FailedAt::QueuedEvents => "queued_events",
        FailedAt::Other => "other",
    };
    match &watches.unanswered {
        // Its numbers are of what it could walk before.
        Some(folder) => {
            let why = format!("folder {folder} does not answer the agent; look for a dead network file system");
            seen.miss("needed", why.clone()).miss("missing", why)
        }
        None => seen
            .know("needed", i64::try_from(watches.needed).unwrap_or(i64::MAX))
            .know("missing", i64::try_from(watches.missing).unwrap_or(i64::MAX)),
    };
    seen.know("failed_at", failed_at).know("errno", watches.errno.clone().unwrap_or_default());
}

fn count(context: &ProbeContext, of: Of, told: Option<i64>, seen: &mut Observation) {
    let Of { pid, uid, .. } = of;
    let own = held(context.proc(), pid, told);
    let usage = others_of(context, pid, uid).and_then(|(others, unread)| match (&own, unread) {
        (Err(reason), _) if !is_root() => Err(reason.clone()),
        (_, 1..) if !is_root() => {
            Err(format!("{unread} processes of user {uid} could not be looked into; run as root"))
        }
        (own, unread) => Ok(Usage {
            watches: others.watches,
            instances: others.instances + own.as_ref().map_or(0, |own| own.instances),
            unread: unread + i64::from(own.is_err()),
        }),
    });
    if let (Ok(usage), Ok(_)) = (&usage, &own) {
        context.runner.memo.keep_usage(of, usage.clone());
    }
    tell(own.map(|own| own.watches), &usage, seen);
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// What the user's processes but this one hold, and how many of them even root cannot look into (a process may be
/// closed to everybody): then the sum is a lower bound. For anybody else it would be none, so nothing is said.
fn others_of(context: &ProbeContext, but: u32, uid: u32) -> Result<(Held, i64), String> {
    let mut all = Held::default();
    let mut unreadable = 0_i64;
    for pid in procs::list(context.proc())?.into_iter().filter(|pid| *pid != but) {
        if context.left(Duration::MAX).is_zero() {
            return Err("not done in time: too many processes of that user".to_owned());
        }
        // Hardly any holds one, so that is asked before whose it is.
        let instances = instances(context.proc(), pid);
        if instances.as_ref().is_ok_and(Vec::is_empty) {
            continue;
        }
        let counted = match real_uid(context.proc(), pid) {
            Ok(Some(owner)) if owner == uid => instances.and_then(|all| held_by(context.proc(), pid, &all)),
            Ok(_) => continue,
            Err(reason) => Err(reason),
        };
        match counted {
            Ok(held) => {
                all.watches += held.watches;
                all.instances += held.instances;
            }
            Err(_) => unreadable += 1,
        }
    }
    Ok((all, unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, by_comm, document, known, unknown};
    use wbd_model::observation::Value;

    fn host() -> Host {
        let host = Host::new();
        for (name, value) in [("max_user_watches", 8192), ("max_user_instances", 128), ("max_queued_events", 16384)] {
            host.file(&format!("proc/sys/fs/inotify/{name}"), &format!("{value}\n"));
        }
        host.process(1, "init").write();
        for (pid, uid, wds) in [(5, 0, 3), (6, 0, 2), (7, 33, 4)] {
            let mut process = host.process(pid, if pid == 5 { "x" } else { "other" });
            process.uid = uid;
            process.write();
            host.link(&format!("proc/{pid}/fd/3"), "anon_inode:inotify");
            host.link(&format!("proc/{pid}/fd/4"), "/dev/null");
            let lines = "inotify wd:1 ino:2 sdev:3\n".repeat(wds);
            host.file(&format!("proc/{pid}/fdinfo/3"), &format!("pos:\t0\nflags:\t00\n{lines}"));
        }
        host
    }

    #[test]
    fn counts_by_user_and_takes_the_rest_from_the_document() {
        let host = host();
        let mut doc = document(5, 10_000);
        doc.watches.used = 3;
        doc.watches.needed = 9;
        doc.watches.missing = 6;
        doc.watches.failed_at = FailedAt::Watches;
        doc.watches.errno = Some("ENOSPC".into());
        host.health(&doc);
        let seen = look(&host.context(), &by_comm("x"));
        for (field, value) in [
            ("user_used", Value::from(5)),
            ("process_used", Value::from(3)),
            ("user_instances", Value::from(2)),
            ("needed", Value::from(9)),
            ("missing", Value::from(6)),
            ("failed_at", Value::from("watches")),
            ("errno", Value::from("ENOSPC")),
            ("max_watches", Value::from(8192)),
            ("max_instances", Value::from(128)),
            ("max_queued", Value::from(16384)),
        ] {
            assert_eq!(known(&seen, field), value, "{field}");
        }
    }

    /// A host whose process 5 is the agent, with so many watches missing.
    fn with_document(missing: u64) -> Host {
        let host = host();
        miss(&host, missing);
        host
    }

    fn miss(host: &Host, missing: u64) {
        let mut told = document(5, 10_000);
        told.watches.used = 3;
        told.watches.missing = missing;
        host.health(&told);
    }

    /// Another process of the same user comes, with two watches.
    fn another(host: &Host) {
        host.process(8, "other").write();
        host.link("proc/8/fd/3", "anon_inode:inotify");
        host.file("proc/8/fdinfo/3", "inotify wd:1 x\ninotify wd:2 x\n");
    }

    /// And one more.
    fn another_watch(host: &Host) {
        host.file("proc/8/fdinfo/3", "inotify wd:1 x\ninotify wd:2 x\ninotify wd:3 x\n");
    }

    fn used(runner: &crate::ProbeRunner) -> Value {
        let until = std::time::Instant::now() + Duration::from_secs(5);
        known(&look(&ProbeContext { runner: runner.clone(), until }, &by_comm("x")), "user_used")
    }

    fn say(host: &Host, watches: u64, start_ticks: u64) {
        let mut told = document(5, start_ticks);
        told.watches.used = watches;
        host.health(&told);
    }

    #[test]
    fn where_a_folder_does_not_answer_the_agent_nobody_knows_what_is_missing() {
        let host = with_document(0);
        let mut told = document(5, 10_000);
        (told.watches.used, told.watches.needed) = (3, 3);
        host.health(&told);
        let missing = || look(&host.context(), &by_comm("x")).fact("missing");
        assert_eq!(missing(), Fact::Known(Value::from(0)));
        told.watches.unanswered = Some(wbd_agent_api::BytesPath::new("/srv/nfs"));
        host.health(&told);
        let Fact::Unknown(why) = missing() else { panic!("{:?}", missing()) };
        assert!(why.starts_with("folder /srv/nfs does not answer"), "{why}");
    }

    #[test]
    fn while_all_is_well_others_are_not_counted_at_each_look() {
        let host = with_document(0);
        let runner = host.runner();
        assert_eq!(used(&runner), 5.into());
        another(&host);
        assert_eq!(used(&runner), 5.into());
        say(&host, 10, 10_000);
        assert_eq!(used(&runner), 12.into(), "what the agent itself took since is known");
        runner.memo.pass(NEAR_COUNTED_AGAIN + Duration::from_secs(1));
        assert_eq!(used(&runner), 12.into());
        // Near the limit others are counted each minute, and just before an action at once.
        host.file("proc/sys/fs/inotify/max_user_watches", "14\n");
        assert_eq!(used(&runner), 14.into());
        another_watch(&host);
        assert_eq!(used(&runner), 14.into());
        assert_eq!(used(&runner.afresh()), 15.into());
        host.file("proc/sys/fs/inotify/max_user_watches", "8192\n");
        runner.memo.pass(COUNTED_AGAIN);
        host.process(9, "other").write();
        assert_eq!(used(&runner), 15.into());
    }

    #[test]
    fn its_own_watches_are_told_by_the_document_of_that_very_process_and_else_counted() {
        let host = with_document(0);
        // The kernel's text is not even looked at.
        std::fs::remove_file(host.root().join("proc/5/fdinfo/3")).unwrap();
        std::fs::create_dir(host.root().join("proc/5/fdinfo/3")).unwrap();
        say(&host, 100_000, 10_000);
        let seen = look(&host.context(), &by_comm("x"));
        assert_eq!(known(&seen, "process_used"), 100_000.into());
        assert_eq!((known(&seen, "user_used"), known(&seen, "user_instances")), (100_002.into(), 2.into()));
        // Twin: an earlier process of the same id wrote it.
        say(&host, 100_000, 9_999);
        assert!(unknown(&look(&host.context(), &by_comm("x")), "process_used").contains("fdinfo"));
        std::fs::remove_dir(host.root().join("proc/5/fdinfo/3")).unwrap();
        host.file("proc/5/fdinfo/3", "inotify wd:1 x\n");
        assert_eq!(known(&look(&host.context(), &by_comm("x")), "process_used"), 1.into());
    }

    #[test]
    fn when_something_begins_to_be_missing_everything_is_counted_at_once_and_then_each_minute() {
        let host = with_document(0);
        let runner = host.runner();
        assert_eq!(used(&runner), 5.into());
        another(&host);
        assert_eq!(used(&runner), 5.into());
        miss(&host, 1);
        assert_eq!(used(&runner), 7.into());
        another_watch(&host);
        assert_eq!(used(&runner), 7.into());
        assert_eq!(used(&runner.afresh()), 8.into());
        host.file("proc/8/fdinfo/3", "inotify wd:1 x\n");
        runner.memo.pass(NEAR_COUNTED_AGAIN + Duration::from_secs(1));
        assert_eq!(used(&runner), 6.into());
        // And at once where it ceases.
        another_watch(&host);
        miss(&host, 0);
        assert_eq!(used(&runner), 8.into());
    }

    #[test]
    fn one_unreadable_process_of_the_user_makes_the_sum_a_lower_bound_for_root_and_unknown_for_others() {
        let host = host();
        std::fs::remove_file(host.root().join("proc/6/fdinfo/3")).unwrap();
        std::fs::create_dir(host.root().join("proc/6/fdinfo/3")).unwrap();
        let seen = look(&host.context(), &by_comm("x"));
        if nix::unistd::geteuid().is_root() {
            assert_eq!(known(&seen, "user_used"), Value::from(3));
            assert_eq!(known(&seen, "unread"), Value::from(1));
        } else {
            assert!(unknown(&seen, "user_used").contains("1 processes of user 0"));
            assert!(unknown(&seen, "unread").contains("run as root"));
        }
        assert_eq!(known(&seen, "process_used"), Value::from(3));
        assert!(unknown(&seen, "needed").contains("no health document"));
        let gone = look(&host.context(), &by_comm("none"));
        assert_eq!(unknown(&gone, "user_used"), "none runs");
        assert_eq!(known(&gone, "max_watches"), Value::from(8192));
    }
}

//! Tests of what counts as the process that a selector means, each beside a twin that does; made-up hosts and real
//! processes.

use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Child, Command, Stdio};

use wbd_model::observation::{Fact, Value};
use wbd_model::probe::Probe;

use super::*;
use crate::ProbeRunner;
use crate::procs;
use crate::testing::{Host, MadeUp, by_comm, by_exe, by_health, copy_program, deadline_passes, document, known};

const USER: u32 = 12_345;

/// Pids that count, and what is said of the others.
fn chosen(host: &Host, selector: &ProcessSelector) -> (Vec<u32>, String) {
    let chosen = procs::choose(&host.context(), selector).unwrap();
    (chosen.live.iter().map(|it| it.pid).collect(), chosen.others.words())
}

/// A host with two processes of one name: 5 is as it should be, 6 as `other` makes it.
fn twins(other: impl Fn(&mut MadeUp)) -> Host {
    let host = Host::new();
    host.process(1, "init").write();
    host.process(5, "x").write();
    let mut second = host.process(6, "x");
    second.start_ticks = 1;
    other(&mut second);
    second.write();
    host
}

#[test]
fn a_name_alone_means_root_in_our_own_pid_namespace_and_under_our_root() {
    let host = twins(|other| other.uid = USER);
    assert_eq!(chosen(&host, &by_comm("x")), (vec![5], format!("not counted: x (pid 6) is uid {USER}'s")));
    let host = twins(|other| other.pid_namespace = "pid:[2]");
    let (pids, said) = chosen(&host, &by_comm("x"));
    assert_eq!(pids, [5]);
    assert!(said.contains("x (pid 6) runs in another pid namespace"), "{said}");
    let host = twins(|_| {});
    fs::remove_file(host.root().join("proc/6/root")).unwrap();
    host.link("proc/6/root", "/usr");
    let (pids, said) = chosen(&host, &by_comm("x"));
    assert_eq!(pids, [5]);
    assert!(said.contains("x (pid 6) runs with /usr as its root"), "{said}");
    // Twin: all is as it should be, and the older one is first.
    assert_eq!(chosen(&twins(|_| {}), &by_comm("x")), (vec![6, 5], String::new()));
}

#[test]
fn root_that_a_user_borrowed_is_not_roots() {
    let host = twins(|_| {});
    let program = host.file("usr/bin/borrows", "");
    fs::remove_file(host.root().join("proc/6/exe")).unwrap();
    std::os::unix::fs::symlink(&program, host.root().join("proc/6/exe")).unwrap();
    assert_eq!(chosen(&host, &by_comm("x")).0, [6, 5]);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let (pids, said) = chosen(&host, &by_comm("x"));
    assert_eq!(pids, [5]);
    assert!(said.contains("gives everybody its owner's rights"), "{said}");
}

#[test]
fn a_user_that_is_named_counts_and_root_does_not_then() {
    let host = twins(|other| other.uid = USER);
    host.file("etc/passwd", &format!("root:x:0:0::/:/bin/sh\nscan:x:{USER}:9::/:/bin/false\nno:x:7\n"));
    let by = |users: &[&str]| {
        let user = users.iter().map(|user| (*user).to_owned()).collect();
        ProcessSelector { user, ..by_comm("x") }
    };
    assert_eq!(chosen(&host, &by(&["root", "scan"])).0, [6, 5]);
    if geteuid().is_root() {
        assert_eq!(chosen(&host, &by(&["scan"])), (vec![6], "not counted: x (pid 5) is uid 0's".to_owned()));
        assert!(chosen(&host, &by(&["nobody-of-this-name", "no"])).0.is_empty());
    }
}

#[test]
fn a_program_counts_where_the_profile_says_and_a_star_stands_for_a_part_of_a_name() {
    let host = Host::new();
    host.process(1, "init").write();
    for (pid, path) in [(5, "opt/v/v_10_70/x"), (6, "opt/v/v_10_70/y"), (7, "home/u/x"), (8, "opt/v/v_10_70/deep/x")] {
        let mut process = host.process(pid, "x");
        process.exe = Some(host.file(path, ""));
        process.uid = USER;
        process.write();
    }
    let by = |exe: &str| ProcessSelector { comm: Some("x".into()), ..by_exe(Path::new(exe)) };
    let (pids, said) = chosen(&host, &by("/opt/v/v_*_*/x"));
    assert_eq!(pids, [5]);
    assert!(said.contains("x (pid 6) runs /") && said.contains("opt/v/v_10_70/deep/x"), "{said}");
    // Without a name nothing looks like it.
    assert_eq!(chosen(&host, &by_exe(Path::new("/opt/v/*/x"))), (vec![5], String::new()));
    let both = ProcessSelector { user: vec!["root".into()], ..by("/opt/v/*/x") };
    if geteuid().is_root() {
        assert_eq!(chosen(&host, &both).0, Vec::<u32>::new(), "all keys must fit");
    }
    for (name, pattern, like) in [
        ("aegis_10_70", "aegis_*", true),
        ("aegis_", "aegis_*", true),
        ("aegis", "aegis_*", false),
        ("a1b2c", "a*b*c", true),
        ("abc", "a*b*c", true),
        ("ab", "a*b*c", false),
        ("ab", "ab*b", false),
        ("x", "*", true),
    ] {
        assert_eq!(is_name_like(OsStr::new(name), OsStr::new(pattern)), like, "{name} {pattern}");
    }
}

#[test]
fn a_program_in_a_folder_that_others_may_write_does_not_count() {
    let host = Host::new();
    host.process(1, "init").write();
    let mut process = host.process(5, "x");
    process.exe = Some(host.file("opt/v/bin/x", ""));
    process.write();
    let selector = ProcessSelector { comm: Some("x".into()), ..by_exe(Path::new("/opt/v/bin/x")) };
    assert_eq!(chosen(&host, &selector).0, [5]);
    let folder = host.root().join("opt/v");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o775)).unwrap();
    let (pids, said) = chosen(&host, &selector);
    assert!(pids.is_empty() && said.contains("opt/v may be written by others (mode 0775)"), "{pids:?} {said}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(chosen(&host, &selector).0, [5]);
}

#[test]
fn a_unit_counts_by_its_control_group_and_not_by_a_users_own_of_that_name() {
    let host = twins(|other| {
        other.cgroup = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/some.service\n";
        other.uid = USER;
    });
    let unit = |name: &str| ProcessSelector { unit: Some(name.into()), ..ProcessSelector::default() };
    assert_eq!(chosen(&host, &unit("some.service")), (vec![5], String::new()));
    let both = ProcessSelector { comm: Some("x".into()), ..unit("some.service") };
    let (pids, said) = chosen(&host, &both);
    assert_eq!((pids, said.as_str()), (vec![5], "not counted: x (pid 6) belongs to user@1000.service"));
    assert!(chosen(&host, &unit("other.service")).0.is_empty());
}

#[test]
fn what_cannot_be_read_is_neither_there_nor_absent() {
    let host = twins(|_| {});
    for pid in ["5", "6"] {
        fs::remove_file(host.root().join("proc").join(pid).join("status")).unwrap();
        fs::create_dir(host.root().join("proc").join(pid).join("status")).unwrap();
    }
    let error = procs::choose(&host.context(), &by_comm("x")).unwrap_err();
    assert!(error.contains("2 processes could not be looked at"), "{error}");
    // Nor where we do not know where we are ourselves.
    let host = twins(|_| {});
    fs::remove_file(host.root().join("proc/self/ns/pid")).unwrap();
    assert!(procs::choose(&host.context(), &by_comm("x")).is_err());
    assert_eq!(chosen(&host, &by_comm("y")), (vec![], String::new()), "where nothing has the name nothing is asked");
}

#[test]
fn another_process_under_the_number_of_one_in_an_older_list_does_not_count() {
    let host = twins(|_| {});
    let listed = Process { start_ticks: 2, ..procs::read(host.context().proc(), 6).unwrap().unwrap() };
    assert_eq!(standing(&host.context(), &by_comm("x"), &listed), Standing::Gone);
    let listed = Process { start_ticks: 1, ..listed };
    assert_eq!(standing(&host.context(), &by_comm("x"), &listed), Standing::Ours);
}

#[test]
fn many_others_are_counted_and_a_few_named_and_those_that_ended_are_nobody() {
    let host = Host::new();
    host.process(1, "init").write();
    for pid in 10..20 {
        let mut process = host.process(pid, "x");
        process.uid = USER;
        process.state = if pid == 19 { 'Z' } else { 'S' };
        process.write();
    }
    let seen = procs::choose(&host.context(), &by_comm("x")).unwrap();
    assert_eq!((seen.others.count, seen.zombies), (9, 0));
    assert!(seen.others.words().ends_with("; and 6 more"), "{}", seen.others.words());
    let seen = host.runner().look(&Probe::FdUsage(by_comm("x")));
    assert!(matches!(seen.fact("open"), Fact::Unknown(why) if why.starts_with("none runs (not counted: x (pid 1")));
    assert!(matches!(seen.fact("others"), Fact::Known(Value::Text(why)) if why.contains("is uid 12345's")));
}

#[test]
fn a_profile_may_name_a_link_to_the_program_also_before_a_star() {
    let host = Host::new();
    host.process(1, "init").write();
    let mut process = host.process(5, "x");
    process.exe = Some(host.file("opt/v_1/bin/x", ""));
    process.write();
    host.link("opt/current", "v_1");
    for (exe, pids) in [
        ("/opt/current/bin/x", &[5][..]),
        ("/opt/current/*/x", &[5]),
        ("/opt/v_*/bin/x", &[5]),
        ("/opt/current/bin", &[]),
        ("/opt/current/*/y", &[]),
        ("/opt/gone/bin/x", &[]),
    ] {
        assert_eq!(chosen(&host, &by_exe(Path::new(exe))).0, pids, "{exe}");
    }
}

#[test]
fn the_unit_and_the_health_document_vouch_for_a_program_that_gives_its_owners_rights_and_the_document_not_for_a_user() {
    let host = Host::new();
    host.process(1, "init").write();
    let program = host.file("usr/bin/borrows", "");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let mut process = host.process(5, "x");
    process.exe = Some(program);
    process.write();
    host.health(&document(5, 10_000));
    let unit = ProcessSelector { unit: Some("some.service".into()), ..ProcessSelector::default() };
    assert_eq!(chosen(&host, &unit), (vec![5], String::new()));
    assert_eq!(chosen(&host, &by_health()), (vec![5], String::new()));
    assert!(chosen(&host, &by_comm("x")).0.is_empty());
    process.uid = USER;
    process.write();
    assert_eq!(chosen(&host, &by_health()), (vec![], format!("not counted: x (pid 5) is uid {USER}'s")));
}

#[test]
fn up_to_three_others_are_named_and_what_they_chose_themselves_is_cut() {
    let process =
        |pid| procs::read(twins(|_| {}).context().proc(), 5).unwrap().map(|it| Process { pid, ..it }).unwrap();
    let mut others = Others::default();
    assert_eq!(others.words(), "");
    others.add(&process(7), &"é".repeat(MOST_CHARS + 1));
    assert_eq!(others.words(), format!("not counted: x (pid 7) {}", "é".repeat(MOST_CHARS)));
    let mut others = Others::default();
    for pid in [7, 8, 9] {
        others.add(&process(pid), "is odd");
    }
    let three = "not counted: x (pid 7) is odd; x (pid 8) is odd; x (pid 9) is odd";
    assert_eq!(others.words(), three);
    others.add(&process(10), "is odd");
    assert_eq!((others.words(), others.count), (format!("{three}; and 1 more"), 4));
}

#[test]
fn a_users_number_is_looked_up_under_the_root() {
    let host = Host::new();
    let context = host.context();
    assert_eq!(
        (user(&context, "root"), user(&context, "daemon")),
        (Some(0), None),
        "the real host's list says nothing here"
    );
    host.file("etc/passwd", "rooted:x:8:8::/:\nshort:x\nscan:x:77:9::/:\nscan:x:78:9::/:\nworded:x:many:9::/:\n");
    for (name, number) in [("scan", Some(77)), ("sca", None), ("short", None), ("worded", None), ("root", Some(0))] {
        assert_eq!(user(&context, name), number, "{name}");
    }
    let real = ProbeContext { runner: ProbeRunner::new("/"), until: context.until };
    assert_eq!((user(&real, "root"), user(&real, "wbd-no-such-user")), (Some(0), None));
}

/// A real process that waits for the end of its input, by the name `wbd-toy`.
struct Real(Child);

impl Real {
    fn start(program: &Path, wrapper: &[&str]) -> Self {
        let program = program.to_str().unwrap();
        let line: Vec<&str> = wrapper.iter().copied().chain([program]).collect();
        Self(Command::new(line[0]).args(&line[1..]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().ok();
    }
}

/// What is seen of the real processes once as many run as there are, counted and not.
fn real(selector: &ProcessSelector, counted: usize, others: usize) -> String {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    // With a new runner each time: beside one that is known others are looked for now and then only.
    let seen = || procs::choose(&ProbeContext { runner: ProbeRunner::new("/"), until }, selector).unwrap_or_default();
    deadline_passes("as many as were started", || {
        let seen = seen();
        (seen.live.len(), seen.others.count) == (counted, others)
    });
    seen().others.words()
}

#[test]
fn real_containers_users_and_writable_folders_do_not_count_and_a_sandbox_does() {
    if !geteuid().is_root() {
        eprintln!("skipped: needs root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("wbd-toy");
    copy_program("/bin/cat", &program);
    let by_name = by_comm("wbd-toy");
    let by_file = ProcessSelector { comm: Some("wbd-toy".into()), ..by_exe(&program) };
    {
        let _sandboxed = Real::start(&program, &["/usr/bin/unshare", "--mount"]);
        assert_eq!(real(&by_name, 1, 0), "");
        assert_eq!(real(&by_file, 1, 0), "");
        let _container = Real::start(&program, &["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--mount"]);
        assert!(real(&by_name, 1, 1).contains("another pid namespace"));
        assert!(real(&by_file, 1, 1).contains("another pid namespace"));
    }
    {
        let uid = USER.to_string();
        let _user = Real::start(&program, &["/usr/bin/setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups"]);
        assert!(real(&by_name, 0, 1).contains(&format!("is uid {USER}'s")));
        // Root's own program, whoever runs it; a profile that wants more says `user`.
        assert_eq!(real(&by_file, 1, 0), "");
        let both = ProcessSelector { user: vec!["root".into()], ..by_file.clone() };
        assert!(real(&both, 0, 1).contains(&format!("is uid {USER}'s")));
    }
    {
        let place = dir.path().join("root");
        fs::create_dir(&place).unwrap();
        let enter = format!("mount --rbind / {0} && exec chroot {0} \"$0\"", place.display());
        let _chrooted = Real::start(&program, &["/usr/bin/unshare", "--mount", "/bin/sh", "-c", &enter]);
        assert!(real(&by_name, 0, 1).contains(&format!("runs with {} as its root", place.display())));
    }
    let _plain = Real::start(&program, &["/usr/bin/env"]);
    assert_eq!(real(&by_file, 1, 0), "");
    chown(dir.path(), Some(USER), None).unwrap();
    assert!(real(&by_file, 0, 1).contains(&format!("is uid {USER}'s")));
    assert!(known(&ProbeRunner::new("/").look(&Probe::ProcessState(by_file)), "alive") == false.into());
}

//! Tests of the server search on a made-up /proc.

use super::made_up::MadeUpProc;
use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

impl MadeUpProc {
    fn report(&self, language: Language) -> WasReport {
        find_was(&self.root(), &BTreeSet::from([language]), &mut Known::default())
    }

    fn look(&self, language: Language) -> (u32, Vec<(WasKind, u32)>) {
        let report = self.report(language);
        let found = report.found.iter().map(|was| (was.kind, was.pid)).collect();
        (report.required[0].running, found)
    }
}

/// Nobody's number on a machine of tests.
const USER: u32 = 12_345;
const NGINX: &str = "/usr/sbin/nginx";
const FPM: &str = "/usr/sbin/php-fpm8.2";
const APACHE: &str = "/usr/sbin/apache2";
const JAVA: &str = "/usr/lib/jvm/java-17/bin/java";

#[test]
fn a_master_with_its_workers_is_one() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, NGINX, &["nginx: master process /usr/sbin/nginx"])
        .add(11, 10, NGINX, &["nginx: worker process"])
        .add(12, 10, NGINX, &["nginx: worker process"])
        .add(20, 1, FPM, &["php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"])
        .add(21, 20, FPM, &["php-fpm: pool www"])
        .add(30, 1, "/bin/bash", &["bash"]);
    assert_eq!(proc.look(Language::Php), (1, vec![(WasKind::Nginx, 10), (WasKind::PhpFpm, 20)]));
    assert_eq!(proc.look(Language::Jsp).0, 0);
}

#[test]
fn two_masters_of_any_php_server_are_two() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, APACHE, &["/usr/sbin/apache2", "-k", "start"])
        .add(11, 10, APACHE, &["/usr/sbin/apache2", "-k", "start"])
        .add(20, 1, NGINX, &["nginx: master process"]);
    assert_eq!(proc.look(Language::Php).0, 2);
}

#[test]
fn workers_whose_master_died_and_passing_commands_are_no_servers() {
    let proc = MadeUpProc::new();
    proc.add(11, 1, NGINX, &["nginx: worker process"])
        .add(12, 99, NGINX, &["nginx", "-t"])
        .add(13, 99, APACHE, &["apache2", "-k", "graceful"])
        .add(14, 99, JAVA, &["java", CATALINA, "stop"]);
    assert_eq!(proc.look(Language::Php), (0, vec![]));
}

#[test]
fn a_replaced_program_is_still_the_same_server() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, "/usr/sbin/nginx (deleted)", &["nginx: master process"]).add(
        15,
        10,
        NGINX,
        &["nginx: master process"],
    );
    assert_eq!(proc.look(Language::Php), (1, vec![(WasKind::Nginx, 10)]));
}

const CATALINA: &str = "org.apache.catalina.startup.Bootstrap";

#[test]
fn tomcat_is_the_java_that_runs_catalina() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, JAVA, &["java", "-Djava.util.logging.config.file=x", CATALINA, "start"]).add(
        11,
        1,
        JAVA,
        &["java", "-jar", "batch.jar"],
    );
    assert_eq!(proc.look(Language::Jsp), (1, vec![(WasKind::Tomcat, 10)]));
}

#[test]
fn an_unsupported_server_is_named() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, "/usr/sbin/lighttpd", &["lighttpd", "-D"]).add(
        11,
        1,
        JAVA,
        &["java", "-Djetty.home=/x", "-jar", "start.jar"],
    );
    let report = proc.report(Language::Php);
    assert_eq!(report.unsupported, ["jetty", "lighttpd"]);
    assert_eq!(report.required[0].running, 0);
}

#[test]
fn containers_zombies_and_kernel_threads_do_not_count() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, NGINX, &["nginx: master process"]).add(20, 1, NGINX, &["nginx: master process"]).add(
        30,
        2,
        NGINX,
        &[],
    );
    proc.nest(10);
    fs::write(proc.root().join("20/stat"), "20 (nginx) Z 1 1\n").unwrap();
    fs::write(proc.root().join("30/cmdline"), "").unwrap();
    assert_eq!(proc.look(Language::Php), (0, vec![]));
}

#[test]
fn what_cannot_be_read_is_counted_and_not_taken_for_absent() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, NGINX, &["nginx: master process"]);
    fs::write(proc.root().join("10/stat"), "nonsense").unwrap();
    let report = proc.report(Language::Php);
    assert_eq!((report.unreadable, report.found.len()), (1, 0));
    let php = BTreeSet::from([Language::Php]);
    assert_eq!(find_was(&proc.root().join("nowhere"), &php, &mut Known::default()).unreadable, 1);
}

#[test]
fn a_name_with_brackets_and_odd_bytes_is_read_right() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, NGINX, &["nginx: master process"]);
    fs::write(proc.root().join("10/stat"), b"10 (a) R 9 (\xff) S 1 1\n").unwrap();
    assert_eq!(proc.look(Language::Php), (1, vec![(WasKind::Nginx, 10)]));
}

#[test]
fn the_access_log_is_found_among_the_open_files() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, JAVA, &["java", CATALINA]);
    let root = &proc.root();
    let log = root.join("localhost_access_log.txt");
    fs::write(&log, "").unwrap();
    assert!(check_access_log(root, 10, None).unwrap_err().contains("cannot be listed"));
    fs::create_dir(root.join("10/fd")).unwrap();
    symlink("/var/log/catalina.out", root.join("10/fd/1")).unwrap();
    assert!(check_access_log(root, 10, None).unwrap_err().contains("no access log open"));
    symlink(&log, root.join("10/fd/7")).unwrap();
    assert_eq!(check_access_log(root, 10, None), Ok(()));
    fs::remove_file(&log).unwrap();
    assert!(check_access_log(root, 10, None).unwrap_err().contains("localhost_access_log.txt"));
    assert!(check_access_log(root, 10, Some(&BytesPath::new(root))).unwrap_err().contains("not a regular file"));
}

#[test]
fn a_users_own_program_under_a_servers_name_is_no_server_and_is_named() {
    let proc = MadeUpProc::new();
    let folder = |path: &str| fs::set_permissions(proc.program(path), fs::Permissions::from_mode(0o777)).unwrap();
    proc.add(10, 1, "/home/u/nginx", &["nginx: master process ./nginx"]).user(10, USER);
    proc.add(11, 10, "/home/u/nginx", &["nginx: worker process"]).user(11, USER);
    // Ours here are as good as root's; a folder that everybody may write is what a home is to the host.
    folder("/home/u");
    let report = proc.report(Language::Php);
    assert_eq!((report.required[0].running, report.found.len()), (0, 0));
    let [other] = &report.others[..] else { panic!("{:?}", report.others) };
    assert!(other.starts_with("nginx (pid 10) its program is ") && other.contains("home/u may be written"), "{other}");
    // Beside it the host's own: its workers run as another user.
    proc.add(20, 1, NGINX, &["nginx: master process"]);
    proc.add(21, 20, NGINX, &["nginx: worker process"]).user(21, USER);
    assert_eq!(proc.look(Language::Php), (1, vec![(WasKind::Nginx, 20)]));
    // What root runs is root's, wherever it lies.
    proc.user(10, 0);
    assert_eq!(proc.look(Language::Php).0, 2);
}

#[test]
fn a_tomcat_with_a_user_of_its_own_counts_by_roots_java() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, JAVA, &["java", CATALINA, "start"]).user(10, USER);
    assert_eq!(proc.look(Language::Jsp), (1, vec![(WasKind::Tomcat, 10)]));
    fs::set_permissions(proc.program(JAVA), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(proc.look(Language::Jsp), (0, vec![]));
    assert_eq!(proc.report(Language::Jsp).others.len(), 1);
}

#[test]
fn a_server_of_which_nobody_can_tell_whose_it_is_is_not_counted_and_not_absent() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, NGINX, &["nginx: master process"]);
    fs::remove_file(proc.root().join("10/status")).unwrap();
    fs::create_dir(proc.root().join("10/status")).unwrap();
    let report = proc.report(Language::Php);
    assert_eq!((report.unreadable, report.found.len(), report.others.len()), (1, 0, 0));
    fs::remove_file(proc.root().join("self/ns/pid")).unwrap();
    assert_eq!(proc.report(Language::Php).unreadable, 1, "nor where the agent does not know its own place");
}

/// One look after another at the same host.
struct Looks {
    proc: MadeUpProc,
    known: Known,
}

impl Looks {
    fn new() -> Self {
        let proc = MadeUpProc::new();
        proc.add(10, 1, NGINX, &["nginx: master process"]).add(30, 1, "/bin/bash", &["bash"]);
        Self { proc, known: Known::default() }
    }

    fn look(&mut self) -> u32 {
        let report = find_was(&self.proc.root(), &BTreeSet::from([Language::Php]), &mut self.known);
        report.required[0].running
    }

    /// Until everybody has settled.
    fn settle(&mut self) {
        for _ in 0..2 {
            assert_eq!(self.look(), 1);
            self.known.pass(Duration::from_secs(10));
        }
    }

    fn end(&self, pid: u32) {
        fs::remove_dir_all(self.proc.root().join(pid.to_string())).unwrap();
    }
}

#[test]
fn without_a_target_nobody_is_looked_at() {
    let proc = MadeUpProc::new();
    proc.add(10, 1, NGINX, &["nginx: master process"]);
    let mut known = Known::default();
    // A list would find one, and of a folder that is not there tell that it cannot be taken.
    for root in [proc.root(), proc.root().join("nowhere")] {
        assert_eq!(find_was(&root, &BTreeSet::new(), &mut known), WasReport::default());
    }
}

#[test]
fn a_server_that_ends_is_missed_at_the_next_look_and_its_successor_found() {
    let mut looks = Looks::new();
    looks.settle();
    assert_eq!(looks.look(), 1);
    looks.end(10);
    assert_eq!(looks.look(), 0);
    looks.proc.add(40, 1, NGINX, &["nginx: master process"]);
    assert_eq!(looks.look(), 1, "looked for at each look while it is missing");
}

#[test]
fn a_second_server_is_found_when_the_next_list_is_due() {
    let mut looks = Looks::new();
    looks.settle();
    assert_eq!(looks.look(), 1);
    looks.proc.add(40, 1, APACHE, &["/usr/sbin/apache2", "-k", "start"]);
    assert_eq!(looks.look(), 1);
    looks.known.pass(Duration::from_secs(10));
    assert_eq!(looks.look(), 2);
    looks.end(40);
    assert_eq!(looks.look(), 1);
}

#[test]
fn who_is_no_server_is_read_again_while_young_and_every_five_minutes() {
    let mut looks = Looks::new();
    looks.settle();
    assert_eq!(looks.look(), 1);
    let becomes = |looks: &Looks, pid: u32| {
        looks.end(pid);
        looks.proc.add(pid, 1, APACHE, &["/usr/sbin/apache2", "-k", "start"]);
    };
    // A new one that becomes a server.
    looks.proc.add(50, 1, "/bin/sh", &["sh", "start"]);
    looks.known.pass(Duration::from_secs(10));
    assert_eq!(looks.look(), 1);
    becomes(&looks, 50);
    looks.known.pass(Duration::from_secs(10));
    assert_eq!(looks.look(), 2);
    looks.end(50);
    // An old one, under the same inode.
    let cmdline = looks.proc.root().join("30/cmdline");
    fs::write(cmdline, "/usr/sbin/apache2\0-k\0start\0").unwrap();
    fs::remove_file(looks.proc.root().join("30/exe")).unwrap();
    symlink(looks.proc.program(APACHE), looks.proc.root().join("30/exe")).unwrap();
    looks.known.pass(Duration::from_secs(10));
    assert_eq!(looks.look(), 1);
    looks.known.pass(Duration::from_secs(300));
    assert_eq!(looks.look(), 2);
}

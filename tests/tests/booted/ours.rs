//! Only the host's own processes count: a container's, a user's and a copied program have a vendor's name, and nothing
//! is done about them.

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::json::Answer;
use wbd_tests::product::{self, ROOMY};
use wbd_tests::story::Story;

use crate::fd_leak::{HEALING, PACE, PROGRAM, Scan};

const CODE: &str = "IWSS-FTPLEAK";
/// A process that is so near its limit is called within a few samples.
const QUIET: Duration = Duration::from_secs(20);
const USER: &str = "1000";

/// Somebody else's process in a service of its own, which ends with it.
struct Theirs<'a> {
    host: &'a Host,
    unit: String,
}

impl<'a> Theirs<'a> {
    fn start(host: &'a Host, name: &str, line: &[&str]) -> Self {
        let unit = format!("theirs-{name}.service");
        let head = ["/usr/bin/systemd-run".to_owned(), "--quiet".to_owned(), format!("--unit={unit}")];
        host.run(head.iter().map(String::as_str).chain(line.iter().copied())).ok();
        Self { host, unit }
    }

    fn runs(&self) -> bool {
        self.host.unit(&self.unit, "ActiveState") == "active"
    }

    fn end(self) {
        self.host.run(["/usr/bin/systemctl", "stop", &self.unit]).ok();
    }
}

/// As a user, without a login.
fn as_user<'a>(line: &[&'a str]) -> Vec<&'a str> {
    let user = ["/usr/bin/setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"];
    user.into_iter().chain(line.iter().copied()).collect()
}

#[test]
fn a_containers_and_a_users_process_of_a_services_name_are_left_alone_and_the_services_own_is_healed() {
    let host = product::shared();
    // Both open nearly all that their limit allows, and both are older than the host's own.
    host.write_mode("/home/u/isftpd", PROGRAM.as_bytes(), "0755");
    for fifo in ["/run/inmate.fifo", "/run/user.fifo"] {
        host.run(["/usr/bin/mkfifo", "-m", "0666", fifo]).ok();
    }
    let contain = ["/usr/bin/unshare", "--pid", "--fork", "--mount-proc", "--mount", "--uts"];
    let full = |fifo| ["/home/u/isftpd", fifo, "0.05", "55"];
    let inmate = Theirs::start(&host, "inmate", &[&contain[..], &full("/run/inmate.fifo")].concat());
    let user = Theirs::start(&host, "user", &as_user(&full("/run/user.fifo")));
    let patches = [("every: 30s", "every: 2s"), ("attempts: 2,", "attempts: 50,")];
    product::patched_playbook(&host, "fd-leak", &patches);
    let own = Scan::begin(&host, "/etc/iscan/S99ISftp", "isftpd", "60", 1_000);
    let pid = own.pid();
    let story = Story::begin(&host).about(CODE);
    product::configure(&host, &format!("{ROOMY}sample_every: 2s\n"));
    story.stays_quiet("a full process of a container's and of a user's", QUIET);
    assert_eq!((own.pid(), own.starts()), (pid, 1), "{}", story.summary());
    let answer = product::doctor(&host);
    assert!(answer.code != 2 && answer.cause(CODE).is_none(), "{}", answer.json);
    let row = &answer.checks(CODE)[0];
    let reason = row["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("runs in another pid namespace") && reason.contains("is uid 1000's"), "{row}");
    own.end();

    // Twin: the host's own leaks. It alone is restarted.
    let leaking = Scan::begin(&host, "/etc/iscan/S99ISftp", "isftpd", PACE, 1_000);
    let leaked = leaking.pid();
    let told = story.healed(CODE, HEALING);
    assert_eq!(told.actions(), ["command.run"], "{told}");
    assert_ne!(leaking.pid(), leaked);
    assert!(inmate.runs() && user.runs(), "what is not ours goes on");
    assert!(told.words().contains("runs in another pid namespace"), "{told}");

    leaking.end();
    inmate.end();
    user.end();
    host.run(["/usr/bin/rm", "-rf", "/home/u", "/run/inmate.fifo", "/run/user.fifo"]).ok();
    product::roomy_playbook(&host, "fd-leak");
    product::configure(&host, ROOMY);
    product::healthy(&host);
}

#[test]
fn a_copied_program_brings_no_product_onto_the_host_and_the_product_itself_does() {
    let host = product::shared();
    host.run(["/usr/bin/install", "-D", "/usr/bin/sleep", "/home/u/AliYunDun"]).ok();
    host.run(["/usr/bin/install", "-D", "/usr/bin/sleep", "/usr/local/bin/dsa_slowpath"]).ok();
    host.run(["/usr/bin/chown", "-R", USER, "/home/u"]).ok();
    let story = Story::begin(&host);
    let copies = [
        Theirs::start(&host, "aliyun", &as_user(&["/home/u/AliYunDun", "infinity"])),
        // Not even root's copy is where the vendor's document says.
        Theirs::start(&host, "dsva", &["/usr/local/bin/dsa_slowpath", "infinity"]),
    ];
    // The supervisor looks for products anew.
    product::reload(&host).ok();
    story.stays_quiet("copies of a program", Duration::from_secs(6));
    let answer = product::doctor_says(&host, "nothing wrong", Answer::is_well);
    for code in ["AEGIS-NET", "AEGIS-TCP", "NET-NAME", "NET-TCP", "DSVA-VERSION"] {
        assert!(answer.checks(code).is_empty(), "{code}: {}", answer.json);
    }
    let rows = answer.checks("WBD-PROFILE");
    let told = |profile: &str, words: &str| {
        rows.iter().any(|row| {
            let reason = row["reason"].as_str().unwrap_or_default();
            row["target"] == profile && row["verdict"] == "skip" && reason.contains(words)
        })
    };
    assert!(told("aegis", "runs /home/u/AliYunDun"), "{}", answer.json);
    assert!(told("dsva", "runs /usr/local/bin/dsa_slowpath"), "{}", answer.json);

    // Twin: where the document says, run by root.
    host.run(["/usr/bin/install", "-D", "/usr/bin/sleep", "/opt/ds_agent/dsa_slowpath"]).ok();
    let real = Theirs::start(&host, "real", &["/opt/ds_agent/dsa_slowpath", "infinity"]);
    product::doctor_says(&host, "the appliance", |answer| !answer.checks("DSVA-VERSION").is_empty());
    real.end();
    for copy in copies {
        copy.end();
    }
    host.run(["/usr/bin/rm", "-rf", "/home/u", "/usr/local/bin/dsa_slowpath", "/opt/ds_agent"]).ok();
    product::configure(&host, ROOMY);
    product::healthy(&host);
}

//! A process that leaks file descriptors is restarted by its vendor's command before they run out (IWSS-FTPLEAK); one
//! that merely has many open is not, however near its limit it is (HOST-NOFILE).

use std::time::Duration;

use wbd_tests::host::Host;
use wbd_tests::product::{self, ROOMY};
use wbd_tests::story::Story;

const CODE: &str = "IWSS-FTPLEAK";
/// The leak takes 70 s to four fifths of its limit and 90 s to the limit, and is called in between; beside a compiler.
pub(crate) const HEALING: Duration = Duration::from_secs(240);
/// Seconds between two descriptors: long enough that half a minute of samples shows how they rise, and that these are
/// not overtaken by those of a full table.
pub(crate) const PACE: &str = "1.5";

/// Opens one descriptor more every `$2` seconds under a limit of 64 until it has opened `$3`, and then stays. What
/// whoever runs the tests left open counts for nothing.
pub(crate) const PROGRAM: &str = r#"#!/bin/bash
for fd in $(ls /proc/$$/fd); do
    [ "$fd" -gt 2 ] && [ "$fd" -lt 200 ] && eval "exec $fd>&-"
done
ulimit -n 64
exec 3<>"$1"
left=$3
while :; do
    [ "$left" -gt 0 ] && exec {fd}</dev/null && left=$((left - 1))
    read -r -t "$2" -u 3
done
"#;

/// As the vendor's: it ends exactly its own process and starts it again. A restarted one leaks slowly, so that it is
/// not full again by the time somebody looks.
const SERVICE: &str = r#"#!/bin/sh
[ "$1" = restart ] || exit 2
pid=$(cat /run/@.pid 2>/dev/null) && kill "$pid" && tail --pid="$pid" -f /dev/null
[ -p /run/@.fifo ] || mkfifo /run/@.fifo
set -- ~
[ -e /run/@.restarts ] && set -- 60 "$2"
/usr/local/bin/@ /run/@.fifo $* </dev/null >/dev/null 2>&1 &
echo $! >/run/@.pid
echo restart >>/run/@.restarts
"#;

/// A scan service on a host: the vendor's script and the process that it starts.
pub(crate) struct Scan<'a> {
    host: &'a Host,
    script: &'static str,
    process: &'static str,
}

impl<'a> Scan<'a> {
    /// Begins with the first start; `pace` in seconds.
    pub(crate) fn begin(host: &'a Host, script: &'static str, process: &'static str, pace: &str, most: u32) -> Self {
        host.write_mode(&format!("/usr/local/bin/{process}"), PROGRAM.as_bytes(), "0755");
        let service = SERVICE.replace('@', process).replace('~', &format!("{pace} {most}"));
        host.write_mode(script, service.as_bytes(), "0755");
        host.run([script, "restart"]).ok();
        Self { host, script, process }
    }

    pub(crate) fn pid(&self) -> u32 {
        let pid = self.host.run(["/usr/bin/cat", &format!("/run/{}.pid", self.process)]).ok();
        pid.text().parse().expect("a pid")
    }

    fn open(&self) -> usize {
        let list = self.host.run(["/usr/bin/ls", &format!("/proc/{}/fd", self.pid())]).ok();
        list.text().lines().count()
    }

    /// How often its vendor's command was run, its first start among them.
    pub(crate) fn starts(&self) -> usize {
        self.host.run(["/usr/bin/cat", &format!("/run/{}.restarts", self.process)]).ok().text().lines().count()
    }

    pub(crate) fn end(self) {
        self.host.signal(self.pid(), "TERM");
        let own = ["pid", "fifo", "restarts"].map(|name| format!("/run/{}.{name}", self.process));
        let program = format!("/usr/local/bin/{}", self.process);
        let all = own.iter().map(String::as_str).chain([self.script, &program]);
        self.host.run(["/usr/bin/rm", "-f"].into_iter().chain(all)).ok();
    }
}

#[test]
fn a_leaking_service_is_restarted_and_a_steady_one_near_its_limit_is_warned_of_and_left_alone() {
    let host = product::shared();
    let leaking = Scan::begin(&host, "/etc/iscan/S99ISftp", "isftpd", PACE, 1_000);
    // Nine tenths of its limit, at once: many, and no more of them.
    let steady = Scan::begin(&host, "/etc/iscan/S99ISproxy", "iwss-process", "0.05", 54);
    let (leaked, flat) = (leaking.pid(), steady.pid());
    let patches = [("every: 30s", "every: 2s"), ("attempts: 2,", "attempts: 50,")];
    product::patched_playbook(&host, "fd-leak", &patches);
    let story = Story::begin(&host);
    product::configure(&host, &format!("{ROOMY}sample_every: 2s\n"));

    let told = story.healed(CODE, HEALING);
    assert_eq!(told.actions(), ["command.run"], "{told}");
    let intent = told.last("intent");
    assert_eq!((&intent["class"], &intent["target"]), (&"A3".into(), &"iwss-ftp".into()), "{intent}");
    assert_eq!(leaking.starts(), 2, "one start by the test, one by the supervisor: {told}");
    assert_ne!(leaking.pid(), leaked);
    assert!(leaking.open() < 45, "the new process has fewer open");

    // Watched as long and as often.
    assert_eq!((steady.pid(), steady.starts()), (flat, 1), "{}", story.summary());
    assert!((55..63).contains(&steady.open()), "many are open: {}", steady.open());
    assert!(story.incidents("IWSS-HTTPLEAK").is_empty(), "{}", story.summary());
    let answer = product::doctor(&host);
    assert!(answer.cause("IWSS-HTTPLEAK").is_none_or(|cause| cause["severity"] != "fail"), "{}", answer.json);
    assert_eq!(answer.checks("IWSS-HTTPLEAK").len(), 1, "it is looked at: {}", answer.json);
    let near = answer.cause("HOST-NOFILE").unwrap_or_else(|| panic!("{}", answer.json));
    assert_eq!(
        (&near["severity"], &near["target"], &near["fix"]),
        (&"warn".into(), &"iwss-http".into(), &serde_json::Value::Null)
    );

    leaking.end();
    steady.end();
    product::roomy_playbook(&host, "fd-leak");
    product::configure(&host, ROOMY);
    product::healthy(&host);
}

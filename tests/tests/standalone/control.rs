//! The control socket as strangers meet it: unknown words, too many of them, and those who may only read.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use wbd_tests::exec;
use wbd_tests::places;
use wbd_tests::supervisor::copy;
use zbus::Connection;

use crate::trial::{SOON, Trial};

/// Connections of one sort that the supervisor serves at once.
const SERVED: usize = 16;
const NOBODY: u32 = 65_534;
/// Peers that mean no good.
const THOUSAND: usize = 1_000;
/// Answers that are timed beside them.
const ASKED: usize = 7;
/// What the supervisor may take at most meanwhile, unoptimised.
const MOST_KIB: u64 = 16 << 10;

async fn connect(root: &Path) -> zbus::Result<Connection> {
    let stream = UnixStream::connect(root.join("run/wbd/control.sock")).await.expect("somebody listens");
    zbus::connection::Builder::unix_stream(stream).p2p().build().await
}

async fn call(bus: &Connection, request: &str) -> String {
    let answer = bus.call_method(None::<&str>, "/wbd/control", Some("wbd.Control1"), "Call", &(request)).await;
    answer.expect("an answer").body().deserialize().expect("a text")
}

/// One question, as it goes over the socket.
pub(crate) fn ask(root: &Path, request: &str) -> String {
    runtime().block_on(async { call(&connect(root).await.expect("a handshake"), request).await })
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn an_unknown_request_is_refused_in_words_and_the_connection_goes_on() {
    let trial = Trial::begin("auto");
    runtime().block_on(async {
        let bus = connect(trial.root()).await.expect("a handshake");
        for request in ["{\"destroy\":{}}", "{\"status\":{}", "", "[]", "{\"approve\":{\"incident\":\"all\"}}"] {
            let answer = call(&bus, request).await;
            assert!(answer.starts_with("{\"refused\"") && answer.contains("cannot be read"), "{request}: {answer}");
        }
        let answer = call(&bus, "{\"status\":{}}").await;
        assert!(answer.contains("\"standalone\""), "{answer}");
    });
}

#[test]
fn one_connection_too_many_takes_the_place_of_the_one_that_asked_nothing_longest() {
    let trial = Trial::begin("auto");
    runtime().block_on(async {
        let mut served = Vec::new();
        for _ in 0..SERVED {
            let bus = connect(trial.root()).await.expect("a handshake");
            assert!(call(&bus, "{\"status\":{}}").await.contains("\"standalone\""));
            served.push(bus);
        }
        let oldest = served.remove(0);
        let late = tokio::time::timeout(SOON, async {
            let bus = connect(trial.root()).await.expect("a handshake");
            call(&bus, "{\"status\":{}}").await
        });
        let answer = late.await.expect("it need not wait for one of them to end");
        assert!(answer.contains("\"standalone\""), "{answer}");
        let cut =
            oldest.call_method(None::<&str>, "/wbd/control", Some("wbd.Control1"), "Call", &("{\"status\":{}}")).await;
        assert!(cut.is_err(), "it gave way: {cut:?}");
        for bus in &served {
            assert!(call(bus, "{\"status\":{}}").await.contains("\"standalone\""), "the others stay");
        }
    });
}

/// What a peer may send before it falls silent, or never reads.
fn malice(kind: usize) -> Vec<u8> {
    let uid: String = nix::unistd::geteuid().to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
    let hello = format!("\0AUTH EXTERNAL {uid}\r\nBEGIN\r\n").into_bytes();
    let call = zbus::Message::method_call("/wbd/control", "Call").expect("names").interface("wbd.Control1");
    let call = call.expect("a name").build(&("{\"report\":{}}")).expect("a message").data().to_vec();
    let mut huge = vec![b'l', 1, 0, 1];
    huge.extend([120_u32 << 20, 1, 8].iter().flat_map(|number| number.to_le_bytes()));
    huge.resize(32 << 10, b'x');
    match kind % 6 {
        0 => Vec::new(),
        1 => b"\0AUTH EXT".to_vec(),
        2 => [hello, call[..call.len() / 2].to_vec()].concat(),
        3 => [hello, huge].concat(),
        4 => [hello, call.repeat(100)].concat(),
        _ => b"\n".to_vec(),
    }
}

#[test]
fn a_thousand_peers_that_stall_or_flood_neither_hold_up_an_answer_nor_grow_the_supervisor() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let roomy = rustix::process::Rlimit { current: limit.maximum.map(|most| most.min(4096)), ..limit };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, roomy).expect("below the maximum");
    let trial = Trial::begin("auto");
    let socket = trial.root().join("run/wbd/control.sock");
    let mut peers = Vec::new();
    for kind in 0..THOUSAND {
        let mut peer = std::os::unix::net::UnixStream::connect(&socket).expect("somebody listens");
        peer.set_nonblocking(true).expect("our own socket");
        // Cut off in the middle of it, or not read to its end: both are right.
        let _ = peer.write(&malice(kind));
        peers.push(peer);
    }
    for _ in 0..ASKED {
        trial.ctl(&["status"]).ok();
    }
    let status = fs::read_to_string(format!("/proc/{}/status", trial.supervisor.pid())).expect("it runs");
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a process");
    let kib: u64 = anonymous.trim().trim_end_matches(" kB").parse().expect("a number");
    println!("beside {THOUSAND} peers: RssAnon {kib} KiB");
    assert!(kib < MOST_KIB, "{kib} KiB");
    drop(peers);
    trial.hurt(nix::sys::signal::Signal::SIGKILL);
    trial.healed(crate::trial::DOWN, 0, &["agent.start"]);
}

/// Strangers only exist where the test may become one.
fn as_nobody(trial: &Trial, args: &[&str]) -> exec::Ran {
    let wbdctl = trial.root().join("wbdctl");
    if !wbdctl.exists() {
        copy(&places::program("wbdctl"), &wbdctl);
        fs::set_permissions(trial.root(), fs::Permissions::from_mode(0o755)).expect("our own folder");
    }
    let mut command = Command::new(wbdctl);
    command.uid(NOBODY).gid(NOBODY).current_dir("/").arg("--root").arg(trial.root()).args(args);
    exec::run(&mut command, b"", SOON)
}

#[test]
fn a_stranger_may_look_and_change_nothing() {
    if !nix::unistd::geteuid().is_root() {
        println!("not root: nobody to be a stranger");
        return;
    }
    let trial = Trial::begin("auto");
    as_nobody(&trial, &["status"]).ok();
    as_nobody(&trial, &["incidents", "list"]).ok();
    let before = trial.of("manual").len();
    for change in [
        vec!["pause", "because I can"],
        vec!["resume"],
        vec!["reload"],
        vec!["deny", "I1"],
        vec!["waiver", "add", "WBD-6007", "--why", "x", "--for", "1d"],
        vec!["agent", "stop"],
        vec!["agent", "activate"],
        vec!["playbook", "run", "agent-down"],
        vec!["undo", "A1"],
    ] {
        let ran = as_nobody(&trial, &change).exits(77);
        assert!(String::from_utf8_lossy(&ran.stderr).contains("not permitted"), "{}", ran.report());
    }
    as_nobody(&trial, &["agent", "status"]).ok();
    assert_eq!((trial.of("manual").len(), trial.status()["hold"].as_str()), (before, Some("")));
}

#[test]
fn strangers_cannot_keep_an_administrator_out() {
    if !nix::unistd::geteuid().is_root() {
        println!("not root: nobody to be a stranger");
        return;
    }
    let trial = Trial::begin("auto");
    as_nobody(&trial, &["status"]).ok();
    // Silent connections of a stranger, many more than are served at once.
    let script = "import socket, sys, time\nall = []\nfor _ in range(200):\n    s = socket.socket(socket.AF_UNIX)\n    s.connect(sys.argv[1])\n    all.append(s)\nprint('open', flush=True)\nsys.stdin.read()\n";
    let mut flood = Command::new("/usr/bin/python3");
    flood.uid(NOBODY).gid(NOBODY).current_dir("/").args(["-c", script]).arg(trial.root().join("run/wbd/control.sock"));
    flood.env_clear().stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let Ok(mut flood) = flood.spawn() else {
        println!("no python3: nobody to be a stranger");
        return;
    };
    let mut said = [0; 4];
    std::io::Read::read_exact(flood.stdout.as_mut().expect("piped"), &mut said).expect("it connects");
    let paused = trial.ctl(&["pause", "strangers at the door"]);
    drop(flood.stdin.take());
    flood.wait().expect("our own child");
    paused.ok();
}

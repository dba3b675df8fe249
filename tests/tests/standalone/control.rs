//! The control socket as strangers meet it: unknown words, too many of them, and those who may only look.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use wbd_tests::exec;
use wbd_tests::places;
use zbus::Connection;

use crate::trial::{SOON, Trial};

/// Connections that the supervisor serves at once.
const SERVED: usize = 16;
const NOBODY: u32 = 65_534;

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
fn one_connection_too_many_waits_and_is_served_when_another_one_closes() {
    let trial = Trial::begin("auto");
    runtime().block_on(async {
        let mut served = Vec::new();
        for _ in 0..SERVED {
            let bus = connect(trial.root()).await.expect("a handshake");
            assert!(call(&bus, "{\"status\":{}}").await.contains("\"standalone\""));
            served.push(bus);
        }
        let late = async {
            let bus = connect(trial.root()).await.expect("a handshake");
            call(&bus, "{\"status\":{}}").await
        };
        tokio::pin!(late);
        let early = tokio::time::timeout(Duration::from_secs(1), &mut late).await;
        assert!(early.is_err(), "it was served beyond the bound: {early:?}");
        let closed = served.pop().expect("one of them");
        closed.close().await.expect("it was open");
        let answer = tokio::time::timeout(SOON, late).await.expect("a place is free");
        assert!(answer.contains("\"standalone\""), "{answer}");
    });
}

/// Strangers only exist where the test may become one.
fn as_nobody(trial: &Trial, args: &[&str]) -> exec::Ran {
    let wbdctl = trial.root().join("wbdctl");
    if !wbdctl.exists() {
        fs::copy(places::program("wbdctl"), &wbdctl).expect("scratch folder");
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

//! A host under a temporary root with the real agent on it; every process it starts is ended with it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use wbd_agent_api::{
    Command as Request, HealthDocument, INTERFACE_NAME, METHOD_NAME, OBJECT_PATH, Reply, health, paths,
};

pub(crate) const AGENT: &str = env!("CARGO_BIN_EXE_wbd_agent");
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Host {
    root: TempDir,
    children: Vec<Child>,
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), children: Vec::new() }
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// A folder of this host, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }

    pub(crate) fn agent(&self, args: &[&str]) -> Output {
        Command::new(AGENT).args(args).arg("--root").arg(self.root()).stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn agent_as(&self, uid: u32, args: &[&str]) -> Output {
        let mut command = Command::new(AGENT);
        command.args(args).arg("--root").arg(self.root()).stdin(Stdio::null()).uid(uid).gid(uid);
        command.output().unwrap()
    }

    pub(crate) fn verb(&self, verb: &str) -> Option<i32> {
        self.agent(&["-s", verb]).status.code()
    }

    /// Starts the agent in the foreground as a child, as `uid` if given, and waits for its health.
    pub(crate) fn foreground_as(&mut self, uid: Option<u32>, args: &[&str]) -> HealthDocument {
        let mut command = Command::new(AGENT);
        command.arg("--foreground").args(args).arg("--root").arg(self.root());
        if let Some(uid) = uid {
            command.uid(uid).gid(uid);
        }
        self.start(command)
    }

    /// The same, by way of another program that becomes the agent.
    pub(crate) fn foreground_under(&mut self, program: &[String]) -> HealthDocument {
        let mut command = Command::new(&program[0]);
        command.args(&program[1..]).arg(AGENT).arg("--foreground").arg("--root").arg(self.root());
        self.start(command)
    }

    fn start(&mut self, mut command: Command) -> HealthDocument {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let pid = child.id();
        self.children.push(child);
        self.wait("health of the new agent", |told| told.pid == pid && told.state != wbd_agent_api::State::Starting)
    }

    pub(crate) fn foreground(&mut self) -> HealthDocument {
        self.foreground_as(None, &[])
    }

    pub(crate) fn signal_last(&mut self, signal: nix::sys::signal::Signal) {
        let child = self.children.last_mut().unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).unwrap();
    }

    /// Waits for the last child's end.
    pub(crate) fn last_exit(&mut self) -> std::process::ExitStatus {
        let child = self.children.last_mut().unwrap();
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < DEADLINE, "the agent does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn health(&self) -> Option<HealthDocument> {
        health::read(&paths::health(self.root())).ok()
    }

    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&HealthDocument) -> bool) -> HealthDocument {
        let started = Instant::now();
        loop {
            let told = self.health();
            if let Some(told) = told.as_ref().filter(|told| holds(told)) {
                return told.clone();
            }
            assert!(started.elapsed() < DEADLINE, "never: {what}; last {told:#?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn ask(&self, request: &Request) -> Reply {
        let text = self.ask_text(serde_json::to_string(request).unwrap());
        serde_json::from_str(&text).unwrap()
    }

    /// Sends any text, as any client could.
    pub(crate) fn ask_text(&self, request: String) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = async {
            let stream = tokio::net::UnixStream::connect(paths::socket(self.root())).await.unwrap();
            let connection = zbus::connection::Builder::unix_stream(stream).p2p().build().await.unwrap();
            let nobody = None::<zbus::names::BusName<'_>>;
            let body = (request,);
            let answer =
                connection.call_method(nobody, OBJECT_PATH, Some(INTERFACE_NAME), METHOD_NAME, &body).await.unwrap();
            answer.body().deserialize::<String>().unwrap()
        };
        runtime.block_on(async { tokio::time::timeout(DEADLINE * 2, asked).await.unwrap() })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        // A daemonised agent is ended by its own verb, which knows it by more than a pid.
        let _ = Command::new(AGENT).args(["-s", "stop", "--root"]).arg(self.root()).output();
    }
}

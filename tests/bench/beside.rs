//! What a host may be full of while wbd is measured: idle processes, short-lived ones, watched folders. Each ends with
//! its guard, however that ends. Measures nothing.
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use wbd_tests::deadline::wait_until;
use wbd_tests::host::Host;
use wbd_tests::supervisor::scratch_root;
use wbd_tests::sysctl_guard::SysctlGuard;

use crate::stage::{Alone, HEALTH};

/// What an idle host costs may at most double with so many.
const MANY: usize = 5_000;
/// One new process each so long: 50 a second.
const APART: Duration = Duration::from_millis(20);
/// As many folders as a large site has.
const FOLDERS: u64 = 100_000;
/// Room for them twice over: with less the limit would be near, and that is another case.
const WATCHES: &str = "400000";
/// Walking so many folders takes seconds.
const WATCHED: Duration = Duration::from_secs(120);

/// Each process of the crowd waits for a pipe that ends with the bench, however that ends.
const CROWD: &str = "exec 3<&0 </dev/null; i=0
while [ $i -lt $1 ]; do (read _ <&3) & i=$((i + 1)); done
echo ready; wait";
/// A process for each line.
const FORKS: &str = "echo ready; while read _; do /bin/true; done";

/// What the host is full of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Beside {
    /// Next to nothing.
    Nothing,
    /// Idle processes.
    Processes,
    /// Short-lived processes.
    Forks,
    /// An agent that watches folders.
    Folders,
}

impl Beside {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Processes, Self::Forks, Self::Folders];

    /// For the tables.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "alone",
            Self::Processes => "5,000 processes",
            Self::Forks => "50 forks a second",
            Self::Folders => "100,000 folders",
        }
    }

    /// How many times the cost of an empty host may be taken.
    pub(crate) fn times(self) -> f64 {
        match self {
            Self::Nothing => 1.0,
            Self::Processes | Self::Forks | Self::Folders => 2.0,
        }
    }

    /// The first looks and the allocator's growth are over by then; and each new process was read, twice.
    pub(crate) fn settles(self) -> Duration {
        match self {
            Self::Nothing | Self::Forks | Self::Folders => Duration::from_secs(30),
            Self::Processes => Duration::from_secs(130),
        }
    }

    /// How long it is measured, each time. What happens beside many processes now and then is dear: all are read again
    /// every 5 minutes, and their descriptors are counted every 15.
    pub(crate) fn windows(self, short: bool) -> Vec<Duration> {
        let (seconds, times) = match self {
            Self::Nothing | Self::Forks | Self::Folders => (60, if short { 1 } else { 3 }),
            Self::Processes => (if short { 300 } else { 900 }, 1),
        };
        vec![Duration::from_secs(seconds); times]
    }

    /// Fills the host, from within the booted one where there is one: its processes are seen on this machine too.
    pub(crate) fn begin(self, host: Option<&Host>) -> Full {
        match self {
            Self::Nothing | Self::Folders => Full::Nothing,
            Self::Processes => Full::Crowd(Shell::begin(host, CROWD)),
            Self::Forks => Full::Forks(Forks::begin(Shell::begin(host, FORKS))),
        }
    }

    /// A stand-alone supervisor and its agent, which watches folders if that is what is asked for.
    pub(crate) fn alone(self) -> Watching {
        match self {
            Self::Nothing | Self::Processes | Self::Forks => Watching { alone: Alone::start(), _site: None },
            Self::Folders => Watching::begin(),
        }
    }
}

/// A host that is full of something, until this is dropped.
#[derive(Debug)]
#[expect(dead_code, reason = "kept for what dropping them does")]
pub(crate) enum Full {
    /// Of nothing.
    Nothing,
    /// Of idle processes.
    Crowd(Shell),
    /// Of short-lived ones.
    Forks(Forks),
}

/// A shell that does its work until its input ends.
#[derive(Debug)]
pub(crate) struct Shell {
    child: Child,
    input: Option<ChildStdin>,
}

impl Shell {
    fn begin(host: Option<&Host>, script: &str) -> Self {
        let shell = ["/bin/sh", "-c", script, "sh", &MANY.to_string()].map(str::to_owned);
        let mut command = match host {
            Some(host) => {
                let leader = host.leader().expect("the host is up").to_string();
                let mut enter = Command::new("/usr/bin/nsenter");
                enter.args(["--all", "--target", &leader, "--"]).args(shell);
                enter
            }
            None => {
                let [program, arguments @ ..] = shell;
                let mut command = Command::new(program);
                command.args(arguments);
                command
            }
        };
        let mut child = command.env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell");
        let mut line = String::new();
        let output = child.stdout.take().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("the shell answers");
        assert_eq!(line, "ready\n", "the shell did not get so far");
        let input = child.stdin.take();
        Self { child, input }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        drop(self.input.take());
        self.child.wait().ok();
    }
}

/// Tells a shell to begin a process, again and again.
#[derive(Debug)]
pub(crate) struct Forks {
    stop: Option<Sender<()>>,
    pace: Option<JoinHandle<()>>,
}

impl Forks {
    fn begin(mut shell: Shell) -> Self {
        let (stop, stopped) = channel();
        let pace = thread::spawn(move || {
            while stopped.recv_timeout(APART) == Err(RecvTimeoutError::Timeout) {
                let told = shell.input.as_mut().is_some_and(|input| input.write_all(b"\n").is_ok());
                assert!(told, "the shell that begins processes has ended");
            }
        });
        Self { stop: Some(stop), pace: Some(pace) }
    }
}

impl Drop for Forks {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(pace) = self.pace.take() {
            pace.join().ok();
        }
    }
}

/// A supervisor with its agent, and the folders that this one watches.
#[derive(Debug)]
pub(crate) struct Watching {
    /// Both.
    pub(crate) alone: Alone,
    _site: Option<(TempDir, SysctlGuard)>,
}

impl Watching {
    fn begin() -> Self {
        let limits = SysctlGuard::take();
        fs::write("/proc/sys/fs/inotify/max_user_watches", WATCHES).expect("root sets limits");
        let site = tempfile::Builder::new().prefix("wbd-site-").tempdir().expect("a folder");
        for number in 0..FOLDERS {
            let folder = site.path().join(format!("{}/{}", number / 1_000, number % 1_000));
            fs::create_dir_all(folder).expect("room for the folders");
        }
        let root = scratch_root();
        let state = root.path().join("var/lib/wbd/agent");
        fs::create_dir_all(&state).expect("scratch folder");
        // As the agent itself writes them: an activation would ask for a web server.
        let settings = format!(
            "generation: 1\nactive: true\ntargets:\n- id: site\n  web_root: {}\n  language: php\n",
            site.path().display()
        );
        fs::write(state.join("settings.yaml"), settings).expect("scratch folder");
        let alone = Alone::on(root);
        wait_until("every folder watched", WATCHED, || {
            let text = fs::read_to_string(alone.root.path().join(HEALTH)).unwrap_or_default();
            let told: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            let watches = &told["watches"];
            let all =
                watches["used"].as_u64() > Some(FOLDERS) && watches["scanning"] == false && watches["missing"] == 0;
            if all { Ok(()) } else { Err(watches.to_string()) }
        });
        Self { alone, _site: Some((site, limits)) }
    }
}

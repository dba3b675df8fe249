//! The way into a virtual machine: one program at a time over its port; tests/vm/shell is the other side.

use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::deadline::poll;
use crate::exec::Ran;

/// How much longer than the program itself its answer may take: the machine may be starved.
const ANSWER: Duration = Duration::from_secs(60);
/// A single look at the socket.
const TURN: Duration = Duration::from_millis(500);

/// An open port.
#[derive(Debug)]
pub(super) struct Shell {
    port: UnixStream,
    buffer: Vec<u8>,
    number: u64,
    boot_id: String,
    /// What was run, how it ended and how long that took, for people.
    log: File,
}

impl Shell {
    /// Connects and waits until the other side is there; gives up at once when the emulator has ended.
    pub(super) fn open(path: &Path, log: File, deadline: Duration, runs: impl Fn() -> bool) -> Result<Self, String> {
        let until = Instant::now() + deadline;
        let port = poll(deadline, || match UnixStream::connect(path) {
            Err(why) if runs() => Err(why.to_string()),
            answer => Ok(answer),
        })?;
        let port = port.map_err(|why| format!("qemu has ended ({why})"))?;
        port.set_read_timeout(Some(TURN)).map_err(|why| why.to_string())?;
        let mut shell = Self { port, buffer: Vec::new(), number: 0, boot_id: String::new(), log };
        loop {
            match shell.wait_ready(TURN, None) {
                Err(_) if runs() && Instant::now() < until => {}
                answer => return answer.map(|()| shell),
            }
        }
    }

    pub(super) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    /// Waits for a boot that is not `before`.
    pub(super) fn wait_ready(&mut self, deadline: Duration, before: Option<&str>) -> Result<(), String> {
        let until = Instant::now() + deadline;
        loop {
            let line = self.line(until)?;
            let Some(boot_id) = line.strip_prefix("ready ") else { continue };
            if before != Some(boot_id) {
                boot_id.clone_into(&mut self.boot_id);
                return Ok(());
            }
        }
    }

    /// Asks for a program and does not wait for its end.
    pub(super) fn send(&mut self, argv: &[&str]) -> Result<(), String> {
        let argv: Vec<_> = argv.iter().map(OsString::from).collect();
        self.ask(&argv, b"", Duration::from_secs(60))
    }

    /// Runs a program to its end.
    pub(super) fn run(&mut self, argv: &[OsString], input: &[u8], deadline: Duration) -> Result<Ran, String> {
        let begun = Instant::now();
        self.ask(argv, input, deadline)?;
        let until = begun + deadline + ANSWER;
        loop {
            let line = self.line(until).map_err(|why| format!("{argv:?}: {why}"))?;
            if line.starts_with("ready ") {
                return Err(format!("the machine or its shell began anew during {argv:?}"));
            }
            let words: Vec<i64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
            let [number, code, stdout, stderr] = words[..] else {
                return Err(format!("the shell said \"{line}\""));
            };
            let (stdout, stderr) = (self.bytes(stdout, until)?, self.bytes(stderr, until)?);
            // An older one is the answer to a program that nobody waited for.
            if u64::try_from(number) == Ok(self.number) {
                let code = i32::try_from(code).ok().filter(|code| *code >= 0);
                let ran = Ran { command: format!("{argv:?}"), code, stdout, stderr, took: begun.elapsed() };
                writeln!(self.log, "{:?} {:?} {}", ran.code, ran.took, ran.command).ok();
                return Ok(ran);
            }
        }
    }

    fn ask(&mut self, argv: &[OsString], input: &[u8], deadline: Duration) -> Result<(), String> {
        self.number += 1;
        let words: Vec<u8> = argv.iter().flat_map(|arg| arg.as_bytes().iter().copied().chain([0])).collect();
        let seconds = deadline.as_secs() + 1;
        let mut request = format!("{} {seconds} {} {}\n", self.number, words.len(), input.len()).into_bytes();
        request.extend(words);
        request.extend(input);
        self.port.write_all(&request).map_err(|why| format!("cannot ask for {argv:?}: {why}"))
    }

    fn line(&mut self, until: Instant) -> Result<String, String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.more(until)?;
        }
    }

    fn bytes(&mut self, length: i64, until: Instant) -> Result<Vec<u8>, String> {
        let length = usize::try_from(length).map_err(|_| "a length below zero".to_owned())?;
        while self.buffer.len() < length {
            self.more(until)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    fn more(&mut self, until: Instant) -> Result<(), String> {
        let mut bytes = [0; 65_536];
        loop {
            match self.port.read(&mut bytes) {
                Ok(0) => return Err("the machine is gone".to_owned()),
                Ok(length) => {
                    self.buffer.extend_from_slice(&bytes[..length]);
                    return Ok(());
                }
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    if Instant::now() >= until {
                        return Err("no answer in time".to_owned());
                    }
                }
                Err(why) => return Err(why.to_string()),
            }
        }
    }
}

//! Running one program to its end within a deadline, with bounded output and a cleared environment.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use crate::deadline::poll;

/// More output than this is cut off: a test that needs more is looking at the wrong thing.
const OUTPUT_LIMIT: u64 = 16 * 1024 * 1024;
/// What a cleared environment still has to say so that scripts inside hosts find their programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program that has ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The command as text, for messages.
    pub command: String,
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
    /// Wall time it took.
    pub took: Duration,
}

impl Ran {
    /// Standard output as text, without the last line's end.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    /// Itself, when the exit code was 0.
    ///
    /// # Panics
    /// On any other end, with all output.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Itself, when the exit code was `code`.
    ///
    /// # Panics
    /// On any other end, with all output.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(self.code == Some(code), "expected exit code {code}\n{}", self.report());
        self
    }

    /// All that is known about this run, for messages.
    #[must_use]
    pub fn report(&self) -> String {
        format!(
            "{}\nexit code {:?} after {:?}\nstdout: {}\nstderr: {}",
            self.command,
            self.code,
            self.took,
            String::from_utf8_lossy(&self.stdout),
            String::from_utf8_lossy(&self.stderr)
        )
    }
}

/// Runs `command` to its end, feeding it `input`.
///
/// # Panics
/// When it cannot be started or does not end within `deadline` (it is killed first).
#[must_use = "how it ended is the point of running it"]
#[track_caller]
pub fn run(command: &mut Command, input: &[u8], deadline: Duration) -> Ran {
    let shown = format!("{command:?}");
    let begun = Instant::now();
    let mut child = command
        .env_clear()
        .env("PATH", PATH)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|why| panic!("cannot start {shown}: {why}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // A program may end without reading its input; what it then says counts, not our broken pipe.
    thread::spawn(move || stdin.write_all(&input).ok());
    let stdout = collect(child.stdout.take().expect("piped"));
    let stderr = collect(child.stderr.take().expect("piped"));
    let ended = poll(deadline, || {
        let status = child.try_wait().map_err(|why| why.to_string())?;
        status.ok_or_else(|| "still running".to_owned())
    });
    let status = ended.unwrap_or_else(|seen| {
        child.kill().ok();
        child.wait().ok();
        panic!("{shown} did not end within {deadline:?}: {seen}")
    });
    Ran { command: shown, code: status.code(), stdout: take(&stdout), stderr: take(&stderr), took: begun.elapsed() }
}

fn collect(from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (done, collected) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.take(OUTPUT_LIMIT).read_to_end(&mut bytes).ok();
        done.send(bytes).ok();
    });
    collected
}

/// A grandchild may hold the pipe open after its parent has ended: then there is nothing to show, and no reason to wait.
fn take(collected: &mpsc::Receiver<Vec<u8>>) -> Vec<u8> {
    collected.recv_timeout(Duration::from_secs(20)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn gives_input_and_takes_both_outputs_and_the_code() {
        let ran =
            run(Command::new("/bin/sh").args(["-c", "cat; echo bad >&2; exit 3"]), b"hello\n", Duration::from_secs(20));
        assert_eq!((ran.code, ran.text().as_str()), (Some(3), "hello"));
        assert_eq!(ran.stderr, b"bad\n");
        assert!(catch_unwind(|| ran.ok()).is_err());
    }

    #[test]
    fn ends_what_does_not_end() {
        let begun = Instant::now();
        let caught = catch_unwind(|| {
            let mut endless = Command::new("/bin/sleep");
            run(endless.arg("1000"), b"", Duration::from_millis(100)).report()
        });
        assert!(caught.is_err() && begun.elapsed() < Duration::from_secs(10));
    }
}

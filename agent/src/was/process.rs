//! What `/proc` says of each process; bytes in, no opinion about what the process is.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use wbd_agent_api::standing::program_path;

/// A java command line is long; of a longer one the beginning is enough.
const MAX_CMDLINE_BYTES: u64 = 256 * 1024;

/// One process as one look found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    /// The name the kernel keeps: at most 15 bytes.
    pub(crate) comm: Vec<u8>,
    pub(crate) args: Vec<Vec<u8>>,
    /// The program, without the kernel's note that its file was replaced; `None` if we may not know.
    pub(crate) exe: Option<PathBuf>,
}

impl Process {
    /// The program's name, or the kernel's name where the program may not be known.
    pub(crate) fn name(&self) -> &OsStr {
        self.exe.as_deref().and_then(Path::file_name).unwrap_or_else(|| OsStr::from_bytes(&self.comm))
    }

    /// The process itself says that it is a worker, as nginx and php-fpm do by their title.
    /// This matters where the master died and its workers became children of init.
    pub(crate) fn says_worker(&self) -> bool {
        let title = self.args.first().map(Vec::as_slice).unwrap_or_default();
        [&b"nginx: worker"[..], b"nginx: cache", b"php-fpm: pool"].iter().any(|worker| title.starts_with(worker))
    }

    /// An argument stands alone on the command line.
    pub(crate) fn has_arg(&self, arg: &str) -> bool {
        self.args.iter().any(|own| own == arg.as_bytes())
    }
}

/// The process ended while it was looked at.
pub(crate) fn has_ended(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH)
}

/// `None` for what cannot be a server: kernel threads and zombies.
pub(crate) fn read_process(folder: &Path, pid: u32) -> io::Result<Option<Process>> {
    let stat = fs::read(folder.join("stat"))?;
    let Some((comm, state, parent)) = parse_stat(&stat) else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "stat"));
    };
    if state == "Z" || state == "X" {
        return Ok(None);
    }
    let mut cmdline = Vec::new();
    File::open(folder.join("cmdline"))?.take(MAX_CMDLINE_BYTES).read_to_end(&mut cmdline)?;
    if cmdline.is_empty() {
        return Ok(None);
    }
    let exe = fs::read_link(folder.join("exe")).ok().map(|link| program_path(&link));
    let args = cmdline.split(|byte| *byte == 0).filter(|arg| !arg.is_empty()).map(<[u8]>::to_vec).collect();
    Ok(Some(Process { pid, parent, comm, args, exe }))
}

/// Name, state and parent. The name may hold brackets and spaces, so it ends at the last bracket.
fn parse_stat(stat: &[u8]) -> Option<(Vec<u8>, &str, u32)> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let comm = stat.get(open + 1..close)?.to_vec();
    let mut rest = std::str::from_utf8(stat.get(close + 2..)?).ok()?.split(' ');
    Some((comm, rest.next()?, rest.next()?.parse().ok()?))
}

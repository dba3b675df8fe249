//! The demo's folder: a root with everything that a stand-alone wbd needs. Removed when it goes out of use.
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use wbd_agent_api::Whole;

use crate::exit::Failure;

use super::content;

/// Sockets below the folder must fit into 108 bytes.
const LONGEST_BASE: usize = 60;

/// The folder.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes and fills it with a copy of the agent; where programs may not be run (noexec), the next place is tried.
    ///
    /// # Errors
    /// No place is left.
    pub(crate) fn new(agent: &Path, keep: bool) -> Result<Self, Failure> {
        let mut last = String::new();
        for base in bases() {
            let made = make(&base, keep).and_then(|scratch| {
                scratch.fill(agent)?;
                scratch.tried()?;
                Ok(scratch)
            });
            match made {
                Ok(scratch) => return Ok(scratch),
                Err(error) => last = format!("{}: {error}", base.display()),
            }
        }
        Err(Failure::failed(format!(
            "cannot make a scratch folder: {last}; set TMPDIR to a folder where programs may be run"
        )))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The agent's program in it.
    pub(crate) fn agent(&self) -> PathBuf {
        self.path.join("opt/nbp/wbd/wbd_agent")
    }

    /// It stays.
    pub(crate) fn is_kept(&self) -> bool {
        self.keep
    }

    /// Puts a file in place of another one, so that whoever reads it sees the old or the new one.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn put(&self, name: &str, text: &[u8], mode: u32) -> io::Result<()> {
        Whole::at(&self.path.join(name), mode).replace(text)
    }

    fn fill(&self, agent: &Path) -> io::Result<()> {
        for name in content::FOLDERS {
            // Modes are set, not left to the umask: playbooks that others may write are not loaded.
            let mut folder = self.path.clone();
            for part in Path::new(name) {
                folder.push(part);
                if !folder.is_dir() {
                    fs::create_dir(&folder)?;
                    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
                }
            }
        }
        for (name, text) in content::PLAYBOOKS {
            self.put(&format!("usr/lib/wbd/playbooks/{name}"), text.as_bytes(), 0o644)?;
        }
        if let Some((name, text)) = content::overlay() {
            self.put(&format!("etc/wbd/playbooks.d/{name}"), text.as_bytes(), 0o644)?;
        }
        self.put("etc/wbd/wbd.yaml", content::SETTINGS.as_bytes(), 0o644)?;
        for name in ["settings.yaml", "settings.good"] {
            self.put(&format!("var/lib/wbd/agent/{name}"), content::AGENT_SETTINGS.as_bytes(), 0o600)?;
        }
        fs::copy(agent, self.agent())?;
        fs::set_permissions(self.agent(), fs::Permissions::from_mode(0o755))
    }

    fn tried(&self) -> io::Result<()> {
        let mut agent = Command::new(self.agent());
        agent.arg("--version").env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = agent.status()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!("the agent's program does not run there: {status}")))
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            // Nobody is left to be told; the folder holds nothing but the demo's own files.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn bases() -> Vec<PathBuf> {
    let wanted = std::env::var_os("TMPDIR").map(PathBuf::from);
    let beside = std::env::current_exe().ok().and_then(|own| own.parent().map(Path::to_path_buf));
    [wanted, Some("/tmp".into()), Some("/var/tmp".into()), beside]
        .into_iter()
        .flatten()
        .filter(|base| base.is_absolute() && base.as_os_str().len() <= LONGEST_BASE)
        .collect()
}

fn make(base: &Path, keep: bool) -> io::Result<Scratch> {
    let path = nix::unistd::mkdtemp(&base.join("wbd-demo.XXXXXX"))?;
    // A link on the way (/tmp -> /private/tmp) would hide that a process runs a program below it.
    let path = fs::canonicalize(path)?;
    Ok(Scratch { path, keep })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_a_stand_alone_supervisor_needs_and_goes_without_a_trace() {
        let scratch = Scratch::new(Path::new("/bin/true"), false).unwrap();
        let path = scratch.path().to_path_buf();
        for name in ["opt/nbp/wbd/wbd_agent", "etc/wbd/wbd.yaml", "run/wbd", "var/lib/wbd/agent/settings.good"] {
            assert!(path.join(name).exists(), "{name}");
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(path.join("usr/lib/wbd/playbooks")).unwrap().permissions().mode() & 0o777, 0o755);
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_place_where_the_agent_does_not_run_leaves_nothing_behind() {
        let before = leftovers();
        assert!(Scratch::new(Path::new("/bin/false"), false).is_err());
        assert!(leftovers() <= before);
    }

    fn leftovers() -> usize {
        let own = |entry: &fs::DirEntry| entry.path().join("opt/nbp/wbd/wbd_agent").is_file();
        fs::read_dir("/var/tmp").unwrap().flatten().filter(own).count()
    }
}

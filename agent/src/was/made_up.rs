//! A made-up /proc for tests, with the program files that its processes run. Nothing of it runs.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The folder, with `proc` in it and the programs below `host`.
pub(crate) struct MadeUpProc(TempDir);

impl MadeUpProc {
    pub(crate) fn new() -> Self {
        let made_up = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(made_up.root().join("sys")).unwrap();
        place(&made_up.root().join("self"));
        made_up
    }

    /// The made-up /proc.
    pub(crate) fn root(&self) -> PathBuf {
        self.0.path().join("proc")
    }

    /// Where the program of this name is.
    pub(crate) fn program(&self, exe: &str) -> PathBuf {
        self.0.path().join("host").join(exe.trim_start_matches('/'))
    }

    /// A process of root's that runs a file of ours.
    pub(crate) fn add(&self, pid: u32, parent: u32, exe: &str, args: &[&str]) -> &Self {
        let folder = self.root().join(pid.to_string());
        fs::create_dir(&folder).unwrap();
        let comm: String = exe.rsplit('/').next().unwrap().chars().take(15).collect();
        fs::write(folder.join("stat"), format!("{pid} ({comm}) S {parent} 1 1 0 -1\n")).unwrap();
        fs::write(folder.join("cmdline"), args.join("\0") + "\0").unwrap();
        let program = self.program(exe);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "").unwrap();
        symlink(program, folder.join("exe")).unwrap();
        place(&folder);
        self.user(pid, 0)
    }

    /// It is this user's.
    pub(crate) fn user(&self, pid: u32, uid: u32) -> &Self {
        let status = format!("Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n");
        fs::write(self.root().join(pid.to_string()).join("status"), status).unwrap();
        self
    }

    /// It is in another pid namespace.
    pub(crate) fn nest(&self, pid: u32) -> &Self {
        let link = self.root().join(pid.to_string()).join("ns/pid");
        fs::remove_file(&link).unwrap();
        symlink("pid:[2]", link).unwrap();
        self
    }
}

fn place(process: &Path) {
    fs::create_dir_all(process.join("ns")).unwrap();
    for kind in ["pid", "user"] {
        symlink(format!("{kind}:[1]"), process.join("ns").join(kind)).unwrap();
    }
    symlink("/", process.join("root")).unwrap();
}

//! A file system in a host that never answers: a FUSE mount whose server does not even say hello; it holds no expectation.

use std::fs::{File, OpenOptions};
use std::process::{Command, Stdio};

use crate::host::Host;

/// A mount on which every look hangs. Dropping it answers all of them with an error and takes it away.
#[derive(Debug)]
pub struct HungMount<'a> {
    host: &'a Host,
    path: String,
    /// The server's end; the kernel gives up waiting when the last one is closed.
    device: Option<File>,
}

impl<'a> HungMount<'a> {
    /// Over the folder `path` of the host, which is made if it is not there.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    #[track_caller]
    pub fn over(host: &'a Host, path: &str) -> Self {
        host.run(["/usr/bin/mkdir", "-p", path]).ok();
        let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").expect("/dev/fuse");
        let leader = host.leader().unwrap_or_else(|why| panic!("{why}"));
        let mut enter = Command::new("/usr/bin/nsenter");
        enter
            .args(["--mount", "--target", &leader.to_string(), "--"])
            // Without the helper, which would be a server.
            .args(["/usr/bin/mount", "-i", "-t", "fuse"])
            .args(["-o", "fd=0,rootmode=40000,user_id=0,group_id=0,allow_other", "hung", path])
            .stdin(Stdio::from(device.try_clone().expect("file handle")));
        let mounted = enter.output().expect("nsenter starts");
        assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
        Self { host, path: path.to_owned(), device: Some(device) }
    }
}

impl Drop for HungMount<'_> {
    fn drop(&mut self) {
        drop(self.device.take());
        // Busy for as long as somebody still looks at the error that he got.
        drop(self.host.run(["/usr/bin/umount", "--lazy", &self.path]));
    }
}

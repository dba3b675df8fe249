//! A small disk of a host's own (a loop device with ext4) that can be filled, made read-only by an error, or made to fail;
//! it holds no expectation.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::exec::{self, Ran};
use crate::host::Host;
use crate::places;

const SIZE: &str = "24M";
const DEADLINE: Duration = Duration::from_secs(30);
/// EXT4_IOC_SHUTDOWN with "do not even write the log": from then on the file system answers every write with EIO.
const SHUT_DOWN: &str = "import fcntl, os, struct, sys
fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// The disk, mounted over a folder with all that was in it. Dropping it puts what is in it then back into the folder.
#[derive(Debug)]
pub struct SmallDisk<'a> {
    host: &'a Host,
    folder: String,
    units: Vec<String>,
    image: PathBuf,
    device: String,
}

impl<'a> SmallDisk<'a> {
    /// Over `folder` of the host; the services that use it are stopped meanwhile.
    ///
    /// # Panics
    /// When anything of that fails.
    #[must_use]
    #[track_caller]
    pub fn over(host: &'a Host, folder: &str, units: &[&str]) -> Self {
        let image = places::target_dir().join(format!("hosts/{}.{}.img", host.name(), std::process::id()));
        machine(&["/usr/bin/truncate", "-s", SIZE, &image.to_string_lossy()]);
        // A block for each file, and nothing kept back for root.
        machine(&["/usr/sbin/mkfs.ext4", "-q", "-F", "-m", "0", "-b", "1024", &image.to_string_lossy()]);
        let device = machine(&["/usr/sbin/losetup", "--find", "--show", &image.to_string_lossy()]).text();
        let number = device.trim_start_matches("/dev/loop").to_owned();
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        let disk = Self { host, folder: folder.to_owned(), units, image, device };
        disk.systemctl("stop");
        drop(host.run(["/usr/bin/mknod", &disk.device, "b", "7", &number]));
        disk.shell("mkdir -p /srv/small && mount -o errors=remount-ro DEVICE /srv/small && cp -a FOLDER/. /srv/small/");
        disk.shell("umount /srv/small && mount -o errors=remount-ro DEVICE FOLDER");
        disk.systemctl("start");
        disk
    }

    /// Fills it to the last byte.
    ///
    /// # Panics
    /// When there is still room.
    #[track_caller]
    pub fn fill(&self) {
        let fill = "for bs in 64k 1k; do dd if=/dev/zero of=FOLDER/fill bs=$bs oflag=append conv=notrunc 2>/dev/null; done; ! echo more >FOLDER/more";
        self.shell(fill);
    }

    /// Gives the room back.
    ///
    /// # Panics
    /// When it cannot.
    #[track_caller]
    pub fn make_room(&self) {
        self.shell("rm -f FOLDER/fill FOLDER/more");
    }

    /// An error of the file system, after which the kernel lets nobody write any more.
    ///
    /// # Panics
    /// When the kernel has no such switch.
    #[track_caller]
    pub fn hurt(&self) {
        let name = self.device.trim_start_matches("/dev/");
        fs::write(format!("/sys/fs/ext4/{name}/trigger_fs_error"), "a test of wbd's").expect("the kernel's switch");
    }

    /// From now on every write fails with EIO.
    ///
    /// # Panics
    /// When it cannot be done.
    #[track_caller]
    pub fn break_down(&self) {
        let inside = self.host.inside(&self.folder).unwrap_or_else(|why| panic!("{why}"));
        machine(&["/usr/bin/python3", "-c", SHUT_DOWN, &inside.to_string_lossy()]);
    }

    /// As an administrator does: services stopped, checked, mounted again, services started.
    ///
    /// # Panics
    /// When it does not come back.
    #[track_caller]
    pub fn repair(&self) {
        self.systemctl("stop");
        self.shell("umount FOLDER");
        // 1: errors were corrected.
        let mut check = Command::new("/usr/sbin/e2fsck");
        let checked = exec::run(check.args(["-f", "-y", &self.device]), b"", DEADLINE);
        assert!(matches!(checked.code, Some(0 | 1)), "{}", checked.report());
        self.shell("mount -o errors=remount-ro DEVICE FOLDER");
        self.systemctl("start");
    }

    #[track_caller]
    fn systemctl(&self, verb: &str) {
        // Started more often than its unit allows in a while.
        drop(self.host.run(["/usr/bin/systemctl", "reset-failed"]));
        self.host.run(["/usr/bin/systemctl", verb].into_iter().chain(self.units.iter().map(String::as_str))).ok();
    }

    #[track_caller]
    fn shell(&self, line: &str) {
        let line = line.replace("FOLDER", &self.folder).replace("DEVICE", &self.device);
        self.host.run(["/usr/bin/bash", "-c", &line]).ok();
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // After a failure the host is thrown away; only the machine's own device is given back then.
        if !std::thread::panicking() {
            self.systemctl("stop");
            self.shell("rm -rf /srv/small && cp -a FOLDER /srv/small && umount FOLDER && rm -rf FOLDER/* && cp -a /srv/small/. FOLDER/ && rm -rf /srv/small");
            self.systemctl("start");
        } else {
            drop(self.host.run(["/usr/bin/umount", "--lazy", &self.folder]));
        }
        drop(exec::run(Command::new("/usr/sbin/losetup").args(["--detach", &self.device]), b"", DEADLINE));
        fs::remove_file(&self.image).ok();
    }
}

/// Runs a program of the machine's.
#[track_caller]
fn machine(argv: &[&str]) -> Ran {
    let (program, args) = argv.split_first().expect("a program");
    exec::run(Command::new(program).args(args), b"", DEADLINE).ok()
}

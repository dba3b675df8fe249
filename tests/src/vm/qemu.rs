//! The emulator's process: how it is started, and its end, which is a power cut; it says nothing to the machine inside.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;

use super::image::Image;

/// Root is on the disk that qemu gives, nothing else is looked for.
const KERNEL_LINE: &str = "root=/dev/vda rw console=ttyS0 quiet mitigations=off panic=1 systemd.show_status=0";

/// A running emulator. It ends with this value, and with the test process, however that one ends.
#[derive(Debug)]
pub(super) struct Qemu {
    child: Mutex<Child>,
    /// Lets the thread go that the kernel takes for the emulator's parent.
    _parent: Sender<()>,
}

impl Qemu {
    /// Starts the machine: `port` becomes the socket of the tests' own port, `console` a file.
    pub(super) fn start(image: &Image, disk: &Path, port: &Path, console: &Path) -> Self {
        let log = File::create(console.with_extension("qemu")).expect("log file");
        let (socket, drive, serial) = (
            format!("socket,id=port,path={},server=on,wait=off", port.display()),
            // Without the machine's cache: what was not flushed before the cut is as lost as on a real disk.
            format!("file={},if=virtio,cache=none,format=qcow2", disk.display()),
            format!("file:{}", console.display()),
        );
        // Its own death would be survived by qemu; the thread that starts it counts as its parent, so it has to stay.
        let mut qemu = Command::new("/usr/bin/setpriv");
        qemu.args(["--pdeathsig", "KILL", "--", "/usr/bin/qemu-system-x86_64", "-no-user-config", "-nodefaults"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024", "-display", "none"])
            .args(["-kernel".as_ref(), image.kernel.as_os_str(), "-initrd".as_ref(), image.initrd.as_os_str()])
            .args(["-append", KERNEL_LINE, "-drive", &drive, "-serial", &serial, "-device", "virtio-serial-pci"])
            .args(["-chardev", &socket, "-device", "virtserialport,chardev=port,name=wbd.tests"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("file handle"))
            .stderr(log);
        let (parent, over) = mpsc::channel();
        let (tell, started) = mpsc::channel();
        thread::spawn(move || {
            tell.send(qemu.spawn()).ok();
            over.recv().ok();
        });
        let child =
            started.recv().expect("the thread answers").unwrap_or_else(|why| panic!("cannot start qemu: {why}"));
        Self { child: Mutex::new(child), _parent: parent }
    }

    /// Whether the emulator still runs.
    pub(super) fn runs(&self) -> bool {
        self.child.lock().is_ok_and(|mut child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends it at once.
    pub(super) fn kill(self) {
        drop(self);
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        if let Ok(mut child) = self.child.lock() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

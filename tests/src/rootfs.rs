//! The read-only Debian root of every booted host and virtual machine, built once and kept by a digest of what it is made of; it boots nothing.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::exec;
use crate::places;

/// The release that the product is promised on first.
const SUITE: &str = "bookworm";

/// What a host has: an init system, then the servers and tools that the scenarios need.
const PACKAGES: [&str; 13] = [
    "apache2",
    "dbus",
    "dnsmasq-base",
    "iproute2",
    "iputils-ping",
    "libcap2-bin",
    "nftables",
    "nginx-light",
    "php8.2-fpm",
    "procps",
    "sqlite3",
    "strace",
    "systemd-sysv",
];

/// Run with the root as `$1`. Servers start when a scenario says so; nothing wakes up by itself; and the release's
/// own sysctl files are masked, for a host shares most of those settings with the machine that runs the tests.
const HOOKS: [&str; 6] = [
    r#"chroot "$1" systemctl --quiet disable apache2.service nginx.service php8.2-fpm.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer phpsessionclean.timer"#,
    r#"ln -s /dev/null "$1/etc/sysctl.d/50-pid-max.conf" && ln -s /dev/null "$1/etc/sysctl.d/99-protect-links.conf""#,
    // The build copies these two from the machine.
    r#"echo host >"$1/etc/hostname" && : >"$1/etc/resolv.conf""#,
    // What a virtual machine boots with. The kernel is taken apart and not installed, since its package would build an
    // initrd for every hardware there is.
    r#"cd "$1/var/tmp" && export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG &&
        kernel=$(apt-cache depends linux-image-cloud-amd64 | sed -n "s/^ *Depends: \(linux-image-[0-9].*\)/\1/p" | head -n 1) &&
        apt-get download -q "$kernel" busybox-static && mkdir boot && for deb in *.deb; do dpkg -x "$deb" boot && rm "$deb"; done"#,
    // Packages that a host without a network installs once more.
    r#"mkdir "$1/srv/debs" && cd "$1/srv/debs" && APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get download -q nginx nginx-common"#,
    r#"rm -rf "$1"/usr/share/doc/* "$1"/usr/share/locale/* "$1"/usr/share/man/*"#,
];

/// Downloading and unpacking takes half a minute; a slow mirror may take much longer.
const BUILD_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// What was built once.
#[derive(Debug)]
pub struct RootFs {
    /// The root's folder. Nobody may write below it.
    pub root: PathBuf,
    /// A kernel's files and busybox, as their packages have them.
    pub boot: PathBuf,
    /// Tells this one from any other.
    pub digest: String,
}

/// Built now if it is not there yet.
///
/// # Panics
/// When it is missing and cannot be built (needs root, mmdebstrap and a package mirror).
#[must_use]
pub fn ready() -> RootFs {
    let store = places::target_dir().join("rootfs");
    fs::create_dir_all(&store).expect("target folder is writable");
    let digest = digest();
    let folder = store.join(&digest);
    // Held to the end of this function, so that a second run waits for the first one's result.
    let lock = File::create(store.join("lock")).expect("target folder is writable");
    lock.lock().expect("lock on the root store");
    if !folder.is_dir() {
        build(&folder);
    }
    RootFs { root: folder.join("root"), boot: folder.join("boot"), digest }
}

fn build(folder: &Path) {
    let unfinished = folder.with_extension("unfinished");
    match fs::remove_dir_all(&unfinished) {
        Err(why) if why.kind() != ErrorKind::NotFound => {
            panic!("cannot remove {}: {why}", unfinished.display())
        }
        _ => {}
    }
    fs::create_dir(&unfinished).expect("target folder is writable");
    let root = unfinished.join("root");
    let mut make = Command::new("/usr/bin/mmdebstrap");
    make.args(["--quiet", "--mode=root", "--variant=minbase"])
        .arg("--aptopt=Acquire::Retries \"3\"")
        .arg(format!("--include={}", PACKAGES.join(",")))
        .args(HOOKS.map(|hook| format!("--customize-hook={hook}")))
        .arg(SUITE)
        .arg(&root);
    exec::run(&mut make, b"", BUILD_DEADLINE).ok();
    fs::rename(root.join("var/tmp/boot"), unfinished.join("boot")).expect("what the hook put there");
    fs::rename(&unfinished, folder).expect("rename within the store");
}

fn digest() -> String {
    let text = format!("{SUITE}\n{PACKAGES:?}\n{HOOKS:?}");
    let hash = Sha256::digest(text.as_bytes());
    hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

//! A PHP site in a virtual machine that needs more inotify watches than there are; what scenarios share, and no scenario itself.

use wbd_tests::vm::Vm;
use wbd_tests::vm::product;

/// The limit that an administrator left too low, in a file of his own.
pub(crate) const LOW: u64 = 60;
/// Folders of the site; each needs a watch.
pub(crate) const FOLDERS: u64 = 120;
/// Where wbd keeps what it raised.
pub(crate) const DROPIN: &str = "/etc/sysctl.d/60-wbd.conf";
const KEY: &str = "fs.inotify.max_user_watches";
const LOW_FILE: &str = "/etc/sysctl.d/50-site.conf";

/// The limit as the kernel has it and the drop-in's text, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) value: u64,
    pub(crate) dropin: Option<String>,
}

impl Limit {
    pub(crate) fn of(vm: &Vm) -> Self {
        let ran = vm.sh(&format!("cat /proc/sys/{}; [ ! -e {DROPIN} ] || cat {DROPIN}", KEY.replace('.', "/"))).ok();
        let text = String::from_utf8(ran.stdout).expect("text");
        let (value, dropin) = text.split_once('\n').expect("a line");
        let dropin = (!dropin.is_empty()).then(|| dropin.to_owned());
        Self { value: value.parse().expect("a number"), dropin }
    }

    /// The value that the drop-in keeps.
    ///
    /// # Panics
    /// When the file is there and not whole: a comment, one setting, an end of line.
    #[track_caller]
    pub(crate) fn kept(&self) -> Option<u64> {
        let text = self.dropin.as_ref()?;
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(text.starts_with('#') && text.ends_with('\n') && lines.len() == 1, "half a file: {text:?}");
        let (key, value) = lines[0].split_once(" = ").unwrap_or_else(|| panic!("half a line: {text:?}"));
        assert_eq!(key, KEY, "{text:?}");
        Some(value.parse().unwrap_or_else(|_| panic!("half a number: {text:?}")))
    }
}

/// An active agent, a site that needs [`FOLDERS`] watches, and a server for it; the limit is as the kernel has it.
pub(crate) fn make(vm: &Vm) {
    vm.write(
        "/etc/systemd/system/site.service",
        "[Service]\nExecStart=/usr/local/bin/apache2 infinity\n[Install]\nWantedBy=multi-user.target\n",
    );
    // By its name it is the one server that PHP needs; what it serves is nobody's question here.
    let script = format!(
        "cp /usr/bin/sleep /usr/local/bin/apache2
        i=0; while [ $((i += 1)) -le {FOLDERS} ]; do echo /srv/shop/$i; done | xargs mkdir -p
        systemctl enable --now --quiet site.service
        wbdctl target add shop --web-root /srv/shop --language php
        until wbdctl agent activate; do sleep 0.5; done"
    );
    vm.sh(&script).ok();
}

/// As [`lower_limit`], and the agent begins anew.
pub(crate) fn lower(vm: &Vm) {
    lower_limit(vm);
    vm.sh("systemctl restart wbd-agent").ok();
}

/// The administrator's own limit, now and for later boots; whatever wbd kept is taken away.
pub(crate) fn lower_limit(vm: &Vm) {
    let script = format!(
        "echo {KEY}={LOW} >{LOW_FILE}; rm -f {DROPIN}; sync
        echo {LOW} >/proc/sys/{}",
        KEY.replace('.', "/")
    );
    vm.sh(&script).ok();
}

/// Takes everything back but the agent's being active, which nobody minds.
pub(crate) fn forget(vm: &Vm) {
    let script = format!(
        "wbdctl agent deactivate; wbdctl target remove shop; rm -rf {LOW_FILE} {DROPIN} /srv/shop
        systemctl disable --now --quiet site.service; echo 65536 >/proc/sys/{}; wbdctl agent reload || true",
        KEY.replace('.', "/")
    );
    vm.sh(&script).ok();
    product::healthy(vm);
}

//! What the agent may not read or change: run as another user, so these need root; elsewhere they say that they are skipped.

use super::host::Host;
use nix::unistd::{Uid, chown};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use wbd_agent_api::{BytesPath, Code, Command, HealthDocument, Language, Reply, State, Target, TargetId, paths};

/// Any user that is not root; it needs no name.
const OTHER: u32 = 64_321;

fn needs_root(test: &str) -> bool {
    let root = Uid::effective().is_root();
    if !root {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: needs root, to run the agent as another user");
    }
    root
}

/// A host whose folders belong to the other user.
fn host_of_other() -> Host {
    let host = Host::new();
    fs::set_permissions(host.root(), Permissions::from_mode(0o755)).unwrap();
    for folder in
        ["", "var", "var/lib", "var/lib/wbd", "run", "run/wbd", "site", "site/open", "site/shut", "site/shut/in"]
    {
        give(&host.folder(folder));
    }
    host
}

fn give(path: &Path) {
    let other = Some(OTHER);
    chown(path, other.map(Uid::from_raw), other.map(nix::unistd::Gid::from_raw)).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn error(told: &HealthDocument, code: Code) -> Option<String> {
    told.errors.iter().find(|error| error.code == code).map(|error| error.detail.clone())
}

fn target(web_root: &Path) -> Target {
    Target {
        id: TargetId::try_from("shop".to_string()).unwrap(),
        web_root: BytesPath::from(web_root),
        upload_path: None,
        language: Language::Php,
    }
}

#[test]
fn a_shut_folder_is_5002_when_registered_and_names_the_folder_at_fault() {
    if !needs_root("a_shut_folder_is_5002_when_registered") {
        return;
    }
    let mut host = host_of_other();
    let shut = host.root().join("site/shut");
    chown(&shut, Some(Uid::from_raw(0)), None).unwrap();
    set_mode(&shut, 0o700);
    host.foreground_as(Some(OTHER), &[]);
    for path in [shut.join("in"), shut.clone()] {
        let Reply::Refused { code, message } = host.ask(&Command::TargetAdd { target: target(&path) }) else {
            panic!("not refused")
        };
        assert_eq!(code, Code::PATH_NOT_FOUND);
        assert!(
            message.contains(&format!("{} cannot be", shut.display())) && message.contains("mode 0700"),
            "{message}"
        );
    }
}

#[test]
fn a_folder_shut_later_is_5405_and_no_watch_limit() {
    if !needs_root("a_folder_shut_later_is_5405") {
        return;
    }
    let mut host = host_of_other();
    let site = host.root().join("site");
    let text = format!(
        "generation: 1\nactive: true\ntargets:\n  - {{id: shop, web_root: {}, language: php}}\n",
        site.display()
    );
    give(&host.folder("var/lib/wbd/agent"));
    fs::write(paths::settings(host.root()), text).unwrap();
    give(&paths::settings(host.root()));
    let shut = site.join("shut");
    chown(&shut, Some(Uid::from_raw(0)), None).unwrap();
    set_mode(&shut, 0o700);
    let told = host.foreground_as(Some(OTHER), &[]);
    assert_eq!(told.state, State::Active);
    let told = host.wait("5405", |told| error(told, Code::PATH_UNREADABLE).is_some() && !told.watches.scanning);
    assert!(error(&told, Code::PATH_UNREADABLE).unwrap().contains(&shut.display().to_string()));
    assert_eq!((told.watches.used, told.watches.missing, error(&told, Code::WATCH_LIMIT)), (2, 0, None));
    set_mode(&shut, 0o755);
    let told = host.wait("all folders", |told| told.watches.used == 4);
    assert_eq!(error(&told, Code::PATH_UNREADABLE), None);
}

#[test]
fn other_users_may_not_change_anything() {
    if !needs_root("other_users_may_not_change_anything") {
        return;
    }
    let mut host = host_of_other();
    host.foreground_as(None, &[]);
    // The socket's mode keeps others out; where someone opened it, the credentials of the peer count.
    for (mode, words) in [(0o666, "only root"), (0o660, "ermission denied")] {
        set_mode(&paths::socket(host.root()), mode);
        let reload = host.agent_as(OTHER, &["-s", "reload"]);
        let message = String::from_utf8_lossy(&reload.stderr).into_owned();
        assert_eq!(reload.status.code(), Some(77), "{message}");
        assert!(message.contains(words), "{message}");
    }
}

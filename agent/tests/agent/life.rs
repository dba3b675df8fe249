//! The agent's life on a host without systemd: start, stop, one of a kind, settings that break; the real program, no server.

use super::host::{DEADLINE, Host};
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use wbd_agent_api::{
    BytesPath, Code, Command, HealthDocument, Language, Reply, SettingsSource, State, Target, TargetId, ThisBoot,
    paths, stop,
};

fn target(host: &Host, id: &str) -> Target {
    Target {
        id: TargetId::try_from(id.to_string()).unwrap(),
        web_root: BytesPath::new(host.folder("site")),
        upload_path: None,
        language: Language::Jsp,
    }
}

fn codes(told: &HealthDocument) -> Vec<Code> {
    told.errors.iter().map(|error| error.code).collect()
}

/// An active agent as an earlier run left it. No tomcat runs here, so it could not be activated.
fn leave_active(host: &Host, active: bool) {
    let site = host.folder("site");
    let text = format!(
        "generation: 5\nactive: {active}\ntargets:\n  - {{id: shop, web_root: {}, language: jsp}}\n",
        site.display()
    );
    fs::create_dir_all(paths::state_dir(host.root())).unwrap();
    fs::write(paths::settings(host.root()), text).unwrap();
}

#[test]
fn health_is_told_and_the_heartbeat_goes_on() {
    let mut host = Host::new();
    let first = host.foreground();
    assert_eq!((first.state, first.settings.source, first.generation), (State::Inactive, SettingsSource::Empty, 0));
    assert!(first.fds_open.is_some_and(|open| open > 3) && first.errors.is_empty());
    host.wait("a later heartbeat", |told| told.heartbeat_ms > first.heartbeat_ms + 900);
    host.signal_last(Signal::SIGTERM);
    assert_eq!(host.last_exit().code(), Some(0));
    assert_eq!(host.health().unwrap().state, State::Stopping);
    assert!(!paths::socket(host.root()).exists());
}

#[test]
fn a_second_agent_is_refused() {
    let mut host = Host::new();
    let first = host.foreground();
    let second = host.agent(&["--foreground"]);
    assert_eq!(second.status.code(), Some(75));
    let message = String::from_utf8(second.stderr).unwrap();
    assert!(message.contains(&format!("pid {}", first.pid)) && message.lines().count() == 1, "{message}");
    assert_eq!(host.verb("start"), Some(0));
    assert_eq!(host.health().unwrap().pid, first.pid);
}

#[test]
fn verbs_may_be_repeated() {
    let host = Host::new();
    assert_eq!(host.verb("reload"), Some(69));
    assert_eq!(host.verb("stop"), Some(0));
    assert_eq!(host.verb("start"), Some(0));
    let pid = host.health().unwrap().pid;
    assert_eq!(host.verb("start"), Some(0));
    assert_eq!(host.health().unwrap().pid, pid);
    assert_eq!(host.verb("reload"), Some(0));
    assert_eq!(host.verb("stop"), Some(0));
    assert_eq!(host.verb("stop"), Some(0));
    assert_eq!(host.health().unwrap().state, State::Stopping);
    assert_eq!(host.verb("restart"), Some(64));
    assert_eq!(host.agent(&[]).status.code(), Some(64));
    assert_eq!(host.agent(&["--version"]).status.code(), Some(0));
}

#[test]
fn a_wanted_stop_is_noted_until_the_start() {
    let host = Host::new();
    let note = paths::stop_note(host.root());
    let read = || stop::read(&note, &ThisBoot::now(Path::new("/proc"))).unwrap();
    assert_eq!(host.verb("start"), Some(0));
    assert_eq!(read(), None);
    assert_eq!(host.verb("stop"), Some(0));
    let noted = read().unwrap();
    assert_eq!((noted.who.as_str(), noted.uid), ("wbd_agent -s stop", nix::unistd::getuid().as_raw()));
    assert_eq!(host.verb("start"), Some(0));
    assert_eq!(read(), None);
}

#[test]
fn a_stopped_process_is_still_stopped_in_the_end() {
    let mut host = Host::new();
    host.foreground();
    host.signal_last(Signal::SIGSTOP);
    assert_eq!(host.verb("stop"), Some(0));
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&host.last_exit()), Some(9));
}

#[test]
fn broken_settings_give_way_to_the_good_ones_until_they_prove_good_again() {
    let mut host = Host::new();
    host.foreground_as(None, &["--good-after", "1"]);
    let target = target(&host, "shop");
    assert_eq!(host.ask(&Command::TargetSet { targets: vec![target] }), Reply::Done);
    let generation = host.health().unwrap().generation;
    let started = std::time::Instant::now();
    while !paths::settings_good(host.root()).exists() {
        assert!(started.elapsed() < DEADLINE, "no good copy was kept");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    host.signal_last(Signal::SIGKILL);
    host.last_exit();
    fs::write(paths::settings(host.root()), "generation: 7\nactive: maybe\n").unwrap();
    let told = host.foreground_as(None, &["--good-after", "10"]);
    assert_eq!((told.settings.source, told.generation, told.targets.len()), (SettingsSource::Good, generation, 1));
    assert_eq!(codes(&told), [Code::Config]);
    let problem = told.settings.problem.unwrap();
    assert_eq!((problem.line, problem.column), (2, 9));
    assert_eq!(fs::read_to_string(paths::settings_broken(host.root())).unwrap(), "generation: 7\nactive: maybe\n");
    let healed =
        host.wait("the good settings to be current again", |told| told.settings.source == SettingsSource::Current);
    assert_eq!((healed.generation, healed.targets.len(), codes(&healed)), (generation + 1, 1, vec![]));
}

#[test]
fn broken_settings_without_good_ones_leave_an_empty_agent_that_says_so() {
    let mut host = Host::new();
    fs::create_dir_all(paths::state_dir(host.root())).unwrap();
    fs::write(paths::settings(host.root()), [0xff, 0xfe, 0]).unwrap();
    let told = host.foreground();
    assert_eq!(
        (told.state, told.settings.source, codes(&told)),
        (State::Inactive, SettingsSource::Empty, vec![Code::Config])
    );
}

#[test]
fn settings_that_may_not_be_read_end_the_start() {
    let host = Host::new();
    fs::create_dir_all(paths::settings(host.root())).unwrap();
    assert_eq!(host.agent(&["--foreground"]).status.code(), Some(78));
    assert_eq!(host.verb("start"), Some(78));
}

#[test]
fn activation_without_a_server_is_refused() {
    let mut host = Host::new();
    host.foreground();
    let target = target(&host, "shop");
    assert_eq!(host.ask(&Command::TargetAdd { target }), Reply::Done);
    let Reply::Refused { code, .. } = host.ask(&Command::Activate) else { panic!("not refused") };
    assert_eq!(code, Code::WAS_NOT_FOUND);
    let told = host.wait("inactive as before", |told| told.targets.len() == 1);
    assert_eq!((told.state, codes(&told)), (State::Inactive, vec![]));
}

#[test]
fn active_outlives_a_kill_and_is_no_new_activation() {
    let mut host = Host::new();
    leave_active(&host, true);
    for _ in 0..2 {
        let told = host.foreground();
        assert_eq!((told.state, told.generation), (State::Active, 5));
        let told = host.wait("5401 raised", |told| codes(told) == [Code::WAS_NOT_FOUND]);
        assert_eq!(told.was.required[0].running, 0);
        assert_eq!(host.ask(&Command::Activate), Reply::Done);
        host.signal_last(Signal::SIGKILL);
        host.last_exit();
    }
    host.foreground();
    assert_eq!(host.ask(&Command::Deactivate), Reply::Done);
    let told = host.health().unwrap();
    assert_eq!((told.state, told.generation, codes(&told), told.watches.used), (State::Inactive, 6, vec![], 0));
}

#[test]
fn new_folders_are_watched_while_active() {
    let mut host = Host::new();
    leave_active(&host, true);
    host.foreground();
    host.wait("the web root", |told| told.watches.used == 1 && !told.watches.scanning);
    for n in 0..100 {
        host.folder(&format!("site/{n}/x"));
    }
    let told = host.wait("every folder", |told| told.watches.used == 201);
    assert_eq!((told.watches.needed, told.watches.missing, told.targets[0].watches), (201, 0, 201));
}

#[test]
fn a_lost_web_root_is_5405_and_heals() {
    let mut host = Host::new();
    leave_active(&host, true);
    host.foreground();
    host.wait("the web root", |told| told.watches.used == 1);
    let site = host.root().join("site");
    fs::rename(&site, host.root().join("away")).unwrap();
    let told = host.wait("5405", |told| codes(told).contains(&Code::PATH_UNREADABLE));
    let error = told.errors.iter().find(|error| error.code == Code::PATH_UNREADABLE).unwrap();
    assert!(error.detail.contains(&format!("{} does not exist", site.display())), "{}", error.detail);
    fs::rename(host.root().join("away"), &site).unwrap();
    host.wait("no 5405", |told| !codes(told).contains(&Code::PATH_UNREADABLE) && told.watches.used == 1);
}

#[test]
fn reload_tells_of_a_broken_file_and_keeps_the_running_settings() {
    let mut host = Host::new();
    leave_active(&host, false);
    host.foreground();
    fs::write(paths::settings(host.root()), "generation: [\n").unwrap();
    assert_eq!(host.verb("reload"), Some(1));
    let told = host.wait("the problem", |told| told.settings.problem.is_some());
    assert_eq!((told.targets.len(), codes(&told)), (1, vec![Code::Config]));
    leave_active(&host, false);
    host.signal_last(Signal::SIGHUP);
    host.wait("no problem", |told| told.settings.source == SettingsSource::Current && told.errors.is_empty());
}

#[test]
fn nonsense_on_the_channel_is_refused_and_harms_nothing() {
    let mut host = Host::new();
    host.foreground();
    for nonsense in [String::new(), "{}".into(), "\"explode\"".into(), "[".repeat(100_000), "x".repeat(300_000)] {
        let reply: Reply = serde_json::from_str(&host.ask_text(nonsense)).unwrap();
        assert!(matches!(reply, Reply::Refused { code: Code::INVALID_VALUE, .. }), "{reply:?}");
    }
    let Reply::Status { health } = host.ask(&Command::Status) else { panic!("no status") };
    assert_eq!(health.pid, host.health().unwrap().pid);
}

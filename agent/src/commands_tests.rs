//! Tests of what each command changes, on a temporary store and a made-up /proc.

use super::*;
use crate::was::made_up::MadeUpProc;
use std::fs;
use std::path::Path;
use tempfile::TempDir;
use wbd_agent_api::{BytesPath, Language, paths};

struct Host {
    root: TempDir,
    proc: MadeUpProc,
    site: TempDir,
    store: Store,
    running: Loaded,
}

impl Host {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path()).unwrap();
        let running = store.load().unwrap();
        Self { root, proc: MadeUpProc::new(), site: tempfile::tempdir().unwrap(), store, running }
    }

    fn target(&self, id: &str) -> Target {
        Target {
            id: TargetId::try_from(id.to_string()).unwrap(),
            web_root: BytesPath::from(self.site.path()),
            upload_path: None,
            language: Language::Php,
        }
    }

    fn start_nginx(&self, pid: u32) {
        self.proc.add(pid, 1, "/usr/sbin/nginx", &["nginx: master process"]);
    }

    fn ask(&mut self, command: Command) -> Reply {
        self.ask_with(command, &Ticket::default())
    }

    fn ask_with(&mut self, command: Command, ticket: &Ticket) -> Reply {
        let around = Around { root: self.root.path().to_path_buf(), proc: self.proc.root() };
        let handler = CommandHandler { store: &self.store, running: &self.running, around: &around, ticket };
        let outcome = handler.carry_out(command);
        if let Some(adopt) = outcome.adopt {
            self.running = adopt;
        }
        outcome.reply
    }
}

fn code(reply: &Reply) -> Option<Code> {
    match reply {
        Reply::Refused { code, .. } => Some(*code),
        Reply::Done | Reply::NotPermitted { .. } | Reply::Failed { .. } | Reply::Status { .. } => None,
    }
}

#[test]
fn activation_is_refused_until_everything_is_there_and_then_durable() {
    let mut host = Host::new();
    assert_eq!(code(&host.ask(Command::Activate)), Some(Code::INVALID_VALUE));
    let target = host.target("shop");
    assert_eq!(host.ask(Command::TargetAdd { target }), Reply::Done);
    assert_eq!(code(&host.ask(Command::Activate)), Some(Code::WAS_NOT_FOUND));
    host.start_nginx(10);
    assert_eq!(host.ask(Command::Activate), Reply::Done);
    host.start_nginx(11);
    assert_eq!(host.ask(Command::Activate), Reply::Done, "active already: nothing to refuse");
    let stored = host.store.load().unwrap();
    assert_eq!((stored.settings.active, stored.settings.generation), (true, 2));
    assert_eq!(host.ask(Command::Deactivate), Reply::Done);
    assert_eq!(code(&host.ask(Command::Activate)), Some(Code::WAS_TOO_MANY));
    fs::remove_dir_all(host.site.path()).unwrap();
    fs::remove_dir_all(host.proc.root().join("11")).unwrap();
    assert_eq!(code(&host.ask(Command::Activate)), Some(Code::PATH_UNREADABLE));
}

#[test]
fn a_missing_folder_is_5002_at_registration_and_changes_nothing() {
    let mut host = Host::new();
    let target = Target { web_root: BytesPath::new(host.site.path().join("a/b")), ..host.target("shop") };
    let Reply::Refused { code, message } = host.ask(Command::TargetAdd { target }) else { panic!("not refused") };
    assert_eq!(code, Code::PATH_NOT_FOUND);
    let site = host.site.path().display();
    assert!(
        message.contains(&format!("{site}/a does not exist")) && message.contains(&format!("nearest existing: {site}")),
        "{message}"
    );
    assert!(!paths::settings(host.root.path()).exists());
}

#[test]
fn requests_that_make_no_sense_are_refused_with_their_code() {
    let mut host = Host::new();
    let target = host.target("shop");
    assert_eq!(host.ask(Command::TargetAdd { target: target.clone() }), Reply::Done);
    assert_eq!(host.ask(Command::TargetAdd { target: target.clone() }), Reply::Done);
    assert_eq!(host.running.settings.generation, 1, "the same again is no change");
    let other = Target { language: Language::Jsp, ..target.clone() };
    let relative = Target { web_root: BytesPath::new("srv"), ..host.target("rel") };
    let unknown = TargetId::try_from("gone".to_string()).unwrap();
    let many = (0..257).map(|n| host.target(&format!("t{n}"))).collect();
    for (command, wanted) in [
        (Command::TargetAdd { target: other }, Code::ALREADY),
        (Command::TargetAdd { target: relative }, Code::INVALID_VALUE),
        (Command::TargetRemove { id: unknown }, Code::ALREADY),
        (Command::TargetSet { targets: many }, Code::INVALID_VALUE),
        (Command::TargetSet { targets: vec![target.clone(), target.clone()] }, Code::INVALID_VALUE),
    ] {
        let reply = host.ask(command.clone());
        assert_eq!(code(&reply), Some(wanted), "{command:?}");
    }
    host.start_nginx(10);
    assert_eq!(host.ask(Command::Activate), Reply::Done);
    assert_eq!(code(&host.ask(Command::TargetRemove { id: target.id.clone() })), Some(Code::INVALID_VALUE));
    assert_eq!(host.running.settings.targets, [target]);
}

#[test]
fn reload_keeps_what_runs_when_the_file_is_broken_and_takes_it_when_mended() {
    let mut host = Host::new();
    let target = host.target("shop");
    host.ask(Command::TargetAdd { target });
    let file = paths::settings(host.root.path());
    let whole = fs::read(&file).unwrap();
    for broken in [Some("generation: x\n"), None] {
        match broken {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        assert!(matches!(host.ask(Command::Reload), Reply::Failed { .. }));
        assert_eq!((host.running.source, host.running.settings.targets.len()), (SettingsSource::Good, 1));
        assert!(host.running.problem.is_some());
    }
    fs::write(&file, whole).unwrap();
    assert_eq!(host.ask(Command::Reload), Reply::Done);
    assert_eq!((host.running.source, &host.running.problem), (SettingsSource::Current, &None));
}

#[test]
fn a_command_given_up_is_not_done() {
    let mut host = Host::new();
    let ticket = Ticket::default();
    assert!(ticket.give_up());
    let target = host.target("shop");
    assert!(matches!(host.ask_with(Command::TargetAdd { target }, &ticket), Reply::Failed { .. }));
    assert!(!paths::settings(host.root.path()).exists());
    let taken = Ticket::default();
    assert!(taken.take() && !taken.give_up());
}

#[test]
fn a_folder_that_is_no_sites_is_5002_with_its_remedy_and_known_ones_are_5405() {
    let mut host = Host::new();
    fs::create_dir_all(host.root.path().join("srv/www")).unwrap();
    let to = |host: &Host, web_root: &Path, upload: Option<&Path>| Target {
        web_root: BytesPath::from(web_root),
        upload_path: upload.map(BytesPath::from),
        ..host.target("shop")
    };
    let site = host.site.path().to_path_buf();
    let state = host.root.path().join("var/lib/wbd");
    for folder in [Path::new("/"), Path::new("/proc"), Path::new("/sys/.."), Path::new("/dev"), &state] {
        for target in [to(&host, folder, None), to(&host, &site, Some(folder))] {
            let reply = host.ask(Command::TargetAdd { target: target.clone() });
            let Reply::Refused { code, message } = reply else { panic!("{reply:?}") };
            assert!(code == Code::PATH_NOT_FOUND && message.contains("served from"), "{message}");
            assert_eq!(
                host.ask(Command::TargetSet { targets: vec![target] }).clone(),
                Reply::Refused { code, message }
            );
        }
    }
    let good = to(&host, &host.root.path().join("srv/www"), Some(&site));
    assert_eq!(host.ask(Command::TargetAdd { target: good }), Reply::Done);
    // What settings of before say is raised, and the agent lives.
    let before = Settings { targets: vec![to(&host, Path::new("/"), None)], ..Settings::default() };
    let around = Around { root: host.root.path().to_path_buf(), proc: host.proc.root() };
    let raised: Vec<Code> =
        look(&before, &around, &mut Known::default()).problems.iter().map(|problem| problem.code).collect();
    assert!(raised.contains(&Code::PATH_UNREADABLE), "{raised:?}");
}

//! Tests of the health document's file.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn document() -> HealthDocument {
    HealthDocument {
        schema: SCHEMA,
        version: "0.1.0".into(),
        pid: 42,
        start_ticks: 7,
        state: State::Active,
        generation: 3,
        settings: SettingsReport {
            source: SettingsSource::Good,
            problem: Some(SettingsProblem { file: BytesPath::new("/s"), line: 2, column: 5, message: "m".into() }),
        },
        targets: vec![TargetReport {
            id: TargetId::try_from("shop".to_string()).unwrap(),
            web_root: BytesPath::new("/srv/shop"),
            upload_path: None,
            language: Language::Php,
            watches: 1,
            missing: 1,
        }],
        was: WasReport {
            required: vec![WasRequirement { language: Language::Php, running: 1, allowed: 1 }],
            found: vec![WasProcess { kind: WasKind::PhpFpm, pid: 9, exe: BytesPath::new("/usr/sbin/php-fpm8.2") }],
            unsupported: vec!["lighttpd".into()],
            others: vec!["nginx (pid 77) runs in another pid namespace".into()],
            unreadable: 0,
        },
        watches: WatchReport {
            used: 1,
            needed: 2,
            missing: 1,
            scanning: false,
            failed_at: FailedAt::QueuedEvents,
            errno: Some("ENOSPC".into()),
            uncovered: vec![BytesPath::new("/srv/shop/a")],
            unanswered: Some(BytesPath::new("/srv/shop/nfs")),
            linked: vec![LinkReport { link: BytesPath::new("/srv/shop/up"), leads_to: None }],
            linked_count: 1,
        },
        fds_open: Some(12),
        errors: vec![
            Error { code: Code::WATCH_LIMIT, detail: "d".into(), since_ms: 1 },
            Error { code: Code::Config, detail: "d".into(), since_ms: 2 },
        ],
        heartbeat_ms: 1000,
        written_at: 1,
    }
}

#[test]
fn reads_what_was_written_and_any_user_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.health.json");
    write_atomically(&path, &document()).unwrap();
    assert_eq!(read(&path).unwrap(), document());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "a temporary file stayed behind");
}

#[test]
fn a_newer_agents_words_do_not_make_it_unreadable() {
    let mut value = serde_json::to_value(document()).unwrap();
    value["state"] = "dreaming".into();
    value["watches"]["failed_at"] = "moon".into();
    value["was"]["found"][0]["kind"] = "caddy".into();
    value["extra"] = serde_json::json!({"a": [1]});
    let read: HealthDocument = serde_json::from_value(value).unwrap();
    assert_eq!((read.state, read.watches.failed_at), (State::Unknown, FailedAt::Other));
    assert_eq!(read.was.found[0].kind, WasKind::Unknown);
}

#[test]
fn tells_missing_unreadable_malformed_and_too_large_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h");
    assert!(matches!(read(&path), Err(HealthError::NotThere { .. })));
    assert!(matches!(read(dir.path()), Err(HealthError::Unreadable { .. })));
    fs::write(&path, "{\n  \"schema\": x").unwrap();
    let Err(HealthError::Malformed { line, column, .. }) = read(&path) else { panic!("not malformed") };
    assert_eq!((line, column), (2, 13));
    fs::write(&path, vec![b' '; 256 * 1024 + 1]).unwrap();
    assert!(matches!(read(&path), Err(HealthError::TooLarge { .. })));
}

#[test]
fn refuses_to_write_what_no_reader_takes() {
    let dir = tempfile::tempdir().unwrap();
    let mut long = document();
    long.errors[0].detail = "x".repeat(300_000);
    assert!(matches!(write_atomically(&dir.path().join("h"), &long), Err(HealthError::TooLarge { .. })));
}

#[test]
fn counts_are_right_only_if_every_language_has_its_server() {
    let mut was = document().was;
    assert_eq!(was.counts_right(), Some(true));
    was.required.push(WasRequirement { language: Language::Jsp, running: 0, allowed: 1 });
    assert_eq!(was.counts_right(), Some(false));
    assert_eq!(WasReport::default().counts_right(), None);
}

//! Tests of reading and writing the settings' text.

use super::*;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use wbd_agent_api::{Language, TargetId};

fn target(id: &str, web_root: &[u8]) -> Target {
    Target {
        id: TargetId::try_from(id.to_string()).unwrap(),
        web_root: BytesPath::new(OsString::from_vec(web_root.to_vec())),
        upload_path: None,
        language: Language::Php,
    }
}

fn parse(text: &str) -> Result<Settings, SettingsProblem> {
    Settings::parse(text.as_bytes(), Path::new("/s.yaml"))
}

#[test]
fn odd_names_and_paths_survive_the_round_trip() {
    let odd: [&[u8]; 9] = [
        b"/srv/www",
        b"/a: b # c",
        b"/\xff\xfe",
        b"/'\"`",
        b"/tab\t\n",
        "/日本".as_bytes(),
        b"/%{}[]&*!|>",
        b"/ end ",
        b"/null",
    ];
    let ids = ["yes", "0644", "null", "1_000", "true", "a.b", "1e3", "0x10", "no"];
    let settings = Settings {
        generation: u64::MAX,
        active: true,
        targets: ids.iter().zip(odd).map(|(id, path)| target(id, path)).collect(),
        access_log: Some(BytesPath::new("/var/log/tomcat10/access.log")),
    };
    let text = settings.render().unwrap();
    assert_eq!(parse(&text).unwrap(), settings, "{text}");
}

#[test]
fn problems_are_told_with_their_place() {
    // text, line, column, a word of the message
    let cases = [
        ("generation: 1\nactiv: true\n", 2, 1, "activ"),
        ("generation: x\n", 1, 13, "u64"),
        ("generation: 1\nactive: yes\n", 2, 9, "bool"),
        ("generation: 1\ntargets:\n  - {id: a/b, web_root: /s, language: php}\n", 3, 10, "target id"),
        ("generation: 1\ntargets:\n  - {id: a, web_root: /s, language: asp}\n", 3, 37, "asp"),
        ("generation: 1\ngeneration: 2\n", 2, 1, "duplicate"),
        ("generation: [[[[\n", 1, 13, ""),
        ("\u{0}\u{1}garbage", 1, 1, ""),
    ];
    for (text, line, column, word) in cases {
        let problem = parse(text).unwrap_err();
        assert_eq!((problem.line, problem.column), (line, column), "{text:?}: {problem:?}");
        assert!(problem.message.contains(word), "{text:?}: {problem:?}");
        assert!(!problem.message.contains('\n'));
        assert_eq!(problem.file, BytesPath::new("/s.yaml"));
    }
}

#[test]
fn an_empty_file_is_broken_and_not_an_empty_list() {
    for text in ["", "\n", "---\n", "# nothing\n"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn targets_are_bounded_unique_and_absolute() {
    let many: Vec<Target> = (0..257).map(|n| target(&format!("t{n}"), b"/srv")).collect();
    assert!(check_targets(&many).unwrap_err().contains("257"));
    assert!(check_targets(&many[..256]).is_ok());
    assert!(check_targets(&[target("a", b"/x"), target("a", b"/y")]).unwrap_err().contains("twice"));
    assert!(check_targets(&[target("a", b"srv")]).unwrap_err().contains("absolute"));
    let twice =
        "generation: 1\ntargets:\n- {id: a, web_root: /x, language: php}\n- {id: a, web_root: /x, language: php}\n";
    assert!(parse(twice).unwrap_err().message.contains("twice"));
}

#[test]
fn a_file_above_the_bound_is_not_read() {
    let long = format!("generation: 1\n{}", "#\n".repeat(40_000));
    assert!(parse(&long).unwrap_err().message.contains("longer"));
}

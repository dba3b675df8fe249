//! Each kind of record has a MESSAGE_ID of its own and is explained in the catalogue, in both languages.
use std::collections::{BTreeMap, BTreeSet};

use super::*;

/// What an entry of a record carries besides; see wbdctl(1), JOURNAL.
const FIELDS: [&str; 4] = ["WBD_CODE", "WBD_INCIDENT", "WBD_TARGET", "WBD_RECORD"];
const CATALOGUES: [&str; 2] =
    [include_str!("../../../packaging/catalog/wbd.catalog"), include_str!("../../../packaging/catalog/wbd.ja.catalog")];

/// Kind and id of every arm.
fn ids() -> Vec<&'static str> {
    let (_, rest) = include_str!("message.rs").split_once("const fn message_id(").unwrap();
    let (arms, _) = rest.split_once("/// Its priority").unwrap();
    arms.split('"').skip(1).step_by(2).collect()
}

/// The text of each id.
fn texts(catalogue: &str) -> BTreeMap<&str, &str> {
    let entries = catalogue.split("\n-- ").skip(1);
    entries.map(|entry| entry.split_once('\n').unwrap()).collect()
}

#[test]
fn each_kind_has_an_id_of_its_own() {
    let ids = ids();
    assert_eq!(ids.len(), Body::KINDS.len());
    let mut distinct: BTreeSet<&str> = ids.iter().copied().collect();
    distinct.insert(ANCHOR);
    assert_eq!(distinct.len(), ids.len() + 1, "an id stands twice");
    for id in distinct {
        assert!(id.len() == 32 && id.chars().all(|digit| matches!(digit, '0'..='9' | 'a'..='f')), "{id}");
    }
}

#[test]
fn each_id_is_explained_in_both_languages_and_no_other_one() {
    let mut wanted: BTreeSet<&str> = ids().into_iter().collect();
    wanted.insert(ANCHOR);
    for catalogue in CATALOGUES {
        let texts = texts(catalogue);
        assert_eq!(texts.keys().copied().collect::<BTreeSet<_>>(), wanted);
        for (id, text) in texts {
            let (head, body) = text.split_once("\n\n").unwrap_or_else(|| panic!("{id}: no text"));
            let subject = head.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap_or_default();
            assert!(!subject.is_empty() && !body.trim().is_empty(), "{id}");
            for line in ["Defined-By: wbd", "Documentation: man:wbdctl(1)"] {
                assert!(head.lines().any(|found| found == line), "{id}: {line}");
            }
            for field in text.split('@').skip(1).step_by(2) {
                assert!(FIELDS.contains(&field), "{id}: @{field}@ is no field of ours");
            }
        }
    }
}

#[test]
fn what_a_person_must_know_is_a_warning_and_what_one_must_do_an_error() {
    let closed = |how| Body::Closed { how };
    for (body, expected) in [
        (Body::Escalated { reason: String::new(), guide: vec![] }, Priority::Error),
        (closed(Closing::HandedOver), Priority::Warning),
        (closed(Closing::Healed), Priority::Notice),
        (Body::Notifier { program: vec![] }, Priority::Info),
    ] {
        assert_eq!(body.priority(), expected, "{}", body.kind());
    }
    let digits = [Priority::Error, Priority::Warning, Priority::Notice, Priority::Info, Priority::Debug];
    assert_eq!(digits.map(Priority::digit), ["3", "4", "5", "6", "7"]);
}

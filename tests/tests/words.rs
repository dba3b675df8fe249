//! The words of every shipped text: no riddles, no long sentences, no names of facts, plurals right (CONTRIBUTING, Texts).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use wbd_tests::places;

/// Words up to a full stop, a colon or a semicolon.
const LONGEST_CLAUSE: usize = 25;

/// What a tired reader stumbled over, each with what is written instead.
const RIDDLES: [(&str, &str); 24] = [
    ("no web shell is detected", "Web shell detection is off on this host."),
    ("nothing is detected meanwhile", "Web shell detection is off on this host."),
    ("nobody saw why", "the reason is not known"),
    ("a person has to decide", "wbd has no action for this case"),
    ("not yet held", "seen for 4 s so far; wbd takes it as a failure after 20 s"),
    ("operator's word", "approval"),
    ("smaller causes", "2 more causes are not shown. See all: wbdctl doctor -v"),
    ("seen gone", "a check passes again"),
    ("whose wish", "who asked for it"),
    ("last words", "last messages"),
    ("sign of life", "heartbeat"),
    ("in vain", "without success"),
    ("let it go on", "to end this: wbdctl resume"),
    ("nobody holds", "no hold is set"),
    ("a matter of", "say what it is"),
    ("gives it no time", "gives it no CPU time"),
    ("at fault", "has failed, or is wrong"),
    ("far beyond", "say what else"),
    ("is hurt", "is affected"),
    ("(s)", "write the number behind a colon: folders not watched: 37"),
    ("folders are unwatched", "folders not watched: 37"),
    ("attempts are spent", "all attempts are used"),
    ("not to be seen from here", "this user cannot see it"),
    ("the way that is taken", "the route that is used"),
];

/// Words that end in s and are no plural; units.
const NO_PLURAL: [&str; 14] = [
    "is", "has", "was", "does", "ms", "denies", "says", "needs", "leaks", "runs", "refuses", "answers", "listens", "as",
];

/// A text for people and where it stands.
struct Text {
    place: String,
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prose,
    Step,
}

/// The files below a folder whose names end so, without tests of playbooks and build output.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![places::repo().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && name != "tests" {
                folders.push(path);
            } else if name.ends_with(ending) && !name.ends_with(".test.yaml") && !name.ends_with("tests.rs") {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no {ending}");
    found.sort();
    found
}

/// The texts of a file of playbooks or of the catalogue: titles, causes, what is meant and done, steps.
fn texts(path: &Path) -> Vec<Text> {
    let name = path.strip_prefix(places::repo()).unwrap().display().to_string();
    let content = fs::read_to_string(path).unwrap();
    let mut found = Vec::new();
    let mut add = |number: usize, kind: Kind, text: &str| {
        let text = text.trim().trim_matches('"').to_owned();
        found.push(Text { place: format!("{name}:{}", number + 1), kind, text });
    };
    let lines: Vec<&str> = content.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut number = 0;
    while let Some(line) = lines.get(number) {
        let key = line.trim_start();
        if let Some(rest) = key.strip_prefix("means: |").or_else(|| key.strip_prefix("does: |")) {
            assert!(rest.is_empty(), "{name}:{}", number + 1);
            let body: Vec<&str> = lines
                .iter()
                .skip(number + 1)
                .map_while(|below| (indent(below) > indent(line)).then(|| below.trim()))
                .collect();
            add(number, Kind::Prose, &body.join(" "));
            number += body.len();
        } else if let Some(text) = key.strip_prefix("title: ").or_else(|| key.strip_prefix("cause: ")) {
            add(number, Kind::Prose, text);
        } else if key.starts_with("- \"") {
            add(number, Kind::Step, key.trim_start_matches("- "));
        } else if let Some(rest) = key.strip_prefix("- {line: \"") {
            add(number, Kind::Step, rest.split("\", needs:").next().unwrap_or_default());
        }
        number += 1;
    }
    found
}

/// All of them.
fn shipped() -> Vec<Text> {
    let mut paths = files("playbooks", ".yaml");
    paths.push(places::repo().join("supervisor/ctl/src/own.yaml"));
    let all: Vec<Text> = paths.iter().flat_map(|path| texts(path)).collect();
    assert!(all.len() > 800, "{} texts: the files were not understood", all.len());
    all
}

/// The words of the longest clause; of a step only what stands before its command.
fn longest_clause(text: &Text) -> usize {
    let said = match text.kind {
        Kind::Prose => text.text.as_str(),
        Kind::Step => text.text.split_once(": ").map_or(text.text.as_str(), |(before, _)| before),
    };
    let (mut longest, mut words) = (0, 0);
    for word in said.split_whitespace() {
        words += usize::from(word.chars().any(char::is_alphanumeric));
        longest = longest.max(words);
        if word.ends_with(['.', '!', '?', ':', ';']) {
            words = 0;
        }
    }
    longest
}

/// What is wrong with a text.
fn faults(text: &Text) -> Vec<String> {
    let mut faults = riddles(&text.text);
    let longest = longest_clause(text);
    if longest > LONGEST_CLAUSE {
        faults.push(format!("a clause of {longest} words, more than {LONGEST_CLAUSE}"));
    }
    faults.extend(plurals(&text.text).map(|word| format!("1 {word}? write the number behind a colon")));
    if text.kind == Kind::Prose {
        faults.extend(bare_names(&text.text).map(|name| format!("{name} is the name of a fact, not a word")));
    }
    faults
}

/// Plurals behind a value that may be 1; what is `of` a value is many.
fn plurals(text: &str) -> impl Iterator<Item = String> {
    text.match_indices('}').filter_map(|(at, _)| {
        let (value, after) = text.split_at_checked(at + 1)?;
        let is_whole = value.rsplit_once('{').is_some_and(|(before, _)| before.ends_with(" of "));
        let word: String = after.strip_prefix(' ')?.chars().take_while(|ch| ch.is_alphabetic()).collect();
        let is_plural = word.len() > 1 && word.ends_with('s') && !NO_PLURAL.contains(&word.as_str());
        (is_plural && !is_whole).then_some(word)
    })
}

fn riddles(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let found = RIDDLES.iter().filter(|(riddle, _)| lower.contains(riddle));
    found.map(|(riddle, instead)| format!("{riddle:?}: {instead}")).collect()
}

/// Words like `stop_noted` outside of braces, paths and quotes.
fn bare_names(text: &str) -> impl Iterator<Item = String> {
    let mut depth = 0_usize;
    let outside: String = text
        .chars()
        .filter(|ch| {
            match ch {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
        .collect();
    let is_name = |word: &&str| {
        let word = word.trim_matches(|ch: char| !ch.is_alphanumeric());
        word.contains('_') && word.chars().all(|ch| ch.is_ascii_lowercase() || ch == '_' || ch.is_ascii_digit())
    };
    let names: Vec<String> = outside
        .split_whitespace()
        .filter(|word| !word.contains(['/', '\'', '=']))
        .filter(is_name)
        .filter(|word| !NAMES_OF_OTHERS.iter().any(|known| word.contains(known)))
        .map(str::to_owned)
        .collect();
    names.into_iter()
}

/// Names that vendors' documents, settings and programs use themselves.
const NAMES_OF_OTHERS: [&str; 6] = ["on_escalation", "dvfilter", "max_user_", "wbd_agent", "slowpath", "ds_filter"];

#[test]
fn every_text_of_playbooks_and_the_catalogue_is_plain() {
    let mut wrong = Vec::new();
    for text in shipped() {
        wrong.extend(faults(&text).into_iter().map(|fault| format!("{}: {fault}", text.place)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_page_of_the_manual_and_no_message_of_a_program_is_a_riddle() {
    let mut pages = vec![places::repo().join("README.md"), places::repo().join("SECURITY.md")];
    pages.extend(files("man", ".1"));
    pages.extend(files("man", ".5"));
    let programs = files("supervisor", ".rs").into_iter().chain(files("agent", ".rs"));
    let mut wrong = Vec::new();
    for path in pages.into_iter().chain(programs) {
        let content = fs::read_to_string(&path).unwrap();
        let code = path.extension().is_some_and(|ending| ending == "rs");
        let told = content.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        for (number, line) in told.lines().enumerate() {
            // Of code only what a program may say: literals stand in quotes, and comments are for those who change it.
            let said = if code && (line.trim_start().starts_with("//") || !line.contains('"')) { "" } else { line };
            let place = path.strip_prefix(places::repo()).unwrap().display().to_string();
            wrong.extend(riddles(said).into_iter().map(|fault| format!("{place}:{}: {fault}", number + 1)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_rules_find_what_they_are_for() {
    let text = |kind, text: &str| Text { place: String::new(), kind, text: text.to_owned() };
    let prose = |words: &str| faults(&text(Kind::Prose, words)).len();
    assert_eq!(prose("Web shell detection is off on this host."), 0);
    assert_eq!(prose("No web shell is detected on this host."), 1);
    assert_eq!(prose("{ino.missing} folders have no watch"), 1);
    assert_eq!(prose("Folders that have no watch: {ino.missing}"), 0);
    assert_eq!(prose("{ino.user_used} of {ino.max_watches} watches are used"), 0);
    assert_eq!(prose("{dns.first_bad} is silent"), 0);
    assert_eq!(prose("The fact stop_noted is false"), 1);
    assert_eq!(prose(&"word ".repeat(26)), 1);
    assert_eq!(prose(&"word ".repeat(25)), 0);
    assert_eq!(prose(&("word ".repeat(20) + "end. " + &"word ".repeat(20))), 0);
    // Of a step only the words before its command.
    let step = text(Kind::Step, &format!("See it: {}", "option ".repeat(40)));
    assert_eq!(faults(&step).len(), 0);
}

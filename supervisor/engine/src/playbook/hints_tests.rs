//! Every hint that is offered is taken: over files that are broken in every place, each hint is followed, and its place is
//! well then.
use std::collections::BTreeSet;

use wbd_model::problem::{Problem, Source};

use super::{load, settings};
use crate::yaml::{Node, Place, documents};

const SETTINGS: &str = "healing: auto
ceiling: A3
playbooks:
  dns: {healing: observe, ceiling: A2}
budget: {per_hour: 3, per_day: 6}
maintenance:
  zone: Europe/Berlin
  from_class: A3
  windows: [{days: [sat, sun], from: '01:00', to: '05:00'}]
every: 10s
sample_every: 1m
public: auto
facts: {dsva.driver: 9.5.2}
on_escalation: [/usr/bin/logger, wbd]
";

const PROFILE: &str = "apiVersion: wbd/v1
kind: Profile
metadata: {name: web, source: none}
spec:
  present: {any: [{file: /web}]}
  process: {main: {program: /web, user: [root]}}
  health: true
  unit: web.service
  commands: {fix: {argv: [/opt/web/fix, now], timeout: 5s, class: A3}}
  version: {left: {package: web}, right: {health: {}}}
  leak: {window: '01:00-06:00', fallback: '05:10'}
  limits: {watches: 100}
  public: auto
  endpoints: [{host: a.example, ports: [80], ping: true, when: public}]
  codes: {port: WEB-PORT}
";

const PLAYBOOK: &str = "apiVersion: wbd/v1
kind: Playbook
metadata: {name: port, code: WEB-PORT, source: none}
spec:
  applies: {has: [process.main, unit, commands.fix]}
  scope: profile
  every: 10s
  observe:
    proc: {process.state: {process: main}}
  let:
    dead: {cel: '!proc.alive'}
  detect:
    for: 5s
    cases: [{id: down, level: fail, when: dead, for: 10s}]
  rungs:
    - id: restart
      if: dead
      approval: operator
      steps: [{unit.restart: {unit: web.service}}, {command.run: {command: fix}}]
  verify: {pass: proc.alive, within: 10s, hold: 1s}
  budget: {attempts: 3, per: 1h, backoff: {from: 5s, to: 5m}}
  text: {en: {down: {title: t, cause: c, guide: [g]}}}
";

fn problems(source: &Source) -> Vec<Problem> {
    if source.path == "wbd.yaml" {
        return settings::parse(source).err().unwrap_or_default();
    }
    let others = [("web.yaml", PROFILE), ("port.yaml", PLAYBOOK)]
        .into_iter()
        .filter(|(path, _)| *path != source.path)
        .map(|(path, text)| Source { path: path.to_owned(), text: text.to_owned() });
    let sources: Vec<Source> = std::iter::once(source.clone()).chain(others).collect();
    load(&sources).1.into_iter().filter(|problem| problem.file == source.path).collect()
}

/// Every key and every value that is no map and no list.
fn words(node: &Node, found: &mut BTreeSet<Place>) {
    for (key, value) in node.entries() {
        found.insert(key.place);
        words(value, found);
    }
    node.elements().iter().for_each(|element| words(element, found));
    if node.entries().is_empty() && node.elements().is_empty() {
        found.insert(node.place);
    }
}

/// The byte at a place, and the word that begins there.
fn word_at(text: &str, place: Place) -> (usize, &str) {
    let line = usize::try_from(place.line).unwrap() - 1;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let at = start + usize::try_from(place.column).unwrap() - 1;
    let rest = &text[at..];
    let length = match rest.chars().next().unwrap_or(' ') {
        quote @ ('"' | '\'') => rest[1..].find(quote).map_or(rest.len(), |end| end + 2),
        _ => rest.find(|c: char| !(c.is_alphanumeric() || "_.-/".contains(c))).unwrap_or(rest.len()),
    };
    (at, &rest[..length])
}

/// The file with each hint of this problem followed; none for a hint that is no word to write.
fn followed(source: &Source, problem: &Problem) -> Vec<(bool, Source)> {
    let hint = problem.hint.as_deref().unwrap_or_default();
    let (at, word) = word_at(&source.text, Place { line: problem.line, column: problem.column });
    // Inside an expression the wrong word stands somewhere behind the place.
    let quoted = problem.message.split('"').nth(1).unwrap_or_default();
    let found = source.text[at..].find(quoted).filter(|_| !quoted.is_empty());
    let (from, to) = found.map_or((at, at + word.len()), |offset| (at + offset, at + offset + quoted.len()));
    let with = |new: &str| Source {
        path: source.path.clone(),
        text: format!("{}{new}{}", &source.text[..from], &source.text[to..]),
    };
    if let Some(meant) = hint.strip_prefix("did you mean \"").and_then(|rest| rest.strip_suffix("\"?")) {
        return vec![(true, with(meant))];
    }
    if hint.starts_with("put it in quotes") {
        return vec![(true, with(&format!("\"{word}\"")))];
    }
    if hint == "write true or false" {
        return vec![(true, with("true")), (true, with("false"))];
    }
    let listed = hint.strip_prefix("known here: ").map(|list| list.split(", ").filter(|word| *word != "..."));
    listed.into_iter().flatten().map(|word| (false, with(word))).collect()
}

fn broken(file: &Source) -> Vec<Source> {
    let mut places = BTreeSet::new();
    documents(file).0.iter().for_each(|tree| words(tree, &mut places));
    let mut all = Vec::new();
    for place in places {
        let (at, word) = word_at(&file.text, place);
        let bare = word.trim_matches(['"', '\'']);
        let shorter = bare.get(..bare.len().saturating_sub(1)).unwrap_or_default();
        for new in ["5", "1.5", "yes", "true", "A9", "WEB-POTR", "nothing-like-it", shorter, &format!("{bare}x")] {
            if !new.is_empty() && new != bare {
                let text = format!("{}{new}{}", &file.text[..at], &file.text[at + word.len()..]);
                all.push(Source { path: file.path.clone(), text });
            }
        }
    }
    all
}

#[test]
fn every_hint_that_is_offered_is_taken() {
    let files = [("wbd.yaml", SETTINGS), ("web.yaml", PROFILE), ("port.yaml", PLAYBOOK)];
    let (mut followed_hints, mut refused) = (0, Vec::new());
    for (path, text) in files {
        let good = Source { path: path.to_owned(), text: text.to_owned() };
        assert_eq!(problems(&good), [], "{path}");
        for file in broken(&good) {
            let before = problems(&file);
            for problem in before.iter().filter(|problem| problem.hint.is_some() && problem.line > 0) {
                for (is_meant, changed) in followed(&file, problem) {
                    followed_hints += 1;
                    let here = |after: &&Problem| (after.line, after.column) == (problem.line, problem.column);
                    let of_the_word = |after: &&Problem| is_meant || after.message.starts_with("unknown");
                    let known = |after: &&Problem| before.iter().any(|it| it != problem && it.message == after.message);
                    if let Some(after) =
                        problems(&changed).iter().filter(here).filter(of_the_word).find(|after| !known(after))
                    {
                        refused.push(format!("{}\n  then: {}", problem.brief(), after.brief()));
                    }
                }
            }
        }
    }
    assert!(followed_hints > 200, "only {followed_hints} hints were followed");
    refused.sort();
    refused.dedup();
    assert!(refused.is_empty(), "of {followed_hints} hints {} are refused:\n{}", refused.len(), refused.join("\n"));
}

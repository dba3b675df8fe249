//! `/etc/wbd/wbd.yaml`: its text as settings, or every problem of it. Reads no file and decides nothing.
use wbd_model::problem::{Problem, Source};
use wbd_model::settings::Settings;

use crate::playbook::{Node, documents, is_program, typed};

/// Most deeds that a budget may allow.
const MAX_DEEDS: u32 = 1000;

/// The settings of a file; an empty file is all defaults.
///
/// # Errors
/// Every problem of the file, each with its place; then none of it counts.
pub fn parse(source: &Source) -> Result<Settings, Vec<Problem>> {
    let (trees, mut problems) = documents(source);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut trees = trees.into_iter();
    let Some(tree) = trees.next() else { return Ok(Settings::default()) };
    if let Some(second) = trees.next() {
        return Err(vec![second.place.problem(source, "one document is wanted; this is a second one", None)]);
    }
    let settings: Settings = typed(source, &tree)?;
    let mut add = |path: &[&str], message: &str| problems.push(tree.place_of(path).problem(source, message, None));
    if settings.budget.per_hour > MAX_DEEDS {
        add(&["budget", "per_hour"], "per_hour must be 0 to 1000");
    }
    if settings.budget.per_day > MAX_DEEDS {
        add(&["budget", "per_day"], "per_day must be 0 to 1000");
    }
    for (key, time) in [("every", settings.every), ("sample_every", settings.sample_every)] {
        if !(1000..=86_400_000).contains(&time.as_ms()) {
            add(&[key], &format!("{key} must be 1s to 1d"));
        }
    }
    if !settings.on_escalation.is_empty() && !is_program(&settings.on_escalation) {
        add(&["on_escalation"], "on_escalation must begin with the absolute path of a program");
    }
    for name in settings.playbooks.keys() {
        if wbd_model::name::PlaybookName::new(name.as_str()).is_err() {
            let place = key_place(&tree, name);
            problems.push(place.problem(source, format!("{name:?} cannot be the name of a playbook"), None));
        }
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

fn key_place(tree: &Node, name: &str) -> crate::playbook::Place {
    let entries = tree.get("playbooks").map(Node::entries).unwrap_or_default();
    entries.iter().find(|(key, _)| key.text == name).map(|(key, _)| key.place).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Settings, Vec<String>> {
        let source = Source { path: "wbd.yaml".to_owned(), text: text.to_owned() };
        parse(&source).map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn an_empty_file_is_all_defaults() {
        for text in ["", "# nothing\n", "---\n"] {
            assert_eq!(read(text).unwrap(), Settings::default(), "{text:?}");
        }
    }

    #[test]
    fn what_is_written_counts() {
        let text = "healing: approve\nceiling: A2\nbudget: {per_hour: 1}\nplaybooks:\n  dns: {healing: observe}\nevery: 5s\nfacts: {dsva.driver: 9.5.2.1}\n";
        let settings = read(text).unwrap();
        assert_eq!(settings.budget.per_hour, 1);
        assert_eq!(settings.budget.per_day, 6);
        assert_eq!(settings.every.as_ms(), 5000);
        assert_eq!(settings.healing_for("dns"), wbd_model::settings::Healing::Observe);
        assert_eq!(settings.facts["dsva.driver"], "9.5.2.1");
    }

    #[test]
    fn all_problems_are_told_at_once_with_their_place() {
        let problems = read("healing: atuo\nbugdet: {}\nevery: 5\n").unwrap_err();
        assert_eq!(problems.len(), 3, "{problems:#?}");
        assert!(
            problems[0].starts_with("wbd.yaml:1:10: unknown word \"atuo\" (did you mean \"auto\"?)"),
            "{}",
            problems[0]
        );
        assert!(
            problems[1].starts_with("wbd.yaml:2:1: unknown key \"bugdet\" (did you mean \"budget\"?)"),
            "{}",
            problems[1]
        );
        assert!(
            problems[2].starts_with("wbd.yaml:3:8: wrong type: found the number 5, wanted text"),
            "{}",
            problems[2]
        );
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused() {
        let problems = read("budget: {per_hour: 1001}\nevery: 10ms\non_escalation: [mail, root]\n").unwrap_err();
        assert!(problems[0].starts_with("wbd.yaml:1:20: per_hour"), "{problems:#?}");
        assert!(problems[1].starts_with("wbd.yaml:2:8: every"), "{problems:#?}");
        assert!(problems[2].contains("absolute path"), "{problems:#?}");
    }
}

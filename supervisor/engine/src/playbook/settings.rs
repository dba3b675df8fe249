//! `/etc/wbd/wbd.yaml`: its text as settings, or every problem of it. Reads no file and decides nothing.
use wbd_model::problem::{Problem, Source};
use wbd_model::settings::Settings;
use wbd_model::suggest;

use super::library::Library;
use super::profile::is_program;
use super::{references, regions};
use crate::guard::window;
use crate::yaml::{Node, Place, documents, readable, tried};

/// Most maintenance windows; each is gone through whenever an action waits for one.
const MAX_WINDOWS: usize = 16;
/// Most actions that a budget may allow.
const MAX_ACTIONS: u32 = 1000;

/// The settings of a file; an empty file is all defaults.
///
/// # Errors
/// Every problem of the file, each with its place; then none of it counts.
pub fn parse(source: &Source) -> Result<Settings, Vec<Problem>> {
    read(source).map_err(|found| tried(source, found, &|changed| read(changed).err().unwrap_or_default()))
}

/// What is not wrong and leads to nothing: playbooks and products that there are not, facts that no profile asks for.
#[must_use]
pub fn advice(source: &Source, settings: &Settings, library: &Library) -> Vec<Problem> {
    references::of_settings(source, settings, library)
}

/// The program under `on_escalation` in a file that cannot be used as a whole, as far as that can be read: somebody has to
/// be told just then. Nothing else of such a file counts.
#[must_use]
pub fn program_of_broken(source: &Source) -> Option<Vec<String>> {
    let read = |source: &Source| {
        let (trees, _) = documents(source);
        let program = readable::<Settings>(source, trees.first()?).0?.on_escalation;
        is_program(&program).then_some(program)
    };
    read(source).or_else(|| read(&Source { path: source.path.clone(), text: block(&source.text, "on_escalation:") }))
}

/// The lines of one key at the left edge: what stands above or below may be no YAML at all.
fn block(text: &str, key: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(key));
    let first = lines.next().into_iter();
    let rest = lines.take_while(|line| line.starts_with([' ', '-', '#']) || line.is_empty());
    first.chain(rest).fold(String::new(), |block, line| block + line + "\n")
}

fn read(source: &Source) -> Result<Settings, Vec<Problem>> {
    let (trees, mut problems) = documents(source);
    let mut trees = trees.into_iter();
    let Some(tree) = trees.next() else {
        return if problems.is_empty() { Ok(Settings::default()) } else { Err(problems) };
    };
    if let Some(second) = trees.next() {
        problems.push(second.place.problem(source, "one document is wanted; this is a second one", None));
        return Err(problems);
    }
    // What cannot be read counts as its default here, and is told already.
    let (settings, found) = readable::<Settings>(source, &tree);
    problems.extend(found);
    let Some(settings) = settings else { return Err(problems) };
    let found = checked(source, &tree, &settings);
    // The windows of a maintenance that cannot be read are not too few.
    problems.extend(regions::apart(&tree, found, &problems));
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

/// What is out of bounds, or names nothing.
fn checked(source: &Source, tree: &Node, settings: &Settings) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |path: &[&str], message: &str| found.push(tree.place_of(path).problem(source, message, None));
    if settings.budget.per_hour > MAX_ACTIONS {
        add(&["budget", "per_hour"], "per_hour must be 0 to 1000");
    }
    if settings.budget.per_day > MAX_ACTIONS {
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
    found.extend(maintenance(source, tree, settings));
    for name in settings.playbooks.keys() {
        if wbd_model::name::PlaybookName::new(name.as_str()).is_err() {
            let place = key_place(tree, "playbooks", name);
            found.push(place.problem(source, format!("{name:?} cannot be the name of a playbook"), None));
        }
    }
    for name in settings.products.keys() {
        if wbd_model::name::ProfileName::new(name.as_str()).is_err() {
            let place = key_place(tree, "products", name);
            found.push(place.problem(source, format!("{name:?} cannot be the name of a product's profile"), None));
        }
    }
    found
}

fn maintenance(source: &Source, tree: &Node, settings: &Settings) -> Vec<Problem> {
    let Some(maintenance) = &settings.maintenance else { return Vec::new() };
    let mut problems = Vec::new();
    if !window::knows(&maintenance.zone) {
        let names = window::zone_names();
        let near = suggest::nearest(&maintenance.zone, names.iter().map(String::as_str));
        let hint = near.map_or_else(
            || "write a name of the IANA database, such as Europe/Berlin or Etc/UTC".to_owned(),
            |near| format!("did you mean {near:?}?"),
        );
        let message = format!("no time zone is called {:?}", maintenance.zone);
        problems.push(tree.place_of(&["maintenance", "zone"]).problem(source, message, Some(hint)));
    }
    if !(1..=MAX_WINDOWS).contains(&maintenance.windows.len()) {
        let place = tree.place_of(&["maintenance", "windows"]);
        let hint = "to let actions be done at any time, leave maintenance out".to_owned();
        problems.push(place.problem(source, format!("windows must be 1 to {MAX_WINDOWS}"), Some(hint)));
    }
    problems
}

fn key_place(tree: &Node, key: &str, name: &str) -> Place {
    let entries = tree.get(key).map(Node::entries).unwrap_or_default();
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
        assert_eq!(
            settings.healing_for("dns", &wbd_model::name::TargetName::new("host").unwrap()),
            wbd_model::settings::Healing::Observe
        );
        assert_eq!(settings.facts["dsva.driver"], "9.5.2.1");
    }

    #[test]
    fn a_whole_number_is_a_fact_and_one_with_a_point_is_wanted_in_quotes() {
        assert_eq!(read("facts: {iwss.build: 1393}\n").unwrap().facts["iwss.build"], "1393");
        let problems = read("facts: {iwss.version: 6.10}\n").unwrap_err();
        assert!(problems[0].contains("(put it in quotes to make it text)"), "9.10 would become 9.1: {problems:#?}");
        assert_eq!(read("facts: {iwss.version: \"6.10\"}\n").unwrap().facts["iwss.version"], "6.10");
    }

    #[test]
    fn no_hint_is_refused_in_its_turn() {
        let brief = |text: &str| read(text).unwrap_err().remove(0).lines().next().unwrap().to_owned();
        let every = brief("every: 10\n");
        assert!(every.ends_with("wanted a time with its unit, such as 500ms, 10s, 5m, 2h or 1d"), "{every}");
        let ceiling = brief("ceiling: A9\n");
        assert!(ceiling.ends_with("(known here: A0, A1, A2, A3, A4)"), "{ceiling}");
    }

    #[test]
    fn a_value_out_of_bounds_is_told_beside_one_that_cannot_be_read() {
        let problems = read("healing: atuo\nevery: 10ms\n").unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:#?}");
    }

    #[test]
    fn the_program_that_tells_is_found_in_settings_that_cannot_be_used() {
        let program = |text: &str| program_of_broken(&Source { path: "wbd.yaml".to_owned(), text: text.to_owned() });
        let tell = Some(vec!["/usr/local/sbin/tell".to_owned(), "ops".to_owned()]);
        for text in [
            "healing: perhaps\non_escalation: [/usr/local/sbin/tell, ops]\n",
            "bugdet: 1\non_escalation:\n  - /usr/local/sbin/tell\n  - ops\nevery: 1\n",
            // No YAML at all, above and below it.
            "healing: [\non_escalation:\n- /usr/local/sbin/tell\n# who\n- ops\nfacts: {\n",
            "\t: :\non_escalation: [/usr/local/sbin/tell, ops]\n}\n",
        ] {
            assert_eq!(program(text), tell, "{text}");
        }
        for text in [
            "",
            "healing: perhaps\n",
            "on_escalation: [tell]\nhealing: perhaps\n",
            "on_escalation: [/usr/local/sbin/tell, {\n",
            "# on_escalation: [/usr/local/sbin/tell]\nhealing: [\n",
            "facts:\n  on_escalation: [/usr/local/sbin/tell]\nhealing: [\n",
        ] {
            assert_eq!(program(text), None, "{text}");
        }
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
            problems[2].starts_with("wbd.yaml:3:8: wrong type: found the number 5, wanted a time with its unit"),
            "{}",
            problems[2]
        );
    }

    #[test]
    fn maintenance_windows_are_read() {
        let text = "maintenance:\n  zone: Europe/Berlin\n  windows:\n    - {days: [sat, sun], from: \"01:00\", to: 05:00}\n    - {from: '23:30', to: '00:10'}\n";
        let maintenance = read(text).unwrap().maintenance.unwrap();
        assert_eq!(maintenance.from_class, wbd_model::action::Class::A3, "the default");
        assert_eq!(maintenance.windows.len(), 2);
        assert_eq!(maintenance.windows[0].to.to_string(), "05:00");
        assert!(maintenance.windows[1].days.is_empty());
        assert_eq!(read("").unwrap().maintenance, None);
    }

    #[test]
    fn a_zone_a_time_or_a_day_that_there_is_not_is_told_with_its_place_and_a_remedy() {
        let problem = |zone: &str, windows: &str| {
            let problems = read(&format!("maintenance:\n  zone: {zone}\n  windows: {windows}\n")).unwrap_err();
            assert_eq!(problems.len(), 1, "{problems:#?}");
            problems[0].lines().next().unwrap().to_owned()
        };
        let good = "[{from: '01:00', to: '05:00'}]";
        let zone = "wbd.yaml:2:9: no time zone is called \"Europe/Berln\" (did you mean \"Europe/Berlin\"?)";
        assert_eq!(problem("Europe/Berln", good), zone);
        assert!(problem("Nowhere", good).contains("write a name of the IANA database"));
        let time = problem("Etc/UTC", "[{from: '25:00', to: '05:00'}]");
        assert!(time.starts_with("wbd.yaml:3:20: \"25:00\" is not a time of day: write 00:00 to 23:59"), "{time}");
        let day = problem("Etc/UTC", "[{days: [sta], from: '01:00', to: '05:00'}]");
        assert!(day.starts_with("wbd.yaml:3:21: unknown word \"sta\" (did you mean \"sat\"?)"), "{day}");
        let none = problem("Etc/UTC", "[]");
        assert!(none.starts_with("wbd.yaml:3:12: windows must be 1 to 16 (to let actions be done"), "{none}");
        let many = format!("[{}]", vec!["{from: '01:00', to: '05:00'}"; 17].join(", "));
        assert!(problem("Etc/UTC", &many).contains("windows must be 1 to 16"));
    }

    #[test]
    fn numbers_beyond_their_bounds_are_refused() {
        let problems = read("budget: {per_hour: 1001}\nevery: 10ms\non_escalation: [mail, root]\n").unwrap_err();
        assert!(problems[0].starts_with("wbd.yaml:1:20: per_hour"), "{problems:#?}");
        assert!(problems[1].starts_with("wbd.yaml:2:8: every"), "{problems:#?}");
        assert!(problems[2].contains("absolute path"), "{problems:#?}");
    }
}

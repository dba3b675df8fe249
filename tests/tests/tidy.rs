//! House rules that no compiler checks: sizes, opening sentences, one name for one thing, no ignored or sleeping tests,
//! no banned crates, a README that starts with a command.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::fs;
use std::path::{Path, PathBuf};

use wbd_tests::places;

/// Above this a file is split, whatever the reason for its size.
const LONGEST_FILE: usize = 600;
/// Ended or unfit; each has its replacement named in ARCHITECTURE.md.
const BANNED: [&str; 4] = ["trust-dns-resolver", "serde_yaml", "serde_yml", "cel-interpreter"];
/// Where the first command of the README has to stand at the latest.
const README_START: usize = 20;

/// In pieces, so that this file does not find itself.
const SLEEPS: [&str; 3] = [concat!("thread::", "sleep("), concat!("time::", "sleep("), concat!(" sleep", "(Duration")];

/// Words that once stood beside the field's own (action, notifier, probe runner, scheduler, connection pool, report):
/// one thing has one name. Each with the files in which a form that was written or read before keeps it.
const GONE: [(&str, &[&str]); 13] = [
    ("courier", &[]),
    ("deed", &[]),
    (
        "deeds",
        &[
            "supervisor/ctl/src/demo/breaks.rs",
            "supervisor/ctl/src/simulate/mod.rs",
            "supervisor/engine/src/play/simulate/report.rs",
            "tests/tests/standalone/ninety_days.rs",
            "tests/tests/standalone/simulate.rs",
        ],
    ),
    ("eyes", &[]),
    ("homeless", &[]),
    ("lookout", &[]),
    ("seat", &[]),
    ("seats", &[]),
    ("tale", &[]),
    ("tales", &[]),
    ("teller", &["man/wbdctl.1", "supervisor/model/src/entry.rs", "tests/tests/standalone/escalation.rs"]),
    ("telling", &["supervisor/engine/src/state/escalations_tests.rs", "supervisor/engine/src/state/mod.rs"]),
    ("tellings", &[]),
];

struct Source {
    name: String,
    text: String,
}

/// Every file of the repository that ends in `ending`, build output and hidden folders left out.
fn sources(ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![places::repo().to_path_buf()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(places::repo()).unwrap();
                found.push(Source {
                    name: name.to_string_lossy().into_owned(),
                    text: fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    assert!(!found.is_empty(), "no file ends in {ending}");
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    all.filter(|entry| {
        let name = entry.file_name();
        name != "target" && !name.to_string_lossy().starts_with('.')
    })
    .map(|entry| entry.path())
    .collect()
}

fn is_test_folder(name: &str) -> bool {
    name.split('/').any(|folder| folder == "tests")
}

/// Line numbers (from 1) of sleeps for luck in test code. A pause between two looks is none: it stands in a loop, or in
/// a helper named `wait...` that such a loop calls.
fn sleeps(source: &Source) -> Vec<usize> {
    let lines: Vec<&str> = source.text.lines().collect();
    let unit_tests = lines.iter().position(|line| line.trim() == "#[cfg(test)]");
    let tests_from = if is_test_folder(&source.name) { 0 } else { unit_tests.unwrap_or(lines.len()) };
    let asleep = |line: &str| SLEEPS.iter().any(|call| line.contains(call));
    (tests_from..lines.len())
        .filter(|&number| asleep(lines[number]) && !between_looks(&lines[..number], lines[number]))
        .map(|number| number + 1)
        .collect()
}

/// Whether a line stands in a loop or a `wait...` function, told by the indentation of the lines before it.
fn between_looks(before: &[&str], line: &str) -> bool {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let mut inside = depth(line);
    for outer in before.iter().rev().filter(|line| !line.trim().is_empty()) {
        if depth(outer) >= inside {
            continue;
        }
        inside = depth(outer);
        let words = outer.trim_start();
        if ["loop ", "while ", "for "].iter().any(|word| words.starts_with(word)) {
            return true;
        }
        if let Some((_, name)) = outer.split_once("fn ") {
            return name.starts_with("wait");
        }
    }
    false
}

/// The line (from 1) of the first command in a fenced block; a command stands in a fence of its own language or after
/// `$ `.
fn first_command(readme: &str) -> Option<usize> {
    let mut fenced = false;
    for (number, line) in readme.lines().enumerate() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced && !line.trim().is_empty() {
            return Some(number + 1);
        }
    }
    None
}

/// The words of a line in lower case, those inside of names too: `MOST_DEEDS`, `a_deed`, `DeedEnded`.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in line.chars() {
        if !letter.is_alphabetic() || (before.is_lowercase() && letter.is_uppercase()) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_alphabetic(), words.last_mut()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n{}", found.join("\n"));
}

#[test]
fn no_file_is_longer_than_the_limit() {
    let files = sources(".rs").into_iter();
    let long = files.filter(|file| file.text.lines().count() > LONGEST_FILE);
    none("too long", long.map(|file| file.name).collect());
}

#[test]
fn every_file_opens_with_what_it_is() {
    let files = sources(".rs").into_iter();
    let silent = files.filter(|file| {
        // What a compile-fail test shows is the code, and its output names line numbers.
        let shown = file.name.contains("/tests/ui/") || file.name.contains("/compile_fail/");
        !shown && !file.text.starts_with("//! ")
    });
    none("does not open with `//!`", silent.map(|file| file.name).collect());
}

#[test]
fn no_test_is_ignored() {
    let attribute = concat!("#[", "ignore");
    let files = sources(".rs").into_iter();
    let ignored = files.filter(|file| file.text.contains(attribute));
    none("ignored tests", ignored.map(|file| file.name).collect());
}

/// Only actions change the host: what the daemon writes by itself is its own folders and its own socket.
#[test]
fn the_daemon_writes_nothing_of_the_host() {
    let calls = [
        "fs::write",
        "fs::rename",
        "fs::remove_",
        "fs::hard_link",
        "fs::copy",
        "fs::create_dir",
        "fs::set_permissions",
        "File::create",
        "OpenOptions",
        "symlink(",
        "stop::write",
        "stop::remove",
    ];
    let may = |name: &str, call: &str| match name.rsplit('/').next() {
        Some("control.rs" | "socket.rs") => true,
        Some("start.rs") => call == "fs::create_dir",
        Some("testing.rs") => true,
        Some(file) => file.ends_with("tests.rs"),
        None => false,
    };
    let mut found = Vec::new();
    for file in sources(".rs").into_iter().filter(|file| file.name.starts_with("supervisor/daemon/src/")) {
        let code = file.text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
        for (number, line) in code.enumerate() {
            if calls.iter().any(|call| line.contains(call) && !may(&file.name, call)) {
                found.push(format!("{}:{}: {}", file.name, number + 1, line.trim()));
            }
        }
    }
    none("it belongs into supervisor/actions", found);
}

#[test]
fn no_test_sleeps_for_luck() {
    let mut found = Vec::new();
    for file in sources(".rs") {
        found.extend(sleeps(&file).iter().map(|line| format!("{}:{line}", file.name)));
    }
    none("sleeps for luck", found);
}

/// A service in a sandbox, or beside a container's cover, has another name for the boot than a shell: only what one
/// program wrote itself may be compared with the name that it reads. Everybody else goes by clock, pid and start ticks.
#[test]
fn the_boots_name_is_read_for_the_supervisors_own_records_only() {
    let reads = [concat!("random/", "boot_id"), concat!("clock::", "now"), concat!("probes::clock::", "{")];
    let may = |name: &str, read: usize| match read {
        0 => name == "supervisor/probes/src/clock.rs",
        _ => name.starts_with("supervisor/daemon/") || name.starts_with("supervisor/probes/"),
    };
    let mut found = Vec::new();
    for file in
        sources(".rs").into_iter().filter(|file| file.name.contains("/src/") && !file.name.starts_with("tests/"))
    {
        for (number, line) in file.text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if (0..reads.len()).any(|read| line.contains(reads[read]) && !may(&file.name, read)) {
                found.push(format!("{}:{}: {}", file.name, number + 1, line.trim()));
            }
        }
    }
    none("names of boots where two views may meet", found);
}

/// Lines of a file of the product outside of its tests.
fn product_lines(source: &Source) -> impl Iterator<Item = (usize, &str)> {
    let is_product = source.name.contains("/src/") && !source.name.starts_with("tests/");
    let only_tests = source.name.ends_with("tests.rs")
        || source.name.ends_with("/testing.rs")
        || source.name.contains("/src/tests/");
    let lines = source.text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.enumerate().filter(move |_| is_product && !only_tests).map(|(number, line)| (number + 1, line))
}

/// Each of the six and three that there once were had forgotten something that another one knew: a file is written
/// whole by `agent_api::Whole`, a program is run by `agent_api::program`. What stands here does something else.
#[test]
fn a_file_is_put_in_place_and_a_program_is_run_in_one_place_each() {
    const RENAMES: [&str; 4] = [
        "agent/api/src/whole.rs",
        // The demo takes the agent's program away and puts it back.
        "supervisor/ctl/src/demo/breaks.rs",
        // Databases that SQLite wrote.
        "supervisor/ledger/src/rotate.rs",
        "supervisor/ledger/src/store.rs",
    ];
    const STARTS: [&str; 6] = [
        "agent/api/src/program.rs",
        // Ourselves again, or what lives on as our child: nothing is waited for.
        "agent/src/alone.rs",
        "supervisor/actions/src/agent.rs",
        "supervisor/ctl/src/demo/scratch.rs",
        "supervisor/ctl/src/demo/trial.rs",
        "supervisor/ctl/src/doctor/worker.rs",
    ];
    let rules = [(concat!("fs::", "rename("), &RENAMES[..]), (concat!("Command::", "new("), &STARTS[..])];
    let mut found = Vec::new();
    for (call, places) in rules {
        let mut seen = std::collections::BTreeSet::new();
        for file in sources(".rs") {
            for (number, line) in product_lines(&file).filter(|(_, line)| line.contains(call)) {
                seen.insert(file.name.clone());
                if !places.contains(&file.name.as_str()) {
                    found.push(format!("{}:{number}: {}", file.name, line.trim()));
                }
            }
        }
        let gone = places.iter().filter(|name| !seen.contains(**name));
        found.extend(gone.map(|name| format!("{name} stands here and does it no more")));
    }
    none("a second place for what has one", found);
}

/// The calls of a log's macros in a text, each with the number of its line and all that stands in its brackets.
fn log_calls(text: &str) -> Vec<(usize, &str)> {
    let mut calls = Vec::new();
    for macros in ["error!(", "warn!(", "info!(", "debug!(", "trace!("] {
        for (at, _) in text.match_indices(macros) {
            if text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
                continue;
            }
            let inside = &text[at + macros.len()..];
            let (mut depth, mut quoted, mut before) = (1_usize, false, ' ');
            let end = inside.find(|letter| {
                match letter {
                    '"' if before != '\\' => quoted = !quoted,
                    '(' if !quoted => depth += 1,
                    ')' if !quoted => depth -= 1,
                    _ => {}
                }
                before = letter;
                depth == 0
            });
            calls.push((text[..at].lines().count(), &inside[..end.unwrap_or(inside.len())]));
        }
    }
    calls
}

/// What is wrong with the words of a log's call: a person reads the sentence alone, so what it does not say is lost.
fn log_fault(call: &str) -> Option<&'static str> {
    let fields: Vec<&str> = call.split('"').step_by(2).flat_map(|code| code.split(',')).map(str::trim).collect();
    if call.contains(":?") || call.contains(":#?") || fields.iter().any(|field| field.starts_with('?')) {
        return Some("Debug output is for nobody");
    }
    if fields.iter().any(|field| field.starts_with('%')) {
        return Some("put it into the sentence");
    }
    let named = fields.iter().filter_map(|field| field.split_once('=')).map(|(name, _)| name.trim());
    let is_for_the_journal = |name: &str| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    let lost = named.filter(|name| name.chars().all(|letter| letter.is_alphanumeric() || letter == '_'));
    let mut lost = lost.filter(|name| !is_for_the_journal(name));
    lost.next().map(|_| "a field that only `journalctl -o verbose` shows; put it into the sentence")
}

/// The journal is read by people: each line of the programs is a sentence that says all.
#[test]
fn a_line_of_the_log_is_a_sentence() {
    let mut found = Vec::new();
    for file in sources(".rs") {
        let text: String = product_lines(&file).fold(String::new(), |text, (_, line)| text + line + "\n");
        for (number, call) in log_calls(&text) {
            found.extend(log_fault(call).map(|fault| format!("{}:{number}: {fault}: {}", file.name, call.trim())));
        }
    }
    none("lines of the log", found);
}

#[test]
fn one_thing_has_one_name() {
    let mut found = Vec::new();
    let mut kept = std::collections::BTreeSet::new();
    let files = [".rs", ".yaml", ".md", ".1", ".5"].into_iter().flat_map(sources);
    // What an older version wrote stays as it wrote it, and here they stand to be found.
    let tells_of_them = ["tests/tests/tidy.rs", "ARCHITECTURE.md"];
    let mine =
        |file: &Source| !file.name.starts_with("tests/fixtures/") && !tells_of_them.contains(&file.name.as_str());
    for file in files.filter(mine) {
        for (number, line) in file.text.lines().enumerate() {
            let words = words(line);
            for (gone, places) in GONE.iter().filter(|(gone, _)| words.iter().any(|word| word == gone)) {
                if places.contains(&file.name.as_str()) {
                    kept.insert((*gone, file.name.clone()));
                } else {
                    found.push(format!("{}:{}: {gone}", file.name, number + 1));
                }
            }
        }
    }
    let all = GONE.iter().flat_map(|(gone, places)| places.iter().map(move |place| (*gone, (*place).to_owned())));
    found.extend(all.filter(|one| !kept.contains(one)).map(|(gone, place)| format!("{place} has {gone} no more")));
    none("words that the field has another one for", found);
}

#[test]
fn no_manifest_names_a_banned_crate() {
    let mut found = Vec::new();
    for file in sources("Cargo.toml") {
        for (number, line) in file.text.lines().enumerate() {
            let name = line.split(['=', '.']).next().unwrap_or("").trim();
            if BANNED.contains(&name.trim_matches('"')) {
                found.push(format!("{}:{}: {name}", file.name, number + 1));
            }
        }
    }
    none("banned crates", found);
}

#[test]
fn the_readme_starts_with_a_command() {
    let readme = fs::read_to_string(places::repo().join("README.md")).unwrap();
    let line = first_command(&readme).expect("a fenced command in README.md");
    assert!(line < README_START, "first command on line {line}");
    let start: String = readme.lines().take(README_START).collect();
    for command in ["wbdctl demo", "tests/run"] {
        assert!(start.contains(command), "`{command}` not before line {README_START}");
    }
}

#[test]
fn the_checks_see_what_they_look_for() {
    let call = concat!("thread::", "sleep(Duration::from_secs(1));");
    let source = |name: &str, text: String| Source { name: name.into(), text };
    let asleep = |head: &str| format!("{head}\n    {call}\n}}\n");
    let unit = format!("fn f() {{}}\n#[cfg(test)]\n{}", asleep("fn t() {"));
    let looping = format!("fn t() {{\n    while !done() {{\n        {call}\n    }}\n}}\n");
    let text = "fn f() {\n    warn!(WBD_CODE = code, \"it (so) = {x}: {}\", g(1));\n    info!(%error, \"a\");\n}\n";
    let calls: Vec<_> = log_calls(text).into_iter().map(|(line, call)| (line, log_fault(call).is_some())).collect();
    assert_eq!(calls, [(2, false), (3, true)]);
    for call in ["?x, \"a\"", "\"a {x:?}\"", "reason = why, \"a\"", "count, n = 1, \"a\""] {
        assert!(log_fault(call).is_some(), "{call}");
    }
    let all = [
        source("a/src/x.rs", asleep("fn f() {")),
        source("a/src/x.rs", unit),
        source("a/tests/x.rs", asleep("fn wait_for_it() {")),
        source("a/tests/x.rs", looping),
        source("a/tests/x.rs", asleep("fn t() {")),
    ];
    let found: Vec<_> = all.iter().map(sleeps).collect();
    assert_eq!(found, [vec![], vec![4], vec![], vec![], vec![2]]);
    assert_eq!(first_command("# x\n\n```sh\ncargo x\n```\n"), Some(4));
    assert_eq!(first_command("# x\n"), None);
    assert_eq!(
        words("const MOST_DEEDS: u32 = a_deed(DeedEnded);"),
        ["const", "most", "deeds", "u", "a", "deed", "deed", "ended"]
    );
}

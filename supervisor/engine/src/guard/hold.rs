//! Holds: an operator's pause, hold files, whose text they may narrow, and what the host is busy with. Reads no file and
//! lifts nothing.
use jiff::Timestamp;
use serde::Deserialize;
use wbd_model::action::Class;
use wbd_model::entry::{Body, Entry};
use wbd_model::hold::{HoldRow, HostBusy};
use wbd_model::incident::{Guard, Refusal};
use wbd_model::name::TargetName;
use wbd_model::problem::{Problem, Source};
use wbd_model::time::{BootId, Now, utc};

use crate::state::{Hold, State};
use crate::yaml::{documents, typed};

/// Less than this between two readings of an end is no jump of the wall clock.
const READ_APART_MS: u64 = 2_000;

/// What a hold file may say. Its existence alone holds every action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Text {
    /// Why.
    why: String,
    /// Only actions of this class and above.
    class: Option<Class>,
    /// It ends by itself, like a pause.
    until: Option<Until>,
}

/// A moment with its zone, Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct Until(i64);

impl TryFrom<String> for Until {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let moment = text.parse::<Timestamp>().map(|moment| Self(moment.as_millisecond()));
        moment.map_err(|_| format!("{text:?} is no moment with its zone: write it as 2026-12-31T18:00:00Z"))
    }
}

/// The text of a hold file that keeps a pause beyond the life of who took it.
#[must_use]
pub fn text_of_pause(pause: &Hold) -> String {
    let Hold { who, why, until_wall_ms, from_class, .. } = pause;
    // Whole seconds, and none too early.
    let until = until_wall_ms.map(|until| utc(until.saturating_add(999)));
    serde_json::json!({"why": format!("pause by {who}: {why}"), "class": from_class, "until": until}).to_string()
}

/// The hold that a file's text makes. A text that cannot be used holds everything and says so.
#[must_use]
pub fn of_text(path: &str, text: &str) -> Hold {
    let source = Source { path: path.to_owned(), text: text.to_owned() };
    match parse(&source) {
        Ok(Text { why, class, until }) => {
            let until_wall_ms = until.map(|Until(until)| until);
            Hold { from_class: class.unwrap_or(Class::A0), until_wall_ms, ..of_file(path, &why) }
        }
        Err(problem) => {
            let said = problem.message;
            of_file(path, &format!("everything, since its text says neither why nor class ({said})"))
        }
    }
}

/// The hold of a file that is there, or of which that cannot be told: everything.
#[must_use]
pub fn of_file(path: &str, why: &str) -> Hold {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
    Hold { who: format!("file {path}"), why, until_wall_ms: None, from_class: Class::A0, until_boot: None, busy: None }
}

/// The hold of a host that is busy: every action.
#[must_use]
pub fn of_host(busy: HostBusy, who: &str, why: &str) -> Hold {
    let (who, why) = (who.to_owned(), why.to_owned());
    Hold { who, why, until_wall_ms: None, from_class: Class::A0, until_boot: None, busy: Some(busy) }
}

fn parse(source: &Source) -> Result<Text, Problem> {
    let (trees, problems) = documents(source);
    let first = |problems: Vec<Problem>| problems.into_iter().next();
    if let Some(problem) = first(problems) {
        return Err(problem);
    }
    match trees.as_slice() {
        [] => Ok(Text::default()),
        // `echo kernel upgrade > /etc/wbd/hold` says why too.
        [tree] if tree.text().is_some() => {
            Ok(Text { why: tree.text().unwrap_or_default().to_owned(), ..Text::default() })
        }
        [tree] if !tree.elements().is_empty() => Err(bare(source)),
        [tree] => typed(source, tree).map_err(|problems| first(problems).unwrap_or_else(|| bare(source))),
        [_, ..] => Err(bare(source)),
    }
}

fn bare(source: &Source) -> Problem {
    let message = "one map of why, class and until is wanted".to_owned();
    Problem { file: source.path.clone(), line: 0, column: 0, message, text: String::new(), hint: None }
}

/// Adds a record to the holds of a state.
pub(crate) fn apply(state: &mut State, entry: &Entry) {
    if let Body::Hold { who, why, until_wall_ms, from_class, file, busy } = &entry.body {
        let (who, why, busy) = (who.clone(), why.clone(), busy.clone());
        let hold = Hold { who, why, until_wall_ms: *until_wall_ms, from_class: *from_class, until_boot: None, busy };
        match file {
            None => state.hold = Some(Hold { until_boot: end_in_boot(*until_wall_ms, &entry.at), ..hold }),
            // Its text names a moment of the calendar.
            Some(file) => drop(state.file_holds.insert(file.clone(), hold)),
        }
    } else if let Body::Lifted { file, .. } = &entry.body {
        match file {
            None => state.hold = None,
            Some(file) => drop(state.file_holds.remove(file)),
        }
    }
}

/// A pause is for a length, which the clock of its boot measures.
fn end_in_boot(until_wall_ms: Option<i64>, taken: &Now) -> Option<(BootId, u64)> {
    let length = u64::try_from(until_wall_ms?.saturating_sub(taken.wall_ms)).unwrap_or(0);
    Some((taken.boot.clone(), taken.boot_ms.saturating_add(length)))
}

/// Holds that stand now, the pause first; each with its file.
pub fn standing<'a>(state: &'a State, now: &'a Now) -> impl Iterator<Item = (Option<&'a str>, &'a Hold)> {
    let pause = state.hold.iter().map(|hold| (None, hold));
    let files = state.file_holds.iter().map(|(file, hold)| (Some(file.as_str()), hold));
    pause.chain(files).filter(|(_, hold)| !is_over(hold, now))
}

/// Whether a hold has ended by itself. How long another boot's pause was in force nobody knows but the wall clock.
#[must_use]
pub fn is_over(hold: &Hold, now: &Now) -> bool {
    match left_in_boot(hold, now) {
        Some(left_ms) => left_ms == 0,
        None => hold.until_wall_ms.is_some_and(|until| now.wall_ms >= until),
    }
}

fn left_in_boot(hold: &Hold, now: &Now) -> Option<u64> {
    let (boot, until_ms) = hold.until_boot.as_ref()?;
    (*boot == now.boot).then(|| until_ms.saturating_sub(now.boot_ms))
}

/// When it ends, as the wall clock goes now.
fn until_wall_ms(hold: &Hold, now: &Now) -> Option<i64> {
    let said = hold.until_wall_ms?;
    let Some(left_ms) = left_in_boot(hold, now) else { return Some(said) };
    let until = now.wall_ms.saturating_add(i64::try_from(left_ms).unwrap_or(i64::MAX));
    // The two clocks are not read in the same instant.
    Some(if until.abs_diff(said) < READ_APART_MS { said } else { until })
}

/// A hold for status and doctor.
#[must_use]
pub fn row(file: Option<&str>, hold: &Hold, now: &Now) -> HoldRow {
    HoldRow {
        who: hold.who.clone(),
        why: hold.why.clone(),
        from_class: hold.from_class,
        until_wall_ms: until_wall_ms(hold, now),
        file: file.map(str::to_owned),
        busy: hold.busy.clone(),
    }
}

/// A hold in words: who, why, which actions, until when.
#[must_use]
pub fn words(row: &HoldRow) -> String {
    let why = if row.why.is_empty() { String::new() } else { format!(": {}", row.why) };
    // A1 is the gentlest action there is.
    let class =
        if row.from_class > Class::A1 { format!(" (class {} and above)", row.from_class) } else { String::new() };
    let until = row.until_wall_ms.map_or_else(String::new, |until| format!(", until {}", utc(until)));
    format!("by {}{why}{class}{until}", row.who)
}

/// What a person does to end a hold.
#[must_use]
pub fn lifts(row: &HoldRow) -> String {
    match (&row.busy, &row.file) {
        (Some(_), _) => "wbd goes on by itself when that is over".to_owned(),
        (None, None) => "wbdctl resume lifts it".to_owned(),
        (None, Some(file)) => format!("remove {file} to lift it"),
    }
}

/// I9: whether a hold keeps an action of this class for this target back; what is for no target is kept back by each.
///
/// # Errors
/// The first hold that does, and what lifts it.
pub fn permits(state: &State, now: &Now, class: Class, target: Option<&TargetName>) -> Result<(), Refusal> {
    let concerned =
        |hold: &Hold| hold.busy.as_ref().is_none_or(|busy| target.is_none_or(|target| busy.with.concerns(target)));
    let mut holding = standing(state, now).filter(|(_, hold)| class >= hold.from_class && concerned(hold));
    let Some((file, hold)) = holding.next() else { return Ok(()) };
    let row = row(file, hold, now);
    let verb = if row.busy.is_some() { "held" } else { "paused" };
    let reason = format!("{verb} {}; {}", words(&row), lifts(&row));
    Err(Refusal { guard: Guard::Hold, reason, until_ms: None })
}

#[cfg(test)]
mod tests {
    use wbd_model::hold::Busy;
    use wbd_model::name::ProfileName;

    use super::*;

    fn text(text: &str) -> Hold {
        of_text("/etc/wbd/hold", text)
    }

    #[test]
    fn a_file_holds_everything_whatever_is_in_it() {
        let broken = [
            "until: tomorrow",
            "until: 2026-12-31T18:00",
            "until: 1",
            "why: [",
            "why: {a: b}",
            "clazz: A2",
            "class: A9",
            "a: b\n---\nc: d",
            "\u{1}",
            "- x\n- A2",
            "1",
        ];
        for content in ["", "\n", "# nothing\n", "{}", "---\n"].iter().chain(&broken) {
            assert_eq!(text(content).from_class, Class::A0, "{content:?}");
        }
        for content in broken {
            assert!(text(content).why.starts_with("everything, since"), "{content:?}: {}", text(content).why);
        }
        for content in ["- x\n- A2", "a: b\n---\nc: d"] {
            let why = text(content).why;
            assert!(why.ends_with("(one map of why, class and until is wanted)"), "{content:?}: {why}");
        }
        assert_eq!(
            (text("kernel upgrade").why.as_str(), text("kernel upgrade").from_class),
            ("kernel upgrade", Class::A0)
        );
    }

    #[test]
    fn its_text_may_say_why_and_narrow_it() {
        let hold = text("why: kernel\n  upgrade\nclass: A2\n");
        assert_eq!((hold.why.as_str(), hold.from_class), ("kernel upgrade", Class::A2));
        assert_eq!(hold.who, "file /etc/wbd/hold");
        assert_eq!(text("why: x").from_class, Class::A0, "without a class every action");
        assert_eq!(text("until: 2026-12-31T18:00:00Z").until_wall_ms, Some(1_798_740_000_000));
        assert_eq!(text("why: x").until_wall_ms, None, "without an end until it is removed");
    }

    #[test]
    fn a_pause_is_the_same_as_a_file() {
        let pause = |until_wall_ms| Hold {
            who: "root".to_owned(),
            why: "a \"change\": of the\nkernel".to_owned(),
            until_wall_ms,
            from_class: Class::A2,
            until_boot: None,
            busy: None,
        };
        for (until, kept) in [(None, None), (Some(1_798_740_000_001), Some(1_798_740_001_000))] {
            let hold = text(&text_of_pause(&pause(until)));
            assert_eq!((hold.from_class, hold.until_wall_ms), (Class::A2, kept));
            assert_eq!(hold.why, "pause by root: a \"change\": of the kernel");
        }
    }

    #[test]
    fn after_a_jump_of_the_wall_clock_a_pause_shows_when_it_really_ends() {
        let at = |boot_ms, wall_ms| Now { boot: BootId("b".to_owned()), boot_ms, wall_ms };
        let hold = Hold { until_wall_ms: Some(4_600_000), ..of_file("x", "") };
        let pause = Hold { until_boot: end_in_boot(hold.until_wall_ms, &at(50_000, 1_000_000)), ..hold.clone() };
        let until = |hold: &Hold, now: Now| row(None, hold, &now).until_wall_ms;
        assert_eq!(until(&pause, at(51_000, 1_000_999)), Some(4_600_000), "the same moment, read a little apart");
        assert_eq!(until(&pause, at(51_000, 1_002_999)), Some(4_600_000), "less than two seconds apart");
        assert_eq!(until(&pause, at(51_000, 1_003_000)), Some(4_602_000), "a jump of two seconds");
        assert_eq!(until(&pause, at(51_000, 9_001_000)), Some(12_600_000));
        assert_eq!(until(&hold, at(51_000, 9_001_000)), Some(4_600_000), "a file names the moment itself");
    }
    #[test]
    fn the_words_name_who_and_only_what_narrows_it() {
        let row = |why: &str, from_class, until_wall_ms| HoldRow {
            who: "root".to_owned(),
            why: why.to_owned(),
            from_class,
            until_wall_ms,
            file: None,
            busy: None,
        };
        for every in [Class::A0, Class::A1] {
            assert_eq!(words(&row("", every, None)), "by root");
        }
        let narrow = row("kernel upgrade", Class::A2, Some(1_798_740_000_000));
        assert_eq!(words(&narrow), "by root: kernel upgrade (class A2 and above), until 2026-12-31T18:00:00Z");
    }

    #[test]
    fn what_stands_names_its_file_and_what_lifts_it() {
        let now = Now { boot: BootId("b".to_owned()), boot_ms: 5_000, wall_ms: 1_000_000 };
        let mut state = State { hold: Some(of_file("x", "one")), ..State::default() };
        let said = |state: &State| {
            let rows = standing(state, &now).map(|(file, hold)| row(file, hold, &now));
            rows.map(|row| (row.file, row.why)).collect::<Vec<_>>()
        };
        let target = TargetName::new("wbd").unwrap();
        let lifts = |state: &State| permits(state, &now, Class::A1, Some(&target)).map_err(|refusal| refusal.reason);
        let pause = || (None, "one".to_owned());
        assert_eq!(said(&state), [pause()]);
        assert_eq!(lifts(&state), Err("paused by file x: one; wbdctl resume lifts it".to_owned()));
        state.file_holds.insert("/etc/wbd/hold".to_owned(), of_file("/etc/wbd/hold", "two"));
        let over = Hold { until_wall_ms: Some(1_000_000), ..of_file("/run/wbd/hold", "three") };
        state.file_holds.insert("/run/wbd/hold".to_owned(), over);
        let file = (Some("/etc/wbd/hold".to_owned()), "two".to_owned());
        assert_eq!(said(&state), [pause(), file.clone()], "the pause first, and not the one that is over");
        state.hold = None;
        assert_eq!(said(&state), [file]);
        let remedy = "paused by file /etc/wbd/hold: two; remove /etc/wbd/hold to lift it";
        assert_eq!(lifts(&state), Err(remedy.to_owned()));
        state.file_holds.clear();
        assert_eq!((said(&state), lifts(&state)), (vec![], Ok(())));
    }

    #[test]
    fn a_busy_host_holds_every_action_and_an_installer_those_for_its_product() {
        let now = Now { boot: BootId("b".to_owned()), boot_ms: 5_000, wall_ms: 1_000_000 };
        let name = |profile: &str| ProfileName::new(profile).unwrap();
        let refuses = |with: &Busy, target: &str| {
            let busy = HostBusy { with: with.clone(), overdue: false };
            let hold = of_host(busy, "apt (process 77)", "packages are changed");
            let state = State { file_holds: [(with.key(), hold)].into(), ..State::default() };
            let target = TargetName::new(target).unwrap();
            [Class::A0, Class::A4].map(|class| permits(&state, &now, class, Some(&target)).map_err(|no| no.reason))
        };
        for with in [Busy::Packages, Busy::Boot, Busy::Shutdown] {
            for target in ["wbd", "iwss-ftp", "aegis/a.example:80", "host"] {
                for said in refuses(&with, target) {
                    let words =
                        "held by apt (process 77): packages are changed; wbd goes on by itself when that is over";
                    assert_eq!(said, Err(words.to_owned()), "{with:?}");
                }
            }
        }
        let installer = Busy::Installer(name("aegis"));
        for (target, is_held) in
            [("aegis", true), ("aegis/a.example:80", true), ("aegis-two", false), ("wbd", false), ("host", false)]
        {
            assert!(refuses(&installer, target).iter().all(|said| said.is_err() == is_held), "{target}");
        }
    }
}

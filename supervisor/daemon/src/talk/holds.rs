//! The owner of what holds actions back beside a pause: hold files, looked for at fixed times and just before each action,
//! and what the host is busy with, looked at just before each action and while it holds. Recorded as it comes, changes and
//! goes. Decides nothing.
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc::Sender;
use wbd_actions::notes;
use wbd_engine::guard::hold;
use wbd_engine::playbook::Library;
use wbd_engine::state::{Hold, State};
use wbd_model::entry::{Body, Subject};
use wbd_model::hold::HOLD_FILES;
use wbd_model::time::{Now, utc};
use wbd_probes::clock::now;
use wbd_probes::holds;

use super::busy::{BusyLook, BusySince, Installers, installers};
use crate::event::{CheckEvent, Event, HoldEvent};
use crate::follow::Follow;

/// They are seen within 5 s, the loop's own delays included.
const EVERY_MS: u64 = 4_000;

/// Hold files as they were looked for last, and what the host was busy with.
#[derive(Debug)]
pub(crate) struct HoldFiles {
    root: PathBuf,
    events: Sender<Event>,
    /// When they are looked for next, at the latest.
    next_ms: u64,
    busy: BusySince,
    /// The host is being looked at.
    looking: bool,
}

impl HoldFiles {
    /// Of this root; they are looked for at once.
    pub(crate) fn new(root: &Path, events: Sender<Event>) -> Self {
        Self { root: root.to_owned(), events, next_ms: 0, busy: BusySince::default(), looking: false }
    }

    /// Looks for them, for `TimePassed` when it is time to: what is there holds from here on, what is gone is lifted. A
    /// host that is busy is looked at again beside the loop, and holds until it is seen not to be.
    pub(crate) fn on(&mut self, event: HoldEvent, state: &State, library: &Library, now: &Now) -> Vec<Follow> {
        let known = state.file_holds.iter().filter(|(_, hold)| hold.busy.is_some());
        let known = || known.clone().map(|(name, hold)| (name.clone(), hold.clone()));
        let busy: BTreeMap<String, Hold> = match event {
            HoldEvent::TimePassed if now.boot_ms < self.next_ms => return Vec::new(),
            HoldEvent::TimePassed => {
                if known().next().is_some() {
                    self.look_again(installers(library));
                }
                known().collect()
            }
            HoldEvent::Wanted => known().collect(),
            HoldEvent::Busy(sightings) => {
                self.looking = false;
                self.busy.holds(sightings, now.boot_ms)
            }
        };
        self.next_ms = now.boot_ms + EVERY_MS;
        let seen = self.seen().into_iter().chain(busy).collect();
        changes(seen, &state.file_holds)
    }

    fn look_again(&mut self, installers: Installers) {
        if std::mem::replace(&mut self.looking, true) {
            return;
        }
        let (look, events) = (BusyLook::new(&self.root), self.events.clone());
        tokio::spawn(async move {
            let seen = look.now(installers).await;
            // Nobody listens only when the supervisor stops.
            let _ = events.send(Event::Hold(HoldEvent::Busy(seen))).await;
        });
    }

    /// When they are looked for next.
    pub(crate) fn next_ms(&self) -> u64 {
        self.next_ms
    }

    /// A pause that cannot be written into the ledger outlives this process all the same: as a hold file, which ends
    /// when the pause does.
    pub(crate) fn put(&self, pause: Hold) -> Placed {
        let path = self.root.join(HOLD_FILES[1]);
        Placed { until: write_pause(&path, &self.seen(), pause), path }
    }

    /// What is there now.
    fn seen(&self) -> BTreeMap<String, Hold> {
        let files = holds::look(&self.root).into_iter().map(|file| {
            let hold = match &file.text {
                Ok(text) => hold::of_text(&file.path, text),
                Err(why) => hold::of_file(&file.path, why),
            };
            (file.path, hold)
        });
        files.collect()
    }
}

/// What became of a pause that was to be a hold file.
#[derive(Debug)]
pub(crate) struct Placed {
    path: PathBuf,
    until: io::Result<Option<i64>>,
}

impl Placed {
    /// What to tell the operator; `degraded`: why the ledger does not take the pause.
    pub(crate) fn words(&self, degraded: &str) -> String {
        let path = self.path.display();
        match &self.until {
            Ok(until) => {
                let until = until.map_or_else(String::new, |until| format!("until {} or ", utc(until)));
                format!(
                    "paused by {path}, since {degraded}; it outlives the supervisor and holds {until}until you remove it"
                )
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                format!(
                    "paused; {path}, which was there, holds too and outlives the supervisor; remove it to lift that"
                )
            }
            Err(error) => format!(
                "paused, but only while this supervisor runs, since {degraded}; and {path} cannot be written: {error}"
            ),
        }
    }
}

/// From the files that were known to those that are seen.
fn changes(seen: BTreeMap<String, Hold>, known: &BTreeMap<String, Hold>) -> Vec<Follow> {
    if seen == *known {
        return Vec::new();
    }
    let gone: Vec<String> = known.keys().filter(|path| !seen.contains_key(*path)).cloned().collect();
    let mut follows = Vec::new();
    for (path, hold) in seen {
        if known.get(&path) != Some(&hold) {
            let Hold { who, why, until_wall_ms, from_class, busy, .. } = hold;
            let body = Body::Hold { who, why, until_wall_ms, from_class, file: Some(path), busy };
            follows.push(Follow::Write(Subject::default(), Box::new(body)));
        }
    }
    for path in gone {
        let is_busy = known.get(&path).is_some_and(|hold| hold.busy.is_some());
        let who = if is_busy { format!("the end of it ({path})") } else { format!("removal of {path}") };
        let body = Body::Lifted { who, file: Some(path) };
        follows.push(Follow::Write(Subject::default(), Box::new(body)));
    }
    // What one of them held may go on, or has to be told that it may not.
    follows.push(Follow::Check(CheckEvent::All));
    follows
}

/// A file that holds for as long and as much is left as it is; one that holds less makes room for both. Gives the end
/// of what it says now.
fn write_pause(path: &Path, there: &BTreeMap<String, Hold>, mut pause: Hold) -> io::Result<Option<i64>> {
    let old = there.get(&path.display().to_string());
    let ends_before = |old: &Hold| old.until_wall_ms.is_some_and(|end| pause.until_wall_ms.is_none_or(|own| end < own));
    let milder = old.filter(|old| ends_before(old) || old.from_class > pause.from_class);
    if let Some(old) = milder.filter(|old| !hold::is_over(old, &now())) {
        pause.from_class = pause.from_class.min(old.from_class);
        pause.until_wall_ms = pause.until_wall_ms.zip(old.until_wall_ms).map(|(own, old)| own.max(old));
    }
    notes::put_hold(path, &hold::text_of_pause(&pause), milder.is_some())?;
    Ok(pause.until_wall_ms)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use wbd_model::action::Class;
    use wbd_model::entry::Entry;
    use wbd_model::hold::Busy;
    use wbd_probes::Sighting;

    fn pause(until_wall_ms: Option<i64>, from_class: Class) -> Hold {
        Hold {
            who: "root".to_owned(),
            why: "a change".to_owned(),
            until_wall_ms,
            from_class,
            until_boot: None,
            busy: None,
        }
    }

    /// The file as it is after this pause, with `old` there before; `None`: it was left alone.
    fn after(old: &str, new: Hold) -> Option<Hold> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hold");
        let name = path.display().to_string();
        fs::write(&path, old).unwrap();
        let there = BTreeMap::from([(name.clone(), hold::of_text(&name, old))]);
        let written = write_pause(&path, &there, new);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(written.is_ok(), text != old);
        written.is_ok().then(|| hold::of_text(&name, &text))
    }

    #[test]
    fn a_file_holds_from_when_it_is_seen_until_it_is_seen_gone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(HOLD_FILES[1]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (events, _inbox) = tokio::sync::mpsc::channel(8);
        let (mut files, mut state) = (HoldFiles::new(root.path(), events), State::default());
        let at = now();
        let mut kinds = |files: &mut HoldFiles, event, at: &Now| -> Vec<&str> {
            let follows = files.on(event, &state, &Library::default(), at);
            let kinds = follows.iter().map(|follow| {
                if let Follow::Write(_, body) = follow {
                    return body.kind();
                }
                assert_eq!(*follow, Follow::Check(CheckEvent::All));
                "look"
            });
            let kinds = kinds.collect();
            for follow in follows {
                if let Follow::Write(subject, body) = follow {
                    let (seq, prev, hash) = (state.seq + 1, String::new(), String::new());
                    state.apply(&Entry { seq, at: at.clone(), subject, body: *body, prev, hash });
                }
            }
            kinds
        };
        assert_eq!(kinds(&mut files, HoldEvent::TimePassed, &at), [""; 0], "none is there");
        fs::write(&path, "why: a change").unwrap();
        assert_eq!(kinds(&mut files, HoldEvent::TimePassed, &at), [""; 0], "it is not time yet");
        assert_eq!(kinds(&mut files, HoldEvent::Wanted, &at), ["hold", "look"], "just before an action");
        assert_eq!(kinds(&mut files, HoldEvent::Wanted, &at), [""; 0], "it is known");
        fs::remove_file(&path).unwrap();
        let later = Now { boot_ms: files.next_ms(), ..at };
        assert_eq!(kinds(&mut files, HoldEvent::TimePassed, &later), ["lifted", "look"]);
    }

    /// What is written by this event, as the state takes it.
    fn takes(files: &mut HoldFiles, state: &mut State, event: HoldEvent, at: &Now) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        for follow in files.on(event, state, &Library::default(), at) {
            if let Follow::Write(subject, body) = follow {
                kinds.push(body.kind());
                let (seq, prev, hash) = (state.seq + 1, String::new(), String::new());
                state.apply(&Entry { seq, at: at.clone(), subject, body: *body, prev, hash });
            }
        }
        kinds
    }

    #[tokio::test]
    async fn a_busy_host_holds_from_when_it_is_seen_until_another_look_sees_it_free() {
        let root = tempfile::tempdir().unwrap();
        let (events, mut inbox) = tokio::sync::mpsc::channel(8);
        let (mut files, mut state, at) = (HoldFiles::new(root.path(), events), State::default(), now());
        let busy = |with| {
            let (who, why) = ("apt (process 77)".to_owned(), "packages are being changed".to_owned());
            HoldEvent::Busy(vec![Sighting { with, who, why }])
        };
        assert_eq!(takes(&mut files, &mut state, busy(Busy::Packages), &at), ["hold"]);
        assert_eq!(takes(&mut files, &mut state, busy(Busy::Packages), &at), [""; 0], "told once");
        assert_eq!(takes(&mut files, &mut state, HoldEvent::Wanted, &at), [""; 0], "it was not looked at anew");
        assert_eq!(takes(&mut files, &mut state, HoldEvent::TimePassed, &at), [""; 0], "it is not time yet");
        assert!(inbox.try_recv().is_err());
        // A hold file beside it is a thing of its own.
        let path = root.path().join(HOLD_FILES[1]);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        let later = Now { boot_ms: files.next_ms(), ..at };
        assert_eq!(takes(&mut files, &mut state, HoldEvent::TimePassed, &later), ["hold"]);
        assert_eq!(state.file_holds.len(), 2);
        // Nothing of a root of its own is busy.
        let seen = tokio::time::timeout(std::time::Duration::from_secs(20), inbox.recv()).await.unwrap();
        let Some(Event::Hold(seen)) = seen else { panic!("{seen:?}") };
        assert_eq!(takes(&mut files, &mut state, seen, &later), ["lifted"]);
        assert!(state.file_holds.values().all(|hold| hold.busy.is_none()) && state.file_holds.len() == 1);
        // Twin: while nothing is busy nobody looks.
        let later = Now { boot_ms: files.next_ms(), ..later };
        assert_eq!(takes(&mut files, &mut state, HoldEvent::TimePassed, &later), [""; 0]);
        assert!(!files.looking);
    }

    #[test]
    fn a_pause_that_the_disk_does_not_take_leaves_everything_as_it_was() {
        let day_ms = 86_400_000;
        let later = pause(Some(now().wall_ms + 2 * day_ms), Class::A1);
        for old in [None, Some(hold::text_of_pause(&pause(Some(now().wall_ms + day_ms), Class::A3)))] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("hold");
            let name = path.display().to_string();
            let mut there = BTreeMap::new();
            if let Some(old) = &old {
                fs::write(&path, old).unwrap();
                there.insert(name.clone(), hold::of_text(&name, old));
            }
            // Where it would be written there is no way to write.
            let in_the_way = dir.path().join("hold.new");
            fs::create_dir_all(in_the_way.join("x")).unwrap();
            write_pause(&path, &there, later.clone()).unwrap_err();
            fs::remove_dir_all(&in_the_way).unwrap();
            assert_eq!(fs::read_to_string(&path).ok(), old);
            // Twin: with room again it is written, and nothing else is left behind.
            assert_eq!(write_pause(&path, &there, later.clone()).unwrap(), later.until_wall_ms);
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(hold::of_text(&name, &text).from_class, Class::A1, "{text}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_file_that_holds_more_is_left_alone_and_one_that_holds_less_makes_room_for_both() {
        let day_ms = 86_400_000;
        // Once: the test may last for longer than a second.
        let base = (now().wall_ms / 1_000) * 1_000;
        let at = |days: i64| base + days * day_ms;
        let old = |days: i64, class| hold::text_of_pause(&pause(Some(at(days)), class));
        for kept in ["", "why: mine", "why: [broken", &old(2, Class::A1)] {
            assert_eq!(after(kept, pause(Some(at(1)), Class::A1)), None, "{kept}");
        }
        let seen = |old: &str, new| {
            after(old, new).map(|hold| (hold.until_wall_ms.map(|until| until / 1_000), hold.from_class))
        };
        let until = |days: i64| Some(at(days) / 1_000);
        assert_eq!(seen(&old(-1, Class::A1), pause(Some(at(1)), Class::A3)), Some((until(1), Class::A3)), "over");
        assert_eq!(seen(&old(1, Class::A1), pause(Some(at(2)), Class::A3)), Some((until(2), Class::A1)), "both hold");
        assert_eq!(seen(&old(1, Class::A3), pause(None, Class::A1)), Some((None, Class::A1)), "until it is lifted");
        assert_eq!(
            seen("class: A3", pause(Some(at(1)), Class::A1)),
            Some((None, Class::A1)),
            "a milder one without end"
        );
        assert_eq!(
            seen(&old(2, Class::A3), pause(Some(at(1)), Class::A2)),
            Some((until(2), Class::A2)),
            "the later end"
        );
        assert_eq!(seen("class: A2", pause(Some(at(1)), Class::A3)), None, "it holds that too");
    }
}

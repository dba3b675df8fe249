//! Waiting for a condition with an end; the only place in the tests that sleeps.

use std::thread;
use std::time::{Duration, Instant};

/// The first pause between two looks, since most things come soon; each next one is longer by half.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause: short beside every deadline in use, long beside the cost of a look.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);
/// How much longer than wanted a window may stay open until the product has looked into it.
const LONGEST_WINDOW: Duration = Duration::from_secs(120);

/// Looks until `look` answers, or until one that was begun after `deadline` does not; then the last thing seen.
/// (A look that took long, on a machine that stood still, says nothing about the end of the time.)
///
/// # Errors
/// What `look` saw last instead of the awaited thing.
pub fn poll<T>(deadline: Duration, mut look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let in_time = begun.elapsed() < deadline;
        match look() {
            Err(_) if in_time => wait_a_little(&mut pause),
            answer => return answer,
        }
    }
}

/// Looks until `look` answers, and returns the answer.
///
/// # Panics
/// When `deadline` has passed, naming `what` was awaited.
#[track_caller]
pub fn wait_for<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    wait_until(what, deadline, || look().ok_or_else(|| "not yet so".to_owned()))
}

/// As [`wait_for`], for a `look` that says what it saw instead of the awaited thing.
///
/// # Panics
/// When `deadline` has passed, naming `what` was awaited and the last thing seen.
#[track_caller]
pub fn wait_until<T>(what: &str, deadline: Duration, look: impl FnMut() -> Result<T, String>) -> T {
    match poll(deadline, look) {
        Ok(found) => found,
        Err(seen) => panic!("waited {deadline:?} for {what}; last seen: {seen}"),
    }
}

/// Looks for the whole of `span` and returns when `look` stayed true. It says nothing of whether anybody else did
/// anything meanwhile: a twin, in which nothing may happen, wants [`stays_until`].
///
/// # Panics
/// At once when `look` says what happened.
#[track_caller]
pub fn stays(what: &str, span: Duration, look: impl FnMut() -> Result<(), String>) {
    stays_until(what, span, look, |_| Ok(()));
}

/// As [`stays`], and the window stays open until `done`, which is told how long it has been open, finds that whatever is
/// to do nothing had its chance to do something: on a slow machine that takes longer than `span`.
///
/// # Panics
/// At once when `look` says what happened, and when `done` is not satisfied in [`LONGEST_WINDOW`] more than `span`.
#[track_caller]
pub fn stays_until(
    what: &str,
    span: Duration,
    mut look: impl FnMut() -> Result<(), String>,
    mut done: impl FnMut(Duration) -> Result<(), String>,
) {
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Err(seen) = look() {
            panic!("{what} lasted only {:?}; then: {seen}", begun.elapsed());
        }
        let open = begun.elapsed();
        if open >= span {
            match done(open) {
                Ok(()) => return,
                Err(why) => assert!(open < span + LONGEST_WINDOW, "{what} proves nothing after {open:?}: {why}"),
            }
        }
        wait_a_little(&mut pause);
    }
}

fn wait_a_little(pause: &mut Duration) {
    thread::sleep(*pause);
    *pause = (*pause * 3 / 2).min(LONGEST_PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::catch_unwind;

    #[test]
    fn returns_the_first_answer() {
        let mut looks = 0;
        let got = wait_for("third look", Duration::from_secs(5), || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(got, 3);
    }

    #[test]
    fn names_what_was_awaited_and_what_was_seen() {
        let panic =
            catch_unwind(|| wait_until::<()>("a blue moon", Duration::ZERO, || Err("a grey one".into()))).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("a blue moon") && text.contains("a grey one"), "{text}");
    }

    #[test]
    fn a_look_that_outlasts_the_deadline_is_not_the_last() {
        let mut looks = 0;
        let got = wait_for("second look", Duration::from_millis(1), || {
            looks += 1;
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(5) {
                thread::sleep(Duration::from_millis(1));
            }
            (looks == 2).then_some(looks)
        });
        assert_eq!(got, 2);
    }

    #[test]
    fn a_window_stays_open_until_somebody_looked_into_it() {
        let mut asked = 0;
        stays_until(
            "silence",
            Duration::ZERO,
            || Ok(()),
            |_| {
                asked += 1;
                (asked == 3).then_some(()).ok_or_else(|| "nobody looked".into())
            },
        );
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_change_ends_a_quiet_span() {
        let span = Duration::from_secs(60);
        assert!(catch_unwind(|| stays("silence", span, || Err("a noise".into()))).is_err());
    }
}

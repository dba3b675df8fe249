//! Windows in zones whose clocks change, each read against the calendar by hand: what opens when, and for how long.
use super::*;

fn maintenance(zone: &str, windows: &[(&[Day], &str, &str)]) -> Maintenance {
    let time = |text: &str| TimeOfDay::try_from(text.to_owned()).unwrap();
    let windows = windows.iter().map(|(days, from, to)| MaintenanceWindow {
        days: days.to_vec(),
        from: time(from),
        to: time(to),
    });
    Maintenance { zone: zone.to_owned(), from_class: wbd_model::action::Class::A3, windows: windows.collect() }
}

fn daily(zone: &str, from: &str, to: &str) -> Maintenance {
    maintenance(zone, &[(&[], from, to)])
}

/// Unix milliseconds of a moment written with its offset.
fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// The opening at or after a moment, in universal time.
fn opens(maintenance: &Maintenance, moment: &str) -> (String, String) {
    let opening = opening(maintenance, at(moment)).unwrap();
    let shown = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
    (shown(opening.opens_ms), shown(opening.closes_ms))
}

fn utc(from: &str, to: &str) -> (String, String) {
    (from.to_owned(), to.to_owned())
}

#[test]
fn an_ordinary_night() {
    let berlin = daily("Europe/Berlin", "01:00", "05:00");
    assert_eq!(opens(&berlin, "2026-11-21T12:00:00Z"), utc("2026-11-22T00:00:00Z", "2026-11-22T04:00:00Z"));
    let asked = |moment: &str| opening(&berlin, at(moment)).unwrap().contains(at(moment));
    assert!(!asked("2026-11-21T23:59:59.999Z"));
    assert!(asked("2026-11-22T00:00:00Z"), "it opens with the first moment");
    assert!(asked("2026-11-22T03:59:59.999Z"));
    assert!(!asked("2026-11-22T04:00:00Z"), "and is closed when the clock shows its end");
}

#[test]
fn only_on_its_days_and_past_midnight_by_the_day_on_which_it_opens() {
    let weekend = maintenance("Asia/Tokyo", &[(&[Day::Sat], "23:00", "02:00")]);
    // Saturday the 28th, 23:00 in Tokyo.
    let expected = utc("2026-11-28T14:00:00Z", "2026-11-28T17:00:00Z");
    assert_eq!(opens(&weekend, "2026-11-22T00:00:00Z"), expected);
    assert_eq!(opens(&weekend, "2026-11-28T16:30:00Z"), expected, "Sunday 01:30 is inside");
    assert_eq!(opens(&weekend, "2026-11-28T17:00:00Z").0, "2026-12-05T14:00:00Z");
}

#[test]
fn when_the_clocks_go_forward_in_berlin_the_night_is_an_hour_shorter() {
    // 2026-03-29: 02:00 +01:00 becomes 03:00 +02:00.
    let noon = "2026-03-28T12:00:00Z";
    let night = daily("Europe/Berlin", "01:00", "05:00");
    assert_eq!(opens(&night, noon), utc("2026-03-29T00:00:00Z", "2026-03-29T03:00:00Z"));
    let from_nowhere = daily("Europe/Berlin", "02:30", "04:00");
    assert_eq!(opens(&from_nowhere, noon), utc("2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"), "at the change");
    let to_nowhere = daily("Europe/Berlin", "01:30", "02:30");
    assert_eq!(opens(&to_nowhere, noon), utc("2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"), "until the change");
    let nowhere = daily("Europe/Berlin", "02:10", "02:50");
    assert_eq!(opens(&nowhere, noon).0, "2026-03-30T00:10:00Z", "all of it is skipped: the next day");
}

#[test]
fn when_the_clocks_go_back_in_berlin_a_reading_that_comes_twice_means_its_first_time() {
    // 2026-10-25: 03:00 +02:00 becomes 02:00 +01:00.
    let noon = "2026-10-24T12:00:00Z";
    let night = daily("Europe/Berlin", "01:00", "05:00");
    assert_eq!(opens(&night, noon), utc("2026-10-24T23:00:00Z", "2026-10-25T04:00:00Z"), "five hours");
    let twice = daily("Europe/Berlin", "02:10", "02:50");
    assert_eq!(opens(&twice, noon), utc("2026-10-25T00:10:00Z", "2026-10-25T00:50:00Z"));
    assert_eq!(opens(&twice, "2026-10-25T01:10:00Z").0, "2026-10-26T01:10:00Z", "it does not open a second time");
    let begins_twice = daily("Europe/Berlin", "02:30", "04:00");
    assert_eq!(opens(&begins_twice, noon), utc("2026-10-25T00:30:00Z", "2026-10-25T03:00:00Z"));
}

#[test]
fn new_york_changes_on_other_days_and_lord_howe_by_half_an_hour() {
    let new_york = daily("America/New_York", "01:30", "03:30");
    // 2026-03-08 02:00 -05:00 becomes 03:00 -04:00; 2026-11-01 02:00 -04:00 becomes 01:00 -05:00.
    assert_eq!(opens(&new_york, "2026-03-08T00:00:00Z"), utc("2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"));
    assert_eq!(opens(&new_york, "2026-11-01T00:00:00Z"), utc("2026-11-01T05:30:00Z", "2026-11-01T08:30:00Z"));
    let lord_howe = daily("Australia/Lord_Howe", "01:45", "02:15");
    // 2026-10-04 02:00 +10:30 becomes 02:30 +11:00; 2026-04-05 02:00 +11:00 becomes 01:30 +10:30.
    assert_eq!(opens(&lord_howe, "2026-10-03T12:00:00Z"), utc("2026-10-03T15:15:00Z", "2026-10-03T15:30:00Z"));
    assert_eq!(opens(&lord_howe, "2026-04-04T12:00:00Z"), utc("2026-04-04T14:45:00Z", "2026-04-04T15:45:00Z"));
}

#[test]
fn a_window_over_midnight_with_the_change_inside_it() {
    let over = daily("Europe/Berlin", "22:00", "04:00");
    let (forward, back) = (opens(&over, "2026-03-28T12:00:00Z"), opens(&over, "2026-10-24T12:00:00Z"));
    assert_eq!(forward, utc("2026-03-28T21:00:00Z", "2026-03-29T02:00:00Z"), "five hours");
    assert_eq!(back, utc("2026-10-24T20:00:00Z", "2026-10-25T03:00:00Z"), "seven hours");
    // After midnight, after the change: still the opening of the day before.
    assert_eq!(opens(&over, "2026-03-29T01:30:00Z"), forward);
}

#[test]
fn windows_that_touch_or_overlap_are_one_and_equal_ends_are_a_whole_day() {
    let two = maintenance("Etc/UTC", &[(&[], "01:00", "03:00"), (&[], "02:00", "05:00"), (&[], "05:00", "06:00")]);
    assert_eq!(opens(&two, "2026-11-22T00:00:00Z"), utc("2026-11-22T01:00:00Z", "2026-11-22T06:00:00Z"));
    let sunday = maintenance("Etc/UTC", &[(&[Day::Sun], "00:00", "00:00")]);
    assert_eq!(opens(&sunday, "2026-11-18T00:00:00Z"), utc("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"));
    let always = daily("Etc/UTC", "00:00", "00:00");
    let closes = opens(&always, "2026-11-22T12:00:00Z").1;
    assert_eq!(closes, "2026-12-08T00:00:00Z", "one that never closes is seen through for two weeks, not for two days");
    let gap = maintenance("Etc/UTC", &[(&[], "01:00", "02:00"), (&[], "03:00", "04:00")]);
    assert_eq!(opens(&gap, "2026-11-22T02:30:00Z"), utc("2026-11-22T03:00:00Z", "2026-11-22T04:00:00Z"));
}

#[test]
fn a_wall_clock_that_jumps_by_years_finds_the_windows_of_its_day() {
    let berlin = daily("Europe/Berlin", "01:00", "05:00");
    for (moment, opens_at) in [
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2001-09-09T01:46:40Z", "2001-09-08T23:00:00Z"),
        ("2050-07-01T12:00:00Z", "2050-07-01T23:00:00Z"),
        ("2099-12-31T23:59:59Z", "2100-01-01T00:00:00Z"),
    ] {
        assert_eq!(opens(&berlin, moment).0, opens_at, "{moment}");
    }
    for wall_ms in [i64::MIN, i64::MAX, -377_705_023_200_000, 253_402_207_199_000] {
        // At the end of the calendar there may be no next one; nothing breaks.
        let _ = (opening(&berlin, wall_ms), outlook(&berlin, wall_ms));
    }
}

#[test]
fn the_outlook_names_offsets_and_changes() {
    let weekend = maintenance("Europe/Berlin", &[(&[Day::Sat, Day::Sun], "01:00", "05:00")]);
    let says = |moment: &str| outlook(&weekend, at(moment)).unwrap();
    let (ms, text) = says("2026-11-27T12:00:00Z");
    assert_eq!(ms, 12 * 3_600_000);
    let night = "Sat 2026-11-28 01:00 +01:00 to Sat 2026-11-28 05:00 +01:00, Europe/Berlin";
    assert_eq!(text, format!("maintenance window for A3 and above opens: {night}"));
    let (ms, text) = says("2026-11-28T03:00:00Z");
    assert_eq!((ms, text), (3_600_000, format!("maintenance window for A3 and above is open: {night}")));
    let (_, text) = says("2026-10-24T12:00:00Z");
    assert!(
        text.ends_with("Sun 2026-10-25 01:00 +02:00 to Sun 2026-10-25 05:00 +01:00, Europe/Berlin; the clocks go back from 03:00 to 02:00: it is 5 h long"),
        "{text}"
    );
    let (_, text) = says("2026-03-28T12:00:00Z");
    assert!(text.ends_with("; the clocks go forward from 02:00 to 03:00: it is 3 h long"), "{text}");
    // A change at the very end is none of this window, one at the very beginning is.
    let says = |from, to| outlook(&daily("Europe/Berlin", from, to), at("2026-03-28T12:00:00Z")).unwrap().1;
    let (until, since) = (says("01:30", "02:00"), says("03:00", "04:00"));
    assert!(until.ends_with("Sun 2026-03-29 03:00 +02:00, Europe/Berlin"), "{until}");
    assert!(since.ends_with("; the clocks go forward from 02:00 to 03:00: it is 1 h long"), "{since}");
    let tokyo = daily("Asia/Tokyo", "01:00", "05:00");
    for day in ["2026-03-28T12:00:00Z", "2026-10-24T12:00:00Z", "2026-11-01T00:00:00Z"] {
        assert!(!outlook(&tokyo, at(day)).unwrap().1.contains("clocks"), "Tokyo has no change");
    }
}

#[test]
fn every_zone_of_the_database_has_a_next_window_at_every_change_of_its_clocks() {
    for name in zone_names() {
        let zone = zone(&name).unwrap();
        let nightly = daily(&name, "02:15", "02:45");
        for change in zone.following(moment(at("2020-01-01T00:00:00Z")).unwrap()).take(16) {
            for off_s in [-90_000, -3_600, -1, 0, 1, 3_600, 90_000] {
                let wall_ms = change.timestamp().as_millisecond() + off_s * 1_000;
                let found = opening(&nightly, wall_ms);
                let good =
                    found.is_some_and(|next| next.closes_ms > wall_ms && next.closes_ms - next.opens_ms <= 5_400_000);
                assert!(good, "{name} at {wall_ms}: {found:?}");
            }
        }
    }
}

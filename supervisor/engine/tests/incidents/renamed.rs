//! A failure that has another code than when its records were written: what stood goes on, and nothing else does.
use wbd_model::entry::{Body, Subject};
use wbd_model::incident::{Closing, Guard};
use wbd_model::name::Code;

use crate::check::{check, unit};
use crate::world::World;

const HOUR_MS: i64 = 3_600_000;

/// An upgrade, or a product that came or went: the same check, named by another code from now on.
fn renamed(world: &mut World, code: &str) {
    let code = Code::new(code).unwrap();
    for (_, plan) in &mut world.checks[0].rungs {
        plan.code = code.clone();
    }
    world.checks[0].snapshot.key.code = code;
}

#[test]
fn an_incident_that_waits_for_an_approval_is_approved_and_healed_under_the_new_code() {
    let steps = [unit("named.service")];
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&steps).cured_by(&steps));
    world.run(60_000);
    assert_eq!(world.held_by(1), Some(Guard::Approval));
    renamed(&mut world, "NET-DNS");
    world.run(300_000);
    assert_eq!((world.state.incidents.len(), world.held_by(1)), (1, Some(Guard::Approval)), "{}", world.story());
    world.approve(1);
    world.run(10_000);
    assert_eq!((world.closed_as(1), world.state.incidents.len()), (Some(Closing::Healed), 1), "{}", world.story());
}

#[test]
fn an_incident_whose_check_got_the_code_of_another_failure_is_over() {
    let steps = [unit("named.service")];
    let mut world = World::failing(check("AEGIS-DNS", "host", "dns").asking_rung(&steps).cured_by(&steps));
    world.run(60_000);
    renamed(&mut world, "NET-NAME");
    world.run(300_000);
    assert_eq!((world.closed_as(1), world.held_by(2)), (Some(Closing::Noise), Some(Guard::Approval)));
}

#[test]
fn what_was_handed_over_stays_so_under_the_new_code_until_it_is_seen_gone() {
    for (code, incidents) in [("HOST-FDLEAK", 1), ("HOST-NOFILE", 2)] {
        let mut world = World::failing(check("IWSS-FTPLEAK", "iwss-ftp", "fd-leak"));
        world.run(60_000);
        assert_eq!(world.closed_as(1), Some(Closing::HandedOver));
        renamed(&mut world, code);
        world.run(60_000);
        assert_eq!(world.state.incidents.len(), incidents, "{code}: {}", world.story());
        world.shows(0, wbd_model::check::Verdict::Pass);
        world.run(60_000);
        world.breaks(0);
        world.run(60_000);
        assert_eq!(world.state.incidents.len(), incidents + 1, "{code}: {}", world.story());
    }
}

#[test]
fn a_waiver_covers_its_failure_by_either_code_and_no_other_vendors() {
    for (waived, code, opened) in [
        ("AEGIS-DNS", "NET-DNS", 0),
        ("NET-DNS", "AEGIS-DNS", 0),
        ("IWSS-FTPLEAK", "HOST-FDLEAK", 0),
        ("IWSS-FTPLEAK", "IWSS-HTTPLEAK", 1),
        ("AEGIS-DNS", "NET-NAME", 1),
    ] {
        let mut world = World::new(vec![check(code, "host", "dns")]);
        let until_wall_ms = Some(world.now().wall_ms + HOUR_MS);
        let subject = Subject { code: Some(Code::new(waived).unwrap()), ..Subject::default() };
        world.append(subject, Body::Waived { who: "root".to_owned(), why: "a test".to_owned(), until_wall_ms });
        world.breaks(0);
        world.run(60_000);
        assert_eq!(world.state.incidents.len(), opened, "{waived} for {code}: {}", world.story());
    }
}

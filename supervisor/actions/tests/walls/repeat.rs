//! A permit and a recorded intent cannot be used twice.
use wbd_engine::guard::Permit;
use wbd_ledger::Recorded;

fn twice_permitted(permit: Permit) -> (Permit, Permit) {
    (permit.clone(), permit)
}

fn twice_recorded(recorded: Recorded) -> (Recorded, Recorded) {
    (recorded.clone(), recorded)
}

fn main() {}

//! A permit and a recorded intent cannot be written down by hand.
use wbd_engine::guard::Permit;
use wbd_ledger::Recorded;
use wbd_model::entry::{Entry, Intent, Subject};

fn permit(subject: Subject, intent: Intent) -> Permit {
    Permit { subject, intent }
}

fn recorded(entry: Entry, intent: Intent) -> Recorded {
    Recorded { entry, intent }
}

fn by_constructor(entry: Entry, intent: Intent) -> Recorded {
    Recorded::new(entry, intent)
}

fn main() {}

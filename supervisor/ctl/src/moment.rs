//! The present moment: the clocks as this program reads them, the boot by the name that the ledger's writer has for it.
//!
//! What the kernel calls the boot here is never asked: beside a supervisor in a sandbox, or under a container's cover, it is
//! another name for the same boot.
use wbd_ledger::{Filter, Reader};
use wbd_model::time::Now;
use wbd_probes::clock;

/// For whoever needs the clocks only: its boot is nobody's.
pub(crate) fn clocks() -> Now {
    clock::unnamed()
}

/// For comparing with this ledger's records. The newest one names the boot, where its moment can be of this one.
pub(crate) fn beside(reader: &Reader) -> Now {
    let now = clocks();
    let newest = reader.entries(&Filter { limit: Some(1), last: true, ..Filter::default() });
    match newest.ok().and_then(|mut newest| newest.pop()) {
        Some(newest) if clock::is_of_this_boot(newest.at.boot_ms) => Now { boot: newest.at.boot, ..now },
        Some(_) | None => now,
    }
}

#[cfg(test)]
mod tests {
    use wbd_ledger::{Anchors, Ledger};
    use wbd_model::entry::{Body, Subject};
    use wbd_model::time::BootId;

    use super::*;

    #[test]
    fn the_boot_has_the_writers_name_unless_the_record_is_ahead_of_the_clock() {
        let dir = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(dir.path(), None, &Anchors::default()).unwrap();
        let boot_ms = clocks().boot_ms;
        for (name, boot_ms, known) in [("sandbox", boot_ms, true), ("earlier", boot_ms + 3_600_000, false)] {
            let at = Now { boot: BootId(name.to_owned()), boot_ms, wall_ms: 1 };
            let body = Body::Started { version: "1".to_owned(), mode: "systemd".to_owned() };
            ledger.append(&at, Subject::default(), body).unwrap();
            let now = beside(&Reader::open(dir.path()).unwrap());
            assert_eq!(now.boot == at.boot, known, "{name}: {now:?}");
        }
    }
}

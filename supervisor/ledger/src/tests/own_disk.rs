//! File systems of a test's own: full ones, and ones that may only be read. Only root may mount them.
use std::path::Path;
use std::process::Command;

use wbd_model::action::Action;

use super::{adopt, filled, intent, now, opened};
use crate::{Ledger, LedgerError, RESERVE_SLOTS, Standing, files, takes_writes};

/// A file system in memory of 1 MiB, gone with this value.
pub(super) struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    /// `None`: nothing may be mounted here, and that was said.
    pub(super) fn at(path: &'a Path) -> Option<Self> {
        let options = ["-t", "tmpfs", "-o", "size=1m", "wbd-test"];
        let mounted = nix::unistd::geteuid().is_root()
            && Command::new("/usr/bin/mount").args(options).arg(path).status().is_ok_and(|status| status.success());
        if !mounted {
            println!("SKIPPED: only root may mount a small disk");
        }
        mounted.then_some(Self(path))
    }

    fn remount(&self, how: &str) {
        let remounted = Command::new("/usr/bin/mount").args(["-o", &format!("remount,{how}")]).arg(self.0).status();
        assert!(remounted.unwrap().success(), "{how}");
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        Command::new("/usr/bin/umount").arg("--lazy").arg(self.0).status().ok();
    }
}

/// Takes all space but `leave_kib`.
pub(super) fn fill(ballast: &Path, leave_kib: u64) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(ballast).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let size = file.metadata().unwrap().len();
    file.set_len(size.saturating_sub(leave_kib << 10)).unwrap();
}

#[test]
fn a_full_disk_and_a_read_only_one_are_told_before_the_next_record_and_little_room_is_enough() {
    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::at(dir.path()) else { return };
    std::fs::write(files::lock(dir.path()), "1234\n").unwrap();
    let ballast = dir.path().join("ballast");
    let left = |leave_kib: u64| {
        std::fs::remove_file(&ballast).ok();
        fill(&ballast, leave_kib);
        let said = takes_writes(dir.path());
        let names = std::fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(names, 2, "nothing of its own stays");
        said
    };
    for full in [0, 32, 60] {
        assert!(left(full).is_err_and(|why| why.contains("is full")), "{full} KiB");
    }
    for enough in [64, 500] {
        assert_eq!(left(enough), Ok(()), "{enough} KiB");
    }
    // A try that fails for another reason says nothing of the room.
    std::fs::create_dir(dir.path().join("ledger.lock.room")).unwrap();
    assert_eq!(takes_writes(dir.path()), Ok(()));
    std::fs::remove_dir(dir.path().join("ledger.lock.room")).unwrap();
    disk.remount("ro");
    assert!(takes_writes(dir.path()).is_err_and(|why| why.contains("read-only now")));
    disk.remount("rw");
    assert_eq!(takes_writes(dir.path()), Ok(()));
}

#[test]
fn a_disk_that_became_read_only_has_one_writer_all_the_same_and_its_restarts_stay_counted() {
    let (dir, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(disk) = Disk::at(dir.path()) else { return };
    filled(dir.path(), 3);
    let mut ledger = opened(dir.path());
    adopt(&mut ledger, &now(4));
    ledger.distrust("the disk is failing");
    let _ = ledger.reserve_intent(super::subject(1), intent(1, Action::AgentRestart {}), &now(5)).unwrap();
    drop(ledger);
    disk.remount("ro");
    let mut ledger = opened(dir.path());
    let refused = ledger.append(&now(6), super::subject(1), super::manual("x"));
    assert!(matches!(refused, Err(LedgerError::ReadOnly { .. })), "{refused:?}");
    let second = Ledger::open(dir.path(), Some("host-a"), &Default::default());
    assert!(matches!(second, Err(LedgerError::LockHeld { .. })), "{second:?}");
    assert_eq!((ledger.reserve_left(), ledger.reserved().len()), (0, 1), "no place for a mark");
    ledger.mark_reserve_in(run.path());
    assert_eq!((ledger.reserve_left(), ledger.reserved().len()), (RESERVE_SLOTS - 1, 1), "a folder for marks");
    // It takes writes again: what was done from the reserve is not forgotten before it is in the chain.
    disk.remount("rw");
    assert_eq!(*ledger.reopen(&Default::default()), Standing::Sound);
    assert_eq!(ledger.reserved().len(), 1);
    assert_eq!(adopt(&mut ledger, &now(9)).len(), 2);
    assert_eq!((ledger.reserve_left(), ledger.reserved().len()), (RESERVE_SLOTS, 0));
}

#[test]
fn a_reserve_that_is_of_no_boot_is_none_where_the_disk_takes_no_marks() {
    let (dir, run) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(disk) = Disk::at(dir.path()) else { return };
    // Set aside at the beginning, and not yet for a boot.
    filled(dir.path(), 1);
    disk.remount("ro");
    let mut ledger = opened(dir.path());
    ledger.mark_reserve_in(run.path());
    assert_eq!(ledger.reserve_left(), 0);
    let refused = ledger.reserve_intent(super::subject(1), intent(1, Action::AgentRestart {}), &now(5));
    assert!(refused.is_err());
}

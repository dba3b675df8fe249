//! Tests of the watcher on real folders and the real kernel.

use super::*;
use std::fs;
use std::path::Path;
use wbd_agent_api::{BytesPath, FailedAt, Language};

const DEADLINE: Duration = Duration::from_secs(20);

fn target(id: &str, web_root: &Path, upload: Option<&Path>) -> Target {
    Target {
        id: TargetId::try_from(id.to_string()).unwrap(),
        web_root: BytesPath::from(web_root),
        upload_path: upload.map(BytesPath::from),
        language: Language::Php,
    }
}

fn start(targets: Vec<Target>) -> Watcher {
    Watcher::start(PathBuf::from("/"), targets, Arc::new(Notify::new())).unwrap()
}

/// Waits until a settled report shows so many watches.
fn settle(watcher: &Watcher, used: u64) -> Snapshot {
    let started = Instant::now();
    loop {
        let snapshot = watcher.snapshot();
        if !snapshot.report.scanning && snapshot.report.used == used && snapshot.report.needed == used {
            return snapshot;
        }
        assert!(started.elapsed() < DEADLINE, "wanted {used} watches, have {:?}", snapshot.report);
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_folder_made_in_a_rush_is_watched() {
    let dir = tempfile::tempdir().unwrap();
    let watcher = start(vec![target("a", dir.path(), None)]);
    settle(&watcher, 1);
    for n in 0..500 {
        fs::create_dir_all(dir.path().join(format!("{n}/x/y"))).unwrap();
    }
    let snapshot = settle(&watcher, 1501);
    assert_eq!(snapshot.report.failed_at, FailedAt::None);
    fs::remove_dir_all(dir.path().join("7")).unwrap();
    settle(&watcher, 1498);
}

#[test]
fn files_and_links_take_no_watch() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("sub")).unwrap();
    fs::create_dir(dir.path().join("real")).unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("link")).unwrap();
    std::os::unix::fs::symlink(dir.path(), dir.path().join("real/loop")).unwrap();
    for n in 0..500 {
        fs::write(dir.path().join(format!("real/{n}")), "").unwrap();
    }
    settle(&start(vec![target("a", dir.path(), None)]), 2);
}

#[test]
fn overlapping_targets_count_each_folder_once() {
    let dir = tempfile::tempdir().unwrap();
    let upload = dir.path().join("up");
    fs::create_dir_all(upload.join("x")).unwrap();
    let inner = target("inner", &upload, None);
    let outer = target("outer", dir.path(), Some(&upload));
    let snapshot = settle(&start(vec![inner.clone(), outer.clone()]), 3);
    assert_eq!(snapshot.shares[&inner.id], Share { watches: 2, missing: 0 });
    assert_eq!(snapshot.shares[&outer.id], Share { watches: 3, missing: 0 });
}

#[test]
fn moved_folders_keep_their_cover_inside_and_lose_it_outside() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("a/b/c")).unwrap();
    fs::create_dir(root.join("other")).unwrap();
    let watcher = start(vec![target("a", &root, None)]);
    settle(&watcher, 5);
    fs::rename(root.join("a/b"), root.join("other/b")).unwrap();
    fs::create_dir(root.join("other/b/c/new")).unwrap();
    settle(&watcher, 6);
    fs::rename(root.join("other"), dir.path().join("away")).unwrap();
    settle(&watcher, 2);
}

#[test]
fn a_root_that_is_replaced_is_watched_again() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir_all(root.join("a")).unwrap();
    let watcher = start(vec![target("a", &root, None)]);
    settle(&watcher, 2);
    fs::rename(&root, dir.path().join("old")).unwrap();
    fs::create_dir_all(root.join("x/y/z")).unwrap();
    settle(&watcher, 4);
}

#[test]
fn other_targets_take_over_without_leftovers() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir_all(one.path().join("a/b/c")).unwrap();
    fs::create_dir_all(two.path().join("x")).unwrap();
    let watcher = start(vec![target("a", one.path(), None)]);
    settle(&watcher, 4);
    watcher.walk(vec![target("b", two.path(), None)]);
    let snapshot = settle(&watcher, 2);
    assert_eq!(snapshot.shares.len(), 1);
}

#[test]
fn a_dropped_queue_is_told_and_walked_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut walker = Walker::new(PathBuf::from("/"), Asks::default());
    walker.restart(&[dir.path().to_path_buf()]);
    while walker.is_walking() {
        walker.step();
    }
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    // Nobody reads meanwhile. Two names in turn, as equal events in a row are merged by the kernel. Twice what fits, since
    // another test may change the machine's limit between its look at it and ours.
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    for _ in 0..=queue / 2 {
        for path in [&a, &b] {
            fs::create_dir(path).unwrap();
            fs::remove_dir(path).unwrap();
        }
    }
    fs::create_dir(&a).unwrap();
    let started = Instant::now();
    let mut overflow = false;
    while !overflow {
        overflow = walker.take_events().overflow;
        assert!(started.elapsed() < DEADLINE, "no overflow told");
    }
    let report = snapshot(&walker, &[], Circumstances { overflowed: overflow, scanning: false, linked: &[] }).report;
    assert_eq!(report.failed_at, FailedAt::QueuedEvents);
    walker.restart(&[dir.path().to_path_buf()]);
    while walker.is_walking() {
        walker.step();
    }
    assert_eq!(walker.tree.counts().watched, 2);
}

#[test]
fn names_of_any_bytes_are_watched() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let watcher = start(vec![target("a", dir.path(), None)]);
    settle(&watcher, 1);
    fs::create_dir_all(dir.path().join(std::ffi::OsStr::from_bytes(b"\xff\n/\x01"))).unwrap();
    settle(&watcher, 3);
}

#[test]
fn a_folder_that_is_no_sites_is_not_walked_and_its_neighbour_is() {
    let site = tempfile::tempdir().unwrap();
    fs::create_dir(site.path().join("sub")).unwrap();
    let bad = |id: &str, path: &str| target(id, Path::new(path), None);
    let good = target("shop", site.path(), None);
    let watcher = start(vec![bad("all", "/"), bad("kernel", "/proc"), good.clone(), bad("devices", "/dev")]);
    let snapshot = settle(&watcher, 2);
    assert_eq!(snapshot.shares[&good.id], Share { watches: 2, missing: 0 });
    // A link that comes to lead to such a folder is left, too.
    let link = site.path().join("sub/www");
    let real = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(real.path(), &link).unwrap();
    watcher.walk(vec![target("shop", &link, None)]);
    settle(&watcher, 1);
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("/", &link).unwrap();
    watcher.walk(vec![target("shop", &link, None)]);
    settle(&watcher, 0);
}

/// Waits until the settled report names so many links to folders that are not covered.
fn linked(watcher: &Watcher, wanted: u64) -> Vec<wbd_agent_api::LinkReport> {
    let started = Instant::now();
    loop {
        let report = watcher.snapshot().report;
        if !report.scanning && report.linked_count == wanted {
            return report.linked;
        }
        assert!(started.elapsed() < DEADLINE, "wanted {wanted} links, have {report:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `current -> releases/2`, in it `public/uploads -> ../../../shared/uploads`, as many sites are deployed.
#[test]
fn uploads_behind_a_link_are_named_until_a_target_covers_them() {
    let site = tempfile::tempdir().unwrap();
    let site = site.path().canonicalize().unwrap();
    fs::create_dir_all(site.join("releases/2/public")).unwrap();
    fs::create_dir_all(site.join("shared/uploads/2026")).unwrap();
    std::os::unix::fs::symlink("releases/2", site.join("current")).unwrap();
    let link = site.join("releases/2/public/uploads");
    std::os::unix::fs::symlink("../../../shared/uploads", &link).unwrap();
    std::os::unix::fs::symlink("nothing", site.join("releases/2/dangling")).unwrap();
    fs::write(site.join("releases/2/index.php"), "").unwrap();
    std::os::unix::fs::symlink("index.php", site.join("releases/2/file")).unwrap();
    let web = target("shop", &site.join("current"), None);
    let watcher = start(vec![web.clone()]);
    let told = linked(&watcher, 1);
    assert_eq!(told[0].link, BytesPath::from(link.as_path()));
    assert_eq!(told[0].leads_to, Some(BytesPath::from(site.join("shared/uploads").as_path())));
    settle(&watcher, 2);
    // One that comes later, and goes again.
    let later = site.join("releases/2/public/later");
    std::os::unix::fs::symlink(&site, &later).unwrap();
    linked(&watcher, 2);
    fs::remove_file(&later).unwrap();
    linked(&watcher, 1);
    // Twin: the folder is watched, since it lies in a target.
    watcher.walk(vec![web, target("uploads", &site.join("shared"), None)]);
    linked(&watcher, 0);
    settle(&watcher, 5);
}

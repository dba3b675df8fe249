//! Keeps the control socket where people look for it: made again when somebody cleared its folder. Serves nobody
//! itself.
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use tracing::warn;

use crate::event::Event;
use crate::talk::control;

const EVERY: Duration = Duration::from_secs(1);
/// Under systemd the folder is the unit's own: once removed it comes back with the next start only.
const TRIES: u32 = 3;

/// Serves the socket and looks after it, for as long as the loop listens.
pub(crate) async fn keep(path: PathBuf, listener: UnixListener, events: Sender<Event>) {
    let serve = |listener| tokio::spawn(control::serve(listener, events.clone()));
    let mut mine = file(&path);
    let mut serving = serve(listener);
    let mut failures = 0;
    while !events.is_closed() {
        tokio::time::sleep(EVERY).await;
        if mine.is_some() && file(&path) == mine {
            failures = 0;
            continue;
        }
        match again(&path, &serving) {
            Ok(listener) => {
                warn!("the control socket {} was gone and is there again", path.display());
                mine = file(&path);
                serving = serve(listener);
            }
            Err(error) => {
                failures += 1;
                warn!("the control socket {} is gone and cannot be made again: {error}", path.display());
                if failures >= TRIES {
                    let why =
                        format!("{} is gone and cannot be made again ({error}); a new start makes it", path.display());
                    let _ = events.send(Event::ControlSocketLost(why)).await;
                    return;
                }
            }
        }
    }
}

fn again(path: &Path, old: &JoinHandle<()>) -> std::io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let listener = control::open(path)?;
    // Conversations under way go on: they are tasks of their own.
    old.abort();
    Ok(listener)
}

/// Which file stands there.
fn file(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;
    use tokio::sync::mpsc;

    /// Far more than a few turns.
    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_socket_that_was_removed_comes_back_with_its_folder_and_one_that_cannot_is_said_once() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("run/wbd");
        let path = folder.join("control.sock");
        fs::create_dir_all(&folder).unwrap();
        let (events, mut inbox) = mpsc::channel(8);
        let kept = tokio::spawn(keep(path.clone(), control::open(&path).unwrap(), events));
        assert!(UnixStream::connect(&path).await.is_ok());
        fs::remove_dir_all(&folder).unwrap();
        let back = async {
            while UnixStream::connect(&path).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, back).await.expect("it comes back");
        // A file in the place of its folder.
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, "").unwrap();
        let said = tokio::time::timeout(SOON, inbox.recv()).await.expect("it is said");
        assert!(matches!(said, Some(Event::ControlSocketLost(_))), "{said:?}");
        kept.await.unwrap();
    }
}

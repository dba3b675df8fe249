//! A supervisor that does not run, for tests.
use std::fs;

use tempfile::TempDir;
use tokio::sync::mpsc;
use wbd_actions::{Alone, Executor, Reach};

use crate::event::Event;
use crate::look::load;
use crate::record::writer::LedgerWriter;
use crate::supervisor::{Parts, Supervisor};
use wbd_model::control::Mode;

pub(crate) fn supervisor(mode: Mode) -> (TempDir, Supervisor) {
    let (folder, supervisor, _) = listening(mode);
    (folder, supervisor)
}

/// The same, with what happens to it.
pub(crate) fn listening(mode: Mode) -> (TempDir, Supervisor, mpsc::Receiver<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_path_buf();
    for below in ["run/wbd", "var/lib/wbd"] {
        fs::create_dir_all(root.join(below)).unwrap();
    }
    let reach = Reach::Alone(Alone { root: root.clone(), agent: root.join("agent"), args: Vec::new() });
    let (loaded, writer) = (load::load(&root).unwrap(), LedgerWriter::open(&root).unwrap());
    let executor = Executor::new(reach);
    let (events, inbox) = mpsc::channel(8);
    (folder, Supervisor::new(Parts { root, mode, loaded, writer, executor, samples: None }, events), inbox)
}

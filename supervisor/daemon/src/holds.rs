//! Hold files as the supervisor sees them: looked for at fixed times and just before each deed, recorded when they
//! come, change and go. Decides nothing.
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};

use tracing::info;
use wbd_engine::hold;
use wbd_engine::replay::Hold;
use wbd_model::action::Class;
use wbd_model::entry::{Body, Subject};
use wbd_model::hold::HOLD_FILES;
use wbd_model::time::Now;
use wbd_probes::clock::now;
use wbd_probes::holds;

use crate::supervisor::Supervisor;

/// They are seen within 5 s, the loop's own delays included.
pub(crate) const EVERY_MS: u64 = 4_000;

impl Supervisor {
    /// Looks for them when it is time.
    pub(crate) fn look_for_holds(&mut self, now: &Now) {
        if now.boot_ms >= self.holds_ms {
            self.see_holds();
        }
    }

    /// A pause that cannot be written into the ledger outlives this process all the same: as a hold file. Gives
    /// what to tell the operator.
    pub(crate) fn keep_pause(&mut self, who: &str, why: &str, from_class: Class) -> String {
        let path = self.root.join(HOLD_FILES[1]);
        let text = serde_json::json!({"why": format!("pause by {who}: {why}"), "class": from_class}).to_string();
        let written = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        self.see_holds();
        let (degraded, path) = (&self.memory.degraded, path.display());
        match written {
            Ok(()) => {
                format!("paused by {path}, since {degraded}; it outlives the supervisor and holds until you remove it")
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                format!(
                    "paused; {path}, which was there, holds too and outlives the supervisor; remove it to lift that"
                )
            }
            Err(error) => format!(
                "paused, but only while this supervisor runs, since {degraded}; and {path} cannot be written: {error}"
            ),
        }
    }

    /// Looks for them now: what is there holds from here on, what is gone is lifted.
    pub(crate) fn see_holds(&mut self) {
        let now = now();
        self.holds_ms = now.boot_ms + EVERY_MS;
        let seen: BTreeMap<String, Hold> = holds::look(&self.root)
            .into_iter()
            .map(|file| {
                let hold = match &file.text {
                    Ok(text) => hold::of_text(&file.path, text),
                    Err(why) => hold::of_file(&file.path, why),
                };
                (file.path, hold)
            })
            .collect();
        if seen == self.memory.state.file_holds {
            return;
        }
        let gone: Vec<String> =
            self.memory.state.file_holds.keys().filter(|path| !seen.contains_key(*path)).cloned().collect();
        for (path, hold) in seen {
            if self.memory.state.file_holds.get(&path) != Some(&hold) {
                info!(file = path, why = hold.why, "a hold file is there");
                let Hold { who, why, until_wall_ms, from_class } = hold;
                let body = Body::Hold { who, why, until_wall_ms, from_class, file: Some(path) };
                self.memory.write(&now, Subject::default(), body);
            }
        }
        for path in gone {
            info!(file = path, "a hold file is gone");
            let body = Body::Lifted { who: format!("removal of {path}"), file: Some(path) };
            self.memory.write(&now, Subject::default(), body);
        }
        // What one of them held may go on, or has to be told that it may not.
        self.checks.hasten(now.boot_ms, |_| true);
    }
}

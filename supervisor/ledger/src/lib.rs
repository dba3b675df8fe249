//! The memory: a hash-chained ledger that is on disk before any action, and the samples that trends need. Decides
//! nothing.
//!
//! The ledger is an SQLite file in write-ahead mode with `synchronous=EXTRA`. Why not a rollback journal:
//! there a reader that stops in the middle (`sqlite3 ledger.db ... | less`) would block every append, and
//! with it all healing. The write-ahead files are left in place at close, so that people who may read the
//! ledger but not write its folder can read it while the supervisor is down, too. A record whose commit
//! did not reach the disk whole fails SQLite's frame checksum and is not there; it is never half there.
//!
//! By hand: `sqlite3 ledger.db "SELECT prev || char(10) || payload FROM entry WHERE seq = 7"`, without the
//! line's end, through `sha256sum` gives the record's `hash`.
mod anchor;
mod bundle;
mod disk;
mod error;
mod files;
mod journal;
mod ledger;
mod lock;
mod observed;
mod products;
mod reader;
mod record;
mod recorded;
mod reserve;
mod rotate;
mod samples;
mod store;
mod verify;

pub use anchor::{Anchor, Anchors, MESSAGE_ID, anchor_fields, anchors, send_anchor};
pub use bundle::{BUNDLE_FORMAT, Bundle, BundleCounts, BundleError, BundleHead, read_bundle, write_bundle};
pub use disk::takes_writes;
pub use error::{LedgerError, SamplesError};
pub use files::{database, host_id, products as products_file, samples_database, state_dir};
pub use journal::enter_in_journal;
pub use ledger::{Ledger, Standing};
pub use observed::{Answer, MAX_BYTES as MAX_SAMPLES_BYTES};
pub use products::{read_products, write_products};
pub use reader::{Filter, Reader};
pub use recorded::Recorded;
pub use reserve::{RESERVE_SLOTS, ReservedIntent, reserved};
pub use rotate::{Rotation, Snapshot, rotate};
pub use samples::{Life, RAW_READINGS, RETENTION_S, Samples, Series};
pub use verify::{AnchorState, BadRecord, Verification};

#[cfg(test)]
mod tests;

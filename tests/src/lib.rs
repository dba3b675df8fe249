//! The test harness: whole hosts, whole processes and the waits between them; it holds no test and no knowledge of the product's insides.
//!
//! Everything here fails by panicking, as a test does, with a text that says what was awaited and what was seen instead.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a harness reports by failing the test that called it"
)]

pub mod deadline;
pub mod exec;
pub mod figures;
pub mod frozen;
pub mod host;
pub mod hung_mount;
pub mod imports;
pub mod json;
pub mod judge;
pub mod network;
pub mod places;
pub mod product;
pub mod recorder;
pub mod resolver;
pub mod rootfs;
pub mod service;
pub mod shared;
pub mod small_disk;
pub mod story;
pub mod supervisor;
pub mod sysctl_guard;
pub mod trap;
pub mod vm;

//! Scenarios that change settings of the machine: `tests/run` runs them one by one, and nothing beside them.

mod approved_value;
mod inotify;
mod kill_raising;

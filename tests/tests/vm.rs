//! Scenarios in a virtual machine with a real kernel, memory controller, clock and power; only `tests/run` starts them.

#[path = "vm/clock.rs"]
mod clock;
#[path = "vm/memory.rs"]
mod memory;
#[path = "vm/own_end.rs"]
mod own_end;
#[path = "vm/power.rs"]
mod power;
#[path = "vm/reboot.rs"]
mod reboot;
#[path = "vm/site.rs"]
mod site;
#[path = "vm/starved.rs"]
mod starved;

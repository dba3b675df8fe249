//! Which file of a crate names which other one, and where that goes in a circle. Reads sources; the compiler is not asked.
//!
//! The rule: an import counts for the file in which the named thing stands. A `pub use` on the way is a signpost, and the
//! file that it leads to is what counts. `mod x;` alone is no import, so a parent may use its children; a child that names
//! what stands in its parent's file makes a circle with a parent that uses it. Then what both need moves to a file of its
//! own. Parts for tests (`#[cfg(test)]`) do not count.
//!
//! What is not seen: a method names no file, so an `impl` that stands in another file than its type is found by the type
//! only; and what a macro of another crate makes of its tokens.
mod circles;
mod text;
mod tree;

pub use circles::{Circle, circles};
pub use tree::{Import, imports};

#[cfg(test)]
mod tests;

//! YAML text as a tree with places, and from there to typed values with every problem of it. Knows no key.
mod located;
mod node;
mod tried;
mod typed;

pub(crate) use located::{At, Ordered};
pub(crate) use node::{Key, Node, Place, documents};
pub(crate) use tried::tried;
pub(crate) use typed::{readable, typed};

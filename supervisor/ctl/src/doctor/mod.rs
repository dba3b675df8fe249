//! `doctor`: looks, asks the supervisor what cannot be seen from here, and tells. Changes nothing itself.
mod merge;
mod nagios;
mod text;

#[cfg(test)]
mod tests;

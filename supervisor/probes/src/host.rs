//! Names this host, for reports; it asks no name server.
use std::path::Path;

use crate::under;

/// The kernel's host name; `localhost` where it cannot be read.
#[must_use]
pub fn name() -> String {
    name_in(Path::new("/proc"))
}

fn name_in(proc: &Path) -> String {
    let text = under::text(&proc.join("sys/kernel/hostname")).unwrap_or_default();
    match text.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_always_has_a_name() {
        assert!(!name().is_empty());
        assert_eq!(name_in(Path::new("/nonexistent")), "localhost");
    }
}

//! Says what a test measured, even when the test passes and its output is kept back; it measures nothing.

use std::io::Write;

/// Writes one line past the test runner's capture.
pub fn say(line: &str) {
    // A closed output is no reason to fail a test.
    writeln!(std::io::stderr(), "{line}").ok();
}

/// The value that `percent` of the sorted `values` do not exceed; 0 when there are none.
#[must_use]
pub fn percentile(values: &[u64], percent: usize) -> u64 {
    let index = (values.len() * percent).div_ceil(100).saturating_sub(1);
    values.get(index).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=20).collect();
        assert_eq!([50, 95, 100].map(|percent| percentile(&values, percent)), [10, 19, 20]);
        assert_eq!((percentile(&[7], 50), percentile(&[], 50)), (7, 0));
    }
}

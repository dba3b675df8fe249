//! One failure with all that is known of it without a look. Looks at nothing.
use wbd_model::catalogue::Row;

use super::here::{Here, Values};
use super::known::{Detected, Detector};

/// One failure, as far as it can be explained without a look.
#[derive(Debug)]
pub(super) struct Explained {
    pub(super) row: Row,
    pub(super) detected: Detected,
    pub(super) detectors: Vec<Detector>,
    pub(super) values: Values,
}

impl Explained {
    /// The steps for a person: where the failure is there, the playbook's, with the values that were seen.
    pub(super) fn guide(&self, here: &Here) -> Vec<String> {
        let causes = here.causes(&self.row.code);
        let written: Vec<&String> = match causes.iter().find(|cause| !cause.guide.is_empty()) {
            Some(cause) => cause.guide.iter().collect(),
            None => self.row.guide.iter().collect(),
        };
        written.into_iter().map(|line| self.values.fill(line)).collect()
    }
}

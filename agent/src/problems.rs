//! What is wrong now, each since when; it does not find out what is wrong.

use std::collections::BTreeMap;
use wbd_agent_api::{Code, Error};

/// More errors than this are not told one by one: the document is bounded, and nobody reads further.
const MAX_ERRORS: usize = 32;
/// A longer detail is cut.
const MAX_DETAIL_CHARS: usize = 600;

/// Something found wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    /// What it is about. The same subject is the same problem, whatever the detail says this time.
    pub(crate) subject: String,
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(code: Code, subject: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, subject: subject.into(), detail: detail.into() }
    }
}

/// The problems that hold, with their beginning.
#[derive(Debug, Default)]
pub(crate) struct Raised(BTreeMap<(Code, String), Error>);

impl Raised {
    /// What holds now; what held before and still does keeps its beginning.
    pub(crate) fn update(&mut self, problems: Vec<Problem>, now_ms: u64) {
        let mut before = std::mem::take(&mut self.0);
        for Problem { code, subject, detail } in problems {
            let key = (code, subject);
            let since_ms = before.remove(&key).map_or(now_ms, |error| error.since_ms);
            let detail = detail.chars().take(MAX_DETAIL_CHARS).collect();
            self.0.insert(key, Error { code, detail, since_ms });
        }
    }

    /// The errors, by code.
    pub(crate) fn errors(&self) -> Vec<Error> {
        self.0.values().take(MAX_ERRORS).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_keeps_its_beginning_until_it_is_gone() {
        let problem = |detail: &str| vec![Problem::new(Code::WAS_NOT_FOUND, "PHP", detail)];
        let mut raised = Raised::default();
        raised.update(problem("a"), 10);
        raised.update(problem("b"), 20);
        let errors = raised.errors();
        assert_eq!((errors[0].since_ms, errors[0].detail.as_str()), (10, "b"));
        raised.update(vec![], 30);
        assert!(raised.errors().is_empty());
        raised.update(problem("a"), 40);
        assert_eq!(raised.errors()[0].since_ms, 40);
    }

    #[test]
    fn what_is_told_is_bounded() {
        let many = (0..100).map(|n| Problem::new(Code::PATH_UNREADABLE, n.to_string(), "x".repeat(9000))).collect();
        let mut raised = Raised::default();
        raised.update(many, 1);
        assert_eq!(raised.errors().len(), 32);
        assert!(raised.errors().iter().all(|error| error.detail.len() == 600));
    }
}

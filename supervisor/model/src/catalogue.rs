//! Every documented failure, for `wbdctl explain`, and which codes name one failure.
use serde::{Deserialize, Serialize};

use crate::name::Code;

/// One documented failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its stable code.
    pub code: Code,
    /// The product it belongs to.
    pub product: String,
    /// A claim that is true while the failure holds.
    pub title: String,
    /// What must be done about it.
    pub response: Respond,
    /// Where it can be seen.
    pub seen: Seen,
    /// What happens, what is hurt, how it is told from look-alikes.
    pub means: String,
    /// What else is to be said of what wbd does about it; its actions follow from the playbooks.
    pub does: String,
    /// Steps for a person.
    pub guide: Vec<String>,
    /// The public document it follows.
    pub source: String,
}

/// What must be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Respond {
    /// wbd acts by itself, verifies and records.
    Heal,
    /// wbd prepares the act and waits for an operator's approval.
    Approve,
    /// The operator gets the exact steps.
    Guide,
    /// It looks like a fault and is none.
    Expected,
    /// The request itself is wrong.
    Refuse,
}

/// Where a failure can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// On this host, by probes.
    Host,
    /// In forwarded log lines of another machine.
    Log,
    /// Only in the vendor's console or on another system.
    Told,
}

/// Failures that any product can have and that one vendor's document named first: the vendor's code, the neutral one.
/// Ledgers, waivers and scripts go on with the code that they were written with.
const NAMED_BY_A_VENDOR: [(&str, &str); 8] = [
    ("AEGIS-DNS", "NET-DNS"),
    ("AEGIS-FW", "NET-FW"),
    ("AEGIS-NET", "NET-NAME"),
    ("AEGIS-PROC", "HOST-DOWN"),
    ("AEGIS-TCP", "NET-TCP"),
    ("DSVA-PROC", "HOST-DOWN"),
    ("IWSS-FTPLEAK", "HOST-FDLEAK"),
    ("IWSS-HTTPLEAK", "HOST-FDLEAK"),
];

/// The neutral code of a failure; a code that no vendor has given stands for itself.
#[must_use]
pub fn neutral(code: &Code) -> &str {
    let named = NAMED_BY_A_VENDOR.iter().find(|(vendors, _)| *vendors == code.as_str());
    named.map_or(code.as_str(), |(_, neutral)| neutral)
}

/// Whether a code that a person gave means a failure with this code: the neutral one means every vendor's and each of
/// these the neutral one, but never another vendor's.
#[must_use]
pub fn means(given: &Code, code: &Code) -> bool {
    given == code || neutral(given) == code.as_str() || given.as_str() == neutral(code)
}

/// All codes that [`means`] takes for this one, itself first.
#[must_use]
pub fn names(code: &str) -> Vec<&str> {
    let others = NAMED_BY_A_VENDOR.iter().filter_map(|(vendors, neutral)| match code {
        it if it == *vendors => Some(*neutral),
        it if it == *neutral => Some(*vendors),
        _ => None,
    });
    std::iter::once(code).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        Code::new(text).unwrap()
    }

    #[test]
    fn a_vendors_code_and_the_neutral_one_mean_each_other_and_two_vendors_do_not() {
        for (given, other, wanted) in [
            ("AEGIS-DNS", "NET-DNS", true),
            ("NET-DNS", "AEGIS-DNS", true),
            ("NET-DNS", "NET-DNS", true),
            ("HOST-FDLEAK", "IWSS-HTTPLEAK", true),
            ("IWSS-FTPLEAK", "IWSS-HTTPLEAK", false),
            ("AEGIS-DNS", "AEGIS-NET", false),
            ("AEGIS-DNS", "NET-NAME", false),
            ("WBD-6007", "WBD-6008", false),
        ] {
            assert_eq!(means(&code(given), &code(other)), wanted, "{given} {other}");
            assert_eq!(names(given).contains(&other), wanted || given == other, "{given} {other}");
        }
        assert_eq!(names("HOST-FDLEAK"), ["HOST-FDLEAK", "IWSS-FTPLEAK", "IWSS-HTTPLEAK"]);
        assert_eq!(names("WBD-6007"), ["WBD-6007"]);
    }
}

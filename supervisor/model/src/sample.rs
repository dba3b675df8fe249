//! A sample: how many file descriptors one process held during one short span. Nouns only: judging a series is the engine's.
use serde::{Deserialize, Serialize};

use crate::profile::{ProcessSelector, Profile};

/// The open file descriptors of one process over one bucket: five minutes as stored, or one single
/// reading (then `min`, `max` and `last` are equal). Buckets may have any spacing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// End of the bucket, Unix seconds. The caller corrects for steps of the wall clock, so that
    /// within one segment differences are true time.
    pub at_s: i64,
    /// Fewest descriptors open at any reading in the bucket.
    pub min: u32,
    /// Most descriptors open at any reading in the bucket.
    pub max: u32,
    /// Descriptors open at the last reading in the bucket.
    pub last: u32,
    /// The process's own soft `RLIMIT_NOFILE` at the last reading; `u32::MAX` stands for unlimited,
    /// 0 for "could not be read".
    pub limit: u32,
}

impl Sample {
    /// A bucket of one single reading.
    #[must_use]
    pub fn reading(at_s: i64, open: u32, limit: u32) -> Self {
        Self { at_s, min: open, max: open, last: open, limit }
    }
}

/// One life of one program: samples of two segments are never joined, since a restart empties the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentId {
    /// What [`process_key`] names it, so that the segments of one service are found.
    pub process: String,
    /// Start time of the process in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_ticks: u64,
    /// The boot that `start_ticks` counts from.
    pub boot_id: String,
    /// Digest of the executable, or its path where it cannot be read: a confirmed leak carries over
    /// to later segments of the same executable only.
    pub executable: String,
}

/// The name that the samples of a profile's process are kept under: no other role's process has the same.
///
/// It is the kernel's name of the process, or `main` where the profile gives none, as versions before kept it, so that
/// what they sampled is found again. Where two roles would share such a name, each is kept under its role: what was
/// sampled of both together says nothing of either.
#[must_use]
pub fn process_key(profile: &Profile, role: &str) -> String {
    let roles = &profile.spec.process;
    let short = |selector: &ProcessSelector| selector.comm.clone().unwrap_or_else(|| "main".to_owned());
    let own = roles.get(role).map(short);
    let is_shared = roles.iter().any(|(other, selector)| other != role && Some(short(selector)) == own);
    match own.filter(|_| !is_shared) {
        Some(own) => format!("{}/{own}", profile.name),
        // As playbooks name it.
        None => format!("{}/process.{role}", profile.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(roles: &[(&str, Option<&str>)]) -> Profile {
        let process = roles.iter().map(|(role, comm)| {
            let comm = comm.map(str::to_owned);
            (
                (*role).to_owned(),
                ProcessSelector { comm, exe: Some(format!("/opt/{role}").into()), ..ProcessSelector::default() },
            )
        });
        let spec = serde_json::json!({"present": {"any": []}});
        let mut spec: crate::profile::ProfileSpec = serde_json::from_value(spec).unwrap();
        spec.process = process.collect();
        Profile { name: crate::name::ProfileName::new("p").unwrap(), spec }
    }

    #[test]
    fn what_an_older_version_sampled_of_a_process_is_found_again() {
        assert_eq!(process_key(&profile(&[("main", Some("isftpd"))]), "main"), "p/isftpd");
        assert_eq!(process_key(&profile(&[("ftp", None)]), "ftp"), "p/main");
        let two = profile(&[("main", None), ("ftp", Some("isftpd"))]);
        assert_eq!((process_key(&two, "main"), process_key(&two, "ftp")), ("p/main".to_owned(), "p/isftpd".to_owned()));
    }

    #[test]
    fn two_processes_of_a_profile_never_share_their_samples() {
        let comms = [None, Some("main"), Some("x")];
        for number in 0..27_usize {
            let (a, b, c) = (comms[number % 3], comms[number / 3 % 3], comms[number / 9]);
            let profile = profile(&[("main", a), ("x", b), ("y", c)]);
            let keys: std::collections::BTreeSet<String> =
                ["main", "x", "y"].into_iter().map(|role| process_key(&profile, role)).collect();
            assert_eq!(keys.len(), 3, "{a:?} {b:?} {c:?}: {keys:?}");
        }
    }
}

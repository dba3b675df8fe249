//! The agent's own settings as text and value; where they are kept is not decided here.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::BTreeSet;
use std::path::Path;
use wbd_agent_api::{BytesPath, MAX_TARGETS, SettingsProblem, Target};

/// A longer settings file is not read, in bytes.
pub(crate) const MAX_SETTINGS_BYTES: usize = 64 * 1024;

/// What the agent must remember over a restart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// One more with each write.
    pub(crate) generation: u64,
    /// Whether to detect. Durable: an active agent comes back active.
    #[serde(default)]
    pub(crate) active: bool,
    /// The registered sites.
    #[serde(default, deserialize_with = "checked_targets")]
    pub(crate) targets: Vec<Target>,
    /// The web server's access log, where it cannot be found from the server's open files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_log: Option<BytesPath>,
}

impl Settings {
    /// Reads the text; the first problem is told with its place.
    pub(crate) fn parse(bytes: &[u8], file: &Path) -> Result<Self, SettingsProblem> {
        let problem = |line, column, message| SettingsProblem { file: BytesPath::from(file), line, column, message };
        if bytes.len() > MAX_SETTINGS_BYTES {
            return Err(problem(0, 0, format!("longer than {MAX_SETTINGS_BYTES} bytes")));
        }
        let options = serde_saphyr::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            underscored_numbers_as_strings: true,
            reject_unsupported_tags: true,
        };
        serde_saphyr::from_slice_with_options(bytes, options).map_err(|error: serde_saphyr::Error| {
            let place = error.location();
            let line = place.map_or(0, |at| at.line());
            let column = place.map_or(0, |at| at.column());
            problem(line, column, plain_message(&error))
        })
    }

    /// The text that [`Settings::parse`] reads as this value; an error if there is none.
    pub(crate) fn render(&self) -> Result<String, String> {
        let body = serde_saphyr::to_string(self).map_err(|error| error.to_string())?;
        let text = format!("# Written by wbd_agent alone; use wbdctl to change it.\n{body}");
        // Settings that do not come back as they were would be found broken at the next start, too late.
        match Self::parse(text.as_bytes(), Path::new("settings.yaml")) {
            Ok(read) if read == *self => Ok(text),
            Ok(_) => Err("settings change when written and read again".to_string()),
            Err(problem) => Err(problem.message),
        }
    }
}

/// The message alone: the place has fields of its own, and a snippet has no room in one line.
fn plain_message(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let without_place = match line.split_once(": ") {
        Some((place, rest)) if place.starts_with("line ") => rest,
        _ => line,
    };
    let without_place = without_place.split(" at line ").next().unwrap_or(without_place);
    without_place.chars().take(300).collect()
}

fn checked_targets<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Target>, D::Error> {
    let targets = Vec::<Target>::deserialize(deserializer)?;
    check_targets(&targets).map_err(de::Error::custom)?;
    Ok(targets)
}

/// What holds for every list of targets, wherever it comes from.
pub(crate) fn check_targets(targets: &[Target]) -> Result<(), String> {
    if targets.len() > MAX_TARGETS {
        return Err(format!("{} targets; at most {MAX_TARGETS} are allowed", targets.len()));
    }
    let mut seen = BTreeSet::new();
    for target in targets {
        if !seen.insert(&target.id) {
            return Err(format!("target id {:?} stands twice; give each target its own", target.id.as_str()));
        }
        for path in std::iter::once(&target.web_root).chain(&target.upload_path) {
            if !path.as_path().is_absolute() {
                return Err(format!(
                    "path {:?} of target {} is not absolute; start it with /",
                    path.to_string(),
                    target.id
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;

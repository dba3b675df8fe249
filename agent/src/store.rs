//! Where the settings are kept: the current file, the last good copy, and the broken one set beside; it does not know what they mean.

use crate::failure::{Exit, Failure};
use crate::settings::{MAX_SETTINGS_BYTES, Settings};
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use wbd_agent_api::{BytesPath, SettingsProblem, SettingsSource, Whole, paths};

/// The settings that a start or a reload found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) settings: Settings,
    pub(crate) source: SettingsSource,
    /// What is wrong with the current file, when it is not the source.
    pub(crate) problem: Option<SettingsProblem>,
}

/// The folder of the agent's own state.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    current: PathBuf,
    good: PathBuf,
    broken: PathBuf,
}

impl Store {
    /// The store under `root`; its folder is made if it is missing.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let folder = paths::state_dir(root);
        DirBuilder::new().recursive(true).mode(0o755).create(&folder)?;
        Ok(Self {
            current: paths::settings(root),
            good: paths::settings_good(root),
            broken: paths::settings_broken(root),
        })
    }

    /// The current settings, or the last good ones, or none.
    ///
    /// A current file that the operating system does not let us read is a failure: what stands in it is unknown,
    /// and to go on with older settings would be to guess.
    pub(crate) fn load(&self) -> Result<Loaded, Failure> {
        let problem = match read_bounded(&self.current) {
            Ok(bytes) => match Settings::parse(&bytes, &self.current) {
                Ok(settings) => {
                    return Ok(Loaded { settings, source: SettingsSource::Current, problem: None });
                }
                Err(problem) => {
                    self.set_aside(&bytes);
                    problem
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if !self.good.exists() {
                    return Ok(Loaded { settings: Settings::default(), source: SettingsSource::Empty, problem: None });
                }
                self.missing()
            }
            Err(error) => {
                let message = format!(
                    "cannot read settings {}: {error}; let the user that runs the agent read it, or move it away",
                    self.current.display()
                );
                return Err(Failure::new(Exit::Settings, message));
            }
        };
        Ok(self.last_good(problem))
    }

    fn last_good(&self, problem: SettingsProblem) -> Loaded {
        let good = read_bounded(&self.good).ok().and_then(|bytes| Settings::parse(&bytes, &self.good).ok());
        match good {
            Some(settings) => Loaded { settings, source: SettingsSource::Good, problem: Some(problem) },
            None => Loaded { settings: Settings::default(), source: SettingsSource::Empty, problem: Some(problem) },
        }
    }

    /// Makes `settings` the current ones: on disk before it returns.
    pub(crate) fn save(&self, settings: &Settings) -> Result<(), String> {
        self.write(&self.current, settings)
    }

    /// Keeps `settings` as the last good ones.
    pub(crate) fn keep_good(&self, settings: &Settings) -> Result<(), String> {
        self.write(&self.good, settings)
    }

    fn write(&self, path: &Path, settings: &Settings) -> Result<(), String> {
        let text = settings.render()?;
        whole(path).replace(text.as_bytes()).map_err(|error| {
            format!("cannot write {}: {error}; make room or give the agent's user the folder", path.display())
        })
    }

    /// The broken file is copied and not moved, so that every start until it is mended says the same.
    fn set_aside(&self, bytes: &[u8]) {
        if let Err(error) = whole(&self.broken).replace(bytes) {
            tracing::warn!("the broken settings cannot be kept as {}: {error}", self.broken.display());
        }
    }

    /// The current file is gone although there was one.
    pub(crate) fn missing(&self) -> SettingsProblem {
        SettingsProblem {
            file: BytesPath::from(self.current.as_path()),
            line: 0,
            column: 0,
            message: "file is missing".into(),
        }
    }
}

fn whole(path: &Path) -> Whole<'_> {
    Whole::at(path, 0o640).durable()
}

/// At most one byte more than allowed is read, which is enough for the parser to refuse it.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let limit = u64::try_from(MAX_SETTINGS_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(generation: u64) -> Settings {
        Settings { generation, ..Settings::default() }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    #[test]
    fn a_new_host_has_no_settings_and_no_problem() {
        let (_dir, store) = store();
        let loaded = store.load().unwrap();
        assert_eq!((loaded.source, loaded.problem), (SettingsSource::Empty, None));
    }

    #[test]
    fn what_was_saved_is_current() {
        let (_dir, store) = store();
        store.save(&settings(4)).unwrap();
        assert_eq!(
            store.load().unwrap(),
            Loaded { settings: settings(4), source: SettingsSource::Current, problem: None }
        );
    }

    #[test]
    fn broken_settings_give_way_to_the_good_ones_and_stay_beside() {
        let (_dir, store) = store();
        store.keep_good(&settings(3)).unwrap();
        fs::write(&store.current, "generation: [\n").unwrap();
        for _ in 0..2 {
            let loaded = store.load().unwrap();
            assert_eq!((loaded.settings.generation, loaded.source), (3, SettingsSource::Good));
            assert!(loaded.problem.is_some_and(|problem| problem.line > 0));
        }
        assert_eq!(fs::read_to_string(&store.broken).unwrap(), "generation: [\n");
    }

    #[test]
    fn a_lost_file_is_a_problem_only_where_there_was_one() {
        let (_dir, store) = store();
        store.keep_good(&settings(3)).unwrap();
        let loaded = store.load().unwrap();
        assert_eq!(loaded.source, SettingsSource::Good);
        assert!(loaded.problem.is_some());
    }

    #[test]
    fn broken_without_good_ones_is_empty_with_a_problem() {
        let (_dir, store) = store();
        fs::write(&store.current, [0xff; 10]).unwrap();
        fs::write(&store.good, "also broken").unwrap();
        let loaded = store.load().unwrap();
        assert_eq!((loaded.source, loaded.settings), (SettingsSource::Empty, Settings::default()));
        assert!(loaded.problem.is_some());
    }

    #[test]
    fn what_cannot_be_read_is_a_failure_and_not_a_fall_back() {
        let (_dir, store) = store();
        store.keep_good(&settings(3)).unwrap();
        fs::create_dir(&store.current).unwrap();
        assert_eq!(store.load().unwrap_err().exit, Exit::Settings);
    }
}

//! Where the repository, the build output and the package are; it builds nothing.

use std::path::{Path, PathBuf};

/// The repository's top folder.
///
/// # Panics
/// When this crate has been moved out of the workspace.
#[must_use]
pub fn repo() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// The folder of this build's programs, such as `target/debug`.
///
/// # Panics
/// When the running program does not lie in a cargo target folder.
#[must_use]
pub fn profile_dir() -> PathBuf {
    // Cargo tells only a package's own programs by variable; the test program's place tells all of them.
    let exe = std::env::current_exe().expect("own path");
    let deps = exe.parent().expect("a program lies in a folder");
    if deps.file_name().is_some_and(|name| name == "deps") {
        deps.parent().expect("deps lies in a profile").to_path_buf()
    } else {
        deps.to_path_buf()
    }
}

/// Cargo's target folder.
///
/// # Panics
/// As [`profile_dir`].
#[must_use]
pub fn target_dir() -> PathBuf {
    profile_dir().parent().expect("a profile lies in target").to_path_buf()
}

/// The built program `name` of any workspace member.
///
/// # Panics
/// When it has not been built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let path = profile_dir().join(name);
    assert!(path.is_file(), "{} is missing; run `cargo build --workspace --bins` or tests/run", path.display());
    path
}

/// The package under test: `WBD_DEB` when set, else what `packaging/build trial` made of this build's programs, else what
/// `packaging/build deb` made.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn deb() -> PathBuf {
    let path = std::env::var_os("WBD_DEB")
        .filter(|path| !path.is_empty())
        .map_or_else(|| built(concat!("wbd_", env!("CARGO_PKG_VERSION"), "_amd64.deb")), PathBuf::from);
    assert!(path.is_file(), "{} is missing; run packaging/build deb or tests/run", path.display());
    path
}

fn built(name: &str) -> PathBuf {
    let trial = profile_dir().join(name);
    if trial.is_file() { trial } else { target_dir().join(name) }
}

//! Kernel settings of a machine by their dotted key. Knows neither which may be set nor to what.
use std::fmt::Debug;
use std::io;

use sysctl::{Ctl, CtlValue, Sysctl as _, SysctlError};

/// Where kernel settings are read and written. The product has one, the running kernel; tests bring their own.
pub trait Kernel: Debug + Send + Sync {
    /// The value, without white space around it.
    ///
    /// # Errors
    /// There is no such setting, or it cannot be read.
    fn read(&self, key: &str) -> io::Result<String>;

    /// Writes the value, and gives what the kernel made of it.
    ///
    /// # Errors
    /// There is no such setting, it cannot be written (`ErrorKind::ReadOnlyFilesystem` in most containers), or it
    /// cannot be read again.
    fn write(&self, key: &str, value: &str) -> io::Result<String>;
}

/// The running kernel.
#[derive(Debug)]
pub(crate) struct Running;

impl Kernel for Running {
    fn read(&self, key: &str) -> io::Result<String> {
        Ctl::new(key).and_then(|setting| setting.value_string()).map_err(refusal)
    }

    fn write(&self, key: &str, value: &str) -> io::Result<String> {
        let set = |setting: Ctl| setting.set_value(CtlValue::String(value.to_owned()));
        Ctl::new(key).and_then(set).map(|value| value.to_string()).map_err(refusal)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only one of the crate's errors has the kernel's own inside")]
fn refusal(error: SysctlError) -> io::Error {
    match error {
        SysctlError::IoError(error) => error,
        SysctlError::NotFound(_) => io::Error::from(io::ErrorKind::NotFound),
        other => io::Error::other(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_is_read_by_key_and_a_key_of_nothing_is_an_error() {
        let file = std::fs::read_to_string("/proc/sys/kernel/ostype").unwrap();
        assert_eq!(Running.read("kernel.ostype").unwrap(), file.trim(), "without its line feed");
        assert_eq!(Running.read("kernel.no_such_setting").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_cannot_be_written_is_told_with_the_kernels_own_reason() {
        // Mode 0444, root's too.
        let error = Running.write("kernel.ostype", "wbd").unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error:?}");
        assert_eq!(Running.write("kernel.no_such_setting", "1").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

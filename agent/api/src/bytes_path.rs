//! A path of any bytes that can stand in YAML and JSON; it does not look at the file system.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// A path of any bytes, written as text: bytes that are not UTF-8 and control characters as `\xNN`, a backslash as `\\`.
///
/// JSON and YAML hold text only, and a web server's folder may have a name in any old encoding.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BytesPath(PathBuf);

impl BytesPath {
    /// Wraps a path as it is.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The path itself.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Reads the written form.
    ///
    /// # Errors
    /// Says which escape cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if first != b'\\' {
                bytes.push(first);
                continue;
            }
            match rest {
                [b'\\', tail @ ..] => {
                    bytes.push(b'\\');
                    rest = tail;
                }
                [b'x', high, low, tail @ ..] => {
                    bytes.push(hex_byte(*high, *low).ok_or_else(|| bad_escape(text))?);
                    rest = tail;
                }
                _ => return Err(bad_escape(text)),
            }
        }
        Ok(Self(OsString::from_vec(bytes).into()))
    }
}

fn bad_escape(text: &str) -> String {
    format!("path {text:?} holds a backslash that starts no known escape; write \\\\ for a backslash, \\xNN for a byte")
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? * 16 + digit(low)?)
}

impl fmt::Display for BytesPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.as_os_str().as_bytes().utf8_chunks() {
            for ch in chunk.valid().chars() {
                match ch {
                    '\\' => f.write_str("\\\\")?,
                    // Only one-byte characters can be named by one \xNN.
                    _ if ch.is_ascii_control() => write!(f, "\\x{:02x}", u32::from(ch))?,
                    _ => fmt::Write::write_char(f, ch)?,
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for BytesPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl From<&Path> for BytesPath {
    fn from(path: &Path) -> Self {
        Self(path.to_path_buf())
    }
}

impl Serialize for BytesPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BytesPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_the_round_trip() {
        let cases: [&[u8]; 6] =
            [b"/srv/www", b"/srv/\xff\xfe", b"/a\\b", b"/a\\x41", b"/tab\there\n", "/日本/ok".as_bytes()];
        for bytes in cases {
            let path = BytesPath::new(OsString::from_vec(bytes.to_vec()));
            let json = serde_json::to_string(&path).unwrap();
            assert_eq!(serde_json::from_str::<BytesPath>(&json).unwrap(), path, "{json}");
        }
        assert_eq!(BytesPath::new("/日本").to_string(), "/日本");
    }

    #[test]
    fn refuses_an_unknown_escape() {
        for text in ["/a\\q", "/a\\", "/a\\x4", "/a\\xzz"] {
            assert!(BytesPath::parse(text).is_err(), "{text}");
        }
    }
}

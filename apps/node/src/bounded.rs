//! Files that are read whole and must be small: a device, or a recording that was named by mistake, fills no memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a scenario, a link or a file of options, at most.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;

/// The bytes of a file that has at most `most` of them.
///
/// # Errors
/// What the system says, or that the file is longer.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}

/// The text of a file of at most [`MAX_TEXT_BYTES`].
///
/// # Errors
/// What the system says, that the file is longer, or that it is no text.
pub fn text(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::other("not a text in UTF-8");
    String::from_utf8(read(path, MAX_TEXT_BYTES)?).map_err(not_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"abc");
        assert_eq!(read(&path, 2).unwrap_err().to_string(), "longer than 2 bytes");
        assert_eq!(text(&path).unwrap(), "abc");
        std::fs::write(&path, [0xFF]).unwrap();
        assert_eq!(text(&path).unwrap_err().to_string(), "not a text in UTF-8");
    }

    #[test]
    #[cfg(unix)]
    fn a_device_without_an_end_is_refused() {
        let error = text(Path::new("/dev/zero")).unwrap_err().to_string();
        assert_eq!(error, "longer than 1048576 bytes");
    }
}

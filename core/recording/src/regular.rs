//! Regular files only: a pipe that nobody writes to would be waited for without a word, a device might never end.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{ErrorKind, RecordingError, io};

/// Opens a regular file, or a link to one.
pub(crate) fn open(path: &Path) -> Result<File, RecordingError> {
    let found = std::fs::metadata(path).map_err(io(path, "open"))?;
    if !found.is_file() {
        return Err(RecordingError::new(path, ErrorKind::NotRegular));
    }
    File::open(path).map_err(io(path, "open"))
}

/// The whole content of one.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, RecordingError> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(io(path, "read"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn folders_devices_and_what_is_missing_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for place in [dir.path(), Path::new("/dev/zero")] {
            let refused = read(place).unwrap_err().to_string();
            assert!(refused.ends_with(": is no regular file"), "{refused}");
        }
        let missing = read(&dir.path().join("nothing")).unwrap_err().to_string();
        assert!(missing.ends_with(": no such file"), "{missing}");
    }
}

//! Files that are read whole and must be small: a device, or a recording that was named by mistake, fills no memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::stop;
use crate::waiting::Waiting;

/// Bytes of a scenario, a link or a file of options, at most.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;

/// How long a pipe may have no writer before it is given up.
const NO_WRITER: Duration = Duration::from_secs(2);
/// Between two looks at a pipe or a terminal.
const LOOK: Duration = Duration::from_millis(10);

/// The bytes of a file that has at most `most` of them.
///
/// It may be a pipe, as in `--config <(command)`: whoever writes to it is waited for, and that is said. A pipe to which nobody
/// writes is refused after 2 s.
///
/// # Errors
/// What the system says, that the file is longer, or that nobody writes to it.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(most + 1).read_to_end(&mut bytes)?;
    } else {
        read_pipe(path, file, most + 1, &mut bytes)?;
    }
    if bytes.len() as u64 > most {
        return Err(io::Error::other(format!("longer than {most} bytes")));
    }
    Ok(bytes)
}

/// Opens a regular file, or a link to one, for reading. Anything else might be waited for, or never end.
///
/// # Errors
/// What the system says, or that it is no regular file.
pub(crate) fn regular(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    check_regular(&file)?;
    Ok(file)
}

/// Refuses what is no regular file.
pub(crate) fn check_regular(file: &File) -> io::Result<()> {
    match file.metadata()?.is_file() {
        true => Ok(()),
        false => Err(io::Error::other("not a regular file")),
    }
}

/// Opens without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NONBLOCK);
    options.open(path)
}

/// Reads at most `most` bytes of what may have to be waited for.
fn read_pipe(path: &Path, mut file: File, most: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let (begun, mut waiting) = (Instant::now(), Waiting::new());
    #[cfg(unix)]
    let is_pipe = std::os::unix::fs::FileTypeExt::is_fifo(&file.metadata()?.file_type());
    #[cfg(not(unix))]
    let is_pipe = false;
    let mut piece = [0; 4096];
    while (bytes.len() as u64) < most {
        match file.read(&mut piece) {
            Ok(0) if !bytes.is_empty() || !is_pipe => break,
            // Nobody has opened it for writing yet, or whoever had said nothing.
            Ok(0) if begun.elapsed() > NO_WRITER => {
                return Err(io::Error::other("nobody writes to it"));
            }
            Ok(0) => {}
            Ok(read) => {
                bytes.extend_from_slice(&piece[..read]);
                continue;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                waiting.say(|| format!("waiting for what is written to {}", path.display()));
            }
            Err(error) => return Err(error),
        }
        if stop::requested() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
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

    /// A pipe with a writer, at once or late, is read to its end; one without is refused instead of waited for.
    #[test]
    #[cfg(unix)]
    fn a_pipe_is_read_when_somebody_writes_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let refused = text(&pipe).unwrap_err().to_string();
        assert_eq!(refused, "nobody writes to it");
        assert_eq!(regular(&pipe).unwrap_err().to_string(), "not a regular file");
        assert_eq!(regular(dir.path()).unwrap_err().to_string(), "not a regular file");
        for pause in [0, 100] {
            let written = pipe.clone();
            let writer = std::thread::spawn(move || {
                let mut file = File::options().write(true).open(written).unwrap();
                for piece in ["first ", "second"] {
                    std::thread::sleep(Duration::from_millis(pause));
                    std::io::Write::write_all(&mut file, piece.as_bytes()).unwrap();
                }
            });
            assert_eq!(text(&pipe).unwrap(), "first second");
            writer.join().unwrap();
        }
    }
}

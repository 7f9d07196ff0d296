//! Files that only their owner may read.

use std::fs::File;
use std::io;
use std::path::Path;

/// From now on every file that this process makes is for its owner only: recordings and measurements of a real run tell its
/// channel key.
pub fn keep_files_private() {
    #[cfg(unix)]
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Creates a file for its owner only, to which is written while the program runs. It may be a pipe or a device instead,
/// which keep their permissions.
///
/// # Errors
/// That there is something in the file already, that nobody reads the pipe, and what the system says.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        // A pipe that nobody reads is refused and not waited for.
        options.mode(0o600).custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path).map_err(|error| {
        #[cfg(unix)]
        if error.raw_os_error() == Some(libc::ENXIO) {
            return io::Error::other("nobody reads the pipe");
        }
        error
    })?;
    let metadata = file.metadata()?;
    if metadata.is_file() && metadata.len() > 0 {
        return Err(io::Error::other("the file exists already and is not empty"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.is_file() {
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
        }
        rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::empty())?;
    }
    Ok(file)
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_with_something_in_it_and_a_pipe_without_a_reader_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("secret"), "secret").unwrap();
        let error = create(&path("secret")).unwrap_err().to_string();
        assert_eq!(error, "the file exists already and is not empty");
        assert_eq!(std::fs::read(path("secret")).unwrap(), b"secret");

        std::fs::write(path("empty"), "").unwrap();
        std::fs::set_permissions(path("empty"), PermissionsExt::from_mode(0o644)).unwrap();
        for name in ["empty", "new"] {
            create(&path(name)).unwrap().write_all(b"line").unwrap();
            let mode = std::fs::metadata(path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
            assert_eq!(std::fs::read(path(name)).unwrap(), b"line");
        }
        create(Path::new("/dev/null")).unwrap();

        let pipe = path("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        assert_eq!(create(&pipe).unwrap_err().to_string(), "nobody reads the pipe");
        // A write to a pipe that is full waits again.
        let reader = File::options().read(true).write(true).open(&pipe).unwrap();
        let writer = create(&pipe).unwrap();
        let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "{flags:?}");
        drop(reader);
    }
}

//! [`Lines`]: a file of lines that grows while a program runs.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use crate::private;

/// A log that a user asked for by an option. A disk that fails under it is said at once and ends the log, and not the work
/// that is logged; [`finish`](Lines::finish) tells it once more, as an error.
#[derive(Debug)]
pub struct Lines {
    name: String,
    file: BufWriter<File>,
    failed: Option<io::Error>,
}

impl Lines {
    /// Creates the file of `option`, for its owner only.
    ///
    /// # Errors
    /// That there is something in the file already, that it is a pipe which nobody reads, and what the system says.
    pub fn create(option: &str, path: &Path) -> Result<Self> {
        let name = format!("{option} {}", path.display());
        let file = private::create(path).with_context(|| name.clone())?;
        Ok(Lines { name, file: BufWriter::new(file), failed: None })
    }

    /// Appends a line.
    pub fn write(&mut self, line: impl Display) {
        if self.failed.is_none() {
            let result = writeln!(self.file, "{line}");
            self.note(result);
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            tracing::error!("{}: {error}; nothing more is written to it", self.name);
            self.failed = Some(error);
        }
    }

    /// Writes what is still in memory.
    ///
    /// # Errors
    /// The first error of the disk since the beginning. The file then has the lines before it, the last one perhaps cut.
    pub fn finish(&mut self) -> Result<()> {
        if self.failed.is_none() {
            let result = self.file.flush();
            self.note(result);
        }
        match self.failed.take() {
            Some(error) => Err(error).with_context(|| self.name.clone()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_ends_the_log_and_is_told_at_the_end() {
        let mut lines = Lines::create("--probes", Path::new("/dev/full")).unwrap();
        for number in 0..10_000 {
            lines.write(number);
        }
        let error = lines.finish().unwrap_err();
        assert_eq!(error.to_string(), "--probes /dev/full");
        let cause: &io::Error = error.downcast_ref().unwrap();
        assert_eq!(cause.kind(), io::ErrorKind::StorageFull);
    }
}

//! Files on a disk that may be full or away for a while: one that only grows, and those that are replaced.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use ms_guidance::checkpoint::write_atomically;

/// More than this is not kept in memory while a file cannot be written.
const LARGEST_PENDING: usize = 64 << 20;

/// Writes a file, wholly or not at all. [`write_atomically`] speaks of checkpoints where it fails, which these files are not.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    write_atomically(path, bytes).map_err(|error| match error {
        ms_guidance::Error::Io { source, .. } => source,
        other => std::io::Error::other(other),
    })
}

/// Takes whole records. One that cannot be written waits for the next, and the file never keeps a part of one.
#[derive(Debug)]
pub(crate) struct AppendFile {
    path: PathBuf,
    file: Option<File>,
    /// Bytes of whole records.
    length: u64,
    pending: Vec<u8>,
}

impl AppendFile {
    /// The file at `path`, of which the first `length` bytes are kept. It is opened with the first record.
    pub(crate) fn new(path: PathBuf, length: u64) -> Self {
        Self {
            path,
            file: None,
            length,
            pending: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a record, after those that wait.
    ///
    /// # Errors
    /// If it has to wait. Where too many wait they are given up.
    pub(crate) fn append(&mut self, record: &[u8]) -> std::io::Result<()> {
        self.pending.extend_from_slice(record);
        let written = self.flush();
        if written.is_err() {
            self.file = None;
            if self.pending.len() > LARGEST_PENDING {
                self.pending = Vec::new();
            }
        }
        written
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut options = OpenOptions::new();
                let file = options.append(true).create(true).open(&self.path)?;
                // What a failed attempt left behind.
                if file.metadata()?.len() > self.length {
                    file.set_len(self.length)?;
                }
                self.file.insert(file)
            }
        };
        file.write_all(&self.pending)?;
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_comes_later_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("away/log");
        let mut file = AppendFile::new(path.clone(), 0);
        assert!(file.append(b"one\n").is_err());
        assert!(file.append(b"two\n").is_err());
        std::fs::create_dir(folder.path().join("away")).unwrap();
        file.append(b"three\n").unwrap();
        file.append(b"four\n").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn a_torn_record_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, b"whole\nto").unwrap();
        let mut file = AppendFile::new(path.clone(), 6);
        file.append(b"torn no more\n").unwrap();
        assert_eq!(std::fs::read(path).unwrap(), b"whole\ntorn no more\n");
    }
}

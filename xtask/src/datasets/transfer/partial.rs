//! What a download leaves on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Which version of which address a partial file is.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// The address.
    pub(super) url: String,
    /// A strong ETag, or else the date of the last change; without either nothing can be resumed.
    pub(super) validator: Option<String>,
    /// Bytes of the whole, where the server has said it.
    pub(super) total: Option<u64>,
}

/// The files beside a download.
#[derive(Debug)]
pub(super) struct Partial {
    file: PathBuf,
    partial: PathBuf,
    record: PathBuf,
}

impl Partial {
    /// The files beside `path`.
    pub(super) fn beside(path: &Path) -> Self {
        let with = |ending: &str| {
            let mut name = path.file_name().unwrap_or_default().to_owned();
            name.push(ending);
            path.with_file_name(name)
        };
        Self {
            file: path.to_owned(),
            partial: with(".partial"),
            record: with(".download.json"),
        }
    }

    /// What is written beside the file. A damaged record is as good as none.
    pub(super) fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(&self.record).ok()?).ok()
    }

    /// Bytes that are there.
    pub(super) fn len(&self) -> u64 {
        fs::metadata(&self.partial).map_or(0, |data| data.len())
    }

    /// The record, when what is there can be gone on with from `url`.
    pub(super) fn resumable(&self, url: &str) -> Option<Record> {
        let have = self.len();
        self.record().filter(|record| {
            have > 0
                && record.url == url
                && record.validator.is_some()
                && record.total.is_none_or(|total| have <= total)
        })
    }

    /// Adds what is there to `hasher`; returns its length.
    pub(super) fn hash_into(&self, hasher: &mut Sha256) -> Result<u64> {
        let cannot_read = || format!("cannot read {}", self.partial.display());
        let mut file = File::open(&self.partial).with_context(cannot_read)?;
        let mut buffer = vec![0_u8; 1 << 20];
        let mut length = 0;
        loop {
            let read = file.read(&mut buffer).with_context(cannot_read)?;
            if read == 0 {
                return Ok(length);
            }
            hasher.update(&buffer[..read]);
            length += read as u64;
        }
    }

    /// Begins anew. In this order: a run that is killed here must not leave old bytes beside a new record.
    pub(super) fn begin(&self, record: &Record) -> Result<()> {
        remove(&self.partial)?;
        let cannot_write = || format!("cannot write {}", self.record.display());
        let folder = self.record.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).with_context(cannot_write)?;
        serde_json::to_writer(&mut file, record).with_context(cannot_write)?;
        file.persist(&self.record).with_context(cannot_write)?;
        File::create(&self.partial)
            .map(drop)
            .with_context(|| format!("cannot create {}", self.partial.display()))
    }

    /// Opens the partial file for what comes next.
    pub(super) fn append(&self) -> Result<Output> {
        let file = OpenOptions::new()
            .append(true)
            .open(&self.partial)
            .with_context(|| format!("cannot open {}", self.partial.display()))?;
        Ok(Output {
            file,
            path: self.partial.clone(),
        })
    }

    /// Gives the complete file its name; the record stays, to say where it is from.
    pub(super) fn finish(&self, path: &Path) -> Result<()> {
        fs::rename(&self.partial, path).with_context(|| format!("cannot create {}", path.display()))
    }

    /// Deletes what is there of the download.
    pub(super) fn discard(&self) -> Result<()> {
        remove(&self.partial)?;
        remove(&self.record)
    }

    /// Deletes the finished file too.
    pub(super) fn discard_all(&self) -> Result<()> {
        remove(&self.file)?;
        self.discard()
    }
}

/// An open partial file.
pub(super) struct Output {
    file: File,
    path: PathBuf,
}

impl Output {
    /// Appends.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Waits for the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.file
            .sync_all()
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

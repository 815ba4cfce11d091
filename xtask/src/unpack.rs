//! Safe unpacking of archives: wheels, the official archive of libtorch, data sets.
//!
//! An archive is refused as a whole, before anything is written, when any of its entries is something that only a
//! hostile or broken archive has: a name that leads out of the folder, a link, a device, the same name twice, a
//! password, contents of more than a thousand times the size of the archive, or more entries or longer names than any
//! archive has.

mod bounded;
mod tar;
#[cfg(test)]
mod tests;
mod zip;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::progress::{Progress, Unit};
use crate::report;
use crate::space;

pub(crate) use self::bounded::Bounded;
use self::tar::Stream;

/// Deflate reaches about 1030 at best; real data stays far below.
const MOST_EXPANSION: u64 = 1000;
/// The headers of small archives weigh more than what is in them.
const EXPANSION_FLOOR: u64 = 1 << 20;
/// Bytes of one name: the longest path that Linux takes.
const MOST_NAME_BYTES: usize = 4096;
/// Bytes of all names together, which are held in memory. Compressed, a small archive can have very many.
const MOST_NAMES_BYTES: usize = 256 << 20;

/// What an archive may unpack to.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// Bytes of the files that are taken.
    pub(crate) bytes: u64,
    /// Asks for the free bytes of a file system.
    pub(crate) free_space: &'a dyn Fn(&Path) -> Option<u64>,
}

impl Limits<'_> {
    /// No more than `bytes`, and no more than fits on the disk.
    pub(crate) fn bytes(bytes: u64) -> Self {
        Self {
            bytes,
            free_space: &space::free,
        }
    }
}

/// The kinds of archives that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `.zip`, `.whl`.
    Zip,
    /// `.tar`.
    Tar,
    /// `.tar.gz`, `.tgz`.
    TarGz,
    /// `.tar.xz`, `.txz`.
    TarXz,
}

impl Kind {
    /// The kind that a file name says; `None` for what is no archive.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
        if ends(&[".zip", ".whl"]) {
            Some(Self::Zip)
        } else if ends(&[".tar"]) {
            Some(Self::Tar)
        } else if ends(&[".tar.gz", ".tgz"]) {
            Some(Self::TarGz)
        } else if ends(&[".tar.xz", ".txz"]) {
            Some(Self::TarXz)
        } else {
            None
        }
    }
}

/// Unpacks those files of `archive` to which `place` gives a path relative to `folder`. The kind is that of the name.
///
/// What an entry claims as its size is not trusted: the copy stops there.
///
/// Returns the number of files written.
///
/// # Errors
/// A refused archive, one that is not what its name says, a wrong checksum, or a failing disk.
pub(crate) fn unpack(
    archive: &Path,
    folder: &Path,
    limits: Limits,
    what: &str,
    place: impl Fn(&str) -> Option<PathBuf>,
) -> Result<usize> {
    let name = archive.file_name().unwrap_or_default().to_string_lossy();
    match Kind::of_name(&name) {
        Some(Kind::Zip) => zip::unpack(archive, folder, limits, what, &place),
        Some(kind) => {
            let stream = Stream::open(archive, kind)?;
            tar::unpack(&stream, folder, limits, what, &place)
        }
        None => Err(Failure::error(
            format!("{} is no archive by its name", archive.display()),
            "archives that can be read end in .zip, .whl, .tar, .tar.gz, .tgz, .tar.xz or .txz",
        )),
    }
}

/// What is known of an archive before anything of it is written.
struct Survey<'a> {
    archive: &'a Path,
    names: BTreeSet<String>,
    /// Bytes that further names may have.
    names_left: usize,
    places: BTreeSet<PathBuf>,
    chosen: u64,
}

impl<'a> Survey<'a> {
    fn new(archive: &'a Path) -> Self {
        Self {
            archive,
            names: BTreeSet::new(),
            names_left: MOST_NAMES_BYTES,
            places: BTreeSet::new(),
            chosen: 0,
        }
    }

    /// The error that refuses the archive because of one entry.
    fn refuse(&self, name: &str, why: &str) -> anyhow::Error {
        refuse(self.archive, name, why)
    }

    /// The name of an entry as a path with `/`, without `./` in front.
    fn name(&mut self, name: &str) -> Result<String> {
        if name.len() > MOST_NAME_BYTES {
            let start: String = name.chars().take(80).collect();
            let why = format!("… has a name of more than {MOST_NAME_BYTES} bytes");
            return Err(self.refuse(&start, &why));
        }
        self.names_left = self.names_left.checked_sub(name.len()).ok_or_else(|| {
            let most = report::megabytes(MOST_NAMES_BYTES as u64);
            self.refuse(name, &format!("brings all names to more than {most}"))
        })?;
        let clean = clean(name).ok_or_else(|| self.refuse(name, "leads out of the folder"))?;
        if !clean.is_empty() && !self.names.insert(clean.clone()) {
            return Err(self.refuse(name, "is there twice"));
        }
        Ok(clean)
    }

    /// Where an entry goes, when it is taken.
    fn place(
        &mut self,
        name: &str,
        size: u64,
        place: &dyn Fn(&str) -> Option<PathBuf>,
    ) -> Result<Option<PathBuf>> {
        let Some(destination) = place(name) else {
            return Ok(None);
        };
        if !is_inside(&destination) {
            return Err(self.refuse(name, "leads out of the folder"));
        }
        // The second would replace the first unseen.
        if !self.places.insert(destination.clone()) {
            let why = format!("goes to {}, as another does", destination.display());
            return Err(self.refuse(name, &why));
        }
        self.chosen = self
            .chosen
            .checked_add(size)
            .ok_or_else(|| self.refuse(name, "claims an impossible size"))?;
        Ok(Some(destination))
    }

    /// Refuses what is too much for `limits` or for the disk.
    fn admit(&self, folder: &Path, limits: Limits, what: &str) -> Result<()> {
        if self.chosen > limits.bytes {
            return Err(Failure::error(
                format!(
                    "{} would unpack to {}",
                    self.archive.display(),
                    report::megabytes(self.chosen)
                ),
                "this is far more than there can be in it; the archive is not what it claims to be",
            ));
        }
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        space::require(folder, (limits.free_space)(folder), self.chosen, what)
    }
}

fn refuse(archive: &Path, name: &str, why: &str) -> anyhow::Error {
    Failure::error(
        format!("{} is refused: its entry `{name}` {why}", archive.display()),
        "the archive is not one that was published by its project; delete it",
    )
}

/// Whether `unpacked` bytes can honestly be in an archive of `packed` bytes.
fn is_bomb(unpacked: u64, packed: u64) -> bool {
    unpacked > EXPANSION_FLOOR && unpacked / MOST_EXPANSION > packed
}

/// The parts of a relative path joined by `/`; `None` when it does not stay where it starts.
fn clean(name: &str) -> Option<String> {
    if name.contains('\0') || !is_inside(Path::new(name)) {
        return None;
    }
    let parts: Vec<&str> = Path::new(name)
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => part.to_str(),
            _ => None,
        })
        .collect();
    // On Windows `C:x` is on another drive and `a:b` is a stream of a file.
    (!parts.iter().any(|part| part.contains(':'))).then(|| parts.join("/"))
}

/// Whether a relative path stays where it starts.
fn is_inside(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && !path.to_string_lossy().contains('\\')
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// Writes one entry, which must have exactly `size` bytes.
fn write(
    archive: &Path,
    source: impl Read,
    size: u64,
    destination: &Path,
    progress: &Progress,
) -> Result<()> {
    if let Some(parent) = destination.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    // One byte more than claimed: the checksum is compared when the end is read.
    let mut source = progress.wrap(source.take(size.saturating_add(1)));
    let mut output = File::create(destination)
        .with_context(|| format!("cannot create {}", destination.display()))?;
    let copied = copy(&mut source, &mut output).with_context(|| {
        format!(
            "cannot unpack {} to {}",
            archive.display(),
            destination.display()
        )
    })?;
    anyhow::ensure!(
        copied == size,
        "{} in {} is cut off",
        destination.display(),
        archive.display()
    );
    Ok(())
}

/// The bar of an unpacking.
fn progress(total: u64, what: &str) -> Progress {
    Progress::new(total, &format!("unpacking {what}"), Unit::Bytes)
}

/// `std::io::copy` with a buffer that suits files of hundreds of megabytes.
fn copy(source: &mut impl Read, output: &mut impl Write) -> std::io::Result<u64> {
    let mut buffer = vec![0_u8; 1 << 20];
    let mut copied = 0;
    loop {
        let read = source.read(&mut buffer)?;
        if read == 0 {
            return Ok(copied);
        }
        output.write_all(&buffer[..read])?;
        copied += read as u64;
    }
}

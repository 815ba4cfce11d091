//! Tar archives, plain or compressed.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use ::tar::{Archive, Entry, EntryType};
use anyhow::{Context, Result};
use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::bounded::{Bounded, Visit};
use super::{EXPANSION_FLOOR, Kind, Limits, MOST_EXPANSION, Survey, progress, write};

/// What the decoder of xz may take, in KiB: the dictionary of the strongest preset has 64 MiB.
const XZ_MEMORY: u32 = 256 << 10;

/// A tar archive that can be read from its beginning more than once.
pub(super) struct Stream {
    /// How the archive is called in messages.
    archive: PathBuf,
    /// Bytes of the archive as it lies on the disk.
    packed: u64,
    /// Begins to decode it.
    decode: Box<dyn Fn() -> Result<Box<dyn Read>>>,
}

impl Stream {
    /// The contents of a file.
    ///
    /// # Errors
    /// When the file cannot be opened, or `kind` is no tar archive.
    pub(super) fn open(archive: &Path, kind: Kind) -> Result<Self> {
        let path = archive.to_owned();
        let cannot_open = format!("cannot open {}", archive.display());
        let packed = std::fs::metadata(archive)
            .with_context(|| cannot_open.clone())?
            .len();
        let decode = move || -> Result<Box<dyn Read>> {
            let file = File::open(&path).with_context(|| cannot_open.clone())?;
            let reader = BufReader::with_capacity(1 << 20, file);
            match kind {
                Kind::Tar => Ok(Box::new(reader)),
                Kind::TarGz => Ok(Box::new(MultiGzDecoder::new(reader))),
                Kind::TarXz => Ok(Box::new(XzReader::new_mem_limit(reader, true, XZ_MEMORY))),
                Kind::Zip => anyhow::bail!("{} is a zip file, no tar archive", path.display()),
            }
        };
        Ok(Self {
            archive: archive.to_owned(),
            packed,
            decode: Box::new(decode),
        })
    }

    fn read(&self) -> Result<(Archive<Bounded<'static>>, Visit)> {
        let most = self
            .packed
            .saturating_mul(MOST_EXPANSION)
            .max(EXPANSION_FLOOR);
        let too_much = "it unpacks to more than a thousand times its size";
        let (bounded, visit) = Bounded::new((self.decode)()?, most, too_much);
        Ok((Archive::new(bounded), visit))
    }
}

/// See [`super::unpack`]. The archive is read twice: first all names and sizes, then the contents.
pub(super) fn unpack(
    stream: &Stream,
    folder: &Path,
    limits: Limits,
    what: &str,
    place: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<usize> {
    let archive = &stream.archive;
    let mut survey = Survey::new(archive);
    let mut taken = 0;
    let mut last = String::new();
    visit(stream, &mut last, &mut |name, entry| {
        let kind = entry.header().entry_type();
        if let Some(why) = why_not(kind) {
            return Err(survey.refuse(name, why));
        }
        let clean = survey.name(name)?;
        if kind.is_dir() {
            return Ok(());
        }
        if survey.place(&clean, entry.size(), place)?.is_some() {
            taken += 1;
        }
        Ok(())
    })?;
    survey.admit(folder, limits, what)?;
    let progress = progress(survey.chosen, what);
    visit(stream, &mut last, &mut |name, entry| {
        if entry.header().entry_type().is_dir() {
            return Ok(());
        }
        let clean = super::clean(name).unwrap_or_default();
        let Some(destination) = place(&clean) else {
            return Ok(());
        };
        let size = entry.size();
        write(archive, entry, size, &folder.join(destination), &progress)
    })?;
    Ok(taken)
}

/// Hands every entry to `see`; `last` is the name of the entry that was read last, for messages.
fn visit(
    stream: &Stream,
    last: &mut String,
    see: &mut dyn FnMut(&str, &mut Entry<Bounded<'static>>) -> Result<()>,
) -> Result<()> {
    let broken = |last: &str| {
        let place = if last.is_empty() {
            "at its beginning".to_owned()
        } else {
            format!("after its entry `{last}`")
        };
        format!("{} cannot be read {place}", stream.archive.display())
    };
    let (mut archive, mut visit) = stream.read()?;
    let mut seen = 0_usize;
    last.clear();
    let mut entries = archive.entries().with_context(|| broken(last))?;
    while let Some(entry) = visit.next(&mut entries) {
        let mut entry = entry.with_context(|| broken(last))?;
        // The comment that `git archive` writes is no file.
        if entry.header().entry_type().is_pax_global_extensions() {
            visit.finish(&mut entry).with_context(|| broken(last))?;
            continue;
        }
        let name = String::from_utf8(entry.path_bytes().into_owned()).map_err(|error| {
            let name = String::from_utf8_lossy(error.as_bytes()).into_owned();
            super::refuse(&stream.archive, &name, "has a name that is not UTF-8")
        })?;
        last.clone_from(&name);
        see(&name, &mut entry)?;
        visit.finish(&mut entry).with_context(|| broken(last))?;
        seen += 1;
    }
    anyhow::ensure!(seen > 0, "{} is no tar archive", stream.archive.display());
    // The checksum of a compressed stream is compared at its very end, after the last entry.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).with_context(|| broken(last))?;
    Ok(())
}

/// Why an entry of this kind refuses the archive.
fn why_not(kind: EntryType) -> Option<&'static str> {
    if kind.is_file() || kind.is_dir() || kind.is_contiguous() {
        None
    } else if kind.is_symlink() || kind.is_hard_link() {
        Some("is a link")
    } else {
        Some("is a device or something else that is no file")
    }
}

//! Zip files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ::zip::ZipArchive;
use anyhow::{Context, Result};

use super::{Limits, Survey, is_bomb, progress, refuse, write};

/// What one file of an archive becomes.
struct Member {
    index: usize,
    destination: PathBuf,
    size: u64,
}

/// See [`super::unpack`].
pub(super) fn unpack(
    archive: &Path,
    folder: &Path,
    limits: Limits,
    what: &str,
    place: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<usize> {
    let file = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    let packed = file
        .metadata()
        .with_context(|| format!("cannot read {}", archive.display()))?
        .len();
    let mut zip = ZipArchive::new(BufReader::with_capacity(1 << 20, file))
        .with_context(|| format!("{} is not a complete zip file", archive.display()))?;
    refuse_repeated(archive, zip.central_directory_start(), zip.len())?;
    let mut survey = Survey::new(archive);
    let members = choose(&mut zip, &mut survey, packed, place)?;
    survey.admit(folder, limits, what)?;
    let progress = progress(survey.chosen, what);
    for member in &members {
        let entry = zip
            .by_index(member.index)
            .with_context(|| format!("cannot read {}", archive.display()))?;
        let destination = folder.join(&member.destination);
        write(archive, entry, member.size, &destination, &progress)?;
    }
    Ok(members.len())
}

/// Looks at every entry, so that a bad one anywhere refuses the archive.
fn choose(
    zip: &mut ZipArchive<BufReader<File>>,
    survey: &mut Survey,
    packed: u64,
    place: &dyn Fn(&str) -> Option<PathBuf>,
) -> Result<Vec<Member>> {
    /// The kind of a file in Unix modes.
    const KIND: u32 = 0o170_000;
    const REGULAR: u32 = 0o100_000;
    const FOLDER: u32 = 0o040_000;

    let mut members = Vec::new();
    let mut all = 0_u64;
    for index in 0..zip.len() {
        let entry = zip
            .by_index_raw(index)
            .with_context(|| format!("cannot read {}", survey.archive.display()))?;
        let name = entry.name().to_owned();
        if entry.is_symlink() {
            return Err(survey.refuse(&name, "is a link"));
        }
        let kind = entry.unix_mode().unwrap_or(0) & KIND;
        if !matches!(kind, 0 | REGULAR | FOLDER) {
            return Err(survey.refuse(&name, "is a device or something else that is no file"));
        }
        if entry.encrypted() {
            return Err(survey.refuse(&name, "is encrypted"));
        }
        if entry.enclosed_name().is_none() {
            return Err(survey.refuse(&name, "leads out of the folder"));
        }
        let clean = survey.name(&name)?;
        all = all.saturating_add(entry.size());
        // All entries together: many that share the same packed bytes are a bomb too.
        if is_bomb(all, packed) {
            return Err(survey.refuse(&name, "unpacks to more than a thousand times its size"));
        }
        if entry.is_dir() {
            continue;
        }
        let size = entry.size();
        if let Some(destination) = survey.place(&clean, size, place)? {
            members.push(Member {
                index,
                destination,
                size,
            });
        }
    }
    Ok(members)
}

/// Reads the directory of the archive once more: of two entries with one name the library shows the last alone.
fn refuse_repeated(archive: &Path, start: u64, shown: usize) -> Result<()> {
    const SIGNATURE: [u8; 4] = *b"PK\x01\x02";
    const FIXED: usize = 46;

    let file = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    let mut reader = BufReader::new(file);
    let cannot_read = || format!("{} is not a complete zip file", archive.display());
    reader
        .seek(SeekFrom::Start(start))
        .with_context(cannot_read)?;
    let mut names = BTreeSet::new();
    let mut header = [0_u8; FIXED];
    loop {
        let mut signature = [0_u8; 4];
        reader
            .read_exact(&mut signature)
            .with_context(cannot_read)?;
        if signature != SIGNATURE {
            break;
        }
        reader
            .read_exact(&mut header[4..])
            .with_context(cannot_read)?;
        let length = |at: usize| usize::from(u16::from_le_bytes([header[at], header[at + 1]]));
        let mut name = vec![0_u8; length(28)];
        reader.read_exact(&mut name).with_context(cannot_read)?;
        let rest = length(30) + length(32);
        reader
            .seek_relative(i64::try_from(rest).unwrap_or(0))
            .with_context(cannot_read)?;
        if let Some(twice) = names.replace(name) {
            let name = String::from_utf8_lossy(&twice).into_owned();
            return Err(refuse(archive, &name, "is there twice"));
        }
    }
    anyhow::ensure!(
        names.len() == shown,
        "{} has {} entries in its directory, of which {shown} can be read",
        archive.display(),
        names.len()
    );
    Ok(())
}

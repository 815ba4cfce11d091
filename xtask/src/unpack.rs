//! Safe unpacking of zip files: wheels and the official archive.

use std::fs::{self, File};
use std::io::{BufReader, Read, Write};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};
use zip::ZipArchive;

use crate::failure::Failure;
use crate::report;

/// What one file of an archive becomes; the progress bar counts these.
struct Member {
    index: usize,
    destination: PathBuf,
    size: u64,
}

/// Unpacks those files of `archive` to which `place` gives a path relative to `folder`.
///
/// An archive is refused as a whole, before anything is written, when any of its names would leave the
/// folder or is a link, or when the chosen files unpack to more than `limit` bytes. What an entry claims as
/// its size is not trusted: the copy stops there.
///
/// Returns the number of files written.
///
/// # Errors
/// A refused archive, one that is not a zip file, a wrong checksum, or a failing disk.
pub(crate) fn unpack(
    archive: &Path,
    folder: &Path,
    limit: u64,
    what: &str,
    place: impl Fn(&str) -> Option<PathBuf>,
) -> Result<usize> {
    let file = File::open(archive).with_context(|| format!("cannot open {}", archive.display()))?;
    let mut zip = ZipArchive::new(BufReader::with_capacity(1 << 20, file))
        .with_context(|| format!("{} is not a complete zip file", archive.display()))?;
    let members = choose(&mut zip, archive, place)?;
    let total = members.iter().map(|member| member.size).sum::<u64>();
    if total > limit {
        return Err(Failure::error(
            format!(
                "{} would unpack to {}",
                archive.display(),
                report::megabytes(total)
            ),
            "this is far more than libtorch has; the archive is not what it claims to be",
        ));
    }
    let bar = report::byte_bar(total, what);
    for member in &members {
        let destination = folder.join(&member.destination);
        if let Some(parent) = destination.parent() {
            fs::create_dir_all(parent)
                .with_context(|| format!("cannot create {}", parent.display()))?;
        }
        let entry = zip
            .by_index(member.index)
            .with_context(|| format!("cannot read {}", archive.display()))?;
        // One byte more than claimed: the checksum is compared when the end is read.
        let mut source = bar.wrap_read(entry.take(member.size.saturating_add(1)));
        let mut output = File::create(&destination)
            .with_context(|| format!("cannot create {}", destination.display()))?;
        let copied = copy(&mut source, &mut output).with_context(|| {
            format!(
                "cannot unpack {} to {}",
                archive.display(),
                destination.display()
            )
        })?;
        anyhow::ensure!(
            copied == member.size,
            "{} in {} is cut off",
            destination.display(),
            archive.display()
        );
    }
    bar.finish_and_clear();
    Ok(members.len())
}

/// Looks at every entry, so that a bad name anywhere refuses the archive.
fn choose(
    zip: &mut ZipArchive<BufReader<File>>,
    archive: &Path,
    place: impl Fn(&str) -> Option<PathBuf>,
) -> Result<Vec<Member>> {
    let refuse = |name: &str, why: &str| {
        Failure::error(
            format!("{} is refused: its entry `{name}` {why}", archive.display()),
            "the archive is not one that was published by its project; delete it",
        )
    };
    let mut members = Vec::new();
    for index in 0..zip.len() {
        let entry = zip
            .by_index_raw(index)
            .with_context(|| format!("cannot read {}", archive.display()))?;
        let name = entry.name().to_owned();
        if entry.enclosed_name().is_none() || !is_inside(Path::new(&name)) {
            return Err(refuse(&name, "leads out of the folder"));
        }
        if entry.is_symlink() {
            return Err(refuse(&name, "is a link"));
        }
        if entry.is_dir() {
            continue;
        }
        if let Some(destination) = place(&name) {
            if !is_inside(&destination) {
                return Err(refuse(&name, "leads out of the folder"));
            }
            members.push(Member {
                index,
                destination,
                size: entry.size(),
            });
        }
    }
    Ok(members)
}

/// Whether a relative path stays where it starts.
fn is_inside(path: &Path) -> bool {
    !path.as_os_str().is_empty()
        && !path.to_string_lossy().contains('\\')
        && path
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
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

#[cfg(test)]
mod tests {
    use super::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    fn archive(folder: &Path, entries: &[(&str, &str)]) -> PathBuf {
        let path = folder.join("archive.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, content) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        path
    }

    fn everything(name: &str) -> Option<PathBuf> {
        Some(PathBuf::from(name))
    }

    #[test]
    fn chosen_files_are_written_and_others_not() {
        let folder = tempfile::tempdir().unwrap();
        let zip = archive(
            folder.path(),
            &[("torch/lib/a.so", "A"), ("torch/lib/b.so", "B")],
        );
        let out = folder.path().join("out");
        let written = unpack(&zip, &out, 100, "test", |name| {
            (name == "torch/lib/a.so").then(|| "lib/a.so".into())
        });
        assert_eq!(written.unwrap(), 1);
        assert_eq!(fs::read_to_string(out.join("lib/a.so")).unwrap(), "A");
        assert!(!out.join("lib/b.so").exists());
    }

    #[test]
    fn names_that_lead_out_refuse_the_whole_archive() {
        for name in ["../evil", "a/../../evil", "/etc/evil", "..\\evil"] {
            let folder = tempfile::tempdir().unwrap();
            let zip = archive(folder.path(), &[("good", "good"), (name, "evil")]);
            let out = folder.path().join("inner/out");
            let error = unpack(&zip, &out, 100, "test", everything)
                .unwrap_err()
                .to_string();
            assert!(error.contains("leads out of the folder"), "{name}: {error}");
            assert!(!out.exists(), "{name}: something was written");
            assert!(
                !folder.path().join("inner/evil").exists() && !folder.path().join("evil").exists()
            );
        }
    }

    #[test]
    fn a_place_that_leads_out_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let zip = archive(folder.path(), &[("good", "good")]);
        let out = folder.path().join("out");
        unpack(&zip, &out, 100, "test", |_| Some("../good".into())).unwrap_err();
        assert!(!folder.path().join("good").exists());
    }

    #[test]
    fn links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        zip.add_symlink("lib", "/etc", SimpleFileOptions::default())
            .unwrap();
        zip.finish().unwrap();
        let error = unpack(&path, &folder.path().join("out"), 100, "test", everything)
            .unwrap_err()
            .to_string();
        assert!(error.contains("is a link"), "{error}");
    }

    #[test]
    fn an_archive_that_grows_too_large_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let zip = archive(folder.path(), &[("zeros", &"0".repeat(1000))]);
        let out = folder.path().join("out");
        unpack(&zip, &out, 999, "test", everything).unwrap_err();
        assert!(!out.exists());
        unpack(&zip, &out, 1000, "test", everything).unwrap();
    }

    #[test]
    fn damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        zip.start_file(
            "a",
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored),
        )
        .unwrap();
        zip.write_all(b"recognisable").unwrap();
        zip.finish().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes
            .windows(12)
            .position(|window| window == b"recognisable")
            .unwrap();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        unpack(&path, &folder.path().join("out"), 100, "test", everything).unwrap_err();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        unpack(&path, &folder.path().join("out"), 100, "test", everything).unwrap_err();
    }
}

//! Packages as they should be, and others, through the whole command.

use std::fs;
use std::path::{Path, PathBuf};

use crate::datasets::cache::Cache;
use crate::datasets::catalogue::Catalogue;
use crate::datasets::fetch::{Fetcher, Outcome};
use crate::datasets::sources::huggingface::Hub;
use crate::datasets::transfer::{Settings, Transfer};
use crate::hash;
use image_io::{Format, Photo, PhotoInfo, WriteOptions};

const FILE: &str = "pictures_1-1_all.deb";

fn photo(format: Format, width: usize, height: usize) -> Vec<u8> {
    let pixels = ndarray::Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
        ((x * 3 + y * 5 + channel * 40) % 256) as f32 / 255.0
    });
    let photo = Photo {
        pixels,
        alpha: None,
        info: PhotoInfo::new(format),
    };
    image_io::encode(&photo, format, &WriteOptions::default())
        .unwrap()
        .bytes
}

/// A tar archive with files and one link.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        // `Builder::append_data` refuses names that lead out, which is what some of the tests are about.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "./usr/share/link.jpg", "/etc/passwd")
        .unwrap();
    tar.into_inner().unwrap()
}

fn deb_of(data_name: &str, data: &[u8]) -> Vec<u8> {
    let mut package = ar::Builder::new(Vec::new());
    for (name, content) in [
        ("debian-binary", b"2.0\n".as_slice()),
        ("control.tar.xz", b"not looked at".as_slice()),
        (data_name, data),
    ] {
        let header = ar::Header::new(name.as_bytes().to_vec(), content.len() as u64);
        package.append(&header, content).unwrap();
    }
    package.into_inner().unwrap()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A frame of Zstandard that stores its bytes (RFC 8878): `ruzstd` only decodes well, and the format is short.
fn zstandard(bytes: &[u8]) -> Vec<u8> {
    // Magic number; a content size of 4 bytes; a window of 2^(10 + 10) bytes.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1000_0000];
    frame.push(10 << 3);
    frame.extend((bytes.len() as u32).to_le_bytes());
    let chunks: Vec<&[u8]> = bytes.chunks(1 << 16).collect();
    for (at, chunk) in chunks.iter().enumerate() {
        let is_last = u32::from(at + 1 == chunks.len());
        let header = (chunk.len() as u32) << 3 | is_last;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.extend(*chunk);
    }
    frame
}

struct Desk {
    folder: tempfile::TempDir,
    fetcher: Fetcher,
}

impl Desk {
    /// A catalogue with one set that takes `rows` out of `package`.
    fn new(package: &[u8], rows: &str, splits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = folder.path().join("datasets");
        fs::create_dir(&catalogue).unwrap();
        fs::write(folder.path().join(FILE), package).unwrap();
        let sha256 = hash::sha256(&folder.path().join(FILE)).unwrap();
        let manifest = format!(
            r#"
schema_version = 1
name = "pictures"
title = "Pictures"
homepage = "https://example.org/"
licence = "CC0-1.0"
citation = "nobody, 2026"
[[sources]]
kind = "deb"
package = "pictures"
version = "1-1"
file = "{FILE}"
sha256 = "{sha256}"
{splits}
"#
        );
        fs::write(catalogue.join("pictures.toml"), manifest).unwrap();
        fs::write(catalogue.join("pictures.csv"), rows).unwrap();
        let cache = folder.path().join("cache");
        fs::create_dir(&cache).unwrap();
        let fetcher = Fetcher {
            catalogue: Catalogue::of(&catalogue),
            cache: Cache::at(&cache).unwrap(),
            transfer: Transfer::new(Settings::default()),
            hub: Hub::from_env(),
        };
        Self { folder, fetcher }
    }

    fn package(&self) -> PathBuf {
        self.folder.path().join(FILE)
    }

    fn fetch(&self) -> anyhow::Result<Outcome> {
        self.fetcher.fetch("pictures", Some(&self.package()))
    }

    fn refusal(&self) -> String {
        let text = format!("{:#}", self.fetch().unwrap_err());
        let set = self.folder.path().join("cache/pictures");
        assert!(!set.exists(), "something was left: {text}");
        text
    }
}

const SPLIT: &str = r#"
[[splits]]
name = "test"
role = "test"
sharp = "*.{png,jpg}"
count = 3
files = "pictures.csv"
"#;
const ROWS: &str = "split,path,width,height,part,source,convert
test,copied.png,12,8,main,usr/share/copied.png,
test,small.png,6,4,main,usr/share/copied.png,resize
test,carved.jpg,20,10,main,usr/share/all.rcc#2,recode
";

fn files() -> Vec<(&'static str, Vec<u8>)> {
    let mut container = b"head RIFF".to_vec();
    container.extend(photo(Format::Jpeg, 9, 9));
    container.extend(b"between");
    container.extend(photo(Format::Webp, 20, 10));
    vec![
        ("./usr/share/copied.png", photo(Format::Png, 12, 8)),
        ("./usr/share/all.rcc", container),
        ("./usr/share/other", b"not wanted".to_vec()),
    ]
}

fn tar(files: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (*name, content.as_slice()))
        .collect();
    tar_of(&files)
}

#[test]
fn photos_are_copied_resized_and_carved_whatever_the_compression() {
    let tar = tar(&files());
    for (name, data) in [
        ("data.tar", tar.clone()),
        ("data.tar.gz", gzipped(&tar)),
        ("data.tar.zst", zstandard(&tar)),
    ] {
        let desk = Desk::new(&deb_of(name, &data), ROWS, SPLIT);
        let Outcome::Fetched(set) = desk.fetch().unwrap() else {
            panic!("{name} was not fetched");
        };
        let copied = fs::read(set.join("copied.png")).unwrap();
        assert_eq!(copied, photo(Format::Png, 12, 8), "{name}");
        let limits = image_io::Limits::default();
        let carved = image_io::read(&set.join("carved.jpg"), &limits).unwrap();
        assert_eq!((carved.width(), carved.height()), (20, 10));
        let small = image_io::read(&set.join("small.png"), &limits).unwrap();
        assert_eq!((small.width(), small.height()), (6, 4));
        assert!(!set.join("other").exists() && !set.join("link.jpg").exists());
    }
}

#[test]
fn a_package_may_not_describe_a_file_without_end() {
    let long = vec![b'a'; 2 << 20];
    for (kind, content, expected) in [
        (
            tar::EntryType::GNULongName,
            long.as_slice(),
            "more than 1 MiB of names",
        ),
        (
            tar::EntryType::XHeader,
            long.as_slice(),
            "more than 1 MiB of names",
        ),
        (tar::EntryType::GNUSparse, &[], "holds a sparse file"),
    ] {
        let mut data = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.as_gnu_mut().unwrap().realsize = *b"00000000000\0";
        header.set_cksum();
        data.append(&header, content).unwrap();
        let mut bytes = data.into_inner().unwrap();
        // Without the end of this archive, so that the files come after it.
        bytes.truncate(bytes.len() - 1024);
        bytes.extend(tar(&files()));
        let error = Desk::new(&deb_of("data.tar", &bytes), ROWS, SPLIT).refusal();
        assert!(error.contains(expected), "{kind:?}: {error}");
    }
}

#[test]
fn what_is_not_in_the_package_is_named() {
    let tar = tar(&files());
    let package = deb_of("data.tar", &tar);
    for (from, to, expected) in [
        (
            "usr/share/all.rcc#2",
            "usr/share/gone.rcc#2",
            "does not hold usr/share/gone.rcc",
        ),
        (
            "usr/share/all.rcc#2",
            "usr/share/all.rcc#3",
            "holds 2 pictures, number 3 is wanted",
        ),
        ("usr/share/all.rcc#2", "usr/share/all.rcc#0", "from 1"),
        (
            "usr/share/all.rcc#2",
            "usr/share/link.jpg",
            "does not hold usr/share/link.jpg",
        ),
        (
            "usr/share/all.rcc#2",
            "usr/share/other",
            "cannot convert usr/share/other",
        ),
    ] {
        let desk = Desk::new(&package, &ROWS.replace(from, to), SPLIT);
        let error = desk.refusal();
        assert!(error.contains(expected), "{to}: {error}");
    }
}

#[test]
fn another_content_than_the_list_names_is_refused() {
    let wrong = "0".repeat(64);
    let rows = ROWS
        .replace("convert\n", "convert,source_sha256\n")
        .replace(".png,\n", &format!(".png,,{wrong}\n"))
        .replace("resize\n", "resize,\n")
        .replace("recode\n", "recode,\n");
    let desk = Desk::new(&deb_of("data.tar", &tar(&files())), &rows, SPLIT);
    let error = desk.refusal();
    assert!(
        error.contains("has SHA-256") && error.contains(&wrong),
        "{error}"
    );
}

#[test]
fn packages_that_are_broken_or_hostile_are_refused() {
    let good = tar(&files());
    let mut hostile = files();
    hostile.push(("../../evil", b"evil".to_vec()));
    let mut cut = deb_of("data.tar.gz", &gzipped(&good));
    cut.truncate(cut.len() / 2);
    for (package, expected) in [
        (
            deb_of("data.tar", &tar(&hostile)),
            "leads out of the folder",
        ),
        (deb_of("data.tar.lz4", &good), "data.tar.lz4"),
        (deb_of("other", &good), "holds no data.tar"),
        (
            b"no package at all".to_vec(),
            "is no complete Debian package",
        ),
        (deb_of("data.tar.xz", b"no xz stream"), "is damaged"),
        (
            deb_of("data.tar.zst", b"nothing"),
            "is no complete Debian package",
        ),
        (cut, ""),
    ] {
        let error = Desk::new(&package, ROWS, SPLIT).refusal();
        assert!(error.contains(expected), "expected `{expected}`: {error}");
    }
}

#[test]
fn a_given_file_must_be_the_package() {
    let desk = Desk::new(&deb_of("data.tar", &tar(&files())), ROWS, SPLIT);
    fs::write(desk.package(), "another").unwrap();
    let error = desk.refusal();
    assert!(error.contains("has SHA-256"), "{error}");
}

#[cfg(unix)]
mod apt {
    use super::*;
    use crate::datasets::manifest::Source;
    use crate::datasets::sources::Context;
    use crate::datasets::sources::deb::apt::download;
    use std::os::unix::fs::PermissionsExt;

    fn program(folder: &Path, body: &str) -> PathBuf {
        let path = folder.join("apt-get");
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn downloaded(desk: &Desk, apt: &Path) -> anyhow::Result<Vec<u8>> {
        let entry = desk.fetcher.catalogue.get("pictures").unwrap();
        let Source::Deb(source) = &entry.manifest.sources[0] else {
            panic!("not a package");
        };
        let context = Context {
            manifest: &entry.manifest,
            list: &entry.list,
            part: "main",
            downloads: desk.folder.path(),
            folder: desk.folder.path(),
            transfer: &desk.fetcher.transfer,
            hub: &desk.fetcher.hub,
            given: None,
        };
        let place = desk.folder.path().join("kept.deb");
        download(apt, source, &context, &place)?;
        Ok(fs::read(place)?)
    }

    #[test]
    fn apt_is_asked_for_one_version_and_its_file_is_checked() {
        let package = deb_of("data.tar", &tar(&files()));
        let desk = Desk::new(&package, ROWS, SPLIT);
        let body = format!(
            "[ \"$*\" = 'download --quiet pictures=1-1' ] || exit 9\ncp '{}' pictures_1-1_amd64.deb",
            desk.package().display()
        );
        let apt = program(desk.folder.path(), &body);
        assert_eq!(downloaded(&desk, &apt).unwrap(), package);
        let apt = program(desk.folder.path(), "echo other > pictures_1-1_all.deb");
        let error = downloaded(&desk, &apt).unwrap_err().to_string();
        assert!(error.contains("has SHA-256"), "{error}");
    }

    #[test]
    fn without_apt_or_with_a_version_that_is_gone_there_is_another_way() {
        let desk = Desk::new(&deb_of("data.tar", &tar(&files())), ROWS, SPLIT);
        for (apt, expected) in [
            (
                program(desk.folder.path(), "exit 100"),
                "cannot fetch pictures=1-1",
            ),
            (PathBuf::from("/nowhere/apt-get"), "cannot be started"),
        ] {
            let error = downloaded(&desk, &apt).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            let failure = error.downcast_ref::<crate::failure::Failure>().unwrap();
            let hint = format!("{failure:?}");
            assert!(hint.contains("--from"), "{hint}");
        }
    }
}

//! Tests that run the whole command against a local server, and what they share.

mod cache;
mod fetch;
mod hub;
mod layouts;
mod local;
mod manifest;
mod mirrors;
mod paths;
mod photos;
#[cfg(unix)]
mod pip;
pub(crate) mod server;
mod transfer;
mod verify;
mod weights;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::cache::Cache;
use super::catalogue::Catalogue;
use super::fetch::Fetcher;
use super::sources::huggingface::Hub;
use super::transfer::{Settings, Transfer};
use crate::hash::hexadecimal;

/// The pauses that were made instead of waiting.
pub(crate) type Pauses = Arc<Mutex<Vec<Duration>>>;

/// Settings that do not wait and use no proxy.
pub(crate) fn settings() -> (Settings, Pauses) {
    let pauses = Pauses::default();
    let made = Arc::clone(&pauses);
    let settings = Settings {
        attempts: 3,
        idle: Duration::from_secs(20),
        sleep: Box::new(move |pause| made.lock().unwrap().push(pause)),
        proxy: false,
        ..Settings::default()
    };
    (settings, pauses)
}

fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

/// Bytes that no compression makes smaller and of which no two parts are the same.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A grey photo whose pixels depend on `seed`.
fn png(width: u32, height: u32, seed: u8) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.png");
    let pixels =
        ndarray::Array3::from_shape_fn((3, height as usize, width as usize), |(c, y, x)| {
            f32::from((x * 7 + y * 13 + c * 5) as u8 ^ seed) / 255.0
        });
    let photo = image_io::Photo {
        pixels,
        alpha: None,
        info: image_io::PhotoInfo::new(image_io::Format::Png),
    };
    image_io::write(&path, &photo, &image_io::WriteOptions::default()).unwrap();
    fs::read(path).unwrap()
}

pub(crate) fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut zip = ZipWriter::new(&mut bytes);
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    bytes.into_inner()
}

/// A small set in the layout of GoPro: two pairs of 8×6 pixels, and a licence.
fn pairs_zip() -> Vec<u8> {
    zip_of(&[
        ("Pairs/LICENCE", b"free"),
        ("Pairs/test/a/sharp/1.png", &png(8, 6, 1)),
        ("Pairs/test/a/blur/1.png", &png(8, 6, 2)),
        ("Pairs/test/b/sharp/1.png", &png(8, 6, 3)),
        ("Pairs/test/b/blur/1.png", &png(8, 6, 4)),
        ("Pairs/train/not-wanted.png", b"not a picture"),
    ])
}

/// The manifest of such a set, with these sources.
fn pairs_manifest(sources: &str) -> String {
    format!(
        r#"
schema_version = 1
name = "pairs"
title = "Pairs"
homepage = "https://example.org/pairs"
licence = "CC0-1.0"
citation = "nobody, 2026"
documents = ["LICENCE"]
{sources}
[[splits]]
name = "test"
role = "test"
sharp = "test/*/sharp/*.png"
blurry = "test/*/blur/*.png"
pairing = {{ sharp = "/sharp/", blurry = "/blur/" }}
count = 2
size = [8, 6]
"#
    )
}

/// A source over HTTP for such a set.
fn http_source(urls: &[String], more: &str) -> String {
    format!(
        r#"
[[sources]]
kind = "http"
urls = {urls:?}
file = "pairs.zip"
{more}
members = [
    {{ glob = "Pairs/LICENCE", strip = "Pairs/" }},
    {{ glob = "Pairs/test/**", strip = "Pairs/" }},
]
"#
    )
}

/// A place with manifests and a cache.
struct Desk {
    folder: TempDir,
    fetcher: Fetcher,
    pauses: Pauses,
}

impl Desk {
    fn new(manifest: &str) -> Self {
        let (settings, pauses) = settings();
        Self::with(manifest, settings, pauses)
    }

    fn with(manifest: &str, settings: Settings, pauses: Pauses) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let manifests = folder.path().join("manifests");
        fs::create_dir(&manifests).unwrap();
        fs::write(manifests.join("pairs.toml"), manifest).unwrap();
        let fetcher = Fetcher {
            catalogue: Catalogue::of(&manifests),
            cache: Cache::at(&folder.path().join("cache")).unwrap(),
            transfer: Transfer::new(settings),
            hub: Hub {
                endpoint: "http://127.0.0.1:9".to_owned(),
                token: None,
            },
        };
        Self {
            folder,
            fetcher,
            pauses,
        }
    }

    fn manifest(&self, text: &str) {
        fs::write(self.folder.path().join("manifests/pairs.toml"), text).unwrap();
    }

    /// The folder of the set.
    fn set(&self) -> PathBuf {
        self.folder.path().join("cache/pairs")
    }

    fn downloads(&self) -> PathBuf {
        self.folder.path().join("cache/downloads/pairs")
    }

    fn fails(&self, from: Option<&Path>) -> String {
        let error = self.fetcher.fetch("pairs", from).unwrap_err();
        format!("{error:#}")
    }

    /// Nothing is there that looks like a set, and no folder is left behind.
    fn assert_nothing_looks_finished(&self) {
        assert!(!self.set().exists());
        let left: Vec<_> = fs::read_dir(self.folder.path().join("cache"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "downloads" && name != ".pairs.lock")
            .collect();
        assert!(left.is_empty(), "{left:?}");
        assert!(!self.downloads().join("pairs.zip").exists());
    }
}

/// All files below a folder.
fn tree(folder: &Path) -> Vec<String> {
    let mut files: Vec<String> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap();
            path.to_str().unwrap().replace('\\', "/")
        })
        .collect();
    files.sort();
    files
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    File::create(path).unwrap().write_all(bytes).unwrap();
}

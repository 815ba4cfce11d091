//! Folders with photos in them.

use std::path::{Path, PathBuf};

use image_io::{Format, Limits, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;
use tempfile::TempDir;

use crate::{model, workspace};

/// A temporary folder that goes away with its value.
pub struct Folder(TempDir);

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Folder {
    /// An empty one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A path in it, as text for the command line.
    pub fn text(&self, name: &str) -> String {
        self.at(name).to_str().expect("UTF-8").to_owned()
    }

    /// Writes a file, and the folders above it.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        let parent = path.parent().expect("a parent");
        std::fs::create_dir_all(parent).expect("a folder");
        std::fs::write(&path, bytes).expect("a file");
        path
    }

    /// Writes a photo of its own for every `name`; the extension says the format.
    pub fn photo(&self, name: &str, width: usize, height: usize) -> PathBuf {
        let path = self.write(name, "");
        let seed = name.bytes().map(usize::from).sum();
        let options = WriteOptions {
            overwrite: true,
            ..WriteOptions::default()
        };
        image_io::write(&path, &photo(width, height, seed), &options).expect("a photo");
        path
    }

    /// Copies a file that Pillow or tifffile wrote, see [`golden`].
    pub fn golden(&self, name: &str) -> PathBuf {
        self.write(name, golden(name))
    }

    /// Writes [`model::noisy`] as `model.safetensors`.
    pub fn model(&self) -> String {
        self.write("model.safetensors", model::noisy());
        self.text("model.safetensors")
    }

    /// Writes [`model::identity`] as `identity.safetensors`.
    pub fn identity(&self) -> String {
        self.write("identity.safetensors", model::identity());
        self.text("identity.safetensors")
    }

    /// The content of a file.
    #[track_caller]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.at(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Names of everything in a folder of it, hidden files and subfolders included, sorted; nothing if there is no such folder.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.at(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| {
                let name = entry.expect("an entry").file_name();
                name.into_string().expect("UTF-8")
            })
            .collect();
        names.sort();
        names
    }
}

/// Edges and gradients, in 8 bits per channel.
pub fn photo(width: usize, height: usize, seed: usize) -> Photo {
    let pixels = Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
        let checks = ((x + seed) / 7 + (y + 3 * channel) / 5) % 2;
        let level = 40 + 120 * checks + (2 * x + 3 * y + 31 * channel + 5 * seed) % 64;
        level as f32 / 255.0
    });
    Photo {
        pixels,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    }
}

/// A picture that another program wrote, from the tests of `image-io`.
#[track_caller]
pub fn golden(name: &str) -> Vec<u8> {
    let folder = workspace().join("crates/image-io/tests/golden/files");
    std::fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Decodes a picture.
#[track_caller]
pub fn decode(path: &Path) -> Photo {
    image_io::read(path, &Limits::default()).unwrap_or_else(|error| panic!("{error}"))
}

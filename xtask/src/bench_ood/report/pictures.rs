//! Pictures inside the page.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image_io::{Format, Limits, Photo, WriteOptions};
use ndarray::Array3;

/// A picture as an address that holds all of it, with its width and height in pixels.
pub(super) struct Embedded {
    pub(super) address: String,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Puts pictures into the page until a number of bytes is used up.
pub(super) struct Embedder<'a> {
    folder: &'a Path,
    /// Characters of addresses that are left.
    left: usize,
    /// Characters that one picture may take.
    share: usize,
}

/// A side longer than this is shrunk: a page is no archive, and the files lie beside it.
const LONGEST: usize = 1024;

impl<'a> Embedder<'a> {
    /// For about `count` pictures below `folder`, `budget` characters together.
    pub(super) fn new(folder: &'a Path, count: usize, budget: usize) -> Self {
        Self {
            folder,
            left: budget,
            share: budget / count.max(1),
        }
    }

    /// A picture by its file below the folder. As it is if it is a small PNG or JPEG, else as JPEG, shrunk by whole
    /// factors where it is large.
    ///
    /// # Errors
    /// What cannot be read as a picture; no room left.
    pub(super) fn embed(&mut self, file: &Path) -> Result<Embedded> {
        let path = self.folder.join(file);
        // First of all, because it refuses what is no regular file or too large.
        let photo = image_io::read(&path, &Limits::default())
            .with_context(|| format!("cannot read {}", file.display()))?;
        let as_it_is = if photo.width().max(photo.height()) <= LONGEST {
            self.unchanged(&path)
                .with_context(|| format!("cannot read {}", file.display()))?
        } else {
            None
        };
        let (address, width, height) = match as_it_is {
            Some(address) => (address, photo.width(), photo.height()),
            None => self.compressed(&photo)?,
        };
        if address.len() > self.left {
            anyhow::bail!("{} has no room in the report", file.display());
        }
        self.left -= address.len();
        Ok(Embedded {
            address,
            width,
            height,
        })
    }

    /// The file as it is, if browsers show it and it is within its share. No more than that is ever read.
    fn unchanged(&self, path: &Path) -> std::io::Result<Option<String>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(self.share as u64 + 1)
            .read_to_end(&mut bytes)?;
        Ok(kind(&bytes)
            .filter(|_| bytes.len() <= self.share)
            .map(|kind| address(kind, &bytes))
            .filter(|address| address.len() <= self.share))
    }

    fn compressed(&self, photo: &Photo) -> Result<(String, usize, usize)> {
        let longest = photo.width().max(photo.height());
        let mut factor = longest.div_ceil(LONGEST).max(1);
        loop {
            let small = Photo {
                alpha: None,
                ..photo.with_pixels(shrunk(&photo.pixels, factor))
            };
            let options = WriteOptions {
                jpeg_quality: 92,
                ..WriteOptions::default()
            };
            let bytes = image_io::encode(&small, Format::Jpeg, &options)?.bytes;
            let address = address("image/jpeg", &bytes);
            if address.len() <= self.share || longest / factor < 64 {
                return Ok((address, small.width(), small.height()));
            }
            factor += 1;
        }
    }
}

fn address(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

/// By content: the name may say anything.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if bytes.starts_with(&[0xFF, 0xD8, 0xFF]) {
        Some("image/jpeg")
    } else {
        None
    }
}

/// Means over squares of `factor` × `factor` pixels; what is left at the right and below is cut.
fn shrunk(pixels: &Array3<f32>, factor: usize) -> Array3<f32> {
    if factor == 1 {
        return pixels.clone();
    }
    let (channels, height, width) = pixels.dim();
    let area = (factor * factor) as f32;
    Array3::from_shape_fn(
        (channels, (height / factor).max(1), (width / factor).max(1)),
        |(channel, y, x)| {
            let mut sum = 0.0;
            for (dy, dx) in (0..factor).flat_map(|dy| (0..factor).map(move |dx| (dy, dx))) {
                let place = (
                    channel,
                    (y * factor + dy).min(height - 1),
                    (x * factor + dx).min(width - 1),
                );
                sum += pixels[place];
            }
            sum / area
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;

    #[test]
    fn small_pictures_stay_as_they_are_and_large_ones_are_shrunk() {
        let folder = tempfile::tempdir().unwrap();
        fixture::picture(&folder.path().join("a.png"), 40, 30, 0);
        fixture::picture(&folder.path().join("b.png"), 2_100, 700, 1);
        let mut embedder = Embedder::new(folder.path(), 2, 400_000);
        let small = embedder.embed(Path::new("a.png")).unwrap();
        let bytes = std::fs::read(folder.path().join("a.png")).unwrap();
        assert_eq!(
            small.address,
            format!("data:image/png;base64,{}", STANDARD.encode(bytes))
        );
        assert_eq!((small.width, small.height), (40, 30));
        let large = embedder.embed(Path::new("b.png")).unwrap();
        assert!(large.address.starts_with("data:image/jpeg;base64,"));
        assert!(large.address.len() <= 200_000);
        assert!(large.width <= LONGEST && large.width.abs_diff(3 * large.height) <= 3);
    }

    #[test]
    fn what_is_no_picture_or_has_no_room_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.png"), "<script>").unwrap();
        fixture::picture(&folder.path().join("b.png"), 64, 64, 0);
        let mut embedder = Embedder::new(folder.path(), 1, 100);
        assert!(embedder.embed(Path::new("a.png")).is_err());
        assert!(embedder.embed(Path::new("missing.png")).is_err());
        let error = embedder.embed(Path::new("b.png")).err().unwrap();
        assert!(error.to_string().contains("no room"), "{error:#}");
    }

    #[test]
    #[cfg(unix)]
    fn what_never_ends_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join("zero.png")).unwrap();
        let mut embedder = Embedder::new(folder.path(), 1, 400_000);
        assert!(embedder.embed(Path::new("zero.png")).is_err());
    }

    #[test]
    fn shrinking_keeps_the_mean() {
        let pixels = Array3::from_shape_fn((3, 4, 6), |(c, y, x)| (c + y * 6 + x) as f32);
        let small = shrunk(&pixels, 2);
        assert_eq!(small.dim(), (3, 2, 3));
        assert_eq!(small[[0, 0, 0]], (0.0 + 1.0 + 6.0 + 7.0) / 4.0);
    }
}

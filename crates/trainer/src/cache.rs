//! Decoded pictures within a budget of memory; the least recently used go first and are decoded again when they are needed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::picture::Picture;

/// Decoded pictures, by file. What a caller gets does not depend on the budget, only when it is decoded.
#[derive(Debug)]
pub struct ImageCache {
    budget: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pictures: HashMap<PathBuf, (Arc<Picture>, u64)>,
    /// Files by the time of their last use.
    order: BTreeMap<u64, PathBuf>,
    bytes: u64,
    clock: u64,
    decoded: u64,
}

impl ImageCache {
    /// A cache that holds at most `megabytes` (10⁶ bytes) of decoded samples. What is being decoded comes on top: 15 bytes per pixel
    /// on each thread.
    pub fn new(megabytes: u64) -> Arc<Self> {
        Arc::new(Self {
            budget: megabytes.saturating_mul(1_000_000),
            state: Mutex::default(),
        })
    }

    /// Bytes of samples that are held.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// How many pictures were decoded so far.
    pub fn decoded(&self) -> u64 {
        self.lock().decoded
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing below panics between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The picture in the file `path`.
    pub(crate) fn get(&self, path: &Path) -> image_io::Result<Arc<Picture>> {
        if let Some(picture) = self.lock().touch(path) {
            return Ok(picture);
        }
        // Decoded without the lock. Two threads may decode the same file; both get the same pixels.
        let picture = Arc::new(Picture::read(path)?);
        let size = picture.samples().len() as u64;
        let mut state = self.lock();
        state.decoded += 1;
        if let Some(other) = state.touch(path) {
            return Ok(other);
        }
        if size <= self.budget {
            while state.bytes + size > self.budget {
                state.drop_oldest();
            }
            state.bytes += size;
            state.clock += 1;
            let now = state.clock;
            state
                .pictures
                .insert(path.to_owned(), (Arc::clone(&picture), now));
            state.order.insert(now, path.to_owned());
        }
        Ok(picture)
    }
}

impl State {
    fn touch(&mut self, path: &Path) -> Option<Arc<Picture>> {
        let (picture, used) = self.pictures.get_mut(path)?;
        self.clock += 1;
        if let Some(path) = self.order.remove(used) {
            self.order.insert(self.clock, path);
        }
        *used = self.clock;
        Some(Arc::clone(picture))
    }

    fn drop_oldest(&mut self) {
        match self.order.pop_first() {
            Some((_, path)) => {
                if let Some((picture, _)) = self.pictures.remove(&path) {
                    self.bytes -= picture.samples().len() as u64;
                }
            }
            None => self.bytes = 0,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use image_io::{Format, Photo, PhotoInfo, WriteOptions};
    use ndarray::Array3;

    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_the_budget_holds() {
        let folder = tempfile::tempdir().unwrap();
        // 480 000 bytes each: two fit into one megabyte.
        let path = |name: &str| folder.path().join(name);
        for (value, name) in ["a.png", "b.png", "c.png"].iter().enumerate() {
            let photo = Photo {
                pixels: Array3::from_elem((3, 400, 400), value as f32 / 4.0),
                alpha: None,
                info: PhotoInfo::new(Format::Png),
            };
            image_io::write(&path(name), &photo, &WriteOptions::default()).unwrap();
        }
        let cache = ImageCache::new(1);
        let use_of = |name: &str| {
            let before = cache.decoded();
            let picture = cache.get(&path(name)).unwrap();
            assert!(cache.bytes() <= 1_000_000);
            (picture.samples()[0], cache.decoded() > before)
        };
        assert_eq!(use_of("a.png"), (0, true));
        assert_eq!(use_of("b.png"), (64, true));
        assert_eq!(use_of("a.png"), (0, false));
        assert_eq!(use_of("c.png"), (128, true));
        assert_eq!(use_of("a.png"), (0, false), "used after b");
        assert_eq!(use_of("b.png"), (64, true), "made room for c");

        let none = ImageCache::new(0);
        for _ in 0..2 {
            none.get(&path("a.png")).unwrap();
        }
        assert_eq!((none.bytes(), none.decoded()), (0, 2));
    }
}

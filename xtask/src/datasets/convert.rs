//! What is done to photos on their way from a package into a set.

use anyhow::{Context, Result, ensure};
use image_io::{Format, Limits, Photo, PhotoInfo, WriteOptions};

use super::file_list::MOST_PIXELS;
use super::lanczos::Picture;

/// Of the photos for training: with full colour resolution the traces of this compression stay below those of the first,
/// and 136 million pixels take 53 MB, where PNG takes four times as much.
const JPEG_QUALITY: u8 = 94;
/// Beyond what any package holds, and little enough for every machine.
const LIMITS: Limits = Limits {
    max_pixels: MOST_PIXELS,
    max_alloc: 1 << 30,
};

/// A photo as it lies in a set, before it is encoded.
pub(crate) struct Converted {
    picture: Picture,
    icc_profile: Option<Vec<u8>>,
}

impl Converted {
    /// Decodes a file, upright, in 8 bits and without opacity.
    ///
    /// # Errors
    /// When the bytes are no photo that can be read.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let photo = image_io::decode(bytes, &LIMITS)?;
        Ok(Self {
            icc_profile: photo.info.icc_profile.clone(),
            picture: to_picture(&photo),
        })
    }

    /// The photo with `width × height` pixels.
    ///
    /// # Errors
    /// When it, or what it is on the way, would have more pixels than any photo of a package.
    pub(crate) fn resized(mut self, width: u32, height: u32) -> Result<Self> {
        // The width is changed first: a high and narrow photo may be very large in between.
        let rows = u64::from(height).max(self.picture.height as u64);
        ensure!(
            u64::from(width).saturating_mul(rows) <= MOST_PIXELS,
            "a photo of {} x {} pixels is not made into one of {width} x {height}: more than {MOST_PIXELS} pixels in between",
            self.picture.width,
            self.picture.height
        );
        let (width, height) = (width as usize, height as usize);
        if (width, height) != (self.picture.width, self.picture.height) {
            self.picture = self.picture.resized(width, height);
        }
        Ok(self)
    }

    /// Encodes the photo; EXIF is left behind, the colour profile is kept.
    ///
    /// # Errors
    /// When the format cannot hold the photo.
    pub(crate) fn encode(&self, format: Format) -> Result<Vec<u8>> {
        let Picture {
            width,
            height,
            samples,
        } = &self.picture;
        let mut info = PhotoInfo::new(format);
        info.icc_profile = self.icc_profile.clone();
        let pixels = ndarray::Array3::from_shape_fn((3, *height, *width), |(channel, y, x)| {
            f32::from(samples[3 * (y * width + x) + channel]) / 255.0
        });
        let photo = Photo {
            pixels,
            alpha: None,
            info,
        };
        let options = WriteOptions {
            jpeg_quality: JPEG_QUALITY,
            ..WriteOptions::default()
        };
        let encoded = image_io::encode(&photo, format, &options).context("cannot encode")?;
        Ok(encoded.bytes)
    }
}

/// 8-bit samples of a photo.
pub(crate) fn to_picture(photo: &Photo) -> Picture {
    let (width, height) = (photo.width(), photo.height());
    let mut samples = vec![0; 3 * width * height];
    for (channel, plane) in photo.pixels.outer_iter().enumerate() {
        for (sample, value) in samples[channel..].iter_mut().step_by(3).zip(plane.iter()) {
            *sample = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
        }
    }
    Picture {
        width,
        height,
        samples,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_list_makes_a_photo_that_fills_the_memory() {
        let photo = |width, height| Converted {
            picture: Picture {
                width,
                height,
                samples: vec![0; 3 * width * height],
            },
            icc_profile: None,
        };
        let small = photo(2, 3).resized(4, 2).unwrap().picture;
        assert_eq!((small.width, small.height), (4, 2));
        for (width, height) in [(65_535, 65_535), (u32::MAX, u32::MAX), (1, u32::MAX)] {
            assert!(photo(2, 3).resized(width, height).is_err());
        }
        // 65535 x 2000 pixels after the first step.
        assert!(photo(1, 2000).resized(65_535, 2).is_err());
    }
}

//! What every step of reading one file needs: its path for errors, its limits, and the checks against them.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use image::ImageError;
use tiff::TiffError;

use crate::error::{Cause, Error, Result};
use crate::format::Format;
use crate::limits::Limits;
use crate::source::read_error;

#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) path: &'a Path,
    pub(crate) limits: &'a Limits,
}

impl Context<'_> {
    /// Refuses sizes of zero and sizes beyond the limit.
    pub(crate) fn check_claim(&self, size: Option<(u32, u32)>) -> Result<()> {
        let Some((width, height)) = size else {
            return Ok(());
        };
        let path = self.path();
        if width == 0 || height == 0 {
            return Err(Error::ZeroSize {
                path,
                width,
                height,
            });
        }
        let limit = self.limits.max_pixels;
        if u64::from(width) * u64::from(height) > limit {
            return Err(Error::TooLarge {
                path,
                width,
                height,
                limit,
            });
        }
        Ok(())
    }

    /// Turns a panic inside a decoder into an error: one malicious file must not end the work on a whole folder.
    pub(crate) fn guarded<T>(&self, format: Format, work: impl FnOnce() -> Result<T>) -> Result<T> {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
            Err(self.damaged(format, "the decoder gave up on damaged data".into()))
        })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.path.to_owned()
    }

    pub(crate) fn truncated(&self, format: Format) -> Error {
        Error::Truncated {
            path: self.path(),
            format,
        }
    }

    pub(crate) fn damaged(&self, format: Format, source: Cause) -> Error {
        Error::Decode {
            path: self.path(),
            format,
            source,
        }
    }

    pub(crate) fn unsupported(&self, what: impl Into<String>) -> Error {
        Error::Unsupported {
            path: self.path(),
            what: what.into(),
        }
    }

    pub(crate) fn too_much_memory(&self) -> Error {
        Error::TooMuchMemory {
            path: self.path(),
            limit: self.limits.max_alloc,
        }
    }

    fn io_error(&self, format: Format, source: std::io::Error) -> Error {
        match source.kind() {
            ErrorKind::UnexpectedEof => self.truncated(format),
            // The codecs wrap what they find in the data into I/O errors, too.
            ErrorKind::InvalidData | ErrorKind::InvalidInput | ErrorKind::Other => {
                self.damaged(format, Box::new(source))
            }
            _ => read_error(self.path, source),
        }
    }

    pub(crate) fn image_error(&self, format: Format, error: ImageError) -> Error {
        match error {
            ImageError::Limits(_) => self.too_much_memory(),
            ImageError::IoError(source) => self.io_error(format, source),
            ImageError::Unsupported(error) => {
                self.unsupported(format!("this variant of {format} ({error})"))
            }
            error => self.damaged(format, Box::new(error)),
        }
    }

    pub(crate) fn tiff_error(&self, error: TiffError) -> Error {
        let format = Format::Tiff;
        match error {
            TiffError::LimitsExceeded => self.too_much_memory(),
            TiffError::IoError(source) => self.io_error(format, source),
            TiffError::UnsupportedError(error) => {
                self.unsupported(format!("this variant of {format} ({error})"))
            }
            error => self.damaged(format, Box::new(error)),
        }
    }
}

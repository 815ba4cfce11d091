#![doc = include_str!("../README.md")]

mod context;
mod decode;
mod decode_tiff;
mod encode;
mod encode_tiff;
mod error;
mod exif;
mod format;
mod header;
mod inspect;
mod limits;
mod orientation;
mod photo;
mod samples;
mod source;
mod tiff_fields;
mod write;

pub use decode::{decode, image_size, read};
pub use encode::{Encoded, WriteOptions, encode};
pub use error::{Cause, Error, IN_MEMORY, Result};
pub use format::{Format, is_supported};
pub use limits::Limits;
pub use photo::{BitDepth, ColorModel, Photo, PhotoInfo};
pub use write::{write, write_bytes};

//! Kernels painted as pictures.

use std::io::Cursor;

use image::codecs::png::PngDecoder;
use image::{ColorType, ImageDecoder, Limits};
use ndarray::Array2;

use super::{KernelFileFault, Number, Read, checked_sides};

pub(super) const MAGIC: &[u8] = b"\x89PNG\r\n\x1a\n";
pub(super) const FORMAT: &str = "PNG";

/// Most bytes that the decoder may take besides the pixels: for metadata, which may be compressed.
const MAX_WORKING_BYTES: u64 = 16 << 20;

pub(super) fn read(bytes: &[u8]) -> Read<Array2<f64>> {
    let broken = |part| KernelFileFault::Broken {
        format: FORMAT,
        part,
    };
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_WORKING_BYTES);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), limits)
        .map_err(|_| broken("the header cannot be read"))?;
    let (width, height) = decoder.dimensions();
    let shape = [height.into(), width.into()];
    let (rows, columns) = checked_sides(&shape, shape[0], shape[1])?;
    let color = decoder.color_type();
    let (number, most) = match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => (Number::U8, 255.0),
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            (Number::U16, 65535.0)
        }
        _ => {
            return Err(KernelFileFault::NotNumbers {
                what: format!("a picture of the type {color:?}"),
            });
        }
    };
    let channels = usize::from(color.channel_count());
    let mut samples = vec![0; rows * columns * channels * number.size()];
    if decoder.total_bytes() != samples.len() as u64 {
        return Err(broken("the header contradicts itself"));
    }
    decoder
        .read_image(&mut samples)
        .map_err(|_| broken("the pixels cannot be read"))?;
    let samples = number.values(&samples, cfg!(target_endian = "big"));
    let colors = if color.has_alpha() {
        channels - 1
    } else {
        channels
    };
    for (index, pixel) in samples.chunks_exact(channels).enumerate() {
        if pixel[..colors].iter().any(|value| *value != pixel[0]) {
            return Err(KernelFileFault::Coloured {
                row: index / columns,
                column: index % columns,
            });
        }
        if pixel[colors..].iter().any(|alpha| *alpha != most) {
            return Err(KernelFileFault::Transparent);
        }
    }
    Ok(Array2::from_shape_fn((rows, columns), |(row, column)| {
        samples[(row * columns + column) * channels] / most
    }))
}

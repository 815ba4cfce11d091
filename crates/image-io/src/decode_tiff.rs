//! Samples of TIFF files: all layouts that the `tiff` crate decodes and that are grey, RGB or CMYK, with or without alpha.

use std::io::{Read, Seek};

use image::metadata::Orientation;
use ndarray::Array2;
use tiff::ColorType;
use tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult};
use tiff::tags::Tag;

use crate::context::Context;
use crate::error::Result;
use crate::format::Format;
use crate::photo::{BitDepth, ColorModel};
use crate::samples::{Channel, Planes, Sample, check_finite, to_plane, to_planes};

/// A TIFF file whose first directory has been read.
pub(crate) struct Tiff<'c, R: Read + Seek> {
    context: Context<'c>,
    decoder: Decoder<R>,
    pub(crate) size: (u32, u32),
}

/// The samples and what was converted to get them.
pub(crate) struct TiffSamples {
    pub(crate) planes: Planes,
    pub(crate) bit_depth: BitDepth,
    pub(crate) color: ColorModel,
    pub(crate) notes: Vec<String>,
}

/// What the channels of a pixel are.
#[derive(Clone, Copy, PartialEq)]
enum Model {
    Gray,
    Rgb,
    Cmyk,
}

impl Model {
    fn channels(self) -> usize {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// How the channels lie in the decoded buffer.
struct Arrangement {
    height: usize,
    width: usize,
    model: Model,
    alpha: bool,
    /// Channels in the buffer, those included that are neither colour nor alpha.
    channels: usize,
    /// All values of one channel, then all of the next.
    planar: bool,
}

impl<'c, R: Read + Seek> Tiff<'c, R> {
    /// Reads the first directory and checks the size that it claims.
    pub(crate) fn open(context: Context<'c>, reader: R) -> Result<Self> {
        let failed = |error| context.tiff_error(error);
        let max_alloc = usize::try_from(context.limits.max_alloc).unwrap_or(usize::MAX);
        let mut limits = tiff::decoder::Limits::default();
        limits.decoding_buffer_size = max_alloc;
        limits.intermediate_buffer_size = max_alloc;
        let mut decoder = Decoder::new(reader).map_err(failed)?.with_limits(limits);
        let size = decoder.dimensions().map_err(failed)?;
        context.check_claim(Some(size))?;
        Ok(Self {
            context,
            decoder,
            size,
        })
    }

    /// How the rows and columns lie in the upright picture; upright where the file does not say.
    pub(crate) fn orientation(&mut self) -> Orientation {
        let value: Option<u8> = self
            .decoder
            .find_tag_unsigned(Tag::Orientation)
            .ok()
            .flatten();
        value
            .and_then(Orientation::from_exif)
            .unwrap_or(Orientation::NoTransforms)
    }

    /// Decodes the first image.
    pub(crate) fn samples(mut self) -> Result<TiffSamples> {
        let context = self.context;
        let color_type = self
            .decoder
            .colortype()
            .map_err(|error| context.tiff_error(error))?;
        let (model, alpha) = self.model(color_type)?;
        let mut buffer = DecodingResult::U8(Vec::new());
        let layout = self
            .decoder
            .read_image_to_buffer(&mut buffer)
            .map_err(|error| context.tiff_error(error))?;
        // Too small a buffer holds the first of several planes only.
        if buffer.as_buffer(0).as_bytes().len() < layout.complete_len {
            return Err(context.too_much_memory());
        }
        let arrangement = Arrangement {
            height: self.size.1 as usize,
            width: self.size.0 as usize,
            model,
            alpha,
            channels: usize::from(color_type.num_samples()),
            planar: layout.planes > 1,
        };
        let mut notes = Vec::new();
        if model == Model::Cmyk {
            notes.push("CMYK converted to RGB without colour management".to_owned());
        }
        let stored: Option<usize> = self
            .decoder
            .find_tag_unsigned(Tag::SamplesPerPixel)
            .map_err(|error| context.tiff_error(error))?;
        if stored.is_some_and(|stored| stored > model.channels() + usize::from(alpha)) {
            notes.push("channels besides colour and alpha not carried".to_owned());
        }
        let bits = color_type.bit_depth();
        let (planes, bit_depth) = match buffer {
            DecodingResult::U8(packed) if bits < 8 => {
                notes.push(format!("{bits}-bit grey expanded to 8 bit"));
                let samples = self.unpack(&packed, &layout, bits)?;
                (self.planes(&samples, &arrangement)?, BitDepth::Eight)
            }
            DecodingResult::U8(samples) if bits == 8 => {
                (self.planes(&samples, &arrangement)?, BitDepth::Eight)
            }
            DecodingResult::U16(samples) if bits == 16 => {
                (self.planes(&samples, &arrangement)?, BitDepth::Sixteen)
            }
            DecodingResult::F32(samples) if model != Model::Cmyk => {
                notes.push("32-bit floating point clamped to [0, 1], kept as 16 bit".to_owned());
                let (mut pixels, mut alpha) = self.planes(&samples, &arrangement)?;
                check_finite(context.path, &pixels, alpha.as_ref())?;
                pixels.par_mapv_inplace(|value| value.clamp(0.0, 1.0));
                if let Some(alpha) = &mut alpha {
                    alpha.par_mapv_inplace(|value| value.clamp(0.0, 1.0));
                }
                ((pixels, alpha), BitDepth::Sixteen)
            }
            _ => return Err(context.unsupported(format!("TIFF of {color_type:?} samples"))),
        };
        Ok(TiffSamples {
            planes,
            bit_depth,
            color: match model {
                Model::Gray => ColorModel::Gray,
                Model::Rgb | Model::Cmyk => ColorModel::Rgb,
            },
            notes,
        })
    }

    fn model(&mut self, color_type: ColorType) -> Result<(Model, bool)> {
        Ok(match color_type {
            ColorType::Gray(_) => (Model::Gray, false),
            ColorType::GrayA(_) => (Model::Gray, true),
            ColorType::RGB(_) => (Model::Rgb, false),
            ColorType::RGBA(_) => (Model::Rgb, true),
            ColorType::CMYK(_) => (Model::Cmyk, false),
            ColorType::CMYKA(_) => (Model::Cmyk, true),
            // Grey and something else; ExtraSamples says what: 1 and 2 are alpha.
            ColorType::Multiband { .. } => {
                let extra: Option<Vec<u16>> = self
                    .decoder
                    .find_tag_unsigned_vec(Tag::ExtraSamples)
                    .map_err(|error| self.context.tiff_error(error))?;
                let first = extra.as_ref().and_then(|extra| extra.first());
                (Model::Gray, matches!(first, Some(1 | 2)))
            }
            _ => {
                let what = format!("TIFF of {color_type:?} samples");
                return Err(self.context.unsupported(what));
            }
        })
    }

    /// Grey of 1, 2 or 4 bits, rows padded to whole bytes, to 8 bits.
    fn unpack(&self, packed: &[u8], layout: &BufferLayoutPreference, bits: u8) -> Result<Vec<u8>> {
        let (width, height) = (self.size.0 as usize, self.size.1 as usize);
        let row_bytes = layout.row_stride.map_or(0, |stride| stride.get());
        let fits = matches!(bits, 1 | 2 | 4) && packed.len() >= row_bytes.saturating_mul(height);
        if !fits || row_bytes < width.div_ceil(usize::from(8 / bits)) {
            return Err(self
                .context
                .unsupported(format!("TIFF of {bits}-bit samples")));
        }
        let mut samples = Vec::new();
        samples
            .try_reserve_exact(width * height)
            .map_err(|_| self.context.too_much_memory())?;
        let maximum = (1_u8 << bits) - 1;
        for row in packed.chunks_exact(row_bytes).take(height) {
            samples.extend((0..width).map(|x| {
                let first_bit = x * usize::from(bits);
                let shift = 8 - bits - (first_bit % 8) as u8;
                ((row[first_bit / 8] >> shift) & maximum) * (255 / maximum)
            }));
        }
        Ok(samples)
    }

    fn planes<S: Sample>(&self, samples: &[S], arrangement: &Arrangement) -> Result<Planes> {
        let Arrangement {
            height,
            width,
            model,
            channels,
            planar,
            ..
        } = *arrangement;
        let count = height * width;
        let channel = |index| {
            if planar {
                Channel {
                    start: index * count,
                    step: 1,
                }
            } else {
                Channel {
                    start: index,
                    step: channels,
                }
            }
        };
        let alpha = arrangement.alpha.then(|| channel(model.channels()));
        if samples.len() != count * channels || channels < model.channels() {
            let source = "the samples do not fill the image".into();
            return Err(self.context.damaged(Format::Tiff, source));
        }
        let planes = match model {
            Model::Gray => to_planes(samples, (height, width), [channel(0); 3], alpha),
            Model::Rgb | Model::Cmyk => {
                to_planes(samples, (height, width), [0, 1, 2].map(channel), alpha)
            }
        };
        let (mut pixels, alpha) = planes.ok_or_else(|| self.context.too_much_memory())?;
        if model == Model::Cmyk {
            let black: Array2<f32> = to_plane(samples, (height, width), channel(3))
                .ok_or_else(|| self.context.too_much_memory())?;
            for mut plane in pixels.outer_iter_mut() {
                ndarray::Zip::from(&mut plane)
                    .and(&black)
                    .par_for_each(|ink, black| {
                        *ink = S::from_unit((1.0 - *ink) * (1.0 - black)).to_unit();
                    });
            }
        }
        Ok((pixels, alpha))
    }
}

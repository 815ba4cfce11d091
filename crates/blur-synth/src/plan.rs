//! How a blur is carried out.

use ndarray::{Array3, ArrayView3};

use crate::blur::Blur;
use crate::error::{Error, Result};
use crate::kernel::Kernel;
use crate::layers;
use crate::warp::{self, Warp};

/// What the blur reads, worked out once.
pub(crate) enum Plan {
    /// One kernel for every pixel.
    Kernel(Kernel),
    /// Moving layers, and the pixels that they read around each.
    Layers(usize),
    /// A turn or zoom: extent, centre, and the pixels that it reads around each.
    Warp(Warp, f64, [f64; 2], usize),
}

impl Plan {
    /// Works out what does not depend on the picture.
    pub(crate) fn new(blur: &Blur) -> Result<Self> {
        let warped = |warp, extent: f32, center: [f32; 2]| {
            let margin = warp::margin(extent.into())?;
            Ok(Self::Warp(
                warp,
                extent.into(),
                center.map(f64::from),
                margin,
            ))
        };
        match *blur {
            Blur::ObjectMotion {
                foreground,
                background,
                ..
            } => Ok(Self::Layers(layers::margin(foreground, background)?)),
            Blur::Rotation { extent, center } => warped(Warp::Rotation, extent, center),
            Blur::Zoom { extent, center } => warped(Warp::Zoom, extent, center),
            Blur::FrameAverage { frames } => Err(Error::WrongNumberOfFrames {
                family: blur.family(),
                needed: frames as usize,
                got: 1,
            }),
            _ => Ok(Self::Kernel(blur.kernel()?)),
        }
    }

    /// Pixels read around each.
    pub(crate) fn margin(&self) -> usize {
        match self {
            Self::Kernel(kernel) => kernel.radius(),
            Self::Layers(margin) | Self::Warp(.., margin) => *margin,
        }
    }

    /// Blurs what differs from place to place, without the outer `inset` pixels.
    pub(crate) fn varying(
        &self,
        blur: &Blur,
        light: ArrayView3<'_, f32>,
        inset: usize,
    ) -> Result<Array3<f32>> {
        match (self, blur) {
            (
                Self::Layers(_),
                Blur::ObjectMotion {
                    object,
                    foreground,
                    background,
                },
            ) => layers::apply(light, object, *foreground, *background, inset),
            (&Self::Warp(warp, extent, center, _), _) => warp.apply(light, extent, center, inset),
            // Not reached: kernels are convolved by the callers.
            _ => Err(Error::NoKernel {
                family: blur.family(),
            }),
        }
    }
}

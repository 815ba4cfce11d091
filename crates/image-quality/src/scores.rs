//! Both metrics of a pair.

use ndarray::ArrayView3;
use serde::{Deserialize, Serialize};

use crate::align::align;
use crate::error::Result;
use crate::protocol::{Alignment, MetricProtocol};
use crate::psnr::psnr;
use crate::serde_metric;
use crate::ssim::ssim;

/// PSNR and SSIM of one pair of images. Written as [`serde_metric`] says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scores {
    /// dB; positive infinity when nothing differs.
    #[serde(with = "serde_metric")]
    pub psnr: f64,
    /// From -1 to 1.
    #[serde(with = "serde_metric")]
    pub ssim: f64,
}

/// The same values as [`psnr`] and [`ssim`]; images are aligned once, where the protocol says so.
///
/// # Shapes
/// Both images `[3, H, W]`, values in `[0, 1]`.
///
/// # Errors
/// Those of [`psnr`] and [`ssim`].
pub fn scores(
    restored: ArrayView3<'_, f32>,
    sharp: ArrayView3<'_, f32>,
    protocol: &MetricProtocol,
) -> Result<Scores> {
    match protocol.alignment {
        Alignment::None => Ok(Scores {
            psnr: psnr(restored, sharp, protocol)?,
            ssim: ssim(restored, sharp, protocol)?,
        }),
        Alignment::EccHomography => {
            let aligned = align(restored, sharp, protocol)?;
            Ok(Scores {
                psnr: aligned.psnr()?,
                ssim: aligned.ssim(protocol)?,
            })
        }
    }
}

//! Peak signal-to-noise ratio.

use ndarray::ArrayView3;
use rayon::prelude::*;

use crate::align::align;
use crate::error::Result;
use crate::protocol::{Alignment, MetricProtocol};
use crate::samples::{Rows, pair};

/// Peak signal-to-noise ratio in dB: `10 log10(data_range^2 / mean((a - b)^2))`, the mean over all pixels and, for
/// RGB, all channels. Higher is better; positive infinity when nothing differs.
///
/// # Shapes
/// Both images `[3, H, W]`, values in `[0, 1]`; see [`MetricProtocol`] for what is done with them.
///
/// The order counts where the protocol aligns: there the restored image is moved onto the sharp one.
///
/// # Errors
/// Images that cannot be aligned where the protocol says so; an invalid protocol, different shapes, other than three channels,
/// no pixel inside the border, or values that are not finite.
pub fn psnr(
    restored: ArrayView3<'_, f32>,
    sharp: ArrayView3<'_, f32>,
    protocol: &MetricProtocol,
) -> Result<f64> {
    if protocol.alignment == Alignment::EccHomography {
        return align(restored, sharp, protocol)?.psnr();
    }
    let [a, b] = pair(restored, sharp, protocol, 1)?;
    let (planes, height, width) = (a.planes(), a.height(), a.width());
    let buffers = || (vec![0.0; width], vec![0.0; width]);
    // One sum for each row, added up in the order of rows: the same value for any number of threads.
    let sums: Vec<f64> = (0..planes * height)
        .into_par_iter()
        .map_init(buffers, |(left, right), index| {
            a.row(index / height, index % height, left);
            b.row(index / height, index % height, right);
            left.iter()
                .zip(right.iter())
                .map(|(left, right)| (left - right) * (left - right))
                .sum()
        })
        .collect();
    let mean = sums.iter().sum::<f64>() / (planes * height * width) as f64;
    Ok(10.0 * (protocol.data_range * protocol.data_range / mean).log10())
}

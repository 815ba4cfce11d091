//! How noisy a picture is whose degradation is known.

use blur_synth::{Degradation, Jpeg};
use ndarray::ArrayView3;

/// Standard deviation of what JPEG changes in a blurry photo, in encoded units, for each unit of its quantisation scale
/// (1 at quality 50). Chosen with the same table as the rest, so that one rule fits compressed pictures too.
const JPEG_DEVIATION: f64 = 0.010;

/// Mean variance in linear light of everything that is not blur: photon noise, read noise, quantisation, JPEG.
///
/// `blurry` is `[C, H, W]` in `[0, 1]`, encoded. Greater than 0.
pub(super) fn variance(blurry: ArrayView3<'_, f32>, degradation: &Degradation) -> f64 {
    let levels = f64::from((1_u32 << degradation.quantise_bits.unwrap_or(16).min(16)) - 1);
    let jpeg = degradation.jpeg.map_or(0.0, jpeg_deviation);
    // The variance of a uniform rounding error, and that of JPEG.
    let encoded = 1.0 / (12.0 * levels * levels) + jpeg * jpeg;
    let (shot, read) = (
        f64::from(degradation.shot_noise),
        f64::from(degradation.read_noise),
    );
    // One of 255 steps wide: the slope of the response.
    const HALF_STEP: f32 = 0.5 / 255.0;
    let mut sum = 0.0;
    for &value in &blurry {
        let mut around = [value, value - HALF_STEP, value + HALF_STEP];
        degradation.response.decode(&mut around);
        let [light, below, above] = around.map(f64::from);
        let slope = (above - below) * 255.0;
        sum += shot * light + read * read + encoded * slope * slope;
    }
    (sum / blurry.len().max(1) as f64).max(f64::MIN_POSITIVE)
}

fn jpeg_deviation(jpeg: Jpeg) -> f64 {
    // The scale of the tables of libjpeg.
    let quality = f64::from(jpeg.quality).clamp(1.0, 100.0);
    let scale = if quality < 50.0 {
        50.0 / quality
    } else {
        2.0 - quality / 50.0
    };
    JPEG_DEVIATION * scale
}

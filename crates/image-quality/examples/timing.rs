//! Prints how long PSNR and SSIM of one megapixel take.

use std::time::Instant;

use image_quality::{MetricProtocol, psnr, ssim};
use ndarray::Array3;

fn main() -> Result<(), image_quality::Error> {
    let image = |step: usize| {
        Array3::from_shape_fn((3, 1000, 1000), |(c, y, x)| {
            ((c + y * 7 + x * step) % 256) as f32 / 255.0
        })
    };
    let (a, b) = (image(13), image(17));
    let protocol = MetricProtocol::rgb();
    for _ in 0..3 {
        let start = Instant::now();
        let decibels = psnr(a.view(), b.view(), &protocol)?;
        let psnr_time = start.elapsed();
        let start = Instant::now();
        let similarity = ssim(a.view(), b.view(), &protocol)?;
        eprintln!(
            "psnr {decibels:.3} dB in {psnr_time:.1?}, ssim {similarity:.4} in {:.1?}",
            start.elapsed()
        );
    }
    Ok(())
}

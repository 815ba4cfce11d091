//! Prints how many 64 x 64 crops one core degrades in a second, by family, and how long one megapixel takes.

use std::time::Instant;

use blur_synth::{BlurMix, Family};
use ndarray::Array3;

fn main() -> Result<(), blur_synth::Error> {
    let mix = BlurMix::standard();
    let margin = mix.max_margin()?;
    let side = 64 + 2 * margin;
    let sharp = Array3::from_shape_fn((3, side, side), |(c, y, x)| {
        ((c + y * 7 + x * 13) % 256) as f32 / 255.0
    });
    let large = Array3::from_shape_fn((3, 1000, 1000), |(c, y, x)| {
        ((c + y * 7 + x * 13) % 256) as f32 / 255.0
    });
    for family in Family::ALL {
        let count = 500;
        let start = Instant::now();
        let mut sum = 0.0;
        for seed in 0..count {
            sum += mix
                .sample_family(family, seed)?
                .apply_valid(sharp.view(), margin)?[[0, 0, 0]];
        }
        let rate = count as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        sum += mix.sample_family(family, 0)?.apply(large.view())?[[0, 0, 0]];
        let megapixel = start.elapsed().as_secs_f64();
        eprintln!(
            "{family:14} {rate:7.0} crops/s, one megapixel {megapixel:.3} s (check {sum:.3})"
        );
    }
    Ok(())
}

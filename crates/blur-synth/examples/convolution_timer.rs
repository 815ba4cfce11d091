use blur_synth::Blur;
use ndarray::Array3;
use std::time::Instant;
fn main() -> Result<(), blur_synth::Error> {
    let mut state = 1_u64;
    let image = Array3::from_shape_simple_fn((3, 1030, 1030), || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    });
    for blur in [
        Blur::Defocus { radius: 15.4 },
        Blur::CameraShake {
            extent: 24.0,
            anxiety: 0.05,
            exposure: 0.5,
            seed: 3,
        },
        Blur::Gaussian {
            sigma: 3.7,
            sigma_minor: None,
            angle_degrees: 0.0,
        },
    ] {
        let kernel = blur.kernel()?;
        let n = kernel.taps().iter().filter(|t| **t != 0.0).count();
        let mut times = Vec::new();
        for _ in 0..9 {
            let start = Instant::now();
            let out = kernel.convolve_valid(image.view())?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
            std::hint::black_box(out);
        }
        times.sort_by(f64::total_cmp);
        eprintln!(
            "{blur:?} radius {} taps {n}: min {:.2} median {:.2}",
            kernel.radius(),
            times[0],
            times[4]
        );
    }
    Ok(())
}

//! Times convolutions for `benches/compare_convolution.py`: one JSON request on each line of standard input, one JSON
//! answer on each line of standard output.
//!
//! `{"blur": {...}, "shape": [3, 1030, 1030], "image": "in.f32", "taps": "taps.f32", "output": "out.f32"}` reads the
//! image (little-endian `f32`, planar), writes the taps of the kernel and the result, and answers with the side of the
//! kernel and the number of its taps. `{}` convolves once more and answers with the seconds that it took.

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use blur_synth::{Blur, Kernel};
use ndarray::Array3;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Request {
    Load {
        blur: Blur,
        shape: (usize, usize, usize),
        image: PathBuf,
        taps: PathBuf,
        output: PathBuf,
    },
    Time {},
}

fn bytes<'a>(values: impl IntoIterator<Item = &'a f32>) -> Vec<u8> {
    values
        .into_iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn answer(
    request: Request,
    loaded: &mut Option<(Kernel, Array3<f32>)>,
) -> Result<serde_json::Value, Box<dyn Error>> {
    match request {
        Request::Load {
            blur,
            shape,
            image,
            taps,
            output,
        } => {
            let kernel = blur.kernel()?;
            let values =
                std::fs::read(&image).map_err(|cause| format!("{}: {cause}", image.display()))?;
            let values = values
                .as_chunks()
                .0
                .iter()
                .map(|chunk| f32::from_le_bytes(*chunk));
            let image = Array3::from_shape_vec(shape, values.collect())?;
            std::fs::write(taps, bytes(kernel.taps()))?;
            std::fs::write(output, bytes(&kernel.convolve_valid(image.view())?))?;
            let filled = kernel.taps().iter().filter(|tap| **tap != 0.0).count();
            let reply = serde_json::json!({ "side": kernel.taps().nrows(), "taps": filled });
            *loaded = Some((kernel, image));
            Ok(reply)
        }
        Request::Time {} => {
            let (kernel, image) = loaded.as_ref().ok_or("nothing is loaded yet")?;
            let start = Instant::now();
            let result = std::hint::black_box(kernel.convolve_valid(image.view())?);
            let seconds = start.elapsed().as_secs_f64();
            drop(result);
            Ok(serde_json::json!({ "seconds": seconds }))
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut loaded = None;
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let reply = serde_json::from_str(&line?)
            .map_err(Box::from)
            .and_then(|request| answer(request, &mut loaded))
            .unwrap_or_else(|cause| serde_json::json!({ "error": cause.to_string() }));
        writeln!(output, "{reply}")?;
        output.flush()?;
    }
    Ok(())
}

//! LPIPS for `benches/compare_lpips.py`: reads the paths of two raw float32 images `[3, SIDE, SIDE]` from each line of
//! standard input, and answers with the distance and the seconds that it took.
//!
//! Usage: `lpips_timer WEIGHTS SIDE THREADS`

use std::error::Error;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use image_quality::Lpips;
use ndarray::Array3;
use tch::Device;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [weights, side, threads] = arguments.as_slice() else {
        return Err("usage: lpips_timer WEIGHTS SIDE THREADS".into());
    };
    let side: usize = side.parse()?;
    tch::set_num_threads(threads.parse()?);
    let metric = Lpips::load(Path::new(weights), Device::Cpu)?;
    eprintln!("{}", metric.protocol());
    let read = |path: &str| -> Result<Array3<f32>, Box<dyn Error>> {
        let bytes = std::fs::read(path)?;
        let (chunks, _) = bytes.as_chunks();
        let values = chunks.iter().map(|b| f32::from_le_bytes(*b)).collect();
        Ok(Array3::from_shape_vec((3, side, side), values)?)
    };
    let mut output = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (first, second) = line.split_once('\t').ok_or("two paths, split by a tab")?;
        let (a, b) = (read(first)?, read(second)?);
        let start = Instant::now();
        let distance = metric.distance(a.view(), b.view())?;
        writeln!(output, "{distance} {}", start.elapsed().as_secs_f64())?;
        output.flush()?;
    }
    Ok(())
}

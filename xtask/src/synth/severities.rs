//! The table of severities.

use std::fmt::Write;

use anyhow::{Context, Result};
use blur_synth::Scenario;
use image_quality::{MetricProtocol, psnr};
use rayon::prelude::*;

use super::photos::SharpPhoto;
use super::source::Source;
use crate::progress::{Progress, Unit};

/// Side of the crops that are measured, in pixels.
const CROP: usize = 256;

/// Mean PSNR of the blurry picture over the photos, for each scenario and severity, as a Markdown table.
///
/// # Errors
/// A photo that cannot be read or is too small.
pub(crate) fn table(photos: &[SharpPhoto]) -> Result<String> {
    let sources: Vec<Source> = photos
        .par_iter()
        .map(|photo| Source::read(&photo.file, Some([CROP, CROP])))
        .collect::<Result<_>>()?;
    let mut text = format!(
        "Mean PSNR in dB of the blurry picture, over the most detailed {CROP} x {CROP} pixels of {} photos; in brackets the size in pixels.\n\n\
         | scenario | 1 | 2 | 3 | 4 | 5 |\n|---|---|---|---|---|---|\n",
        sources.len()
    );
    let progress = Progress::new(
        (Scenario::ALL.len() * 5 * sources.len()) as u64,
        "blurring",
        Unit::Pictures,
    );
    for scenario in Scenario::ALL {
        let _ = write!(text, "| `{scenario}` |");
        for (severity, size) in (1..).zip(scenario.sizes()) {
            let mix = scenario.mix(severity)?;
            let values: Vec<f64> = sources
                .par_iter()
                .enumerate()
                .map(|(index, source)| {
                    let pair = source
                        .degrade(&mix.sample(index as u64)?)
                        .with_context(|| format!("cannot blur {}", photos[index].path))?;
                    progress.inc(1);
                    let (blurry, sharp) = (pair.blurry.pixels, pair.sharp.pixels);
                    Ok(psnr(blurry.view(), sharp.view(), &MetricProtocol::rgb())?)
                })
                .collect::<Result<_>>()?;
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let _ = write!(text, " {mean:.1} ({size}) |");
        }
        text.push('\n');
    }
    drop(progress);
    Ok(text)
}

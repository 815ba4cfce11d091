//! The table by which the settings of the classical methods are chosen.

use std::fmt::Write;

use anyhow::{Context, Result};
use blur_synth::Degradation;
use image_quality::{MetricProtocol, psnr};
use ndarray::ArrayView3;
use rayon::prelude::*;

use super::{Classical, Setting, noise};
use crate::progress::{Progress, Unit};
use crate::suite::Suite;
use crate::synth::{Pair, SharpPhoto, Source};

/// Side of the crops that are measured, in pixels.
const CROP: usize = 160;
/// Tried numbers of iterations of Richardson-Lucy.
const ITERATIONS: [u32; 7] = [2, 4, 8, 16, 32, 64, 128];
/// Tried balances of Wiener, as multiples of the variance of the noise.
const BALANCES: [f64; 7] = [3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3];

/// Mean gain in PSNR over the blurry picture for each setting, of all conditions of the suite whose blur is one kernel, as a
/// Markdown table; the last column has the mean variance of the noise.
///
/// # Errors
/// A photo that cannot be read or is too small.
pub(crate) fn table(suite: &Suite, photos: &[SharpPhoto]) -> Result<String> {
    let sources: Vec<Source> = photos
        .par_iter()
        .map(|photo| Source::read(&photo.file, Some([CROP, CROP])))
        .collect::<Result<_>>()?;
    let recipe = suite.recipe_of_all();
    let mut text = format!(
        "Mean gain in PSNR (dB) over the blurry picture, over the most detailed {CROP} x {CROP} pixels of {} photos.\n",
        sources.len()
    );
    let total = Classical::ALL.len() * recipe.conditions.len() * sources.len();
    let progress = Progress::new(total as u64, "restoring", Unit::Pictures);
    for method in Classical::ALL {
        let _ = write!(text, "\n| {} |", method.name());
        for index in 0..ITERATIONS.len() {
            let _ = match method {
                Classical::RichardsonLucy => write!(text, " {} |", ITERATIONS[index]),
                Classical::Wiener => write!(text, " {} x variance |", BALANCES[index]),
            };
        }
        let _ = writeln!(
            text,
            " as set | variance |\n|---|{}---|---|",
            "---|".repeat(ITERATIONS.len())
        );
        for condition in &recipe.conditions {
            let rows: Vec<Option<Vec<f64>>> = sources
                .par_iter()
                .zip(photos)
                .map(|(source, photo)| {
                    let degradation = recipe.degradation(condition, photo.key(), 0)?;
                    let row = if degradation.blur.family().is_uniform() {
                        let pair = source
                            .degrade(&degradation)
                            .with_context(|| format!("cannot blur {}", photo.path))?;
                        Some(gains(method, &pair, &degradation)?)
                    } else {
                        None
                    };
                    progress.inc(1);
                    Ok(row)
                })
                .collect::<Result<_>>()?;
            let rows: Vec<Vec<f64>> = rows.into_iter().flatten().collect();
            if rows.is_empty() {
                continue;
            }
            let _ = write!(text, "| `{}` |", condition.name);
            for column in 0..ITERATIONS.len() + 2 {
                let mean = rows.iter().map(|row| row[column]).sum::<f64>() / rows.len() as f64;
                let _ = if column > ITERATIONS.len() {
                    write!(text, " {mean:.1e} |")
                } else {
                    write!(text, " {mean:+.2} |")
                };
            }
            text.push('\n');
        }
    }
    drop(progress);
    Ok(text)
}

/// The gain for each setting, that for the setting in use, and the variance of the noise.
fn gains(method: Classical, pair: &Pair, degradation: &Degradation) -> Result<Vec<f64>> {
    let (blurry, sharp) = (pair.blurry.pixels.view(), pair.sharp.pixels.view());
    let protocol = MetricProtocol::rgb();
    // Of equal pictures it is infinite; no gain can be told from there.
    let measure = |picture: ArrayView3<'_, f32>| -> Result<f64> {
        Ok(psnr(picture, sharp, &protocol)?.min(100.0))
    };
    let variance = noise::variance(blurry, degradation);
    let mut restored = match method {
        Classical::RichardsonLucy => {
            let light = super::decoded(blurry, degradation)?;
            let kernel = degradation.blur.kernel()?;
            super::lucy(&light, blurry, &kernel, &ITERATIONS)?
                .into_iter()
                .map(|light| super::encoded(light, degradation))
                .collect::<Result<Vec<_>>>()?
        }
        Classical::Wiener => BALANCES
            .iter()
            .map(|factor| {
                let setting = Setting::Balance(factor * variance);
                method.restore_with(setting, blurry, degradation)
            })
            .collect::<Result<_>>()?,
    };
    restored.push(method.restore_with(method.setting(variance), blurry, degradation)?);
    let input = measure(blurry)?;
    restored
        .iter()
        .map(|picture| Ok(measure(picture.view())? - input))
        .chain([Ok(variance)])
        .collect()
}

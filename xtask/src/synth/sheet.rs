//! All scenarios in all severities, of one photo.

use std::path::Path;

use anyhow::Result;
use blur_synth::Scenario;
use image_quality::{MetricProtocol, psnr};
use rayon::prelude::*;

use super::photos::SharpPhoto;
use super::source::{Pair, Source, write_photo};
use crate::canvas::Canvas;
use crate::progress::{Progress, Unit};
use crate::report::say;

/// Side of each picture, in pixels; nothing is scaled.
const SIDE: usize = 256;
/// Between pictures.
const GAP: usize = 10;
/// Room for the name of a scenario above its pictures.
const TITLE: usize = 30;
/// Room for the label under a picture.
const LABEL: usize = 22;
/// Seed of the directions, trajectories and noise.
const SEED: u64 = 5;

/// Draws the sheet of the most detailed part of a photo.
///
/// # Errors
/// A photo that cannot be read or is too small, or a file that cannot be written.
pub(crate) fn run(file: &Path, photo: &SharpPhoto) -> Result<()> {
    let source = Source::read(&photo.file, Some([SIDE, SIDE]))?;
    let cells: Vec<(Scenario, u8)> = Scenario::ALL
        .into_iter()
        .flat_map(|scenario| (1..=5).map(move |severity| (scenario, severity)))
        .collect();
    let progress = Progress::new((cells.len()) as u64, "blurring", Unit::Pictures);
    let pairs: Vec<Pair> = cells
        .par_iter()
        .map(|&(scenario, severity)| {
            let pair = source.degrade(&scenario.mix(severity)?.sample(SEED)?);
            progress.inc(1);
            pair
        })
        .collect::<Result<_>>()?;
    drop(progress);
    let (height, width) = (source.crop.height, source.crop.width);
    let row_height = TITLE + height + LABEL + GAP;
    let mut canvas = Canvas::new(
        Scenario::ALL.len() * row_height + GAP,
        6 * (width + GAP) + GAP,
    );
    for (index, (&(scenario, severity), pair)) in cells.iter().zip(&pairs).enumerate() {
        let top = GAP + index / 5 * row_height;
        let mut picture = |column: usize, pixels, label: &str| {
            let left = GAP + column * (width + GAP);
            canvas.paste(left, top + TITLE, pixels);
            canvas.write(left, top + TITLE + height + 2, label, false);
        };
        if severity == 1 {
            picture(0, &pair.sharp.pixels, "sharp");
        }
        let size = scenario.sizes()[usize::from(severity) - 1];
        let psnr = psnr(
            pair.blurry.pixels.view(),
            pair.sharp.pixels.view(),
            &MetricProtocol::rgb(),
        )?;
        let label = format!("{severity}: {size} px, {psnr:.1} dB");
        picture(usize::from(severity), &pair.blurry.pixels, &label);
        if severity == 1 {
            canvas.write(GAP, top + 4, scenario.name(), true);
        }
    }
    write_photo(file, &canvas.into_photo())?;
    say(format!("drawn: {}", file.display()));
    Ok(())
}

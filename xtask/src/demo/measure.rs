//! PSNR and SSIM before and after, and their table.

use anyhow::Result;
use image_io::Photo;
use image_quality::{MetricProtocol, psnr, ssim};
use serde::Serialize;

use super::Case;

/// How near a photo is to the sharp one, before and after.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    /// In dB; higher is better.
    pub(super) psnr_before: f64,
    /// In dB.
    pub(super) psnr_after: f64,
    /// Up to 1; higher is better.
    ssim_before: f64,
    /// Up to 1.
    ssim_after: f64,
    /// The protocol of both.
    protocol: String,
}

/// Compares both photos with the sharp one.
pub(super) fn measure(sharp: &Photo, blurry: &Photo, restored: &Photo) -> Result<Measured> {
    let protocol = MetricProtocol::rgb();
    let reference = sharp.pixels.view();
    Ok(Measured {
        psnr_before: psnr(blurry.pixels.view(), reference, &protocol)?,
        psnr_after: psnr(restored.pixels.view(), reference, &protocol)?,
        ssim_before: ssim(blurry.pixels.view(), reference, &protocol)?,
        ssim_after: ssim(restored.pixels.view(), reference, &protocol)?,
        protocol: protocol.name,
    })
}

/// The table, one line each.
pub(super) fn table(cases: &[Case]) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        format!("{:<11} {:<27} {:^25}  {:^24}", "", "", "PSNR in dB", "SSIM"),
        format!(
            "{:<11} {:<27} {:>7} {:>8} {:>8}  {:>7} {:>8} {:>8}",
            "photo", "blur", "before", "after", "gain", "before", "after", "gain"
        ),
    ];
    let numbers = |name: &str, blur: &str, values: [f64; 4]| {
        let [before, after, similar_before, similar_after] = values;
        format!(
            "{name:<11} {blur:<27} {before:>7.2} {after:>8.2} {:>+8.2}  {similar_before:>7.4} {similar_after:>8.4} {:>+8.4}",
            after - before,
            similar_after - similar_before
        )
    };
    let mut sum = [0.0; 4];
    let mut count = 0;
    for case in cases {
        match &case.measured {
            Some(measured) => {
                let values = [
                    measured.psnr_before,
                    measured.psnr_after,
                    measured.ssim_before,
                    measured.ssim_after,
                ];
                lines.push(numbers(case.recipe.photo, case.recipe.blur, values));
                sum = std::array::from_fn(|index| sum[index] + values[index]);
                count += 1;
            }
            None => {
                lines.push(format!(
                    "{:<11} {:<27} no sharp photo to compare with: see the sheet",
                    case.recipe.photo, case.recipe.blur
                ));
            }
        }
    }
    if count > 0 {
        lines.push(numbers("mean", "", sum.map(|sum| sum / f64::from(count))));
    }
    lines
}

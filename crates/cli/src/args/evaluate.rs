//! Options of `msdeblur evaluate`.

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use image_quality::MetricProtocol;

use super::{MessageArgs, RestorationArgs};
use crate::evaluate::Metric;

/// Measure how near restored photos are to sharp ones: PSNR, SSIM, LPIPS and others
///
/// Restores the photos in --blurry and compares the results with those in --sharp, or scores what any other program made
/// (--restored). Files are matched by their path below the folder without extension, never by position; everything that does
/// not match is named before any work starts. Photos are compared as 8-bit pictures, so a saved result gets the same numbers
/// again.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  msdeblur evaluate --blurry test/blurry --sharp test/sharp
  msdeblur evaluate --blurry test/blurry --sharp test/sharp --mode sample --metrics psnr,lpips,dists --save restored
  msdeblur evaluate --restored other-program/out --sharp test/sharp --blurry test/blurry --csv numbers.csv
  msdeblur evaluate --pairs pairs.jsonl --reuse results.jsonl --json

A line of --pairs: {\"name\": \"a/1\", \"sharp\": \"sharp/1.png\", \"blurry\": \"blurry/1.png\", \"restored\": null}

With --json, every line on stdout is one object with `version` (1), `type` and `data`: one `started`, one `image` or `failure` per
pair in the order of the pairs, then one `summary`. A number that is not finite is the text \"inf\", \"-inf\" or \"nan\".

Exit codes: 0 everything scored, 1 some images failed (the others were scored), 2 wrong usage or set-up, 130 interrupted.")]
pub(crate) struct EvaluateArgs {
    /// Folder of blurry photos, searched with its subfolders
    ///
    /// They are restored, or with --restored only measured for comparison.
    #[arg(long, value_name = "DIR", conflicts_with = "pairs",
        required_unless_present_any = ["restored", "pairs"], help_heading = "Input")]
    pub(crate) blurry: Option<PathBuf>,

    /// Folder of the sharp photos that belong to them, with the same names
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "pairs",
        required_unless_present = "pairs",
        help_heading = "Input"
    )]
    pub(crate) sharp: Option<PathBuf>,

    /// Folder of photos that were restored before, by any program: nothing is restored, they are scored
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "pairs",
        help_heading = "Input"
    )]
    pub(crate) restored: Option<PathBuf>,

    /// Pairs as JSON Lines with `name`, `sharp`, and `blurry` or `restored` or both, instead of folders
    ///
    /// Paths count from the folder of FILE. A photo with `restored` is scored, one without is restored from `blurry`. What
    /// cannot be read or has another size fails alone; in folders, everything must match.
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub(crate) pairs: Option<PathBuf>,

    /// What to measure, separated by commas: psnr, ssim, lpips, lpips-vgg, dists, niqe, fid, kid [default: psnr,ssim, and lpips where
    /// its weights are found]
    ///
    /// All but psnr and ssim need weights (--weights). niqe looks at the restored photo alone. fid and kid compare sets of images, not
    /// pairs, and mean little below some hundred images.
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Measurement",
        value_parser = PossibleValuesParser::new(Metric::ALL.map(Metric::name)).try_map(|name| name.parse::<Metric>()))]
    pub(crate) metrics: Vec<Metric>,

    /// Rules for PSNR and SSIM: rgb, basicsr-y (luma, as BasicSR) or realblur (aligned first, as that data set requires)
    ///
    /// They are printed with the numbers.
    #[arg(long, value_name = "NAME", default_value = "rgb", help_heading = "Measurement",
        value_parser = PossibleValuesParser::new(MetricProtocol::NAMES).try_map(|name| MetricProtocol::by_name(&name)))]
    pub(crate) protocol: MetricProtocol,

    /// Folder with the weights of metrics [default: datasets/cache/metric-weights, if it is there]
    ///
    /// In a clone, `cargo xtask datasets fetch metric-weights` makes it.
    #[arg(
        long,
        value_name = "DIR",
        env = "MSDEBLUR_METRIC_WEIGHTS",
        help_heading = "Measurement"
    )]
    pub(crate) weights: Option<PathBuf>,

    /// Keep the restored photos in DIR, as NAME.png with 8 bits; folders are made
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub(crate) save: Option<PathBuf>,

    /// Also save NAME.uncertainty.png: how much samples differ, as a heat map
    ///
    /// Costs as much as drawing --samples samples.
    #[arg(long, requires = "save", help_heading = "Output")]
    pub(crate) uncertainty: bool,

    /// Write one row per image to this file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) csv: Option<PathBuf>,

    /// Results of earlier runs, kept line by line: what the same program computed with the same files, model and options is not computed again
    ///
    /// Recognised by content (SHA-256), not by name or time. A run that was stopped goes on where it was.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) reuse: Option<PathBuf>,

    /// Replace files that exist, except inputs
    #[arg(short, long, help_heading = "Output")]
    pub(crate) force: bool,

    #[command(flatten)]
    pub(crate) restoration: RestorationArgs,

    #[command(flatten)]
    pub(crate) messages: MessageArgs,
}

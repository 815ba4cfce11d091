//! `msdeblur train --dry-run`: what would be trained, as a configuration with the findings as comments.

use std::fmt::Write as _;
use std::time::Duration;

use indicatif::HumanDuration;
use serde_json::json;
use trainer::{DryRun, OutFolder, TrainConfig};

use crate::hints::Problem;
use crate::output::{Printer, write_stdout};
use crate::words::count;

/// Measures and prints. Nothing is written.
///
/// # Errors
/// What would stop the run from starting.
pub(crate) fn run(config: &TrainConfig, json: bool, printer: &Printer) -> Result<u8, Problem> {
    printer.status("looking at the data and timing some steps; nothing is written");
    let device = ::deblur::DeviceChoice::Auto.resolve()?;
    let found = trainer::dry_run(config, device)?;
    if json {
        printer.data("dry_run", &json!({ "config": config, "findings": found }));
    } else {
        write_stdout(&format!(
            "{}\n{}",
            config.to_toml()?,
            findings(config, &found)
        ));
    }
    if found.out != OutFolder::Free {
        printer.warning(&format!(
            "{}: {}",
            config.out.display(),
            run_folder(&found.out)
        ));
    }
    Ok(0)
}

/// What can be done with the run folder.
fn run_folder(found: &OutFolder) -> String {
    match found {
        OutFolder::Free => "can be written and is free".into(),
        OutFolder::HoldsRun => {
            "holds a run already: continue it with --resume, or choose another --out".into()
        }
        OutFolder::InUse => {
            "another msdeblur is training here: wait for its end, or choose another --out".into()
        }
        OutFolder::Unusable(reason) => {
            format!("cannot be used ({reason}): choose another --out")
        }
    }
}

/// The findings, each line a comment of TOML.
fn findings(config: &TrainConfig, found: &DryRun) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| {
        let _ = writeln!(text, "# {name:<16}{value}");
    };
    let network = &found.network;
    row("parameters", millions(network.parameters));
    if found.frozen_parameters > 0 {
        row(
            "",
            format!(
                "{} of {} parameters frozen",
                found.frozen_parameters, network.parameters
            ),
        );
    }
    if let Some(init) = &found.init {
        row("weights", format!("starting from {}", init.display()));
    }
    row(
        "run folder",
        format!("{}: {}", config.out.display(), run_folder(&found.out)),
    );
    row(
        "multiply-adds",
        format!(
            "{} a pixel and {} a crop of {}×{} in a forward pass, {} of these for guidance; a step takes three times as many",
            si(network.multiply_adds_per_pixel as f64),
            si(network.multiply_adds_per_crop as f64),
            config.crop,
            config.crop,
            si(network.multiply_adds_guidance as f64),
        ),
    );
    let pass = config.micro_batch.unwrap_or(config.batch);
    row(
        "memory",
        format!(
            "{} to train: {} for weights, {} for each of {pass} crops at a time; beside it the libraries and up to {} of decoded pictures",
            bytes(found.training_bytes),
            bytes(network.weight_bytes),
            bytes(network.activation_bytes_per_crop),
            bytes(
                i64::try_from(config.cache_megabytes)
                    .unwrap_or(i64::MAX)
                    .saturating_mul(1_000_000)
            ),
        ),
    );
    if let Some(measured) = found.measured_activation_bytes {
        row(
            "",
            format!(
                "measured beside the weights in steps of {}: {}, expected {}",
                count(found.timed_crops as u64, "crop"),
                bytes(i64::try_from(measured).unwrap_or(i64::MAX)),
                bytes(found.expected_activation_bytes)
            ),
        );
    }
    let sets = [
        (found.photos, found.held_out_photos, "photo"),
        (found.pairs, found.held_out_pairs, "pair"),
    ];
    let sets: Vec<String> = sets
        .iter()
        .filter(|(training, ..)| *training > 0)
        .map(|&(training, held_out, noun)| {
            format!(
                "{} and {held_out} for validation",
                count(training as u64, noun)
            )
        })
        .collect();
    row(
        "data",
        format!(
            "{}; {} skipped; {} decoded in memory",
            sets.join(", "),
            count(found.skipped.len() as u64, "file"),
            bytes(i64::try_from(found.cached_bytes).unwrap_or(i64::MAX))
        ),
    );
    for note in &found.notes {
        row("", note.clone());
    }
    for reason in found.skipped.iter().take(SHOWN) {
        row("", format!("skipped: {reason}"));
    }
    if found.skipped.len() > SHOWN {
        row(
            "",
            format!("and {} more, see --json", found.skipped.len() - SHOWN),
        );
    }
    row(
        "time",
        format!(
            "{} for {}: {:.2} s a step ({:.1} crops/s), {:.1} s a validation",
            HumanDuration(Duration::try_from_secs_f64(found.seconds).unwrap_or(Duration::MAX)),
            count(config.steps, "step"),
            found.seconds_per_step,
            config.batch as f64 / found.seconds_per_step.max(1e-9),
            found.seconds_per_validation
        ),
    );
    text
}

/// Skipped files that are named.
const SHOWN: usize = 20;

fn millions(number: i64) -> String {
    if number < 1_000_000 {
        number.to_string()
    } else {
        format!("{:.2} million", number as f64 / 1e6)
    }
}

fn si(number: f64) -> String {
    for (unit, size) in [("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)] {
        if number >= size {
            return format!("{:.1} {unit}", number / size);
        }
    }
    format!("{number:.0}")
}

fn bytes(number: i64) -> String {
    let number = number as f64;
    if number >= 1e9 {
        format!("{:.1} GB", number / 1e9)
    } else {
        format!("{:.0} MB", number / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        assert_eq!(si(123.0), "123");
        assert_eq!(si(45_600.0), "45.6 k");
        assert_eq!(si(7.25e9), "7.2 G");
        assert_eq!(bytes(1_234_000_000), "1.2 GB");
        assert_eq!(bytes(56_700_000), "57 MB");
        assert_eq!(millions(2_412_345), "2.41 million");
    }
}

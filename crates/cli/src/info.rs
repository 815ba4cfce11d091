//! `msdeblur info`: what a checkpoint says about itself. libtorch is not used.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ::deblur::CheckpointSource;
use ms_guidance::Target;
use ms_guidance::checkpoint::{Description, Provenance};
use serde::Serialize;

use crate::args::InfoArgs;
use crate::hints::Problem;
use crate::output::{write_json, write_stdout};
use crate::words::plural;

/// JSON `model`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ModelFacts {
    pub(crate) checkpoint: String,
    pub(crate) name: String,
    pub(crate) sha256: String,
    /// Size of the file.
    pub(crate) bytes: u64,
    pub(crate) parameters: i64,
    /// Channels of the UNet's levels, finest first.
    pub(crate) channels: Vec<i64>,
    /// Guidance scales S; 0 is an unguided model.
    pub(crate) guidance_scales: usize,
    /// Radius in pixels of what an output pixel depends on.
    pub(crate) receptive_field: i64,
    /// Photos are padded to a multiple of this inside.
    pub(crate) size_multiple: i64,
    pub(crate) target: &'static str,
    pub(crate) prediction_type: serde_json::Value,
    pub(crate) sigma_min: f64,
    pub(crate) sigma_max: f64,
    pub(crate) provenance: Provenance,
}

impl ModelFacts {
    pub(crate) fn of(source: &CheckpointSource) -> Result<Self, Problem> {
        let summary = source.describe()?;
        let Description { config, provenance } = summary.description;
        Ok(Self {
            checkpoint: source.to_string(),
            name: provenance.name.clone(),
            sha256: summary.sha256,
            bytes: summary.bytes,
            parameters: config.parameter_count(),
            channels: config.unet.block_out_channels.clone(),
            guidance_scales: config.scales(),
            receptive_field: config.receptive_field(),
            size_multiple: config.size_multiple(),
            target: match config.target {
                Target::Image => "image",
                Target::Residual { .. } => "residual",
            },
            prediction_type: serde_json::to_value(config.prediction_type).unwrap_or_default(),
            sigma_min: config.sigma_min,
            sigma_max: config.sigma_max,
            provenance,
        })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        let mut row = |name: &str, value: &str| {
            if !value.is_empty() {
                let _ = writeln!(text, "{name:<17}{value}");
            }
        };
        let provenance = &self.provenance;
        row("model", &self.name);
        row(
            "checkpoint",
            &format!("{} ({:.1} MB)", self.checkpoint, self.bytes as f64 / 1e6),
        );
        row("sha256", &self.sha256);
        row("parameters", &thousands(self.parameters));
        let channels: Vec<String> = self.channels.iter().map(i64::to_string).collect();
        row(
            "levels",
            &format!("{} ({} channels)", channels.len(), channels.join(", ")),
        );
        row(
            "guidance scales",
            &match self.guidance_scales {
                0 => "0 (unguided)".into(),
                scales => scales.to_string(),
            },
        );
        row(
            "receptive field",
            &format!("{} pixels around each pixel", self.receptive_field),
        );
        row(
            "predicts",
            &format!(
                "{} of the {}",
                self.prediction_type.as_str().unwrap_or("?"),
                self.target
            ),
        );
        row(
            "noise levels",
            &format!("{} to {}", self.sigma_min, self.sigma_max),
        );
        row("licence", &provenance.licence);
        row("training data", &provenance.data);
        row("data sha256", &provenance.data_sha256);
        row(
            "trained for",
            &format!(
                "{} {}, {} {}, seed {}",
                thousands(provenance.steps as i64),
                plural(provenance.steps, "step"),
                thousands(provenance.total_images as i64),
                plural(provenance.total_images, "crop"),
                provenance.seed
            ),
        );
        if let Some(parent) = &provenance.parent {
            row(
                "started from",
                &format!("{} ({})", parent.name, parent.sha256),
            );
        }
        row("written by", &provenance.producer);
        let metrics: &BTreeMap<String, f64> = &provenance.metrics;
        for (index, (name, value)) in metrics.iter().enumerate() {
            row(
                if index == 0 { "measured" } else { "" },
                &format!("{name} = {value:.4}"),
            );
        }
        text
    }
}

fn thousands(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Runs the subcommand.
///
/// # Errors
/// A checkpoint that cannot be read or is none.
pub(crate) fn run(args: &InfoArgs) -> Result<u8, Problem> {
    let source = args
        .checkpoint
        .clone()
        .map_or(CheckpointSource::Embedded, CheckpointSource::File);
    let facts = ModelFacts::of(&source)?;
    if args.json {
        write_json("model", &facts);
    } else {
        write_stdout(&facts.text());
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(thousands(number), text);
        }
    }

    #[test]
    fn the_built_in_model_describes_itself() {
        let facts = ModelFacts::of(&CheckpointSource::Embedded).expect("valid");
        assert_eq!(facts.sha256.len(), 64);
        assert!(facts.text().contains(&facts.sha256) && facts.text().contains("parameters"));
        let json = serde_json::to_value(&facts).expect("JSON");
        assert_eq!(json["parameters"], facts.parameters);
    }
}

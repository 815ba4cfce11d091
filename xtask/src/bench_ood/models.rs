//! What models say about themselves, and whether two of them differ in guidance alone.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde::Deserialize;
use serde_json::Value;

use super::results::Checkpoint;
use crate::failure::Failure;
use crate::workspace;

/// Largest difference in the number of parameters between a model and its control, as a share.
const PARAMETERS_ALIKE: f64 = 0.05;
/// Settings of a training configuration that may differ between a model and its control: names, places, how guidance is learnt, its
/// networks, and the widths that make up for their parameters. Those of the same name inside another setting count.
const NOT_COMPARED: [&str; 13] = [
    "name",
    "out",
    "photos",
    "data_description",
    "description",
    "log_every",
    "guidance_weight",
    "guidance_scale_weights",
    "model.guidance_blocks",
    "model.guidance_input",
    "model.unet.guidance_channels",
    "model.unet.guidance_entry",
    "model.unet.block_out_channels",
];

/// The part of `msdeblur info --json` that matters here.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Model {
    sha256: String,
    pub(crate) name: String,
    parameters: u64,
    /// 0 is an unguided model.
    pub(crate) guidance_scales: usize,
    provenance: Provenance,
}

#[derive(Clone, Debug, Deserialize)]
struct Provenance {
    data_sha256: String,
    steps: u64,
    total_images: u64,
    seed: u64,
    #[serde(default)]
    training: Value,
    /// The model that training started from, none for random weights.
    parent: Option<Parent>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
struct Parent {
    name: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Envelope {
    version: u32,
    data: Model,
}

impl Model {
    /// Asks the program about a checkpoint, or about the model inside it.
    ///
    /// # Errors
    /// A program that does not run, or a file that is no checkpoint.
    pub(crate) fn of(program: &Path, checkpoint: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["info", "--json"]);
        match checkpoint {
            Some(file) => command.arg("--checkpoint").arg(file),
            // The model inside is meant, whatever the user's own default.
            None => command.env_remove("MSDEBLUR_CHECKPOINT"),
        };
        let text = workspace::output(&mut command)?;
        Self::parse(&text).map_err(|error| {
            Failure::error(
                format!("`{}` says something unknown: {error:#}", workspace::shown(&command)),
                "the program of this version is needed: leave --program out (and MSDEBLUR_BINARY unset) to build it",
            )
        })
    }

    fn parse(text: &[u8]) -> Result<Self> {
        let Envelope { version, data } = serde_json::from_slice(text)?;
        anyhow::ensure!(version == 1, "version {version} of the output");
        Ok(data)
    }

    /// For the results.
    pub(crate) fn checkpoint(&self, file: Option<&Path>) -> Checkpoint {
        let name = file.and_then(Path::file_name).map_or_else(
            || "built in".to_owned(),
            |name| name.to_string_lossy().into_owned(),
        );
        Checkpoint {
            name,
            sha256: self.sha256.clone(),
            parameters: self.parameters,
        }
    }

    /// In what this model and an unguided one differ besides guidance; only where there is nothing, a difference between
    /// their results is an effect of guidance.
    pub(crate) fn differences(&self, unguided: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let (ours, theirs) = (&self.provenance, &unguided.provenance);
        let mut compare = |what: &str, one: &str, other: &str| {
            if one != other {
                differences.push(format!("{what} ({one} and {other})"));
            }
        };
        for (what, one, other) in [
            ("steps", ours.steps, theirs.steps),
            ("training crops", ours.total_images, theirs.total_images),
            ("seed", ours.seed, theirs.seed),
        ] {
            compare(what, &one.to_string(), &other.to_string());
        }
        if ours.data_sha256 != theirs.data_sha256 {
            differences.push("training photos".to_owned());
        }
        if ours.parent != theirs.parent {
            let name = |parent: &Option<Parent>| {
                parent
                    .as_ref()
                    .map_or("random weights".to_owned(), |Parent { name, sha256 }| {
                        format!("{name} {sha256:.8}")
                    })
            };
            differences.push(format!(
                "start ({} and {})",
                name(&ours.parent),
                name(&theirs.parent)
            ));
        }
        let (more, less) = (
            self.parameters.max(unguided.parameters) as f64,
            self.parameters.min(unguided.parameters) as f64,
        );
        if more > less * (1.0 + PARAMETERS_ALIKE) {
            differences.push(format!(
                "parameters ({} and {}, more than 5 % apart)",
                self.parameters, unguided.parameters
            ));
        }
        settings("", &ours.training, &theirs.training, &mut differences);
        differences
    }
}

/// Adds the names of settings that differ, `blur.families` for one inside another.
fn settings(place: &str, one: &Value, other: &Value, differences: &mut Vec<String>) {
    let (Value::Object(left), Value::Object(right)) = (one, other) else {
        if one != other {
            differences.push(format!("training setting {place}"));
        }
        return;
    };
    let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let inner = if place.is_empty() {
            name.clone()
        } else {
            format!("{place}.{name}")
        };
        if NOT_COMPARED.contains(&inner.as_str()) {
            continue;
        }
        let part = |value: &serde_json::Map<String, Value>| value.get(name).cloned();
        settings(
            &inner,
            &part(left).unwrap_or_default(),
            &part(right).unwrap_or_default(),
            differences,
        );
    }
}

/// Refuses a model in the place of the other kind.
///
/// # Errors
/// A guided control, or an unguided model where guidance is measured.
pub(crate) fn expect_guidance(model: &Model, wanted: bool, option: &str) -> Result<()> {
    if (model.guidance_scales > 0) == wanted {
        return Ok(());
    }
    let (is, hint) = if wanted {
        (
            "has no guidance",
            "give a guided model, or compare this one with --method NAME=FILE",
        )
    } else {
        (
            "is guided",
            "give a model that was trained without guidance, or compare this one with --method NAME=FILE",
        )
    };
    Err(Failure::error(
        format!("{option}: the model `{}` {is}", model.name),
        hint,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn model(change: impl Fn(&mut Value)) -> Model {
        let mut value = json!({"version": 1, "type": "model", "data": {
            "checkpoint": "built in", "name": "default", "sha256": "ab", "parameters": 1000, "guidance_scales": 3,
            "provenance": {
                "name": "default", "data_sha256": "cd", "steps": 10, "total_images": 160, "seed": 1, "metrics": {},
                "training": {
                    "batch": 16, "blur": {"jpeg": null, "families": [1, 2], "name": "standard"}, "guidance_weight": 1.0,
                    "model": {
                        "guidance_blocks": 2, "prediction_type": "v_prediction", "sigma_max": 80.0, "target": {"residual": {"scale": 0.1}},
                        "unet": {"block_out_channels": [8, 12], "guidance_channels": [4], "layers_per_block": [1, 2], "stem": "plain"},
                    },
                },
            },
        }});
        change(&mut value["data"]);
        Model::parse(value.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn models_that_differ_in_guidance_alone_are_matched() {
        let guided = model(|_| ());
        let unguided = model(|data| {
            data["guidance_scales"] = 0.into();
            data["parameters"] = 1040.into();
            data["provenance"]["name"] = "control".into();
            let training = &mut data["provenance"]["training"];
            training["name"] = "control".into();
            training["guidance_weight"] = 0.0.into();
            training["model"]["guidance_blocks"] = 0.into();
            training["model"]["unet"]["guidance_channels"] = json!([]);
            training["model"]["unet"]["block_out_channels"] = json!([9, 13]);
        });
        assert_eq!(guided.differences(&unguided), Vec::<String>::new());
        expect_guidance(&guided, true, "--guided").unwrap();
        expect_guidance(&unguided, false, "--unguided").unwrap();
        let error = expect_guidance(&guided, false, "--unguided").unwrap_err();
        assert!(error.to_string().contains("--unguided"), "{error}");
    }

    #[test]
    fn every_other_difference_is_named() {
        let guided = model(|_| ());
        let differences =
            |change: &dyn Fn(&mut Value)| guided.differences(&model(change)).join("; ");
        for (path, part) in [
            ("/provenance/steps", "steps (10 and 7)"),
            ("/provenance/total_images", "training crops (160 and 7)"),
            ("/provenance/seed", "seed (1 and 7)"),
            ("/provenance/data_sha256", "training photos"),
            ("/provenance/training/batch", "training setting batch"),
            (
                "/provenance/training/blur/families/1",
                "training setting blur.families",
            ),
            (
                "/provenance/training/blur/name",
                "training setting blur.name",
            ),
            (
                "/provenance/training/model/prediction_type",
                "training setting model.prediction_type",
            ),
            (
                "/provenance/training/model/sigma_max",
                "training setting model.sigma_max",
            ),
            (
                "/provenance/training/model/target/residual/scale",
                "training setting model.target.residual.scale",
            ),
            (
                "/provenance/training/model/unet/layers_per_block/1",
                "training setting model.unet.layers_per_block",
            ),
            (
                "/provenance/training/model/unet/stem",
                "training setting model.unet.stem",
            ),
            ("/parameters", "parameters (1000 and 7"),
        ] {
            let found = differences(&|data| {
                let value = data.pointer_mut(path).unwrap();
                *value = if value.is_string() {
                    "7".into()
                } else {
                    7.into()
                };
            });
            assert!(found.starts_with(part), "{path}: {found}");
        }
        let found = differences(&|data| data["parameters"] = 1051.into());
        assert!(found.contains("5 %"), "{found}");
        let found = differences(&|data| {
            data["provenance"]["parent"] = json!({"name": "first", "sha256": "ef"});
        });
        assert_eq!(found, "start (random weights and first ef)");
    }
}

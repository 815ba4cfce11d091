//! Models of an experiment: arms that differ in one thing, each trained with several seeds.
//!
//! What an arm reaches on a picture is the mean over its seeds, so that intervals and tests are about photos, as everywhere; how much the
//! seeds differ is said beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::assemble;
use super::methods::{self, Plan, Planned};
use super::models::Model;
use super::numbers::{Style, counted, metric_name};
use super::results::{INPUT, Image, Method, Picture, Results};
use super::statistics::{Comparison, ComparisonKind, Pooled, Settings, analyse};

/// Resamples where intervals are not looked at.
const FEW: usize = 100;

/// The arms, and the one that the others are compared with.
#[derive(Clone, Debug)]
pub(crate) struct Experiment {
    /// Takes the place of the suite's name in what is published.
    pub(crate) name: String,
    /// What the experiment asks.
    pub(crate) description: String,
    /// The name of an arm.
    pub(crate) control: String,
    /// In the order in which they are shown.
    pub(crate) arms: Vec<Arm>,
}

/// Models that were trained in the same way but for the seed.
#[derive(Clone, Debug)]
pub(crate) struct Arm {
    pub(crate) name: String,
    /// One sentence.
    pub(crate) description: String,
    /// Seeds of the training and checkpoints; every arm has the same seeds.
    pub(crate) models: Vec<(u64, PathBuf)>,
}

fn of_seed(arm: &str, seed: u64) -> String {
    format!("{arm}-s{seed}")
}

impl Experiment {
    /// The blurry input and all models, each in mode `mean`.
    ///
    /// # Errors
    /// A model that cannot be read.
    pub(super) fn plan(&self, program: &Path) -> Result<Plan> {
        let mut notes = BTreeSet::new();
        let mut models = BTreeMap::new();
        for arm in &self.arms {
            for (seed, file) in &arm.models {
                let model = Model::of(program, Some(file))?;
                models.insert((arm.name.as_str(), *seed), model);
            }
        }
        let mut methods = vec![methods::input()];
        for arm in &self.arms {
            for (seed, file) in &arm.models {
                let model = &models[&(arm.name.as_str(), *seed)];
                let mut planned: Planned = methods::model(
                    &of_seed(&arm.name, *seed),
                    model,
                    Some(file),
                    methods::mean(),
                    &arm.description,
                );
                let control = models.get(&(self.control.as_str(), *seed));
                if let Some(control) = control.filter(|_| arm.name != self.control) {
                    let differences = model.differences(control);
                    // Only then a difference is an effect of guidance.
                    let is_guidance = model.guidance_scales > 0 && control.guidance_scales == 0;
                    if !is_guidance {
                        notes.insert(format!(
                            "{} and {} are not a guided model and its unguided control, so no test of guidance compares them: each stands \
                             with its gain over the input.",
                            arm.name, self.control
                        ));
                    } else if differences.is_empty() {
                        planned.method.matched_with = Some(of_seed(&self.control, *seed));
                    } else {
                        notes.insert(format!(
                            "{} and {} differ in more than guidance: {}. Nothing follows about guidance from their difference.",
                            arm.name,
                            self.control,
                            differences.join(", ")
                        ));
                    }
                }
                methods.push(planned);
            }
        }
        Ok(Plan {
            methods,
            notes: notes.into_iter().collect(),
        })
    }

    /// Puts arms in the place of their models.
    pub(super) fn conclude(&self, results: &mut Results) {
        let spread = self.spread(results);
        let is_input = |name: &str| name == INPUT;
        let mut methods: Vec<Method> = results.methods.clone();
        methods.retain(|method| is_input(&method.name));
        let mut images: Vec<Image> = results.images.clone();
        images.retain(|image| is_input(&image.method));
        let mut pictures: Vec<Picture> = results.pictures.clone();
        pictures.retain(|picture| picture.method.as_deref().is_none_or(is_input));
        for arm in &self.arms {
            let names: Vec<String> = arm
                .models
                .iter()
                .map(|(seed, _)| of_seed(&arm.name, *seed))
                .collect();
            let models: Vec<&Method> = names
                .iter()
                .filter_map(|name| results.method(name))
                .collect();
            let Some(first) = models.first() else {
                continue;
            };
            methods.push(self.averaged_method(arm, first, &models));
            images.extend(averaged(results, arm, &names));
            pictures.extend(
                results
                    .pictures
                    .iter()
                    .filter(|picture| picture.method.as_deref() == Some(&first.name))
                    .map(|picture| Picture {
                        method: Some(arm.name.clone()),
                        ..picture.clone()
                    }),
            );
        }
        (results.methods, results.images, results.pictures) = (methods, images, pictures);
        results.suite.description = format!(
            "{} Measured on the suite `{}`.",
            self.description, results.suite.name
        );
        results.suite.name.clone_from(&self.name);
        results.notes.extend(spread);
        results.notes.push(
            "Values of an arm are means over its seeds; its pictures are those of the first. Intervals and tests are about photos: they \
             speak of these models, not of all that could be trained, and are not corrected over arms."
                .to_owned(),
        );
        assemble::sort(results);
    }

    fn averaged_method(&self, arm: &Arm, first: &Method, models: &[&Method]) -> Method {
        let mut method = first.clone();
        method.name.clone_from(&arm.name);
        let trained: Vec<String> = arm
            .models
            .iter()
            .zip(models)
            .filter_map(|((seed, _), model)| {
                let sha256 = &model.checkpoint.as_ref()?.sha256;
                Some(format!("{seed} (SHA-256 {sha256})"))
            })
            .collect();
        method.description = format!(
            "{}; mean over the seeds {}",
            arm.description,
            trained.join(", ")
        );
        if let Some(checkpoint) = &mut method.checkpoint {
            checkpoint.name = format!(
                "a mean over {}, of which the first",
                counted(models.len(), "model")
            );
        }
        method.matched_with = models
            .iter()
            .all(|model| model.matched_with.is_some())
            .then(|| self.control.clone());
        method
    }

    /// A sentence for each matched arm: its difference to the control, seed by seed, over the same conditions as in the tables.
    fn spread(&self, results: &Results) -> Vec<String> {
        // Only the means are wanted, which need no resamples.
        let settings = Settings {
            resamples: FEW,
            ..Settings::default()
        };
        let analysis = analyse(results, settings);
        let mut notes = Vec::new();
        for arm in &self.arms {
            let mut parts = Vec::new();
            for (name, metric) in &results.metrics {
                let compared: Vec<_> = arm
                    .models
                    .iter()
                    .filter_map(|(seed, _)| {
                        let method = of_seed(&arm.name, *seed);
                        analysis.comparison(ComparisonKind::Guidance, &method, name)
                    })
                    .collect();
                let style = Style::of(metric);
                let list = |of: fn(&Comparison) -> Option<&Pooled>| {
                    let gains: Vec<String> = compared
                        .iter()
                        .filter_map(|comparison| Some(style.gain(of(comparison)?.gain.value)))
                        .collect();
                    gains.join(", ")
                };
                let inside = list(|comparison| comparison.in_domain.as_ref());
                let outside = list(|comparison| comparison.out_of_domain.as_ref());
                for (place, gains) in [("in domain", inside), ("out of domain", outside)] {
                    if !gains.is_empty() {
                        parts.push(format!("{} {place} {gains}", metric_name(name)));
                    }
                }
            }
            if !parts.is_empty() {
                notes.push(format!(
                    "{} − {} by seed (positive: better): {}.",
                    arm.name,
                    self.control,
                    parts.join("; ")
                ));
            }
        }
        notes
    }
}

fn average(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The pictures of an arm: of each the mean over the models `names`; where one failed, the arm failed.
fn averaged(results: &Results, arm: &Arm, names: &[String]) -> Vec<Image> {
    let mut by_picture: BTreeMap<(&str, &str), Vec<&Image>> = BTreeMap::new();
    for image in &results.images {
        if names.contains(&image.method) {
            by_picture
                .entry((&image.condition, &image.name))
                .or_default()
                .push(image);
        }
    }
    by_picture
        .into_values()
        .filter_map(|images| {
            let mut image = (*images.first()?).clone();
            image.method.clone_from(&arm.name);
            let of = |value: &dyn Fn(&Image) -> Option<f64>| {
                let values: Option<Vec<f64>> = images.iter().map(|image| value(image)).collect();
                values.as_deref().and_then(average)
            };
            let names: Vec<String> = image.metrics.keys().cloned().collect();
            image.metrics = names
                .into_iter()
                .filter_map(|name| {
                    let mean = of(&|image| image.metrics.get(&name).copied())?;
                    Some((name, mean))
                })
                .collect();
            image.seconds = of(&|image| Some(image.seconds)).unwrap_or_default();
            if let Some(failed) = images.iter().find(|image| image.error.is_some()) {
                image.metrics.clear();
                image.error = failed
                    .error
                    .as_ref()
                    .map(|error| format!("{}: {error}", failed.method));
            }
            Some(image)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench_ood::fixture;
    use crate::bench_ood::results::PictureKind;

    /// Two arms of two seeds each, made of the fixture's `guided` and `plain`; the second seed is better by `step` dB in the first arm.
    fn two_arms(step: f64) -> (Experiment, Results) {
        let mut results = fixture::two_domains();
        let arm = |name: &str| Arm {
            name: name.to_owned(),
            description: format!("arm {name}"),
            models: vec![(1, PathBuf::new()), (2, PathBuf::new())],
        };
        let experiment = Experiment {
            name: "probe".into(),
            description: "Does it help?".into(),
            control: "plain".into(),
            arms: vec![arm("guided"), arm("plain")],
        };
        let (methods, images) = (results.methods.clone(), results.images.clone());
        results.methods.retain(|method| method.name == INPUT);
        results.images.retain(|image| image.method == INPUT);
        for arm in ["guided", "plain"] {
            for seed in [1, 2] {
                let mut method = methods
                    .iter()
                    .find(|method| method.name == arm)
                    .unwrap()
                    .clone();
                method.name = of_seed(arm, seed);
                method.matched_with = (arm == "guided").then(|| of_seed("plain", seed));
                for image in images.iter().filter(|image| image.method == arm) {
                    let mut image = image.clone();
                    image.method.clone_from(&method.name);
                    if arm == "guided" && seed == 2 {
                        *image.metrics.get_mut("psnr").unwrap() += step;
                    }
                    results.images.push(image);
                }
                results.methods.push(method);
            }
        }
        (experiment, results)
    }

    #[test]
    fn an_arm_is_the_mean_over_its_seeds() {
        let (experiment, mut results) = two_arms(0.5);
        let before = fixture::two_domains();
        experiment.conclude(&mut results);
        let names: Vec<&str> = results
            .methods
            .iter()
            .map(|method| method.name.as_str())
            .collect();
        assert_eq!(names, ["input", "guided", "plain"]);
        assert_eq!(results.methods[1].matched_with.as_deref(), Some("plain"));
        results.check().unwrap();
        assert_eq!(results.suite.name, "probe");
        for image in results
            .images
            .iter()
            .filter(|image| image.method == "guided")
        {
            let other = before
                .images
                .iter()
                .find(|other| {
                    (&other.method, &other.condition, &other.name)
                        == (&image.method, &image.condition, &image.name)
                })
                .unwrap();
            assert!((image.metrics["psnr"] - other.metrics["psnr"] - 0.25).abs() < 1e-9);
            assert!((image.metrics["lpips"] - other.metrics["lpips"]).abs() < 1e-12);
        }
        // 0.25 dB between the arms of the fixture, and 0.25 more on average.
        let analysis = analyse(&results, Settings::default());
        let guidance = analysis
            .comparison(ComparisonKind::Guidance, "guided", "psnr")
            .unwrap();
        let row = &guidance.conditions[0];
        assert!((row.gain.value - 0.5).abs() < 1e-9, "{:?}", row.gain);
    }

    #[test]
    fn what_each_seed_found_is_said() {
        let (experiment, mut results) = two_arms(0.5);
        experiment.conclude(&mut results);
        let notes = &results.notes;
        let by_seed: Vec<&String> = notes
            .iter()
            .filter(|note| note.contains("by seed"))
            .collect();
        assert_eq!(by_seed.len(), 1, "{notes:?}");
        assert!(
            by_seed[0].starts_with("guided − plain by seed"),
            "{notes:?}"
        );
        assert!(
            by_seed[0].contains("PSNR in domain +0.25, +0.75"),
            "{notes:?}"
        );
    }

    #[test]
    fn one_failed_seed_is_a_failed_picture_and_one_unmatched_seed_an_unmatched_arm() {
        let (experiment, mut results) = two_arms(0.0);
        results.pictures = ["guided-s1", "guided-s2", "plain-s2"]
            .map(|method| Picture {
                condition: results.conditions[0].id.clone(),
                name: results.images[0].name.clone(),
                method: Some(method.into()),
                kind: PictureKind::Restored,
                file: format!("{method}.png").into(),
            })
            .into();
        let image = results
            .images
            .iter_mut()
            .find(|image| image.method == "guided-s2")
            .unwrap();
        image.error = Some("no memory".into());
        image.metrics.clear();
        let (condition, name) = (image.condition.clone(), image.name.clone());
        let method = results
            .methods
            .iter_mut()
            .find(|method| method.name == "guided-s2")
            .unwrap();
        method.matched_with = None;
        experiment.conclude(&mut results);
        let failed = results
            .images
            .iter()
            .find(|image| {
                image.method == "guided" && image.condition == condition && image.name == name
            })
            .unwrap();
        assert!(failed.metrics.is_empty());
        assert_eq!(failed.error.as_deref(), Some("guided-s2: no memory"));
        assert_eq!(results.method("guided").unwrap().matched_with, None);
        let pictures: Vec<_> = results
            .pictures
            .iter()
            .map(|picture| (picture.method.as_deref(), picture.file.to_str()))
            .collect();
        assert_eq!(pictures, [(Some("guided"), Some("guided-s1.png"))]);
    }
}

//! Sets of degraded pictures, described as data.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::blur::Blur;
use crate::custom::CustomKernel;
use crate::degradation::Degradation;
use crate::error::{Error, Result};
use crate::highlights::Highlights;
use crate::jpeg::Jpeg;
use crate::mix::BlurMix;
use crate::random::SplitMix64;
use crate::response::Response;
use crate::scenario::{READ_NOISE, SHOT_NOISE, Scenario};

/// Version of [`Recipe`] that this crate reads and writes.
pub const RECIPE_SCHEMA_VERSION: u32 = 1;
/// Most pictures that one condition makes of one photo.
const MAX_PER_PHOTO: u32 = 1000;

/// What to do to each photo of a set: one or more conditions, each a way of degrading it.
///
/// The degradation of a picture depends on the seed, the condition's name, the photo's name and a number, so that
/// adding a photo or a condition changes no other picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Must be [`RECIPE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name of the set.
    pub name: String,
    /// What the set is for, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Seed of all that is random.
    pub seed: u64,
    /// The conditions, each with a name of its own.
    pub conditions: Vec<Condition>,
}

/// One way of degrading photos. Exactly one of `scenario`, `preset`, `mix`, `blur`, `kernels` and `kernel_files` says
/// how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Name, also of the folder: lower-case letters, digits, `-` and `_`.
    pub name: String,
    /// A scenario; needs `severity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario: Option<Scenario>,
    /// 1 to 5; only with `scenario`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
    /// A distribution by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// A distribution in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<BlurMix>,
    /// One exact blur for all photos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blur: Option<Blur>,
    /// Kernels of which each picture takes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernels: Option<Vec<CustomKernel>>,
    /// Files with kernels, as patterns, `FILE#VARIABLE` for a variable of a MATLAB file; to be put in the place of `kernels` by whoever can read files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_files: Option<Vec<String>>,
    /// What differs from the camera that the source of the blur brings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<Camera>,
    /// Pictures made of each photo, 1 to 1000.
    #[serde(default = "one")]
    pub per_photo: u32,
}

fn one() -> u32 {
    1
}

/// A distribution with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// [`BlurMix::standard`]: what the default model is trained on.
    Standard,
}

impl Preset {
    /// The distribution.
    #[must_use]
    pub fn mix(self) -> BlurMix {
        match self {
            Self::Standard => BlurMix::standard(),
        }
    }
}

/// Replaces parts of the camera; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Camera {
    /// See [`Degradation::response`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// See [`Degradation::shot_noise`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shot_noise: Option<f32>,
    /// See [`Degradation::read_noise`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_noise: Option<f32>,
    /// See [`Degradation::quantise_bits`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantise_bits: Option<u8>,
    /// See [`Degradation::highlights`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub highlights: Option<Highlights>,
    /// See [`Degradation::jpeg`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jpeg: Option<Jpeg>,
}

impl Recipe {
    /// Checks every field of every condition.
    ///
    /// # Errors
    /// [`Error::InvalidRecipe`] with all problems at once.
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        if self.schema_version != RECIPE_SCHEMA_VERSION {
            problems.push(format!(
                "schema_version = {} (must be {RECIPE_SCHEMA_VERSION})",
                self.schema_version
            ));
        }
        if self.conditions.is_empty() {
            problems.push("conditions: there is none".to_owned());
        }
        let mut names = HashSet::new();
        for (index, condition) in self.conditions.iter().enumerate() {
            let mut report = |problem: String| {
                problems.push(format!(
                    "condition {} `{}`: {problem}",
                    index + 1,
                    condition.name
                ));
            };
            if !names.insert(&condition.name) {
                report("the name is used twice".to_owned());
            }
            condition.check(&mut report);
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::InvalidRecipe { problems })
        }
    }

    /// The degradation for picture `index` (from 0) of the photo named `photo`.
    ///
    /// # Errors
    /// An invalid condition, or one whose kernel files have not been read.
    pub fn degradation(
        &self,
        condition: &Condition,
        photo: &str,
        index: u32,
    ) -> Result<Degradation> {
        // Unambiguous, because no name of a condition holds a line break.
        let purpose = format!("recipe\n{}\n{photo}\n{index}", condition.name);
        let mut random = SplitMix64::keyed(self.seed, &purpose);
        condition.draw(&mut random)
    }
}

impl Condition {
    fn check(&self, report: &mut impl FnMut(String)) {
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.bytes().all(is_plain) {
            report("the name must have 1 to 64 lower-case letters, digits, `-` or `_`".to_owned());
        }
        let sources = [
            ("scenario", self.scenario.is_some()),
            ("preset", self.preset.is_some()),
            ("mix", self.mix.is_some()),
            ("blur", self.blur.is_some()),
            ("kernels", self.kernels.is_some()),
            ("kernel_files", self.kernel_files.is_some()),
        ];
        let given: Vec<&str> = sources
            .iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| *name)
            .collect();
        if given.len() != 1 {
            let given = if given.is_empty() {
                "none".to_owned()
            } else {
                given.join(", ")
            };
            report(format!(
                "exactly one of scenario, preset, mix, blur, kernels, kernel_files must be given ({given} is)"
            ));
        }
        match (self.scenario, self.severity) {
            (Some(_), Some(1..=5)) | (None, None) => {}
            (Some(_), severity) => report(format!(
                "severity{} must be from 1 to 5",
                severity.map_or_else(String::new, |severity| format!(" = {severity}"))
            )),
            (None, Some(_)) => report("severity is given without a scenario".to_owned()),
        }
        if !(1..=MAX_PER_PHOTO).contains(&self.per_photo) {
            report(format!(
                "per_photo = {} must be from 1 to {MAX_PER_PHOTO}",
                self.per_photo
            ));
        }
        if self.kernels.as_ref().is_some_and(Vec::is_empty)
            || self.kernel_files.as_ref().is_some_and(Vec::is_empty)
        {
            report("the list of kernels is empty".to_owned());
        }
        let mut inner = Vec::new();
        // How far it reaches is asked too: a blur that is too large would fail for every photo.
        if let Some(mix) = &self.mix {
            inner.push(mix.max_margin().map(drop));
        }
        if let Some(blur) = &self.blur {
            inner.push(Degradation::noiseless(blur.clone()).margin().map(drop));
        }
        for kernel in self.kernels.iter().flatten() {
            inner.push(kernel.kernel().map(drop));
        }
        // The camera is checked on a blur that is sound.
        let mut sound = Degradation::noiseless(Blur::disc(1.0));
        self.override_camera(&mut sound);
        inner.push(sound.validate());
        for error in inner.into_iter().filter_map(Result::err) {
            report(error.to_string());
        }
    }

    fn draw(&self, random: &mut SplitMix64) -> Result<Degradation> {
        let seed = random.seed();
        let mix = match (self.scenario, self.severity) {
            (Some(scenario), Some(severity)) => Some(scenario.mix(severity)?),
            _ => self.mix.clone().or_else(|| self.preset.map(Preset::mix)),
        };
        let mut degradation = if let Some(mix) = mix {
            mix.sample(seed)?
        } else {
            Degradation {
                shot_noise: SHOT_NOISE,
                read_noise: READ_NOISE,
                quantise_bits: Some(8),
                seed,
                ..Degradation::noiseless(self.exact_blur(random)?)
            }
        };
        self.override_camera(&mut degradation);
        degradation.validate()?;
        Ok(degradation)
    }

    fn exact_blur(&self, random: &mut SplitMix64) -> Result<Blur> {
        if let Some(blur) = &self.blur {
            return Ok(blur.clone());
        }
        let kernels = self.kernels.as_deref().unwrap_or_default();
        let chosen = (random.uniform() * kernels.len() as f64) as usize;
        kernels
            .get(chosen)
            .map(|kernel| Blur::CustomKernel(kernel.clone()))
            .ok_or_else(|| Error::InvalidRecipe {
                problems: vec![format!(
                    "condition `{}`: its kernel files have not been read, or it has no blur",
                    self.name
                )],
            })
    }

    fn override_camera(&self, degradation: &mut Degradation) {
        let Some(camera) = &self.camera else {
            return;
        };
        if let Some(response) = camera.response {
            degradation.response = response;
        }
        if let Some(shot_noise) = camera.shot_noise {
            degradation.shot_noise = shot_noise;
        }
        if let Some(read_noise) = camera.read_noise {
            degradation.read_noise = read_noise;
        }
        if camera.quantise_bits.is_some() {
            degradation.quantise_bits = camera.quantise_bits;
        }
        if camera.highlights.is_some() {
            degradation.highlights = camera.highlights;
        }
        if camera.jpeg.is_some() {
            degradation.jpeg = camera.jpeg;
        }
    }
}

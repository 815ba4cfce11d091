//! What a configuration must be.

use super::{SCHEMA_VERSION, TrainConfig};
use crate::photo_folder::PhotoFolder;
use crate::{Error, Result};

impl TrainConfig {
    /// Checks every field and reports all problems at once.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`].
    pub fn validate(&self) -> Result<()> {
        let mut problems = Vec::new();
        match self.model.validate() {
            Ok(()) => {}
            Err(ms_guidance::Error::InvalidConfig { problems: of_model }) => {
                problems.extend(of_model.iter().map(|problem| format!("model: {problem}")));
            }
            Err(other) => problems.push(other.to_string()),
        }
        match self.blur.validate() {
            Ok(()) => {}
            Err(blur_synth::Error::InvalidParameters { problems: of_blur }) => {
                problems.extend(of_blur.iter().map(|problem| format!("blur: {problem}")));
            }
            Err(other) => problems.push(other.to_string()),
        }
        problems.extend(
            self.noise_levels
                .problems(self.model.sigma_max, self.pure_noise_fraction),
        );
        let mut check = |ok: bool, problem: String| {
            if !ok {
                problems.push(problem);
            }
        };
        check(
            self.schema_version == SCHEMA_VERSION,
            format!(
                "schema_version is {}, this version reads {SCHEMA_VERSION}",
                self.schema_version
            ),
        );
        check(
            !self.photos.is_empty() || !self.photo_sets.is_empty() || !self.pairs.is_empty(),
            "photos, photo_sets or pairs: at least one folder is needed".into(),
        );
        check(
            !self.out.as_os_str().is_empty(),
            "out is empty: where shall the run go?".into(),
        );
        check(
            self.loader_threads <= 1024,
            format!(
                "loader_threads is {}, allowed are 0 to 1024",
                self.loader_threads
            ),
        );
        check(
            (1..=4096).contains(&self.crops_per_photo),
            format!(
                "crops_per_photo is {}, allowed are 1 to 4096",
                self.crops_per_photo
            ),
        );
        let [low, high] = self.scale_jitter;
        check(
            low >= 0.1 && low <= high && high <= 4.0,
            format!("scale_jitter is [{low}, {high}], the lower first, from 0.1 to 4"),
        );
        check(self.steps >= 1, "steps must be at least 1".into());
        check(
            i64::try_from(self.seed).is_ok(),
            format!(
                "seed is {}, the largest that TOML can hold is {}",
                self.seed,
                i64::MAX
            ),
        );
        check(
            (1..=4096).contains(&self.batch),
            format!("batch is {}, allowed are 1 to 4096", self.batch),
        );
        for (name, side) in [
            ("crop", self.crop),
            ("validation_crop", self.validation_crop),
        ] {
            let multiple = self.model.size_multiple() as usize;
            check(
                (16..=2048).contains(&side) && side.checked_rem(multiple) == Some(0),
                format!("{name} is {side}, it must be 16 to 2048 and a multiple of {multiple}"),
            );
        }
        for (name, every) in [
            ("validate_every", self.validate_every),
            ("checkpoint_every", self.checkpoint_every),
            ("log_every", self.log_every),
        ] {
            check(every >= 1, format!("{name} must be at least 1"));
        }
        for (name, value, zero_allowed) in [
            ("learning_rate", self.learning_rate, false),
            ("weight_decay", self.weight_decay, true),
            ("max_gradient_norm", self.max_gradient_norm, false),
            ("ema_half_life_images", self.ema_half_life_images, false),
            ("guidance_weight", self.guidance_weight, true),
            ("photos_weight", self.photos_weight, false),
            ("checkpoint_minutes", self.checkpoint_minutes, false),
        ] {
            let ok = value.is_finite() && (value > 0.0 || zero_allowed && value == 0.0);
            let bound = if zero_allowed { "at least" } else { "above" };
            check(ok, format!("{name} is {value}, it must be {bound} 0"));
        }
        check(
            (0.0..=1.0).contains(&self.pure_noise_fraction),
            format!(
                "pure_noise_fraction is {}, allowed are 0 to 1",
                self.pure_noise_fraction
            ),
        );
        check(
            self.guidance_scale_weights
                .iter()
                .all(|weight| weight.is_finite() && *weight >= 0.0),
            "guidance_scale_weights must be finite and not negative".into(),
        );
        check(
            self.validation_photos >= 1 && self.validation_crops >= 1,
            "validation needs at least one photograph and one crop".into(),
        );
        check(
            self.validation_sample_steps <= 1000,
            format!(
                "validation_sample_steps is {}, allowed are 0 to 1000",
                self.validation_sample_steps
            ),
        );
        check(
            (1..=1000).contains(&self.keep_checkpoints),
            format!(
                "keep_checkpoints is {}, allowed are 1 to 1000",
                self.keep_checkpoints
            ),
        );
        check(
            self.max_nonfinite_steps >= 1,
            "max_nonfinite_steps must be at least 1".into(),
        );
        if let Some(gamma) = self.min_snr_gamma {
            check(
                gamma.is_finite() && gamma > 0.0,
                format!("min_snr_gamma is {gamma}, it must be above 0"),
            );
        }
        if let Some(micro_batch) = self.micro_batch {
            check(
                self.batch.checked_rem(micro_batch) == Some(0),
                format!(
                    "micro_batch is {micro_batch}, it must divide the batch of {}",
                    self.batch
                ),
            );
        }
        let mut names: Vec<&str> = self
            .blur
            .families
            .iter()
            .map(|entry| entry.family.name())
            .collect();
        problems.extend(self.photo_sets.iter().filter_map(PhotoFolder::problems));
        for entry in &self.pairs {
            problems.extend(entry.problems());
            if names.contains(&entry.name.as_str()) {
                problems.push(format!(
                    "pairs: the name `{}` is that of a blur family or of another entry",
                    entry.name
                ));
            }
            names.push(&entry.name);
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Error::InvalidConfig { problems })
        }
    }
}

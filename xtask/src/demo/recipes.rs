//! What is done to which photo. Fixed, so that everybody sees the same.

use blur_synth::{Blur, DEGRADATION_SCHEMA_VERSION, Degradation, Response};
use serde::Serialize;

use super::photos::Picture;

/// One photo and its blur.
#[derive(Debug, Serialize)]
pub(super) struct Recipe {
    /// Name without extension.
    pub(super) photo: &'static str,
    /// The blur in words.
    pub(super) blur: &'static str,
    /// Where the sharp photo is from, or the blurry one when it is real.
    source: &'static str,
    /// SHA-256 of that file.
    source_sha256: &'static str,
    /// `None` for a photo that is blurry by itself.
    pub(super) degradation: Option<Degradation>,
    /// Upper left corner of what the sheet shows enlarged, as shares of width and height.
    #[serde(skip)]
    pub(super) detail: (f32, f32),
}

impl Recipe {
    /// The file name in every folder of the demonstration.
    pub(super) fn file_name(&self) -> String {
        format!("{}.png", self.photo)
    }
}

const PICTURES: [Picture; 4] = [
    Picture {
        file: "astronaut.png",
        sha256: "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    },
    Picture {
        file: "coffee.png",
        sha256: "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    },
    Picture {
        file: "chelsea.png",
        sha256: "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    },
    Picture {
        file: "clock_motion.png",
        sha256: "f029226b28b642e80113d86622e9b215ee067a0966feaf5e60604a1e05733955",
    },
];

/// The files that are needed, in the order of [`all`].
pub(super) fn files() -> Vec<Picture> {
    PICTURES.to_vec()
}

/// The recipes.
pub(super) fn all() -> Vec<Recipe> {
    let shake = Blur::CameraShake {
        extent: 14.0,
        anxiety: 0.05,
        exposure: 0.5,
        seed: 7,
    };
    let motion = Blur::LinearMotion {
        length: 12.0,
        angle_degrees: 25.0,
    };
    let [astronaut, coffee, chelsea, clock] = PICTURES;
    let recipe = |photo, blur, picture: Picture, degradation, detail| Recipe {
        photo,
        blur,
        source: picture.file,
        source_sha256: picture.sha256,
        degradation,
        detail,
    };
    vec![
        recipe(
            "astronaut",
            "camera shake, 14 pixels",
            astronaut,
            Some(camera(shake, 1)),
            (0.33, 0.08),
        ),
        recipe(
            "coffee",
            "defocus, radius 3 pixels",
            coffee,
            Some(camera(Blur::disc(3.0), 2)),
            (0.36, 0.38),
        ),
        recipe(
            "chelsea",
            "straight motion, 12 pixels",
            chelsea,
            Some(camera(motion, 3)),
            (0.28, 0.22),
        ),
        recipe("clock", "real motion blur", clock, None, (0.33, 0.3)),
    ]
}

/// Blur and mild sensor noise in linear light, stored with 8 bits.
fn camera(blur: Blur, seed: u64) -> Degradation {
    Degradation {
        schema_version: DEGRADATION_SCHEMA_VERSION,
        blur,
        response: Response::Srgb,
        shot_noise: 1e-4,
        read_noise: 1e-3,
        quantise_bits: Some(8),
        highlights: None,
        jpeg: None,
        seed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_valid_and_belongs_to_its_picture() {
        for (recipe, picture) in all().iter().zip(files()) {
            assert_eq!(recipe.source, picture.file);
            assert!(
                picture.file.starts_with(recipe.photo),
                "{} from {}",
                recipe.photo,
                picture.file
            );
            if let Some(degradation) = &recipe.degradation {
                degradation.validate().unwrap();
            }
        }
    }
}

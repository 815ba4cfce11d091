//! PSNR gain of a checkpoint on crops of other photographs under its own training blur, per blur family:
//!
//! ```sh
//! cargo run --release -p trainer --example in_domain -- MODEL.safetensors PHOTOS [CROPS_PER_FAMILY [SEED]]
//! ```
//!
//! `mean` mode (one denoiser call from pure noise), float32, PSNR per crop on RGB, averaged over crops.

use std::path::{Path, PathBuf};

use ms_guidance::checkpoint;
use trainer::{PairSource, PhotoSet, TrainConfig, Validation};

const CROP: usize = 192;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, photos, rest @ ..] = &arguments[..] else {
        return Err("usage: in_domain MODEL.safetensors PHOTOS [CROPS_PER_FAMILY [SEED]]".into());
    };
    let crops: usize = rest.first().map_or(Ok(64), |text| text.parse())?;
    let seed: u64 = rest.get(1).map_or(Ok(1000), |text| text.parse())?;

    let model = checkpoint::load(&checkpoint::read(Path::new(model))?, tch::Device::Cpu)?;
    let blur = serde_json::from_value::<TrainConfig>(model.provenance.training.clone())?.blur;
    let side = PairSource::needed_side(&blur, CROP)?;
    let set = PhotoSet::read(&[PathBuf::from(photos)], side)?;
    eprintln!(
        "{} photographs of at least {side}×{side} pixels, {} skipped",
        set.photos.len(),
        set.skipped.len()
    );
    let source = PairSource::new(set.photos, blur, CROP, seed)?;
    let report = Validation::new(&source, crops, seed)?.run(&model.network, tch::Device::Cpu)?;
    eprintln!(
        "{:<14} {:>5} {:>8} {:>9} {:>7}",
        "family", "crops", "blurry", "restored", "gain"
    );
    for (family, quality) in &report {
        let (input, output, gain) = (quality.input_psnr, quality.output_psnr, quality.gain());
        eprintln!(
            "{family:<14} {:>5} {input:>8.2} {output:>9.2} {gain:>+7.2}",
            quality.pairs
        );
    }
    Ok(())
}

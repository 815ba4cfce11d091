//! Writes a checkpoint of a freshly initialised model: `cargo run --release -p deblur --example untrained -- OUT.safetensors [tiny|small] [SEED]`.
//!
//! Such a model returns its input nearly unchanged. It has the size and speed of a trained one, which is enough to try out
//! everything around it.

use std::collections::BTreeMap;
use std::path::Path;

use ms_guidance::checkpoint::{Description, Provenance, WeightFormat, save};
use ms_guidance::{GuidedUNet, GuidedUNetConfig};
use tch::{Device, nn};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let out = arguments.next().ok_or("give the file to write")?;
    let config = match arguments.next().as_deref() {
        None | Some("tiny") => GuidedUNetConfig::tiny(),
        Some("small") => GuidedUNetConfig::small(),
        Some(other) => return Err(format!("{other} is neither tiny nor small").into()),
    };
    let seed: i64 = arguments.next().map_or(Ok(0), |text| text.parse())?;
    let store = nn::VarStore::new(Device::Cpu);
    GuidedUNet::seeded(&store.root(), &config, seed)?;
    let tensors: BTreeMap<_, _> = store.variables().into_iter().collect();
    let provenance = Provenance {
        name: "untrained".into(),
        producer: concat!("msdeblur ", env!("CARGO_PKG_VERSION")).into(),
        licence: "MIT OR Apache-2.0".into(),
        data: "none: the weights are random".into(),
        seed: seed.unsigned_abs(),
        ..Provenance::default()
    };
    save(
        Path::new(&out),
        &tensors,
        &Description { config, provenance },
        WeightFormat::Float16,
    )?;
    Ok(())
}

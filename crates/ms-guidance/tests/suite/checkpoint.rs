//! Checkpoints: what goes in comes out, and files are written whole or not at all.

use std::collections::BTreeMap;

use half::{bf16, f16};
use ms_guidance::checkpoint::{
    self, Description, WeightFormat, describe, load, read, save, sha256, to_bytes, write_atomically,
};
use ms_guidance::{Error, GuidedUNetConfig};
use tch::{Device, Kind, Tensor};

use crate::common::{
    assert_close, configurations, description, image, model, noise, parameters, small,
};

fn values(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.reshape([-1])).unwrap()
}

#[test]
fn float32_is_exact_to_the_bit() {
    for (name, config) in configurations() {
        let (store, network) = model(&config, 21);
        let description = description(&config);
        let bytes = to_bytes(&parameters(&store), &description, WeightFormat::Float32).unwrap();
        assert_eq!(describe(&bytes).unwrap(), description, "{name}");
        let loaded = load(&bytes, Device::Cpu).unwrap();
        assert_eq!(loaded.network.config(), &config);
        assert_eq!(loaded.provenance, description.provenance);
        assert_eq!(loaded.sha256, sha256(&bytes));
        let (before, after) = (parameters(&store), parameters(&loaded.store));
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>()
        );
        for (key, value) in &before {
            let bits = |tensor: &Tensor| {
                values(tensor)
                    .into_iter()
                    .map(f32::to_bits)
                    .collect::<Vec<_>>()
            };
            assert_eq!(bits(value), bits(&after[key]), "{name}: {key}");
        }
        let _no_grad = tch::no_grad_guard();
        let run = |network: &ms_guidance::GuidedUNet| {
            let conditioned = network
                .condition(&image(1, &[1, 3, 9, 7]), Kind::Float)
                .unwrap();
            diffusion_sched::Denoiser::denoise(&conditioned, &noise(2, &[1, 3, 9, 7]), 1.0).unwrap()
        };
        assert!(run(&network).equal(&run(&loaded.network)), "{name}");
    }
}

#[test]
fn half_formats_round_to_nearest() {
    let (store, _network) = model(&small(), 22);
    let before = parameters(&store);
    let full = to_bytes(&before, &description(&small()), WeightFormat::Float32).unwrap();
    type Round = fn(f32) -> f32;
    let formats: [(WeightFormat, Round); 2] = [
        (WeightFormat::Float16, |x| f16::from_f32(x).to_f32()),
        (WeightFormat::Bfloat16, |x| bf16::from_f32(x).to_f32()),
    ];
    for (format, round) in formats {
        let bytes = to_bytes(&before, &description(&small()), format).unwrap();
        assert!(bytes.len() < full.len());
        let loaded = load(&bytes, Device::Cpu).unwrap();
        for (key, value) in parameters(&loaded.store) {
            assert_eq!(value.kind(), Kind::Float);
            let expected: Vec<f32> = values(&before[&key]).into_iter().map(round).collect();
            assert_eq!(values(&value), expected, "{format:?}: {key}");
        }
    }
}

#[test]
fn a_converted_model_computes_in_its_type() {
    let (store, network) = model(&small(), 23);
    let bytes = to_bytes(
        &parameters(&store),
        &description(&small()),
        WeightFormat::Float32,
    )
    .unwrap();
    let mut loaded = load(&bytes, Device::Cpu).unwrap();
    loaded.convert(Kind::BFloat16);
    assert!(
        parameters(&loaded.store)
            .values()
            .all(|value| value.kind() == Kind::BFloat16)
    );
    let _no_grad = tch::no_grad_guard();
    let blurry = image(1, &[1, 3, 8, 8]);
    let features = |network: &ms_guidance::GuidedUNet, kind| {
        network
            .guidance()
            .features(&blurry.to_kind(kind))
            .unwrap()
            .maps
            .remove(0)
    };
    let half = features(&loaded.network, Kind::BFloat16);
    assert_eq!(half.kind(), Kind::BFloat16);
    assert_close("features", &half, &features(&network, Kind::Float), 3e-2);
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let (store, _network) = model(&small(), 24);
    let write = || {
        to_bytes(
            &parameters(&store),
            &description(&small()),
            WeightFormat::Bfloat16,
        )
        .unwrap()
    };
    let first = write();
    // Hash maps differ from instance to instance; a few tries would show an order that depends on one.
    assert!((0..8).all(|_| write() == first));
}

#[test]
fn views_are_stored_in_their_own_order() {
    let (store, _network) = model(&small(), 25);
    let mut views: BTreeMap<String, Tensor> = parameters(&store);
    for value in views.values_mut() {
        if value.size().len() == 4 {
            *value = value
                .permute([0, 2, 3, 1])
                .contiguous()
                .permute([0, 3, 1, 2]);
        }
    }
    let write = |tensors| to_bytes(tensors, &description(&small()), WeightFormat::Float32).unwrap();
    assert!(write(&views) == write(&parameters(&store)));
}

#[test]
fn saving_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let (store, _network) = model(&small(), 26);
    let (parameters, description) = (parameters(&store), description(&small()));
    for format in [WeightFormat::Float32, WeightFormat::Float16] {
        save(&path, &parameters, &description, format).unwrap();
        let bytes = read(&path).unwrap();
        assert!(bytes == to_bytes(&parameters, &description, format).unwrap());
        load(&bytes, Device::Cpu).unwrap();
    }
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["model.safetensors"]);
}

#[test]
fn a_failed_save_leaves_everything_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    // A folder in the file's place: everything works until the last step.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    std::fs::write(taken.join("inside"), "kept").unwrap();
    let error = write_atomically(&taken, b"new").unwrap_err();
    assert!(
        matches!(&error, Error::Io { path, action: "write", .. } if *path == taken),
        "{error}"
    );
    assert_eq!(
        std::fs::read_to_string(taken.join("inside")).unwrap(),
        "kept"
    );
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["taken"], "no temporary file is left");
    let nowhere = folder.path().join("missing/model.safetensors");
    let error = write_atomically(&nowhere, b"new").unwrap_err();
    assert!(
        matches!(&error, Error::Io { path, .. } if *path == nowhere),
        "{error}"
    );
    assert!(error.to_string().contains("model.safetensors"));
    let error = read(&nowhere).unwrap_err();
    assert!(
        matches!(&error, Error::Io { action: "read", .. }),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_existing_checkpoint_survives_a_full_disk() {
    // A write beyond the limit on file sizes fails like one on a full disk. The limit is set for a child process only.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    if let Some(target) = std::env::var_os("MSDEBLUR_TEST_LIMITED_WRITE") {
        let error = write_atomically(target.as_ref(), &vec![7; 4 << 20]).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Io {
                    action: "write",
                    ..
                }
            ),
            "{error}"
        );
        return;
    }
    write_atomically(&path, b"previous").unwrap();
    let test = "checkpoint::an_existing_checkpoint_survives_a_full_disk";
    // Signal XFSZ is ignored, so that the write returns an error instead of ending the process.
    let script = format!("trap '' XFSZ; ulimit -f 1024; exec \"$0\" --exact {test}");
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .env("MSDEBLUR_TEST_LIMITED_WRITE", &path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(std::fs::read(&path).unwrap(), b"previous");
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["model.safetensors"], "no temporary file is left");
}

#[cfg(unix)]
#[test]
fn permissions_are_those_of_any_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
    write_atomically(&ours, b"x").unwrap();
    std::fs::write(&other, b"x").unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(ours), mode(other));
}

#[test]
fn the_description_can_be_read_alone() {
    let config = GuidedUNetConfig::tiny();
    let (store, _network) = model(&config, 27);
    let bytes = to_bytes(
        &parameters(&store),
        &description(&config),
        WeightFormat::Float16,
    )
    .unwrap();
    let described: Description = checkpoint::describe(&bytes).unwrap();
    assert_eq!(described, description(&config));
    assert_eq!(
        sha256(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

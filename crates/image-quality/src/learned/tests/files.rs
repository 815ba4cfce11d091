//! What files of weights can do wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use tch::Device;

use super::{NETWORKS, golden};
use crate::error::Error;
use crate::learned::weights::WeightFile;
use crate::learned::{Inception, Lpips};

/// Writes a copy of a golden file with `change` made to its tensors.
fn changed(
    folder: &Path,
    change: impl FnOnce(&mut BTreeMap<String, (safetensors::Dtype, Vec<usize>, Vec<u8>)>),
) -> PathBuf {
    let bytes = std::fs::read(golden("lpips_alexnet")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let stored = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
            (name, stored)
        })
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, (dtype, shape, data))| {
        (name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    let path = folder.join("weights.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    path
}

#[test]
fn everything_that_is_wrong_with_a_file_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(folder.path(), |tensors| {
        tensors.remove("features.3.bias");
        tensors.insert(
            "classifier.1.bias".to_owned(),
            (safetensors::Dtype::F32, vec![1], vec![0; 4]),
        );
        let (dtype, shape, data) = tensors.get_mut("features.6.bias").unwrap();
        (*dtype, *shape) = (safetensors::Dtype::F32, vec![6]);
        data.truncate(24);
        let (dtype, shape, data) = tensors.get_mut("features.8.bias").unwrap();
        (*dtype, *shape) = (safetensors::Dtype::F16, vec![5]);
        data.truncate(10);
        let (.., data) = tensors.get_mut("lin4.model.1.weight").unwrap();
        data[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    let file = WeightFile::read(&path).unwrap();
    let (backbone, widths, _) = NETWORKS[0];
    let error = Lpips::from_file(&file, backbone, &widths, Device::Cpu).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with(&path.display().to_string()), "{text}");
    let Error::Mismatch { mismatch, .. } = error else {
        panic!("{text}")
    };
    assert_eq!(mismatch.missing, ["features.3.bias"]);
    assert_eq!(mismatch.unexpected, ["classifier.1.bias"]);
    assert_eq!(
        mismatch.misshaped,
        ["features.6.bias: expected [7], got [6]"]
    );
    assert_eq!(mismatch.mistyped, ["features.8.bias: F16"]);
    assert_eq!(mismatch.non_finite, ["lin4.model.1.weight"]);
}

#[test]
fn files_that_are_no_weights_are_errors_that_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &Path| Lpips::load(path, Device::Cpu).unwrap_err();
    let absent = folder.path().join("absent.safetensors");
    assert!(matches!(load(&absent), Error::Read { path, .. } if path == absent));
    assert!(matches!(load(folder.path()), Error::Read { .. }));
    let whole = std::fs::read(golden("lpips_alexnet")).unwrap();
    let path = folder.path().join("damaged.safetensors");
    let huge_header = u64::MAX.to_le_bytes();
    for damaged in [
        &[][..],
        &whole[..100],
        &whole[..whole.len() - 1],
        b"PK\x03\x04",
        &huge_header,
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(load(&path), Error::Format { .. }));
    }
    // The public way in takes networks of the published width alone.
    assert!(matches!(
        load(&golden("lpips_alexnet")),
        Error::Mismatch { .. }
    ));
    // Neither of the two networks; none at all.
    let path = changed(folder.path(), |tensors| {
        let (_, shape, _) = tensors.get_mut("features.0.weight").unwrap();
        *shape = vec![11, 11, 3, 6];
    });
    let text = load(&path).to_string();
    assert!(
        text.contains("[64, 3, 11, 11] (AlexNet) or [64, 3, 3, 3] (VGG16), got [11, 11, 3, 6]"),
        "{text}"
    );
    let path = changed(folder.path(), |tensors| {
        tensors.remove("features.0.weight");
    });
    assert!(
        load(&path)
            .to_string()
            .contains("missing: features.0.weight")
    );
}

#[test]
fn a_program_other_than_the_known_one_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("network.pt");
    std::fs::write(&path, b"PK\x03\x04 could be anything").unwrap();
    let error = Inception::load(&path, Device::Cpu).unwrap_err();
    assert!(matches!(error, Error::Format { .. }));
    let text = error.to_string();
    assert!(
        text.contains("network.pt") && text.contains("SHA-256"),
        "{text}"
    );
    let large = std::fs::File::create(&path).unwrap();
    large.set_len(1 << 40).unwrap();
    let error = Inception::load(&path, Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("more than"), "{error}");
    let absent = folder.path().join("absent.pt");
    assert!(matches!(
        Inception::load(&absent, Device::Cpu),
        Err(Error::Read { .. })
    ));
}

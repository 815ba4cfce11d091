//! Checkpoints that are damaged, incomplete, from elsewhere or hostile: one clear error, never a panic.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Instant;

use ms_guidance::checkpoint::{WeightFormat, describe, load, to_bytes};
use ms_guidance::{Error, GuidedUNetConfig, Mismatch};
use proptest::prelude::*;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use tch::Device;

use crate::common::{description, model, parameters, small};

/// A good checkpoint.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let (store, _network) = model(&small(), 31);
    to_bytes(
        &parameters(&store),
        &description(&small()),
        WeightFormat::Float32,
    )
    .unwrap()
});

/// The parts of a checkpoint, to be changed and put together again.
struct Parts {
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    metadata: HashMap<String, String>,
}

impl Parts {
    fn good() -> Self {
        let (_, header) = safetensors::SafeTensors::read_metadata(&GOOD).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&GOOD).unwrap();
        let mut tensors: Vec<_> = tensors
            .iter()
            .map(|(name, view)| {
                (
                    name.to_owned(),
                    view.dtype(),
                    view.shape().to_vec(),
                    view.data().to_vec(),
                )
            })
            .collect();
        tensors.sort_by(|a, b| a.0.cmp(&b.0));
        Self {
            tensors,
            metadata: header.metadata().clone().unwrap(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let views: Vec<(&str, TensorView)> = self
            .tensors
            .iter()
            .map(|(name, dtype, shape, data)| {
                (
                    name.as_str(),
                    TensorView::new(*dtype, shape.clone(), data).unwrap(),
                )
            })
            .collect();
        safetensors::serialize(views, Some(self.metadata.clone())).unwrap()
    }

    fn position(&self, name: &str) -> usize {
        self.tensors
            .iter()
            .position(|tensor| tensor.0 == name)
            .unwrap()
    }

    /// Changes the JSON of the description.
    fn describe(&mut self, change: impl FnOnce(&mut serde_json::Value)) -> Vec<u8> {
        let mut json = serde_json::from_str(&self.metadata["msdeblur"]).unwrap();
        change(&mut json);
        self.metadata.insert("msdeblur".into(), json.to_string());
        self.bytes()
    }
}

fn mismatch(bytes: &[u8]) -> Mismatch {
    match load(bytes, Device::Cpu) {
        Err(Error::Mismatch(mismatch)) => *mismatch,
        other => panic!("expected a mismatch, got {other:?}"),
    }
}

#[test]
fn taking_apart_and_putting_together_changes_nothing() {
    load(&Parts::good().bytes(), Device::Cpu).unwrap();
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let lengths = (0..200)
        .chain((200..GOOD.len()).step_by(37))
        .chain([GOOD.len() - 1]);
    for length in lengths {
        let error = load(&GOOD[..length], Device::Cpu).unwrap_err();
        assert!(
            matches!(error, Error::Format { .. }),
            "{length} bytes: {error}"
        );
    }
    let mut longer = GOOD.clone();
    longer.push(0);
    assert!(matches!(
        load(&longer, Device::Cpu),
        Err(Error::Format { .. })
    ));
}

#[test]
fn everything_that_is_wrong_is_listed_together() {
    let mut parts = Parts::good();
    let name = |index: usize, parts: &Parts| parts.tensors[index].0.clone();
    let removed = parts.tensors.remove(0).0;
    let bias = parts.position("unet.conv_in.bias");
    parts.tensors[bias].3[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    let infinite = parts.position("unet.conv_out.bias");
    parts.tensors[infinite].3[4..8].copy_from_slice(&f32::NEG_INFINITY.to_le_bytes());
    let misshaped = parts.position("unet.conv_in.weight");
    // The same number of values in another shape, which a plain copy would accept.
    parts.tensors[misshaped].2.reverse();
    let broadcast = parts.position("unet.time_embedding.linear_1.bias");
    // One value, which a plain copy would spread over all eight.
    parts.tensors[broadcast].2 = vec![1];
    parts.tensors[broadcast].3.truncate(4);
    let mistyped = parts.position("unet.time_embedding.linear_2.bias");
    parts.tensors[mistyped].1 = Dtype::I32;
    parts.tensors.push((
        "unet.conv_in.weight__2".into(),
        Dtype::F32,
        vec![2],
        vec![0; 8],
    ));
    parts
        .tensors
        .push(("attention".into(), Dtype::F32, vec![], vec![0; 4]));
    let expected = Mismatch {
        missing: vec![removed],
        unexpected: vec!["attention".into(), "unet.conv_in.weight__2".into()],
        misshaped: vec![
            format!(
                "{}: expected [4, 24, 3, 3], got [3, 3, 24, 4]",
                name(misshaped, &parts)
            ),
            format!("{}: expected [8], got [1]", name(broadcast, &parts)),
        ],
        mistyped: vec![format!("{}: I32", name(mistyped, &parts))],
        non_finite: vec![name(bias, &parts), name(infinite, &parts)],
    };
    let bytes = parts.bytes();
    assert_eq!(mismatch(&bytes), expected);
    let message = load(&bytes, Device::Cpu).unwrap_err().to_string();
    for part in [
        "1 missing",
        "2 unexpected",
        "2 wrong shape",
        "1 wrong type",
        "2 NaN or infinite",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn nan_in_half_precision_is_found() {
    for (dtype, nan) in [
        (Dtype::F16, 0x7e00u16),
        (Dtype::BF16, 0x7fc0),
        (Dtype::F16, 0xfc00),
    ] {
        let mut parts = Parts::good();
        let bias = parts.position("unet.conv_in.bias");
        parts.tensors[bias].1 = dtype;
        parts.tensors[bias].3 = [0u16, nan, 0, 0]
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect();
        let expected = Mismatch {
            non_finite: vec!["unet.conv_in.bias".into()],
            ..Mismatch::default()
        };
        assert_eq!(mismatch(&parts.bytes()), expected);
        parts.tensors[bias].3 = vec![0; 8];
        load(&parts.bytes(), Device::Cpu).unwrap();
    }
}

#[test]
fn another_architecture_is_refused() {
    let mut parts = Parts::good();
    let bytes = parts
        .describe(|json| json["config"]["unet"]["layers_per_block"] = serde_json::json!([2, 1]));
    let found = mismatch(&bytes);
    assert!(
        found
            .missing
            .iter()
            .all(|name| name.contains(".resnets.1."))
            && !found.missing.is_empty()
    );
    let mut parts = Parts::good();
    let bytes =
        parts.describe(|json| json["config"]["unet"]["guidance_channels"] = serde_json::json!([]));
    assert!(
        mismatch(&bytes)
            .unexpected
            .iter()
            .any(|name| name.starts_with("guidance."))
    );
}

#[test]
fn other_safetensors_files_are_refused() {
    let mut parts = Parts::good();
    parts.metadata.clear();
    let none = Error::Metadata {
        key: "msdeblur",
        problem: "missing".into(),
    }
    .to_string();
    assert_eq!(
        load(&parts.bytes(), Device::Cpu).unwrap_err().to_string(),
        none
    );
    parts.metadata.insert("format".into(), "pt".into());
    assert_eq!(describe(&parts.bytes()).unwrap_err().to_string(), none);
    for text in ["", "{}", "[1, 2]", "{\"config\": 3}", "\u{0}"] {
        parts.metadata.insert("msdeblur".into(), text.into());
        let error = load(&parts.bytes(), Device::Cpu).unwrap_err();
        assert!(matches!(error, Error::Metadata { .. }), "{text:?}: {error}");
    }
    for bytes in [
        &b""[..],
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"PK\x03\x04 a zip file of pickles",
    ] {
        assert!(matches!(
            load(bytes, Device::Cpu),
            Err(Error::Format { .. })
        ));
    }
}

#[test]
fn unknown_and_missing_fields_are_refused() {
    for path in [
        "/extra",
        "/config/extra",
        "/config/unet/extra",
        "/provenance/extra",
    ] {
        let bytes = Parts::good().describe(|json| {
            let (parent, field) = path.rsplit_once('/').unwrap();
            json.pointer_mut(parent).unwrap()[field] = 1.into();
        });
        let error = load(&bytes, Device::Cpu).unwrap_err();
        assert!(matches!(error, Error::Metadata { .. }), "{path}: {error}");
        assert!(error.to_string().contains("extra"), "{error}");
    }
    for field in ["prediction_type", "target", "sigma_max", "unet"] {
        let bytes = Parts::good().describe(|json| {
            json["config"].as_object_mut().unwrap().remove(field);
        });
        let error = load(&bytes, Device::Cpu).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn a_hostile_description_is_refused_before_allocating() {
    // About 10^12 parameters, each value within its own limit.
    let bytes = Parts::good().describe(|json| {
        json["config"]["unet"]["block_out_channels"] = serde_json::json!(vec![4096; 8]);
        json["config"]["unet"]["layers_per_block"] = serde_json::json!(vec![32; 8]);
    });
    let start = Instant::now();
    assert!(mismatch(&bytes).misshaped[0].starts_with("all: expected"));
    assert!(start.elapsed().as_secs() < 2);
    let refused = |field: &str, value: serde_json::Value| {
        let bytes = Parts::good().describe(|json| json["config"]["unet"][field] = value);
        match load(&bytes, Device::Cpu) {
            Err(Error::InvalidConfig { problems }) => assert!(!problems.is_empty()),
            other => panic!("{field}: {other:?}"),
        }
    };
    refused(
        "block_out_channels",
        serde_json::json!([i64::MAX, i64::MIN]),
    );
    refused("block_out_channels", serde_json::json!(vec![1; 1000]));
    refused("guidance_channels", serde_json::json!(vec![1; 1000]));
    refused("embedding_channels", serde_json::json!(i64::MAX - 1));
    refused("mid_layers", serde_json::json!(u64::MAX));
}

#[test]
fn a_header_that_claims_too_much_is_refused() {
    let mut bytes = GOOD.clone();
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(
        load(&bytes, Device::Cpu),
        Err(Error::Format { .. })
    ));
    let header =
        br#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header);
    bytes.extend_from_slice(&[0; 4]);
    assert!(matches!(
        load(&bytes, Device::Cpu),
        Err(Error::Format { .. })
    ));
}

/// Loads and, if that works, checks that what was loaded is complete.
fn load_without_panic(bytes: &[u8]) {
    if let Ok(model) = load(bytes, Device::Cpu) {
        let count: i64 = model
            .store
            .variables()
            .values()
            .map(|value| value.numel() as i64)
            .sum();
        assert_eq!(count, model.network.config().parameter_count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(load(&bytes, Device::Cpu).is_err());
    }

    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), header in any::<bool>()) {
        let mut bytes = GOOD.clone();
        // Half of the cases change the header, which is a small part of the file and the most of its meaning.
        let header_length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let end = if header { 8 + header_length } else { bytes.len() };
        for (index, value) in changes {
            bytes[index.index(end)] = value;
        }
        load_without_panic(&bytes);
    }

    #[test]
    fn changed_numbers_of_the_description_never_panic(
        field in prop::sample::select(vec![
            "/config/schema_version", "/config/guidance_blocks", "/config/sigma_max", "/config/target/residual/scale",
            "/config/unet/in_channels", "/config/unet/block_out_channels/0", "/config/unet/block_out_channels/1",
            "/config/unet/layers_per_block/1", "/config/unet/mid_layers", "/config/unet/embedding_channels",
            "/config/unet/guidance_channels/0",
        ]),
        value in prop::sample::select(vec![-1i64, 0, 1, 2, 3, 5, 7, 31, 33, 4096, 4097, i64::MAX, i64::MIN]),
    ) {
        let bytes = Parts::good().describe(|json| *json.pointer_mut(field).unwrap() = value.into());
        load_without_panic(&bytes);
    }
}

#[test]
fn the_control_of_a_model_is_another_architecture() {
    let control: GuidedUNetConfig = small().unguided_control();
    let bytes =
        Parts::good().describe(|json| json["config"] = serde_json::to_value(&control).unwrap());
    assert!(!mismatch(&bytes).is_empty());
}

//! Checkpoints that cannot be used: refused before any photo is touched, with everything that is wrong in one line.

use std::collections::BTreeMap;

use integration_tests::{Folder, Outcome, model, msdeblur};
use ms_guidance::GuidedUNetConfig;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, serialize};
use tch::Tensor;

use crate::deblur;

/// Tries to restore a photo with these bytes as its checkpoint; nothing may come of it.
#[track_caller]
fn refused(content: Option<Vec<u8>>, words: &[&str]) -> Outcome {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    if let Some(content) = content {
        folder.write("bad.safetensors", content);
    }
    let (input, out, bad) = (
        folder.text("photo.png"),
        folder.text("out"),
        folder.text("bad.safetensors"),
    );
    let outcome = deblur(&[&input, "-o", &out, "--checkpoint", &bad])
        .exits(2)
        .silent_on_stdout()
        .says(&[&["deblur: ", &*bad], words].concat());
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "one line and a hint\n{outcome}");
    assert!(lines[1].starts_with("hint: "), "{outcome}");
    assert_eq!(folder.names("out"), Vec::<String>::new());
    outcome
}

/// A checkpoint whose tensors were changed.
fn changed(change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> Option<Vec<u8>> {
    let mut weights = model::weights(&model::config());
    change(&mut weights);
    Some(model::checkpoint(&model::config(), &weights))
}

/// A convolution of the network, its shape, and another tensor.
fn names() -> [String; 2] {
    let weights = model::weights(&model::config());
    let convolutions = weights.iter().filter(|(_, tensor)| tensor.dim() == 4);
    let mut names = convolutions.map(|(name, _)| name.clone());
    [names.next(), names.next()].map(|name| name.expect("a convolution"))
}

#[test]
fn files_that_are_no_checkpoint() {
    let good = model::noisy();
    refused(None, &["cannot read", "No such file"]);
    refused(Some(Vec::new()), &["safetensors"]);
    refused(
        Some(b"\x89PNG\r\n\x1a\nnot a model".to_vec()),
        &["not a usable safetensors file"],
    );
    refused(Some(vec![0xff; 4096]), &["not a usable safetensors file"]);
    for length in [100, good.len() - 1] {
        let outcome = refused(
            Some(good[..length].to_owned()),
            &["not a usable safetensors file"],
        );
        assert!(outcome.stderr.contains("cut off"), "{outcome}");
    }
    let mut longer = good;
    longer.extend([0; 16]);
    refused(Some(longer), &["not a usable safetensors file"]);
}

#[test]
fn a_folder_is_no_checkpoint() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let (input, here) = (folder.text("photo.png"), folder.text(""));
    deblur(&[&input, "-o", &folder.text("out"), "--checkpoint", &here])
        .exits(2)
        .says(&[&here, "cannot read the checkpoint", "directory"]);
}

#[test]
fn models_of_others() {
    let bytes = [0; 16];
    let tensor = || TensorView::new(Dtype::F32, vec![2, 2], &bytes).expect("a tensor");
    let other = serialize([("conv_in.weight", tensor())], None).expect("a file");
    let outcome = refused(Some(other), &["no msdeblur model description"]);
    assert!(outcome.stderr.contains("written by msdeblur"), "{outcome}");

    let json = serde_json::json!({ "config": { "layers": 3 }, "provenance": {} }).to_string();
    let metadata = [("msdeblur".to_owned(), json)].into();
    let foreign = serialize([("conv_in.weight", tensor())], Some(metadata)).expect("a file");
    refused(Some(foreign), &["metadata key `msdeblur`", "layers"]);
}

#[test]
fn a_description_that_makes_no_sense() {
    let config = model::config();
    let weights = model::weights(&config);
    let with = |change: &dyn Fn(&mut GuidedUNetConfig)| {
        let mut config = config.clone();
        change(&mut config);
        Some(model::checkpoint(&config, &weights))
    };
    refused(
        with(&|config| config.schema_version = 99),
        &["schema_version is 99"],
    );
    refused(with(&|config| config.sigma_min = -1.0), &["sigma_min"]);
    // All problems at once.
    refused(
        with(&|config| {
            config.unet.block_out_channels.clear();
            config.guidance_blocks = 0;
        }),
        &["block_out_channels has 0 levels", "guidance_blocks is 0"],
    );
    // Terabytes, if it were believed.
    refused(
        with(&|config| {
            config.unet.block_out_channels = vec![4096; 2];
            config.unet.layers_per_block = vec![32; 2];
        }),
        &["expected", "parameters"],
    );
}

#[test]
fn tensors_of_another_architecture() {
    let mut other = model::config();
    other.unet.block_out_channels = vec![6, 9];
    let weights = model::weights(&model::config());
    refused(
        Some(model::checkpoint(&other, &weights)),
        &["do not fit", "wrong shape", "expected"],
    );
    refused(
        Some(model::checkpoint(&model::unguided(), &weights)),
        &["do not fit", "unexpected"],
    );
    let unguided = model::weights(&model::unguided());
    refused(
        Some(model::checkpoint(&model::config(), &unguided)),
        &["do not fit", "missing"],
    );
}

#[test]
fn missing_extra_misshaped_and_infinite_tensors_are_named() {
    let [one, two] = names();
    refused(
        changed(|weights| drop(weights.remove(&one))),
        &["1 missing", &one],
    );
    refused(
        changed(|weights| {
            weights.insert("unet.surprise".into(), Tensor::from_slice(&[1_f32]));
        }),
        &["1 unexpected (unet.surprise)"],
    );
    refused(
        changed(|weights| {
            let flat = weights[&one].flatten(0, -1);
            weights.insert(one.clone(), flat);
        }),
        &["1 wrong shape", &one, "expected ["],
    );
    // What other loaders would quietly stretch to the right shape.
    refused(
        changed(|weights| {
            let single = weights[&one].narrow(0, 0, 1);
            weights.insert(one.clone(), single);
        }),
        &["1 wrong shape", &one],
    );
    for value in [f32::NAN, f32::INFINITY] {
        refused(
            changed(|weights| {
                let _ = weights[&two]
                    .view(-1)
                    .narrow(0, 3, 1)
                    .fill_(f64::from(value));
            }),
            &["1 NaN or infinite", &two],
        );
    }
    // Everything at once.
    refused(
        changed(|weights| {
            drop(weights.remove(&one));
            weights.insert("surprise".into(), Tensor::from_slice(&[1_f32]));
            let _ = weights[&two].view(-1).narrow(0, 0, 1).fill_(f64::NAN);
        }),
        &[
            "1 missing",
            &one,
            "1 unexpected (surprise)",
            "1 NaN or infinite",
            &two,
        ],
    );
}

#[test]
fn weights_that_overflow_are_the_fault_of_the_model_not_of_the_photo() {
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let huge = changed(|weights| {
        for tensor in weights.values_mut() {
            let _ = tensor.g_mul_scalar_(1e20);
        }
    });
    folder.write("huge.safetensors", huge.expect("a checkpoint"));
    let (input, out, huge) = (
        folder.text("photo.png"),
        folder.text("out"),
        folder.text("huge.safetensors"),
    );
    let outcome = deblur(&[&input, "-o", &out, "--checkpoint", &huge])
        .exits(1)
        .says(&[&input, "not finite"]);
    assert!(outcome.stderr.contains("checkpoint"), "{outcome}");
    assert_eq!(folder.names("out"), Vec::<String>::new());
}

#[test]
fn info_and_doctor_refuse_them_too() {
    let folder = Folder::new();
    folder.write("cut.safetensors", &model::noisy()[..1000]);
    let [name, _] = names();
    let hole = changed(|weights| drop(weights.remove(&name)));
    folder.write("hole.safetensors", hole.expect("a checkpoint"));
    let (cut, hole) = (
        folder.text("cut.safetensors"),
        folder.text("hole.safetensors"),
    );
    Outcome::of(&mut msdeblur(["info", "--checkpoint", &cut]))
        .exits(2)
        .silent_on_stdout()
        .says(&["info: ", &cut]);
    for (file, word) in [(&cut, "safetensors"), (&hole, &*name)] {
        let outcome =
            Outcome::of(&mut msdeblur(["doctor", "--json", "--checkpoint", file])).exits(1);
        let report = outcome.only("machine");
        let findings = report["findings"].as_array().expect("findings");
        let finding = findings
            .iter()
            .find(|finding| finding["topic"] == "checkpoint")
            .expect("a finding about the checkpoint");
        assert_eq!(finding["verdict"], "problem");
        let text = finding["text"].as_str().expect("text");
        assert!(text.contains(word) && text.contains(file), "{text}");
        assert!(finding["hint"].is_string(), "{finding}");
        assert!(report["model"].is_null());
    }
}

#[test]
fn an_unguided_model_and_other_number_formats_are_fine() {
    use ms_guidance::checkpoint::{Description, Provenance, WeightFormat, to_bytes};
    let folder = Folder::new();
    folder.photo("photo.png", 16, 16);
    let config = model::unguided();
    let description = Description {
        config: config.clone(),
        provenance: Provenance::default(),
    };
    for (name, format) in [
        ("f32", WeightFormat::Float32),
        ("f16", WeightFormat::Float16),
        ("bf16", WeightFormat::Bfloat16),
    ] {
        let bytes = to_bytes(&model::weights(&config), &description, format).expect("bytes");
        folder.write("model.safetensors", bytes);
        let (input, out, file) = (
            folder.text("photo.png"),
            folder.text(&format!("{name}.png")),
            folder.text("model.safetensors"),
        );
        // Without guidance there is no guidance to show.
        deblur(&[&input, "-o", &out, "--checkpoint", &file, "--show-guidance"]).exits(0);
    }
    assert_eq!(
        folder.names(""),
        [
            "bf16.png",
            "f16.png",
            "f32.png",
            "model.safetensors",
            "photo.png"
        ]
    );
    assert_ne!(folder.bytes("f32.png"), folder.bytes("photo.png"));
}

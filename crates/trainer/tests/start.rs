//! Runs that start from another model, with some parameters frozen, on photographs and pairs.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use ms_guidance::checkpoint;
use tch::{Device, Tensor};
use trainer::{Error, Event, PairFolder, Pairing, PhotoFolder, TrainConfig, files};

use support::write_photo;

fn photos(folder: &Path) {
    for kind in 0..3 {
        write_photo(&folder.join(format!("photos/{kind}.png")), 176, kind);
    }
}

fn config(folder: &Path, out: &str, steps: u64) -> TrainConfig {
    TrainConfig {
        name: out.into(),
        steps,
        validate_every: 1000,
        checkpoint_every: 2,
        ..TrainConfig::tiny(vec![folder.join("photos")], folder.join(out))
    }
}

fn train(config: &TrainConfig, resume: bool) -> (trainer::Result<trainer::Outcome>, Vec<String>) {
    let mut notes = Vec::new();
    let outcome = trainer::run(config, Device::Cpu, resume, &mut |event| {
        if let Event::Note(note) = event {
            notes.push(note);
        }
        ControlFlow::Continue(())
    });
    (outcome, notes)
}

fn model(config: &TrainConfig) -> PathBuf {
    config.out.join(files::MODEL)
}

fn load(config: &TrainConfig) -> checkpoint::Model {
    checkpoint::load(&std::fs::read(model(config)).unwrap(), Device::Cpu).unwrap()
}

fn weights(config: &TrainConfig) -> BTreeMap<String, Tensor> {
    load(config).store.variables().into_iter().collect()
}

/// Tensors of the saved state whose names begin like this.
fn state(config: &TrainConfig, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(config.out.join(files::STATE)).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors
        .tensors()
        .into_iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, view)| (name, view.data().to_vec()))
        .collect()
}

#[test]
fn a_run_starts_from_the_weights_of_another_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let parent = config(folder.path(), "parent", 3);
    train(&parent, false).0.unwrap();
    // A learning rate of almost nothing leaves the weights where they were, which is not where the seed puts them.
    let child = TrainConfig {
        init: Some(model(&parent)),
        learning_rate: 1e-12,
        seed: 7,
        ..config(folder.path(), "child", 2)
    };
    let (outcome, notes) = train(&child, false);
    outcome.unwrap();
    assert_eq!(notes, Vec::<String>::new());
    let (before, after) = (weights(&parent), weights(&child));
    for (name, weight) in &before {
        assert_eq!(*weight, after[name], "{name}");
    }
    let fresh = TrainConfig {
        init: None,
        ..child.clone()
    };
    let fresh = TrainConfig {
        out: folder.path().join("fresh"),
        ..fresh
    };
    train(&fresh, false).0.unwrap();
    let fresh = weights(&fresh);
    assert!(before.iter().any(|(name, weight)| *weight != fresh[name]));

    let provenance = load(&child).provenance;
    let of_parent = provenance.parent.unwrap();
    assert_eq!(of_parent.name, "parent");
    assert_eq!(
        of_parent.sha256,
        checkpoint::sha256(&std::fs::read(model(&parent)).unwrap())
    );
    let text = serde_json::to_string(&provenance.training).unwrap();
    assert!(!text.contains(folder.path().to_str().unwrap()), "{text}");
    assert_eq!(load(&parent).provenance.parent, None);

    // Resumed without the file, and from another place: the weights are in the state, and the parent is remembered.
    std::fs::remove_file(model(&parent)).unwrap();
    let longer = TrainConfig {
        steps: 4,
        init: Some("elsewhere".into()),
        ..child
    };
    train(&longer, true).0.unwrap();
    assert_eq!(load(&longer).provenance.parent.unwrap().name, "parent");
}

#[test]
fn frozen_parameters_stay_bit_identical() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let parent = config(folder.path(), "parent", 2);
    train(&parent, false).0.unwrap();
    let frozen = ["guidance.", "unet.down_blocks.0."];
    let is_frozen = |name: &str| frozen.iter().any(|prefix| name.starts_with(prefix));
    let child = TrainConfig {
        init: Some(model(&parent)),
        freeze: frozen.map(Into::into).to_vec(),
        // Decay would show.
        weight_decay: 0.5,
        ..config(folder.path(), "child", 4)
    };
    train(&child, false).0.unwrap();
    let (before, after) = (weights(&parent), weights(&child));
    let (mut kept, mut changed) = (0, 0);
    for (name, weight) in &before {
        let same = *weight == after[name];
        if is_frozen(name) {
            assert!(same, "{name} changed");
            kept += 1;
        } else {
            changed += usize::from(!same);
        }
    }
    assert!(kept > 10 && changed > 10, "{kept} {changed}");
    // Neither moments nor averages of their own.
    assert_eq!(state(&child, "frozen:").len(), kept);
    assert!(state(&child, "exp_avg:guidance.").is_empty());
    // The averages of the others start at the parent's weights: after a few steps they are near them.
    let name = "unet.conv_in.weight";
    let distance = f64::try_from((&before[name] - &after[name]).norm()).unwrap();
    assert!(
        distance > 0.0 && distance < 0.2 * f64::try_from(before[name].norm()).unwrap(),
        "{distance}"
    );

    // Stopped and resumed as without the stop.
    let parts = TrainConfig {
        out: folder.path().join("parts"),
        ..child.clone()
    };
    let stopped = trainer::run(&parts, Device::Cpu, false, &mut |event| match event {
        Event::Step { step: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(stopped.unwrap().interrupted);
    train(&parts, true).0.unwrap();
    assert!(state(&parts, "") == state(&child, ""));

    for freeze in [vec!["guidance.".to_owned()], Vec::new()] {
        let other = TrainConfig {
            freeze,
            steps: 5,
            ..parts.clone()
        };
        match train(&other, true).0 {
            Err(Error::ResumeMismatch { difference, .. }) => assert_eq!(difference, "freeze"),
            outcome => panic!("{outcome:?}"),
        }
    }
}

#[test]
fn prefixes_that_freeze_nothing_or_everything_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let with = |freeze: &[&str]| {
        let run = TrainConfig {
            freeze: freeze.iter().map(|prefix| (*prefix).into()).collect(),
            ..config(folder.path(), "run", 1)
        };
        train(&run, false).0.unwrap_err().to_string()
    };
    let text = with(&["guidance.", "decoder.", "unet.up"]);
    assert!(
        text.contains("no parameter begins with `decoder.`;"),
        "{text}"
    );
    for group in ["`guidance.0.`", "`unet.up_blocks.`", "`unet.conv_in.`"] {
        assert!(text.contains(group), "{group}: {text}");
    }
    assert!(with(&["unet.", "guidance."]).contains("leaves no parameter"));
    assert!(with(&[""]).contains("no parameter begins with ``"));
    assert!(!folder.path().join("run").exists());
}

#[test]
fn a_checkpoint_of_another_network_names_every_tensor() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let parent = config(folder.path(), "parent", 1);
    train(&parent, false).0.unwrap();
    let mut child = TrainConfig {
        init: Some(model(&parent)),
        ..config(folder.path(), "child", 1)
    };
    child.model.unet.mid_layers = 2;
    child.model.unet.guidance_channels = vec![4, 6];
    child.model.unet.embedding_channels = 18;
    let mismatch = match train(&child, false).0 {
        Err(Error::Init { path, source }) => match *source {
            ms_guidance::Error::Mismatch(mismatch) => {
                assert_eq!(path, model(&parent));
                mismatch
            }
            other => panic!("{other:?}"),
        },
        outcome => panic!("{outcome:?}"),
    };
    let has = |names: &[String], prefix: &str| names.iter().any(|name| name.starts_with(prefix));
    assert!(
        has(&mismatch.missing, "unet.mid_block.resnets.1."),
        "{mismatch:?}"
    );
    assert!(has(&mismatch.unexpected, "guidance.2."), "{mismatch:?}");
    assert!(
        has(
            &mismatch.misshaped,
            "unet.time_embedding.linear_1.weight: expected [18, 18], got [16, 16]"
        ),
        "{mismatch:?}"
    );
    assert!(
        !child.out.exists(),
        "a run that cannot start leaves no folder"
    );

    // Other meanings of the same tensors are worth a note.
    let mut child = TrainConfig {
        init: Some(model(&parent)),
        ..config(folder.path(), "child", 1)
    };
    child.model.target = ms_guidance::Target::Image;
    let (outcome, notes) = train(&child, false);
    outcome.unwrap();
    assert!(
        notes.iter().any(|note| note.contains("another target")),
        "{notes:?}"
    );

    // What is no model.
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("gone", &b""[..]),
        ("text", b"no model"),
    ] {
        let path = folder.path().join(name);
        if name != "gone" {
            std::fs::write(&path, bytes).unwrap();
        }
        let run = TrainConfig {
            init: Some(path.clone()),
            ..config(folder.path(), "none", 1)
        };
        assert!(
            matches!(train(&run, false).0, Err(Error::Init { .. })),
            "{name}"
        );
    }
    let of_state = TrainConfig {
        init: Some(parent.out.join(files::STATE)),
        ..config(folder.path(), "none", 1)
    };
    assert!(matches!(train(&of_state, false).0, Err(Error::Init { .. })));
}

#[test]
fn a_model_is_extended_on_photographs_and_pairs_together() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let parent = config(folder.path(), "parent", 1);
    train(&parent, false).0.unwrap();
    for (scene, kind) in [("a", 4), ("b", 5)] {
        for side in ["blurry", "sharp"] {
            write_photo(
                &folder.path().join(format!("pairs/{scene}/{side}/1.png")),
                176,
                kind,
            );
        }
    }
    let child = TrainConfig {
        init: Some(model(&parent)),
        pairs: vec![PairFolder {
            name: "camera".into(),
            folder: folder.path().join("pairs"),
            blurry: "*/blurry/*".into(),
            sharp: "*/sharp/*".into(),
            pairing: Pairing::Replace(trainer::Replace {
                sharp: "/sharp/".into(),
                blurry: "/blurry/".into(),
            }),
            weight: 1.0,
            validation_share: 0.5,
            scene: Default::default(),
        }],
        ..config(folder.path(), "child", 2)
    };
    let (outcome, _) = train(&child, false);
    let outcome = outcome.unwrap();
    assert!(outcome.report.contains_key("camera") && outcome.report.contains_key("gaussian"));
    assert_eq!(load(&child).provenance.parent.unwrap().name, "parent");
}

#[test]
fn photographs_by_glob_are_those_alone() {
    let folder = tempfile::tempdir().unwrap();
    for (name, kind) in [("train/a", 0), ("train/b", 1), ("tune/c", 2), ("test/d", 3)] {
        write_photo(&folder.path().join(format!("{name}.png")), 176, kind);
    }
    let set = |sharp: &str| PhotoFolder {
        folder: folder.path().into(),
        sharp: sharp.into(),
    };
    let open = |photo_sets: Vec<PhotoFolder>| {
        trainer::DataSet::open(&TrainConfig {
            photos: Vec::new(),
            photo_sets,
            ..config(folder.path(), "run", 1)
        })
    };
    let data = open(vec![set("train/*.png")]).unwrap();
    assert_eq!((data.photos, data.held_out_photos), (1, 1));
    // Another set of the same folder, overlapping with the first.
    let data = open(vec![set("train/*.png"), set("t[ru]*/*.png")]).unwrap();
    assert_eq!((data.photos, data.held_out_photos), (2, 1));
    assert!(matches!(
        open(vec![set("val/*.png")]),
        Err(Error::NoMatch { .. })
    ));
    let bad = TrainConfig {
        photo_sets: vec![set("[")],
        ..config(folder.path(), "run", 1)
    };
    assert!(
        bad.validate()
            .unwrap_err()
            .to_string()
            .contains("sharp is no glob")
    );
}

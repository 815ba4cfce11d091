//! What is kept of a run, what becomes of damaged states, and when a run that diverges stops.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use trainer::{BEST_MODEL, Error, Event, TrainConfig, files};

use support::write_photo;

fn photos(folder: &Path) {
    for kind in 0..2 {
        write_photo(&folder.join(format!("photos/{kind}.png")), 176, kind);
    }
}

fn config(folder: &Path, steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        validate_every: 1000,
        checkpoint_every: 1,
        ..TrainConfig::tiny(vec![folder.join("photos")], folder.join("run"))
    }
}

/// Runs, and returns where it resumed and the notes.
fn train(config: &TrainConfig, resume: bool) -> trainer::Result<(u64, Vec<String>)> {
    let (mut at, mut notes) = (0, Vec::new());
    trainer::run(config, tch::Device::Cpu, resume, &mut |event| {
        match event {
            Event::Started { resumed_at, .. } => at = resumed_at,
            Event::Note(note) => notes.push(note),
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok((at, notes))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("state"))
        .collect();
    names.sort();
    names
}

/// A copy of a run, so that every kind of damage meets the same one.
fn copy(run: &Path, to: PathBuf) -> PathBuf {
    std::fs::create_dir(&to).unwrap();
    for entry in std::fs::read_dir(run).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    to
}

#[test]
fn the_last_states_and_the_best_model_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let run = config(folder.path(), 5);
    train(&run, false).unwrap();
    assert_eq!(
        names(&run.out),
        [
            "state-000000003.safetensors",
            "state-000000004.safetensors",
            "state.safetensors"
        ]
    );
    let best = std::fs::read(run.out.join(BEST_MODEL)).unwrap();
    let best = ms_guidance::checkpoint::load(&best, tch::Device::Cpu).unwrap();
    assert!(
        best.provenance
            .metrics
            .contains_key("validation_output_psnr_all")
    );
    let fewer = TrainConfig {
        keep_checkpoints: 1,
        steps: 6,
        ..run
    };
    let (_, notes) = train(&fewer, true).unwrap();
    assert_eq!(
        notes,
        ["keep_checkpoints is another than in the saved run: 3 -> 1"]
    );
    assert_eq!(names(&fewer.out), ["state.safetensors"]);
}

#[test]
fn minutes_bring_checkpoints_as_steps_do() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let mut run = TrainConfig {
        checkpoint_every: 1000,
        ..config(folder.path(), 3)
    };
    train(&run, false).unwrap();
    assert_eq!(names(&run.out), ["state.safetensors"], "only at the end");
    (run.out, run.checkpoint_minutes) = (folder.path().join("often"), 1e-9);
    train(&run, false).unwrap();
    assert_eq!(names(&run.out).len(), 3, "after every step");
}

#[test]
fn a_damaged_state_is_named_and_the_one_before_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let run = config(folder.path(), 3);
    train(&run, false).unwrap();
    let good = std::fs::read(run.out.join(files::STATE)).unwrap();
    let whole = std::fs::read(run.out.join(files::MODEL)).unwrap();
    let header = 8 + u64::from_le_bytes(good[..8].try_into().unwrap()) as usize;
    let mut kinds: Vec<(String, Vec<u8>)> = (0..10)
        .map(|tenth| {
            (
                format!("{tenth} tenths"),
                good[..good.len() * tenth / 10].to_vec(),
            )
        })
        .collect();
    // In the length, the names, the metadata, and in the first, a middle and the last weight.
    let middle = (header + good.len()) / 2;
    for place in [
        0,
        3,
        12,
        header / 2,
        header - 1,
        header,
        middle,
        good.len() - 1,
    ] {
        let mut flipped = good.clone();
        flipped[place] ^= 1;
        kinds.push((format!("bit of byte {place}"), flipped));
    }
    kinds.push(("foreign".into(), whole.clone()));
    kinds.push(("longer".into(), [&good[..], b"x"].concat()));
    for (index, (name, bytes)) in kinds.into_iter().enumerate() {
        let out = copy(&run.out, folder.path().join(format!("copy-{index}")));
        std::fs::write(out.join(files::STATE), bytes).unwrap();
        let run = TrainConfig { out, ..run.clone() };
        let (resumed_at, notes) = train(&run, true).unwrap();
        assert_eq!(resumed_at, 2, "{name}");
        let said = notes.iter().any(|note| {
            note.contains("state.safetensors: the saved state is not usable")
                && note.contains("state-000000002.safetensors of step 2")
        });
        assert!(said, "{name}: {notes:?}");
        assert!(run.out.join("state.safetensors.damaged").exists(), "{name}");
        assert!(
            std::fs::read(run.out.join(files::MODEL)).unwrap() == whole,
            "{name}"
        );
    }

    // Two damaged ones: the third. All: an error that names all, and nothing changes.
    for name in ["state.safetensors", "state-000000002.safetensors"] {
        std::fs::write(run.out.join(name), b"").unwrap();
    }
    assert_eq!(train(&run, true).unwrap().0, 1);
    let states = names(&run.out);
    for name in states.iter().filter(|name| name.ends_with("tensors")) {
        std::fs::write(run.out.join(name), b"").unwrap();
    }
    match train(&run, true) {
        Err(Error::NoSoundState { problems, .. }) => assert_eq!(problems.len(), 3),
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(names(&run.out), states);
}

#[test]
fn a_state_of_another_network_is_an_error_and_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let mut run = config(folder.path(), 2);
    train(&run, false).unwrap();
    run.model.guidance_blocks += 1;
    match train(&run, true) {
        Err(Error::ResumeMismatch {
            path, difference, ..
        }) => {
            assert!(path.ends_with(files::STATE));
            assert_eq!(difference, "model");
        }
        outcome => panic!("{outcome:?}"),
    }
    assert!(!names(&run.out).iter().any(|name| name.contains("damaged")));
}

#[test]
fn a_run_that_diverges_stops_and_names_the_last_good_state() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let good = config(folder.path(), 2);
    train(&good, false).unwrap();
    let before = std::fs::read(good.out.join(files::STATE)).unwrap();
    // Weights of 1e30 overflow in the next forward pass.
    let wild = TrainConfig {
        steps: 100,
        learning_rate: 1e30,
        lr_warmup_images: 0,
        lr_decay_images: 1,
        checkpoint_every: 1000,
        max_nonfinite_steps: 4,
        ..good.clone()
    };
    match train(&wild, true) {
        Err(Error::Diverged {
            step,
            problem,
            last,
        }) => {
            assert!(problem.contains("4 steps in a row"), "{problem}");
            assert_eq!(
                step, 7,
                "one step that makes the weights large, four that are skipped"
            );
            let last = last.unwrap();
            assert_eq!((last.step, last.path), (2, good.out.join(files::STATE)));
        }
        outcome => panic!("{outcome:?}"),
    }
    assert!(std::fs::read(good.out.join(files::STATE)).unwrap() == before);
    // It is as good as it was.
    let tame = TrainConfig { steps: 3, ..good };
    assert_eq!(train(&tame, true).unwrap().0, 2);
}

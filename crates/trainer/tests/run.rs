//! Whole runs with the smallest network on photographs made here: resume, determinism and faults.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use trainer::{Error, Event, PairSource, PhotoSet, TrainConfig, files};

use support::write_photo;

const SIDE: usize = 176;

fn photos(folder: &Path, count: usize) -> PathBuf {
    let photos = folder.join("photos");
    std::fs::create_dir_all(&photos).unwrap();
    for kind in 0..count {
        write_photo(&photos.join(format!("photo-{kind}.png")), SIDE, kind);
    }
    photos
}

fn config(folder: &Path, out: &str, steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        validate_every: 1000,
        checkpoint_every: 2,
        ..TrainConfig::tiny(vec![folder.join("photos")], folder.join(out))
    }
}

fn train(config: &TrainConfig, resume: bool) -> trainer::Result<trainer::Outcome> {
    trainer::run(config, tch::Device::Cpu, resume, &mut |_| {
        ControlFlow::Continue(())
    })
}

/// Every tensor of the saved state (weights, moments, averages) by name; the metadata names folders and differs.
fn state(config: &TrainConfig) -> std::collections::BTreeMap<String, Vec<u8>> {
    let bytes = bytes(config, files::STATE);
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let owned =
        |(name, view): (String, safetensors::tensor::TensorView<'_>)| (name, view.data().to_vec());
    tensors.tensors().into_iter().map(owned).collect()
}

fn bytes(config: &TrainConfig, name: &str) -> Vec<u8> {
    std::fs::read(config.out.join(name)).unwrap()
}

#[test]
fn a_run_that_was_killed_before_its_last_model_writes_it_when_resumed() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 3);
    let config = config(folder.path(), "run", 4);
    train(&config, false).unwrap();
    let provenance = |name: &str| {
        ms_guidance::checkpoint::describe(&bytes(&config, name))
            .unwrap()
            .provenance
    };
    let whole = bytes(&config, files::MODEL);
    // What the checkpoint before the last would have left, and nothing at all.
    let early = self::config(folder.path(), "early", 2);
    train(&early, false).unwrap();
    for left in [Some(bytes(&early, files::MODEL)), None] {
        let path = config.out.join(files::MODEL);
        match left {
            Some(model) => std::fs::write(&path, model).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        train(&config, true).unwrap();
        assert_eq!(provenance(files::MODEL).steps, 4);
        let tensors = |bytes: &[u8]| {
            // Behind the length of the header and the header, which has the numbers of the validation.
            let (start, _) = safetensors::SafeTensors::read_metadata(bytes).unwrap();
            bytes[8 + start..].to_vec()
        };
        let found = bytes(&config, files::MODEL);
        assert!(tensors(&found) == tensors(&whole), "the weights are those");
    }
    // A model that is right is left alone, with the numbers of its validation.
    std::fs::write(config.out.join(files::MODEL), &whole).unwrap();
    train(&config, true).unwrap();
    assert!(bytes(&config, files::MODEL) == whole);
}

#[test]
fn interrupted_and_resumed_equals_uninterrupted() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 3);
    let whole = config(folder.path(), "whole", 6);
    train(&whole, false).unwrap();

    let parts = config(folder.path(), "parts", 6);
    let outcome = trainer::run(&parts, tch::Device::Cpu, false, &mut |event| match event {
        Event::Step { step: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .unwrap();
    assert!(outcome.interrupted);
    assert_eq!(outcome.step, 3);
    let mut resumed_at = 0;
    let outcome = trainer::run(&parts, tch::Device::Cpu, true, &mut |event| {
        if let Event::Started { resumed_at: at, .. } = event {
            resumed_at = at;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!((resumed_at, outcome.step), (3, 6));
    assert_eq!(bytes(&whole, files::MODEL), bytes(&parts, files::MODEL));
    assert!(
        state(&whole) == state(&parts),
        "weights, moments and averages are bit-exact"
    );
    let log = |config: &TrainConfig| {
        let lines = String::from_utf8(bytes(config, files::LOG)).unwrap();
        let line = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
        let steps = lines
            .lines()
            .map(line)
            .filter(|line| line["type"] == "step");
        steps
            .map(|line| (line["step"].clone(), line["loss"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(log(&whole), log(&parts), "the log has every step once");

    // A run that differs in one step is told apart, so the comparison above means something.
    let longer = config(folder.path(), "longer", 7);
    train(&longer, false).unwrap();
    assert_ne!(bytes(&whole, files::MODEL), bytes(&longer, files::MODEL));
}

#[test]
fn the_shipped_file_loads_strictly_and_tells_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 2);
    let config = config(folder.path(), "run", 2);
    train(&config, false).unwrap();
    let model =
        ms_guidance::checkpoint::load(&bytes(&config, files::MODEL), tch::Device::Cpu).unwrap();
    assert_eq!(model.provenance.steps, 2);
    assert_eq!(model.provenance.total_images, 8);
    assert!(
        model
            .provenance
            .metrics
            .contains_key("validation_output_psnr_all")
    );
    let text = serde_json::to_string(&model.provenance).unwrap();
    assert!(
        !text.contains(folder.path().to_str().unwrap()),
        "no path of this machine in the model"
    );
    let log = String::from_utf8(bytes(&config, files::LOG)).unwrap();
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert_eq!(
        TrainConfig::from_file(&config.out.join(files::CONFIG)).unwrap(),
        config
    );
}

#[test]
fn pairs_do_not_depend_on_threads_and_differ_from_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let folder_of_photos = photos(folder.path(), 3);
    let source = |seed| {
        let set = PhotoSet::read(std::slice::from_ref(&folder_of_photos), 64).unwrap();
        PairSource::new(set.photos, blur_synth::BlurMix::standard(), 32, seed).unwrap()
    };
    let one = source(1);
    let in_pool = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| one.pair(7).unwrap())
    };
    let (a, b) = (in_pool(1), in_pool(3));
    assert_eq!(a.blurry, b.blurry);
    assert_eq!(a.sharp, b.sharp);
    assert_ne!(a.sharp, one.pair(8).unwrap().sharp);
    assert_ne!(a.sharp, source(2).pair(7).unwrap().sharp);
    assert_eq!(a.sharp.dim(), (3, 32, 32));
    assert_ne!(a.sharp, a.blurry);
}

#[test]
fn a_corrupt_and_a_small_photo_are_skipped_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let folder_of_photos = photos(folder.path(), 2);
    std::fs::write(
        folder_of_photos.join("broken.png"),
        b"\x89PNG\r\n\x1a\nnot really",
    )
    .unwrap();
    let mut skipped = Vec::new();
    trainer::run(
        &config(folder.path(), "run", 1),
        tch::Device::Cpu,
        false,
        &mut |event| {
            if let Event::Started {
                skipped: names,
                photos,
                ..
            } = event
            {
                assert_eq!(photos, 1, "two readable ones, of which one validates");
                skipped = names;
            }
            ControlFlow::Continue(())
        },
    )
    .unwrap();
    assert_eq!(skipped.len(), 1);
    assert!(skipped[0].contains("broken.png"), "{skipped:?}");
}

#[test]
fn unusable_folders_and_runs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = config(folder.path(), "run", 1);
    assert!(matches!(train(&missing, false), Err(Error::Io { .. })));
    assert!(
        !missing.out.exists(),
        "a run that cannot start leaves no folder"
    );

    std::fs::create_dir(folder.path().join("photos")).unwrap();
    assert!(matches!(
        train(&missing, false),
        Err(Error::NoPhotos { .. })
    ));
    assert!(!missing.out.exists());
    let nested = config(folder.path(), "deep/deeper/run", 1);
    assert!(train(&nested, false).is_err());
    assert!(!folder.path().join("deep").exists());
    // One that was there stays.
    std::fs::create_dir(&missing.out).unwrap();
    assert!(train(&missing, false).is_err());
    assert!(missing.out.exists());

    photos(folder.path(), 2);
    let run = config(folder.path(), "run", 2);
    train(&run, false).unwrap();
    assert!(
        matches!(train(&run, false), Err(Error::RunExists { .. })),
        "a finished run is not overwritten"
    );

    let other = TrainConfig {
        batch: 5,
        steps: 4,
        ..run.clone()
    };
    let configuration = bytes(&run, files::CONFIG);
    match train(&other, true) {
        Err(Error::ResumeMismatch { difference, .. }) => assert_eq!(difference, "batch"),
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(
        bytes(&run, files::CONFIG),
        configuration,
        "a refused run changes nothing"
    );

    let shorter = TrainConfig {
        steps: 1,
        ..run.clone()
    };
    match train(&shorter, true) {
        Err(Error::PastTheEnd { done, steps, .. }) => assert_eq!((done, steps), (2, 1)),
        outcome => panic!("{outcome:?}"),
    }
    assert_eq!(bytes(&run, files::CONFIG), configuration);

    let state = run.out.join(files::STATE);
    let good = std::fs::read(&state).unwrap();
    for length in [0, 7, 100, good.len() / 2, good.len() - 1] {
        std::fs::write(&state, &good[..length]).unwrap();
        assert!(
            matches!(train(&run, true), Err(Error::NoSoundState { .. })),
            "truncated to {length}"
        );
    }
    std::fs::write(&state, &good).unwrap();
    write_photo(&folder.path().join("photos/new.png"), SIDE, 9);
    match train(&run, true) {
        Err(error) => {
            let told =
                "differs in photographs (1 photograph to train on before, 2 photographs now)";
            assert!(error.to_string().ends_with(told), "{error}");
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn configuration_problems_are_reported_together() {
    let mut config = TrainConfig::tiny(Vec::new(), "run".into());
    config.steps = 0;
    config.seed = u64::MAX;
    config.crop = 33;
    config.learning_rate = f64::NAN;
    config.model.sigma_min = -1.0;
    match config.validate() {
        Err(Error::InvalidConfig { problems }) => assert_eq!(problems.len(), 6, "{problems:#?}"),
        outcome => panic!("{outcome:?}"),
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let good = TrainConfig::tiny(vec!["photos".into()], "run".into())
        .to_toml()
        .unwrap();
    std::fs::write(&path, format!("colour = 3\n{good}")).unwrap();
    match TrainConfig::from_file(&path) {
        Err(Error::Configuration { problems, .. }) => {
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(
                problems[0].text.contains("unknown key `colour`"),
                "{problems:?}"
            );
        }
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn learning_rate_rises_stays_and_falls_to_nothing() {
    let mut config = TrainConfig::tiny(vec!["photos".into()], "run".into());
    (config.steps, config.batch, config.learning_rate) = (100, 10, 1e-3);
    (config.lr_warmup_images, config.lr_decay_images) = (100, 400);
    assert!((config.learning_rate_at(0) - 1e-4).abs() < 1e-12);
    assert!((config.learning_rate_at(9) - 1e-3).abs() < 1e-12);
    assert!((config.learning_rate_at(60) - 1e-3).abs() < 1e-12);
    assert!(
        (config.learning_rate_at(80) - 0.5e-3).abs() < 1e-12,
        "half-way down the cosine"
    );
    assert!(config.learning_rate_at(99) < 2e-6);
    // 2^-(batch / half-life) once the start is over.
    config.ema_half_life_images = 40.0;
    assert!((config.ema_decay_at(1000) - 0.5f64.powf(0.25)).abs() < 1e-12);
}

#[test]
fn noise_levels_cover_the_schedule_and_its_end() {
    let mut config = TrainConfig::tiny(vec!["photos".into()], "run".into());
    (config.batch, config.pure_noise_fraction) = (16, 0.5);
    let levels = trainer::NoiseLevels::new(&config).unwrap();
    let drawn: Vec<f64> = (0..200)
        .flat_map(|step| levels.draw(step).unwrap())
        .map(|level| level.sigma())
        .collect();
    let largest = drawn
        .iter()
        .filter(|&&sigma| (sigma - config.model.sigma_max).abs() < 1e-9)
        .count();
    assert_eq!(largest, 200 * 8);
    // In the time of the cosine schedule, σ̃ = tan(angle) is 1 near the middle: about half of the others lie below.
    let below = drawn.iter().filter(|&&sigma| sigma < 1.0).count() as f64 / (200.0 * 8.0);
    assert!((below - 0.5).abs() < 0.05, "{below}");
    assert!(
        drawn
            .iter()
            .all(|&s| s >= config.model.sigma_min * 0.999 && s <= config.model.sigma_max * 1.001)
    );
}

#[test]
fn stopping_in_a_validation_saves_the_state() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 2);
    let run = TrainConfig {
        validate_every: 1,
        checkpoint_every: 1000,
        ..config(folder.path(), "run", 9)
    };
    let outcome = trainer::run(&run, tch::Device::Cpu, false, &mut |event| match event {
        Event::Validation { step: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .unwrap();
    assert!(outcome.interrupted);
    assert_eq!(outcome.step, 2);
    assert!(run.out.join(files::STATE).exists());
}

#[test]
fn one_blur_family_alone_can_be_trained() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 2);
    let mut run = config(folder.path(), "run", 1);
    run.blur
        .families
        .retain(|family| family.family == blur_synth::Family::Gaussian);
    // So little blur that nothing changes: the PSNR of the input may be infinite, and the model must still load.
    (run.blur.families[0].min, run.blur.families[0].max) = (0.01, 0.02);
    (run.blur.shot_noise, run.blur.read_noise) = ([0.0; 2], [0.0; 2]);
    let outcome = train(&run, false).unwrap();
    assert_eq!(
        outcome.report.keys().collect::<Vec<_>>(),
        ["all", "gaussian"]
    );
    ms_guidance::checkpoint::load(&bytes(&run, files::MODEL), tch::Device::Cpu).unwrap();
}

#[test]
fn a_photo_counts_once_however_often_it_is_given() {
    let folder = tempfile::tempdir().unwrap();
    let folder_of_photos = photos(folder.path(), 2);
    std::fs::copy(
        folder_of_photos.join("photo-0.png"),
        folder_of_photos.join("copy.png"),
    )
    .unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(&folder_of_photos, folder_of_photos.join("circle")).unwrap();
    let set = PhotoSet::read(&[folder_of_photos.clone(), folder_of_photos], 64).unwrap();
    assert_eq!(set.photos.len(), 2);
    assert_eq!(set.skipped.len(), 1, "{:?}", set.skipped);
    assert!(set.skipped[0].contains("the same picture"));
}

#[test]
fn a_folder_with_files_of_a_run_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 2);
    let run = config(folder.path(), "run", 1);
    std::fs::create_dir(&run.out).unwrap();
    std::fs::write(run.out.join(files::MODEL), b"mine").unwrap();
    assert!(matches!(train(&run, false), Err(Error::RunExists { .. })));
    assert_eq!(bytes(&run, files::MODEL), b"mine");
    assert_eq!(std::fs::read_dir(&run.out).unwrap().count(), 1);
}

#[test]
fn a_run_among_the_photos_is_refused_and_one_that_lies_there_is_not_searched() {
    let folder = tempfile::tempdir().unwrap();
    let folder_of_photos = photos(folder.path(), 2);
    let among = config(folder.path(), "photos/run", 1);
    assert!(matches!(
        train(&among, false),
        Err(Error::OutAmongData { .. })
    ));
    assert!(!among.out.exists());

    let run = TrainConfig {
        validation_crop: 96,
        ..config(folder.path(), "run", 1)
    };
    train(&run, false).unwrap();
    std::fs::rename(&run.out, &among.out).unwrap();
    assert!(among.out.join(files::PREVIEW).exists());
    let set = PhotoSet::read(&[folder_of_photos], 64).unwrap();
    assert_eq!((set.photos.len(), set.skipped), (2, Vec::new()));
}

#[test]
fn one_run_at_a_time_writes_in_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 2);
    let run = config(folder.path(), "run", 2);
    let mut refused = 0;
    trainer::run(&run, tch::Device::Cpu, false, &mut |event| {
        if let Event::Step { .. } = event {
            let before = bytes(&run, files::LOG);
            for resume in [false, true] {
                match train(&run, resume) {
                    Err(Error::InUse { path }) => assert_eq!(path, run.out),
                    outcome => panic!("{outcome:?}"),
                }
                refused += 1;
            }
            assert_eq!(bytes(&run, files::LOG), before);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(refused, 4);
    train(&TrainConfig { steps: 3, ..run }, true).unwrap();
}

#[test]
fn a_run_whose_first_state_cannot_be_saved_stops_at_once() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path(), 2);
    let run = config(folder.path(), "run", 6);
    let outcome = trainer::run(&run, tch::Device::Cpu, false, &mut |event| {
        if let Event::Step { step: 1, .. } = event {
            std::fs::create_dir_all(run.out.join(files::STATE).join("in the way")).unwrap();
        }
        ControlFlow::Continue(())
    });
    match outcome {
        Err(Error::NotSaved { step, last, source }) => {
            assert_eq!((step, last), (2, None));
            assert!(source.to_string().contains(files::STATE), "{source}");
        }
        outcome => panic!("{outcome:?}"),
    }
}

//! Photographs and real pairs as training data: what is found, what is left out, and that batches depend on the seed alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use ndarray::Array3;
use trainer::{
    DataSet, Error, Event, Loader, PairFolder, Pairing, PairingRule, Replace, Scene, TrainConfig,
    files,
};

#[path = "support/pixels.rs"]
mod pixels;

const SIDE: usize = 176;

/// A picture with edges at many scales; `kind` shifts them, `soft` makes it the blurry one.
fn write_picture(path: &Path, [height, width]: [usize; 2], kind: usize, soft: bool) {
    let pixels = Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
        let checker = |size: usize| ((y + kind * 3) / size + (x + kind) / size + channel) % 2;
        let value = 0.1 + 0.25 * (checker(3) + checker(11) + checker(37)) as f32;
        if soft { 0.5 * value + 0.1 } else { value }
    });
    pixels::write_pixels(path, pixels);
}

/// `frames` pairs in each of `scenes` folders, as GoPro lays them out.
fn gopro(folder: &Path, scenes: usize, frames: usize) -> PairFolder {
    for (scene, frame) in (0..scenes).flat_map(|s| (0..frames).map(move |f| (s, f))) {
        let kind = scene * frames + frame;
        for (sort, soft) in [("sharp", false), ("blur", true)] {
            let path = format!("train/scene-{scene}/{sort}/{frame}.png");
            write_picture(&folder.join(path), [64 + scene, 80], kind, soft);
        }
    }
    PairFolder {
        name: "gopro".into(),
        folder: folder.to_owned(),
        blurry: "**/train/*/blur/*.png".into(),
        sharp: "**/train/*/sharp/*.png".into(),
        pairing: Pairing::Replace(Replace {
            sharp: "/sharp/".into(),
            blurry: "/blur/".into(),
        }),
        weight: 1.0,
        validation_share: 0.25,
        scene: Scene::Folder,
    }
}

fn config(folder: &Path, pairs: Vec<PairFolder>) -> TrainConfig {
    TrainConfig {
        steps: 4,
        validate_every: 1000,
        checkpoint_every: 2,
        pairs,
        ..TrainConfig::tiny(Vec::new(), folder.join("run"))
    }
}

fn with_photos(folder: &Path, count: usize) -> TrainConfig {
    for kind in 0..count {
        let path = folder.join(format!("photos/{kind}.png"));
        write_picture(&path, [SIDE, SIDE + kind], kind, false);
    }
    TrainConfig {
        photos: vec![folder.join("photos")],
        ..config(folder, Vec::new())
    }
}

/// The samples of the first `count` batches from step `first` on.
fn batches(config: &TrainConfig, first: u64, count: usize) -> Vec<Vec<f32>> {
    let data = DataSet::open(config).unwrap();
    let mut loader = Loader::start(
        Arc::clone(&data.training),
        config.batch,
        first,
        config.loader_threads,
    );
    let values = |tensor: &tch::Tensor| Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
    (0..count)
        .map(|_| {
            let batch = loader.next_batch().unwrap();
            [values(&batch.sharp), values(&batch.blurry)].concat()
        })
        .collect()
}

fn notes(config: &TrainConfig, resume: bool) -> (trainer::Result<trainer::Outcome>, Vec<String>) {
    let mut notes = Vec::new();
    let outcome = trainer::run(config, tch::Device::Cpu, resume, &mut |event| {
        match event {
            Event::Note(note) => notes.push(note),
            Event::Started { skipped, .. } => notes.extend(skipped),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    (outcome, notes)
}

#[test]
fn batches_do_not_depend_on_threads_memory_or_time() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = gopro(&folder.path().join("set"), 4, 3);
    let mut plain = with_photos(folder.path(), 5);
    plain.pairs = vec![pairs];
    (plain.batch, plain.scale_jitter) = (6, [0.6, 1.2]);
    for crops_per_photo in [1, 3] {
        plain.crops_per_photo = crops_per_photo;
        plain.loader_threads = 1;
        let expected = batches(&plain, 0, 8);
        assert_ne!(expected[0], expected[1]);
        for (threads, megabytes) in [(2, 0), (5, 0), (2, 1), (5, 1), (2, 2048), (5, 2048)] {
            let other = TrainConfig {
                loader_threads: threads,
                cache_megabytes: megabytes,
                ..plain.clone()
            };
            let got = batches(&other, 0, 8);
            assert!(got == expected, "{threads} threads, {megabytes} MB");
        }
        assert!(
            batches(&plain, 5, 3) == expected[5..],
            "begun in the middle"
        );
        let other = TrainConfig {
            seed: 2,
            ..plain.clone()
        };
        assert!(batches(&other, 0, 8) != expected, "another seed");
    }
}

#[test]
fn data_larger_than_the_budget_are_decoded_again_and_stay_within_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = with_photos(folder.path(), 20);
    // 20 × 0.095 MB do not fit into one.
    config.cache_megabytes = 1;
    let data = DataSet::open(&config).unwrap();
    assert_eq!(data.photos, 19);
    let before = data.cache.decoded();
    for index in 0..200 {
        data.training.pair(index).unwrap();
        assert!(data.cache.bytes() <= 1_000_000);
    }
    assert!(data.cache.decoded() > before + 20);
    let (outcome, _) = notes(
        &TrainConfig {
            cache_megabytes: 0,
            ..config
        },
        false,
    );
    assert_eq!(outcome.unwrap().step, 4);
}

#[test]
fn scenes_are_never_divided_and_a_crop_shows_the_same_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = gopro(folder.path(), 8, 3);
    let config = config(folder.path(), vec![pairs.clone()]);
    let data = DataSet::open(&config).unwrap();
    // A quarter of 24, in whole scenes of 3.
    assert_eq!(data.pairs, 18);
    assert!(
        data.notes[0].contains("18 pairs for training, 6 set aside for validation (scenes: 2)"),
        "{:?}",
        data.notes
    );
    for index in 0..50 {
        let pair = data.training.pair(index).unwrap();
        assert_eq!(pair.sharp.dim(), (3, 32, 32));
        let made = pair.sharp.mapv(|value| 0.5 * value + 0.1);
        let difference = (&made - &pair.blurry).mapv(f32::abs);
        let largest = difference.iter().copied().fold(0.0, f32::max);
        assert!(largest < 0.006, "{largest}: 8 bits on both sides");
    }
    // Scenes of one name go together, whatever the folder: as many as there are frames.
    let by_name = PairFolder {
        scene: Scene::Name,
        ..pairs
    };
    let data = DataSet::open(&TrainConfig {
        pairs: vec![by_name],
        ..config
    })
    .unwrap();
    assert_eq!(data.pairs, 16, "one of three names, from eight folders");
}

#[test]
fn bad_pairs_are_left_out_and_named_once() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let entry = gopro(&set, 6, 2);
    let scene = |path: &str| set.join("train/scene-1").join(path);
    write_picture(&scene("blur/alone.png"), [64, 80], 1, true);
    write_picture(&scene("sharp/single.png"), [64, 80], 1, false);
    write_picture(&scene("sharp/size.png"), [64, 81], 1, false);
    write_picture(&scene("blur/size.png"), [64, 80], 1, true);
    write_picture(&scene("sharp/tiny.png"), [20, 20], 1, false);
    write_picture(&scene("blur/tiny.png"), [20, 20], 1, true);
    std::fs::write(scene("blur/0.png"), b"\x89PNG\r\n\x1a\nnot really").unwrap();
    // Damaged behind the header, which is found when it is decoded.
    let mut bytes = std::fs::read(scene("blur/1.png")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 40].fill(0x55);
    std::fs::write(scene("blur/1.png"), bytes).unwrap();
    let run = TrainConfig {
        steps: 30,
        ..config(folder.path(), vec![entry])
    };
    let (outcome, notes) = notes(&run, false);
    assert_eq!(outcome.unwrap().step, 30);
    for (name, why) in [
        ("alone.png", "is not there"),
        ("sharp/single.png", "1 sharp picture without a blurry one"),
        ("size.png", "but its sharp picture is 81×64"),
        ("tiny.png", "20×20 is smaller than 32×32"),
        ("blur/0.png", ""),
        ("blur/1.png", "left out"),
    ] {
        let of_file: Vec<_> = notes
            .iter()
            .filter(|note| note.contains("scene-1") && note.contains(name))
            .collect();
        assert_eq!(of_file.len(), 1, "{name}: {notes:#?}");
        assert!(of_file[0].contains(why), "{of_file:?}");
    }
    assert_eq!(
        notes.iter().filter(|note| note.contains("scene-")).count(),
        6,
        "{notes:#?}"
    );
    let model = std::fs::read(run.out.join(files::MODEL)).unwrap();
    let model = ms_guidance::checkpoint::load(&model, tch::Device::Cpu).unwrap();
    let text = serde_json::to_string(&model.provenance).unwrap();
    assert!(
        !text.contains(set.to_str().unwrap()),
        "no path of this machine in the model"
    );
    assert!(text.contains("gopro"));
}

#[test]
fn nothing_usable_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let entry = gopro(folder.path(), 2, 2);
    let wrong = PairFolder {
        blurry: "**/hazy/*.png".into(),
        ..entry.clone()
    };
    let error = DataSet::open(&config(folder.path(), vec![wrong])).unwrap_err();
    assert!(
        error.to_string().contains("no file matches `blurry`"),
        "{error}"
    );
    let mismatch = PairFolder {
        pairing: Pairing::Rule(PairingRule::SameStem),
        ..entry.clone()
    };
    let error = DataSet::open(&config(folder.path(), vec![mismatch])).unwrap_err();
    assert!(
        error.to_string().contains("4 were skipped")
            && error.to_string().contains("has 2 sharp pictures"),
        "{error}"
    );
    // Headers that can be read, and nothing behind them.
    for (scene, frame) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let path = folder
            .path()
            .join(format!("train/scene-{scene}/blur/{frame}.png"));
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0x55);
        std::fs::write(&path, bytes).unwrap();
    }
    let error = DataSet::open(&config(folder.path(), vec![entry])).unwrap_err();
    assert!(matches!(error, Error::NoPairs { .. }), "{error}");
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[test]
fn a_folder_that_vanishes_stops_the_run_and_leaves_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("set");
    let run = TrainConfig {
        steps: 200,
        cache_megabytes: 0,
        // Constant learning rate, so that the planned length does not matter.
        lr_decay_images: 1,
        ..config(folder.path(), vec![gopro(&set, 4, 2)])
    };
    let aside = folder.path().join("aside");
    let result = trainer::run(&run, tch::Device::Cpu, false, &mut |event| {
        if let Event::Checkpoint { .. } = event
            && set.exists()
        {
            std::fs::rename(&set, &aside).unwrap();
        }
        ControlFlow::Continue(())
    });
    match result {
        Err(Error::DataLost { path, .. }) => assert!(path.starts_with(&set)),
        outcome => panic!("{outcome:?}"),
    }
    // The folder comes back under another name; what was saved goes on and ends as if nothing had happened.
    let moved = TrainConfig {
        steps: 6,
        pairs: vec![PairFolder {
            folder: aside.clone(),
            ..run.pairs[0].clone()
        }],
        ..run.clone()
    };
    let (outcome, _) = notes(&moved, true);
    assert_eq!(outcome.unwrap().step, 6);
    let whole = TrainConfig {
        out: folder.path().join("whole"),
        ..moved.clone()
    };
    notes(&whole, false).0.unwrap();
    let tensors = |config: &TrainConfig| {
        let bytes = std::fs::read(config.out.join(files::STATE)).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut all: Vec<(String, Vec<u8>)> = tensors
            .iter()
            .map(|(name, view)| (name.to_owned(), view.data().to_vec()))
            .collect();
        all.sort();
        all
    };
    assert!(
        tensors(&moved) == tensors(&whole),
        "bit-exact after the fault"
    );

    // Other pairs are other data.
    std::fs::remove_file(aside.join("train/scene-0/blur/0.png")).unwrap();
    match notes(&moved, true).0 {
        Err(Error::ResumeMismatch { difference, .. }) => assert_eq!(difference, "photographs"),
        outcome => panic!("{outcome:?}"),
    }
}

#[test]
fn photos_and_pairs_are_mixed_by_weight_and_validated_apart() {
    let folder = tempfile::tempdir().unwrap();
    let entry = PairFolder {
        weight: 3.0,
        ..gopro(&folder.path().join("set"), 4, 2)
    };
    let mut config = with_photos(folder.path(), 3);
    config.pairs = vec![entry];
    let data = DataSet::open(&config).unwrap();
    assert_eq!((data.photos, data.pairs), (2, 6));
    // Only in the pairs of these tests is blurry an exact function of sharp.
    let real = (0..400)
        .filter(|&index| {
            let pair = data.training.pair(index).unwrap();
            let made = pair.sharp.mapv(|value| 0.5 * value + 0.1);
            (&made - &pair.blurry).iter().all(|d| d.abs() < 0.006)
        })
        .count();
    assert!((270..=330).contains(&real), "three of four: {real}");
    let (outcome, _) = notes(&config, false);
    let report = outcome.unwrap().report;
    assert_eq!(report["gopro"].pairs, config.validation_crops);
    assert!(report.len() > 2 && report.contains_key("all"), "{report:?}");
}

#[test]
fn pairs_made_from_photos_by_name_train_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let set = folder.path().join("made");
    for (condition, name) in [("disc/3", 0), ("disc/3", 1), ("line/2", 0), ("line/2", 1)] {
        for (sort, soft) in [("sharp", false), ("blurry", true)] {
            let path = format!("{condition}/{sort}/{name}.png");
            write_picture(&set.join(path), [64, 64], name, soft);
        }
    }
    let text = format!(
        "name = 'made'\nfolder = '{}'\nblurry = '**/blurry/*.png'\nsharp = '**/sharp/*.png'\n\
         pairing = {{ sharp = '/sharp/', blurry = '/blurry/' }}\nscene = 'name'\n",
        set.display()
    );
    let config = config(folder.path(), vec![toml::from_str(&text).unwrap()]);
    let data = DataSet::open(&config).unwrap();
    assert_eq!(
        data.pairs, 2,
        "one photograph is set aside under both conditions"
    );
    assert_eq!(notes(&config, false).0.unwrap().step, 4);

    // The sharp pictures of a condition may be links to those of another.
    #[cfg(unix)]
    for name in ["0.png", "1.png"] {
        let [first, second] =
            ["disc/3", "line/2"].map(|condition| set.join(condition).join("sharp").join(name));
        std::fs::remove_file(&second).unwrap();
        std::os::unix::fs::symlink(first, second).unwrap();
    }
    let data = DataSet::open(&config).unwrap();
    assert_eq!((data.pairs, data.skipped.len()), (2, 0));
}

#[test]
fn small_photos_are_left_out_and_fewer_than_a_batch_are_enough() {
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        batch: 16,
        steps: 2,
        ..with_photos(folder.path(), 2)
    };
    write_picture(&folder.path().join("photos/small.png"), [40, 40], 1, false);
    let (outcome, notes) = notes(&config, false);
    assert_eq!(outcome.unwrap().step, 2);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].contains("small.png: 40×40 is smaller than"),
        "{notes:?}"
    );
}

#[test]
fn scale_jitter_changes_crops_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let plain = with_photos(folder.path(), 2);
    let off = TrainConfig {
        scale_jitter: [1.0, 1.0],
        ..plain.clone()
    };
    let on = TrainConfig {
        scale_jitter: [0.5, 0.9],
        ..plain.clone()
    };
    let (plain, off, on) = (
        batches(&plain, 0, 2),
        batches(&off, 0, 2),
        batches(&on, 0, 2),
    );
    assert!(plain == off);
    assert!(plain != on);
    assert!(
        on.iter()
            .flatten()
            .all(|value| (-1.001..=1.001).contains(value))
    );
}

#[test]
fn a_configuration_without_the_new_settings_loads_and_all_problems_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let config = with_photos(folder.path(), 0);
    let new = [
        "photos_weight",
        "cache_megabytes",
        "loader_threads",
        "crops_per_photo",
        "scale_jitter",
    ];
    let mut table: toml::Table = config.to_toml().unwrap().parse().unwrap();
    for name in new {
        assert!(table.remove(name).is_some(), "{name}");
    }
    std::fs::write(&path, table.to_string()).unwrap();
    assert_eq!(TrainConfig::from_file(&path).unwrap(), config);

    let entry = gopro(&folder.path().join("set"), 1, 1);
    let with_pairs = TrainConfig {
        pairs: vec![entry.clone()],
        ..config.clone()
    };
    std::fs::write(&path, with_pairs.to_toml().unwrap()).unwrap();
    assert_eq!(TrainConfig::from_file(&path).unwrap(), with_pairs);

    let wrong = TrainConfig {
        photos_weight: -1.0,
        loader_threads: 5000,
        crops_per_photo: 0,
        scale_jitter: [1.2, 0.5],
        pairs: vec![
            PairFolder {
                blurry: "***".into(),
                weight: f64::NAN,
                validation_share: 0.9,
                ..entry.clone()
            },
            entry,
        ],
        ..config
    };
    match wrong.validate() {
        Err(Error::InvalidConfig { problems }) => assert_eq!(problems.len(), 8, "{problems:#?}"),
        outcome => panic!("{outcome:?}"),
    }
}

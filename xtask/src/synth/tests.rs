//! Pairs from photos on the disk, made, gone on with, checked and damaged.

use std::fs;
use std::path::{Path, PathBuf};

use blur_synth::{Condition, Recipe};
use image_io::{Format, Limits, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;

use super::make::{Job, Made};
use super::photos;
use super::record::{self, PairFiles, Record, SET_FILE};
use super::{recipe_file, refuse_inside, spread, verify};

/// Two photos, a recipe, and a place for pairs.
struct Scene {
    folder: tempfile::TempDir,
    recipe: Recipe,
}

const RECIPE: &str = r#"
schema_version = 1
name = "test"
seed = 3

[[conditions]]
name = "disc"
blur = { family = "defocus", radius = 2.0 }

[[conditions]]
name = "mixed"
preset = "standard"
per_photo = 2

[[conditions]]
name = "night"
scenario = "night_shake"
severity = 2
camera = { jpeg = { quality = 60, chroma = "4:2:0" } }

[[conditions]]
name = "moving"
scenario = "object_motion"
severity = 3
camera = { quantise_bits = 16 }
"#;

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos");
        fs::create_dir_all(photos.join("inner")).unwrap();
        for (index, name) in ["a.png", "inner/b.tif"].into_iter().enumerate() {
            let pixels = Array3::from_shape_fn((3, 110 + 7 * index, 130), |(channel, y, x)| {
                let wave = ((x * (channel + 2) + y * (index + 3)) % 23) as f32 / 23.0;
                if (x / 9 + y / 11) % 2 == 0 {
                    wave
                } else {
                    1.0 - 0.3 * wave
                }
            });
            let photo = Photo {
                pixels,
                alpha: None,
                info: PhotoInfo::new(Format::Png),
            };
            image_io::write(&photos.join(name), &photo, &WriteOptions::default()).unwrap();
        }
        Self {
            folder,
            recipe: toml::from_str(RECIPE).unwrap(),
        }
    }

    fn photos(&self) -> PathBuf {
        self.folder.path().join("photos")
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("pairs")
    }

    fn make_in(&self, out: &Path) -> anyhow::Result<Made> {
        Job {
            recipe: &self.recipe,
            folder: &self.photos(),
            photos: &photos::in_folder(&self.photos()).unwrap(),
            limit: None,
            crop: Some([64, 48]),
            out,
            is_stopped: || false,
        }
        .run()
    }

    fn make(&self) -> Made {
        self.make_in(&self.out()).unwrap()
    }

    fn problems(&self) -> Vec<String> {
        verify::verify(&self.out(), None).unwrap().problems
    }
}

fn bytes_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap().to_owned();
            let bytes = fs::read(&path).unwrap();
            (name, bytes)
        })
        .collect()
}

#[test]
fn pairs_are_made_once_and_hold_what_the_recipe_says() {
    let scene = Scene::new();
    let made = scene.make();
    assert_eq!((made.made, made.kept), (10, 0), "{:?}", made.failed);
    assert!(made.failed.is_empty());
    let files = PairFiles::new(&scene.out(), "moving", "inner__b");
    let blurry = image_io::read(&files.blurry, &Limits::default()).unwrap();
    let sharp = image_io::read(&files.sharp, &Limits::default()).unwrap();
    assert_eq!(blurry.pixels.dim(), (3, 48, 64));
    assert_eq!(sharp.pixels.dim(), (3, 48, 64));
    assert_eq!(blurry.info.bit_depth, image_io::BitDepth::Sixteen);
    assert_eq!(sharp.info.bit_depth, image_io::BitDepth::Eight);
    assert_ne!(blurry.pixels, sharp.pixels);
    let record: Record = record::read(&files.record).unwrap();
    assert_eq!(record.photo, "inner/b.tif");
    assert!(record.psnr_db.unwrap() > 5.0 && record.psnr_db.unwrap() < 60.0);
    // The sharp picture is the part of the photo that the record names.
    let photo = image_io::read(&scene.photos().join("inner/b.tif"), &Limits::default()).unwrap();
    let (top, left) = (record.crop.top, record.crop.left);
    let part = ndarray::s![.., top..top + 48, left..left + 64];
    assert_eq!(sharp.pixels, photo.pixels.slice(part));
    assert_eq!(scene.problems(), Vec::<String>::new());
    let again = scene.make();
    assert_eq!((again.made, again.kept), (0, 10));
}

#[test]
fn the_same_recipe_gives_the_same_bytes_with_any_number_of_threads() {
    let scene = Scene::new();
    let mut results = Vec::new();
    for threads in [1, 3] {
        let out = scene.folder.path().join(format!("with-{threads}"));
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| scene.make_in(&out).unwrap());
        results.push(bytes_below(&out));
    }
    // Three files a pair, the record of the set and the lock.
    assert_eq!(results[0].len(), 3 * 10 + 2);
    assert_eq!(results[0], results[1]);
}

#[test]
fn what_a_killed_run_left_is_completed() {
    let scene = Scene::new();
    scene.make();
    let whole = bytes_below(&scene.out());
    let first = PairFiles::new(&scene.out(), "disc", "a");
    let second = PairFiles::new(&scene.out(), "mixed", "a_002");
    // A record is the last that is written: without it nothing is trusted.
    fs::remove_file(&first.record).unwrap();
    fs::write(&first.blurry, "half a picture").unwrap();
    fs::remove_file(&second.sharp).unwrap();
    let made = scene.make();
    assert_eq!((made.made, made.kept), (2, 8));
    assert_eq!(bytes_below(&scene.out()), whole);
}

#[test]
fn every_fault_is_found_by_name() {
    let scene = Scene::new();
    scene.make();
    let files = |condition: &str, stem: &str| PairFiles::new(&scene.out(), condition, stem);
    let expect = |name: &str, what: &str| {
        let problems = scene.problems();
        assert!(
            problems.len() == 1 && problems[0].contains(name) && problems[0].contains(what),
            "{name}, {what}: {problems:?}"
        );
    };
    let restore = |path: &Path, act: &dyn Fn(&Path), check: &dyn Fn()| {
        let bytes = fs::read(path).unwrap();
        act(path);
        check();
        fs::write(path, bytes).unwrap();
        assert!(scene.problems().is_empty());
    };
    let disc = files("disc", "a");
    let one_level_off = |path: &Path| {
        let mut photo = image_io::read(path, &Limits::default()).unwrap();
        let value = &mut photo.pixels[[1, 5, 7]];
        *value = if *value > 0.5 {
            *value - 1.0 / 255.0
        } else {
            *value + 1.0 / 255.0
        };
        let options = WriteOptions {
            overwrite: true,
            ..WriteOptions::default()
        };
        image_io::write(path, &photo, &options).unwrap();
    };
    let remove = |path: &Path| fs::remove_file(path).unwrap();
    restore(&disc.blurry, &one_level_off, &|| expect("disc/a", "blurry"));
    restore(&disc.sharp, &one_level_off, &|| expect("disc/a", "sharp"));
    restore(&disc.blurry, &remove, &|| expect("disc/a", "a.png"));
    restore(&disc.record, &remove, &|| expect("disc/a", "a.json"));
    restore(
        &disc.record,
        &|path| fs::write(path, "{}").unwrap(),
        &|| {
            expect("disc/a", "not a sound record");
        },
    );
    let edit = |from: &'static str, to: &'static str| {
        move |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.contains(from), "{text}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }
    };
    restore(
        &disc.record,
        &edit("\"radius\": 2.0", "\"radius\": 2.5"),
        &|| {
            expect("disc/a", "other parameters");
        },
    );
    restore(&disc.record, &edit("\"a.png\"", "\"../a.png\""), &|| {
        expect("disc/a", "outside the folder");
    });
    restore(
        &disc.record,
        &edit("\"left\": ", "\"left\": 99999999999"),
        &|| {
            expect("disc/a", "crop");
        },
    );
    let stray = scene.out().join("mixed/sharp/stray.png");
    fs::write(&stray, "").unwrap();
    expect("stray.png", "belongs to no pair");
    fs::remove_file(stray).unwrap();
    // Another photo under the old name concerns each pair made of it.
    fs::copy(
        scene.photos().join("inner/b.tif"),
        scene.photos().join("a.png"),
    )
    .unwrap();
    let problems = scene.problems();
    assert_eq!(problems.len(), 5, "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|problem| problem.contains("has changed"))
    );
}

#[test]
fn moved_photos_are_found_where_the_user_says() {
    let scene = Scene::new();
    scene.make();
    let moved = scene.folder.path().join("moved");
    fs::rename(scene.photos(), &moved).unwrap();
    assert_eq!(scene.problems().len(), 10);
    let findings = verify::verify(&scene.out(), Some(&moved)).unwrap();
    assert_eq!((findings.sound, findings.problems.len()), (10, 0));
    assert!(verify::verify(&moved, None).is_err());
}

#[test]
fn a_folder_is_never_mixed_or_overwritten() {
    let mut scene = Scene::new();
    let out = scene.out();
    fs::create_dir(&out).unwrap();
    fs::write(out.join("thesis.txt"), "precious").unwrap();
    let error = scene.make_in(&out).unwrap_err().to_string();
    assert!(error.contains("is not empty"), "{error}");
    fs::remove_file(out.join("thesis.txt")).unwrap();
    scene.make();
    let before = bytes_below(&out);
    scene.recipe.seed = 4;
    let error = scene.make_in(&out).unwrap_err().to_string();
    assert!(error.contains("another recipe"), "{error}");
    assert_eq!(bytes_below(&out), before);
    assert!(out.join(SET_FILE).is_file());
}

#[test]
fn a_bad_photo_fails_alone() {
    let scene = Scene::new();
    fs::write(scene.photos().join("broken.png"), "no picture").unwrap();
    let tiny = Photo {
        pixels: Array3::zeros((3, 3, 3)),
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    let path = scene.photos().join("tiny.png");
    image_io::write(&path, &tiny, &WriteOptions::default()).unwrap();
    let made = scene.make();
    assert!(made.made >= 10, "{made:?}");
    let named = |name: &str| made.failed.iter().any(|failure| failure.contains(name));
    assert!(named("broken.png") && named("tiny.png, moving"), "{made:?}");
    assert!(!named("a.png"), "{made:?}");
}

#[test]
fn recipes_tell_all_that_is_wrong_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recipe.toml");
    let read = |text: &str| {
        fs::write(&path, text).unwrap();
        recipe_file::read(&path)
    };
    assert_eq!(read(RECIPE).unwrap().conditions.len(), 4);
    let wrong = RECIPE
        .replace("severity = 2", "severity = 6")
        .replace("radius = 2.0", "radius = -2.0")
        .replace("name = \"mixed\"", "name = \"../up\"");
    let error = format!("{:#}", read(&wrong).unwrap_err());
    for part in [
        "recipe.toml",
        "`night`: severity = 6",
        "`disc`",
        "radius = -2",
        "`../up`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = format!(
        "{:#}",
        read(&RECIPE.replace("per_photo", "per_foto")).unwrap_err()
    );
    assert!(error.contains("per_foto"), "{error}");
    let error = format!(
        "{:#}",
        read("schema_version = 1\nconditions = 3").unwrap_err()
    );
    assert!(error.contains("recipe.toml"), "{error}");
    let kernels = RECIPE.replace(
        "blur = { family = \"defocus\", radius = 2.0 }",
        "kernel_files = [\"kernels/*.png\"]",
    );
    let error = format!("{:#}", read(&kernels).unwrap_err());
    assert!(error.contains("kernels/*.png"), "{error}");
    fs::create_dir(folder.path().join("kernels")).unwrap();
    let kernel = Photo {
        pixels: Array3::from_shape_fn((3, 5, 7), |(_, y, x)| (y * x) as f32 / 24.0),
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    let file = folder.path().join("kernels/one.png");
    image_io::write(&file, &kernel, &WriteOptions::default()).unwrap();
    let recipe = read(&kernels).unwrap();
    let read_kernels = recipe.conditions[0].kernels.as_ref().unwrap();
    assert_eq!((read_kernels.len(), read_kernels[0].taps.len()), (1, 5));
    assert_eq!(recipe.conditions[0].kernel_files, None);
    let error = format!(
        "{:#}",
        read(&kernels.replace("*.png", "one.png#f")).unwrap_err()
    );
    assert!(error.contains("one.png"), "{error}");
    fs::write(&file, "no kernel").unwrap();
    let error = format!("{:#}", read(&kernels).unwrap_err());
    assert!(error.contains("one.png"), "{error}");
    let json = folder.path().join("recipe.json");
    let recipe: Recipe = toml::from_str(RECIPE).unwrap();
    fs::write(&json, serde_json::to_string(&recipe).unwrap()).unwrap();
    assert_eq!(recipe_file::read(&json).unwrap(), recipe);
}

#[test]
fn photos_are_spread_evenly() {
    let all: Vec<u32> = (0..10).collect();
    assert_eq!(spread(all.clone(), Some(3)), [0, 4, 7]);
    assert_eq!(spread(all.clone(), Some(1)), [0]);
    for count in 1..12 {
        assert_eq!(
            spread(all.clone(), Some(count)).len(),
            10.min(count as usize)
        );
    }
    assert_eq!(spread(all.clone(), None), all);
    assert!(spread(Vec::<Condition>::new(), Some(4)).is_empty());
}

#[test]
fn the_recipes_of_this_repository_are_right() {
    let folder = crate::workspace::root().join("datasets/recipes");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let recipe = recipe_file::read(&entry.unwrap().path()).unwrap();
        for condition in &recipe.conditions {
            recipe.degradation(condition, "photo", 0).unwrap();
        }
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn frames_of_a_film_are_averaged() {
    let mut scene = Scene::new();
    let film = scene.photos().join("film");
    fs::create_dir(&film).unwrap();
    let frame = |shift: usize| Photo {
        pixels: Array3::from_shape_fn((3, 60, 80), |(channel, y, x)| {
            ((x + shift + 3 * y + channel) % 17) as f32 / 17.0
        }),
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    for shift in 0..7 {
        let path = film.join(format!("{shift:03}.png"));
        image_io::write(&path, &frame(shift), &WriteOptions::default()).unwrap();
    }
    scene.recipe = toml::from_str(
        "schema_version = 1\nname = 'film'\nseed = 1\n[[conditions]]\nname = 'mean'\n\
         blur = { family = 'frame_average', frames = 3 }\n\
         camera = { shot_noise = 0.0, read_noise = 0.0, response = { curve = 'gamma', gamma = 1.0 } }\n",
    )
    .unwrap();
    let made = scene.make();
    assert_eq!((made.made, made.failed.len()), (2, 0), "{made:?}");
    let files = PairFiles::new(&scene.out(), "mean", "film__004");
    let record: Record = record::read(&files.record).unwrap();
    assert_eq!(record.frames.len(), 3);
    let blurry = image_io::read(&files.blurry, &Limits::default()).unwrap();
    // The mean of the stored frames, rounded to 8 bits.
    let frames: Vec<Photo> = (3..6)
        .map(|shift| {
            image_io::read(&film.join(format!("{shift:03}.png")), &Limits::default()).unwrap()
        })
        .collect();
    for ((channel, y, x), value) in blurry.pixels.indexed_iter() {
        let at = [channel, y + record.crop.top, x + record.crop.left];
        let mean = frames.iter().map(|frame| frame.pixels[at]).sum::<f32>() / 3.0;
        assert!((value - mean).abs() < 0.51 / 255.0, "{value} {mean}");
    }
    assert!(scene.problems().is_empty());
    fs::copy(film.join("000.png"), film.join("005.png")).unwrap();
    let problems = scene.problems();
    assert!(
        problems.len() == 1 && problems[0].contains("005.png has changed"),
        "{problems:?}"
    );
    scene.recipe.conditions[0].blur = Some(blur_synth::Blur::FrameAverage { frames: 9 });
    let made = scene
        .make_in(&scene.folder.path().join("too-long"))
        .unwrap();
    assert!(
        made.failed.len() == 1 && made.failed[0].contains("in a row"),
        "{made:?}"
    );
}

#[test]
fn a_pair_in_the_place_of_another_is_found() {
    let scene = Scene::new();
    scene.make();
    let from = PairFiles::new(&scene.out(), "mixed", "a_001");
    let to = PairFiles::new(&scene.out(), "mixed", "a_002");
    for (from, to) in [
        (from.blurry, to.blurry),
        (from.sharp, to.sharp),
        (from.record, to.record),
    ] {
        fs::copy(from, to).unwrap();
    }
    let problems = scene.problems();
    assert!(
        problems.len() == 1
            && problems[0].contains("mixed/a_002")
            && problems[0].contains("picture 1 of a.png"),
        "{problems:?}"
    );
}

#[test]
fn sets_of_another_version_or_with_more_photos_are_not_gone_on_with() {
    let scene = Scene::new();
    scene.make();
    let file = scene.out().join(SET_FILE);
    let text = fs::read_to_string(&file).unwrap();
    let refuse = |what: &str| {
        let error = format!("{:#}", scene.make_in(&scene.out()).unwrap_err());
        assert!(error.contains(what), "{error}");
    };
    let version = format!("\"blur_synth\": \"{}\"", blur_synth::VERSION);
    assert!(text.contains(&version), "{text}");
    fs::write(&file, text.replace(&version, "\"blur_synth\": \"0.0.0\"")).unwrap();
    refuse("version 0.0.0");
    fs::write(
        &file,
        text.replacen("\"schema_version\": 1", "\"schema_version\": 99", 1),
    )
    .unwrap();
    refuse("schema_version = 99");
    assert!(verify::verify(&scene.out(), None).is_err());
    fs::write(&file, &text).unwrap();
    fs::remove_file(scene.photos().join("a.png")).unwrap();
    refuse("more photos than are named now, such as disc/a");
}

#[test]
fn a_limit_leaves_frames_together() {
    let mut scene = Scene::new();
    for index in 0..20 {
        let photo = Photo {
            pixels: Array3::from_elem((3, 16, 16), index as f32 / 20.0),
            alpha: None,
            info: PhotoInfo::new(Format::Png),
        };
        // Without leading zeros.
        let path = scene.photos().join(format!("frame {index}.png"));
        image_io::write(&path, &photo, &WriteOptions::default()).unwrap();
    }
    scene.recipe = toml::from_str(
        "schema_version = 1\nname = 'film'\nseed = 1\n[[conditions]]\nname = 'mean'\nblur = { family = 'frame_average', frames = 5 }\n",
    )
    .unwrap();
    let made = Job {
        recipe: &scene.recipe,
        folder: &scene.photos(),
        photos: &photos::in_folder(&scene.photos()).unwrap(),
        limit: Some(2),
        crop: None,
        out: &scene.out(),
        is_stopped: || false,
    }
    .run()
    .unwrap();
    assert_eq!((made.made, made.failed.len()), (2, 0), "{made:?}");
    let record: Record =
        record::read(&PairFiles::new(&scene.out(), "mean", "frame 12").record).unwrap();
    let frames: Vec<&str> = record
        .frames
        .iter()
        .map(|frame| frame.photo.as_str())
        .collect();
    assert_eq!(
        frames,
        [
            "frame 10.png",
            "frame 11.png",
            "frame 12.png",
            "frame 13.png",
            "frame 14.png"
        ]
    );
}

#[test]
fn damaged_pictures_are_made_anew() {
    let scene = Scene::new();
    scene.make();
    let whole = bytes_below(&scene.out());
    let one = PairFiles::new(&scene.out(), "disc", "a");
    let other = PairFiles::new(&scene.out(), "night", "a");
    fs::copy(&other.blurry, &one.blurry).unwrap();
    fs::write(&other.sharp, "no picture").unwrap();
    let made = scene.make();
    assert_eq!((made.made, made.kept), (2, 8), "{made:?}");
    assert_eq!(bytes_below(&scene.out()), whole);
}

#[test]
fn pairs_do_not_go_among_the_photos() {
    let scene = Scene::new();
    let photos = scene.photos();
    for out in [
        photos.clone(),
        photos.join("pairs/deep"),
        photos.join("inner/../x"),
    ] {
        let error = refuse_inside(&out, &photos).unwrap_err().to_string();
        assert!(error.contains("--out lies in the folder"), "{error}");
    }
    refuse_inside(&scene.out(), &photos).unwrap();
    assert!(photos::in_folder(&photos.join("a.png")).is_err());
}

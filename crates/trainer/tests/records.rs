//! What a run leaves to look at: curves, preview sheets and TensorBoard's files, after a resume and where they cannot be written.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use image_io::Limits;
use trainer::{Event, TrainConfig, files};

use support::write_photo;

fn photos(folder: &Path) {
    for kind in 0..2 {
        write_photo(&folder.join(format!("photos/{kind}.png")), 176, kind);
    }
}

fn config(folder: &Path, out: &str, steps: u64) -> TrainConfig {
    TrainConfig {
        steps,
        validate_every: 2,
        checkpoint_every: 2,
        ..TrainConfig::tiny(vec![folder.join("photos")], folder.join(out))
    }
}

/// Runs to the end; the notes.
fn train(config: &TrainConfig, resume: bool, watch: &dyn Fn(u64)) -> Vec<String> {
    let mut notes = Vec::new();
    trainer::run(config, tch::Device::Cpu, resume, &mut |event| {
        match event {
            Event::Step { step, .. } => watch(step),
            Event::Note(note) => notes.push(note),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    notes
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

/// A varint of protocol buffers at the start of `bytes`, and what follows.
fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let parts = bytes[..end].iter().rev();
    let value = parts.fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    (value, &bytes[end..])
}

/// The fields of a message: number, and the bytes or the number in them.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (key, rest) = varint(bytes);
        let (value, length, rest) = match key & 7 {
            0 => {
                let (value, rest) = varint(rest);
                (value, 0, rest)
            }
            1 => (0, 8, rest),
            5 => (0, 4, rest),
            2 => {
                let (length, rest) = varint(rest);
                (0, length as usize, rest)
            }
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, value, &rest[..length]));
        bytes = &rest[length..];
    }
    found
}

/// How often each tag was written at each step, in all event files.
fn events(folder: &Path) -> BTreeMap<(u64, String), usize> {
    let mut counts = BTreeMap::new();
    for name in names(folder) {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let event = fields(&rest[12..12 + length]);
            rest = &rest[16 + length..];
            let step = event.iter().find(|field| field.0 == 2);
            let step = step.map_or(0, |field| field.1);
            for (_, _, summary) in event.iter().filter(|field| field.0 == 5) {
                for (_, _, value) in fields(summary) {
                    let tag = fields(value)[0].2.to_vec();
                    let tag = String::from_utf8(tag).unwrap();
                    *counts.entry((step, tag)).or_default() += 1;
                }
            }
        }
    }
    counts
}

fn log(config: &TrainConfig) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(config.out.join(files::LOG)).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_run_that_lost_its_last_steps_shows_each_once() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let whole = config(folder.path(), "whole", 6);
    assert_eq!(train(&whole, false, &|_| {}), Vec::<String>::new());

    let parts = config(folder.path(), "parts", 6);
    train(&parts, false, &|_| {});
    // As if it had been killed before the state of step 4 was written.
    let state = |name: &str| parts.out.join(name);
    std::fs::remove_file(state("state-000000004.safetensors")).unwrap();
    std::fs::rename(state("state-000000002.safetensors"), state(files::STATE)).unwrap();
    // What the resumed run begins with.
    trainer::run(&parts, tch::Device::Cpu, true, &mut |event| {
        if let Event::Step { step: 3, .. } = event {
            assert_eq!(
                names(&parts.out.join(files::PREVIEWS)),
                ["step-000000002.png"]
            );
            let first = std::fs::read(parts.out.join("previews/step-000000002.png")).unwrap();
            assert!(std::fs::read(parts.out.join(files::PREVIEW)).unwrap() == first);
            let curves = std::fs::read_to_string(parts.out.join(files::CURVES)).unwrap();
            assert!(curves.contains("tiny, step 2"));
        }
        ControlFlow::Continue(())
    })
    .unwrap();

    // Where a disk is nearly full, what is needed to go on comes first.
    let written = |name: &str| {
        let file = std::fs::metadata(whole.out.join(name)).unwrap();
        file.modified().unwrap()
    };
    assert!(written(files::STATE) < written(files::PREVIEW));
    assert!(written(files::STATE) < written(files::CURVES));

    let measured = |config: &TrainConfig| -> Vec<_> {
        let line = |line: serde_json::Value| {
            let keys = ["type", "step", "loss", "smoothed_loss", "report"];
            keys.map(|key| line[key].clone())
        };
        log(config).into_iter().map(line).collect()
    };
    assert_eq!(measured(&whole), measured(&parts));
    assert_eq!(measured(&whole).len(), 6 + 3);

    let counts = events(&parts.out.join(files::TENSORBOARD));
    assert!(counts.values().all(|&count| count == 1), "{counts:?}");
    let steps = |tag: &str| -> Vec<u64> {
        let here = counts.keys().filter(|(_, name)| name == tag);
        here.map(|(step, _)| *step).collect()
    };
    assert_eq!(steps("training/loss"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(steps("validation/all/output_psnr"), [2, 4, 6]);
    assert_eq!(steps("preview"), [2, 4, 6]);
    assert_eq!(counts, events(&whole.out.join(files::TENSORBOARD)));

    let previews = parts.out.join(files::PREVIEWS);
    let sheets = [2, 4, 6].map(|step| format!("step-{step:09}.png"));
    assert_eq!(names(&previews), sheets);
    for sheet in sheets {
        let bytes = |config: &TrainConfig| {
            std::fs::read(config.out.join(files::PREVIEWS).join(&sheet)).unwrap()
        };
        assert!(bytes(&whole) == bytes(&parts), "{sheet}");
    }
    let curves = std::fs::read_to_string(parts.out.join(files::CURVES)).unwrap();
    assert!(curves.contains("tiny, step 6") && curves.trim_end().ends_with("</svg>"));
}

#[test]
fn what_cannot_be_written_stops_nothing_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let run = config(folder.path(), "run", 6);
    std::fs::create_dir(&run.out).unwrap();
    let in_the_way = [files::PREVIEWS, files::TENSORBOARD];
    for name in in_the_way {
        std::fs::write(run.out.join(name), "in the way").unwrap();
    }
    std::fs::create_dir_all(run.out.join(files::CURVES).join("not empty")).unwrap();
    let notes = train(&run, false, &|step| {
        if step == 5 {
            for name in in_the_way {
                std::fs::remove_file(run.out.join(name)).unwrap();
            }
            std::fs::remove_dir_all(run.out.join(files::CURVES)).unwrap();
        }
    });
    for name in [files::PREVIEWS, files::TENSORBOARD, files::CURVES] {
        let mine: Vec<&String> = notes.iter().filter(|note| note.starts_with(name)).collect();
        assert_eq!(mine.len(), 2, "{name}: {notes:#?}");
        assert!(mine[0].contains("could not be written: "), "{}", mine[0]);
        assert!(mine[0].contains(run.out.to_str().unwrap()), "{}", mine[0]);
        assert!(mine[1].contains("can be written again"), "{}", mine[1]);
    }
    assert_eq!(
        names(&run.out.join(files::PREVIEWS)),
        ["step-000000006.png"]
    );
    // TensorBoard's file begins when it can; what was before stands in the log and the curves.
    let counts = events(&run.out.join(files::TENSORBOARD));
    assert!(counts.contains_key(&(6, "training/loss".into())));
    assert_eq!(log(&run).len(), 6 + 3);
    assert!(run.out.join(files::STATE).exists());
}

#[test]
fn a_sheet_has_a_row_per_family_and_a_column_per_picture() {
    let folder = tempfile::tempdir().unwrap();
    photos(folder.path());
    let size = |run: &TrainConfig| {
        train(run, false, &|_| {});
        let path = run.out.join(files::PREVIEW);
        let photo = image_io::read(&path, &Limits::default()).unwrap();
        (photo.height(), photo.width())
    };
    let guided = config(folder.path(), "guided", 1);
    let families = guided.blur.families.len();
    let scales = guided.model.unet.guidance_channels.len();
    assert!(families > 1 && scales > 0);
    // Crops of 32 pixels are shown four times as large, with 6 pixels between them and lines of 16 above and below.
    let sizes = |scales: usize| {
        let rows = families * (16 + 128 + 16 + 6);
        (3 * 6 + 2 * 16 + rows, 6 + (4 + scales) * 134)
    };
    assert_eq!(size(&guided), sizes(scales));

    let mut unguided = config(folder.path(), "unguided", 1);
    unguided.model.unet.guidance_channels.clear();
    unguided.keep_previews = 1;
    assert_eq!(size(&unguided), sizes(0));

    let mut bare = config(folder.path(), "bare", 1);
    (bare.keep_previews, bare.tensorboard) = (0, false);
    train(&bare, false, &|_| {});
    let kept = names(&bare.out);
    assert!(
        !kept.iter().any(|name| name.starts_with("preview")),
        "{kept:?}"
    );
    assert!(
        !kept.iter().any(|name| name == files::TENSORBOARD),
        "{kept:?}"
    );
    assert!(kept.iter().any(|name| name == files::CURVES), "{kept:?}");
}

//! The parts of a run against the whole.

use std::collections::BTreeMap;

use super::*;
use crate::bench_ood::evaluate::{Outcome, Started};
use crate::bench_ood::measure::{Measured, full_name};
use crate::bench_ood::pairs::{Condition, Pair};
use crate::bench_ood::results::Metric;
use crate::bench_ood::resume::Computed;
use crate::suite::Protocol;

/// Results of three methods on invented pairs, whose numbers depend on names alone.
fn invented(shard: Option<Shard>) -> (RunRecord, Results) {
    let condition = |name: &str, numbers: std::ops::Range<usize>, one_kernel| {
        let pairs = numbers
            .filter(|number| shard.is_none_or(|shard| shard.has(*number)))
            .map(|number| Pair {
                name: format!("{number:03}"),
                photo: format!("set/{number}"),
                blurry: PathBuf::new(),
                sharp: PathBuf::new(),
                sha256: format!("{name}{number}"),
                degradation: None,
            })
            .collect();
        Condition {
            domain: "photos".to_owned(),
            name: name.to_owned(),
            family: name.to_owned(),
            severity: None,
            in_domain: name == "disc",
            real: false,
            protocol: if name == "zoom" {
                Protocol::BasicsrY
            } else {
                Protocol::Rgb
            },
            one_kernel,
            pairs,
        }
    };
    let pairs = Pairs {
        conditions: vec![
            condition("disc", 0..10, true),
            condition("zoom", 10..13, false),
            condition("rare", 13..14, true),
        ],
        ..Pairs::default()
    };
    let metric = |protocol: &str| Metric {
        protocol: protocol.to_owned(),
        higher_is_better: true,
        unit: "dB".to_owned(),
    };
    let of = |protocol: &str| BTreeMap::from([("psnr".to_owned(), metric(protocol))]);
    let method = |name: &str, kind| results::Method {
        name: name.to_owned(),
        kind,
        oracle: false,
        description: String::new(),
        checkpoint: None,
        options: None,
        matched_with: None,
        curve: None,
    };
    let plans = [
        methods::Planned {
            method: method("input", MethodKind::Input),
            work: methods::Work::Input,
        },
        methods::Planned {
            method: method("wiener", MethodKind::Classical),
            work: methods::Work::Classical(classical::Classical::Wiener),
        },
        methods::Planned {
            method: method("guided", MethodKind::Model),
            work: methods::Work::Model(None),
        },
    ];
    let measured: Vec<Measured> = plans
        .into_iter()
        .map(|planned| {
            let mut pictures = BTreeMap::new();
            for condition in &pairs.conditions {
                for pair in &condition.pairs {
                    let name = full_name(condition, &pair.name);
                    let value = name.bytes().map(f64::from).sum::<f64>() / 7.0;
                    let outcome = if pair.name == "004" {
                        Outcome::Failed("cut off".to_owned())
                    } else {
                        Outcome::Scored {
                            metrics: BTreeMap::from([("psnr".to_owned(), value)]),
                            seconds: 0.5,
                        }
                    };
                    pictures.insert(name, outcome);
                }
            }
            let started = |protocol: Protocol| Started {
                metrics: of(if protocol == Protocol::Rgb {
                    "colour"
                } else {
                    "luma"
                }),
                weights: BTreeMap::from([("lpips".to_owned(), "ab".to_owned())]),
                computed: matches!(planned.work, methods::Work::Model(_)).then(|| Computed {
                    device: "cpu".to_owned(),
                    precision: "float32".to_owned(),
                }),
            };
            // The program is asked only about protocols of which there are pictures.
            let asked = pairs.conditions.iter().filter(|condition| {
                !condition.pairs.is_empty()
                    && measure::not_applicable(&planned, condition).is_none()
            });
            let started = asked
                .map(|condition| (condition.protocol.name(), started(condition.protocol)))
                .collect();
            Measured {
                planned,
                pictures,
                started,
            }
        })
        .collect();
    let mut record = record(&pairs, shard);
    record.setup = Setup::of(&measured);
    let provenance = provenance::of(Path::new("msdeblur"), record.started.clone(), 1.0);
    let notes = vec!["a note".to_owned()];
    let out = Path::new("nowhere");
    let results = assemble::results(
        &record,
        &pairs.conditions,
        &measured,
        provenance,
        notes,
        out,
    );
    results.check().unwrap();
    (record, results)
}

fn write(folder: &Path, (record, results): &(RunRecord, Results)) {
    std::fs::create_dir_all(folder).unwrap();
    record.write(folder).unwrap();
    std::fs::write(folder.join(merge::RESULTS), results.to_json().unwrap()).unwrap();
}

#[test]
fn parts_that_are_joined_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (whole_record, whole) = invented(None);
    for count in [1, 2, 3, 5, 20] {
        let mut folders: Vec<PathBuf> = (1..=count)
            .map(|index| {
                let folder = root.join(format!("{index}-of-{count}"));
                write(&folder, &invented(Some(Shard { index, count })));
                folder
            })
            .collect();
        folders.reverse();
        let out = root.join(format!("whole-{count}"));
        std::fs::create_dir(&out).unwrap();
        let (record, mut joined) = merge::merge(&folders, &out, None).unwrap();
        assert_eq!(joined.provenance.seconds, f64::from(count));
        assert_eq!(joined.notes[0], "a note");
        assert_eq!(joined.notes.len(), 2, "{:?}", joined.notes);
        joined.provenance.seconds = whole.provenance.seconds;
        joined.notes.pop();
        assert_eq!(joined, whole, "{count} parts");
        assert_eq!(record.conditions, whole_record.conditions);
        assert_eq!(record.setup, whole_record.setup);
        assert_eq!(record.shard, None);
    }
}

#[test]
fn parts_that_do_not_belong_together_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let out = root.join("whole");
    let part = |index| invented(Some(Shard { index, count: 2 }));
    let (one, two, other) = (root.join("one"), root.join("two"), root.join("other"));
    write(&one, &part(1));
    write(&two, &part(2));
    let message = |folders: &[&PathBuf]| {
        let folders: Vec<PathBuf> = folders.iter().map(|&folder| folder.clone()).collect();
        format!("{:#}", merge::merge(&folders, &out, None).err().unwrap())
    };
    assert!(message(&[&one]).contains("2/2 is missing"));
    assert!(message(&[&one, &two, &one]).contains("1/2 is there 2 times"));
    assert!(message(&[&one, &root]).contains("run.json"));
    write(&other, &invented(None));
    assert!(message(&[&one, &two, &other]).contains("not a part"));
    let mut changed = part(2);
    changed.0.seed = 5;
    changed.1.methods[0].description = "another".to_owned();
    write(&other, &changed);
    let text = message(&[&one, &other]);
    assert!(
        text.contains("another seed") && text.contains("another list of methods"),
        "{text}"
    );
    let changed = |change: &dyn Fn(&mut Setup)| {
        let mut changed = part(2);
        change(&mut changed.0.setup);
        write(&other, &changed);
        message(&[&one, &other])
    };
    let text = changed(&|setup| {
        setup.computed.get_mut("guided").unwrap().precision = "bfloat16".to_owned();
        setup.weights.insert("lpips".to_owned(), "cd".to_owned());
        setup.metrics.get_mut("rgb").unwrap().clear();
    });
    for what in ["precision", "weights of metrics", "list of metrics"] {
        assert!(text.contains(what), "{text}");
    }
    let text = changed(&|setup| *setup = Setup::default());
    assert!(text.contains("--resume"), "{text}");
    merge::forget_results(&other).unwrap();
    merge::forget_results(&other).unwrap();
    assert!(message(&[&one, &other]).contains("not finished"));
}

#[test]
fn what_parts_could_not_make_and_where_they_ran_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (one, two, out) = (root.join("one"), root.join("two"), root.join("whole"));
    let mut part = invented(Some(Shard { index: 1, count: 2 }));
    part.0.failures.push("photos: a.jpg: cut off".to_owned());
    write(&one, &part);
    let mut part = invented(Some(Shard { index: 2, count: 2 }));
    part.0.setup.computed.get_mut("guided").unwrap().device = "cuda:0".to_owned();
    write(&two, &part);
    let (record, results) = merge::merge(&[one, two], &out, None).unwrap();
    assert_eq!(record.failures, ["photos: a.jpg: cut off"]);
    let devices = "The parts were measured with different devices.".to_owned();
    assert!(results.notes.contains(&devices), "{:?}", results.notes);
}

#[test]
fn a_whole_replaces_no_run_and_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let parts = [1, 2].map(|index| root.join(index.to_string()));
    for (index, folder) in (1..).zip(&parts) {
        write(folder, &invented(Some(Shard { index, count: 2 })));
    }
    let error = |out: &Path| merge::merge(&parts, out, None).unwrap_err().to_string();
    assert!(error(&parts[1]).contains("is one of the parts"));
    let other = root.join("other");
    write(&other, &invented(None));
    assert!(error(&other).contains("holds a run already"));
    merge::merge(&parts, &root.join("new"), None).unwrap();
}

#[test]
#[cfg(unix)]
fn a_link_in_a_part_brings_no_file_into_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let (part, out) = (root.join("part"), root.join("whole"));
    let (record, mut results) = invented(Some(Shard { index: 1, count: 1 }));
    std::fs::create_dir_all(part.join("pairs")).unwrap();
    let private = root.join("private.png");
    for file in [&private, &part.join("pairs/own.png")] {
        crate::synth::write_photo(file, &photo(1)).unwrap();
    }
    std::os::unix::fs::symlink(&private, part.join("pairs/link.png")).unwrap();
    for (name, file) in [("000", "own"), ("001", "link"), ("002", "gone")] {
        results.pictures.push(results::Picture {
            condition: "photos/disc".to_owned(),
            name: name.to_owned(),
            method: None,
            kind: results::PictureKind::Sharp,
            file: format!("pairs/{file}.png").into(),
        });
    }
    write(&part, &(record, results));
    let (_, whole) = merge::merge(&[part], &out, None).unwrap();
    let files: Vec<&Path> = whole
        .pictures
        .iter()
        .map(|picture| &*picture.file)
        .collect();
    assert_eq!(files, [Path::new("shards/1/pairs/own.png")]);
    let is_said = |note: &String| note.starts_with("2 pictures of ");
    assert!(whole.notes.iter().any(is_said), "{:?}", whole.notes);
}

#[test]
fn what_a_condition_measures_otherwise_is_said() {
    let (_, results) = invented(None);
    assert_eq!(results.metrics["psnr"].protocol, "colour");
    assert_eq!(
        results.condition("photos/zoom").unwrap().protocols["psnr"],
        "luma"
    );
    assert!(
        results
            .condition("photos/disc")
            .unwrap()
            .protocols
            .is_empty()
    );
    // Every method is there for every picture, or it is said why not.
    let wiener: Vec<_> = results
        .images
        .iter()
        .filter(|image| image.method == "wiener")
        .collect();
    assert_eq!(wiener.len(), 11);
    assert_eq!(results.not_applicable.len(), 1);
    assert_eq!(failures(&results), 3);
}

#[test]
fn a_part_without_pictures_of_a_condition_leaves_it_out() {
    let (record, results) = invented(Some(Shard {
        index: 1,
        count: 20,
    }));
    assert_eq!(results.conditions.len(), 1);
    assert_eq!(record.conditions.len(), 3);
}

//! Results for tests.

use std::collections::BTreeMap;
use std::path::Path;

use image_io::{Format, Photo, PhotoInfo, WriteOptions};
use ndarray::Array3;

use super::results::{
    Condition, Image, Machine, Method, MethodKind, Metric, NotApplicable, Options, Picture,
    PictureKind, Provenance, Results, SCHEMA_VERSION, SuiteInfo,
};

/// Results of `methods` without conditions and images, in PSNR and LPIPS.
pub(super) fn empty(methods: &[&str]) -> Results {
    let metric = |protocol: &str, higher_is_better, unit: &str| Metric {
        protocol: protocol.into(),
        higher_is_better,
        unit: unit.into(),
    };
    Results {
        schema_version: SCHEMA_VERSION,
        suite: SuiteInfo {
            name: "test".into(),
            description: "a suite for tests".into(),
            seed: 1,
            crop: Some([256, 256]),
            sha256: "5".repeat(64),
        },
        provenance: Provenance {
            commit: "c".repeat(40),
            dirty: false,
            command: "cargo xtask bench-ood --suite test".into(),
            started: "2026-01-02T03:04:05Z".into(),
            seconds: 754.0,
            machine: Machine {
                os: "Linux 6.1".into(),
                cpu: "a processor".into(),
                cores: 2,
                memory: 8 << 30,
            },
            versions: BTreeMap::from([("msdeblur".into(), "0.1.0".into())]),
        },
        metrics: BTreeMap::from([
            (
                "psnr".into(),
                metric("mean over images of PSNR on 8-bit RGB", true, "dB"),
            ),
            ("lpips".into(), metric("LPIPS 0.1, AlexNet", false, "")),
        ]),
        methods: methods.iter().map(|name| method(name)).collect(),
        conditions: Vec::new(),
        images: Vec::new(),
        not_applicable: Vec::new(),
        pictures: Vec::new(),
        notes: Vec::new(),
    }
}

fn method(name: &str) -> Method {
    Method {
        name: name.into(),
        kind: if name == "input" {
            MethodKind::Input
        } else {
            MethodKind::Model
        },
        oracle: false,
        description: format!("the method {name}"),
        checkpoint: None,
        options: None,
        matched_with: None,
        curve: None,
    }
}

/// A condition `DOMAIN/FAMILY` or `DOMAIN/FAMILY-SEVERITY`.
pub(super) fn condition(id: &str, in_domain: bool, pairs: usize) -> Condition {
    let (domain, name) = id.split_once('/').unwrap();
    let severity = name.rsplit_once('-').and_then(|(_, end)| end.parse().ok());
    let family = match severity {
        Some(_) => &name[..name.len() - 2],
        None => name,
    };
    Condition {
        id: id.into(),
        domain: domain.into(),
        name: name.into(),
        family: family.into(),
        severity,
        in_domain,
        pairs,
        data_sha256: "d".repeat(64),
        real: false,
        protocols: BTreeMap::new(),
    }
}

/// A picture of photo `number` of a data set.
pub(super) fn image(
    condition: &str,
    (set, number): (&str, usize),
    method: &str,
    metrics: &[(&str, f64)],
) -> Image {
    Image {
        condition: condition.into(),
        name: format!("{set}-{number}"),
        photo: format!("{set}/{number}.jpg"),
        method: method.into(),
        metrics: metrics
            .iter()
            .map(|&(name, value)| (name.to_owned(), value))
            .collect(),
        seconds: 0.25,
        error: None,
    }
}

/// Twelve photos in `photos/known` (in domain) and `photos/new`, six of them in `night/new` as well, and five pages in `text/new`.
/// The method `plain` gains 3 ± 0.6 dB in domain and 1 ± 0.6 dB outside; on text it loses 1 dB. `guided`, matched with it, gains
/// 0.25 dB more everywhere. LPIPS falls as PSNR rises.
pub(super) fn two_domains() -> Results {
    let mut results = empty(&["input", "plain", "guided"]);
    results.methods[2].matched_with = Some("plain".into());
    for (id, in_domain, photos, set, gain) in [
        ("photos/known", true, 12, "photos", 3.0),
        ("photos/new", false, 12, "photos", 1.0),
        ("night/new", false, 6, "photos", 1.0),
        ("text/new", false, 5, "text", -1.0),
    ] {
        results.conditions.push(condition(id, in_domain, photos));
        for photo in 0..photos {
            let spread = 0.1 * (photo as f64 - 5.5);
            for (method, value) in [
                ("input", 25.0),
                ("plain", 25.0 + gain + spread),
                ("guided", 25.0 + gain + spread + 0.25),
            ] {
                let metrics = [("psnr", value), ("lpips", 1.0 - value / 50.0)];
                results
                    .images
                    .push(image(id, (set, photo), method, &metrics));
            }
        }
    }
    results
}

/// A picture that is no photo but has edges, gradients and texture: `variant` moves them.
pub(super) fn picture(file: &Path, width: usize, height: usize, variant: usize) {
    write(file, drawing(width, height, variant));
}

fn drawing(width: usize, height: usize, variant: usize) -> Array3<f32> {
    Array3::from_shape_fn((3, height, width), |(channel, y, x)| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let phase = variant as f32 * 0.7 + channel as f32 * 0.4;
        let waves = ((u * 9.0 + phase).sin() * (v * 7.0 - phase).cos()) * 0.3;
        let bars = if (x / 9 + y / 13 + variant).is_multiple_of(4) {
            0.22
        } else {
            0.0
        };
        let disc = (u - 0.5).hypot(v - 0.45) < 0.22 + 0.02 * (variant % 5) as f32;
        let level = 0.4 + waves + bars + if disc { 0.2 } else { 0.0 };
        // Files of 8 bits hold these exactly.
        (level.clamp(0.0, 1.0) * 255.0).round() / 255.0
    })
}

/// A mean over `reach` neighbours on each side along the rows.
fn blurred(pixels: &Array3<f32>, reach: usize) -> Array3<f32> {
    let width = pixels.dim().2;
    Array3::from_shape_fn(pixels.dim(), |(channel, y, x)| {
        let (start, end) = (x.saturating_sub(reach), (x + reach + 1).min(width));
        let sum: f32 = (start..end).map(|at| pixels[[channel, y, at]]).sum();
        (sum / (end - start) as f32 * 255.0).round() / 255.0
    })
}

fn write(file: &Path, pixels: Array3<f32>) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let photo = Photo {
        pixels,
        alpha: None,
        info: PhotoInfo::new(Format::Png),
    };
    image_io::write(file, &photo, &WriteOptions::default()).unwrap();
}

/// A run such as a user has it: three domains, fourteen conditions, eight methods, pictures in `folder`. Made numbers.
pub(super) fn whole_run(folder: &Path) -> Results {
    let samples = [4, 16];
    let mut results = empty(&[
        "input",
        "wiener",
        "richardson-lucy",
        "unguided",
        "guided",
        "guided-average",
        "guided-sample-4",
        "guided-sample-16",
    ]);
    for method in &mut results.methods[1..3] {
        method.kind = MethodKind::Classical;
        method.oracle = true;
    }
    results.methods[4].matched_with = Some("unguided".into());
    for (method, steps) in results.methods[6..].iter_mut().zip(samples) {
        method.curve = Some("guided-sample".into());
        method.options = Some(Options {
            mode: "sample".into(),
            sampler: Some("ddim".into()),
            steps: Some(steps),
            samples: None,
        });
    }
    results
        .notes
        .push("made numbers: this report is a test".into());
    let photos = |name: &str| (format!("photos/{name}"), 12);
    let mut places: Vec<(String, usize)> = ["training-blur", "gaussian-anisotropic-3", "sharp"]
        .map(photos)
        .to_vec();
    places.extend((1..=5).map(|severity| photos(&format!("camera-shake-{severity}"))));
    places.extend((1..=3).map(|severity| photos(&format!("defocus-{severity}"))));
    places.extend(
        [
            "text/training-blur",
            "text/defocus-3",
            "night/night-shake-3",
        ]
        .map(|id| (id.to_owned(), 4)),
    );
    for (place, (id, count)) in places.iter().enumerate() {
        let condition = condition(id, place == 0, *count);
        let severity = f64::from(condition.severity.unwrap_or(2));
        let set = if condition.domain == "text" {
            "text"
        } else {
            "photos"
        };
        for photo in 0..*count {
            // Numbers without a pattern, the same on every machine.
            let noise =
                |salt: usize| ((photo * 37 + place * 101 + salt * 53) % 97) as f64 / 97.0 - 0.5;
            let input = 31.0 - 1.4 * severity + 4.0 * noise(1);
            let quality = if place == 0 {
                2.6
            } else {
                1.5 - 0.45 * severity
            } + if set == "text" { -0.9 } else { 0.0 };
            for (index, method) in results
                .methods
                .iter()
                .map(|method| method.name.clone())
                .enumerate()
            {
                if index == 1 && condition.name == "training-blur" {
                    continue;
                }
                let gain = [0.0, 0.9, 1.4, 0.92, 1.0, 1.05, 0.7, 0.5][index] * quality
                    + 0.25 * noise(index);
                let mut psnr = input + if index == 0 { 0.0 } else { gain };
                let mut lpips = 0.34
                    - 0.008 * (psnr - 26.0)
                    - [0.0, 0.0, 0.01, 0.02, 0.03, 0.02, 0.08, 0.1][index];
                if condition.name == "sharp" {
                    psnr = if index == 0 {
                        f64::INFINITY
                    } else {
                        41.0 + noise(index)
                    };
                    lpips = if index == 0 { 0.0 } else { 0.02 };
                }
                let metrics = [("psnr", psnr), ("lpips", lpips)];
                results
                    .images
                    .push(image(id, (set, photo), &method, &metrics));
            }
        }
        if condition.name == "training-blur" {
            results.not_applicable.push(NotApplicable {
                condition: id.clone(),
                method: "wiener".into(),
                reason: "the blur is not one kernel".into(),
            });
        }
        results.conditions.push(condition);
    }
    let last = results.images.len() - 1;
    results.images[last].metrics.clear();
    results.images[last].error = Some("out of memory".into());
    pictures(&mut results, folder);
    results.check().unwrap();
    results
}

fn pictures(results: &mut Results, folder: &Path) {
    for (id, set, photo) in [0, 2, 3, 5, 7, 8, 10, 11]
        .map(|photo| ("photos/camera-shake-4", "photos", photo))
        .into_iter()
        .chain([
            ("photos/training-blur", "photos", 4),
            ("text/defocus-3", "text", 1),
        ])
    {
        let sharp = drawing(160, 120, photo);
        let name = format!("{set}-{photo}");
        for (method, kind, reach) in [
            (None, PictureKind::Sharp, 0),
            (Some("input"), PictureKind::Restored, 6),
            (Some("guided"), PictureKind::Restored, 2),
            (Some("unguided"), PictureKind::Restored, 3),
            (Some("guided-average"), PictureKind::Uncertainty, 9),
        ] {
            let file = format!(
                "pictures/{}/{kind:?}/{id}/{name}.png",
                method.unwrap_or("sharp")
            );
            write(&folder.join(&file), blurred(&sharp, reach));
            results.pictures.push(Picture {
                condition: id.into(),
                name: name.clone(),
                method: method.map(str::to_owned),
                kind,
                file: file.into(),
            });
        }
    }
}

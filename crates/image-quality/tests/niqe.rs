//! NIQE against BasicSR (`tests/golden/image-quality-basicsr`), and images that have none.

use std::path::{Path, PathBuf};

use image_quality::{Error, Niqe, Which};
use ndarray::{Array3, s};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const MODEL: [&str; 3] = ["mu_pris_param", "cov_pris_param", "gaussian_window"];

fn reference() -> Vec<u8> {
    let path = Path::new(ROOT).join("tests/golden/image-quality-basicsr/reference.safetensors");
    std::fs::read(path).expect("reference file")
}

fn image(bytes: &[u8], name: &str) -> Array3<f32> {
    let file = SafeTensors::deserialize(bytes).expect("sound file");
    let view = file.tensor(name).expect("image");
    let values = view.data().iter().map(|&v| f32::from(v) / 255.0).collect();
    let shape: [usize; 3] = view.shape().try_into().expect("three axes");
    Array3::from_shape_vec(shape, values).expect("shape and data agree")
}

/// The model of the reference file, in a file of its own, after `change`.
fn model_file(
    change: impl FnOnce(&mut Vec<(String, Dtype, Vec<usize>, Vec<u8>)>),
) -> (tempfile::TempDir, PathBuf) {
    let bytes = reference();
    let file = SafeTensors::deserialize(&bytes).expect("sound file");
    let mut tensors: Vec<_> = MODEL
        .iter()
        .map(|name| {
            let view = file.tensor(name).expect("model");
            let (dtype, shape) = (view.dtype(), view.shape().to_vec());
            ((*name).to_owned(), dtype, shape, view.data().to_vec())
        })
        .collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        let view = TensorView::new(*dtype, shape.clone(), bytes).expect("fits");
        (name.as_str(), view)
    });
    let bytes = safetensors::serialize(views, None).expect("serialisable");
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("niqe.safetensors");
    std::fs::write(&path, bytes).expect("writable");
    (folder, path)
}

fn model() -> Niqe {
    let (_folder, path) = model_file(|_| ());
    Niqe::load(&path).expect("a model")
}

#[test]
fn agrees_with_basicsr_on_any_model() {
    let bytes = reference();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("header");
    let text = &metadata.metadata().as_ref().expect("metadata")["values"];
    let values: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let model = model();
    let mut largest = 0.0_f64;
    let expected = values["niqe"].as_object().expect("images");
    assert_eq!(expected.len(), 4);
    for (name, expected) in expected {
        let got = model.score(image(&bytes, name).view()).expect("textured");
        let expected = expected.as_f64().expect("number");
        let error = (got / expected - 1.0).abs();
        println!("{name}: {got}, BasicSR {expected}, relative {error:.1e}");
        largest = largest.max(error);
    }
    // The half-size picture is filtered in float32 with sums in another order.
    assert!(largest < 1e-6, "{largest:e}");
}

#[test]
fn agrees_with_basicsr_on_the_published_model() {
    let folder = |variable: &str, set: &str| {
        std::env::var_os(variable).map_or_else(
            || Path::new(ROOT).join("datasets/cache").join(set),
            PathBuf::from,
        )
    };
    let path = folder("MSDEBLUR_METRIC_WEIGHTS", "metric-weights").join("niqe.safetensors");
    let photos = folder("MSDEBLUR_REFERENCE_PHOTOS", "demo");
    if !path.is_file() {
        eprintln!("skipped: no {}", path.display());
        return;
    }
    if !photos.is_dir() {
        eprintln!("skipped: no {}", photos.display());
        return;
    }
    let model = Niqe::load(&path).expect("the published model");
    let text =
        std::fs::read(Path::new(ROOT).join("tests/golden/image-quality-basicsr/published.json"))
            .expect("values");
    let values: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let expected = values["niqe"].as_object().expect("photos");
    assert_eq!(expected.len(), 4);
    for (name, expected) in expected {
        let file = walk(&photos, name);
        let file = file.unwrap_or_else(|| panic!("no {name} in {}", photos.display()));
        let photo = image_io::read(&file, &image_io::Limits::default()).expect("a photo");
        let got = model.score(photo.pixels.view()).expect("textured");
        let expected = expected.as_f64().expect("number");
        let error = (got / expected - 1.0).abs();
        println!("{name}: {got}, BasicSR {expected}, relative {error:.1e}");
        // As above, but where a ratio of moments moves over the middle between two shapes of the table, the shape changes
        // by its step of 0.001. Photos in JPEG are decoded with differences of a level.
        let tolerance = if is_png(&file) { 1e-5 } else { 1e-2 };
        assert!(error < tolerance, "{name}: {got} {expected}");
    }
}

fn is_png(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "png")
}

/// The file in `folder` or a folder in it whose name ends in `name`.
fn walk(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries.iter().find_map(|path| {
        if path.is_dir() {
            return walk(path, name);
        }
        let stem = path.file_stem()?.to_string_lossy();
        stem.ends_with(name).then(|| path.clone())
    })
}

#[test]
fn worse_when_blurred_and_the_same_for_any_number_of_threads() {
    let (bytes, model) = (reference(), model());
    let photo = image(&bytes, "photo");
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("threads");
        pool.install(|| model.score(photo.view()).expect("textured").to_bits())
    };
    assert_eq!(run(1), run(3));
    // Rounded as a saved file, and beyond the range as its ends.
    let near = photo.mapv(|value| {
        if value == 1.0 {
            1.2
        } else {
            value + 0.4 / 255.0
        }
    });
    assert_eq!(
        model.score(near.view()).expect("textured"),
        model.score(photo.view()).expect("textured")
    );
    // What is left over at the right and below is not looked at: 210 x 250 has two blocks on each axis.
    assert_eq!(
        model
            .score(photo.slice(s![.., ..192, ..192]))
            .expect("textured"),
        model.score(photo.view()).expect("textured")
    );
    // A shift by one pixel is another picture of the same kind.
    let shifted = model
        .score(photo.slice(s![.., 1.., 1..]))
        .expect("textured");
    let score = model.score(photo.view()).expect("textured");
    assert!(
        shifted != score && (shifted / score - 1.0).abs() < 0.2,
        "{shifted} {score}"
    );
    assert_eq!(
        model.protocol().to_string(),
        "niqe: pristine model of NIQE, 36 statistics of blocks of 96 x 96 px at two scales, cropped at the right and bottom to \
         whole blocks, luma rounded again to whole levels, no network, BT.601 luma, rounded to 8 bits, border 0 px, not \
         resized, input 16 to 235, mean of images, lower is better"
    );
}

#[test]
fn images_without_a_score() {
    let model = model();
    let photo = image(&reference(), "photo");
    let few = |height, width, blocks, usable| {
        Err(Error::TooFewBlocks {
            height,
            width,
            blocks,
            usable,
            needed: 2,
        })
    };
    for (height, width) in [(1, 1), (95, 210), (191, 191), (96, 191), (0, 200)] {
        let blocks = (height / 96) * (width / 96);
        let small = photo.slice(s![.., ..height, ..width.min(250)]);
        let result = model.score(small.view());
        if height == 0 {
            assert!(
                matches!(result, Err(Error::ImageTooSmall { .. })),
                "{result:?}"
            );
        } else {
            assert_eq!(result, few(height, width, blocks, blocks));
        }
    }
    model
        .score(photo.slice(s![.., ..96, ..192]))
        .expect("two blocks are enough");
    // Black, grey and white are flat: no block has texture.
    for level in [0.0, 0.5, 1.0] {
        let flat = Array3::from_elem((3, 200, 200), level);
        assert_eq!(model.score(flat.view()), few(200, 200, 4, 0));
    }
    // One block with texture is one too few.
    let mut lonely = Array3::from_elem((3, 192, 192), 0.5);
    lonely
        .slice_mut(s![.., ..88, ..88])
        .assign(&photo.slice(s![.., ..88, ..88]));
    assert_eq!(model.score(lonely.view()), few(192, 192, 4, 1));
    let grey = Array3::<f32>::zeros((1, 200, 200));
    assert_eq!(model.score(grey.view()), Err(Error::NotRgb { channels: 1 }));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut broken = photo.clone();
        broken[[1, 209, 3]] = bad;
        assert_eq!(
            model.score(broken.view()),
            Err(Error::NonFinite {
                image: Which::First,
                channel: 1,
                row: 209,
                column: 3
            })
        );
    }
    let text = model
        .score(Array3::zeros((3, 200, 100)).view())
        .unwrap_err();
    assert_eq!(
        text.to_string(),
        "NIQE needs 2 blocks of 96 x 96 pixels with texture; the image of 200 x 100 pixels (height x width) has 2, 0 of \
         them with texture"
    );
}

#[test]
fn files_that_are_no_model_are_refused() {
    let problem = |path: &Path| match Niqe::load(path) {
        Err(Error::Format { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    let (folder, path) = model_file(|tensors| {
        tensors[0].0 = "mean".to_owned();
        tensors[1].2 = vec![36 * 36];
        tensors[2].3[..8].copy_from_slice(&f64::NAN.to_le_bytes());
    });
    let text = problem(&path);
    for part in [
        "missing tensor mu_pris_param",
        "unexpected tensor mean",
        "cov_pris_param is F64 [1296], not F64 [36, 36]",
        "gaussian_window has values that are not finite",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let whole = std::fs::read(&path).expect("readable");
    std::fs::write(&path, &whole[..100]).expect("writable");
    assert!(problem(&path).contains("not a safetensors file"));
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).expect("writable");
    assert!(problem(&path).contains("too large"));
    assert!(matches!(
        Niqe::load(&folder.path().join("absent")),
        Err(Error::Read { .. })
    ));
}

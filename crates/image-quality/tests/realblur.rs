//! The protocol `realblur` against OpenCV and scikit-image (`tests/golden/image-quality-realblur`), and the protocols by name.

use std::path::Path;

use image_quality::{Alignment, Error, MetricProtocol, Which, psnr, scores, ssim};
use ndarray::{Array3, s};
use safetensors::SafeTensors;

fn golden(folder: &str) -> (Vec<u8>, serde_json::Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let bytes = std::fs::read(root.join(folder).join("reference.safetensors")).expect("file");
    let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("header");
    let text = &metadata.metadata().as_ref().expect("metadata")["values"];
    let values = serde_json::from_str(text).expect("JSON");
    (bytes, values)
}

fn image(bytes: &[u8], name: &str) -> Array3<f32> {
    let file = SafeTensors::deserialize(bytes).expect("sound file");
    let view = file.tensor(name).expect("image");
    let values = view.data().iter().map(|&v| f32::from(v) / 255.0).collect();
    let shape: [usize; 3] = view.shape().try_into().expect("three axes");
    Array3::from_shape_vec(shape, values).expect("shape and data agree")
}

#[test]
fn agrees_with_the_program_of_realblur() {
    let (bytes, values) = golden("image-quality-realblur");
    let protocol = MetricProtocol::realblur();
    let mut count = 0;
    for (name, expected) in values.as_object().expect("pairs") {
        let restored = image(&bytes, &format!("{name}.restored"));
        let sharp = image(&bytes, &format!("{name}.sharp"));
        let got = scores(restored.view(), sharp.view(), &protocol).expect("alike");
        let number = |key: &str| expected[key].as_f64().expect("number");
        let errors = [got.psnr - number("psnr"), got.ssim - number("ssim")];
        println!("{name}: {got:?}, differences {errors:?}");
        // OpenCV inverts its matrices in float32 and ends a little elsewhere; papers print two digits.
        assert!(
            errors[0].abs() < 5e-4 && errors[1].abs() < 1e-5,
            "{name}: {errors:?}"
        );
        // Alignment is what makes the difference.
        let direct = psnr(restored.view(), sharp.view(), &MetricProtocol::rgb()).expect("alike");
        if name != "same_place" {
            assert!(got.psnr > direct + 3.0, "{name}: {direct}");
        }
        assert_eq!(
            psnr(restored.view(), sharp.view(), &protocol).expect("alike"),
            got.psnr
        );
        assert_eq!(
            ssim(restored.view(), sharp.view(), &protocol).expect("alike"),
            got.ssim
        );
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn agrees_with_basicsr() {
    let (bytes, values) = golden("image-quality-basicsr");
    let (a, b) = (image(&bytes, "photo"), image(&bytes, "blurred"));
    for (key, protocol) in [
        ("luma", MetricProtocol::basicsr_y()),
        ("rgb", MetricProtocol::rgb()),
    ] {
        let got = scores(a.view(), b.view(), &protocol).expect("alike");
        for (metric, value) in [("psnr", got.psnr), ("ssim", got.ssim)] {
            let expected = values[key][metric].as_f64().expect("number");
            // BasicSR rounds the luma to float32.
            assert!(
                (value - expected).abs() < 1e-6,
                "{key} {metric}: {value} {expected}"
            );
        }
    }
}

#[test]
fn equal_and_shifted_images() {
    let (bytes, _) = golden("image-quality-realblur");
    let sharp = image(&bytes, "turned.sharp");
    let protocol = MetricProtocol::realblur();
    let equal = scores(sharp.view(), sharp.view(), &protocol).expect("alike");
    assert_eq!(equal.psnr, f64::INFINITY);
    assert!((equal.ssim - 1.0).abs() < 1e-12);
    // One pixel to the side: nearly all of the difference is gone, while the other protocols see it.
    let (a, b) = (
        sharp.slice(s![.., .., 1..]).to_owned(),
        sharp.slice(s![.., .., ..-1]).to_owned(),
    );
    let aligned = scores(a.view(), b.view(), &protocol).expect("alike");
    let direct = scores(a.view(), b.view(), &MetricProtocol::rgb()).expect("alike");
    assert!(aligned.psnr > direct.psnr + 15.0, "{aligned:?} {direct:?}");
    assert!(
        aligned.ssim > 0.99 && direct.ssim < 0.97,
        "{aligned:?} {direct:?}"
    );
    // Darker by a quarter: brightness is matched, up to the rounding to 8 bits.
    let dark = sharp.mapv(|value| value * 0.75);
    let matched = scores(dark.view(), sharp.view(), &protocol).expect("alike");
    assert!(matched.psnr > 48.0, "{matched:?}");
    // The same for any number of threads.
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.expect("threads");
        pool.install(|| scores(a.view(), b.view(), &protocol).expect("alike"))
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn images_that_cannot_be_aligned() {
    let (bytes, _) = golden("image-quality-realblur");
    let photo = image(&bytes, "turned.sharp");
    let protocol = MetricProtocol::realblur();
    let fault = |restored: &Array3<f32>, sharp: &Array3<f32>| match scores(
        restored.view(),
        sharp.view(),
        &protocol,
    ) {
        Err(Error::Alignment { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let flat = |level: f32| Array3::from_elem(photo.dim(), level);
    assert_eq!(fault(&flat(0.0), &photo), "the restored image is black");
    for (restored, sharp) in [
        (&flat(0.5), &photo),
        (&photo, &flat(0.5)),
        (&flat(0.5), &flat(0.25)),
    ] {
        assert_eq!(
            fault(restored, sharp),
            "an image has no structure where they overlap"
        );
    }
    // Stripes look the same wherever they are moved along themselves.
    let stripes = |phase: f32| {
        Array3::from_shape_fn(photo.dim(), |(_, _, x)| {
            ((x as f32 * 0.3 + phase).sin() * 100.0 + 128.0) / 255.0
        })
    };
    scores(stripes(0.2).view(), stripes(0.0).view(), &protocol).expect_err("not determined");
    // Equal images need no alignment; differences below half a level are none.
    let nearly = stripes(0.0).mapv(|value| (value * 255.0).round() / 255.0 + 0.001);
    for (restored, sharp) in [
        (&flat(0.0), &flat(0.0)),
        (&flat(0.5), &flat(0.5)),
        (&stripes(0.0), &stripes(0.0)),
        (&nearly, &stripes(0.0)),
    ] {
        let equal = scores(restored.view(), sharp.view(), &protocol).expect("equal");
        assert_eq!(equal.psnr, f64::INFINITY);
        assert!((equal.ssim - 1.0).abs() < 1e-12, "{equal:?}");
    }
    let negative = photo.mapv(|value| 1.0 - value);
    scores(negative.view(), photo.view(), &protocol).expect_err("not alike");
    for (height, width) in [(10, 50), (50, 10), (1, 1)] {
        let small = photo.slice(s![.., ..height, ..width]);
        assert_eq!(
            scores(small, small, &protocol),
            Err(Error::ImageTooSmall {
                height,
                width,
                needed: 11
            })
        );
    }
    let mut broken = photo.clone();
    broken[[0, 1, 2]] = f32::NAN;
    assert_eq!(
        scores(photo.view(), broken.view(), &protocol),
        Err(Error::NonFinite {
            image: Which::Second,
            channel: 0,
            row: 1,
            column: 2
        })
    );
    assert!(matches!(
        scores(photo.view(), photo.slice(s![.., 1.., ..]), &protocol),
        Err(Error::ShapeMismatch { .. })
    ));
}

#[test]
fn protocols_have_names() {
    for name in MetricProtocol::NAMES {
        let protocol = MetricProtocol::by_name(name).expect("a protocol");
        protocol.validate().expect("valid");
        assert_eq!(protocol.name, name);
        let text = serde_json::to_string(&protocol).expect("JSON");
        let read: MetricProtocol = serde_json::from_str(&text).expect("a protocol");
        assert_eq!(read, protocol);
    }
    assert_eq!(
        MetricProtocol::realblur().alignment,
        Alignment::EccHomography
    );
    assert_eq!(
        MetricProtocol::realblur().to_string(),
        "realblur: RGB, range 0 to 255, rounded, border 0 px, aligned by ECC with a homography, SSIM window 11 x 11 Gaussian \
         sigma 1.5 k1 0.01 k2 0.03, mean of images, higher is better"
    );
    let error = MetricProtocol::by_name("RGB").expect_err("names are exact");
    assert_eq!(
        error.to_string(),
        "no metric protocol is called `RGB`; there are rgb, basicsr-y, realblur"
    );
}

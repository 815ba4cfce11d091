//! Against reference values of scikit-image (`tests/golden/image-quality/gen.py`).

use image_quality::{MetricProtocol, Rounding, psnr, ssim};
use ndarray::Array3;
use safetensors::SafeTensors;

const PATH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/golden/image-quality/reference.safetensors"
);

fn image(file: &SafeTensors<'_>, name: &str) -> Array3<f32> {
    let view = file.tensor(name).expect(name);
    let values = view
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let &[channels, height, width] = view.shape() else {
        panic!("three axes")
    };
    Array3::from_shape_vec((channels, height, width), values).expect("shape and data agree")
}

#[test]
fn agrees_with_scikit_image() {
    let bytes = std::fs::read(PATH).expect("reference file");
    let file = SafeTensors::deserialize(&bytes).expect("sound file");
    let (_, metadata) = SafeTensors::read_metadata(&bytes).expect("header");
    let text = &metadata.metadata().as_ref().expect("metadata")["values"];
    let values: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let mut checked = 0;
    for (pair, protocols) in values.as_object().expect("pairs") {
        let (a, b) = (
            image(&file, &format!("{pair}.a")),
            image(&file, &format!("{pair}.b")),
        );
        for (name, expected) in protocols.as_object().expect("protocols") {
            let protocol = match name.as_str() {
                "rgb" => MetricProtocol::rgb(),
                "luma" => MetricProtocol::basicsr_y(),
                "border_4" => MetricProtocol {
                    border: 4,
                    ..MetricProtocol::rgb()
                },
                "not_rounded" => MetricProtocol {
                    rounding: Rounding::None,
                    data_range: 1.0,
                    ..MetricProtocol::rgb()
                },
                other => panic!("unknown protocol {other}"),
            };
            let number = |metric: &str| expected[metric].as_f64().expect("number");
            for (metric, got) in [
                ("psnr", psnr(a.view(), b.view(), &protocol).expect("valid")),
                ("ssim", ssim(a.view(), b.view(), &protocol).expect("valid")),
            ] {
                // Both in float64, sums in another order. SSIM near 0 is a difference of larger terms.
                let error = (got - number(metric)).abs();
                assert!(
                    error <= 1e-9 * number(metric).abs().max(0.01),
                    "{pair} {name} {metric}: {got} {error:e}"
                );
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 30);
}

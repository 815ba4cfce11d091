//! The pictures besides the photo: before and after, uncertainty, guidance.

use image_io::ColorModel;
use integration_tests::{Folder, decode};
use ndarray::s;

use crate::deblur;

#[test]
fn all_modes_write_all_pictures_in_their_sizes() {
    for mode in ["mean", "sample", "average"] {
        let folder = Folder::new();
        folder.photo("photo.jpg", 45, 39);
        let (input, out, model) = (folder.text("photo.jpg"), folder.text("out"), folder.model());
        let arguments = [
            &*input,
            "-o",
            &out,
            "--checkpoint",
            &model,
            "--mode",
            mode,
            "--json",
        ];
        let options = [
            "--steps=2",
            "--samples=3",
            "--compare",
            "--uncertainty",
            "--show-guidance",
        ];
        let outcome = deblur(&[&arguments[..], &options].concat()).exits(0);
        assert_eq!(
            folder.names("out"),
            [
                "photo.compare.png",
                "photo.guidance-1.png",
                "photo.guidance-2.png",
                "photo.jpg",
                "photo.uncertainty.png"
            ],
            "{mode}"
        );
        let data = outcome.only("restored");
        assert_eq!(
            data["uncertainty"],
            folder.text("out/photo.uncertainty.png")
        );
        assert_eq!(data["guidance"][1], folder.text("out/photo.guidance-2.png"));
        assert_eq!(data["samples"], 3);
        assert!(
            data["mean_spread"]
                .as_f64()
                .is_some_and(|spread| spread > 0.0),
            "{data}"
        );

        let picture = |name: &str| decode(&folder.at(&format!("out/{name}")));
        let size = |name: &str| (picture(name).width(), picture(name).height());
        assert_eq!(size("photo.jpg"), (45, 39));
        assert_eq!(size("photo.uncertainty.png"), (45, 39));
        // Half and a quarter, rounded up.
        assert_eq!(size("photo.guidance-1.png"), (23, 20));
        assert_eq!(size("photo.guidance-2.png"), (12, 10));
        assert_eq!(picture("photo.guidance-1.png").info.color, ColorModel::Gray);
        assert_eq!(size("photo.compare.png").1, 39);
        let heat = picture("photo.uncertainty.png").pixels;
        let brightest = heat.iter().copied().fold(0.0, f32::max);
        assert!(brightest > 0.9, "a black map: {brightest}");
    }
}

#[test]
fn the_sheet_holds_before_and_after() {
    let folder = Folder::new();
    folder.photo("photo.png", 31, 17);
    let (input, out, model) = (folder.text("photo.png"), folder.text("out"), folder.model());
    deblur(&[&input, "-o", &out, "--checkpoint", &model, "--compare"]).exits(0);
    let sheet = decode(&folder.at("out/photo.compare.png")).pixels;
    let (before, after) = (
        decode(&folder.at("photo.png")).pixels,
        decode(&folder.at("out/photo.png")).pixels,
    );
    let width = sheet.dim().2;
    assert!(width >= 62, "{width}");
    assert_eq!(sheet.slice(s![.., .., ..31]), before);
    assert_eq!(sheet.slice(s![.., .., width - 31..]), after);
    assert_ne!(before, after);
}

#[test]
fn guidance_is_the_grey_pyramid_and_what_the_networks_add() {
    // The networks of the identity model add nothing: what remains is the photo in grey, averaged over squares.
    let folder = Folder::new();
    folder.photo("photo.png", 32, 24);
    let (input, out, model) = (
        folder.text("photo.png"),
        folder.text("out"),
        folder.identity(),
    );
    let arguments = [&*input, "-o", &out, "--checkpoint", &model];
    deblur(&[&arguments[..], &["--show-guidance"]].concat()).exits(0);
    let photo = decode(&folder.at("photo.png")).pixels;
    for (scale, side) in [(1, 2), (2, 4)] {
        let guidance = decode(&folder.at(&format!("out/photo.guidance-{scale}.png"))).pixels;
        assert_eq!(guidance.dim(), (3, 24 / side, 32 / side));
        for ((_, row, column), level) in guidance.indexed_iter() {
            let square = photo.slice(s![
                ..,
                row * side..(row + 1) * side,
                column * side..(column + 1) * side
            ]);
            // BT.601 luma.
            let grey: f32 = [0.299, 0.587, 0.114]
                .iter()
                .zip(square.outer_iter())
                .map(|(weight, plane)| weight * plane.mean().expect("a mean"))
                .sum();
            assert!(
                (level - grey).abs() < 0.6 / 255.0,
                "scale {scale}, {row}, {column}: {level} instead of {grey}"
            );
        }
    }
}

#[test]
fn the_built_in_model_restores_a_photo() {
    let folder = Folder::new();
    folder.photo("photo.png", 48, 40);
    let (input, out) = (folder.text("photo.png"), folder.text("out"));
    for mode in ["--mode=mean", "--mode=sample"] {
        let arguments = [&*input, "-o", &out, mode, "--steps=2", "--json", "--force"];
        let mut command = integration_tests::msdeblur(["deblur"]);
        // Everything as a user would have it.
        for name in ["MSDEBLUR_THREADS", "MSDEBLUR_DEVICE", "MSDEBLUR_PRECISION"] {
            command.env_remove(name);
        }
        let outcome = integration_tests::Outcome::of(command.args(arguments)).exits(0);
        assert_eq!(outcome.only("restored")["tiles"], 1);
        let (before, after) = (
            decode(&folder.at("photo.png")),
            decode(&folder.at("out/photo.png")),
        );
        assert_eq!(before.pixels.dim(), after.pixels.dim());
        assert_ne!(before.pixels, after.pixels);
        // Restored, not replaced: the result is a picture of the same scene.
        let squares =
            |a: &ndarray::Array3<f32>, b: f32| a.iter().map(|v| (v - b) * (v - b)).sum::<f32>();
        let (m, n) = (
            before.pixels.mean().expect("a mean"),
            after.pixels.mean().expect("a mean"),
        );
        let common: f32 = before
            .pixels
            .iter()
            .zip(&after.pixels)
            .map(|(a, b)| (a - m) * (b - n))
            .sum();
        let correlation = common / (squares(&before.pixels, m) * squares(&after.pixels, n)).sqrt();
        assert!(correlation > 0.5, "{mode}: {correlation}");
    }
}

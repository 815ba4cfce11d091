//! `cargo xtask pictures`: the pictures of the documents, made by the shipped model from the photos of the demonstration.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use image_io::{Format, Photo, WriteOptions};
use image_quality::{MetricProtocol, psnr};
use ndarray::{Array3, ArrayView3, Axis, concatenate, s};

use super::sheet::{self, part};
use super::{Prepared, compared, photos, prepare, restore_all};
use crate::canvas::{Canvas, magnify, shrink};
use crate::report::say;
use crate::workspace;

/// Where documents find them.
const FOLDER: &str = "docs/images";
/// Width of the sheet of the demonstration in a document.
const SHEET_WIDTH: usize = 1000;
/// Small files that show no blocks.
const JPEG_QUALITY: u8 = 88;
/// Side of a panel, in pixels of the picture.
const PANEL: usize = 240;
const GAP: usize = 8;
const LABEL: usize = 22;
/// BT.601, as the guidance networks see a photo.
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];
/// Scales of guidance of the shipped model.
const SCALES: usize = 3;

/// Make the pictures of README.md and docs with the shipped model
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Folder for what is made on the way
    #[arg(long, value_name = "FOLDER", default_value = "target/pictures")]
    work: PathBuf,
}

/// A picture of one size with a label above it.
struct Panel {
    label: String,
    image: Array3<f32>,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let work = workspace::root().join(&arguments.work);
    let prepared = prepare(&work)?;
    let with = |name: &str, options: &[&str]| {
        let options: Vec<String> = options.iter().map(|&option| option.to_owned()).collect();
        restore_all(
            &prepared,
            &work.join(name),
            &options,
            &work.join(format!("{name}.jsonl")),
        )
    };
    let mean = with("mean", &["--show-guidance"])?;
    let sample = with("sample", &["--mode", "sample"])?;
    let average = with(
        "average",
        &[
            "--mode",
            "average",
            "--samples",
            "8",
            "--steps",
            "4",
            "--uncertainty",
        ],
    )?;

    save("guidance", &guidance(&prepared, &mean)?)?;
    save("modes", &modes(&prepared, [&mean, &average, &sample])?)?;
    let sheet = sheet::draw(&compared(prepared, &mean)?)?;
    let height = sheet.height() * SHEET_WIDTH / sheet.width();
    save(
        "demo",
        &sheet.with_pixels(shrink(sheet.pixels.view(), height, SHEET_WIDTH)),
    )
}

/// What the guidance networks see, say, and should say, for the first photo: a row for each scale.
fn guidance(prepared: &[Prepared], restored: &[PathBuf]) -> Result<Photo> {
    let (photo, file) = prepared
        .iter()
        .zip(restored)
        .find_map(|(photo, file)| Some(((photo, photo.sharp.as_ref()?), file)))
        .context("the demonstration has no photo with a sharp original")?;
    let (photo, sharp) = photo;
    let mut rows = Vec::new();
    for scale in 1..=SCALES {
        let file = beside(file, &format!("guidance-{scale}"));
        let prediction = photos::read(&file)?.pixels;
        let (_, height, width) = prediction.dim();
        let at_scale = |photo: &Photo| shrink(gray(photo.pixels.view()).view(), height, width);
        let (blurry, sharp) = (at_scale(&photo.blurry), at_scale(sharp));
        let protocol = MetricProtocol::rgb();
        let near = |image: &Array3<f32>| psnr(image.view(), sharp.view(), &protocol);
        let labels = [
            format!("1/{}: blurry {:.1} dB", 1 << scale, near(&blurry)?),
            format!("predicted {:.1} dB", near(&prediction)?),
            "sharp".to_owned(),
        ];
        // The same part of the photo at every scale.
        let side = (2 * PANEL) >> scale;
        let row = labels
            .into_iter()
            .zip([&blurry, &prediction, &sharp])
            .map(|(label, image)| Panel {
                label,
                image: panel_of(part(image.view(), photo.recipe.detail, side, side)),
            })
            .collect();
        rows.push(row);
    }
    Ok(drawn(&rows))
}

/// What the modes make of each photo: mean, average and sample, and where samples differ.
fn modes(prepared: &[Prepared], [mean, average, sample]: [&[PathBuf]; 3]) -> Result<Photo> {
    let mut rows = Vec::new();
    for (index, photo) in prepared.iter().enumerate() {
        let protocol = MetricProtocol::rgb();
        let panel = |name: &str, image: &Photo, is_measured: bool| -> Result<Panel> {
            let label = match &photo.sharp {
                Some(sharp) if is_measured => format!(
                    "{name} {:.1} dB",
                    psnr(image.pixels.view(), sharp.pixels.view(), &protocol)?
                ),
                _ => name.to_owned(),
            };
            let side = PANEL / 2;
            Ok(Panel {
                label,
                image: panel_of(part(image.pixels.view(), photo.recipe.detail, side, side)),
            })
        };
        let read = |files: &[PathBuf]| photos::read(&files[index]);
        let uncertainty = photos::read(&beside(&average[index], "uncertainty"))?;
        let mut row = vec![
            panel("blurry", &photo.blurry, true)?,
            panel("mean", &read(mean)?, true)?,
            panel("average", &read(average)?, true)?,
            panel("sample", &read(sample)?, true)?,
            panel("uncertainty", &uncertainty, false)?,
        ];
        if let Some(sharp) = &photo.sharp {
            row.push(panel("sharp", sharp, false)?);
        }
        rows.push(row);
    }
    Ok(drawn(&rows))
}

/// The file that `msdeblur deblur` writes beside a result.
fn beside(restored: &Path, what: &str) -> PathBuf {
    restored.with_extension(format!("{what}.png"))
}

/// Luma in three equal planes.
fn gray(image: ArrayView3<'_, f32>) -> Array3<f32> {
    let luma: Array3<f32> = (0..3)
        .map(|channel| &image.slice(s![channel..=channel, .., ..]) * LUMA[channel])
        .fold(
            Array3::zeros((1, image.dim().1, image.dim().2)),
            |sum, part| sum + part,
        );
    let planes = [luma.view(); 3];
    // Planes of one size always fit together.
    concatenate(Axis(0), &planes).unwrap_or(luma)
}

fn panel_of(image: ArrayView3<'_, f32>) -> Array3<f32> {
    magnify(image, PANEL, PANEL)
}

fn drawn(rows: &[Vec<Panel>]) -> Photo {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut canvas = Canvas::new(
        rows.len() * (LABEL + PANEL + GAP) + GAP,
        columns * (PANEL + GAP) + GAP,
    );
    for (row, panels) in rows.iter().enumerate() {
        let top = GAP + row * (LABEL + PANEL + GAP);
        for (column, panel) in panels.iter().enumerate() {
            let left = GAP + column * (PANEL + GAP);
            canvas.write(left, top, &panel.label, false);
            canvas.paste(left, top + LABEL, &panel.image);
        }
    }
    canvas.into_photo()
}

fn save(name: &str, photo: &Photo) -> Result<()> {
    let path = workspace::root().join(FOLDER).join(format!("{name}.jpg"));
    let mut photo = photo.clone();
    photo.info.format = Format::Jpeg;
    let options = WriteOptions {
        overwrite: true,
        jpeg_quality: JPEG_QUALITY,
    };
    image_io::write(&path, &photo, &options)?;
    say(format!("{} written", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_inside_and_panels_show_them_whole() {
        let image = Array3::from_shape_fn((3, 100, 200), |(_, y, x)| (y * 200 + x) as f32);
        let found = part(image.view(), (0.99, 0.99), 60, 60);
        assert_eq!(found.dim(), (3, 60, 60));
        assert_eq!(found[[0, 59, 59]], image[[0, 99, 199]]);
        let panel = panel_of(found);
        assert_eq!(panel.dim(), (3, PANEL, PANEL));
        assert_eq!(panel[[0, 0, 0]], image[[0, 40, 140]]);
        assert_eq!(panel[[2, PANEL - 1, PANEL - 1]], image[[2, 99, 199]]);
    }

    #[test]
    fn gray_is_luma_and_files_lie_beside_the_result() {
        let image = Array3::from_shape_fn((3, 1, 2), |(channel, _, x)| {
            f32::from(u8::from(channel == x))
        });
        let gray = gray(image.view());
        assert_eq!(gray.dim(), (3, 1, 2));
        for plane in gray.outer_iter() {
            assert_eq!((plane[[0, 0]], plane[[0, 1]]), (0.299, 0.587));
        }
        assert_eq!(
            beside(Path::new("out/clock.png"), "guidance-1"),
            Path::new("out/clock.guidance-1.png")
        );
    }

    #[test]
    fn a_sheet_has_room_for_its_longest_row() {
        let panel = || Panel {
            label: "x".into(),
            image: Array3::from_elem((3, PANEL, PANEL), 0.5),
        };
        let photo = drawn(&[vec![panel()], vec![panel(), panel()]]);
        assert_eq!(photo.width(), 2 * PANEL + 3 * GAP);
        assert_eq!(
            photo.pixels[[0, photo.height() - GAP - 1, photo.width() - GAP - 1]],
            0.5
        );
    }
}

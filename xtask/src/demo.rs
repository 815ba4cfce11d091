//! `cargo xtask demo`: the main job, from a fresh clone to a sheet of photos before and after.

mod measure;
mod photos;
pub(crate) mod pictures;
mod recipes;
mod restore;
mod sheet;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;
use image_io::Photo;
use serde::Serialize;

use crate::libtorch;
use crate::report::{duration, say};
use crate::synth::write_photo;
use crate::workspace;
use measure::Measured;
use recipes::Recipe;

/// Deblur four well-known photos and show them before and after
#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// Folder for the results
    #[arg(long, value_name = "FOLDER", default_value = "msdeblur-demo")]
    out: PathBuf,
    /// Passed on to `msdeblur deblur`, for example --mode sample
    #[arg(last = true, value_name = "OPTIONS")]
    options: Vec<String>,
}

/// One photo of the demonstration, before and after.
struct Case {
    recipe: Recipe,
    blurry: Photo,
    restored: Photo,
    /// Absent where the camera itself moved and no sharp photo was taken.
    sharp: Option<Photo>,
    measured: Option<Measured>,
}

/// Written as `results.json`.
#[derive(Serialize)]
struct Row<'a> {
    photo: &'a str,
    blur: &'a str,
    #[serde(flatten)]
    measured: Option<&'a Measured>,
}

/// A photo of the demonstration before it is restored.
struct Prepared {
    recipe: Recipe,
    blurry: Photo,
    /// Absent where the camera itself moved.
    sharp: Option<Photo>,
    /// Where the blurry photo was written.
    file: PathBuf,
}

/// Runs the task.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let out = workspace::root().join(&arguments.out);
    let prepared = prepare(&out)?;
    let outputs = restore_all(
        &prepared,
        &out.join("restored"),
        &arguments.options,
        &out.join("deblur.jsonl"),
    )?;
    let cases = compared(prepared, &outputs)?;
    let rows: Vec<Row<'_>> = cases
        .iter()
        .map(|case| Row {
            photo: case.recipe.photo,
            blur: case.recipe.blur,
            measured: case.measured.as_ref(),
        })
        .collect();
    write_json(&out.join("results.json"), &rows)?;
    let sheet = out.join("sheet.png");
    write_photo(&sheet, &sheet::draw(&cases)?)?;

    for line in measure::table(&cases) {
        workspace::print_line(&line);
    }
    for line in where_to_look(&arguments.out) {
        workspace::print_line(&line);
    }
    say(format!("demo finished in {}", duration(start.elapsed())));
    Ok(())
}

/// Fetches the photos, builds the program, and writes what it will restore into `out`.
fn prepare(out: &Path) -> Result<Vec<Prepared>> {
    libtorch::ensure()?;
    // Before the long build, so that a missing network is noticed at once.
    let cache = workspace::root().join("target/demo");
    let photos = photos::fetch(&cache, &recipes::files())?;
    say(
        "building msdeblur; the first time this takes some minutes, most of them for the C++ part of torch-sys",
    );
    workspace::run(workspace::cargo().args(["build", "--release", "--package", "cli"]))?;

    let (blurry_folder, sharp_folder) = (out.join("blurry"), out.join("sharp"));
    for folder in [&blurry_folder, &sharp_folder] {
        create(folder)?;
    }
    say("blurring the sharp photos");
    let recipes = recipes::all();
    write_json(&out.join("recipes.json"), &recipes)?;
    let mut prepared = Vec::new();
    for (recipe, photo) in recipes.into_iter().zip(photos) {
        let (blurry, sharp) = match &recipe.degradation {
            Some(degradation) => {
                let pixels = degradation
                    .apply(photo.pixels.view())
                    .with_context(|| format!("cannot blur {}", recipe.photo))?;
                (photo.with_pixels(pixels), Some(photo))
            }
            None => (photo, None),
        };
        let file = blurry_folder.join(recipe.file_name());
        write_photo(&file, &blurry)?;
        if let Some(sharp) = &sharp {
            write_photo(&sharp_folder.join(recipe.file_name()), sharp)?;
        }
        prepared.push(Prepared {
            recipe,
            blurry,
            sharp,
            file,
        });
    }
    Ok(prepared)
}

/// Restores all photos into `folder` and returns the files, in the same order.
fn restore_all(
    prepared: &[Prepared],
    folder: &Path,
    options: &[String],
    log: &Path,
) -> Result<Vec<PathBuf>> {
    create(folder)?;
    let inputs: Vec<PathBuf> = prepared.iter().map(|photo| photo.file.clone()).collect();
    say(format!("restoring {} photos", inputs.len()));
    restore::restore(&inputs, folder, options, log)
}

/// Puts each restored file beside its photo and measures it.
fn compared(prepared: Vec<Prepared>, outputs: &[PathBuf]) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (photo, output) in prepared.into_iter().zip(outputs) {
        let Prepared {
            recipe,
            blurry,
            sharp,
            ..
        } = photo;
        let restored = photos::read(output)?;
        let measured = sharp
            .as_ref()
            .map(|sharp| measure::measure(sharp, &blurry, &restored))
            .transpose()
            .with_context(|| format!("cannot compare {}", output.display()))?;
        cases.push(Case {
            recipe,
            blurry,
            restored,
            sharp,
            measured,
        });
    }
    Ok(cases)
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn where_to_look(out: &Path) -> Vec<String> {
    let program = workspace::msdeblur();
    let program = program.strip_prefix(workspace::root()).unwrap_or(&program);
    [
        String::new(),
        format!("before and after    {}", out.join("sheet.png").display()),
        format!("restored photos     {}", out.join("restored").display()),
        format!("how they were made  {}", out.join("recipes.json").display()),
        String::new(),
        "your own photos:".to_owned(),
        format!("  {} deblur PHOTO... -o restored", program.display()),
        format!(
            "  {} deblur --help       all options, among them quality against speed",
            program.display()
        ),
        format!(
            "  {} doctor              what was found on this machine",
            program.display()
        ),
    ]
    .into()
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .with_context(|| format!("cannot encode {}", path.display()))?;
    fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

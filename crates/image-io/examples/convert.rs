//! Converts a photo into another format: `cargo run -p image-io --example convert -- INPUT OUTPUT`.

use std::path::Path;
use std::time::Instant;

use image_io::{Limits, WriteOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("usage: convert INPUT OUTPUT".into());
    };
    let start = Instant::now();
    let photo = image_io::read(Path::new(input), &Limits::default())?;
    let read = start.elapsed();
    let notes = image_io::write(Path::new(output), &photo, &WriteOptions::default())?;
    let written = start.elapsed() - read;
    for note in photo.info.notes.iter().chain(&notes) {
        eprintln!("note: {note}");
    }
    let (width, height) = (photo.width(), photo.height());
    eprintln!("{width}x{height}: read in {read:.2?}, written in {written:.2?}");
    Ok(())
}

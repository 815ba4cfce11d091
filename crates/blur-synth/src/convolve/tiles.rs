//! Convolution by overlap-save: the image in tiles, each multiplied by the spectrum of the kernel.
//!
//! The grid of tiles follows from the shapes alone, so the bytes do not depend on threads. The kernel is real,
//! therefore two tiles travel through one complex transform, as its real and as its imaginary part.

use multiversion::multiversion;
use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;

use super::direct::{Tap, convolve_row};
use super::fourier::{LANES, Sample, Transform};
use super::grid::Grid;
use crate::error::{Result, samples, samples_mut};

/// Samples of larger size, or not finite, would overflow the sums over a tile, and spoil all of it.
const LARGEST: f32 = 1e30;

/// A part of one channel of the image.
#[derive(Clone, Copy)]
struct Window<'a> {
    /// From the first sample of the part on.
    samples: &'a [f32],
    stride: usize,
    rows: usize,
    columns: usize,
}

impl Window<'_> {
    /// Samples from `column` on in `row`, zeros outside the window.
    #[inline(always)]
    fn lanes(&self, row: usize, column: usize) -> [f32; LANES] {
        let mut lanes = [0.0; LANES];
        if row < self.rows && column < self.columns {
            let from = &self.samples[row * self.stride + column..];
            match from.first_chunk::<LANES>() {
                Some(whole) if column + LANES <= self.columns => lanes = *whole,
                _ => {
                    let inside = &from[..LANES.min(self.columns - column)];
                    lanes
                        .iter_mut()
                        .zip(inside)
                        .for_each(|(lane, &value)| *lane = value);
                }
            }
        }
        lanes
    }

    /// Whether the sums over the window stay finite, and whether no sample is negative.
    #[inline(always)]
    fn survey(&self) -> (bool, bool) {
        let (mut tame, mut non_negative) = (true, true);
        for row in self.samples.chunks(self.stride).take(self.rows) {
            for &value in &row[..self.columns] {
                tame &= value.abs() <= LARGEST;
                non_negative &= value >= 0.0;
            }
        }
        (tame, non_negative)
    }
}

/// One tile: what it reads and the rows it writes.
struct Tile<'a> {
    window: Window<'a>,
    rows: Vec<&'a mut [f32]>,
}

/// What all tiles share.
struct Shared<'a> {
    down: Transform,
    across: Transform,
    /// Of the kernel, as [`forward_both`] leaves it, over the number of samples of a tile.
    spectrum: Vec<Sample>,
    /// For tiles that the transform would spoil.
    taps: &'a [Tap],
}

/// Space for one tile.
struct Workspace {
    panel: Vec<Sample>,
    tile: Vec<Sample>,
}

impl Workspace {
    fn new(grid: &Grid) -> Self {
        let [down, across] = grid.lengths;
        Self {
            panel: vec![Sample::ZERO; down],
            tile: vec![Sample::ZERO; down * across / LANES],
        }
    }
}

impl<'a> Shared<'a> {
    fn new(
        grid: &Grid,
        taps: &Array2<f32>,
        list: &'a [Tap],
        transform: fn(&Shared<'_>, &mut Workspace, Window<'_>),
    ) -> Self {
        let [down, across] = grid.lengths;
        let border = taps.nrows() - 1;
        // Turned round by `border`, so that the outputs of a tile start at its first sample.
        let mut wrapped = vec![0.0; down * across];
        for ((row, column), &tap) in taps.indexed_iter() {
            let place = [
                (down + row - border) % down,
                (across + column - border) % across,
            ];
            wrapped[place[0] * across + place[1]] =
                (f64::from(tap) / (down * across) as f64) as f32;
        }
        let window = Window {
            samples: &wrapped,
            stride: across,
            rows: down,
            columns: across,
        };
        let mut shared = Self {
            down: Transform::new(down),
            across: Transform::new(across),
            spectrum: Vec::new(),
            taps: list,
        };
        let mut work = Workspace::new(grid);
        transform(&shared, &mut work, window);
        shared.spectrum = work.tile;
        shared
    }
}

/// As [`super::valid`], tile by tile; `list` holds the taps for direct convolution in an image of this width.
pub(super) fn valid(
    image: ArrayView3<'_, f32>,
    taps: &Array2<f32>,
    list: &[Tap],
    grid: &Grid,
    spread: bool,
) -> Result<Array3<f32>> {
    let border = taps.nrows() - 1;
    let (channels, height, width) = image.dim();
    let mut out = Array3::zeros((channels, height - border, width - border));
    let source = samples(image.as_slice())?;
    let mut tiles = tiles_of(grid, source, [channels, height, width], border);
    let [tall, wide] = grid.steps;
    let rows = samples_mut(out.as_slice_mut())?.chunks_mut(width - border);
    for (index, row) in rows.enumerate() {
        let (channel, row_of_tiles) = (
            index / (height - border),
            index % (height - border) / tall * grid.counts[1],
        );
        for (column, part) in row.chunks_mut(wide).enumerate() {
            tiles[(row_of_tiles + column) * channels + channel]
                .rows
                .push(part);
        }
    }
    let shared = Shared::new(grid, taps, list, transform_kernel);
    if spread {
        tiles.par_chunks_mut(2).for_each_init(
            || Workspace::new(grid),
            |work, pair| convolve_pair(&shared, work, pair),
        );
    } else {
        let mut work = Workspace::new(grid);
        for pair in tiles.chunks_mut(2) {
            convolve_pair(&shared, &mut work, pair);
        }
    }
    Ok(out)
}

/// The tiles, without the rows that they write. Those of all channels at one place follow each other, so that a pair
/// shares its light as far as possible.
fn tiles_of<'a>(
    grid: &Grid,
    source: &'a [f32],
    [channels, height, width]: [usize; 3],
    border: usize,
) -> Vec<Tile<'a>> {
    let [tall, wide] = grid.steps;
    let mut tiles = Vec::with_capacity(channels * grid.counts[0] * grid.counts[1]);
    for row in (0..height - border).step_by(tall) {
        for column in (0..width - border).step_by(wide) {
            for channel in 0..channels {
                let window = Window {
                    samples: &source[(channel * height + row) * width + column..],
                    stride: width,
                    rows: (tall + border).min(height - row),
                    columns: (wide + border).min(width - column),
                };
                let rows = Vec::with_capacity(tall);
                tiles.push(Tile { window, rows });
            }
        }
    }
    tiles
}

/// Leaves in `work.tile` the spectrum of the window.
#[multiversion(targets("x86_64+avx2"))]
fn transform_kernel(shared: &Shared<'_>, work: &mut Workspace, window: Window<'_>) {
    transform_kernel_anywhere(shared, work, window);
}

/// [`transform_kernel`] with whatever instructions the caller is compiled for.
#[inline(always)]
fn transform_kernel_anywhere(shared: &Shared<'_>, work: &mut Workspace, window: Window<'_>) {
    forward_both(shared, work, window, None);
    for signals in work.tile.chunks_exact_mut(shared.across.length()) {
        shared.across.forward(signals);
    }
}

/// Convolves one tile, or two together.
#[multiversion(targets("x86_64+avx2"))]
fn convolve_pair(shared: &Shared<'_>, work: &mut Workspace, pair: &mut [Tile<'_>]) {
    convolve_pair_anywhere(shared, work, pair);
}

/// [`convolve_pair`] with whatever instructions the caller is compiled for.
#[inline(always)]
fn convolve_pair_anywhere(shared: &Shared<'_>, work: &mut Workspace, pair: &mut [Tile<'_>]) {
    let (first, second) = match pair {
        [first] => (first, None),
        [first, second] => (first, Some(second)),
        _ => return,
    };
    let second_window = second.as_ref().map(|tile| tile.window);
    let surveys = [
        first.window.survey(),
        second_window.map_or((true, true), |window| window.survey()),
    ];
    if !(surveys[0].0 && surveys[1].0) {
        convolve_directly(shared, first);
        if let Some(second) = second {
            convolve_directly(shared, second);
        }
        return;
    }
    forward_both(shared, work, first.window, second_window);
    let length = shared.across.length();
    for (signals, spectrum) in work
        .tile
        .chunks_exact_mut(length)
        .zip(shared.spectrum.chunks_exact(length))
    {
        shared.across.forward(signals);
        for (signal, factor) in signals.iter_mut().zip(spectrum) {
            *signal = signal.times_lanes(factor);
        }
        shared.across.inverse(signals);
    }
    let columns = first.rows.first().map_or(0, |row| row.len());
    let second_columns = second
        .as_ref()
        .and_then(|tile| tile.rows.first())
        .map_or(0, |row| row.len());
    let mut nothing = Vec::new();
    let second_rows = second.map_or(&mut nothing, |tile| &mut tile.rows);
    for column in (0..columns.max(second_columns)).step_by(LANES) {
        for (block, target) in work.panel.chunks_exact_mut(LANES).enumerate() {
            turn(&work.tile[block * length + column..], target);
        }
        shared.down.inverse(&mut work.panel);
        for (row, sample) in first.rows.iter_mut().zip(&work.panel) {
            write(row, column, sample.re, surveys[0].1);
        }
        for (row, sample) in second_rows.iter_mut().zip(&work.panel) {
            write(row, column, sample.im, surveys[1].1);
        }
    }
}

/// Fills `work.tile` with the windows, as real and imaginary part, transformed down the columns: for each block of
/// [`LANES`] frequencies, `length` samples across, ready to be transformed across.
#[inline(always)]
fn forward_both(
    shared: &Shared<'_>,
    work: &mut Workspace,
    first: Window<'_>,
    second: Option<Window<'_>>,
) {
    let length = shared.across.length();
    let second = second.unwrap_or(Window { rows: 0, ..first });
    for column in (0..length).step_by(LANES) {
        for (row, sample) in work.panel.iter_mut().enumerate() {
            sample.re = first.lanes(row, column);
            sample.im = second.lanes(row, column);
        }
        shared.down.forward(&mut work.panel);
        for (block, source) in work.panel.chunks_exact(LANES).enumerate() {
            turn(source, &mut work.tile[block * length + column..]);
        }
    }
}

/// Exchanges lanes and samples of the first [`LANES`] samples.
#[inline(always)]
fn turn(source: &[Sample], target: &mut [Sample]) {
    let (Some(source), Some(target)) = (
        source.first_chunk::<LANES>(),
        target.first_chunk_mut::<LANES>(),
    ) else {
        return;
    };
    for (index, sample) in target.iter_mut().enumerate() {
        for (lane, from) in source.iter().enumerate() {
            sample.re[lane] = from.re[index];
            sample.im[lane] = from.im[index];
        }
    }
}

/// Writes the lanes that lie in the row. Rounding may leave a little less than nothing where no light is.
#[inline(always)]
fn write(row: &mut [f32], column: usize, lanes: [f32; LANES], non_negative: bool) {
    let lowest = if non_negative { 0.0 } else { f32::NEG_INFINITY };
    let lanes = lanes.map(|value| if value > lowest { value } else { lowest });
    let Some(target) = row.get_mut(column..) else {
        return;
    };
    match target.first_chunk_mut::<LANES>() {
        Some(whole) => *whole = lanes,
        None => target
            .iter_mut()
            .zip(lanes)
            .for_each(|(place, value)| *place = value),
    }
}

#[inline(always)]
fn convolve_directly(shared: &Shared<'_>, tile: &mut Tile<'_>) {
    for (index, row) in tile.rows.iter_mut().enumerate() {
        convolve_row(
            &tile.window.samples[index * tile.window.stride..],
            shared.taps,
            row,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vector_instructions_do_not_change_a_bit() {
        let value = |index: usize| (index * 7919 % 10_007) as f32 / 10_007.0;
        let image: Vec<f32> = (0..2 * 96 * 96).map(value).collect();
        let taps = Array2::from_shape_fn((9, 9), |(row, column)| value(row * 31 + column) / 40.0);
        let grid = Grid::new([96, 96], [88, 88], 9);
        let list = super::super::tap_list(&taps, 96);
        let run = |dispatched: bool| {
            let mut out = vec![0.0; 2 * 88 * 88];
            let mut tiles = tiles_of(&grid, &image, [2, 96, 96], 8);
            for (index, row) in out.chunks_mut(88).enumerate() {
                tiles[index / 88].rows.push(row);
            }
            let transform = if dispatched {
                transform_kernel
            } else {
                transform_kernel_anywhere
            };
            let shared = Shared::new(&grid, &taps, &list, transform);
            let mut work = Workspace::new(&grid);
            if dispatched {
                convolve_pair(&shared, &mut work, &mut tiles);
            } else {
                convolve_pair_anywhere(&shared, &mut work, &mut tiles);
            }
            drop(tiles);
            (shared.spectrum, out)
        };
        let (plain, vector) = (run(false), run(true));
        assert!(plain.0 == vector.0 && plain.1 == vector.1);
        assert!(plain.1.iter().any(|&value| value > 0.1));
    }
}

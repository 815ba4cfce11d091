//! Two layers in motion: an object with a soft edge over the scene behind it.

use ndarray::{Array2, Array3, ArrayView3};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::blur::check_center;
use crate::error::{Problem, Result, samples};
use crate::kernel::checked_radius;
use crate::motion::{Motion, check_positive};
use crate::planes::{Bilinear, by_rows, padded};
use crate::random::SplitMix64;

/// Waves around the outline of an object.
const HARMONICS: std::ops::RangeInclusive<u32> = 2..=5;
/// Instants of the exposure for each pixel of the longer way.
const INSTANTS_PER_PIXEL: f64 = 2.0;
/// Most instants that an exposure is divided into. Only ways beyond 511 pixels, of a tangled trajectory, are sampled more
/// coarsely than two instants a pixel.
const MAX_INSTANTS: usize = 1024;

/// The part of a picture that moves as an object: a rounded, irregular shape with a soft edge.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovingObject {
    /// Middle of the object as a share of width and height, `[x, y]`.
    pub center: [f32; 2],
    /// Mean radius as a share of the shorter side; > 0.
    pub radius: f32,
    /// How far the outline leaves the circle, as a share of the radius, in `[0, 0.9]`.
    pub irregularity: f32,
    /// Width of the edge over which the object fades into the scene, in pixels; > 0.
    pub softness: f32,
    /// Seed of the outline.
    pub seed: u64,
}

impl MovingObject {
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        check_center(self.center, &mut problems);
        check_positive("radius", self.radius, &mut problems);
        if !(0.0..=0.9).contains(&self.irregularity) {
            problems.push(Problem::new(
                "irregularity",
                self.irregularity,
                "between 0 and 0.9",
            ));
        }
        check_positive("softness", self.softness, &mut problems);
        problems
    }

    /// How much of each pixel the object covers in a picture of `height` by `width` pixels, in `[0, 1]`,
    /// `[height, width]`.
    #[must_use]
    pub fn coverage(&self, height: usize, width: usize) -> Array2<f32> {
        let outline = Outline::new(self, height, width);
        Array2::from_shape_fn((height, width), |(row, column)| {
            outline.coverage([column as f64, row as f64])
        })
    }
}

/// The outline of an object in a picture of known size.
struct Outline {
    center: [f64; 2],
    radius: f64,
    softness: f64,
    /// Complex amplitude of each wave around the outline.
    waves: Vec<[f64; 2]>,
}

impl Outline {
    fn new(object: &MovingObject, height: usize, width: usize) -> Self {
        let mut random = SplitMix64::keyed(object.seed, "moving object");
        let drawn: Vec<[f64; 2]> = HARMONICS
            .map(|_| {
                let (sine, cosine) = libm::sincos(std::f64::consts::TAU * random.uniform());
                let amplitude = random.uniform();
                [amplitude * cosine, amplitude * sine]
            })
            .collect();
        let total: f64 = drawn
            .iter()
            .map(|wave| (wave[0] * wave[0] + wave[1] * wave[1]).sqrt())
            .sum();
        let scale = f64::from(object.irregularity) / total.max(f64::MIN_POSITIVE);
        Self {
            center: [
                f64::from(object.center[0]) * (width as f64 - 1.0),
                f64::from(object.center[1]) * (height as f64 - 1.0),
            ],
            radius: f64::from(object.radius) * height.min(width) as f64,
            softness: object.softness.into(),
            waves: drawn
                .iter()
                .map(|wave| [wave[0] * scale, wave[1] * scale])
                .collect(),
        }
    }

    /// Distance from the middle, and the distance of the outline in the same direction.
    fn distances(&self, place: [f64; 2]) -> (f64, f64) {
        let offset = [place[0] - self.center[0], place[1] - self.center[1]];
        let distance = (offset[0] * offset[0] + offset[1] * offset[1]).sqrt();
        let unit = if distance > 0.0 {
            [offset[0] / distance, offset[1] / distance]
        } else {
            [1.0, 0.0]
        };
        // Powers of the direction are the waves; no trigonometry is needed.
        let mut power = unit;
        let mut radius = 1.0;
        for wave in &self.waves {
            power = [
                power[0] * unit[0] - power[1] * unit[1],
                power[0] * unit[1] + power[1] * unit[0],
            ];
            radius += wave[0] * power[0] - wave[1] * power[1];
        }
        (distance, radius * self.radius)
    }

    fn coverage(&self, place: [f64; 2]) -> f32 {
        let (distance, outline) = self.distances(place);
        let inside = ((outline - distance) / self.softness + 0.5).clamp(0.0, 1.0);
        (inside * inside * (3.0 - 2.0 * inside)) as f32
    }

    /// Where the scene behind a place is taken from: the place itself where the object does not cover it all; inside,
    /// the place mirrored at the outline, which continues the scene without a jump at the outline. (In the middle of the
    /// object, which only a way longer than the object uncovers, opposite sides meet.)
    fn behind(&self, place: [f64; 2]) -> [f64; 2] {
        let (distance, outline) = self.distances(place);
        let covered = outline - 0.5 * self.softness;
        if distance >= covered {
            return place;
        }
        if distance < 1e-9 {
            return [self.center[0] + 2.0 * covered, self.center[1]];
        }
        let factor = (2.0 * covered - distance) / distance;
        [
            self.center[0] + factor * (place[0] - self.center[0]),
            self.center[1] + factor * (place[1] - self.center[1]),
        ]
    }
}

/// Positions of both layers at the instants of the exposure.
struct Exposure {
    foreground: Vec<[f64; 2]>,
    background: Vec<[f64; 2]>,
    reach: usize,
}

impl Exposure {
    fn new(foreground: Motion, background: Motion) -> Result<Self> {
        let paths = [foreground.corners()?, background.corners()?];
        let way = paths.iter().map(|path| length(path)).fold(0.0, f64::max);
        let count = ((INSTANTS_PER_PIXEL * way).ceil() as usize + 1).min(MAX_INSTANTS);
        let [foreground, background] = paths.map(|path| at_instants(&path, count));
        let reach = foreground
            .iter()
            .chain(&background)
            .flatten()
            .fold(0.0_f64, |reach, value| reach.max(value.abs()));
        Ok(Self {
            foreground,
            background,
            // One more for reading between pixels.
            reach: checked_radius(reach + 1.0)?,
        })
    }
}

fn length(path: &[[f64; 2]]) -> f64 {
    path.windows(2)
        .map(|pair| {
            let step = [pair[1][0] - pair[0][0], pair[1][1] - pair[0][1]];
            (step[0] * step[0] + step[1] * step[1]).sqrt()
        })
        .sum()
}

/// Positions in the middle of `count` equal intervals of time, their mean in the origin.
fn at_instants(path: &[[f64; 2]], count: usize) -> Vec<[f64; 2]> {
    let segments = (path.len() - 1) as f64;
    let positions: Vec<[f64; 2]> = (0..count)
        .map(|index| {
            let time = (index as f64 + 0.5) / count as f64 * segments;
            let segment = (time as usize).min(path.len() - 2);
            let share = time - segment as f64;
            [0, 1].map(|axis| {
                path[segment][axis] + share * (path[segment + 1][axis] - path[segment][axis])
            })
        })
        .collect();
    let mean = [0, 1]
        .map(|axis| positions.iter().map(|position| position[axis]).sum::<f64>() / count as f64);
    positions
        .iter()
        .map(|position| [position[0] - mean[0], position[1] - mean[1]])
        .collect()
}

/// Real pixels around each output pixel that the two motions read.
pub(crate) fn margin(foreground: Motion, background: Motion) -> Result<usize> {
    Ok(Exposure::new(foreground, background)?.reach)
}

/// Averages the composition of both layers over the exposure: `mean_t [a(p - f_t) x(p - f_t) + (1 - a(p - f_t)) b(p - g_t)]`
/// with the coverage `a`, the picture `x`, the scene `b` and the positions `f_t` and `g_t` of the layers.
///
/// `light` is `[C, H, W]`; the result `[C, H - 2 * inset, W - 2 * inset]` is the inside.
pub(crate) fn apply(
    light: ArrayView3<'_, f32>,
    object: &MovingObject,
    foreground: Motion,
    background: Motion,
    inset: usize,
) -> Result<Array3<f32>> {
    let exposure = Exposure::new(foreground, background)?;
    let (channels, height, width) = light.dim();
    let margin = exposure.reach;
    let scene = padded(light, margin)?;
    let (_, source_height, source_width) = scene.dim();
    let plane = source_height * source_width;
    let pixels = samples(scene.as_slice())?;
    let outline = Outline::new(object, height, width);
    // Coverage, then for each channel the object (times its coverage), then the scene behind it.
    let mut layers = vec![0.0_f32; (1 + 2 * channels) * plane];
    let place = |index: usize| {
        let (row, column) = (index / source_width, index % source_width);
        [column as f64 - margin as f64, row as f64 - margin as f64]
    };
    let (coverage, colours) = layers.split_at_mut(plane);
    coverage
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, value)| *value = outline.coverage(place(index)));
    let (objects, scenes) = colours.split_at_mut(channels * plane);
    objects
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, value)| *value = coverage[index % plane] * pixels[index]);
    scenes
        .par_iter_mut()
        .enumerate()
        .for_each(|(index, value)| {
            let here = place(index % plane);
            let source = outline.behind(here);
            *value = if source == here {
                pixels[index]
            } else {
                let moved = [source[0] + margin as f64, source[1] + margin as f64];
                let channel = &pixels[index / plane * plane..];
                Bilinear::new(moved, source_height, source_width).sample(channel, source_width)
            };
        });
    let (rows, columns) = (height - 2 * inset, width - 2 * inset);
    by_rows((channels, rows, columns), |row, sums| {
        let mut covered = vec![0.0; columns];
        let mut values = vec![0.0; columns];
        let origin = [row + inset + margin, inset + margin];
        for (front, back) in exposure.foreground.iter().zip(&exposure.background) {
            let front = Shift::new(origin, *front);
            let back = Shift::new(origin, *back);
            front.row(coverage, source_width, &mut covered);
            for (channel, sums) in sums.chunks_mut(columns).enumerate() {
                front.row(&objects[channel * plane..], source_width, &mut values);
                for (sum, value) in sums.iter_mut().zip(&values) {
                    *sum += f64::from(*value);
                }
                back.row(&scenes[channel * plane..], source_width, &mut values);
                for ((sum, value), covered) in sums.iter_mut().zip(&values).zip(&covered) {
                    *sum += f64::from((1.0 - covered) * value);
                }
            }
        }
        exposure.foreground.len()
    })
}

/// A row read at an offset that is the same for all its pixels.
struct Shift {
    start: [usize; 2],
    shares: [f32; 4],
}

impl Shift {
    /// Reads from `origin` (row, column) minus `offset` `[x, y]`; the caller's margin holds the offset.
    fn new(origin: [usize; 2], offset: [f64; 2]) -> Self {
        let [column, row] = [0, 1].map(|axis| (-offset[axis]).floor());
        let (x, y) = ((-offset[0] - column) as f32, (-offset[1] - row) as f32);
        Self {
            start: [
                origin[0].saturating_add_signed(row as isize),
                origin[1].saturating_add_signed(column as isize),
            ],
            shares: [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y],
        }
    }

    fn row(&self, plane: &[f32], width: usize, target: &mut [f32]) {
        let count = target.len();
        let upper = &plane[self.start[0] * width + self.start[1]..];
        let lower = &upper[width..];
        let [a, b, c, d] = self.shares;
        let (upper, lower) = (&upper[..count + 1], &lower[..count + 1]);
        for index in 0..count {
            target[index] =
                a * upper[index] + b * upper[index + 1] + c * lower[index] + d * lower[index + 1];
        }
    }
}

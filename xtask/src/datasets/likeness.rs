//! Do two photos show the same scene? A hash of what they look like from far away.

use std::fmt;
use std::str::FromStr;

use super::lanczos::Picture;

/// Cells along each side that are compared with their neighbours.
const CELLS: usize = 16;

/// A difference hash: bit `16 y + x` says whether cell `(x + 1, y)` of 17 × 16 mean brightnesses is lighter than
/// cell `(x, y)`.
///
/// Measured on the 316 free photos: halved and stored as JPEG of quality 50, or cropped by 1 % on each side, 99 of 100
/// photos change by at most 32 bits; the closest two different photos, both dark and smooth, differ in 49.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Likeness([u16; CELLS]);

impl Likeness {
    /// Photos that differ in fewer bits than this are taken for the same scene.
    pub(crate) const NEAR: u32 = 40;

    /// The hash of a photo with at least one pixel.
    pub(crate) fn of(picture: &Picture) -> Self {
        let Picture {
            width,
            height,
            samples,
        } = picture;
        let brightness = |cell_x: usize, cell_y: usize| {
            let xs = span(*width, cell_x, CELLS + 1);
            let ys = span(*height, cell_y, CELLS);
            let count = (xs.len() * ys.len()) as u64;
            let sum = ys
                .flat_map(|y| {
                    let row = &samples[3 * width * y..3 * width * (y + 1)];
                    row[3 * xs.start..3 * xs.end].chunks_exact(3)
                })
                .map(|pixel| {
                    // Rec. 601 luma, times 256.
                    77 * u64::from(pixel[0]) + 150 * u64::from(pixel[1]) + 29 * u64::from(pixel[2])
                })
                .sum::<u64>();
            sum / count
        };
        Self(std::array::from_fn(|y| {
            let row: Vec<u64> = (0..=CELLS).map(|x| brightness(x, y)).collect();
            row.windows(2).enumerate().fold(0, |bits, (x, pair)| {
                bits | (u16::from(pair[1] > pair[0]) << x)
            })
        }))
    }

    /// In how many of 256 bits two photos differ.
    pub(crate) fn distance(self, other: Self) -> u32 {
        self.0
            .iter()
            .zip(other.0)
            .map(|(a, b)| (a ^ b).count_ones())
            .sum()
    }
}

/// The pixels of cell `at` of `cells`; at least one, so that small pictures have a hash too.
fn span(pixels: usize, at: usize, cells: usize) -> std::ops::Range<usize> {
    let start = (pixels * at / cells).min(pixels - 1);
    start..(pixels * (at + 1) / cells).max(start + 1)
}

impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|row| write!(f, "{row:04x}"))
    }
}

impl fmt::Debug for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Likeness {
    type Err = ();

    /// Reads what is displayed: 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        if text.len() != 4 * CELLS || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(());
        }
        let mut rows = [0; CELLS];
        for (row, at) in rows.iter_mut().zip((0..).step_by(4)) {
            *row = u16::from_str_radix(&text[at..at + 4], 16).map_err(drop)?;
        }
        Ok(Self(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, level: impl Fn(usize, usize) -> u8) -> Picture {
        let samples = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .flat_map(|(x, y)| [level(x, y); 3])
            .collect();
        Picture {
            width,
            height,
            samples,
        }
    }

    #[test]
    fn a_ramp_sets_every_bit_and_its_mirror_none() {
        let rising = Likeness::of(&picture(170, 64, |x, _| x as u8));
        let falling = Likeness::of(&picture(170, 64, |x, _| 200 - x as u8));
        assert_eq!(rising.to_string(), "f".repeat(64));
        assert_eq!(falling.to_string(), "0".repeat(64));
        assert_eq!(rising.distance(falling), 256);
        assert_eq!(rising.to_string().parse(), Ok(rising));
    }

    #[test]
    fn half_the_size_looks_alike_and_another_scene_does_not() {
        let scene = |seed: usize| {
            picture(340, 320, move |x, y| {
                let cell = (x / 20) * 7919 + (y / 20) * 104_729 + seed * 31;
                (cell * cell % 251) as u8
            })
        };
        let one = Likeness::of(&scene(1));
        assert!(one.distance(Likeness::of(&scene(1).resized(170, 160))) < Likeness::NEAR);
        assert!(one.distance(Likeness::of(&scene(2))) > Likeness::NEAR);
    }

    #[test]
    fn the_smallest_picture_has_a_hash_and_bad_text_has_none() {
        let hash = Likeness::of(&picture(1, 1, |_, _| 9));
        assert_eq!(hash.to_string(), "0".repeat(64));
        for text in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(text.parse::<Likeness>(), Err(()), "{text}");
        }
    }
}

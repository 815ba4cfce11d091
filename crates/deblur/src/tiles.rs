//! Cutting a photo into tiles: which pixels a tile writes, and which it reads besides.
//!
//! The network is local, so a tile that is read with a halo of at least its receptive field gives the same pixels as the
//! whole photo. At the border of the photo the halo ends there, so that the network sees the true border. All
//! coordinates are multiples of the network's size multiple, so that its strided layers fall on the same cells.

use unet_core::padding::round_up;

/// The smallest tile in pixels, before rounding up to the size multiple. Below it nearly everything read would be halo.
pub const MINIMUM_TILE: u32 = 32;

/// A rectangle of pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// First row.
    pub top: i64,
    /// First column.
    pub left: i64,
    /// Rows.
    pub height: i64,
    /// Columns.
    pub width: i64,
}

impl Region {
    /// Pixels.
    pub fn area(&self) -> i64 {
        self.height * self.width
    }
}

/// One tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// The pixels that it is responsible for. Those of all tiles cover the photo without overlap.
    pub write: Region,
    /// The pixels that the network sees: `write` and the halo around it, as far as the photo reaches.
    pub read: Region,
}

/// Sizes that tiles of a photo have to respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Height of the (padded) photo, a multiple of `multiple`.
    pub height: i64,
    /// Width of the (padded) photo, a multiple of `multiple`.
    pub width: i64,
    /// Pixels read on every side besides those written, a multiple of `multiple`.
    pub halo: i64,
    /// The network's size multiple.
    pub multiple: i64,
}

impl Layout {
    /// The layout for a photo of `height` × `width` pixels, padded to `multiple`, and a receptive field of radius `radius`.
    pub fn new(height: i64, width: i64, radius: i64, multiple: i64) -> Self {
        Self {
            height: round_up(height, multiple),
            width: round_up(width, multiple),
            halo: round_up(radius, multiple),
            multiple,
        }
    }

    /// The smallest allowed tile.
    pub fn minimum_tile(&self) -> i64 {
        round_up(i64::from(MINIMUM_TILE), self.multiple)
    }

    /// Tiles that write `tile_height` × `tile_width` pixels, or less at the lower and right border, row by row. Both are
    /// rounded up to the size multiple.
    pub fn cut(&self, tile_height: i64, tile_width: i64) -> Vec<Tile> {
        let rows = self.spans(self.height, tile_height);
        let columns = self.spans(self.width, tile_width);
        rows.iter()
            .flat_map(|row| columns.iter().map(move |column| tile(*row, *column)))
            .collect()
    }

    /// The tile size (height, width) with the fewest pixels read in all, when one tile may read at most `pixels`. Never
    /// below the smallest tile, even where that reads more.
    ///
    /// Every useful number of rows is tried, but only once for each tile height: about √height candidates in constant
    /// time each, so that a photo of 1 × 268 million pixels takes no longer than a moment.
    pub fn fit(&self, pixels: i64) -> (i64, i64) {
        let minimum = self.minimum_tile();
        let mut best = (minimum, minimum);
        let mut least = i64::MAX;
        let most_rows = div_ceil(self.height, minimum).max(1);
        let mut rows = 1;
        while rows <= most_rows {
            let tile_height = round_up(div_ceil(self.height, rows).max(1), self.multiple);
            // The fewest rows whose tiles are lower than these.
            rows = if tile_height > self.multiple {
                div_ceil(self.height, tile_height - self.multiple)
            } else {
                i64::MAX
            };
            let widest = self.longest(
                pixels / self.longest_read(self.height, tile_height),
                self.width,
            );
            if widest < minimum.min(self.width) {
                continue;
            }
            let columns = div_ceil(self.width, widest);
            let tile_width = round_up(div_ceil(self.width, columns), self.multiple);
            let cost = self
                .total_read(self.height, tile_height)
                .saturating_mul(self.total_read(self.width, tile_width));
            if cost < least {
                (least, best) = (cost, (tile_height, tile_width));
            }
        }
        best
    }

    /// The pixels that all square tiles of `tile` pixels read, for each pixel of the photo.
    pub fn overhead(&self, tile: i64) -> f64 {
        let tile = round_up(tile.max(1), self.multiple);
        let along = |length| self.total_read(length, tile) as f64 / length.max(1) as f64;
        along(self.height) * along(self.width)
    }

    /// The most pixels along an axis of `length` that a tile may write if it may read `read`.
    fn longest(&self, read: i64, length: i64) -> i64 {
        if read >= length {
            return length;
        }
        (read - 2 * self.halo).div_euclid(self.multiple) * self.multiple
    }

    /// The most pixels that one of the tiles of `tile` pixels along an axis reads; `tile` is a multiple of `multiple`.
    ///
    /// Tile k reads min((k + 1) tile + halo, length) − max(k tile − halo, 0), which is concave in k and greatest at
    /// k = halo / tile over the real numbers: over the whole ones it is greatest next to that.
    fn longest_read(&self, length: i64, tile: i64) -> i64 {
        let last = div_ceil(length, tile) - 1;
        let read =
            |k: i64| ((k + 1) * tile + self.halo).min(length) - (k * tile - self.halo).max(0);
        let near = self.halo / tile;
        read(near.min(last)).max(read((near + 1).min(last))).max(1)
    }

    /// The pixels that all tiles of `tile` pixels along an axis read together; `tile` is a multiple of `multiple`.
    fn total_read(&self, length: i64, tile: i64) -> i64 {
        let inner = div_ceil(length, tile) - 1;
        // Before tile k = 1, 2, … lie k · tile pixels, and after the last but one, last but two, … the last tile's
        // and whole tiles. Every halo is cut off where these end.
        let shortest = length - inner * tile;
        length + self.cut_halos(tile, tile, inner) + self.cut_halos(shortest, tile, inner)
    }

    /// Σ min(halo, first + i · step) for i = 0..count.
    fn cut_halos(&self, first: i64, step: i64, count: i64) -> i64 {
        let cut = ((self.halo - first).div_euclid(step) + 1).clamp(0, count);
        cut * first + cut * (cut - 1) / 2 * step + (count - cut) * self.halo
    }

    fn spans(&self, length: i64, tile: i64) -> Vec<Span> {
        let tile = round_up(tile.max(1), self.multiple);
        (0..length)
            .step_by(tile as usize)
            .map(|start| {
                let end = (start + tile).min(length);
                let first = (start - self.halo).max(0);
                let last = (end + self.halo).min(length);
                Span {
                    write: (start, end - start),
                    read: (first, last - first),
                }
            })
            .collect()
    }
}

/// ⌈a / b⌉ for positive b.
fn div_ceil(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

/// Start and length along one axis.
#[derive(Clone, Copy)]
struct Span {
    write: (i64, i64),
    read: (i64, i64),
}

fn tile(row: Span, column: Span) -> Tile {
    let region = |(top, height), (left, width)| Region {
        top,
        left,
        height,
        width,
    };
    Tile {
        write: region(row.write, column.write),
        read: region(row.read, column.read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_photo_once_and_read_their_halo() {
        for (height, width, radius, multiple, tile_height, tile_width) in [
            (33, 70, 13, 8, 32, 40),
            (8, 8, 100, 8, 32, 32),
            (129, 65, 0, 4, 32, 31),
            (1, 1, 5, 16, 32, 32),
        ] {
            let layout = Layout::new(height, width, radius, multiple);
            let mut written = vec![0; (layout.height * layout.width) as usize];
            for Tile { write, read } in layout.cut(tile_height, tile_width) {
                for y in write.top..write.top + write.height {
                    for x in write.left..write.left + write.width {
                        written[(y * layout.width + x) as usize] += 1;
                    }
                }
                for value in [
                    read.top,
                    read.left,
                    read.height,
                    read.width,
                    write.top,
                    write.left,
                ] {
                    assert_eq!(value % multiple, 0);
                }
                assert!(read.top == 0 || write.top - read.top >= radius);
                assert!(read.left == 0 || write.left - read.left >= radius);
                let (bottom, right) = (read.top + read.height, read.left + read.width);
                assert!(bottom == layout.height || bottom - (write.top + write.height) >= radius);
                assert!(right == layout.width || right - (write.left + write.width) >= radius);
            }
            assert!(written.iter().all(|count| *count == 1));
        }
    }

    #[test]
    fn a_photo_that_fits_is_one_tile() {
        let layout = Layout::new(100, 200, 20, 8);
        let (height, width) = layout.fit(104 * 200);
        assert_eq!(layout.cut(height, width).len(), 1);
    }

    #[test]
    fn fitted_tiles_stay_below_the_limit() {
        for (height, width) in [(3000, 4000), (4000, 3000), (100, 9000), (9000, 33)] {
            for limit in [200_000, 1_000_000, 3_000_000] {
                let layout = Layout::new(height, width, 93, 8);
                let (tile_height, tile_width) = layout.fit(limit);
                let tiles = layout.cut(tile_height, tile_width);
                let largest = tiles
                    .iter()
                    .map(|tile| tile.read.area())
                    .max()
                    .expect("tiles");
                assert!(
                    largest <= limit,
                    "{height}x{width}: {tile_height}x{tile_width} reads {largest}"
                );
            }
        }
    }

    #[test]
    fn the_overhead_is_what_the_tiles_read() {
        for (height, width, radius, tile) in [
            (33, 700, 13, 32),
            (129, 65, 93, 40),
            (500, 300, 0, 64),
            (40, 40, 93, 512),
        ] {
            let layout = Layout::new(height, width, radius, 8);
            let read: i64 = layout
                .cut(tile, tile)
                .iter()
                .map(|tile| tile.read.area())
                .sum();
            let counted = read as f64 / (layout.height * layout.width) as f64;
            let overhead = layout.overhead(tile);
            assert!((overhead - counted).abs() < 1e-9, "{overhead}, {counted}");
        }
    }

    /// The definition of [`Layout::fit`]: every number of rows, with the tiles counted one by one.
    fn fit_by_counting(layout: &Layout, pixels: i64) -> (i64, i64) {
        let reads = |length, tile| {
            layout
                .spans(length, tile)
                .into_iter()
                .map(|span| span.read.1)
        };
        let minimum = layout.minimum_tile();
        let mut best = (i64::MAX, (minimum, minimum));
        for rows in 1..=div_ceil(layout.height, minimum) {
            let tile_height = round_up(div_ceil(layout.height, rows), layout.multiple);
            let tallest = reads(layout.height, tile_height).max().expect("a tile");
            let widest = layout.longest(pixels / tallest, layout.width);
            if widest < minimum.min(layout.width) {
                continue;
            }
            let columns = div_ceil(layout.width, widest);
            let tile_width = round_up(div_ceil(layout.width, columns), layout.multiple);
            let cost = reads(layout.height, tile_height).sum::<i64>()
                * reads(layout.width, tile_width).sum::<i64>();
            if cost < best.0 {
                best = (cost, (tile_height, tile_width));
            }
        }
        best.1
    }

    #[test]
    fn the_closed_form_is_that_of_counting() {
        for (height, width) in [
            (1, 1),
            (33, 4001),
            (480, 640),
            (1080, 1920),
            (3000, 4000),
            (4000, 3000),
            (20_000, 20),
        ] {
            for (radius, multiple) in [(93, 8), (0, 4), (700, 8), (30, 64)] {
                let layout = Layout::new(height, width, radius, multiple);
                for limit in [10, 50_000, 200_000, 1_000_000, 5_000_000, 1 << 40] {
                    assert_eq!(
                        layout.fit(limit),
                        fit_by_counting(&layout, limit),
                        "{layout:?}, {limit}"
                    );
                }
            }
        }
    }

    #[test]
    fn extreme_aspect_ratios_take_a_moment() {
        let start = std::time::Instant::now();
        for (height, width) in [(1 << 28, 1), (1, 1 << 28), (1 << 32, 1)] {
            let layout = Layout::new(height, width, 93, 8);
            let (tile_height, tile_width) = layout.fit(1_000_000);
            let read = layout.longest_read(layout.height, tile_height)
                * layout.longest_read(layout.width, tile_width);
            assert!(read <= 1_000_000, "{height}x{width}: {read}");
        }
        let seconds = start.elapsed().as_secs_f64();
        assert!(seconds < 2.0, "{seconds} s");
    }

    #[test]
    fn a_hopeless_limit_gives_the_smallest_tile() {
        assert_eq!(Layout::new(500, 500, 93, 8).fit(10), (32, 32));
        assert_eq!(Layout::new(500, 500, 93, 64).fit(10), (64, 64));
    }
}

//! A warning for tiles that are mostly halo.

/// Above this many pixels computed per pixel of the photo, small tiles are pointed out.
const MUCH_OVERHEAD: f64 = 4.0;
/// What a better choice of tiles computes at most.
const LITTLE_OVERHEAD: f64 = 2.0;

/// What to say about tiles that are mostly halo, for photos of these sizes (height, width).
pub(crate) fn warning(
    tile: u32,
    sizes: &[(usize, usize)],
    overhead: &dyn Fn(usize, usize, u32) -> f64,
) -> Option<String> {
    let overhead = |tile: u32| {
        let (mut computed, mut pixels) = (0.0, 0.0);
        for &(height, width) in sizes {
            let area = height as f64 * width as f64;
            computed += area * overhead(height, width, tile);
            pixels += area;
        }
        computed / f64::max(pixels, 1.0)
    };
    let now = overhead(tile);
    if now <= MUCH_OVERHEAD {
        return None;
    }
    let larger =
        std::iter::successors(tile.checked_next_power_of_two(), |tile| tile.checked_mul(2));
    let better = larger
        .map(|tile| (tile, overhead(tile)))
        .find(|(_, overhead)| *overhead <= LITTLE_OVERHEAD)
        .map(|(tile, overhead)| format!("--tile {tile} computes {overhead:.1} times as many, "))
        .unwrap_or_default();
    Some(format!(
        "--tile {tile} computes {now:.0} times as many pixels as there are, because the network also looks around every tile; \
         {better}--tile auto as few as fit into memory"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_that_are_mostly_halo_are_pointed_out_with_a_better_size() {
        // Halos of 50 pixels in a photo without borders.
        let overhead = |_: usize, _: usize, tile: u32| (1.0 + 100.0 / f64::from(tile)).powi(2);
        let sizes = [(3000, 4000), (300, 400)];
        let text = warning(32, &sizes, &overhead).expect("a warning");
        for words in [
            "--tile 32 computes 17 times",
            "--tile 256 computes 1.9 times",
            "auto",
        ] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert_eq!(warning(101, &sizes, &overhead), None);
        assert_eq!(warning(32, &[], &overhead), None);
    }
}

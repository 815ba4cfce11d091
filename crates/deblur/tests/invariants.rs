//! The result depends on the photo, the model, the sampler and the seed, and on nothing else.

mod support;

use deblur::{Mode, Options, Restorer, TileChoice, set_threads};
use diffusion_sched::SamplerKind;
use ms_guidance::{GuidanceInput, GuidedUNetConfig};
use support::{checkpoint, checkpoint_of, exact, largest_difference, photo, restore, unattended};
use unet_core::GuidanceEntry;

#[test]
fn tiles_leave_no_trace_with_guidance_in_colour_or_at_the_input() {
    for (input, entry) in [
        (GuidanceInput::Color, GuidanceEntry::Blocks),
        (GuidanceInput::Gray, GuidanceEntry::Input),
        (GuidanceInput::Color, GuidanceEntry::Input),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = GuidedUNetConfig::tiny();
        config.guidance_input = input;
        config.unet.guidance_entry = entry;
        let checkpoint = checkpoint_of(config, folder.path(), |_| ());
        let photo = photo(139, 150);
        let options = |tile| Options {
            tile,
            guidance: true,
            ..exact(Options::mean())
        };
        let whole = restore(&checkpoint, options(TileChoice::Off), &photo);
        let tiled = restore(&checkpoint, options(TileChoice::Size(64)), &photo);
        assert!(tiled.tiles > 1);
        assert!(largest_difference(&whole.image, &photo) > 0.01);
        assert!(largest_difference(&tiled.image, &whole.image) < 2e-6);
        // One grey plane for each scale, also of predictions in colour.
        assert_eq!(whole.guidance.len(), 3);
        for (scale, (tiled, whole)) in (1..).zip(tiled.guidance.iter().zip(&whole.guidance)) {
            assert_eq!(
                whole.dim(),
                (139usize.div_ceil(1 << scale), 150usize.div_ceil(1 << scale))
            );
            assert!(largest_difference(tiled, whole) < 2e-6);
        }
    }
}

/// The bound is that of float32 rounding: half the halo errs by more, though what lies far away has little influence.
#[test]
fn tiled_equals_untiled() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    // Ancestral sampling also needs the noise of every step to be that of the place, not that of the tile.
    let sampled = Options {
        sampler: SamplerKind::Ddpm,
        guidance: true,
        ..Options::sample(3)
    };
    for (height, width, options, sizes) in [
        (261, 35, Options::mean(), &[32, 41][..]),
        (150, 141, Options::mean(), &[100]),
        (33, 190, sampled, &[64]),
    ] {
        let photo = photo(height, width);
        let options = exact(options);
        let whole = restore(
            &checkpoint,
            Options {
                tile: TileChoice::Off,
                ..options.clone()
            },
            &photo,
        );
        assert_eq!(whole.tiles, 1);
        assert_eq!(whole.image.dim(), (3, height, width));
        assert!(
            largest_difference(&whole.image, &photo) > 0.01,
            "the model must do something"
        );
        for &size in sizes {
            let tiled = restore(
                &checkpoint,
                Options {
                    tile: TileChoice::Size(size),
                    ..options.clone()
                },
                &photo,
            );
            assert!(tiled.tiles > 1);
            let difference = largest_difference(&tiled.image, &whole.image);
            assert!(
                difference < 2e-6,
                "{height}x{width} in tiles of {size}: {difference}"
            );
            for (tiled, whole) in tiled.guidance.iter().zip(&whole.guidance) {
                let difference = largest_difference(tiled, whole);
                assert!(
                    difference < 2e-6,
                    "guidance in tiles of {size}: {difference}"
                );
            }
        }
    }
}

/// Runs `work` with as many threads of libtorch and of rayon. `set_threads` alone would size rayon's pool once per process, so that only
/// its first call counted.
fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("a pool");
    pool.install(|| {
        assert_eq!(rayon::current_num_threads(), threads);
        // On the thread that computes, because OpenMP counts per calling thread.
        set_threads(threads).expect("threads");
        work()
    })
}

#[test]
fn the_seed_alone_decides() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    let photo = photo(50, 61);
    let options = exact(Options {
        seed: 7,
        ..Options::sample(4)
    });
    let one = with_threads(1, || restore(&checkpoint, options.clone(), &photo));
    for threads in [2, 5] {
        let other = with_threads(threads, || restore(&checkpoint, options.clone(), &photo));
        let difference = largest_difference(&one.image, &other.image);
        // The noise is the same to the bit; libtorch may sum in another order.
        assert!(difference < 1e-5, "{threads} threads: {difference}");
    }
    let with_spread = restore(
        &checkpoint,
        Options {
            uncertainty: true,
            samples: 3,
            ..options.clone()
        },
        &photo,
    );
    assert!(
        largest_difference(&one.image, &with_spread.image) < 1e-5,
        "number of samples"
    );
    let other = restore(
        &checkpoint,
        Options {
            seed: 8,
            ..options.clone()
        },
        &photo,
    );
    assert!(
        largest_difference(&one.image, &other.image) > 1e-3,
        "another seed is another sample"
    );
}

#[test]
fn average_and_spread_are_those_of_the_samples() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    let photo = photo(40, 24);
    let average = exact(Options {
        uncertainty: true,
        ..Options::average(2, 3)
    });
    let both = restore(&checkpoint, average.clone(), &photo);
    let first = restore(
        &checkpoint,
        Options {
            mode: Mode::Sample,
            uncertainty: false,
            ..average.clone()
        },
        &photo,
    );
    let spread = both.spread.expect("asked for");
    assert_eq!(spread.dim(), (40, 24));
    assert!(spread.iter().any(|value| *value > 1e-3), "samples differ");
    // Two samples: the other one is 2 · mean − first, and their standard deviation is |first − second| / √2.
    for ((y, x), value) in spread.indexed_iter() {
        let squares: f32 = (0..3)
            .map(|c| {
                (first.image[[c, y, x]] - (2.0 * both.image[[c, y, x]] - first.image[[c, y, x]]))
                    .powi(2)
                    / 2.0
            })
            .sum();
        assert!(((squares / 3.0).sqrt() - value).abs() < 1e-4, "at {y}, {x}");
    }
}

#[test]
fn mean_mode_calls_the_network_once_per_tile_and_guidance_is_computed_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    let photo = photo(120, 90);
    for (tile, steps) in [
        (TileChoice::Off, None),
        (TileChoice::Size(64), None),
        (TileChoice::Off, Some(5)),
        (TileChoice::Size(64), Some(5)),
    ] {
        let options = exact(Options {
            tile,
            ..steps.map_or_else(Options::mean, Options::sample)
        });
        let restorer = Restorer::new(&checkpoint, options).expect("a restorer");
        let (mut guidance, mut network, mut last) = (0, 0, None);
        let restored = restorer
            .restore(photo.view(), &mut |progress| {
                // Guidance reports without finishing a unit.
                if progress.done == last.unwrap_or(0) {
                    guidance += 1
                } else {
                    network += 1
                }
                last = Some(progress.done);
                assert_eq!(progress.total, restorer.units(120, 90).expect("units"));
                unattended(progress)
            })
            .expect("restored");
        let calls = steps.unwrap_or(1);
        assert_eq!(restored.denoiser_calls, calls);
        assert_eq!(
            (guidance, network),
            (restored.tiles, restored.tiles * calls),
            "{tile:?}, {steps:?}"
        );
        assert_eq!(restored.network_calls, network as u64);
    }
}

#[test]
fn sizes_down_to_one_pixel() {
    let folder = tempfile::tempdir().expect("a folder");
    let checkpoint = checkpoint(folder.path(), |_| ());
    for (height, width) in [(1, 1), (1, 9), (7, 2), (8, 8)] {
        let options = exact(Options {
            guidance: true,
            uncertainty: true,
            samples: 2,
            steps: 2,
            ..Options::mean()
        });
        let restored = restore(&checkpoint, options, &photo(height, width));
        assert_eq!(restored.image.dim(), (3, height, width));
        assert!(
            restored
                .image
                .iter()
                .all(|value| (0.0..=1.0).contains(value))
        );
        assert_eq!(restored.spread.expect("asked for").dim(), (height, width));
        let sizes: Vec<_> = restored.guidance.iter().map(|grey| grey.dim()).collect();
        let expected: Vec<_> = [2, 4, 8]
            .iter()
            .map(|cell| (height.div_ceil(*cell), width.div_ceil(*cell)))
            .collect();
        assert_eq!(sizes, expected);
    }
}

//! Whole results, made so that the answer is known.

use std::collections::BTreeMap;

use super::*;
use crate::bench_ood::fixture;
use crate::bench_ood::results::Results;
use crate::bench_ood::statistics::{Analysis, ComparisonKind, Verdict, analyse};

fn analysis(results: &Results) -> Analysis {
    analyse(results, Settings::default())
}

#[test]
fn gains_tests_and_verdicts_are_those_that_were_put_in() {
    let results = fixture::two_domains();
    let analysis = analysis(&results);
    let gain = analysis
        .comparison(ComparisonKind::Gain, "plain", "psnr")
        .unwrap();
    let means: Vec<f64> = gain.conditions.iter().map(|row| row.gain.value).collect();
    for (found, expected) in means.iter().zip([3.0, 1.0, 0.7, -1.35]) {
        assert!((found - expected).abs() < 1e-9, "{means:?}");
    }
    let verdicts: Vec<Verdict> = gain.conditions.iter().map(|row| row.verdict).collect();
    // The six photos of the night are judged among the photos; five pages reach 2 / 2^5 at best.
    assert_eq!(
        verdicts,
        [
            Verdict::Better,
            Verdict::Better,
            Verdict::Repeated,
            Verdict::TooFew
        ]
    );
    let row = &gain.conditions[0];
    assert_eq!(row.counts, [12, 0, 0]);
    assert!((row.test.unwrap().p - 2.0 / 4096.0).abs() < 1e-15);
    // Holm counts the two conditions that can reach a verdict.
    assert!((row.adjusted_p.unwrap() - 2.0 * 2.0 / 4096.0).abs() < 1e-15);
    assert_eq!(gain.conditions[2].adjusted_p, None);
    assert_eq!(gain.conditions[3].adjusted_p, None);
    assert!(gain.conditions[3].test.is_some());
    // A lower LPIPS is a gain.
    let lpips = analysis
        .comparison(ComparisonKind::Gain, "plain", "lpips")
        .unwrap();
    assert!((lpips.conditions[0].gain.value - 3.0 / 50.0).abs() < 1e-9);
    assert_eq!(lpips.conditions[0].verdict, Verdict::Better);
}

#[test]
fn the_gap_is_the_difference_of_the_pools() {
    let results = fixture::two_domains();
    let analysis = analysis(&results);
    let gain = analysis
        .comparison(ComparisonKind::Gain, "plain", "psnr")
        .unwrap();
    let inside = gain.in_domain.as_ref().unwrap();
    let outside = gain.out_of_domain.as_ref().unwrap();
    assert_eq!((inside.photos, outside.photos), (12, 17));
    // Each condition counts once, whatever its number of pictures; the night, whose photos are counted already, not at all.
    assert_eq!(outside.conditions, [1, 3]);
    assert!((outside.gain.value - (1.0 - 1.35) / 2.0).abs() < 1e-9);
    let gap = gain.gap.unwrap();
    assert!((gap.value - (inside.gain.value - outside.gain.value)).abs() < 1e-12);
    let [low, high] = gap.interval.unwrap();
    assert!(low > 2.0 && high < 3.5, "{low} {high}");
    // The control and the guided model differ by a constant everywhere: no gap at all, and every verdict that can be is better.
    let guidance = analysis
        .comparison(ComparisonKind::Guidance, "guided", "psnr")
        .unwrap();
    assert_eq!(guidance.reference, "plain");
    let gap = guidance.gap.unwrap();
    assert!(gap.value.abs() < 1e-9 && gap.interval.unwrap()[1].abs() < 1e-9);
    assert_eq!(
        guidance.in_domain.as_ref().unwrap().verdict,
        Verdict::Better
    );
}

#[test]
fn the_worst_come_first_by_name() {
    let results = fixture::two_domains();
    let analysis = analysis(&results);
    let gain = analysis
        .comparison(ComparisonKind::Gain, "plain", "psnr")
        .unwrap();
    assert_eq!(gain.pairs.len(), 35);
    assert_eq!(
        (gain.pairs[0].condition, gain.pairs[0].name.as_str()),
        (3, "text-0")
    );
    assert!((gain.pairs[0].gain + 1.55).abs() < 1e-9);
    assert!(gain.pairs.windows(2).all(|two| two[0].gain <= two[1].gain));
}

#[test]
fn equal_images_are_a_rule_of_their_own() {
    let mut results = fixture::two_domains();
    let id = "photos/equal";
    results.conditions.push(fixture::condition(id, false, 12));
    for photo in 0..12 {
        for (method, value) in [
            ("input", f64::INFINITY),
            ("plain", 40.0),
            // Half of them come out as they went in.
            ("guided", if photo % 2 == 0 { f64::INFINITY } else { 40.0 }),
        ] {
            results.images.push(fixture::image(
                id,
                ("photos", photo),
                method,
                &[("psnr", value)],
            ));
        }
    }
    let analysis = analysis(&results);
    let gain = analysis
        .comparison(ComparisonKind::Gain, "plain", "psnr")
        .unwrap();
    let row = gain.conditions.last().unwrap();
    assert_eq!(row.gain.value, f64::NEG_INFINITY);
    assert_eq!((row.counts, row.verdict), ([0, 0, 12], Verdict::Worse));
    // Pools name what they cannot count, and stay finite.
    let outside = gain.out_of_domain.as_ref().unwrap();
    assert_eq!(outside.left_out, [4]);
    assert!(outside.gain.value.is_finite() && gain.gap.unwrap().value.is_finite());
    let level = analysis.level("input", 4, "psnr").unwrap();
    assert_eq!(
        (level.infinite, level.mean.unwrap().value),
        (12, f64::INFINITY)
    );
    let guided = analysis
        .comparison(ComparisonKind::Gain, "guided", "psnr")
        .unwrap();
    let row = guided.conditions.last().unwrap();
    assert_eq!(row.counts, [0, 6, 6]);
    // Six negative differences, six zeros that are dropped.
    assert!((row.test.unwrap().p - 2.0 / 64.0).abs() < 1e-15);
}

#[test]
fn what_failed_is_counted_and_pairs_are_matched_by_name() {
    let mut results = fixture::two_domains();
    for image in &mut results.images {
        if image.method == "guided" && image.name == "photos-3" && image.condition == "photos/new" {
            image.metrics = BTreeMap::new();
            image.error = Some("out of memory".into());
        }
    }
    // The order of the file says nothing.
    results.images.reverse();
    let analysis = analysis(&results);
    let row = &analysis
        .comparison(ComparisonKind::Guidance, "guided", "psnr")
        .unwrap()
        .conditions[1];
    assert_eq!((row.gain.count, row.missing), (11, 1));
    assert!((row.gain.value - 0.25).abs() < 1e-9);
    assert_eq!(analysis.level("guided", 1, "psnr").unwrap().missing, 1);
}

#[test]
fn any_number_of_threads_gives_the_same_numbers() {
    let results = fixture::two_domains();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let analysis = pool.install(|| analysis(&results));
        let of = |gain: &crate::bench_ood::statistics::Comparison| {
            let rows = gain
                .conditions
                .iter()
                .map(|row| (row.gain, row.test))
                .collect::<Vec<_>>();
            (gain.method.clone(), gain.metric.clone(), rows, gain.gap)
        };
        analysis.comparisons.iter().map(of).collect::<Vec<_>>()
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn verdicts_count_photos_not_pictures() {
    // Twelve pictures of four photos.
    let mut results = fixture::two_domains();
    for image in &mut results.images {
        if image.condition == "photos/new" {
            let number: usize = image.name["photos-".len()..].parse().unwrap();
            image.photo = format!("scenes/{}", number % 4);
        }
    }
    let analysis = analysis(&results);
    let row = &analysis
        .comparison(ComparisonKind::Gain, "plain", "psnr")
        .unwrap()
        .conditions[1];
    assert_eq!(
        (row.gain.count, row.photos, row.verdict),
        (12, 4, Verdict::TooFew)
    );
}

#[test]
fn a_pool_of_too_few_photos_takes_nothing_from_the_other() {
    // Six photos in domain reach p = 2 / 2^6, twice which is above 0.05; five pages outside reach no verdict at all.
    let mut results = fixture::two_domains();
    let wanted = ["photos/known", "text/new"];
    results
        .conditions
        .retain(|condition| wanted.contains(&condition.id.as_str()));
    results.images.retain(|image| {
        let number: usize = image.name.rsplit_once('-').unwrap().1.parse().unwrap();
        wanted.contains(&image.condition.as_str()) && number < 6
    });
    let analysis = analysis(&results);
    let gain = analysis
        .comparison(ComparisonKind::Gain, "plain", "psnr")
        .unwrap();
    let verdicts: Vec<Verdict> = gain.conditions.iter().map(|row| row.verdict).collect();
    assert_eq!(verdicts, [Verdict::Better, Verdict::TooFew]);
    // One condition each: the pools are these conditions.
    let pools = [&gain.in_domain, &gain.out_of_domain];
    assert_eq!(
        pools.map(|pool| pool.as_ref().unwrap().verdict),
        [Verdict::Better, Verdict::TooFew]
    );
}

#[test]
fn a_gap_needs_ten_photos_on_each_side() {
    for (photos, is_given) in [(9, false), (10, true)] {
        let mut results = fixture::two_domains();
        results.images.retain(|image| {
            let number: usize = image.name.rsplit_once('-').unwrap().1.parse().unwrap();
            image.condition != "photos/known" || number < photos
        });
        let analysis = analysis(&results);
        let gain = analysis
            .comparison(ComparisonKind::Gain, "plain", "psnr")
            .unwrap();
        assert_eq!(gain.in_domain.as_ref().unwrap().photos, photos);
        assert_eq!(gain.gap.is_some(), is_given, "{photos}");
    }
}

#[test]
fn infinite_gains_are_ordered_by_the_values_of_the_method() {
    let mut results = fixture::two_domains();
    for image in &mut results.images {
        if image.method == "input" && image.condition == "photos/new" {
            image.metrics.insert("psnr".into(), f64::INFINITY);
        }
    }
    let analysis = analysis(&results);
    let gain = analysis
        .comparison(ComparisonKind::Gain, "plain", "psnr")
        .unwrap();
    assert_eq!(gain.pairs[0].gain, f64::NEG_INFINITY);
    assert_eq!(gain.ranked().next().unwrap().name, "text-0");
    assert_eq!(gain.ranked().count(), 35 - 12);
    let unranked: Vec<f64> = gain.unranked(true).iter().map(|pair| pair.value).collect();
    assert_eq!(unranked.len(), 12);
    assert!(unranked.is_sorted());
    assert_eq!(gain.unranked(false)[0].value, unranked[11]);
}

//! Metrics of whole sets of images: FID and KID.

use std::collections::BTreeMap;

use image_quality::{FeatureStatistics, MetricValue, PerceptualProtocol, frechet_distance, kid};
use ndarray::{Array2, ArrayView2};
use serde_json::{Value, json};

use super::metric::Metric;
use super::scores::{Features, Scores, named};
use crate::hints::Problem;

/// Subsets of KID and the images in each, as usually reported; all images where there are fewer.
const SUBSETS: usize = 100;
const SUBSET_SIZE: usize = 1000;
/// Chooses the subsets; fixed, so that the same pictures get the same number.
const SUBSET_SEED: u64 = 0;

/// The sets against the sharp one.
#[derive(Default)]
pub(crate) struct SetScores {
    pub(crate) restored: BTreeMap<Metric, Value>,
    /// Where every pair has a blurry picture.
    pub(crate) blurry: Option<BTreeMap<Metric, Value>>,
}

/// How the number is made, for so many images.
pub(crate) fn protocol(metric: Metric, images: usize) -> Option<PerceptualProtocol> {
    match metric {
        Metric::Fid => Some(PerceptualProtocol::fid()),
        Metric::Kid => Some(PerceptualProtocol::kid(SUBSETS, SUBSET_SIZE.min(images))),
        _ => None,
    }
}

/// Compares the sets of all scored pairs. What cannot be computed is null and says why in `problems`.
pub(crate) fn measure(
    metrics: &[Metric],
    scored: &[&Scores],
    problems: &mut Vec<Problem>,
) -> SetScores {
    let metrics: Vec<Metric> = metrics
        .iter()
        .copied()
        .filter(|metric| metric.is_of_sets())
        .collect();
    let features: Vec<&Features> = scored
        .iter()
        .filter_map(|scores| scores.features.as_ref())
        .collect();
    if metrics.is_empty() {
        return SetScores::default();
    }
    let sharp = matrix(features.iter().map(|features| features.sharp.as_slice()));
    let restored = matrix(features.iter().map(|features| features.restored.as_slice()));
    let blurry: Option<Vec<&[f32]>> = features
        .iter()
        .map(|features| features.blurry.as_deref())
        .collect();
    let blurry = blurry
        .filter(|rows| !rows.is_empty())
        .map(|rows| matrix(rows.into_iter()));
    let mut all = |set: ArrayView2<'_, f32>| -> BTreeMap<Metric, Value> {
        metrics
            .iter()
            .map(|&metric| {
                let value = compare(metric, set, sharp.view()).unwrap_or_else(|error| {
                    let problem = named(metric, error);
                    if !problems.contains(&problem) {
                        problems.push(problem);
                    }
                    Value::Null
                });
                (metric, value)
            })
            .collect()
    };
    SetScores {
        restored: all(restored.view()),
        blurry: blurry.map(|blurry| all(blurry.view())),
    }
}

/// One row per image.
fn matrix<'a>(rows: impl ExactSizeIterator<Item = &'a [f32]> + Clone) -> Array2<f32> {
    let columns = rows.clone().next().map_or(0, <[f32]>::len);
    let mut matrix = Array2::zeros((rows.len(), columns));
    for (mut target, row) in matrix.outer_iter_mut().zip(rows) {
        for (target, value) in target.iter_mut().zip(row) {
            *target = *value;
        }
    }
    matrix
}

fn compare(
    metric: Metric,
    set: ArrayView2<'_, f32>,
    sharp: ArrayView2<'_, f32>,
) -> image_quality::Result<Value> {
    if metric == Metric::Fid {
        let sharp = FeatureStatistics::from_features(sharp)?;
        let set = FeatureStatistics::from_features(set)?;
        return Ok(json!(MetricValue(frechet_distance(&set, &sharp)?)));
    }
    let size = SUBSET_SIZE.min(set.nrows());
    let distance = kid(set, sharp, SUBSETS, size, SUBSET_SEED)?;
    Ok(json!({
        "mean": MetricValue(distance.mean),
        "std": MetricValue(distance.standard_deviation),
        "subsets": SUBSETS,
        "subset_size": size,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(sharp: &[f32], restored: &[f32], blurry: Option<&[f32]>) -> Scores {
        Scores {
            metrics: BTreeMap::new(),
            input_metrics: None,
            seconds: None,
            features: Some(Features {
                sharp: sharp.to_vec(),
                restored: restored.to_vec(),
                blurry: blurry.map(<[f32]>::to_vec),
            }),
            saved: None,
        }
    }

    #[test]
    fn sets_are_compared_as_sets() {
        // Means (1, 0) and (1, 4) apart, the same spread: the squared distance of the means, whatever the pairing.
        let all = [
            scores(&[0.0, 0.0], &[2.0, 4.0], Some(&[0.0, 0.0])),
            scores(&[2.0, 0.0], &[0.0, 4.0], Some(&[2.0, 0.0])),
        ];
        let scored: Vec<&Scores> = all.iter().collect();
        let mut problems = Vec::new();
        let metrics = [Metric::Psnr, Metric::Fid, Metric::Kid];
        let sets = measure(&metrics, &scored, &mut problems);
        assert_eq!(problems, []);
        let fid = sets.restored[&Metric::Fid].as_f64().expect("a number");
        assert!((fid - 16.0).abs() < 1e-9, "{fid}");
        let input = sets.blurry.expect("blurry pictures")[&Metric::Fid]
            .as_f64()
            .expect("a number");
        assert!(input.abs() < 1e-9, "{input}");
        assert_eq!(sets.restored[&Metric::Kid]["subset_size"], 2);
        assert!(!sets.restored.contains_key(&Metric::Psnr));
    }

    #[test]
    fn a_set_that_is_too_small_says_so_once() {
        let one = scores(&[0.0, 0.0], &[2.0, 4.0], Some(&[0.0, 0.0]));
        let mut problems = Vec::new();
        let sets = measure(&[Metric::Fid], &[&one], &mut problems);
        assert_eq!(sets.restored[&Metric::Fid], Value::Null);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].message.starts_with("FID: "), "{problems:?}");
    }
}

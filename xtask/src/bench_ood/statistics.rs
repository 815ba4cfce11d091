//! What the numbers of a run allow to say: means with intervals, paired differences with tests, verdicts.
//!
//! # What is a sample
//! The unit is the *photo*. In one condition each photo gives one picture, so pictures of a condition are independent and a mean over
//! them is resampled by picture. The same photo comes back in other conditions, blurred in another way, and a method that is
//! good on it once is likely to be good on it again: twelve photos in twenty conditions are not 240 independent pictures. Whatever
//! is pooled over conditions is therefore resampled by photo with all its pictures (a cluster bootstrap). Photos are drawn within
//! groups of domains that share photos, because text and photographs are not draws from one population; a draw that leaves a
//! condition without pictures is drawn again.
//!
//! # Gain
//! Differences are written as gains: positive is better, whatever the direction of the metric. The gain of LPIPS is the reference minus the
//! method. A mean over conditions counts each condition once, however many pictures it has.
//!
//! # Interval
//! 95 %, bias-corrected and accelerated (BCa: Efron 1987; Efron & Tibshirani 1993, chapter 14), from 10 000 resamples with a
//! fixed seed. Intervals from few photos are too narrow: of normal values they hold the mean in about 90 % of cases with twelve photos,
//! 86 % with six and 80 % with four, instead of 95 % (the tests measure it). That is one reason why no verdict rests on the interval
//! alone, and why no gap is given from fewer than ten photos on either side.
//!
//! # Test
//! Wilcoxon's signed-rank test on paired differences, two-sided; zero differences are dropped (Wilcoxon's own rule). Up to 50 pairs
//! the p-value is exact, with ties as well; above, the normal approximation with corrections for ties and continuity. Holm's
//! correction over the conditions of one comparison and metric that can reach p <= 0.05 at all: with fewer than six photos even equal
//! signs do not. Which those are follows from the photos of the suite, before anything is measured.
//!
//! # Verdict
//! `better` or `worse` if the interval leaves 0 out, Holm's p is at most 0.05 *and* the ranks point to the same side as the interval;
//! `undecided` otherwise.
//!
//! # Domains that share photos
//! A domain that has photos of another one (night scenes among all photos) would bring the same pictures a second time, in domain and out
//! of domain at once. It is in no pool, no gap and no correction; its rows are shown, without a verdict.
//!
//! # Infinity
//! The PSNR of two equal images is infinite. Two infinite values of the same picture do not differ; one infinite value is an infinite
//! gain, which ranks first in the test. A condition whose mean gain is infinite is reported and left out of what is pooled, by name.

mod analysis;
mod bootstrap;
mod conditions;
mod family;
mod holm;
mod normal;
mod pairs;
mod pools;
mod random;
mod verdict;
mod wilcoxon;

pub(crate) use analysis::{Analysis, Comparison, ComparisonKind, analyse};
pub(crate) use bootstrap::{Estimate, Settings};
pub(crate) use conditions::ConditionComparison;
pub(crate) use pairs::PairedGain;
pub(crate) use pools::{GAP_PHOTOS, Pooled};
pub(crate) use verdict::Verdict;

#[cfg(test)]
mod tests;

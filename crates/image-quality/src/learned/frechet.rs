//! Fréchet inception distance: Heusel, Ramsauer, Unterthiner, Nessler & Hochreiter, "GANs Trained by a Two Time-Scale
//! Update Rule Converge to a Local Nash Equilibrium", 2017, arXiv 1706.08500.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::kid::check_features;

/// Mean and covariance of the features of a set of images.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureStatistics {
    mean: Array1<f64>,
    covariance: Array2<f64>,
}

impl FeatureStatistics {
    /// Mean and covariance (divided by `N - 1`) of features `[N, D]`, in `f64`.
    ///
    /// # Errors
    /// [`Error::SetSize`] for fewer than two images; [`Error::NonFiniteFeature`].
    pub fn from_features(features: ArrayView2<'_, f32>) -> Result<Self> {
        check_features(&features, 2)?;
        let features = features.mapv(f64::from);
        let count = features.nrows() as f64;
        let mean = features.sum_axis(Axis(0)) / count;
        let centred = features - &mean;
        let covariance = centred.t().dot(&centred) / (count - 1.0);
        Ok(Self { mean, covariance })
    }

    /// Statistics that are known from elsewhere: `mean` `[D]`, symmetric `covariance` `[D, D]`.
    ///
    /// # Errors
    /// [`Error::SetSize`] if the sizes do not agree; [`Error::NotACovariance`] if a value is not finite or the matrix
    /// is not symmetric.
    pub fn new(mean: Array1<f64>, covariance: Array2<f64>) -> Result<Self> {
        for (what, got) in [
            ("rows of the covariance", covariance.nrows()),
            ("columns of the covariance", covariance.ncols()),
        ] {
            if got != mean.len() {
                let needed = mean.len();
                return Err(Error::SetSize { what, got, needed });
            }
        }
        if !mean.iter().chain(&covariance).all(|v| v.is_finite()) {
            let problem = "a value is not finite".to_owned();
            return Err(Error::NotACovariance { problem });
        }
        let largest = covariance.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let skew = (&covariance - &covariance.t())
            .iter()
            .fold(0.0_f64, |m, v| m.max(v.abs()));
        if skew > 1e-9 * largest {
            let problem = format!("not symmetric by {skew:e}");
            return Err(Error::NotACovariance { problem });
        }
        Ok(Self { mean, covariance })
    }

    /// The mean, `[D]`.
    #[must_use]
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// The covariance, `[D, D]`.
    #[must_use]
    pub fn covariance(&self) -> &Array2<f64> {
        &self.covariance
    }

    /// `L` `[D, D]` with `L' L` the covariance. Directions without variance beyond rounding are exactly 0 in it.
    fn root(&self) -> Result<Tensor> {
        let size = self.mean.len() as i64;
        let values: Vec<f64> = self.covariance.iter().copied().collect();
        let covariance = Tensor::f_from_slice(&values)?.f_view([size, size])?;
        let (eigenvalues, eigenvectors) = covariance.f_linalg_eigh("L")?;
        let eigenvalues = Vec::<f64>::try_from(&eigenvalues)?;
        let largest = eigenvalues.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let smallest = eigenvalues.iter().copied().fold(0.0, f64::min);
        if smallest < -1e-6 * largest {
            return Err(Error::NotACovariance {
                problem: format!("the eigenvalue {smallest:e} is negative"),
            });
        }
        // What rounding leaves of a variance of 0; its root would count.
        let nothing = largest * f64::EPSILON * size as f64;
        let roots: Vec<f64> = eigenvalues
            .iter()
            .map(|&v| if v > nothing { v.sqrt() } else { 0.0 })
            .collect();
        let roots = Tensor::f_from_slice(&roots)?.f_view([size, 1])?;
        Ok(eigenvectors.f_tr()?.f_mul(&roots)?)
    }
}

/// The Fréchet distance of two Gaussians, `|m_a - m_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2))`; on Inception features it
/// is FID. 0 for equal statistics; lower is better.
///
/// The trace of the root is the sum of the singular values of `L_a L_b'` with `L' L = C`, which needs no root of a
/// matrix that is not symmetric and is exact for sets of fewer images than features. It is a biased estimate: FID of few
/// images is too high, and only values of sets of the same size can be compared; KID has no such bias.
///
/// # Errors
/// [`Error::SetSize`] for different numbers of features; [`Error::NotACovariance`] for negative variances; libtorch.
pub fn frechet_distance(a: &FeatureStatistics, b: &FeatureStatistics) -> Result<f64> {
    let (got, needed) = (b.mean.len(), a.mean.len());
    if got != needed {
        let what = "features of the second set";
        return Err(Error::SetSize { what, got, needed });
    }
    let difference = &a.mean - &b.mean;
    let traces = a.covariance.diag().sum() + b.covariance.diag().sum();
    let product = a.root()?.f_matmul(&b.root()?.f_tr()?)?;
    // The nuclear norm is the sum of the singular values.
    // `linalg_svdvals` would want a driver, which it then refuses on a CPU.
    let (_, singular_values, _) = product.f_svd(true, false)?;
    let roots = singular_values.f_sum(Kind::Double)?.f_double_value(&[])?;
    let distance = difference.dot(&difference) + traces - 2.0 * roots;
    if !distance.is_finite() {
        return Err(Error::NotACovariance {
            problem: "its values are too large to compute with".to_owned(),
        });
    }
    // Equal sets would be off by rounding, on either side of 0.
    Ok(distance.max(0.0))
}

//! Gaussian blur, isotropic or anisotropic, integrated over each pixel square.

use ndarray::Array2;

use crate::error::Result;
use crate::kernel::{Kernel, checked_radius};

/// Standard deviations kept on each side; beyond lie 6e-5 of the mass along one axis.
const TRUNCATE: f64 = 4.0;
/// Nodes and weights of the 4-point Gauss-Legendre rule on `[-1, 1]`.
const LEGENDRE: [(f64, f64); 4] = [
    (-0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
    (-0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
    (0.339_981_043_584_856_26, 0.652_145_154_862_546_1),
    (0.861_136_311_594_052_6, 0.347_854_845_137_453_85),
];

/// Kernel with standard deviations `sigma` along `angle_degrees` and `sigma_minor` across.
pub(crate) fn kernel(sigma: f64, sigma_minor: f64, angle_degrees: f64) -> Result<Kernel> {
    let reach = checked_radius(TRUNCATE * sigma)?;
    if sigma == sigma_minor {
        let factor = (0..=2 * reach)
            .map(|index| pixel_mass(index as f64 - reach as f64, 0.0, sigma))
            .collect();
        return Kernel::from_separable(factor);
    }
    let (sine, cosine) = libm::sincos(angle_degrees % 360.0 * (std::f64::consts::PI / 180.0));
    let (major, minor) = (sigma * sigma, sigma_minor * sigma_minor);
    let variance_x = major * cosine * cosine + minor * sine * sine;
    let variance_y = major * sine * sine + minor * cosine * cosine;
    // Rows grow downwards, angles counter-clockwise.
    let covariance = (minor - major) * sine * cosine;
    // Along the axis of less variance the mass is in closed form given the position on the other; along the other
    // it is smooth on the scale of `sigma_minor`, so panels of that size and a 4-point rule are exact in float32.
    let transpose = variance_x > variance_y;
    let outer = variance_x.max(variance_y);
    let slope = covariance / outer;
    let conditional_sigma = sigma * sigma_minor / outer.sqrt();
    let panels = (1.0 / sigma_minor).ceil().clamp(1.0, 64.0) as usize;
    let side = 2 * reach + 1;
    let mut weights = Array2::<f64>::zeros((side, side));
    for outer_index in 0..side {
        let centre = outer_index as f64 - reach as f64;
        for panel in 0..panels {
            for (node, node_weight) in LEGENDRE {
                let position = centre - 0.5 + (panel as f64 + 0.5 + 0.5 * node) / panels as f64;
                let density = node_weight * libm::exp(-0.5 * position * position / outer);
                for inner_index in 0..side {
                    let inner = inner_index as f64 - reach as f64;
                    let mass = density * pixel_mass(inner, slope * position, conditional_sigma);
                    let index = if transpose {
                        [inner_index, outer_index]
                    } else {
                        [outer_index, inner_index]
                    };
                    weights[index] += mass;
                }
            }
        }
    }
    Kernel::from_weights(weights)
}

/// Mass of a normal distribution inside the pixel `[centre - 0.5, centre + 0.5]`.
fn pixel_mass(centre: f64, mean: f64, sigma: f64) -> f64 {
    let scale = std::f64::consts::FRAC_1_SQRT_2 / sigma;
    let (low, high) = ((centre - mean - 0.5) * scale, (centre - mean + 0.5) * scale);
    // Far from the mean a difference of two values near 1 would lose all digits; the complement does not.
    let mass = if low > 0.0 {
        libm::erfc(low) - libm::erfc(high)
    } else if high < 0.0 {
        libm::erfc(-high) - libm::erfc(-low)
    } else {
        libm::erf(high) - libm::erf(low)
    };
    0.5 * mass
}

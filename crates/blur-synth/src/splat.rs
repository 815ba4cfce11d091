//! Exact rasterisation of line segments with the bilinear (tent) pixel.

use ndarray::Array2;

/// Square grid of weights around the origin.
pub(crate) struct Canvas {
    weights: Array2<f64>,
    radius: i64,
}

impl Canvas {
    /// An empty canvas that takes points with both coordinates within `[-radius, radius]`.
    pub(crate) fn new(radius: usize) -> Self {
        let side = 2 * radius + 1;
        Self {
            weights: Array2::zeros((side, side)),
            radius: radius as i64,
        }
    }

    /// Spreads `weight` evenly over the segment between two points `[x, y]` and shares every point of it bilinearly
    /// among its four pixels. Bilinear sharing keeps the centroid of the segment exactly.
    ///
    /// Between two crossings of pixel-centre lines the shares are quadratic in the position along the segment, so
    /// the 2-point Gauss rule, exact to the third degree, integrates them without error.
    pub(crate) fn splat_segment(&mut self, from: [f64; 2], to: [f64; 2], weight: f64) {
        let delta = [to[0] - from[0], to[1] - from[1]];
        let mut start = 0.0;
        // Next crossing along each axis, as an integer line and its position on the segment.
        let mut lines = [first_line(from[0], delta[0]), first_line(from[1], delta[1])];
        while start < 1.0 {
            let crossings = [
                crossing(lines[0], from[0], delta[0]),
                crossing(lines[1], from[1], delta[1]),
            ];
            let end = crossings[0].min(crossings[1]).min(1.0);
            for axis in 0..2 {
                if crossings[axis] <= end {
                    lines[axis] += delta[axis].signum();
                }
            }
            if end > start {
                let (middle, half) = (0.5 * (start + end), 0.5 * (end - start) * GAUSS_NODE);
                for position in [middle - half, middle + half] {
                    let point = [from[0] + delta[0] * position, from[1] + delta[1] * position];
                    self.splat_point(point, 0.5 * weight * (end - start));
                }
                start = end;
            }
        }
    }

    /// Shares a weight bilinearly among the four pixels around a point `[x, y]`.
    pub(crate) fn splat_point(&mut self, point: [f64; 2], weight: f64) {
        let column = (point[0].floor() as i64).clamp(-self.radius, self.radius);
        let row = (point[1].floor() as i64).clamp(-self.radius, self.radius);
        let (x, y) = (point[0] - column as f64, point[1] - row as f64);
        for (row, share_y) in [(row, 1.0 - y), (row + 1, y)] {
            for (column, share_x) in [(column, 1.0 - x), (column + 1, x)] {
                let index = [
                    (row + self.radius) as usize,
                    (column + self.radius) as usize,
                ];
                if let Some(cell) = self.weights.get_mut(index) {
                    *cell += weight * share_x * share_y;
                }
            }
        }
    }

    /// The weights, not normalised.
    pub(crate) fn into_weights(self) -> Array2<f64> {
        self.weights
    }
}

/// `1 / sqrt(3)`.
const GAUSS_NODE: f64 = 0.577_350_269_189_625_8;

/// First integer line met when leaving `from` in the direction of `delta`.
fn first_line(from: f64, delta: f64) -> f64 {
    if delta > 0.0 {
        from.floor() + 1.0
    } else {
        from.ceil() - 1.0
    }
}

fn crossing(line: f64, from: f64, delta: f64) -> f64 {
    if delta == 0.0 {
        f64::INFINITY
    } else {
        (line - from) / delta
    }
}

//! Small dense systems in float64.

/// Rotations over all pairs; matrices of this crate are diagonal after 10.
const MOST_SWEEPS: usize = 60;

/// `x^T M^+ x` with the pseudo-inverse of a symmetric matrix, given row by row. Eigenvalues of less than 1e-15 of the largest
/// count as 0, which is what `numpy.linalg.pinv` does with singular values.
pub(crate) fn pseudo_inverse_form(matrix: Vec<f64>, x: &[f64]) -> f64 {
    let size = x.len();
    let (values, mut x) = eigen(matrix, x.to_vec(), size);
    let largest = values
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    x.iter_mut()
        .zip(&values)
        .filter(|(_, value)| value.abs() > 1e-15 * largest)
        .map(|(x, value)| *x * *x / value)
        .sum()
}

/// Eigenvalues of a symmetric matrix, and `x` in the coordinates of its eigenvectors: cyclic Jacobi rotations.
fn eigen(mut a: Vec<f64>, mut x: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    for _ in 0..MOST_SWEEPS {
        let mut is_diagonal = true;
        for p in 0..size {
            for q in p + 1..size {
                let off = a[p * size + q];
                // Smaller than the rounding of both: nothing would change.
                if off.abs()
                    <= f64::EPSILON * 1e-4 * (a[p * size + p] * a[q * size + q]).abs().sqrt()
                {
                    continue;
                }
                is_diagonal = false;
                let theta = (a[q * size + q] - a[p * size + p]) / (2.0 * off);
                let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for k in 0..size {
                    let (first, second) = (a[k * size + p], a[k * size + q]);
                    a[k * size + p] = cosine * first - sine * second;
                    a[k * size + q] = sine * first + cosine * second;
                }
                for k in 0..size {
                    let (first, second) = (a[p * size + k], a[q * size + k]);
                    a[p * size + k] = cosine * first - sine * second;
                    a[q * size + k] = sine * first + cosine * second;
                }
                let (first, second) = (x[p], x[q]);
                x[p] = cosine * first - sine * second;
                x[q] = sine * first + cosine * second;
            }
        }
        if is_diagonal {
            break;
        }
    }
    let values = (0..size).map(|index| a[index * size + index]).collect();
    (values, x)
}

/// The solution of `M x = b` for each `b`; `None` when `M` is singular or not finite.
pub(crate) fn solve<const N: usize, const M: usize>(
    mut matrix: [[f64; N]; N],
    mut right: [[f64; N]; M],
) -> Option<[[f64; N]; M]> {
    for column in 0..N {
        let pivot = (column..N).max_by(|a, b| {
            matrix[*a][column]
                .abs()
                .total_cmp(&matrix[*b][column].abs())
        })?;
        matrix.swap(column, pivot);
        right.iter_mut().for_each(|right| right.swap(column, pivot));
        let diagonal = matrix[column][column];
        if diagonal == 0.0 || !diagonal.is_finite() {
            return None;
        }
        let pivot_row = matrix[column];
        for row in column + 1..N {
            let factor = matrix[row][column] / diagonal;
            for (value, pivot) in matrix[row].iter_mut().zip(&pivot_row) {
                *value -= factor * pivot;
            }
            for right in &mut right {
                right[row] -= factor * right[column];
            }
        }
    }
    for right in &mut right {
        for row in (0..N).rev() {
            let sum: f64 = (row + 1..N).map(|k| matrix[row][k] * right[k]).sum();
            right[row] = (right[row] - sum) / matrix[row][row];
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pseudo_inverse_by_hand() {
        // Eigenvalues 3 and 1 along (1, 1) and (1, -1).
        let form = pseudo_inverse_form(vec![2.0, 1.0, 1.0, 2.0], &[1.0, 0.0]);
        assert!((form - (0.5 / 3.0 + 0.5)).abs() < 1e-14, "{form}");
        // Of rank 1: what is across does not count.
        let form = pseudo_inverse_form(vec![1.0, 1.0, 1.0, 1.0], &[3.0, 1.0]);
        assert!((form - 8.0 / 2.0).abs() < 1e-12, "{form}");
        assert_eq!(pseudo_inverse_form(vec![0.0; 4], &[1.0, 1.0]), 0.0);
    }

    #[test]
    fn systems_by_hand() {
        // The first pivot is 0: rows must change places.
        let matrix = [[0.0, 2.0, 1.0], [1.0, 1.0, 0.0], [2.0, 0.0, 3.0]];
        let [x] = solve(matrix, [[7.0, 3.0, 11.0]]).unwrap();
        for (x, expected) in x.into_iter().zip([1.0, 2.0, 3.0]) {
            assert!((x - expected).abs() < 1e-12, "{x}");
        }
        assert_eq!(solve([[1.0, 2.0], [2.0, 4.0]], [[1.0, 1.0]]), None);
        assert_eq!(solve([[f64::NAN]], [[1.0]]), None);
    }
}

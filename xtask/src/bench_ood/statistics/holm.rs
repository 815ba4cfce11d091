//! Holm's step-down correction (Holm 1979): with it, the chance of one wrong rejection among all is at most the level.

/// Adjusted p-values, in the order of `p`: the i-th smallest of m is multiplied by m − i + 1, and none is below a smaller one.
/// A `None` is no test and does not count among the m.
pub(super) fn adjust(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(usize, f64)> = p
        .iter()
        .enumerate()
        .filter_map(|(index, p)| p.map(|p| (index, p)))
        .collect();
    order.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut adjusted = vec![None; p.len()];
    let mut largest = 0.0_f64;
    for (place, &(index, p)) in order.iter().enumerate() {
        largest = largest.max((p * (order.len() - place) as f64).min(1.0));
        adjusted[index] = Some(largest);
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let p = [Some(0.01), Some(0.04), None, Some(0.03), Some(0.005)];
        let expected = [Some(0.03), Some(0.06), None, Some(0.06), Some(0.02)];
        for (found, expected) in adjust(&p).iter().zip(expected) {
            match (found, expected) {
                (Some(found), Some(expected)) => assert!((found - expected).abs() < 1e-15),
                (found, expected) => assert_eq!(*found, expected),
            }
        }
        assert_eq!(adjust(&[Some(0.7), Some(0.8)]), [Some(1.0), Some(1.0)]);
        assert_eq!(adjust(&[None]), [None]);
    }
}

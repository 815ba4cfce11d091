//! Numbers as readers see them.

use super::results::Metric;
use super::statistics::Estimate;

/// How numbers of one metric are written.
#[derive(Clone, Copy)]
pub(super) struct Style<'a> {
    decimals: usize,
    unit: &'a str,
}

impl<'a> Style<'a> {
    /// Two decimals for dB, four for numbers without a unit.
    pub(super) fn of(metric: &'a Metric) -> Self {
        Self {
            decimals: if metric.unit.is_empty() { 4 } else { 2 },
            unit: &metric.unit,
        }
    }

    /// `31.42`, `∞`.
    pub(super) fn value(self, value: f64) -> String {
        finite(value, |value| format!("{value:.*}", self.decimals)).replace('-', "−")
    }

    /// `+0.31`, `−∞`.
    pub(super) fn gain(self, gain: f64) -> String {
        finite(gain, |gain| {
            let text = format!("{gain:+.*}", self.decimals);
            // No sign on what rounds to nothing.
            if text
                .bytes()
                .all(|byte| matches!(byte, b'+' | b'-' | b'0' | b'.'))
            {
                text[1..].to_owned()
            } else {
                text
            }
        })
        .replace('-', "−")
    }

    /// `+0.31 dB [+0.12, +0.50]`.
    pub(super) fn gain_with_interval(self, estimate: &Estimate) -> String {
        let interval = self.gain_interval(estimate);
        let space = if interval.is_empty() { "" } else { " " };
        format!("{}{space}{interval}", self.gain_with_unit(estimate.value))
    }

    /// `+0.31 dB`.
    pub(super) fn gain_with_unit(self, gain: f64) -> String {
        format!("{}{}", self.gain(gain), self.spaced_unit())
    }

    /// `31.42 dB`.
    pub(super) fn value_with_unit(self, value: f64) -> String {
        format!("{}{}", self.value(value), self.spaced_unit())
    }

    fn spaced_unit(self) -> String {
        if self.unit.is_empty() {
            String::new()
        } else {
            format!(" {}", self.unit)
        }
    }

    /// `[+0.12, +0.50]`; empty without an interval.
    pub(super) fn gain_interval(self, estimate: &Estimate) -> String {
        estimate.interval.map_or(String::new(), |[low, high]| {
            format!("[{}, {}]", self.gain(low), self.gain(high))
        })
    }

    /// `31.42 [30.9, 32.0]`.
    pub(super) fn value_with_interval(self, estimate: &Estimate) -> String {
        let interval = estimate.interval.map_or(String::new(), |[low, high]| {
            format!(" [{}, {}]", self.value(low), self.value(high))
        });
        format!("{}{interval}", self.value(estimate.value))
    }
}

fn finite(value: f64, write: impl Fn(f64) -> String) -> String {
    if value.is_finite() {
        write(value)
    } else if value.is_nan() {
        "undefined".to_owned()
    } else if value > 0.0 {
        "+∞".to_owned()
    } else {
        "-∞".to_owned()
    }
}

/// `0.012`, `< 0.001`.
pub(super) fn probability(p: Option<f64>) -> String {
    match p {
        None => "–".to_owned(),
        Some(p) if p < 0.001 => "< 0.001".to_owned(),
        Some(p) => format!("{p:.3}"),
    }
}

/// Upper case, as the metrics are called: `PSNR`, `LPIPS-VGG`.
pub(super) fn metric_name(metric: &str) -> String {
    metric.to_uppercase()
}

/// `1 picture`, `2 pictures`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let end = if count == 1 { "" } else { "s" };
    format!("{count} {what}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let decibel = Style {
            decimals: 2,
            unit: "dB",
        };
        assert_eq!(decibel.gain(0.314), "+0.31");
        assert_eq!(decibel.gain(-0.314), "−0.31");
        assert_eq!(decibel.gain(-0.001), "0.00");
        assert_eq!(decibel.gain(f64::NEG_INFINITY), "−∞");
        assert_eq!(decibel.value(f64::NAN), "undefined");
        let estimate = Estimate {
            value: 1.0,
            interval: Some([-0.5, 2.0]),
            count: 3,
        };
        assert_eq!(
            decibel.gain_with_interval(&estimate),
            "+1.00 dB [−0.50, +2.00]"
        );
        assert_eq!(decibel.value_with_interval(&estimate), "1.00 [−0.50, 2.00]");
        assert_eq!(probability(Some(0.0004)), "< 0.001");
        assert_eq!(counted(1, "picture"), "1 picture");
    }
}

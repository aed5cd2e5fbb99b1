//! Round ticks and their labels.

use crate::axis::Scale;
use crate::scale::View;
use crate::text::THIN_SPACE;

/// A tick at a position in the axis's measure; a minor one has no label.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: Option<String>,
}

/// How many digits the plain numbers of an axis have after the point.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digits {
    /// As many as the longest needs.
    Same,
    /// As many as each needs.
    Own,
}

/// At most `max` labelled ticks that fit the range (but two where that is possible), and minor ticks
/// on a logarithmic axis.
pub(crate) fn ticks(view: View, max: usize) -> Vec<Tick> {
    match view.scale {
        Scale::Linear => label_all(view, &linear(view.low, view.high, max), Digits::Same),
        Scale::Log10 => log(view, max),
    }
}

/// Ticks at the given values, with the given names or plain numbers.
pub(crate) fn chosen(view: View, values: &[(f64, Option<String>)]) -> Vec<Tick> {
    let digits = if view.scale == Scale::Linear { Digits::Same } else { Digits::Own };
    let plain = labels(&values.iter().map(|(value, _)| *value).collect::<Vec<_>>(), digits);
    values
        .iter()
        .zip(plain)
        .filter_map(|((value, name), plain)| {
            let at = view.measure(*value)?;
            let label = Some(name.clone().unwrap_or(plain));
            view.shows(at).then_some(Tick { at, label })
        })
        .collect()
}

fn label_all(view: View, values: &[f64], digits: Digits) -> Vec<Tick> {
    let ticks = values.iter().zip(labels(values, digits));
    ticks
        .filter_map(|(value, label)| Some(Tick { at: view.measure(*value)?, label: Some(label) }))
        .collect()
}

/// The multiples of 1, 2 or 5 times a power of ten in the range, at most `max` of them.
fn linear(low: f64, high: f64, max: usize) -> Vec<f64> {
    let max = max.max(2) as f64;
    let span = high - low;
    let mut exponent = floor_log10(span / max);
    loop {
        for mantissa in [1.0, 2.0, 5.0] {
            let value = |k: f64| scaled(k * mantissa, exponent);
            let step = value(1.0);
            let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
            if last - first < max {
                let mut values = Vec::new();
                let mut k = first;
                while k <= last {
                    values.push(value(k));
                    k += 1.0;
                }
                return values;
            }
        }
        exponent += 1;
    }
}

fn log(view: View, max: usize) -> Vec<Tick> {
    let (low, high) = (view.low, view.high);
    let (first, last) = (floor_int(low - 1e-9) + 1, floor_int(high + 1e-9));
    let decades = last - first + 1;
    if (high - low < 1.5 || decades < 2)
        && let Some(ticks) = within_a_decade(view, max)
    {
        return ticks;
    }
    let max = i32::try_from(max.max(2)).unwrap_or(i32::MAX);
    // Thinned decades keep a round step, and 10^0 among them.
    let fits = |step: &i32| last.div_euclid(*step) - (first - 1).div_euclid(*step) <= max;
    let rounds = [1, 2, 5, 10, 20, 50, 100, 200];
    let step = rounds.into_iter().find(fits).unwrap_or(500);
    let mut ticks = Vec::new();
    for decade in first - 1..=last {
        let at = f64::from(decade);
        let labelled = decade.rem_euclid(step) == 0;
        if view.shows(at) && (labelled || decades <= 40) {
            let label = labelled.then(|| power(decade));
            ticks.push(Tick { at, label });
        }
        if step == 1 && decades <= 8 {
            let minor = (2..=9).map(|digit| at + libm::log10(f64::from(digit)));
            let shown = minor.filter(|&at| view.shows(at));
            ticks.extend(shown.map(|at| Tick { at, label: None }));
        }
    }
    ticks
}

/// Ticks of a logarithmic axis too short for decades: 1, 2, 5 and their like, or round numbers on
/// less than a decade.
fn within_a_decade(view: View, max: usize) -> Option<Vec<Tick>> {
    let decades = floor_int(view.low) - 1..=floor_int(view.high) + 1;
    let values: Vec<f64> = decades
        .flat_map(|decade| [1.0, 2.0, 5.0].map(|mantissa| scaled(mantissa, decade)))
        .filter(|value| view.measure(*value).is_some_and(|at| view.shows(at)))
        .collect();
    if (3..=max.max(3)).contains(&values.len()) {
        return Some(label_all(view, &values, Digits::Own));
    }
    if view.high - view.low > 1.0 {
        return None;
    }
    let [low, high] = [view.low, view.high].map(|end| libm::pow(10.0, end));
    let mut ticks = label_all(view, &linear(low, high, max), Digits::Same);
    ticks.retain(|tick| view.shows(tick.at));
    Some(ticks)
}

fn power(exponent: i32) -> String {
    format!("10^{{{}}}", exponent.to_string().replace('-', "−"))
}

/// Labels of one axis in one style: plain numbers, or multiples of one power of ten.
pub(crate) fn labels(values: &[f64], digits: Digits) -> Vec<String> {
    let largest = values.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    let most = values.iter().map(|value| decimals(*value)).max().unwrap_or(0);
    if largest < 1e6 && most <= 4 {
        let digits = |value: f64| if digits == Digits::Same { most } else { decimals(value) };
        return values.iter().map(|value| plain(*value, digits(*value))).collect();
    }
    let smallest = values.iter().map(|value| value.abs()).filter(|size| *size > 0.0);
    if smallest.fold(largest, f64::min) > largest * 1e-3 {
        return multiples(values, floor_log10(largest));
    }
    values
        .iter()
        .map(|&value| {
            if value == 0.0 {
                return "0".to_owned();
            }
            let exponent = floor_log10(value.abs());
            let mantissa = scaled(value, -exponent);
            let (mantissa, exponent) = if mantissa.abs() > 9.999_999 {
                (mantissa / 10.0, exponent + 1)
            } else {
                (mantissa, exponent)
            };
            let digits = plain(mantissa, decimals((mantissa * 1e6).round() / 1e6));
            match digits.as_str() {
                "1" => power(exponent),
                "−1" => format!("−{}", power(exponent)),
                _ => format!("{digits}×{}", power(exponent)),
            }
        })
        .collect()
}

/// Multiples of one power of ten, all with as many digits.
fn multiples(values: &[f64], exponent: i32) -> Vec<String> {
    // A millionth of the power: what is smaller is a rounding error of the division.
    let mantissa = |value: &f64| (scaled(*value, -exponent) * 1e6).round() / 1e6;
    let digits = values.iter().map(|value| decimals(mantissa(value))).max().unwrap_or(0);
    let label = |value: &f64| {
        if *value == 0.0 {
            return "0".to_owned();
        }
        format!("{}×{}", plain(mantissa(value), digits), power(exponent))
    };
    values.iter().map(label).collect()
}

/// Digits after the point of the shortest decimal, at most 12.
fn decimals(value: f64) -> usize {
    let shortest = format!("{value}");
    shortest.split_once('.').map_or(0, |(_, digits)| digits.len().min(12))
}

/// A plain decimal with a typographic minus and thin spaces between groups of three digits from
/// 10 000 on.
fn plain(value: f64, decimals: usize) -> String {
    let number = format!("{:.decimals$}", value.abs());
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = if value < 0.0 { "−".to_owned() } else { String::new() };
    for (index, digit) in whole.chars().enumerate() {
        if whole.len() > 4 && index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(THIN_SPACE);
        }
        text.push(digit);
    }
    text + rest
}

/// `value` times ten to the `exponent`, correctly rounded for small integers.
fn scaled(value: f64, exponent: i32) -> f64 {
    let factor = libm::pow(10.0, f64::from(exponent.abs()));
    if exponent < 0 { value / factor } else { value * factor }
}

fn floor_log10(value: f64) -> i32 {
    floor_int(libm::log10(value) + 1e-12)
}

#[expect(clippy::cast_possible_truncation, reason = "exponents of f64 are small")]
fn floor_int(value: f64) -> i32 {
    value.floor() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels_of(scale: Scale, low: f64, high: f64, max: usize) -> Vec<String> {
        ticks(View { scale, low, high }, max).into_iter().filter_map(|tick| tick.label).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_exact() {
        assert_eq!(
            labels_of(Scale::Linear, 0.0, 1.0, 6),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(labels_of(Scale::Linear, -7.0, 13.0, 5), ["−5", "0", "5", "10"]);
        assert_eq!(linear(0.0, 0.31, 5), [0.0, 0.1, 0.2, 0.3]);
    }

    #[test]
    fn large_and_tiny_numbers_stay_short() {
        assert_eq!(labels(&[0.0, 50_000.0], Digits::Same), ["0", "50\u{2009}000"]);
        assert_eq!(labels(&[0.0, 1e6, 2.5e6], Digits::Same), ["0", "1.0×10^{6}", "2.5×10^{6}"]);
        assert_eq!(labels(&[1e-9, 1.0, -3e9], Digits::Same), ["10^{−9}", "10^{0}", "−3×10^{9}"]);
        assert_eq!(labels(&[-2e-6, 1e-6], Digits::Same), ["−2×10^{−6}", "1×10^{−6}"]);
    }

    #[test]
    fn decades_are_thinned_in_round_steps() {
        assert_eq!(labels_of(Scale::Log10, 0.0, 3.0, 5), ["10^{0}", "10^{1}", "10^{2}", "10^{3}"]);
        assert_eq!(labels_of(Scale::Log10, -12.0, 1.0, 5), ["10^{−10}", "10^{−5}", "10^{0}"]);
        assert_eq!(labels_of(Scale::Log10, -100.0, 0.0, 4), ["10^{−100}", "10^{−50}", "10^{0}"]);
    }

    #[test]
    fn a_short_log_axis_has_plain_numbers() {
        assert_eq!(labels_of(Scale::Log10, 0.0, 1.0, 5), ["1", "2", "5", "10"]);
        let low = libm::log10(0.4);
        assert_eq!(labels_of(Scale::Log10, low, 0.5, 5), ["0.5", "1", "2"]);
        let low = libm::log10(2.1);
        let high = libm::log10(2.9);
        assert_eq!(labels_of(Scale::Log10, low, high, 4), ["2.2", "2.4", "2.6", "2.8"]);
    }

    #[test]
    fn minor_ticks_have_no_labels() {
        let all = ticks(View { scale: Scale::Log10, low: 0.0, high: 2.0 }, 5);
        assert_eq!(all.len(), 3 + 16);
        assert_eq!(all.iter().filter(|tick| tick.label.is_none()).count(), 16);
    }
}

//! Plain tables and short forms for the terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::{Cell, ContentArrangement, Table};
use console::Term;

/// A table with a header: on a terminal as wide as that, with lines broken, elsewhere as wide as its
/// content.
pub fn of(header: &[&str], rows: Vec<Vec<Cell>>) -> Table {
    let mut table = Table::new();
    table.load_preset("     ──            ").set_content_arrangement(ContentArrangement::Disabled);
    if let Some((_, columns)) = Term::stdout().size_checked() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(columns.max(80));
    }
    table.set_header(header);
    table.add_rows(rows);
    table
}

/// A count with its noun: `1 experiment`, `2 experiments`.
pub fn several(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Words with how often each occurs, for instance `3 reproduced, 1 inconclusive`.
pub fn counted<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_default() += 1;
    }
    let counts: Vec<_> = counts.into_iter().map(|(word, n)| format!("{n} {word}")).collect();
    counts.join(", ")
}

/// A number with at most six significant digits.
///
/// # Examples
/// ```
/// assert_eq!(reproduce::table::number(15.852_812), "15.8528");
/// assert_eq!(reproduce::table::number(1e-13), "1e-13");
/// assert_eq!(reproduce::table::number(927_740_240_713.0), "9.27740e11");
/// assert_eq!(reproduce::table::number(11.0), "11");
/// ```
pub fn number(value: f64) -> String {
    if value == 0.0 || (value.fract() == 0.0 && value.abs() < 1e6) {
        return format!("{value}");
    }
    let scientific = format!("{value:.5e}");
    let exponent: i32 =
        scientific.split('e').nth(1).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    match usize::try_from(5 - exponent) {
        Ok(decimals) if exponent >= -3 => {
            let fixed = format!("{value:.decimals$}");
            fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ if format!("{value:e}").len() < scientific.len() => format!("{value:e}"),
        _ => scientific,
    }
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = Duration::from_secs_f64(seconds.min(1e9)).as_secs();
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_say_them() {
        assert_eq!(duration(0.44), "0.4 s");
        assert_eq!(duration(200.0), "3 min 20 s");
        assert_eq!(duration(7500.0), "2 h 5 min");
    }

    #[test]
    fn numbers_keep_six_digits() {
        assert_eq!(number(-0.001_234_567), "-0.00123457");
        assert_eq!(number(0.000_012_345_678), "1.23457e-5");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(1_071.850_4), "1071.85");
    }
}

//! Drift: how a run differs from the stored reference.
//!
//! On the reference's CPU class and device a result must equal the reference exactly, data hashes
//! included. Elsewhere each number may move by its `drift_tol`. What this run skipped for want of data
//! is not drift, and neither are the code's and the config's hashes: they tell why a number moved.

use crate::{Number, Record};

/// One difference from the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The number, claim, figure or table.
    pub name: String,
    /// What the reference holds.
    pub reference: String,
    /// What this run holds.
    pub run: String,
}

/// Every difference between a run and its reference; empty: no drift.
pub fn differences(reference: &Record, run: &Record) -> Vec<Difference> {
    let exact =
        reference.run.cpu_class == run.run.cpu_class && reference.run.device == run.run.device;
    let skips = !run.result.skipped.is_empty();
    let mut found = Vec::new();
    let mut differ = |name: &str, reference: String, run: String| {
        found.push(Difference { name: name.to_owned(), reference, run });
    };
    let absent = || "absent".to_owned();

    if reference.result.config != run.result.config {
        differ("config", reference.result.config.to_string(), run.result.config.to_string());
    }
    let (old, new) = (&reference.result.numbers, &run.result.numbers);
    for (name, was) in old {
        match new.get(name) {
            Some(is) if same(was, is, exact) => {}
            Some(is) => differ(name, shown(was), shown(is)),
            None if skips => {}
            None => differ(name, shown(was), absent()),
        }
    }
    for (name, is) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        differ(name, absent(), shown(is));
    }

    let (old, new) = (&reference.result.claims, &run.result.claims);
    for was in old {
        let word = |verdict: Option<crate::Verdict>| {
            verdict.map_or_else(|| "not judged".to_owned(), |verdict| verdict.word().to_owned())
        };
        match new.iter().find(|is| is.id == was.id) {
            Some(is) if is.verdict == was.verdict => {}
            Some(is) => differ(&was.id, word(was.verdict), word(is.verdict)),
            None if skips => {}
            None => differ(&was.id, word(was.verdict), absent()),
        }
    }
    for is in new.iter().filter(|is| !old.iter().any(|was| was.id == is.id)) {
        differ(&is.id, absent(), "a new claim".to_owned());
    }

    let outputs = |record: &Record| {
        let result = record.result.clone();
        result.figures.into_iter().chain(result.tables).collect::<Vec<_>>()
    };
    let (old, new) = (outputs(reference), outputs(run));
    for was in &old {
        match new.iter().find(|is| is.id == was.id) {
            Some(is) if is.data_sha256 == was.data_sha256 || !exact => {}
            Some(is) => differ(
                &was.id,
                format!("data {}", &was.data_sha256[..8]),
                format!("data {}", &is.data_sha256[..8]),
            ),
            None if run.result.skipped.iter().any(|skip| skip.id == was.id) => {}
            None => differ(&was.id, "drawn".to_owned(), absent()),
        }
    }
    for is in new.iter().filter(|is| !old.iter().any(|was| was.id == is.id)) {
        differ(&is.id, absent(), "drawn".to_owned());
    }
    found
}

fn same(was: &Number, is: &Number, exact: bool) -> bool {
    if exact {
        return was == is;
    }
    let tolerance = was.drift_tol.unwrap_or(0.0);
    let near = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= tolerance,
        (None, None) => true,
        _ => false,
    };
    near(Some(was.value), Some(is.value))
        && near(was.ci_low, is.ci_low)
        && near(was.ci_high, is.ci_high)
        && (was.n, &was.unit) == (is.n, &is.unit)
}

fn shown(number: &Number) -> String {
    match number.ci() {
        Some([low, high]) => format!("{} [{low}, {high}]", number.value),
        None => number.value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::tests::record;
    use crate::{Output, Skipped};

    fn names(reference: &Record, run: &Record) -> Vec<String> {
        differences(reference, run).into_iter().map(|difference| difference.name).collect()
    }

    #[test]
    fn a_record_does_not_drift_from_itself_whatever_the_commit() {
        let (reference, mut run) = (record("a01_x"), record("a01_x"));
        run.run.commit = Some("abc".to_owned());
        run.run.runtime_s = 99.0;
        run.result.code_hash = "another".to_owned();
        assert_eq!(differences(&reference, &run), []);
    }

    #[test]
    fn the_last_bit_counts_on_one_cpu_class_and_the_tolerance_on_another() {
        let (mut reference, mut run) = (record("a01_x"), record("a01_x"));
        let two = run.result.numbers.get_mut("two").unwrap();
        two.value = f64::from_bits(two.value.to_bits() + 1);
        assert_eq!(names(&reference, &run), ["two"]);
        run.run.cpu_class = "macos-aarch64-baseline".to_owned();
        assert_eq!(names(&reference, &run), ["two"], "without a tolerance none is given");
        reference.result.numbers.get_mut("two").unwrap().drift_tol = Some(1e-9);
        assert_eq!(names(&reference, &run), Vec::<String>::new());
    }

    #[test]
    fn figures_skipped_for_want_of_data_are_not_drift_and_lost_ones_are() {
        let (mut reference, mut run) = (record("a01_x"), record("a01_x"));
        let output = Output {
            id: "A-x01".to_owned(),
            title: "A figure".to_owned(),
            data_sha256: crate::canonical::sha256(b"x"),
        };
        reference.result.figures.push(output);
        assert_eq!(names(&reference, &run), ["A-x01"]);
        let skip = Skipped { id: "A-x01".to_owned(), missing: "mnist/x".to_owned() };
        run.result.skipped.push(skip);
        assert_eq!(names(&reference, &run), Vec::<String>::new());
    }
}

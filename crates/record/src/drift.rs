//! Drift: how a run differs from the stored reference.
//!
//! On the reference's CPU class and device a result must equal the reference exactly, hashes of data and
//! artefacts included. Elsewhere each number may move by its `drift_tol`. What this run skipped for want of data
//! is not drift, and neither is the code's hash: it tells why a number moved. Under another config the
//! fields that differ are the one difference, and the names of the numbers that moved with them, since
//! the numbers are not meant to agree.

use std::fmt;

use crate::{Claim, Number, Record, canonical};

/// One difference from the reference.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The number, claim, figure or table.
    pub name: String,
    /// What the reference holds; empty where `run` tells both.
    pub reference: String,
    /// What this run holds.
    pub run: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reference.is_empty() {
            f.write_str(&self.run)
        } else {
            write!(f, "reference {}, this run {}", self.reference, self.run)
        }
    }
}

/// How many of the numbers that moved under another config are named.
const MOVED_TOLD: usize = 8;

/// Every difference between a run and its reference; empty: no drift.
pub fn differences(reference: &Record, run: &Record) -> Vec<Difference> {
    let exact =
        reference.run.cpu_class == run.run.cpu_class && reference.run.device == run.run.device;
    let skips = !run.result.skipped.is_empty();
    // A reference without some data says nothing of what was made from them.
    let whole = reference.result.skipped.is_empty();
    let mut found = Vec::new();
    let mut differ = |name: &str, reference: String, run: String| {
        found.push(Difference { name: name.to_owned(), reference, run });
    };
    let absent = || "absent".to_owned();

    let (old, new) = (&reference.result.numbers, &run.result.numbers);
    let fields = canonical::differing_fields(&reference.result.config, &run.result.config);
    if !fields.is_empty() {
        // Whatever else differs follows from it.
        let moved =
            old.iter().filter(|(name, was)| new.get(*name).is_none_or(|is| !same(was, is, exact)));
        let moved: Vec<_> = moved.map(|(name, _)| name.as_str()).collect();
        let told = match moved.len() {
            0 => format!("{}; no number moved", fields.join(", ")),
            n => format!(
                "{}; {n} of {} numbers moved: {}{}",
                fields.join(", "),
                old.len(),
                moved[..n.min(MOVED_TOLD)].join(", "),
                if n > MOVED_TOLD { ", …" } else { "" }
            ),
        };
        differ("config", String::new(), told);
        return found;
    }
    for (name, was) in old {
        match new.get(name) {
            Some(is) if same(was, is, exact) => {}
            Some(is) => differ(name, shown(was), shown(is)),
            None if skips => {}
            None => differ(name, shown(was), absent()),
        }
    }
    for (name, is) in new.iter().filter(|(name, _)| whole && !old.contains_key(*name)) {
        differ(name, absent(), shown(is));
    }

    for was in &reference.result.inputs {
        // An input that is missing now shows in what is skipped.
        if let Some(is) = run.result.inputs.iter().find(|is| is.name == was.name)
            && is.sha256.is_some()
            && is.sha256 != was.sha256
        {
            differ(&was.name, format!("{:?}", was.sha256), format!("{:?}", is.sha256));
        }
    }

    let (old, new) = (&reference.result.claims, &run.result.claims);
    for was in old {
        match new.iter().find(|is| is.id == was.id) {
            Some(is) if same_claim(was, is, exact) => {}
            Some(is) => differ(&was.id, told(was), told(is)),
            None if skips => {}
            None => differ(&was.id, told(was), absent()),
        }
    }
    for is in new.iter().filter(|is| whole && !old.iter().any(|was| was.id == is.id)) {
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
    for is in new.iter().filter(|is| whole && !old.iter().any(|was| was.id == is.id)) {
        differ(&is.id, absent(), "drawn".to_owned());
    }
    let artefacts = |record: &Record| record.result.artefacts.clone();
    for was in artefacts(reference) {
        match artefacts(run).into_iter().find(|is| is.name == was.name) {
            Some(is) if is.sha256 == was.sha256 || !exact => {}
            Some(is) => {
                differ(&was.name, was.sha256[..8].to_owned(), is.sha256[..8].to_owned());
            }
            None if skips => {}
            None => differ(&was.name, "made".to_owned(), absent()),
        }
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

/// Off the reference's CPU class a measured value may move (the number behind it has the tolerance), and
/// what was fixed before the run may not.
fn same_claim(was: &Claim, is: &Claim, exact: bool) -> bool {
    if exact {
        return was == is;
    }
    let fixed = |claim: &Claim| (claim.paper_value, claim.tolerance, claim.text.clone());
    was.verdict == is.verdict && fixed(was) == fixed(is)
}

fn told(claim: &Claim) -> String {
    let verdict = claim.verdict.map_or("not judged", crate::Verdict::word);
    let reach = claim.tolerance.map_or(String::new(), |tolerance| format!(", {tolerance:?}"));
    let paper = claim.paper_value.map_or(String::new(), |value| format!(", paper {value}"));
    format!("{verdict} at {}{paper}{reach}", claim.value)
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
    fn under_another_config_its_fields_are_the_one_difference() {
        let (reference, mut run) = (record("a01_x"), record("a01_x"));
        run.result.config = serde_json::json!({"k": 2});
        let told = |run: &Record| {
            let found = differences(&reference, run);
            assert_eq!((found.len(), found[0].name.as_str()), (1, "config"));
            found[0].to_string()
        };
        assert_eq!(told(&run), "k: 1 → 2; no number moved");
        run.result.numbers.get_mut("two").unwrap().value += 1.0;
        assert_eq!(told(&run), "k: 1 → 2; 1 of 1 numbers moved: two");
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
    fn a_loosened_tolerance_or_another_value_behind_the_same_verdict_is_drift() {
        let reference = record("a01_x");
        for change in [
            (|claim: &mut Claim| claim.tolerance = Some(crate::Tolerance::Absolute(9.0)))
                as fn(&mut Claim),
            |claim| claim.paper_value = Some(2.01),
        ] {
            for class in ["linux-x86_64-avx2", "macos-aarch64-baseline"] {
                let mut run = record("a01_x");
                run.run.cpu_class = class.to_owned();
                change(&mut run.result.claims[0]);
                assert_eq!(names(&reference, &run), ["x.two"], "{class}");
            }
        }
        let mut run = record("a01_x");
        run.result.claims[0].value = 2.02;
        assert_eq!(names(&reference, &run), ["x.two"]);
    }

    #[test]
    fn figures_skipped_for_want_of_data_are_not_drift_and_lost_ones_are() {
        let (mut reference, mut run) = (record("a01_x"), record("a01_x"));
        let output = Output {
            id: "A-x01".to_owned(),
            title: "A figure".to_owned(),
            data_sha256: canonical::sha256(b"x"),
        };
        reference.result.figures.push(output);
        assert_eq!(names(&reference, &run), ["A-x01"]);
        let skip = Skipped { id: "A-x01".to_owned(), missing: "mnist/x".to_owned() };
        run.result.skipped.push(skip);
        assert_eq!(names(&reference, &run), Vec::<String>::new());
        // The other way round: a reference without these data has nothing to compare.
        assert_eq!(names(&run, &reference), Vec::<String>::new());
    }
}

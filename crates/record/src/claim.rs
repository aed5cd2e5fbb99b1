//! Claims about a paper, and what a run says of them.
//!
//! The kind of a claim and its tolerance are fixed in code before the run. The verdict follows from
//! them and from the measured value by the rules below, and from nothing else.
//!
//! | kind | `reproduced` when | otherwise |
//! |---|---|---|
//! | [`Kind::Value`] | the value, or for an estimate its 95 % interval, meets paper ± tolerance | an exact value: `contradicted`. An estimate: by its effect against the null (below) |
//! | [`Kind::Order`] | every item is above the next, with intervals apart where they are given | two items in the wrong order with intervals apart (or exact): `contradicted`; else `inconclusive` |
//! | [`Kind::Sign`] | the interval of the effect lies on the paper's side of zero | on the other side: `contradicted`; covers zero: `inconclusive` |
//! | [`Kind::Shape`] | the statistic keeps its bound | the whole interval breaks it (or an exact value does): `contradicted`; else `inconclusive` |
//!
//! An estimate names its null. One that misses the paper's value is judged by its effect, value − null, against the
//! paper's effect, paper − null: `same-direction` if the interval lies on the paper's side of the null,
//! `contradicted` if it lies on the other or if the paper has no effect, `inconclusive` if it covers the
//! null.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::number::{Number, finite};
use crate::{Error, Tier};

/// What a run says of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The claim's test passes.
    Reproduced,
    /// The value differs, but its effect against the null has the paper's sign.
    SameDirection,
    /// The measurement excludes what the paper says.
    Contradicted,
    /// The interval allows both.
    Inconclusive,
    /// No paper value is known, or a named departure forbids the comparison.
    NotComparable,
}

impl Verdict {
    /// The word that tables print.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::SameDirection => "same-direction",
            Self::Contradicted => "contradicted",
            Self::Inconclusive => "inconclusive",
            Self::NotComparable => "not-comparable",
        }
    }
}

/// How far a value may lie from the paper's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Tolerance {
    /// In the value's own unit; half a unit of the last printed digit, for a value read from print.
    Absolute(f64),
    /// As a fraction of the paper's value.
    Relative(f64),
}

impl Tolerance {
    fn around(self, paper: f64) -> f64 {
        match self {
            Self::Absolute(tolerance) => tolerance,
            Self::Relative(fraction) => fraction * paper.abs(),
        }
    }
}

/// Which side of zero an effect lies on, or which side of a bound a statistic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Above zero; at least the bound.
    Above,
    /// Below zero; at most the bound.
    Below,
}

/// What an effect is measured against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Null {
    /// What the null is, for instance "shuffled labels".
    pub name: String,
    /// The value it takes.
    pub value: f64,
}

/// An item of an ordered list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// What it is.
    pub name: String,
    /// What was measured.
    pub value: f64,
    /// Its 95 % interval, for an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
}

/// The test that a claim stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// The paper gives a value; the measured one agrees within the claim's tolerance.
    Value,
    /// The paper orders named items; they are listed here in its order, the largest first.
    Order {
        /// The items with what was measured, in the paper's order.
        items: Vec<Item>,
    },
    /// The paper says on which side of the null an effect lies.
    Sign {
        /// The paper's side.
        paper: Direction,
    },
    /// A statistic keeps a bound.
    Shape {
        /// What the statistic is.
        statistic: String,
        /// Which side of the bound it keeps to.
        side: Direction,
        /// The bound.
        bound: f64,
    },
}

/// A claim of a paper with what a run measured and concluded.
///
/// # Examples
/// ```
/// use record::{Claim, Number, Tier, Tolerance, Verdict};
/// // The paper prints 15.9; half a unit of its last digit is 0.05.
/// let claim = Claim::about("a02.beta_snr", "authors' code", "β at d*_SNR is 15.9").equals(
///     15.9, Tolerance::Absolute(0.05), &Number::exact(15.8528));
/// assert_eq!(claim.judge(Tier::Laptop)?.verdict, Some(Verdict::Reproduced));
/// # Ok::<(), record::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "A claim of a paper with what a run measured and concluded.")]
pub struct Claim {
    /// `<experiment number>.<slug>`, unique in the project.
    pub id: String,
    /// The paper's letter.
    pub paper: char,
    /// Where the paper, or its authors' code, says so; [`Claim::OURS`] at its front if no paper does.
    pub source: String,
    /// The claim in one sentence.
    pub text: String,
    /// The test it stands for.
    pub kind: Kind,
    /// The paper's value, where it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paper_value: Option<f64>,
    /// What was measured.
    pub value: f64,
    /// Its 95 % interval, for an estimate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ci: Option<[f64; 2]>,
    /// How far the value may lie from the paper's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// What an effect is measured against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null: Option<Null>,
    /// The verdict; none at the smoke tier, which judges nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// What a reader should know: a departure, or why the claim fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What a claim says and where, before it has a test: see [`Claim::about`].
#[derive(Clone, Debug)]
pub struct Statement {
    id: String,
    source: String,
    text: String,
}

impl Statement {
    /// The measured value equals the paper's within a tolerance.
    pub fn equals(self, paper_value: f64, tolerance: Tolerance, measured: &Number) -> Claim {
        let claim = self.tested_by(Kind::Value, measured);
        Claim { paper_value: Some(paper_value), tolerance: Some(tolerance), ..claim }
    }

    /// The measured effect lies above what a named null gives.
    pub fn exceeds(self, null: &str, null_value: f64, measured: &Number) -> Claim {
        self.tested_by(Kind::Sign { paper: Direction::Above }, measured).null(null, null_value)
    }

    /// The measured effect lies below what a named null gives.
    pub fn falls_short_of(self, null: &str, null_value: f64, measured: &Number) -> Claim {
        self.tested_by(Kind::Sign { paper: Direction::Below }, measured).null(null, null_value)
    }

    /// A statistic is at least the bound.
    pub fn at_least(self, bound: f64, statistic: &str, measured: &Number) -> Claim {
        let (statistic, side) = (statistic.to_owned(), Direction::Above);
        self.tested_by(Kind::Shape { statistic, side, bound }, measured)
    }

    /// A statistic is at most the bound.
    pub fn at_most(self, bound: f64, statistic: &str, measured: &Number) -> Claim {
        let (statistic, side) = (statistic.to_owned(), Direction::Below);
        self.tested_by(Kind::Shape { statistic, side, bound }, measured)
    }

    /// Named items stand in the paper's order, the largest first. The claim's own value is the smallest
    /// gap between an item and the next.
    pub fn ordered(self, items: &[(&str, Number)]) -> Claim {
        let gaps = items.windows(2).map(|pair| pair[0].1.value - pair[1].1.value);
        let smallest = gaps.reduce(f64::min).unwrap_or(0.0);
        let items = items.iter().map(|(name, number)| Item {
            name: (*name).to_owned(),
            value: number.value,
            ci: number.ci(),
        });
        self.tested_by(Kind::Order { items: items.collect() }, &Number::exact(smallest))
    }

    fn tested_by(self, kind: Kind, measured: &Number) -> Claim {
        Claim {
            paper: self.id.chars().next().unwrap_or_default(),
            id: self.id,
            source: self.source,
            text: self.text,
            kind,
            paper_value: None,
            value: measured.value,
            ci: measured.ci(),
            tolerance: None,
            null: None,
            verdict: None,
            note: None,
        }
    }
}

impl Claim {
    /// How the source of a claim begins that is of this project and not of a paper.
    pub const OURS: &str = "this project";

    /// Whether the claim is of this project and not of a paper.
    pub fn is_ours(&self) -> bool {
        self.source.starts_with(Self::OURS)
    }

    /// Begins a claim: its id (`<experiment number>.<slug>`, whose first letter is the paper's), where
    /// the paper or its authors' code says so, and what, in one sentence. The test follows, by a method
    /// of [`Statement`].
    pub fn about(id: &str, source: &str, text: &str) -> Statement {
        Statement { id: id.to_owned(), source: source.to_owned(), text: text.to_owned() }
    }

    /// Names what the effect of a [`Kind::Value`] claim is measured against.
    #[must_use]
    pub fn null(mut self, name: &str, value: f64) -> Self {
        self.null = Some(Null { name: name.to_owned(), value });
        self
    }

    /// Says what a reader should know.
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        self.note = Some(note.to_owned());
        self
    }

    /// Keeps the claim comparable while its precondition holds: a published value is comparable in the
    /// published setting only. Stands last, since what it says takes the place of another note.
    #[must_use]
    pub fn when(self, holds: bool, otherwise: &str) -> Self {
        if holds { self } else { self.not_comparable(otherwise) }
    }

    /// Marks the claim as not comparable, and says why.
    #[must_use]
    pub fn not_comparable(mut self, why: &str) -> Self {
        self.verdict = Some(Verdict::NotComparable);
        self.note(why)
    }

    /// The claim with its verdict: the rules of this module, except that the smoke tier judges nothing
    /// and that a claim marked as not comparable stays so.
    ///
    /// # Errors
    /// [`Error::NotFinite`] for a number that is not finite, [`Error::Claim`] for an interval that does
    /// not hold its value, a missing null, tolerance or paper value, and an order of fewer than two.
    pub fn judge(mut self, tier: Tier) -> Result<Self, Error> {
        self.check()?;
        self.verdict = match (tier, self.verdict) {
            (Tier::Smoke, _) => None,
            (_, Some(Verdict::NotComparable)) => Some(Verdict::NotComparable),
            _ => Some(self.rule()),
        };
        Ok(self)
    }

    fn rule(&self) -> Verdict {
        let [low, high] = self.ci.unwrap_or([self.value, self.value]);
        let exact = self.ci.is_none();
        match &self.kind {
            Kind::Value => {
                let (Some(paper), Some(tolerance)) = (self.paper_value, self.tolerance) else {
                    return Verdict::NotComparable;
                };
                let reach = tolerance.around(paper);
                if low <= paper + reach && high >= paper - reach {
                    Verdict::Reproduced
                } else if exact {
                    Verdict::Contradicted
                } else {
                    let null = self.null.as_ref().map_or(0.0, |null| null.value);
                    let Some(paper_side) = direction(paper - null) else {
                        // The paper says that there is no effect.
                        let covers = low <= null && null <= high;
                        return if covers { Verdict::Inconclusive } else { Verdict::Contradicted };
                    };
                    match side([low - null, high - null], paper_side) {
                        Verdict::Reproduced => Verdict::SameDirection,
                        other => other,
                    }
                }
            }
            Kind::Order { items } => order(items),
            Kind::Sign { paper } => {
                let null = self.null.as_ref().map_or(0.0, |null| null.value);
                side([low - null, high - null], *paper)
            }
            Kind::Shape { side, bound, .. } => {
                let keeps = |x: f64| match side {
                    Direction::Above => x >= *bound,
                    Direction::Below => x <= *bound,
                };
                match (keeps(self.value), keeps(low) || keeps(high)) {
                    (true, _) => Verdict::Reproduced,
                    (false, false) => Verdict::Contradicted,
                    (false, true) => Verdict::Inconclusive,
                }
            }
        }
    }

    fn check(&self) -> Result<(), Error> {
        let null = self.null.as_ref().map(|null| null.value);
        let tolerance = self.tolerance.map(|tolerance| tolerance.around(1.0));
        finite(&self.id, [Some(self.value), self.paper_value, null, tolerance])?;
        let wrong = |complaint: &str| {
            Err(Error::Claim { id: self.id.clone(), complaint: complaint.to_owned() })
        };
        let mut measured = vec![(self.value, self.ci)];
        match &self.kind {
            Kind::Value if self.paper_value.is_none() || self.tolerance.is_none() => {
                return wrong("a value claim needs the paper's value and a tolerance");
            }
            Kind::Value if self.ci.is_some() && self.null.is_none() => {
                return wrong("an estimate names the null that its effect is measured against");
            }
            Kind::Sign { .. } if self.null.is_none() => {
                return wrong("a sign claim names its null");
            }
            Kind::Order { items } if items.len() < 2 => return wrong("an order needs two items"),
            Kind::Order { items } => {
                measured.extend(items.iter().map(|item| (item.value, item.ci)));
            }
            Kind::Shape { bound, .. } => finite(&self.id, [Some(*bound)])?,
            Kind::Value | Kind::Sign { .. } => {}
        }
        for (value, ci) in measured {
            let [low, high] = ci.unwrap_or([value, value]);
            finite(&self.id, [Some(value), Some(low), Some(high)])?;
            if !(low <= value && value <= high) {
                return wrong("the interval does not hold the value");
            }
        }
        Ok(())
    }
}

fn direction(effect: f64) -> Option<Direction> {
    match effect {
        _ if effect > 0.0 => Some(Direction::Above),
        _ if effect < 0.0 => Some(Direction::Below),
        _ => None,
    }
}

fn side([low, high]: [f64; 2], paper: Direction) -> Verdict {
    match paper {
        Direction::Above if low > 0.0 => Verdict::Reproduced,
        Direction::Below if high < 0.0 => Verdict::Reproduced,
        Direction::Above if high < 0.0 => Verdict::Contradicted,
        Direction::Below if low > 0.0 => Verdict::Contradicted,
        _ => Verdict::Inconclusive,
    }
}

fn order(items: &[Item]) -> Verdict {
    let ends = |item: &Item| item.ci.unwrap_or([item.value, item.value]);
    let pairs = items.windows(2).map(|pair| (ends(&pair[0]), ends(&pair[1])));
    let (mut all_apart, mut reversed) = (true, false);
    for ([larger_low, larger_high], [smaller_low, smaller_high]) in pairs {
        all_apart &= larger_low > smaller_high;
        reversed |= larger_high < smaller_low;
    }
    match (all_apart, reversed) {
        (true, _) => Verdict::Reproduced,
        (_, true) => Verdict::Contradicted,
        _ => Verdict::Inconclusive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(measured: &Number) -> Claim {
        let tolerance = Tolerance::Absolute(0.5);
        Claim::about("t.value", "test", "is 10").equals(10.0, tolerance, measured)
    }

    fn verdict(claim: Claim) -> Verdict {
        claim.judge(Tier::Laptop).unwrap().verdict.unwrap()
    }

    #[test]
    fn a_value_within_its_tolerance_is_reproduced_to_the_edge() {
        assert_eq!(verdict(value(&Number::exact(10.5))), Verdict::Reproduced);
        assert_eq!(verdict(value(&Number::exact(10.500_001))), Verdict::Contradicted);
        let estimate = value(&Number::estimate(11.0, [10.4, 12.0])).null("chance", 0.0);
        assert_eq!(verdict(estimate), Verdict::Reproduced);
        let relative =
            Claim { tolerance: Some(Tolerance::Relative(0.1)), ..value(&Number::exact(9.0)) };
        assert_eq!(verdict(relative), Verdict::Reproduced);
    }

    #[test]
    fn an_estimate_that_misses_is_judged_by_its_effect_against_the_null() {
        let miss =
            |ci: [f64; 2]| value(&Number::estimate(ci[0].midpoint(ci[1]), ci)).null("chance", 5.0);
        assert_eq!(verdict(miss([6.0, 8.0])), Verdict::SameDirection);
        assert_eq!(verdict(miss([4.0, 8.0])), Verdict::Inconclusive);
        assert_eq!(verdict(miss([1.0, 4.0])), Verdict::Contradicted);
    }

    #[test]
    fn a_paper_value_below_the_null_reverses_the_sides() {
        let miss =
            |ci: [f64; 2]| value(&Number::estimate(ci[0].midpoint(ci[1]), ci)).null("chance", 20.0);
        assert_eq!(verdict(miss([12.0, 15.0])), Verdict::SameDirection);
        assert_eq!(verdict(miss([21.0, 25.0])), Verdict::Contradicted);
    }

    #[test]
    fn a_paper_without_an_effect_is_contradicted_by_any() {
        let tolerance = Tolerance::Absolute(0.5);
        let claim = |ci: [f64; 2]| {
            let measured = Number::estimate(ci[0].midpoint(ci[1]), ci);
            let claim = Claim::about("t.none", "test", "nothing happens");
            verdict(claim.equals(0.0, tolerance, &measured).null("before", 0.0))
        };
        assert_eq!(claim([4.0, 6.0]), Verdict::Contradicted);
        assert_eq!(claim([0.1, 0.3]), Verdict::Reproduced);
    }

    #[test]
    fn a_sign_needs_an_interval_clear_of_the_null() {
        let sign = |side, ci: [f64; 2]| {
            let measured = Number::estimate(ci[0].midpoint(ci[1]), ci);
            let claim = Claim::about("t.sign", "test", "moves");
            verdict(match side {
                Direction::Above => claim.exceeds("shuffled", 1.0, &measured),
                Direction::Below => claim.falls_short_of("shuffled", 1.0, &measured),
            })
        };
        assert_eq!(sign(Direction::Above, [1.1, 2.0]), Verdict::Reproduced);
        assert_eq!(sign(Direction::Above, [0.9, 2.0]), Verdict::Inconclusive);
        assert_eq!(sign(Direction::Below, [1.1, 2.0]), Verdict::Contradicted);
    }

    #[test]
    fn a_shape_is_judged_by_its_bound() {
        let shape = |side, number: Number| {
            let claim = Claim::about("t.shape", "test", "fits");
            verdict(match side {
                Direction::Above => claim.at_least(0.9, "R²", &number),
                Direction::Below => claim.at_most(0.9, "R²", &number),
            })
        };
        assert_eq!(shape(Direction::Above, Number::exact(0.9)), Verdict::Reproduced);
        assert_eq!(shape(Direction::Below, Number::exact(0.95)), Verdict::Contradicted);
        let broad = Number::estimate(0.85, [0.8, 0.95]);
        assert_eq!(shape(Direction::Above, broad), Verdict::Inconclusive);
    }

    #[test]
    fn an_order_needs_every_pair_apart() {
        let order =
            |a, b| verdict(Claim::about("t.order", "test", "a > b").ordered(&[("a", a), ("b", b)]));
        let wide = |x| Number::estimate(x, [x - 1.0, x + 1.0]);
        assert_eq!(order(wide(5.0), wide(1.0)), Verdict::Reproduced);
        assert_eq!(order(wide(2.5), wide(1.0)), Verdict::Inconclusive);
        assert_eq!(order(wide(1.0), wide(5.0)), Verdict::Contradicted);
        assert_eq!(order(Number::exact(2.0), Number::exact(1.0)), Verdict::Reproduced);
        assert_eq!(order(Number::exact(1.0), Number::exact(1.0)), Verdict::Inconclusive);
    }

    #[test]
    fn smoke_judges_nothing_and_not_comparable_stays() {
        let claim = value(&Number::exact(10.0));
        assert_eq!(claim.clone().judge(Tier::Smoke).unwrap().verdict, None);
        assert_eq!(verdict(claim.not_comparable("smaller model")), Verdict::NotComparable);
    }

    #[test]
    fn outside_its_setting_a_claim_is_not_comparable_and_says_why() {
        let claim = value(&Number::exact(99.0));
        assert_eq!(verdict(claim.clone().when(true, "n is 32")), Verdict::Contradicted);
        let outside = claim.when(false, "n is 32").judge(Tier::Laptop).unwrap();
        assert_eq!(outside.verdict, Some(Verdict::NotComparable));
        assert_eq!(outside.note.as_deref(), Some("n is 32"));
    }

    #[test]
    fn a_claim_that_contradicts_itself_is_refused() {
        assert!(value(&Number::estimate(3.0, [4.0, 5.0])).judge(Tier::Laptop).is_err());
        assert!(value(&Number::exact(f64::NAN)).judge(Tier::Laptop).is_err());
        let nameless = value(&Number::estimate(3.0, [2.0, 4.0])).judge(Tier::Laptop);
        assert!(nameless.unwrap_err().to_string().contains("null"));
        assert!(value(&Number::estimate(3.0, [2.0, f64::INFINITY])).judge(Tier::Laptop).is_err());
        let single = Claim::about("t.order", "test", "alone").ordered(&[("a", Number::exact(1.0))]);
        assert!(single.judge(Tier::Laptop).is_err());
    }
}

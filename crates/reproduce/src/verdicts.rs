//! Claims as rows of a table, for the terminal and for the page of verdicts beside the reference.

use std::fmt::Write as _;

use record::claim::Kind;
use record::{Claim, Direction, Record, Tier, Tolerance, Verdict};

use crate::scaffold::PAPERS;
use crate::table;

/// The test of a claim in words, for instance `15.9 ± 0.05` or `largest error ≤ 1e-9`.
pub fn test(claim: &Claim) -> String {
    let null = claim.null.as_ref();
    match &claim.kind {
        Kind::Value => {
            let paper = claim.paper_value.map_or(String::new(), table::number);
            let reach = match claim.tolerance {
                Some(Tolerance::Absolute(reach)) => format!(" ± {}", table::number(reach)),
                Some(Tolerance::Relative(reach)) => {
                    format!(" ± {} %", table::number(reach * 100.0))
                }
                None => String::new(),
            };
            let null = null.map_or(String::new(), |null| {
                format!("; null {} ({})", table::number(null.value), null.name)
            });
            format!("{paper}{reach}{null}")
        }
        Kind::Shape { statistic, side, bound } => {
            let sign = if *side == Direction::Above { "≥" } else { "≤" };
            format!("{statistic} {sign} {}", table::number(*bound))
        }
        Kind::Sign { paper } => {
            let sign = if *paper == Direction::Above { ">" } else { "<" };
            let (value, name) = null.map_or((0.0, "zero"), |null| (null.value, null.name.as_str()));
            format!("{sign} {} ({name})", table::number(value))
        }
        Kind::Order { items } => {
            let names: Vec<_> = items.iter().map(|item| item.name.as_str()).collect();
            names.join(" > ")
        }
    }
}

/// What was measured, with its interval; for an order each item's.
pub fn measured(claim: &Claim) -> String {
    match &claim.kind {
        Kind::Order { items } => {
            let items: Vec<_> = items.iter().map(|item| with_ci(item.value, item.ci)).collect();
            items.join(" > ")
        }
        _ => with_ci(claim.value, claim.ci),
    }
}

fn with_ci(value: f64, ci: Option<[f64; 2]>) -> String {
    let value = table::number(value);
    ci.map_or(value.clone(), |[low, high]| {
        format!("{value} [{}, {}]", table::number(low), table::number(high))
    })
}

/// The verdict in a word, and whether the claim is this project's own.
pub fn told(claim: &Claim) -> String {
    let ours = if claim.is_ours() { " (ours)" } else { "" };
    format!("{}{ours}", word(claim))
}

/// The verdict in a word.
fn word(claim: &Claim) -> &'static str {
    claim.verdict.map_or("not judged", Verdict::word)
}

/// How often each verdict occurs, apart for the papers' claims and for this project's own: two lines at
/// most, none for no claims.
///
/// # Examples
/// ```
/// use record::{Claim, Number, Tier};
/// let [paper, own] = ["the paper, Fig. 2", Claim::OURS].map(|source| {
///     let claim = Claim::about("a01.small", source, "it is small");
///     claim.at_most(1.0, "size", &Number::exact(2.0)).judge(Tier::Laptop).unwrap()
/// });
/// let lines = reproduce::verdicts::counts([&paper, &paper, &own].into_iter());
/// assert_eq!(lines, ["of the papers: 2 contradicted", "of this project: 1 contradicted"]);
/// ```
pub fn counts<'a>(claims: impl Iterator<Item = &'a Claim>) -> Vec<String> {
    let (ours, papers): (Vec<_>, Vec<_>) = claims.partition(|claim| claim.is_ours());
    let told = [(papers, "the papers"), (ours, "this project")].map(|(claims, whose)| {
        let counted = table::counted(claims.into_iter().map(word));
        (!counted.is_empty()).then(|| format!("of {whose}: {counted}"))
    });
    told.into_iter().flatten().collect()
}

/// The page that stands beside the records of a reference: what they conclude of every claim, what
/// does not hold first.
pub fn page(tier: Tier, records: &[Record]) -> String {
    let claims = || records.iter().flat_map(|record| &record.result.claims);
    let mut page = format!(
        "# Verdicts at {tier}\n\n\
         What the records of this folder conclude of every claim; `just bless {tier}` writes this page. The \
         README says what each verdict means; `(ours)` marks a statement of this project that no paper makes; `crates/record/src/claim.rs` the exact rules. A measured \
         value stands with its 95 % interval where it is an estimate.\n\n"
    );
    for line in counts(claims()) {
        writeln!(page, "- {line}").ok();
    }
    let fails = |claim: &&Claim| {
        !matches!(claim.verdict, Some(Verdict::Reproduced | Verdict::NotComparable))
    };
    page.push_str("\n## What does not hold, or not clearly\n\n");
    rows(&mut page, claims().filter(fails));
    for (letter, _, title) in PAPERS {
        let mut of_paper =
            records.iter().filter(|record| record.result.id.starts_with(letter)).peekable();
        if of_paper.peek().is_some() {
            write!(page, "\n## {}: {title}\n", letter.to_ascii_uppercase()).ok();
        }
        for record in of_paper {
            let result = &record.result;
            write!(page, "\n### {}: {}\n\n", result.id, result.title).ok();
            if result.claims.is_empty() {
                page.push_str("No claim: its figures only show.\n");
            } else {
                rows(&mut page, result.claims.iter());
            }
        }
    }
    page
}

fn rows<'a>(page: &mut String, claims: impl Iterator<Item = &'a Claim>) {
    page.push_str(
        "| claim | says | source | test | measured | verdict |\n|---|---|---|---|---|---|\n",
    );
    for claim in claims {
        let note = claim.note.as_ref().map_or(String::new(), |note| format!(". Note: {note}"));
        let cells = [
            &claim.id,
            &format!("{}{note}", claim.text),
            &claim.source,
            &test(claim),
            &measured(claim),
            &told(claim),
        ];
        let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
        writeln!(page, "| {} |", cells.join(" | ")).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use record::Number;

    #[test]
    fn a_test_reads_as_a_sentence_would_say_it() {
        let about = || Claim::about("a01.x", "source", "it is so");
        let estimate = Number::exact(9.0);
        let value = about().equals(10.0, Tolerance::Relative(0.05), &estimate).null("chance", 0.5);
        assert_eq!(test(&value), "10 ± 5 %; null 0.5 (chance)");
        assert_eq!(test(&about().at_most(0.1, "error", &estimate)), "error ≤ 0.1");
        assert_eq!(test(&about().falls_short_of("chance", 0.5, &estimate)), "< 0.5 (chance)");
        let order = about().ordered(&[("one", Number::exact(2.0)), ("two", Number::exact(1.0))]);
        assert_eq!((test(&order), measured(&order)), ("one > two".into(), "2 > 1".into()));
    }
}

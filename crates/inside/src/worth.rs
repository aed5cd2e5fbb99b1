//! What dictionaries are worth in a model.

use interp::{Fidelity, Losses, MatchedDraws, cross_entropies, error_control, kl_score};
use kernels::Matrix;
use lm::{Hook, Transformer};
use sae::Dictionary;
use seed::Seed;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::flow::{Replacement, activations, replaced};
use crate::sequences::Sequences;

/// Rows that are encoded at once.
const N_ROWS: usize = 4096;

/// How well a dictionary reconstructs, and what its reconstructions cost the model. `None` where a ratio has no denominator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worth {
    /// Rows reconstructed.
    pub n_rows: u64,
    /// Active latents of a row.
    pub l0: f64,
    /// The share of variance, about the mean, that is not explained.
    pub fvu: Option<f64>,
    /// E‖x − x̂‖² / E‖x‖².
    pub nmse_of_norm: Option<f64>,
    /// Latents active in none of the rows, as a share.
    pub dead_share: f64,
    /// Latents active in more than 1 row of 10, as a share.
    pub very_dense_share: f64,
    /// Tokens that the model was asked of.
    pub n_tokens: u64,
    /// The model's own cross-entropy of them, in nats.
    pub clean: f64,
    /// By how much reconstructions raise it, in nats.
    pub delta: f64,
    /// Of what 0 in place of activations costs, the share that reconstructions do not.
    pub recovered_of_zero: Option<f64>,
    /// The same against the mean activation.
    pub recovered_of_mean: Option<f64>,
    /// KL of the model's own expectation from that with reconstructions, in nats, mean over tokens.
    pub kl: f64,
    /// 1 − KL / KL with the mean activation.
    pub kl_score: Option<f64>,
    /// KL with reconstructions / KL with random errors as long as theirs, of the covariance of activations.
    pub kl_of_random: Option<f64>,
}

/// A number of [`Worth`]: its name in records, its label, its unit, digits in a table, and how it is read.
pub type Quantity = (&'static str, &'static str, &'static str, usize, fn(&Worth) -> Option<f64>);

impl Worth {
    /// E‖z‖₀.
    pub const L0: Quantity = ("l0", "L0", "", 1, |it| Some(it.l0));
    /// The fraction of variance unexplained.
    pub const FVU: Quantity = ("fvu", "variance unexplained", "", 3, |it| it.fvu);
    /// The share of dead latents.
    pub const DEAD: Quantity = ("dead", "dead latents", "", 3, |it| Some(it.dead_share));
    /// What reconstructions cost.
    pub const DELTA: Quantity = ("delta", "ΔCE", "nats", 3, |it| Some(it.delta));
    /// What tables show, in order.
    pub const QUANTITIES: [Quantity; 8] = [
        Self::L0,
        Self::FVU,
        Self::DEAD,
        Self::DELTA,
        ("recovered_of_zero", "CE recovered, of 0", "", 3, |it| it.recovered_of_zero),
        ("recovered_of_mean", "CE recovered, of the mean", "", 3, |it| it.recovered_of_mean),
        ("kl_score", "KL score", "", 3, |it| it.kl_score),
        ("kl_of_random", "KL / KL of random errors", "", 2, |it| it.kl_of_random),
    ];
}

/// What dictionaries are worth at a hook of a model. All rows are reconstructed; the model is asked of the first sequences, until
/// they have `n_spliced` rows.
///
/// # Randomness
/// Errors of the control, drawn from `seed` for each dictionary.
///
/// # Errors
/// [`InsideError::Empty`](crate::InsideError::Empty) without tokens behind the second of a sequence; dictionaries of another
/// width.
///
/// # Source
/// The columns of paper C's table of the April update and of `SAEBench`'s core evaluation; the control of random errors is
/// discussed in the April update.
pub fn worth(
    model: &Transformer,
    hook: Hook,
    sequences: &Sequences,
    dictionaries: &[Dictionary],
    n_spliced: usize,
    seed: Seed,
) -> Result<Vec<Worth>> {
    let x = activations(model, hook, sequences)?;
    let mut fidelities = Vec::new();
    for dictionary in dictionaries {
        let mut fidelity = Fidelity::new(x.n_columns(), dictionary.n_latents())?;
        for rows in x.values().chunks(N_ROWS * x.n_columns()) {
            let rows = Matrix::from_rows(rows.len() / x.n_columns(), x.n_columns(), rows.to_vec())?;
            fidelity.add_reconstructed(dictionary, &rows)?;
        }
        fidelities.push(fidelity.report()?);
    }
    let draws = MatchedDraws::new(&x)?;
    let mean = mean_row(&x);
    let repeated = |x: &Matrix, row: &[f32]| {
        Ok(Matrix::from_rows(x.n_rows(), row.len(), row.repeat(x.n_rows()))?)
    };
    let mut replacements: Vec<Replacement<'_>> = Vec::new();
    replacements.push(Box::new(|x| Ok(Matrix::zeros(x.n_rows(), x.n_columns()))));
    replacements.push(Box::new(|x| repeated(x, &mean)));
    for (at, dictionary) in dictionaries.iter().enumerate() {
        replacements.push(Box::new(|x| Ok(dictionary.reconstruct(x)?)));
        let mut rng = seed.stream("inside: errors", &at.to_string());
        let draws = &draws;
        replacements
            .push(Box::new(move |x| Ok(draws.errors(x, &dictionary.reconstruct(x)?, &mut rng)?)));
    }
    let (asked, _) = sequences.clone().split_at(n_spliced);
    let told = replaced(model, hook, &asked, &mut replacements)?;
    let (ablated, spliced) = told.each.split_at(2);
    let mean_of = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let mut all = Vec::new();
    for (fidelity, told_of) in fidelities.into_iter().zip(spliced.chunks_exact(2)) {
        let [own, random] = [&told_of[0], &told_of[1]];
        let costs = cross_entropies(Losses {
            clean: &told.clean,
            spliced: &own.losses,
            zero_ablated: &ablated[0].losses,
            mean_ablated: &ablated[1].losses,
        })?;
        let kl = mean_of(&own.divergences);
        all.push(Worth {
            n_rows: fidelity.n_rows,
            l0: fidelity.l0,
            fvu: fidelity.fvu,
            nmse_of_norm: fidelity.nmse_of_norm,
            dead_share: fidelity.dead_share,
            very_dense_share: fidelity.very_dense_share,
            n_tokens: told.clean.len() as u64,
            clean: costs.clean,
            delta: costs.delta,
            recovered_of_zero: costs.recovered_of_zero,
            recovered_of_mean: costs.recovered_of_mean,
            kl,
            kl_score: kl_score(kl, mean_of(&ablated[1].divergences)),
            kl_of_random: error_control(&own.divergences, &random.divergences)?.ratio,
        });
    }
    Ok(all)
}

#[expect(clippy::cast_possible_truncation, reason = "activations have single precision")]
fn mean_row(x: &Matrix) -> Vec<f32> {
    let mut sums = vec![0.0_f64; x.n_columns()];
    for row in x.rows() {
        for (sum, x) in sums.iter_mut().zip(row) {
            *sum += f64::from(*x);
        }
    }
    sums.iter().map(|sum| (sum / x.n_rows() as f64) as f32).collect()
}

#[cfg(test)]
mod tests {
    use device::DeviceName;
    use interp::two_sided;
    use lm::{Config, Site};

    use super::*;

    /// All axes of an activation reconstruct it; one axis alone costs something, and none of it is explained but its own.
    #[test]
    fn what_reconstructs_all_costs_nothing() {
        let text = br#"{"model_type": "gpt2", "vocab_size": 13, "n_positions": 8, "n_embd": 6,
            "n_layer": 2, "n_head": 2}"#;
        let config = Config::from_json("config.json", text).unwrap();
        let device = DeviceName::Flex.open().unwrap();
        let model = Transformer::random(config, Seed::new(2), &device).unwrap();
        let hook = Hook::Block(0, Site::ResidPost);
        let texts = (1..9).map(|text| (0..7).map(|at| 1 + (text * at) % 12).collect());
        let sequences = Sequences::cut(texts, 0, 8).unwrap();
        let axes = Matrix::identity(6);
        let all = two_sided(&axes, &axes, &[0.0; 6], None).unwrap();
        let one = axes.select(&[0]);
        let one = two_sided(&one, &one, &[0.0; 6], None).unwrap();
        let found = worth(&model, hook, &sequences, &[all, one], 20, Seed::new(0)).unwrap();
        assert_eq!((found[0].n_rows, found[0].n_tokens), (56, 18));
        assert!(found[0].fvu.unwrap() < 1e-12 && found[0].delta.abs() < 1e-6);
        assert_eq!((found[0].l0, found[0].dead_share), (6.0, 0.0));
        assert!((found[0].kl_score.unwrap() - 1.0).abs() < 1e-5);
        assert!(found[1].fvu.unwrap() > 0.2 && found[1].kl > found[0].kl);
        let x = activations(&model, hook, &sequences).unwrap();
        let variance = |column: usize| {
            let values: Vec<f64> = x.rows().map(|row| f64::from(row[column])).collect();
            stats::variance(&values).unwrap()
        };
        let left: f64 = (1..6).map(variance).sum::<f64>() / (0..6).map(variance).sum::<f64>();
        assert!((found[1].fvu.unwrap() - left).abs() < 1e-6);
    }
}

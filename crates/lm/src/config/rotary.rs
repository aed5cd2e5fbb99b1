//! Rotary positions: how a config describes them, and the frequencies that follow.

use core::f64::consts::PI;

use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::LmError;

/// Rotary position embedding: pair i of a head, numbers i and i + `d_head`/2, is rotated by
/// position · frequency(i), where frequency(i) = theta^(−2i/`d_head`) before scaling.
///
/// Source: Su et al. 2021, arXiv 2104.09864, with the halves paired as Hugging Face checkpoints have
/// it.
///
/// # Examples
///
/// ```
/// let rotary = lm::Rotary { theta: 100.0, scaling: lm::RotaryScaling::None };
/// assert_eq!(rotary.frequencies(4), [1.0, 0.1]);
/// let rotary = lm::Rotary { scaling: lm::RotaryScaling::Linear { factor: 2.0 }, ..rotary };
/// assert_eq!(rotary.frequencies(4), [0.5, 0.05]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rotary {
    /// The base of the geometric sequence of wavelengths.
    pub theta: f64,
    /// How a longer context than that of the first training is reached.
    pub scaling: RotaryScaling,
}

/// How frequencies change for a longer context.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RotaryScaling {
    /// They do not.
    None,
    /// All are divided by the factor.
    Linear {
        /// The factor.
        factor: f64,
    },
    /// Llama 3: those of wavelengths above `original_n_ctx / low_freq_factor` are divided by the
    /// factor, those below `original_n_ctx / high_freq_factor` kept, those between interpolated.
    Llama3 {
        /// The factor.
        factor: f64,
        /// Sets the longest wavelength that is not divided in full.
        low_freq_factor: f64,
        /// Sets the shortest wavelength that is changed.
        high_freq_factor: f64,
        /// Context of the first training.
        original_n_ctx: usize,
    },
    /// `YaRN` (Peng et al. 2023, arXiv 2309.00071): a ramp over the pairs between frequencies kept and
    /// frequencies divided; both queries and keys are stretched.
    Yarn {
        /// The factor.
        factor: f64,
        /// Context of the first training.
        original_n_ctx: usize,
        /// Rotations within the original context from which on a frequency is kept.
        beta_fast: f64,
        /// Rotations within the original context up to which a frequency is divided in full.
        beta_slow: f64,
        /// By how much queries and keys are stretched; 0.1·ln(factor) + 1 where a config is silent.
        attention_factor: f64,
        /// Whether the ramp begins and ends at whole pairs.
        truncate: bool,
    },
}

impl Rotary {
    /// The angle by which each of the `d_head`/2 pairs turns from one position to the next, radians.
    pub fn frequencies(&self, d_head: usize) -> Vec<f64> {
        let base = |pair: usize| libm::pow(self.theta, -2.0 * pair as f64 / d_head as f64);
        let pairs = 0..d_head / 2;
        match self.scaling {
            RotaryScaling::None => pairs.map(base).collect(),
            RotaryScaling::Linear { factor } => pairs.map(|pair| base(pair) / factor).collect(),
            RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_n_ctx } => {
                let scaled = |frequency: f64| {
                    let turns = original_n_ctx as f64 * frequency / (2.0 * PI);
                    let kept = (turns - low_freq_factor) / (high_freq_factor - low_freq_factor);
                    let kept = kept.clamp(0.0, 1.0);
                    frequency * (kept + (1.0 - kept) / factor)
                };
                pairs.map(|pair| scaled(base(pair))).collect()
            }
            RotaryScaling::Yarn {
                factor, original_n_ctx, beta_fast, beta_slow, truncate, ..
            } => {
                // The pair, as a real number, that turns so often within the original context.
                let pair_of = |turns: f64| {
                    let ratio = original_n_ctx as f64 / (turns * 2.0 * PI);
                    d_head as f64 * libm::log(ratio) / (2.0 * libm::log(self.theta))
                };
                let (low, high) = (pair_of(beta_fast), pair_of(beta_slow));
                let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
                let (low, mut high) = (low.max(0.0), high.min(d_head as f64 - 1.0));
                if (high - low).abs() < f64::EPSILON {
                    high += 0.001;
                }
                let scaled = |pair: usize| {
                    let divided = ((pair as f64 - low) / (high - low)).clamp(0.0, 1.0);
                    base(pair) * (1.0 - divided + divided / factor)
                };
                pairs.map(scaled).collect()
            }
        }
    }

    /// By how much queries and keys are stretched, each.
    pub fn stretch(&self) -> f64 {
        match self.scaling {
            RotaryScaling::Yarn { attention_factor, .. } => attention_factor,
            _ => 1.0,
        }
    }

    /// Reads the fields of a config, in the older form (`rope_theta`, `rope_scaling`) or the newer
    /// (`rope_parameters`). Without a default for theta both theta and the scaling must be there.
    pub(super) fn take(
        fields: &mut Fields,
        default_theta: Option<f64>,
        n_ctx: usize,
    ) -> Result<Self, LmError> {
        let outer = fields.positive("rope_theta")?;
        let older = fields.object("rope_scaling")?;
        let mut inner = fields.object("rope_parameters")?.or(older);
        let theta = match &mut inner {
            Some(inner) => inner.positive("rope_theta")?.or(outer),
            None => outer,
        };
        let theta = theta.or(default_theta).filter(|theta| *theta > 1.0);
        let theta =
            theta.ok_or_else(|| fields.invalid("rope_theta", "a number above 1", "none such"))?;
        let Some(mut inner) = inner else {
            if default_theta.is_none() {
                let got = "no such field";
                return Err(fields.invalid("rope_scaling or rope_parameters", "an object", got));
            }
            return Ok(Self { theta, scaling: RotaryScaling::None });
        };
        inner.only("partial_rotary_factor", &json!(1))?;
        let older_name = inner.text("type", "default")?;
        let name = inner.text("rope_type", &older_name)?;
        let scaling = Self::take_scaling(&mut inner, &name, n_ctx)?;
        inner.finish()?;
        Ok(Self { theta, scaling })
    }

    fn take_scaling(
        inner: &mut Fields,
        name: &str,
        n_ctx: usize,
    ) -> Result<RotaryScaling, LmError> {
        if name == "default" {
            return Ok(RotaryScaling::None);
        }
        let honored = ["linear", "llama3", "yarn"];
        if !honored.contains(&name) {
            return Err(inner.invalid("rope_type", "default, linear, llama3 or yarn", name));
        }
        let factor = inner
            .positive("factor")?
            .ok_or_else(|| inner.invalid("factor", "a number", "no such field"))?;
        if name == "linear" {
            return Ok(RotaryScaling::Linear { factor });
        }
        let original_n_ctx = inner.size("original_max_position_embeddings")?.unwrap_or(n_ctx);
        if name == "yarn" {
            let beta_fast = inner.positive("beta_fast")?.unwrap_or(32.0);
            let beta_slow = inner.positive("beta_slow")?.unwrap_or(1.0);
            if beta_fast < beta_slow {
                return Err(inner.invalid("beta_fast", "at least beta_slow", beta_fast));
            }
            let silent = if factor > 1.0 { 0.1 * libm::log(factor) + 1.0 } else { 1.0 };
            let attention_factor = inner.positive("attention_factor")?.unwrap_or(silent);
            let truncate = inner.flag("truncate", true)?;
            return Ok(RotaryScaling::Yarn {
                factor,
                original_n_ctx,
                beta_fast,
                beta_slow,
                attention_factor,
                truncate,
            });
        }
        let mut named = |field: &str| {
            let number = inner.positive(field)?;
            number.ok_or_else(|| inner.invalid(field, "a number", "no such field"))
        };
        let (low_freq_factor, high_freq_factor) =
            (named("low_freq_factor")?, named("high_freq_factor")?);
        if high_freq_factor <= low_freq_factor {
            let expected = "more than low_freq_factor";
            return Err(inner.invalid("high_freq_factor", expected, high_freq_factor));
        }
        Ok(RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_n_ctx })
    }

    /// Adds the fields to a config, in the form that both older and newer readers know.
    pub(super) fn put(&self, map: &mut Map<String, Value>) {
        map.insert("rope_theta".to_owned(), json!(self.theta));
        let scaling = match self.scaling {
            RotaryScaling::None => json!({"rope_type": "default"}),
            RotaryScaling::Linear { factor } => json!({"rope_type": "linear", "factor": factor}),
            RotaryScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_n_ctx } => {
                json!({
                    "rope_type": "llama3",
                    "factor": factor,
                    "low_freq_factor": low_freq_factor,
                    "high_freq_factor": high_freq_factor,
                    "original_max_position_embeddings": original_n_ctx,
                })
            }
            RotaryScaling::Yarn {
                factor,
                original_n_ctx,
                beta_fast,
                beta_slow,
                attention_factor,
                truncate,
            } => json!({
                "rope_type": "yarn",
                "factor": factor,
                "original_max_position_embeddings": original_n_ctx,
                "beta_fast": beta_fast,
                "beta_slow": beta_slow,
                "attention_factor": attention_factor,
                "truncate": truncate,
            }),
        };
        map.insert("rope_scaling".to_owned(), scaling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: &[f64], b: &[f64]) {
        assert_eq!(a.len(), b.len());
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-12 * b.abs(), "{a} {b}");
        }
    }

    /// Wavelengths 2π and 20π within a context of 40π are 20 and 2 turns.
    #[test]
    fn llama3_keeps_the_fast_and_divides_the_slow() {
        let scaling = |low_freq_factor, high_freq_factor| RotaryScaling::Llama3 {
            factor: 8.0,
            low_freq_factor,
            high_freq_factor,
            original_n_ctx: 126,
        };
        let frequencies =
            |low, high| Rotary { theta: 100.0, scaling: scaling(low, high) }.frequencies(4);
        close(&frequencies(3.0, 5.0), &[1.0, 0.1 / 8.0]);
        close(&frequencies(0.5, 1.0), &[1.0, 0.1]);
        let turns = 126.0 * 0.1 / (2.0 * PI);
        let kept = (turns - 1.0) / 2.0;
        close(&frequencies(1.0, 3.0), &[1.0, 0.1 * (kept + (1.0 - kept) / 8.0)]);
    }

    /// With theta = e², d = 4 the pair of t turns is ln(`n_ctx`/(2πt)).
    #[test]
    fn yarn_ramps_between_the_pairs_of_fast_and_slow_turns() {
        let e = core::f64::consts::E;
        let yarn = |beta_fast, beta_slow, truncate| Rotary {
            theta: e * e,
            scaling: RotaryScaling::Yarn {
                factor: 4.0,
                original_n_ctx: 17,
                beta_fast,
                beta_slow,
                attention_factor: 1.5,
                truncate,
            },
        };
        let pair = libm::log(17.0 / (2.0 * PI));
        // Truncated: from floor(pair − ln 2) = 0 to ceil(pair) = 1, so pair 1 is divided in full.
        close(&yarn(2.0, 1.0, true).frequencies(4), &[1.0, 1.0 / e / 4.0]);
        let divided = (1.0 - (pair - libm::log(2.0))) / (libm::log(4.0));
        let ramp = yarn(2.0, 0.5, false);
        close(&ramp.frequencies(4), &[1.0, (1.0 - divided + divided / 4.0) / e]);
        assert!((ramp.stretch() - 1.5).abs() < 1e-15);
    }
}

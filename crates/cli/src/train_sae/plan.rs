//! What a training will take, before it is begun.

use std::time::{Duration, Instant};

use anyhow::bail;
use dictionaries::{Rows, ScalingRule, Source};
use indicatif::{BinaryBytes, HumanCount, HumanDuration};
use sae::{Activation, Architecture, Dictionary, Scaling, Trainer};

use super::config::Settings;
use super::input::Opened;
use crate::terminal::say;

/// How much memory there is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// What may be taken, as the user says.
    pub(super) ceiling: Option<u64>,
    /// What is free, where the system says.
    pub(super) free: Option<u64>,
}

impl Room {
    pub(super) fn new(ceiling: Option<u64>) -> Self {
        Self { ceiling, free: free_memory() }
    }

    /// Refuses what does not fit.
    ///
    /// # Errors
    /// More than the ceiling, or, where there is none, more than is free.
    pub(super) fn check(&self, needed: u64) -> anyhow::Result<()> {
        let needs = BinaryBytes(needed);
        match (self.ceiling, self.free) {
            (Some(ceiling), _) if needed > ceiling => {
                bail!("it takes {needs} of memory, and --memory allows {}", BinaryBytes(ceiling))
            }
            (_, Some(free)) if needed > free => {
                bail!("it takes {needs} of memory, and {} are free", BinaryBytes(free))
            }
            _ => Ok(()),
        }
    }
}

/// Bytes of memory that are free, where the system says.
fn free_memory() -> Option<u64> {
    let info = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// What a training will take.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) memory: Memory,
    /// Bytes of the dictionaries, and of a checkpoint.
    pub(super) disk: [u64; 2],
    pub(super) step: Duration,
    dictionaries: Vec<String>,
}

/// Bytes that a training takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    pub(super) dictionaries: u64,
    pub(super) step: u64,
    pub(super) rows: u64,
}

impl Memory {
    /// Of settings and rows, before any of it is taken.
    pub(super) fn of(settings: &Settings, opened: &Opened) -> Self {
        let widths = &opened.facts.widths;
        let (d, out) = (widths[0], *widths.last().unwrap_or(&widths[0]));
        let sae::Memory { parameters, step } = settings.run.memory(d, out);
        let width: usize = widths.iter().sum();
        let n_sample = (settings.sample_rows as u64).min(opened.facts.n_rows);
        // The sample, scaled, and as it comes out of a store.
        let sample = 3 * 4 * n_sample * width as u64;
        Self { dictionaries: parameters, step, rows: opened.memory_bytes + sample }
    }

    pub(super) const fn total(&self) -> u64 {
        self.dictionaries + self.step + self.rows
    }
}

impl Plan {
    /// Times a step, after one that warms up, of a trainer that is thrown away.
    ///
    /// # Errors
    /// What the dictionaries say of their settings, and of the rows of a sample.
    pub(super) fn measure(
        settings: &Settings,
        source: &mut dyn Source,
        memory: Memory,
    ) -> anyhow::Result<Self> {
        let sample = source.sample(settings.sample_rows)?;
        let scaling = match settings.scaling {
            ScalingRule::None => Scaling::None,
            ScalingRule::MeanSquare => Scaling::of(&sample.inputs)?,
        };
        let mut trainer = Trainer::new(settings.run.clone(), scaling, sample.batch())?;
        let batch = batch(&sample, settings.run.batch_rows);
        let mut step = Duration::ZERO;
        for _ in 0..2.min(settings.run.n_steps) {
            let begun = Instant::now();
            trainer.step(batch.batch())?;
            step = begun.elapsed();
        }
        let mut n_all = 0;
        let mut dictionaries = Vec::new();
        let members = settings.run.members.iter().zip(trainer.dictionaries()?);
        for (member, (name, dictionary)) in members {
            let n = n_parameters(&dictionary);
            n_all += n;
            let architecture = &member.recipe.architecture;
            dictionaries.push(format!(
                "{name}: {}, {} latents, {} parameters",
                described(architecture),
                HumanCount(architecture.n_latents() as u64),
                HumanCount(n)
            ));
        }
        // Parameters with two moments each, and how long latents were idle.
        let n_latents = |architecture: &Architecture| architecture.n_latents() as u64;
        let members = settings.run.members.iter();
        let idle: u64 = members.map(|member| 8 * n_latents(&member.recipe.architecture)).sum();
        Ok(Self { memory, disk: [4 * n_all, 12 * n_all + idle], step, dictionaries })
    }

    /// Bytes of disk at the worst: a checkpoint is written beside the one before it.
    pub(super) const fn disk_bytes(&self) -> u64 {
        self.disk[0] + 2 * self.disk[1]
    }

    /// Prints the plan.
    pub(super) fn print(&self, settings: &Settings, opened: &Opened, room: &Room, free_disk: u64) {
        let facts = &opened.facts;
        let widths: Vec<String> = facts.widths.iter().map(ToString::to_string).collect();
        let hook = facts.name.as_ref().map_or_else(String::new, |name| format!(" of {name}"));
        let target = facts.target.as_ref().map_or_else(String::new, |name| format!(" to {name}"));
        say(format_args!(
            "rows     {}{hook}{target}, {} numbers each; {} kept back",
            HumanCount(facts.n_rows),
            widths.join(" and "),
            HumanCount(facts.n_held_out)
        ));
        let n_trained = f64::from(settings.run.n_steps) * settings.run.batch_rows as f64;
        say(format_args!(
            "steps    {} of {} rows: {:.3} epochs",
            HumanCount(settings.run.n_steps.into()),
            HumanCount(settings.run.batch_rows as u64),
            n_trained / facts.n_rows as f64
        ));
        for dictionary in &self.dictionaries {
            say(format_args!("learns   {dictionary}"));
        }
        let Memory { dictionaries, step, rows } = self.memory;
        let free = match (room.ceiling, room.free) {
            (Some(ceiling), _) => format!("of {} that --memory allows", BinaryBytes(ceiling)),
            (None, Some(free)) => format!("of {} that are free", BinaryBytes(free)),
            (None, None) => "how much is free is not known here".to_owned(),
        };
        say(format_args!(
            "memory   about {}: dictionaries {}, a step {}, rows {}; {free}",
            BinaryBytes(self.memory.total()),
            BinaryBytes(dictionaries),
            BinaryBytes(step),
            BinaryBytes(rows)
        ));
        say(format_args!(
            "disk     {}, and twice {} for checkpoints until it is done; {} are free",
            BinaryBytes(self.disk[0]),
            BinaryBytes(self.disk[1]),
            BinaryBytes(free_disk)
        ));
        let time = self.step.saturating_mul(settings.run.n_steps);
        say(format_args!(
            "time     {} at {:.3} s a step, measured on one step",
            HumanDuration(time),
            self.step.as_secs_f64()
        ));
    }

    /// Steps between two checkpoints: as asked for, or about a minute of them.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and what is too large is the largest"
    )]
    pub(super) fn save_every(&self, settings: &Settings) -> u32 {
        let minute = (60.0 / self.step.as_secs_f64().max(1e-9)) as u32;
        settings.save_every.unwrap_or(minute).max(1)
    }
}

/// Rows of a sample as a batch, from the beginning again where they are too few.
fn batch(sample: &Rows, n_rows: usize) -> Rows {
    let n = sample.inputs.n_rows().max(1);
    let places: Vec<usize> = (0..n_rows).map(|row| row % n).collect();
    let targets = sample.targets.as_ref().map(|targets| targets.select(&places));
    Rows { inputs: sample.inputs.select(&places), targets }
}

fn n_parameters(dictionary: &Dictionary) -> u64 {
    let parts = dictionary.parts();
    let skip = parts.skip.as_ref().map_or(0, |skip| skip.values().len());
    let active = match &parts.activation {
        Activation::Relu | Activation::TopK { .. } => 0,
        Activation::JumpRelu { thresholds } => thresholds.len(),
        Activation::Gated { scales, magnitude_bias } => scales.len() + magnitude_bias.len(),
    };
    let matrices = parts.encoder.values().len() + parts.decoder.values().len();
    let biases = parts.encoder_bias.len() + parts.decoder_bias.len();
    (matrices + biases + skip + active) as u64
}

/// What an architecture is called, and what it aims at.
fn described(architecture: &Architecture) -> String {
    match architecture {
        Architecture::Relu(config) => format!("ReLU, penalty {}", config.penalty),
        Architecture::UnitRelu(config) => {
            format!("ReLU of unit rows, penalty {}", config.penalty)
        }
        Architecture::PAnneal(config) => format!("p-annealed, penalty {}", config.penalty),
        Architecture::Gated(config) => format!("gated, penalty {}", config.penalty),
        Architecture::JumpRelu(_) => "JumpReLU".to_owned(),
        Architecture::TopK(config) => format!("TopK {}", config.k),
        Architecture::BatchTopK(config) => format!("BatchTopK {}", config.k),
        Architecture::Matryoshka(config) => {
            format!("Matryoshka {} of {} prefixes", config.whole.k, config.prefixes.len())
        }
        Architecture::Transcoder(config) => {
            let skip = if config.skip { " with a map past the latents" } else { "" };
            format!("transcoder {}{skip}", config.k)
        }
    }
}

/// Bytes as people write them: `8GiB`, `500 MB`, `1.5gib`.
///
/// # Errors
/// What is no number of bytes.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return Err("a number with a unit is expected, for instance 8GiB or 500MB".to_owned()),
    };
    let number: f64 = number.parse().map_err(|_| format!("{number:?} is no number"))?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no sign was read, and what is too large is the largest"
    )]
    let bytes = (number * unit) as u64;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_as_people_write_them() {
        assert_eq!(bytes("8GiB"), Ok(8 << 30));
        assert_eq!(bytes(" 1.5 mb "), Ok(1_500_000));
        for text in ["8", "", "GiB", "-1GB", "1.2.3GB", "8 apples"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let room = Room { ceiling: Some(1 << 30), free: Some(8 << 30) };
        assert!(room.check(1 << 30).is_ok());
        let error = room.check(2 << 30).unwrap_err().to_string();
        assert!(
            error.contains("2.00 GiB") && error.contains("--memory allows 1.00 GiB"),
            "{error}"
        );
        let room = Room { ceiling: Some(16 << 30), free: Some(8 << 30) };
        let error = room.check(9 << 30).unwrap_err().to_string();
        assert!(error.contains("8.00 GiB are free"), "{error}");
        assert!(Room { ceiling: None, free: None }.check(u64::MAX).is_ok());
    }
}

//! Paper B: what the neurons of the SDM layer look for.
//!
//! Addresses of length 1 that are not negative lie where inputs lie, and each step moves the active ones toward the
//! samples that they answer to. The authors show addresses as pictures, and argue that they come to tile the manifold
//! of the data, which keeps classes from disturbing each other; their figure is a UMAP of data and addresses.
//!
//! *Expected:* digits as receptive fields of the SDM layer, noise as those of a plain net; addresses nearer to the data
//! after training than before. *Visible:* both, and how near the nearest address of a test image is, beside that of a
//! plain net and of as many training images. *Run:* `just run b10`; two minutes. *Data:* `just data mnist`.
//!
//! *Departures:* MNIST in the place of CIFAR-10 pixels; few epochs; in the place of UMAP, whose distances mean little,
//! the distribution of the cosine between a test image and the nearest address.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use continual::{Benchmark, Dataset, Draws, PaperMethod, Schedule, Student};
use experiment::figures::{Axis, Color, Figure, Mark, Panel, Width};
use experiment::{Claim, Context, Cost, Drawing, Estimate, Experiment, Input, Numbers, Tier};
use kernels::{Matrix, product_transposed};
use seed::Seed;
use serde::{Deserialize, Serialize};

const DATA: Benchmark = Benchmark::Mnist;
/// Pixels of a side.
const SIDE: usize = 28;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    methods: Vec<PaperMethod>,
    n_neurons: usize,
    epochs: usize,
    batch: usize,
    /// The GABA switch, as a part of the samples of the first task.
    switch: f64,
    /// Test images whose nearest address is looked for.
    n_probes: usize,
    /// Receptive fields that are shown for each class.
    n_shown: usize,
    n_resamples: usize,
    seeds: Vec<u64>,
}

/// What one net looks for.
#[derive(Clone, Serialize, Deserialize)]
struct Reached {
    /// Cosines between each probe and the nearest address: trained, and untrained.
    nearest: Vec<f32>,
    untrained: Vec<f32>,
    /// Of the first seed: by class, pictures of the neurons that are most often active among those that answer to it
    /// most.
    fields: Vec<Vec<Vec<u8>>>,
}

struct Measured {
    /// By method, for each seed.
    reached: Vec<(PaperMethod, Vec<Reached>)>,
    /// Cosines to the nearest of as many training images.
    images: Vec<f32>,
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len().max(1) as f64
}

impl Measured {
    fn estimate(
        &self,
        config: &Config,
        method: PaperMethod,
        of: impl Fn(&Reached) -> f64,
    ) -> Option<Estimate> {
        let (_, reached) = self.reached.iter().find(|(other, _)| *other == method)?;
        let values: Vec<f64> = reached.iter().map(of).collect();
        let purpose = format!("bootstrap, {}", method.name());
        let mut rng = Seed::new(config.seeds[0]).stream(ReceptiveFields::ID, &purpose);
        Estimate::of(&values, config.n_resamples, &mut rng).ok()
    }
}

struct ReceptiveFields;

impl Experiment for ReceptiveFields {
    const ID: &'static str = "b10_receptive_fields";
    const TITLE: &'static str = "What the neurons of the SDM layer look for";
    const OUTPUTS: &'static [&'static str] = &["B-x24", "B-x25", "B-x26"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let (n_neurons, epochs, n_probes, seeds) = match tier {
            Tier::Smoke => (100, 1, 200, vec![0]),
            Tier::Laptop => (1000, 5, 2000, vec![0, 1, 2]),
            Tier::Paper => (1000, 500, 10_000, vec![0, 1, 2]),
        };
        Config {
            methods: vec![PaperMethod::Sdm, PaperMethod::Relu],
            n_neurons,
            epochs,
            batch: 128,
            switch: 0.8,
            n_probes,
            n_shown: 6,
            n_resamples: if tier == Tier::Smoke { 200 } else { 2000 },
            seeds,
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(_: &Config) -> Vec<Input> {
        Input::each(DATA.files(), Self::OUTPUTS)
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.2, memory_mb: 900, disk_mb: 1 },
            Tier::Laptop => Cost { minutes: 1.0, memory_mb: 1200, disk_mb: 2 },
            Tier::Paper => Cost { minutes: 150.0, memory_mb: 1200, disk_mb: 2 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let Some([train, test]) = DATA.read(|file| context.read(file))? else {
            return Ok(Measured { reached: Vec::new(), images: Vec::new() });
        };
        let first: Vec<usize> = (0..config.n_probes).collect();
        let probes = unit(test.select(&first).inputs().clone());
        let units: Vec<(PaperMethod, u64)> = (config.methods.iter())
            .flat_map(|method| config.seeds.iter().map(move |seed| (*method, *seed)))
            .collect();
        let name = |(method, seed): &(PaperMethod, u64)| format!("{}, seed {seed}", method.name());
        let reached: Vec<Reached> = context
            .parts(&units, name, |unit| looked_for(config, *unit, [&train, &test], &probes))?;
        let by_method = config.methods.iter().zip(reached.chunks(config.seeds.len()));
        let mut rng = Seed::new(config.seeds[0]).stream(Self::ID, "training images");
        let per_class = config.n_neurons / DATA.n_classes();
        let images = unit(train.draw(per_class, &mut rng).0.inputs().clone());
        Ok(Measured {
            reached: by_method.map(|(method, reached)| (*method, reached.to_vec())).collect(),
            images: nearest(&probes, &images)?,
        })
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for method in &config.methods {
            let of = |what: fn(&Reached) -> f64| measured.estimate(config, *method, what);
            let all =
                [("nearest", of(|r| mean(&r.nearest))), ("untrained", of(|r| mean(&r.untrained)))];
            for (what, estimate) in all {
                if let Some(estimate) = estimate {
                    // Training: last bits differ between CPU classes and grow.
                    let name = format!("{}.{what}", method.name());
                    numbers.insert(name, estimate.mean.drift_tol(0.03));
                }
            }
        }
        if !measured.images.is_empty() {
            let images = experiment::Number::exact(mean(&measured.images));
            numbers.insert("training_images".to_owned(), images.drift_tol(1e-5));
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> = Vec::new();
        for (method, reached) in &measured.reached {
            let (id, title) = match method {
                PaperMethod::Sdm => ("B-x24", "Receptive fields of the SDM layer"),
                _ => ("B-x25", "Receptive fields of rectified neurons"),
            };
            if let Some(first) = reached.first() {
                drawings.push(fields(config, id, title, &first.fields).into());
            }
        }
        if !measured.reached.is_empty() {
            drawings.push(tiling(config, measured).into());
        }
        drawings
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let sdm = PaperMethod::Sdm;
        let of = |method, what: fn(&Reached) -> f64| measured.estimate(config, method, what);
        let mut claims = Vec::new();
        if let (Some(trained), Some(untrained)) =
            (of(sdm, |r| mean(&r.nearest)), of(sdm, |r| mean(&r.untrained)))
        {
            let text = "the addresses of the SDM layer come to tile the data: a test image is nearer to one than before";
            let claim = Claim::about("b10.tiling", "the paper: manifold tiling", text);
            let claim = claim.exceeds("the untrained net", untrained.mean.value, &trained.mean);
            claims.push(claim.note(
                "nearness is one sign of tiling; that addresses spread over the data as images do, which the word \
                 says too, was not tested: training images are nearer still (B-x26)",
            ));
            if let Some(relu) = of(PaperMethod::Relu, |r| mean(&r.nearest)) {
                let text =
                    "the SDM layer has addresses nearer to test images than rectified neurons have";
                let items = [("SDM layer", trained.mean), ("ReLU", relu.mean)];
                claims.push(Claim::about("b10.nearer", Claim::OURS, text).ordered(&items).note(
                    "a weak control: images are not negative, so that any address that is not negative either is \
                     near them; an SDM layer that was not trained beats rectified neurons that were (B-x26)",
                ));
            }
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<ReceptiveFields>()
}

fn unit(mut rows: Matrix) -> Matrix {
    rows.normalize_rows();
    rows
}

/// For each probe, the cosine with the nearest of some rows of length 1.
fn nearest(probes: &Matrix, rows: &Matrix) -> Result<Vec<f32>> {
    let cosines = product_transposed(probes, rows)?;
    Ok(cosines.rows().map(|row| row.iter().copied().fold(-1.0, f32::max)).collect())
}

/// Teaches a net and looks at its addresses.
fn looked_for(
    config: &Config,
    (method, seed): (PaperMethod, u64),
    [train, test]: [&Dataset; 2],
    probes: &Matrix,
) -> Result<Reached> {
    let split = DATA.split(None, 2)?;
    let n_first = config.epochs * train.of(&split.tasks()[0]).len();
    let kind = method.method(DATA, config.n_neurons, config.switch * n_first as f64, 0);
    let draws = Draws { seed: Seed::new(seed), id: ReceptiveFields::ID, purpose: method.name() };
    let Config { epochs, batch, .. } = *config;
    let schedule = Schedule { epochs, batch, evaluate_every: epochs };
    let addresses = |student: &Student| -> Result<Matrix> {
        Ok(student.net().context("a net has addresses")?.w.clone())
    };
    let untrained = addresses(&Student::new(kind, draws)?)?;
    let student = Student::taught(kind, &split, [train, test], schedule, draws)?;
    let trained = addresses(&student)?;
    let neurons = student.neurons(test)?.context("a net has neurons")?;
    let mut fields = Vec::new();
    if seed == config.seeds[0] {
        for class in 0..DATA.n_classes() {
            // Those that answer to this class most, the most often active first.
            let mut of_class: Vec<(usize, usize)> = (neurons.active_for.iter().enumerate())
                .filter(|(_, by_class)| by_class.iter().all(|n| by_class[class] >= *n))
                .map(|(neuron, by_class)| (by_class[class], neuron))
                .collect();
            of_class.sort_by(|a, b| b.cmp(a));
            let shown = of_class.iter().take(config.n_shown);
            fields.push(shown.map(|(_, neuron)| picture(trained.row(*neuron))).collect());
        }
    }
    Ok(Reached {
        nearest: nearest(probes, &unit(trained))?,
        untrained: nearest(probes, &unit(untrained))?,
        fields,
    })
}

/// An address as a picture: the largest weight black and zero white; with weights of both signs zero is gray.
fn picture(address: &[f32]) -> Vec<u8> {
    let largest = address.iter().fold(f32::MIN_POSITIVE, |a, w| a.max(w.abs()));
    let is_signed = address.iter().any(|w| *w < 0.0);
    let gray =
        |w: &f32| if is_signed { 127.5 * (1.0 - w / largest) } else { 255.0 * (1.0 - w / largest) };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from 0 to 255")]
    address.iter().map(|w| gray(w).round() as u8).collect()
}

fn fields(config: &Config, id: &str, title: &str, by_class: &[Vec<Vec<u8>>]) -> Figure {
    let classes: Vec<String> = (0..by_class.len()).map(|class| class.to_string()).collect();
    let classes: Vec<&str> = classes.iter().map(String::as_str).collect();
    let places: Vec<String> = (1..=config.n_shown).rev().map(|place| place.to_string()).collect();
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    let mut panel = Panel::new(
        Axis::categories("class that the neuron answers to most", &classes),
        Axis::categories("by how often it is active", &places),
    );
    for (class, pictures) in by_class.iter().enumerate() {
        for (place, pixels) in pictures.iter().enumerate() {
            let y = (config.n_shown - 1 - place) as f64;
            let image = Mark::image(class as f64, y, SIDE, pixels);
            panel = panel.mark(image.series(&format!("class {class}, {}", place + 1)));
        }
    }
    Figure::new(id, title)
        .caption(&format!(
            "Addresses of neurons after {} epochs on each of five tasks of MNIST (natural order), by the class of which \
             most test samples make the neuron active: those that are active most often. Dark: large weights; where \
             there are negative ones, zero is gray. Noise is what is left of the weights at the start.",
            config.epochs
        ))
        .width(Width::Page)
        .panel_height_mm(90.0)
        .panel(panel)
}

/// How near the nearest address is.
fn tiling(config: &Config, measured: &Measured) -> Figure {
    let mut panel = Panel::new(
        Axis::linear("cosine with the nearest address").range(0.0, 1.0),
        Axis::linear("share of test images").range(0.0, 1.0),
    )
    .legend();
    // From near to far, as they lie in the figure.
    let mut curves: Vec<(String, Color, bool, &[f32])> =
        vec![("training images".to_owned(), Color::Ink, false, &measured.images)];
    for (method, reached) in &measured.reached {
        let color = if *method == PaperMethod::Sdm { Color::Blue } else { Color::Vermilion };
        if let Some(first) = reached.first() {
            curves.push((method.label().to_owned(), color, false, &first.nearest));
            curves.push((format!("{}, untrained", method.label()), color, true, &first.untrained));
        }
    }
    for (label, color, is_dashed, cosines) in curves {
        let mut sorted: Vec<f64> = cosines.iter().map(|cosine| f64::from(*cosine)).collect();
        sorted.sort_by(f64::total_cmp);
        // A hundred quantiles draw the curve.
        let n = sorted.len();
        let quantile = |part: usize| sorted[(part * n / 100).min(n - 1)];
        let x: Vec<f64> = (0..=100).map(quantile).collect();
        let y: Vec<f64> = (0..=100).map(|part| f64::from(part) / 100.0).collect();
        let line = Mark::line(&x, &y).color(color).label(&label);
        panel = panel.mark(if is_dashed { line.dashed() } else { line });
    }
    Figure::new("B-x26", "How near the nearest address is")
        .caption(&format!(
            "The share of test images of MNIST whose cosine with the nearest of {} addresses is at most so large: \
             of the SDM layer and of rectified neurons after five tasks, of both before (dashed), and of {} training \
             images in the place of addresses. The net of the first seed; the claims have all.",
            config.n_neurons, config.n_neurons
        ))
        .panel(panel)
}

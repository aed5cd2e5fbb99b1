//! Paper A: images at learned keys, with the projections that the authors learned.
//!
//! The paper learns a projection W of images to n = 64 dimensions, stores all training images at W·x, and reads
//! perturbed ones. The authors published their W, so their table for MNIST can be met with no training. Their
//! "test" reads test images from the memory of the training images, which does not hold them; here test
//! images are also stored, so that W is tested on images that it never saw, beside random keys and none.
//!
//! *Expected:* the 84 means of `PUBLISHED_RECALL`, each within 0.02 of the 95 % interval. *Visible:* recall far
//! above the dotted query; at d = 15 all algorithms blend images, and gray CIFAR ends at its mean image from
//! d = 19 on. *Run:* `just fig A-x55`; three minutes. *Data:* `just data mnist attention-sdm cifar10-subset`.
//!
//! *Preprocessing* is the authors', and a15 shows what others give: brightness from 0 to 1, neither centered nor
//! scaled to length 1; the mean that is read is not scaled; a query that reaches nothing stays.
//!
//! *Departures:* some of the images as queries instead of all; a query stops by itself when its key stands still
//! (the authors stop batches of 128); 8,000 gray CIFAR images are stored instead of 50,000; attention with the β
//! of the caps has that β (their run had the β of the circles).

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use experiment::figures::{Axis, Cell, Color, Figure, Mark, Marker, Panel, Table, Width};
use experiment::{Claim, Context, Cost, Drawing, Experiment, Input, Number, Numbers, Tier};
use kernels::Matrix;
use manifest::decode::{gray_images, pytorch};
use sdm::projection::{
    ImageSet, PAPER_ALGORITHMS, PUBLISHED_RECALL, RecallTest, brightness, part_of,
    random_projection,
};
use sdm::{Algorithm, Draws, Setting};
use seed::Seed;
use serde::{Deserialize, Serialize};
use stats::bootstrap_mean;

/// Dimensions of a key.
const N: usize = 64;
const MNIST: &[&str] = &["A-x55", "A-x56", "A-x59", "A-y30"];
const CIFAR: &[&str] = &["A-x57", "A-x58", "A-y31"];
/// What legends call the algorithms, and their colors, in the order of `PAPER_ALGORITHMS`.
const LOOKS: [(&str, Color); 4] = [
    ("SDM", Color::Blue),
    ("SDM, cosines as distances", Color::Amber),
    ("attention, β of circles", Color::Green),
    ("attention, β of caps", Color::Purple),
];
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Radii d of the projections for MNIST and for gray CIFAR.
    mnist_radii: Vec<usize>,
    cifar_radii: Vec<usize>,
    /// Which of the authors' three starts.
    starts: Vec<u64>,
    /// Perturbations P in bits; an image is turned to the cosine 1 − 2P/n of its n pixels.
    perturbations: Vec<usize>,
    /// The most images that are stored; none: all.
    n_stored: Option<usize>,
    /// Queries of each projection: from the training images of MNIST, and from every other set.
    n_queries: (usize, usize),
    /// The most reads of a query.
    max_reads: usize,
    /// Resamples of the bootstrap.
    n_resamples: usize,
    /// Seeds of queries, perturbations, random keys, and the bootstrap.
    seeds: Vec<u64>,
}

/// Which images are asked of which memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Training images of the training images.
    Train,
    /// Test images of the training images, as the authors' "test".
    Test,
    /// Test images of the test images.
    HeldOut,
}

/// Mean cosines by perturbation.
struct Curve {
    set: ImageSet,
    asked: Asked,
    radius: usize,
    what: &'static str,
    cosines: Vec<Number>,
}

#[derive(Default)]
struct Measured {
    curves: Vec<Curve>,
}

impl Measured {
    fn find(&self, set: ImageSet, asked: Asked, radius: usize, what: &str) -> Option<&Curve> {
        let key = (set, asked, radius, what);
        self.curves.iter().find(|c| (c.set, c.asked, c.radius, c.what) == key)
    }
}

struct PublishedProjections;

impl Experiment for PublishedProjections {
    const ID: &'static str = "a12_published_projections";
    const TITLE: &'static str = "Images at keys that the authors learned";
    const OUTPUTS: &'static [&'static str] =
        &["A-x55", "A-x56", "A-x57", "A-x58", "A-x59", "A-y30", "A-y31"];
    type Config = Config;
    type Measured = Measured;

    fn config(tier: Tier) -> Config {
        let smoke = tier == Tier::Smoke;
        Config {
            // Authors' notebook, as those below.
            mnist_radii: if smoke { vec![11] } else { vec![5, 9, 11, 15] },
            cifar_radii: if smoke { vec![11] } else { vec![5, 9, 11, 15, 19, 27] },
            starts: if smoke { vec![0] } else { vec![0, 1, 2] },
            perturbations: (0..7).map(|step| 50 * step).collect(),
            n_stored: if smoke { Some(1000) } else { None },
            n_queries: match tier {
                Tier::Smoke => (8, 8),
                Tier::Laptop => (64, 32),
                Tier::Paper => (2000, 1000),
            },
            max_reads: 10,
            n_resamples: if smoke { 200 } else { 1000 },
            seeds: vec![0],
        }
    }

    fn seeds(config: &mut Config) -> &mut [u64] {
        &mut config.seeds
    }

    fn inputs(config: &Config) -> Vec<Input> {
        let of = |set: ImageSet, radii: &[usize], outputs: &[&str]| -> Vec<Input> {
            let images = set.files().map(str::to_owned).into_iter();
            let starts = |radius: &usize| {
                let radius = *radius;
                config.starts.iter().map(move |start| set.published_projection(radius, *start))
            };
            Input::each(images.chain(radii.iter().flat_map(starts)), outputs)
        };
        let mut inputs = of(ImageSet::Mnist, &config.mnist_radii, MNIST);
        inputs.extend(of(ImageSet::GrayCifar, &config.cifar_radii, CIFAR));
        inputs
    }

    fn cost(tier: Tier) -> Cost {
        match tier {
            Tier::Smoke => Cost { minutes: 0.1, memory_mb: 500, disk_mb: 5 },
            Tier::Laptop => Cost { minutes: 3.5, memory_mb: 900, disk_mb: 8 },
            Tier::Paper => Cost { minutes: 120.0, memory_mb: 2500, disk_mb: 8 },
        }
    }

    fn compute(config: &Config, context: &Context) -> Result<Measured> {
        let mut measured = Measured::default();
        let sets =
            [(ImageSet::Mnist, &config.mnist_radii), (ImageSet::GrayCifar, &config.cifar_radii)];
        let total = config.mnist_radii.len() * 4 + config.cifar_radii.len();
        for (set, radii) in sets {
            let steps = if set == ImageSet::Mnist { 4 } else { 1 };
            let Some(images) = Images::read(config, context, set, radii)? else { continue };
            for (place, radius) in radii.iter().enumerate() {
                measured.curves.extend(images.curves(config, place, *radius)?);
                (0..steps).for_each(|_| context.step(total));
            }
        }
        Ok(measured)
    }

    fn numbers(config: &Config, measured: &Measured) -> Numbers {
        let mut numbers = Numbers::new();
        for Curve { set, asked, radius, what, cosines } in &measured.curves {
            let asked = match asked {
                Asked::Train => "train",
                Asked::Test => "test",
                Asked::HeldOut => "held_out",
            };
            let what = what.to_lowercase().replace([' ', ','], "_");
            for (perturbation, cosine) in config.perturbations.iter().zip(cosines) {
                let key = format!("{}.{asked}.d{radius:02}.{what}.p{perturbation:03}", set.name());
                // Matrix products: last bits differ between CPU classes.
                numbers.insert(key, cosine.clone().drift_tol(1e-3));
            }
        }
        numbers
    }

    fn drawings(config: &Config, measured: &Measured) -> Vec<Drawing> {
        let mut drawings: Vec<Drawing> = Vec::new();
        let has = |set: ImageSet| measured.curves.iter().any(|curve| curve.set == set);
        if has(ImageSet::Mnist) {
            let of =
                |id, title, asked| recall(config, measured, (id, title), ImageSet::Mnist, asked);
            drawings.extend([
                of("A-x55", "MNIST: training images at learned keys", Asked::Train).into(),
                of("A-x56", "MNIST: test images asked of the training images", Asked::Test).into(),
                table(config, measured).into(),
                of("A-y30", "MNIST: test images asked of the test images", Asked::HeldOut).into(),
            ]);
        }
        if has(ImageSet::GrayCifar) {
            let of = |id, title, asked| {
                recall(config, measured, (id, title), ImageSet::GrayCifar, asked)
            };
            drawings.extend([
                of("A-x57", "Gray CIFAR: training images at learned keys", Asked::Train).into(),
                of("A-x58", "Gray CIFAR: test images asked of the training images", Asked::Test)
                    .into(),
                of("A-y31", "Gray CIFAR: test images asked of the test images", Asked::HeldOut)
                    .into(),
            ]);
        }
        drawings
    }

    fn claims(config: &Config, measured: &Measured) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (radius, rows) in PUBLISHED_RECALL {
            for (algorithm, published) in PAPER_ALGORITHMS.into_iter().zip(rows) {
                let found = measured.find(ImageSet::Mnist, Asked::Train, radius, algorithm.name());
                let Some(curve) = found else { continue };
                let gaps = curve.cosines.iter().zip(published).map(|(number, mean)| {
                    let [low, high] = number.ci().unwrap_or([number.value; 2]);
                    (low - mean).max(mean - high).max(0.0)
                });
                let gap = Number::exact(gaps.fold(0.0, f64::max)).n(published.len() as u64);
                let name = algorithm.name();
                claims.push(
                    Claim::about(
                        &format!("a12.{}_d{radius:02}", name.to_lowercase()),
                        "authors' notebook LearnProjections",
                        &format!("MNIST, {name}, d = {radius}: the seven published means"),
                    )
                    .at_most(
                        0.02,
                        "how far a published mean lies beyond the 95 % interval, at most",
                        &gap,
                    )
                    .when(config.n_stored.is_none(), "fewer images are stored than published"),
                );
            }
        }
        for set in [ImageSet::Mnist, ImageSet::GrayCifar] {
            let at = |what: &str| {
                let curve = measured.find(set, Asked::HeldOut, 11, what);
                curve.and_then(|curve| curve.cosines.get(2))
            };
            let attention = Algorithm::ContinuousSoftmax.name();
            let nulls = ["random keys", "images as keys", "mean image"].map(at);
            let null = nulls.into_iter().flatten().map(|number| number.value).reduce(f64::max);
            let name = if set == ImageSet::Mnist { "MNIST" } else { "gray CIFAR" };
            let text = format!(
                "{name}: learned keys recall images never seen in training, d = 11, P = 100"
            );
            if let (Some(learned), Some(null)) = (at(attention), null) {
                let id = format!("a12.held_out_{}", set.name());
                claims.push(
                    Claim::about(&id, Claim::OURS, &text)
                        .exceeds("the best of random keys, images as keys, mean image", null, learned)
                        .note("a statement of this project: the paper's test stores the training images"),
                );
            }
        }
        claims
    }
}

fn main() -> ExitCode {
    experiment::main::<PublishedProjections>()
}

/// An image set with its projections, by radius and start.
struct Images {
    set: ImageSet,
    train: Matrix,
    test: Matrix,
    projections: Vec<Vec<Matrix>>,
    seed: Seed,
}

impl Images {
    /// None where a file is missing.
    fn read(
        config: &Config,
        context: &Context,
        set: ImageSet,
        radii: &[usize],
    ) -> Result<Option<Self>> {
        let seed = Seed::new(*config.seeds.first().context("a seed is needed")?);
        let mut read = Vec::new();
        for file in set.files() {
            let Some(bytes) = context.read(file)? else { return Ok(None) };
            let images = brightness(set.n_pixels(), &gray_images(file, &bytes)?.data)?;
            let n_stored = config.n_stored.unwrap_or(usize::MAX).min(images.n_rows());
            read.push(images.select(&(0..n_stored).collect::<Vec<_>>()));
        }
        let mut projections = Vec::new();
        for radius in radii {
            let mut starts = Vec::new();
            for start in &config.starts {
                let file = set.published_projection(*radius, *start);
                let Some(bytes) = context.read(&file)? else { return Ok(None) };
                let matrix = pytorch::decode_matrix(&file, &bytes)?;
                starts.push(Matrix::from_rows(matrix.shape[0], matrix.shape[1], matrix.data)?);
            }
            projections.push(starts);
        }
        let [train, test] = <[Matrix; 2]>::try_from(read).ok().context("two files of images")?;
        Ok(Some(Self { set, train, test, projections, seed }))
    }

    /// The test of one start; each start has queries of its own.
    fn test<'a>(
        &'a self,
        config: &'a Config,
        asked: Asked,
        start: usize,
        purpose: &'a str,
    ) -> RecallTest<'a> {
        let train = asked == Asked::Train;
        let many = train && self.set == ImageSet::Mnist;
        let n = if many { config.n_queries.0 } else { config.n_queries.1 };
        let draws = Draws { seed: self.seed, id: PublishedProjections::ID, purpose };
        let mut rng = self.seed.stream(draws.id, &format!("{} queries, {train}", self.set.name()));
        RecallTest {
            stored: if asked == Asked::HeldOut { &self.test } else { &self.train },
            targets: part_of(if train { &self.train } else { &self.test }, n, start, &mut rng),
            perturbations: &config.perturbations,
            max_reads: config.max_reads,
            draws,
        }
    }

    /// Every curve at one radius, over all starts.
    fn curves(&self, config: &Config, place: usize, radius: usize) -> Result<Vec<Curve>> {
        let setting = Setting { n: N, radius, n_neurons: f64::INFINITY, published_caps: false };
        let separation =
            |of: Algorithm| of.separation(&setting)?.context("an algorithm of vectors");
        let all = PAPER_ALGORITHMS.map(separation).into_iter().collect::<Result<Vec<_>>>()?;
        let attention = [separation(Algorithm::ContinuousSoftmax)?];
        let n = self.set.n_pixels();
        let mut curves = Vec::new();
        for asked in [Asked::Train, Asked::Test, Asked::HeldOut] {
            let mut pools: BTreeMap<&'static str, Vec<Vec<f64>>> = BTreeMap::new();
            for (start, learned) in self.projections[place].iter().enumerate() {
                let purpose = format!("{}, {start}", self.set.name());
                let test = self.test(config, asked, start, &purpose);
                let names = PAPER_ALGORITHMS.map(Algorithm::name).into_iter();
                let mut ends: Vec<_> = names.zip(test.recall(learned, &all)?).collect();
                let mean = vec![test.mean_image()?; config.perturbations.len()];
                ends.push(("mean image", mean));
                if asked == Asked::HeldOut {
                    let random = format!("random keys, {purpose}");
                    let random = random_projection(N, n, self.seed, test.draws.id, &random);
                    let keys = [("random keys", random), ("images as keys", Matrix::identity(n))];
                    for (name, keys) in keys {
                        ends.extend(test.recall(&keys, &attention)?.pop().map(|ends| (name, ends)));
                    }
                }
                for (name, ends) in ends {
                    let pool = pools.entry(name).or_insert_with(|| vec![Vec::new(); ends.len()]);
                    pool.iter_mut().zip(ends).for_each(|(pool, ends)| pool.extend(ends));
                }
            }
            for (what, pool) in pools {
                let purpose = format!("bootstrap, {}, {radius}, {what}", self.set.name());
                let mut rng = self.seed.stream(PublishedProjections::ID, &purpose);
                let cosines = pool.iter().map(|values| {
                    let (mean, ci) = bootstrap_mean(values, config.n_resamples, &mut rng)?;
                    Ok(Number::estimate(mean, [ci.low, ci.high]).n(values.len() as u64))
                });
                let cosines = cosines.collect::<Result<_>>()?;
                curves.push(Curve { set: self.set, asked, radius, what, cosines });
            }
        }
        Ok(curves)
    }
}

/// Apart sideways, so that intervals do not hide each other.
fn aside(x: f64, place: usize) -> f64 {
    x + 4.0 * (place as f64 - 1.5)
}

fn recall(
    config: &Config,
    measured: &Measured,
    (id, title): (&str, &str),
    set: ImageSet,
    asked: Asked,
) -> Figure {
    let n = set.n_pixels();
    let x: Vec<f64> = config.perturbations.iter().map(|p| *p as f64).collect();
    let query: Vec<f64> = x.iter().map(|p| 1.0 - 2.0 * p / n as f64).collect();
    let caption = match asked {
        Asked::Train => "Training images, perturbed, of a memory that holds them all. ",
        Asked::Test => {
            "Test images, perturbed, of the memory of the training images, which does not hold them: the \
             authors' test. "
        }
        Asked::HeldOut => {
            "Test images, perturbed, of a memory that holds them, at keys that were learned without them. \
             Random keys have the same shape; images as keys are not projected; both are read by attention \
             with the β of the circles. "
        }
    };
    let caption = format!(
        "{caption}Mean cosine with the image after at most {} reads, by the Hamming radius d. Dotted: the \
         perturbed image; dashed: the mean of the stored images. Intervals: 95 % over the queries of all three \
         projections, other queries for each; points are moved apart sideways.{}",
        config.max_reads,
        if id == "A-x55" { " Rings: the published means." } else { "" }
    );
    let radii = if set == ImageSet::Mnist { &config.mnist_radii } else { &config.cifar_radii };
    let mut figure = Figure::new(id, title)
        .caption(&caption)
        .width(Width::Page)
        .panel_height_mm(38.0)
        .columns(radii.len().min(if set == ImageSet::Mnist { 4 } else { 3 }))
        .share_x()
        .share_y();
    // Gray CIFAR images have much in common.
    let bottom = if set == ImageSet::Mnist { 0.2 } else { 0.4 };
    for radius in radii {
        let mut panel = Panel::new(
            Axis::linear("perturbation P (bits)").ticks(vec![0.0, 100.0, 200.0, 300.0]),
            Axis::linear("cosine with the image").range(bottom, 1.02),
        )
        .title(&format!("d = {radius}"))
        .legend()
        .mark(Mark::line(&x, &query).color(Color::Gray).dotted().label("query"));
        if let Some(mean) = measured.find(set, asked, *radius, "mean image") {
            let y: Vec<f64> = mean.cosines.iter().map(|number| number.value).collect();
            panel = panel.mark(Mark::line(&x, &y).color(Color::Gray).dashed().label("mean image"));
        }
        let nulls = [("random keys", Color::Vermilion), ("images as keys", Color::Ink)];
        let names = PAPER_ALGORITHMS.map(Algorithm::name);
        let looks = names.into_iter().zip(LOOKS);
        let series = looks.chain(nulls.map(|(name, color)| (name, (name, color))));
        for (place, (what, (label, color))) in series.enumerate() {
            let Some(curve) = measured.find(set, asked, *radius, what) else { continue };
            let values =
                |end: fn(&Number) -> f64| curve.cosines.iter().map(end).collect::<Vec<_>>();
            let y = values(|number| number.value);
            let low = values(|number| number.ci_low.unwrap_or(number.value));
            let high = values(|number| number.ci_high.unwrap_or(number.value));
            let x: Vec<f64> = x.iter().map(|x| aside(*x, place)).collect();
            let line = Mark::line(&x, &y).color(color);
            let line = if place < 4 { line } else { line.dashed() };
            panel = panel
                .mark(line.series(&format!("{label}, line")))
                .mark(Mark::error_bars(&x, &y, &low, &high).color(color).label(label));
        }
        let published = PUBLISHED_RECALL.iter().filter(|(d, _)| id == "A-x55" && d == radius);
        for (_, rows) in published {
            let places = (0..3).flat_map(|place| x.iter().map(move |x| aside(*x, place)));
            let rings = Mark::points(&places.collect::<Vec<_>>(), &rows.concat());
            panel = panel.mark(rings.marker(Marker::Ring).color(Color::Ink).label("published"));
        }
        figure = figure.panel(panel);
    }
    figure
}

fn table(config: &Config, measured: &Measured) -> Table {
    let mut table = Table::new("A-x59", "MNIST, training images: published means and these")
        .column("d", "bits")
        .column("algorithm", "")
        .column("P", "bits");
    for name in ["published", "measured", "95 % from", "to"] {
        table = table.column(name, "");
    }
    for (radius, rows) in PUBLISHED_RECALL {
        for (algorithm, published) in PAPER_ALGORITHMS.into_iter().zip(rows) {
            let found = measured.find(ImageSet::Mnist, Asked::Train, radius, algorithm.name());
            let Some(curve) = found else { continue };
            for (at, (number, published)) in curve.cosines.iter().zip(published).enumerate() {
                let [low, high] = number.ci().unwrap_or([number.value; 2]);
                table = table.row(vec![
                    Cell::number(radius as f64, 0),
                    Cell::text(algorithm.name()),
                    Cell::number(config.perturbations[at] as f64, 0),
                    Cell::number(published, 4),
                    Cell::number(number.value, 4),
                    Cell::number(low, 4),
                    Cell::number(high, 4),
                ]);
            }
        }
    }
    table
}

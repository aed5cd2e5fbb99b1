//! Classes of your own images, two by two: who remembers them?
//!
//! ```text
//! cargo run -p continual --example own_images -- my-images
//! ```
//!
//! `my-images` holds `train/<class>/*.png` and `test/<class>/*.png`, all of one size, or the four files of the MNIST
//! format (`train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-…`, each perhaps with `.gz`).
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example tells what it found")]

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use continual::{Dataset, Draws, Method, NetMethod, Schedule, Scores, Split, Student};
use kernels::{Matrix, Rule};
use manifest::decode::image_folder::{Limits, read};
use manifest::decode::{gzip, idx};
use sdm::layer::{LearnerConfig, NetConfig};
use seed::Seed;

const EPOCHS: usize = 30;
const MAX_BYTES: u64 = 1 << 30;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).filter(|folder| !folder.starts_with('-'));
    let folder = folder.ok_or(
        "name the folder of your images: cargo run -p continual --example own_images -- <folder>",
    )?;
    let folder = Path::new(&folder);
    let has = |name: &str| folder.join(name).exists() || folder.join(format!("{name}.gz")).exists();
    if !folder.join("train").is_dir() && !has("train-images-idx3-ubyte") {
        return Err(format!(
            "{}: neither train/<class>/*.png with test/<class>/*.png nor the files of the MNIST format \
             (train-images-idx3-ubyte, …) lie there",
            folder.display()
        )
        .into());
    }
    let [train, test] = if folder.join("train").is_dir() {
        [image_folder(&folder.join("train"))?, image_folder(&folder.join("test"))?]
    } else {
        [idx_files(folder, "train")?, idx_files(folder, "t10k")?]
    };
    if train.n_classes() != test.n_classes() {
        return Err(format!(
            "{} classes to learn, but {} to test: both need the same sub-folders",
            train.n_classes(),
            test.n_classes()
        )
        .into());
    }
    for (data, what) in [(&train, "train"), (&test, "test")] {
        if let Some(class) = (0..data.n_classes()).find(|class| data.of(&[*class]).is_empty()) {
            return Err(format!(
                "class {class} of {what}, by name, has no image: add some or remove it"
            )
            .into());
        }
    }
    if train.n_classes() < 4 {
        println!(
            "{} classes: fewer than two tasks of two; there is little to forget",
            train.n_classes()
        );
    }
    let order: Vec<usize> = (0..train.n_classes()).collect();
    let split = Split::new(&order, 2)?;
    let (n_inputs, n_classes) = (train.inputs().n_columns(), train.n_classes());
    let n_first = train.of(&split.tasks()[0]).len();
    println!("{} images to learn, {n_classes} classes, {n_inputs} numbers each", train.len());
    let learner = LearnerConfig::with(Rule::Sgd { learning_rate: 0.05 });
    let switch = 0.8 * (EPOCHS * n_first) as f64;
    let nets = [
        ("SDM layer", NetConfig::sdm(n_inputs, 1000, n_classes, 10, switch)),
        ("rectified neurons", NetConfig::relu(n_inputs, 1000, n_classes)),
    ];
    for (name, net) in nets {
        let method = Method::Net(NetMethod::new(net, learner));
        let draws = Draws { seed: Seed::new(0), id: "own-images", purpose: name };
        let schedule = Schedule { epochs: EPOCHS, batch: 128, evaluate_every: EPOCHS };
        let mut student = Student::new(method, draws)?;
        for task in 1..=split.tasks().len() {
            student.learn_next(&split, &train, &test, schedule, draws)?;
            let seen = test.of(&split.seen(task - 1));
            println!("{name}, after task {task}: {:.3} of what was seen", student.accuracy(&seen)?);
        }
        let forgetting = Scores::new(&split, &test, student.history()).forgetting();
        println!("{name}: forgetting {:.3}", forgetting.unwrap_or(0.0));
    }
    Ok(())
}

fn image_folder(folder: &Path) -> Result<Dataset, Box<dyn Error>> {
    Ok(Dataset::of_images(&read(folder, Limits::default())?)?)
}

fn idx_files(folder: &Path, part: &str) -> Result<Dataset, Box<dyn Error>> {
    let [images, labels] = ["images-idx3-ubyte", "labels-idx1-ubyte"].map(|what| {
        let name = format!("{part}-{what}");
        let (plain, packed) = (folder.join(&name), folder.join(format!("{name}.gz")));
        let content = if plain.is_file() {
            std::fs::read(&plain).map_err(|error| format!("{}: {error}", plain.display()))?
        } else {
            let bytes = std::fs::read(&packed).map_err(|error| {
                format!("{}: {error}; nor is there a folder train", packed.display())
            })?;
            gzip::inflate(&name, &bytes, MAX_BYTES)?
        };
        Ok::<_, Box<dyn Error>>(idx::decode(&name, &content)?)
    });
    let (images, labels) = (images?, labels?);
    let n_classes = labels.data.iter().max().map_or(0, |label| usize::from(*label) + 1);
    let n = labels.data.len();
    let pixels = images.data.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
    let inputs = Matrix::from_rows(n, images.data.len() / n.max(1), pixels)?;
    Ok(Dataset::new(inputs, labels.data.into_iter().map(usize::from).collect(), n_classes)?)
}

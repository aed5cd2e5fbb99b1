//! Sparse autoencoders: configs and weights of every format, as other libraries write them.

use std::fs;
use std::path::{Path, PathBuf};

use kernels::Matrix;
use proptest::prelude::*;
use sae::files;

use crate::damage::Form;
use crate::data::accepted;
use crate::parser::{Outcome, Parser, folder};

/// Which file of which fixture is damaged; those of one kind of weights stand together.
const DAMAGED: [(&[&str], &str, Form); 8] = [
    (&["lens-gated", "lens-standard-bfloat"], "sae_weights.safetensors", Form::Tensors),
    (&["lens-topk-rescaled", "lens-matryoshka"], "cfg.json", Form::Json),
    (&["lens-standard-checkpoint"], "activation_scaler.json", Form::Json),
    (&["learning-matryoshka", "learning-topk"], "ae.safetensors", Form::Tensors),
    (&["learning-matryoshka", "learning-batchtopk"], "config.json", Form::Json),
    (&["learning-standard", "learning-gated"], "ae.pt", Form::Bytes),
    (&["sparsify-skip-transcoder", "sparsify-bfloat"], "sae.safetensors", Form::Tensors),
    (&["gemma-residual", "gemma-half"], "params.npz", Form::Bytes),
];

pub(crate) fn parsers() -> Vec<Parser> {
    let all = DAMAGED.into_iter().flat_map(|(fixtures, file, form)| {
        fixtures.iter().map(move |fixture| {
            let beside = beside(fixture);
            let whole = vec![fs::read(beside.path().join(file)).unwrap()];
            let name = format!("dictionary: {file} of {fixture}");
            Parser::in_folder(&name, form, whole, (beside, file), load)
        })
    });
    all.collect()
}

/// A copy of a fixture.
fn beside(fixture: &str) -> tempfile::TempDir {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sae/tests/fixtures");
    let to = folder();
    for entry in fs::read_dir(fixtures.join(fixture).join("given")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        fs::copy(&path, to.path().join(path.file_name().unwrap())).unwrap();
    }
    to
}

/// A dictionary that was read in spite of the damage computes.
fn load(folder: &Path) -> Outcome {
    let dictionary = accepted!(files::read(folder)).dictionary;
    let x = Matrix::zeros(2, dictionary.width());
    let reconstruction = dictionary.reconstruct(&x);
    let shape = reconstruction.map(|rows| (rows.n_rows(), rows.n_columns()));
    prop_assert_eq!(shape.ok(), Some((2, dictionary.decoder().n_columns())));
    Ok(Ok(()))
}

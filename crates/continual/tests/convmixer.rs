//! The authors' network on images of CIFAR-10, against the embeddings that the data set holds, where both are there.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::Path;

use continual::{Benchmark, ConvMixer};
use manifest::Store;
use manifest::decode::cifar;

const WEIGHTS: &str = "convmixer-imgnet32/ConvMixer_ImgNet32_WTransforms_Just_State_Dict.pt";

/// Test images of the subset that are compared.
const N_IMAGES: usize = 40;

/// Half a unit in the last place of half precision at a number's size: what rounding to it may move.
fn half_a_place(x: f32) -> f32 {
    let exponent = libm::floorf(libm::log2f(x.abs().max(6.1e-5)));
    libm::exp2f(exponent - 11.0)
}

#[test]
fn images_come_out_as_the_embeddings_that_the_data_set_holds() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let store = Store::from_env(&root).unwrap();
    let names = [WEIGHTS, "cifar10-subset/test.bin.gz", "cifar10-subset/official_indices.json"];
    let jpeg = "cifar10-convmixer/jpeg_filled_indices.json";
    if names.iter().chain([&jpeg]).any(|name| store.locate(name).is_err()) {
        eprintln!("skipped: data ({WEIGHTS} and the images; `just data` gets them)");
        return;
    }
    let [weights, packed, indices] = names.map(|name| store.read(name).unwrap());
    let network = ConvMixer::decode(WEIGHTS, &weights, 32).unwrap();
    assert_eq!(network.width(), 256);
    let images = cifar::decode(names[1], &packed).unwrap();
    let rows = |text: &[u8]| -> Vec<usize> {
        let tree: serde_json::Value = serde_json::from_slice(text).unwrap();
        serde_json::from_value(tree["test"].clone()).unwrap()
    };
    let (rows, from_jpeg) = (rows(&indices), rows(&store.read(jpeg).unwrap()));
    let [_, test] = Benchmark::Cifar10
        .read(|name| store.read(name).map(Some).map_err(continual::ContinualError::from))
        .unwrap()
        .unwrap();

    let embeddings = network.embed(&images.pixels.data[..N_IMAGES * 3072]).unwrap();
    let (mut largest, mut compared) = (0.0_f32, 0);
    for (embedding, row) in embeddings.rows().zip(&rows).filter(|(_, row)| !from_jpeg.contains(row))
    {
        for (a, b) in embedding.iter().zip(test.inputs().row(*row)) {
            largest = largest.max((a - b).abs() - half_a_place(*b));
        }
        compared += 1;
    }
    eprintln!("{compared} images, largest difference beyond rounding to half precision {largest}");
    assert!(compared > N_IMAGES / 2);
    // What is left is the order of sums in single precision; embeddings are of order 1.
    assert!(largest < 2e-6, "{largest}");
}

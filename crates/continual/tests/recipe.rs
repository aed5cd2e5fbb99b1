//! From an official archive and a file of weights to embeddings, as `just data cifar100-convmixer` makes them: a tiny
//! mixer and four images, against what PyTorch makes of both (`tiny_mixer/make.py`).

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::Path;

use continual::ConvMixer;
use manifest::decode::npy;
use manifest::{Outcome, Store, sha256};

const MIXER: &[u8] = include_bytes!("tiny_mixer/mixer.pt");
const ARCHIVE: &[u8] = include_bytes!("tiny_mixer/cifar-100-python.tar.gz");
const EMBEDDINGS: &[u8] = include_bytes!("tiny_mixer/embeddings.npy");

fn head(name: &str, kind: &str) -> String {
    format!(
        "name = \"{name}\"\ntitle = \"t\"\nserves = [\"b\"]\nkind = \"{kind}\"\nlicense = \"MIT\"\n\
         redistribution = \"free\"\ncredit = \"c\"\norigin = \"o\"\n"
    )
}

fn row(path: &str, bytes: usize, sha256: &str) -> String {
    format!("[[file]]\npath = \"{path}\"\nbytes = {bytes}\nsha256 = \"{sha256}\"\n")
}

/// A store whose mirror holds the mixer and the archive, as a user brings them.
fn store(folder: &Path) -> Store {
    let labels = |labels: &[u8]| {
        let data = labels.to_vec();
        npy::encode_u8(&manifest::decode::Array { shape: vec![data.len()], data })
    };
    let (train, test) = (labels(&[99, 7, 7]), labels(&[0]));
    let differs = "made_differs = \"sums in another order\"\n";
    let unknown = "0".repeat(64);
    let set = [
        head("set", "derived"),
        "[recipe]\ntext = \"r\"\n[recipe.embedding]\nimages = \"cifar-100\"\nweights = \"net/mixer.pt\"\n\
         [recipe.embedding.archive]\npath = \"cifar-100-python.tar.gz\"\nmax_bytes = 10000\n\
         sha256_unknown = \"not published\"\nurl_unknown = \"none\"\n"
            .to_owned(),
        row("train_x.npy", 128 + 3 * 4 * 2, &unknown) + differs,
        row("train_y.npy", train.len(), &sha256(&train)),
        row("test_x.npy", 128 + 4 * 2, &unknown) + differs,
        row("test_y.npy", test.len(), &sha256(&test)),
    ];
    let net = [
        head("net", "official"),
        row("mixer.pt", MIXER.len(), &sha256(MIXER)),
        "url_unknown = \"none\"\n".to_owned(),
    ];
    let files = [
        ("manifests/set.toml", set.concat().into_bytes()),
        ("manifests/net.toml", net.concat().into_bytes()),
        ("mirror/net/mixer.pt", MIXER.to_vec()),
        ("mirror/set/cifar-100-python.tar.gz", ARCHIVE.to_vec()),
    ];
    for (name, content) in files {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let (cache, mirror) = (folder.join("cache"), folder.join("mirror"));
    Store::new(&folder.join("manifests"), cache, Some(mirror)).unwrap()
}

#[test]
fn embeddings_are_those_of_pytorch_and_their_hashes_are_pinned() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).with_extractor(ConvMixer::extract);
    let report = store.fetch("set", &mut |_| {}).unwrap();
    let differs = Some("sums in another order".to_owned());
    for (at, (file, outcome)) in report.files.iter().enumerate() {
        let differs = if at % 2 == 0 { differs.clone() } else { None };
        assert_eq!(outcome.as_ref().unwrap(), &Outcome::Made { differs, pinned: None }, "{file}");
    }
    let decode = |name: &str, bytes: &[u8]| npy::decode(name, bytes).unwrap();
    let expected = decode("embeddings.npy", EMBEDDINGS).into_finite_f32("embeddings.npy").unwrap();
    assert_eq!(expected.shape, [4, 4]);
    let mut made = Vec::new();
    for (name, n) in [("set/train_x.npy", 3), ("set/test_x.npy", 1)] {
        let embeddings = decode(name, &store.read(name).unwrap()).into_finite_f32(name).unwrap();
        assert_eq!(embeddings.shape, [n, 4]);
        made.extend(embeddings.data);
    }
    for (made, expected) in made.iter().zip(&expected.data) {
        // Half a unit in the last place of half precision, and the order of sums in single precision.
        assert!((made - expected).abs() <= expected.abs() / 2048.0 + 2e-6, "{made} {expected}");
    }
    let labels = decode("y", &store.read("set/train_y.npy").unwrap()).into_u8("y").unwrap();
    assert_eq!(labels.data, [99, 7, 7]);
}

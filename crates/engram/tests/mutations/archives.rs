//! What PyTorch stores: tensors, state dictionaries, and the network that is read from one.

use continual::ConvMixer;
use manifest::decode::pytorch;
use proptest::prelude::*;

use crate::damage::Form;
use crate::data::{accepted, bytes_of};
use crate::parser::{FILE, Outcome, Parser};

#[path = "../../../manifest/tests/fixtures/mod.rs"]
pub(crate) mod fixtures;

use fixtures::{TENSOR, four_floats, pickle, torch_archive};

/// A network that PyTorch stored, for images of side 4 or 8.
const MIXER: &[u8] = include_bytes!("../../../continual/tests/tiny_mixer/mixer.pt");

pub(crate) fn parsers() -> Vec<Parser> {
    let entries: [&[u8]; 5] = [b"}(X\x01\0\0\0a", TENSOR, b"X\x01\0\0\0b", TENSOR, b"u"];
    let dictionary = torch_archive(&pickle(&entries), &[("0", &four_floats())]);
    let pickles = vec![pickle(&[TENSOR])];
    vec![
        Parser::new("PyTorch archives", Form::Bytes, vec![dictionary], read_dictionary),
        // The archive is made anew around the damage, so that every case passes its checksums.
        Parser::new("PyTorch pickles", Form::Bytes, pickles, |bytes| {
            let archive = torch_archive(bytes, &[("0", &four_floats())]);
            let tensor = accepted!(pytorch::decode_tensor(FILE, &archive));
            prop_assert!(bytes_of(&tensor)? <= 4 * archive.len());
            Ok(Ok(()))
        }),
        Parser::new("ConvMixer: archive", Form::Bytes, vec![MIXER.to_vec()], read_mixer),
        mixer_pickle(),
    ]
}

fn read_dictionary(bytes: &[u8]) -> Outcome {
    let tensors = accepted!(pytorch::decode_state_dict(FILE, bytes));
    let total = tensors.values().try_fold(0, |sum, tensor| bytes_of(tensor).map(|n| sum + n))?;
    prop_assert!(total <= 4 * bytes.len());
    Ok(Ok(()))
}

fn read_mixer(bytes: &[u8]) -> Outcome {
    let mixer = accepted!(ConvMixer::decode(FILE, bytes, SIDE));
    let embedding = accepted!(mixer.embed(&[100; 3 * SIDE * SIDE]));
    prop_assert_eq!((embedding.n_rows(), embedding.n_columns()), (1, mixer.width()));
    Ok(Ok(()))
}

/// The side of the images.
const SIDE: usize = 32;

/// The pickle of the network alone is damaged.
fn mixer_pickle() -> Parser {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(MIXER)).unwrap();
    let (mut pickles, mut storages) = (Vec::new(), Vec::new());
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        let name = entry.name().unwrap().into_owned();
        if name.ends_with("data.pkl") {
            pickles.push(content);
        } else if let Some((_, key)) = name.split_once("/data/") {
            storages.push((key.to_owned(), content));
        }
    }
    Parser::new("ConvMixer: pickle", Form::Bytes, pickles, move |bytes| {
        let storages = storages.iter().map(|(key, content)| (key.as_str(), &content[..]));
        read_mixer(&torch_archive(bytes, &storages.collect::<Vec<_>>()))
    })
}

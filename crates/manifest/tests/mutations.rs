//! At least 100,000 damaged inputs through each decoder: no panic, results that keep their
//! invariants, and sizes bounded by the input's (or the stated limit), whatever a header claims.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod fixtures;

use std::cell::Cell;
use std::io::Write;

use fixtures::{TENSOR, four_floats, manifest_text, pickle, torch_archive};
use manifest::Manifest;
use manifest::decode::image_folder::Limits;
use manifest::decode::{Numbers, cifar, gzip, idx, image_folder, learned_betas, npy, pytorch};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const CASES: u32 = 100_000;

/// One way to damage a file. Positions are taken modulo its length.
#[derive(Debug, Clone)]
enum Edit {
    Flip { at: usize, bit: u8 },
    Set { at: usize, byte: u8 },
    Truncate { at: usize },
    Remove { at: usize, length: usize },
    Copy { from: usize, length: usize, to: usize },
    Number { at: usize, width: usize, big_endian: bool, value: u64 },
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let n = bytes.len();
        if n == 0 {
            return;
        }
        match *self {
            Self::Flip { at, bit } => bytes[at % n] ^= 1 << (bit % 8),
            Self::Set { at, byte } => bytes[at % n] = byte,
            Self::Truncate { at } => bytes.truncate(at % n),
            Self::Remove { at, length } => {
                let at = at % n;
                bytes.drain(at..(at + length).min(n));
            }
            Self::Copy { from, length, to } => {
                let from = from % n;
                let piece = bytes[from..(from + length).min(n)].to_vec();
                let to = to % n;
                bytes.splice(to..to, piece);
            }
            Self::Number { at, width, big_endian, value } => {
                let mut number = value.to_le_bytes()[..width].to_vec();
                if big_endian {
                    number.reverse();
                }
                for (offset, byte) in number.into_iter().enumerate() {
                    bytes[(at + offset) % n] = byte;
                }
            }
        }
    }
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let at = 0..1_usize << 20;
    // Lengths and counts at which arithmetic tends to break.
    let value = prop_oneof![
        0_u64..64,
        prop::sample::select(vec![
            0x7f,
            0x80,
            0xff,
            0x7fff,
            0x8000,
            0xffff,
            0x7fff_ffff,
            0x8000_0000,
            0xffff_ffff,
            1 << 33,
            1 << 61,
            u64::MAX >> 1,
            u64::MAX
        ]),
        any::<u64>(),
    ];
    let width = prop::sample::select(vec![1_usize, 2, 4, 8]);
    let edit = prop_oneof![
        (at.clone(), any::<u8>()).prop_map(|(at, bit)| Edit::Flip { at, bit }),
        (at.clone(), any::<u8>()).prop_map(|(at, byte)| Edit::Set { at, byte }),
        at.clone().prop_map(|at| Edit::Truncate { at }),
        (at.clone(), 1_usize..64).prop_map(|(at, length)| Edit::Remove { at, length }),
        (at.clone(), 1_usize..64, at.clone()).prop_map(|(from, length, to)| Edit::Copy {
            from,
            length,
            to
        }),
        (at, width, any::<bool>(), value).prop_map(|(at, width, big_endian, value)| {
            Edit::Number { at, width, big_endian, value }
        }),
    ];
    prop::collection::vec(edit, 1..4)
}

/// Damages `seed` in [`CASES`] ways. `decodes` checks an accepted result and says whether there
/// was one; damage must be refused at least sometimes and, so that the invariants are put to the
/// test too, not always.
fn damage(seed: &[u8], decodes: impl Fn(&[u8]) -> Result<bool, TestCaseError>) {
    assert!(decodes(seed).unwrap(), "the undamaged file must decode");
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let (tried, accepted) = (Cell::new(0_u32), Cell::new(0_u32));
    let outcome = runner.run(&edits(), |edits| {
        let mut bytes = seed.to_vec();
        for edit in &edits {
            edit.apply(&mut bytes);
        }
        tried.set(tried.get() + 1);
        if decodes(&bytes)? {
            accepted.set(accepted.get() + 1);
        }
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(tried.get(), CASES);
    assert!((1..CASES).contains(&accepted.get()), "{} accepted", accepted.get());
    // All inputs here are below 10 kB; the peak of the whole process lies near 6 MB.
    if let Some(peak) = peak_memory_kb() {
        assert!(peak < 64_000, "{peak} kB");
    }
}

/// The most memory that the process has had at any time, where the system says.
fn peak_memory_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn product(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Length of the elements in bytes, after checking it against the shape.
fn bytes_of(numbers: &Numbers) -> Result<usize, TestCaseError> {
    let (length, size) = match numbers {
        Numbers::U8(a) => (a.data.len(), 1),
        Numbers::I64(a) => (a.data.len(), 8),
        Numbers::F32(a) => (a.data.len(), 4),
        Numbers::F64(a) => (a.data.len(), 8),
    };
    prop_assert_eq!(product(numbers.shape()), length);
    Ok(length * size)
}

#[test]
fn idx_survives_damage() {
    let mut seed = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4];
    seed.extend(0..24);
    damage(&seed, |bytes| {
        let Ok(array) = idx::decode("f", bytes) else { return Ok(false) };
        prop_assert_eq!(product(&array.shape), array.data.len());
        prop_assert!(array.data.len() <= bytes.len());
        Ok(true)
    });
}

#[test]
fn cifar_records_survive_damage() {
    let mut seed = vec![3; 2 * cifar::RECORD_BYTES];
    seed[cifar::RECORD_BYTES] = 9;
    damage(&seed, |bytes| {
        let Ok(images) = cifar::decode("f", bytes) else { return Ok(false) };
        prop_assert_eq!(images.labels.data.len() * cifar::RECORD_BYTES, bytes.len());
        prop_assert_eq!(product(&images.pixels.shape), images.pixels.data.len());
        prop_assert!(images.labels.data.iter().all(|&label| label < 10));
        Ok(true)
    });
}

#[test]
fn cifar_python_batches_survive_damage() {
    let mut seed = b"\x80\x02}q\x01(U\x06labelsq\x04]q\x05(K\x06eU\x04dataq\x06".to_vec();
    seed.extend(b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85");
    seed.extend(
        b"U\x01b\x87Rq\x09(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87R",
    );
    seed.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00");
    seed.extend([7; 3072]);
    seed.extend(b"tbu.");
    damage(&seed, |bytes| {
        let Ok(images) = cifar::decode_python_batch("f", bytes, cifar::Set::Cifar10) else {
            return Ok(false);
        };
        prop_assert_eq!(images.pixels.data.len(), 3072 * images.labels.data.len());
        prop_assert!(images.pixels.data.len() <= bytes.len());
        prop_assert!(images.labels.data.iter().all(|&label| label < 10));
        Ok(true)
    });
}

#[test]
fn npy_survives_damage() {
    let mut seed = b"\x93NUMPY\x01\x00\x3c\x00".to_vec();
    seed.extend(b"{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }\n");
    seed.extend(0..12);
    damage(&seed, |bytes| {
        let Ok(numbers) = npy::decode("f", bytes) else { return Ok(false) };
        prop_assert!(bytes_of(&numbers)? <= 2 * bytes.len());
        Ok(true)
    });
}

#[test]
fn pytorch_tensors_survive_damage() {
    let floats = four_floats();
    let entries: [&[u8]; 5] = [b"}(X\x01\0\0\0a", TENSOR, b"X\x01\0\0\0b", TENSOR, b"u"];
    let seed = torch_archive(&pickle(&entries), &[("0", &floats)]);
    damage(&seed, |bytes| {
        let Ok(tensors) = pytorch::decode_state_dict("f", bytes) else { return Ok(false) };
        let total = tensors.values().try_fold(0, |sum, t| bytes_of(t).map(|n| sum + n))?;
        prop_assert!(total <= 4 * bytes.len());
        Ok(true)
    });
}

/// The pickle alone is damaged and the archive made anew, so that every case passes its checksums.
#[test]
fn pytorch_pickles_survive_damage() {
    let floats = four_floats();
    damage(&pickle(&[TENSOR]), |bytes| {
        let archive = torch_archive(bytes, &[("0", &floats)]);
        let Ok(tensor) = pytorch::decode_tensor("f", &archive) else { return Ok(false) };
        prop_assert!(bytes_of(&tensor)? <= 4 * archive.len());
        Ok(true)
    });
}

#[test]
fn gzip_survives_damage() {
    const LIMIT: u64 = 5000;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&(0..4000).map(|i| b"abcdefg"[i % 7]).collect::<Vec<u8>>()).unwrap();
    let seed = encoder.finish().unwrap();
    damage(&seed, |bytes| {
        let Ok(content) = gzip::inflate("f", bytes, LIMIT) else { return Ok(false) };
        prop_assert!(content.len() as u64 <= LIMIT);
        Ok(true)
    });
}

#[test]
fn png_survives_damage() {
    let limits = Limits { side: 64, images: 1, bytes: 1 << 14 };
    let mut seed = Vec::new();
    let mut encoder = png::Encoder::new(&mut seed, 5, 4);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]).unwrap();
    writer.finish().unwrap();
    damage(&seed, |bytes| {
        let Ok(image) = image_folder::decode("f", bytes, limits) else { return Ok(false) };
        prop_assert_eq!(product(&image.shape), image.data.len());
        prop_assert!(image.data.len() <= limits.bytes);
        Ok(true)
    });
}

#[test]
fn learned_betas_survive_damage() {
    let seed = "# credit\n[('e.0.scale', tensor(13.2098, device='cuda:0')),\n \
                ('e.1.scale', tensor(17.7457, device='cuda:0'))]\n\nar-en\n\
                [('d.0.scale', tensor(23.8495, device='cuda:0'))]\n";
    damage(seed.as_bytes(), |bytes| {
        let Ok(betas) = learned_betas::decode("f", bytes) else { return Ok(false) };
        prop_assert!(betas.len() * 10 <= bytes.len());
        prop_assert!(betas.iter().all(|b| b.value.is_finite() && b.value > 0.0));
        prop_assert!(betas.iter().all(|b| !b.name.is_empty()));
        Ok(true)
    });
}

#[test]
fn manifests_survive_damage() {
    let row = format!(
        "packing = \"gzip\"\nbytes = 7\nsha256 = \"{}\"\nurl = \"https://h/f\"",
        "0".repeat(64)
    );
    let seed = manifest_text("a/b.bin", &row);
    damage(seed.as_bytes(), |bytes| {
        let Ok(manifest) = Manifest::parse("f.toml", bytes) else { return Ok(false) };
        for row in &manifest.files {
            let path = std::path::Path::new(&row.path);
            let plain = |c: std::path::Component<'_>| matches!(c, std::path::Component::Normal(_));
            prop_assert!(path.components().all(plain) && !row.path.contains('\\'));
            prop_assert!(row.size.limit() <= 1 << 40);
            prop_assert_eq!(row.sha256.as_ref().map(String::len), Some(64));
        }
        Ok(true)
    });
}

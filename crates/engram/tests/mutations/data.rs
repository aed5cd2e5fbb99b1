//! Arrays, images, tables and manifests.

use std::io::Write as _;

use continual::{Benchmark, Dataset};
use manifest::Manifest;
use manifest::decode::image_folder::Limits;
use manifest::decode::llama2c::{Kind, Model, decode_tokenizer};
use manifest::decode::{Array, Numbers, cifar, gzip, idx, image_folder, learned_betas, npy};
use proptest::prelude::*;

use crate::archives::fixtures::manifest_text;
use crate::damage::Form;
use crate::parser::{FILE, Outcome, Parser, folder};

/// `$read`, or the return of what it was refused with.
macro_rules! accepted {
    ($read:expr) => {
        match $read {
            Ok(read) => read,
            Err(error) => return Ok(Err(error.to_string())),
        }
    };
}
pub(crate) use accepted;

pub(crate) fn product(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// Length of the elements in bytes, after checking it against the shape.
pub(crate) fn bytes_of(numbers: &Numbers) -> Result<usize, TestCaseError> {
    let (length, size) = match numbers {
        Numbers::U8(a) => (a.data.len(), 1),
        Numbers::I64(a) => (a.data.len(), 8),
        Numbers::F32(a) => (a.data.len(), 4),
        Numbers::F64(a) => (a.data.len(), 8),
    };
    prop_assert_eq!(product(numbers.shape()), length);
    Ok(length * size)
}

pub(crate) fn parsers() -> Vec<Parser> {
    let bytes =
        |name, files, read: fn(&[u8]) -> Outcome| Parser::new(name, Form::Bytes, files, read);
    let mut all = vec![
        bytes("idx", vec![idx_file(&[2, 3, 4]), idx_file(&[5])], |bytes| {
            let array = accepted!(idx::decode(FILE, bytes));
            prop_assert_eq!(product(&array.shape), array.data.len());
            prop_assert!(array.data.len() <= bytes.len());
            Ok(Ok(()))
        }),
        bytes("npy", npy_files(), |bytes| {
            let numbers = accepted!(npy::decode(FILE, bytes));
            prop_assert!(bytes_of(&numbers)? <= 2 * bytes.len());
            if let Ok(array) = numbers.into_finite_f32(FILE) {
                prop_assert!(array.data.iter().all(|number| number.is_finite()));
            }
            Ok(Ok(()))
        }),
        bytes("cifar records", vec![cifar_file(&[3, 9]), cifar_file(&[0])], |bytes| {
            let images = accepted!(cifar::decode(FILE, bytes));
            prop_assert_eq!(images.labels.data.len() * cifar::RECORD_BYTES, bytes.len());
            prop_assert_eq!(product(&images.pixels.shape), images.pixels.data.len());
            prop_assert!(images.labels.data.iter().all(|&label| label < 10));
            Ok(Ok(()))
        }),
        bytes("cifar batches of Python", vec![cifar_batch()], |bytes| {
            let images = accepted!(cifar::decode_python_batch(FILE, bytes, cifar::Set::Cifar10));
            prop_assert_eq!(images.pixels.data.len(), 3072 * images.labels.data.len());
            prop_assert!(images.pixels.data.len() <= bytes.len());
            prop_assert!(images.labels.data.iter().all(|&label| label < 10));
            Ok(Ok(()))
        }),
        bytes("gzip", vec![packed(&[0; 4000]), packed(b"abcdefg")], |bytes| {
            let content = accepted!(gzip::inflate(FILE, bytes, 5000));
            prop_assert!(content.len() <= 5000);
            Ok(Ok(()))
        }),
        bytes("png", png_files(), |bytes| {
            let limits = Limits { side: 64, images: 1, bytes: 1 << 14 };
            let image = accepted!(image_folder::decode(FILE, bytes, limits));
            prop_assert_eq!(product(&image.shape), image.data.len());
            prop_assert!(image.data.len() <= limits.bytes);
            Ok(Ok(()))
        }),
        png_folder(),
        bytes("learned betas", vec![BETAS.as_bytes().to_vec()], |bytes| {
            let betas = accepted!(learned_betas::decode(FILE, bytes));
            prop_assert!(betas.len() * 10 <= bytes.len());
            prop_assert!(betas.iter().all(|b| b.value.is_finite() && b.value > 0.0));
            prop_assert!(betas.iter().all(|b| !b.name.is_empty()));
            Ok(Ok(()))
        }),
        bytes("manifests", manifests(), read_manifest),
        bytes("llama2.c models", vec![llama_model(2), llama_model(-2)], |bytes| {
            let model = accepted!(Model::decode(FILE, bytes));
            let (shape, embedding) = model.weights(Kind::Embed);
            prop_assert_eq!(shape, [model.sizes.vocab_size, model.sizes.d_model]);
            prop_assert!(embedding[0].iter().all(|number| number.is_finite()));
            prop_assert_eq!(model.weights(Kind::Unembed).1.is_empty(), model.sizes.is_tied);
            Ok(Ok(()))
        }),
        bytes("llama2.c tokenizers", vec![llama_tokenizer()], |bytes| {
            let pieces = accepted!(decode_tokenizer(FILE, bytes, 3));
            prop_assert_eq!(pieces.len(), 3);
            Ok(Ok(()))
        }),
    ];
    all.extend(benchmarks());
    all
}

fn idx_file(shape: &[usize]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, u8::try_from(shape.len()).unwrap()];
    file.extend(shape.iter().flat_map(|size| u32::try_from(*size).unwrap().to_be_bytes()));
    file.extend((0..product(shape)).map(|at| u8::try_from(at % 10).unwrap()));
    file
}

fn npy_files() -> Vec<Vec<u8>> {
    let halves = Array { shape: vec![2, 3], data: vec![0.5, -1.0, 2.0, 0.0, 1.5, 9.0] };
    let mut doubles = b"\x93NUMPY\x02\x00\x3c\x00\x00\x00".to_vec();
    doubles.extend(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }  \n");
    doubles.extend([1.0_f64, -2.0, 1e300].map(f64::to_le_bytes).concat());
    let bytes = npy::encode_u8(&Array { shape: vec![2, 2, 1], data: vec![6, 9, 9, 0] });
    vec![npy::encode_f16(FILE, &halves).unwrap(), doubles, bytes]
}

fn cifar_file(labels: &[u8]) -> Vec<u8> {
    let record = |label: &u8| [vec![*label], vec![7; cifar::RECORD_BYTES - 1]].concat();
    labels.iter().flat_map(record).collect()
}

/// A batch as the Python version of CIFAR-10 has it, of one image.
fn cifar_batch() -> Vec<u8> {
    let parts: [&[u8]; 6] = [
        b"\x80\x02}q\x01(U\x06labelsq\x04]q\x05(K\x06eU\x04dataq\x06",
        b"cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\nq\x08K\x00\x85",
        b"U\x01b\x87Rq\x09(K\x01K\x01M\x00\x0c\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87R",
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x00\x0c\x00\x00",
        &[7; 3072],
        b"tbu.",
    ];
    parts.concat()
}

fn packed(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A PNG of 5 by 4 pixels.
fn png(color: png::ColorType, pixel: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 5, 4);
    encoder.set_color(color);
    if color == png::ColorType::Indexed {
        encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
    }
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixel.repeat(20)).unwrap();
    writer.finish().unwrap();
    file
}

fn png_files() -> Vec<Vec<u8>> {
    let gray = png(png::ColorType::Grayscale, &[9]);
    vec![png(png::ColorType::Indexed, &[1]), gray, png(png::ColorType::Rgba, &[1, 2, 3, 4])]
}

/// A folder of two classes, through to the data set that is made of it.
fn png_folder() -> Parser {
    let folder = folder();
    let gray = png(png::ColorType::Grayscale, &[200]);
    for class in ["cat", "dog"] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        std::fs::write(folder.path().join(class).join("1.png"), &gray).unwrap();
    }
    let files = vec![gray, png(png::ColorType::Grayscale, &[30])];
    Parser::in_folder("folders of images", Form::Bytes, files, (folder, "dog/2.png"), |folder| {
        let limits = Limits { side: 64, images: 4, bytes: 1 << 14 };
        let images = accepted!(image_folder::read(folder, limits));
        prop_assert_eq!(images.labels.data, [0_u32, 1, 1]);
        prop_assert_eq!(&images.pixels.shape, &[3, 4, 5, 1]);
        prop_assert_eq!(images.pixels.data.len(), 60);
        Ok(Ok(()))
    })
}

const BETAS: &str = "# credit\n[('e.0.scale', tensor(13.2098, device='cuda:0')),\n \
                     ('e.1.scale', tensor(17.7457, device='cuda:0'))]\n\nar-en\n\
                     [('d.0.scale', tensor(23.8495, device='cuda:0'))]\n";

fn manifests() -> Vec<Vec<u8>> {
    let hash = "0".repeat(64);
    let row = format!("packing = \"gzip\"\nbytes = 7\nsha256 = \"{hash}\"\nurl = \"https://h/f\"");
    let unknown = "bytes_unknown = \"never counted\"\nmax_bytes = 99\n\
                   sha256_unknown = \"not published\"\nurl_unknown = \"none\"";
    let files = [manifest_text("a/b.bin", &row), manifest_text("c", unknown)];
    let files = files.into_iter().filter(|text| Manifest::parse(FILE, text.as_bytes()).is_ok());
    files.map(String::into_bytes).collect()
}

fn read_manifest(bytes: &[u8]) -> Outcome {
    let manifest = accepted!(Manifest::parse(&format!("{FILE}.toml"), bytes));
    for row in &manifest.files {
        let path = std::path::Path::new(&row.path);
        let is_plain = |part| matches!(part, std::path::Component::Normal(_));
        prop_assert!(path.components().all(is_plain) && !row.path.contains('\\'));
        prop_assert!(row.size.limit() <= 1 << 40);
        if let Some(hash) = &row.sha256 {
            prop_assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
    }
    Ok(Ok(()))
}

/// One layer, two heads of two numbers over one of keys, hidden 3, vocabulary 2, context 1.
fn llama_model(vocab_size: i32) -> Vec<u8> {
    let header = [4, 3, 1, 2, 1, vocab_size, 1].map(i32::to_le_bytes).concat();
    let n: u8 = if vocab_size < 0 { 114 } else { 106 };
    let numbers = (0..n).flat_map(|number| f32::from(number).to_le_bytes());
    header.into_iter().chain(numbers).collect()
}

fn llama_tokenizer() -> Vec<u8> {
    let mut file = 2_u32.to_le_bytes().to_vec();
    for (score, text) in [(-1.0_f32, "a"), (0.5, "é"), (f32::MIN, "")] {
        file.extend(score.to_le_bytes());
        file.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        file.extend(text.as_bytes());
    }
    file
}

/// Each file of the benchmarks that are read from disk, damaged beside whole ones.
fn benchmarks() -> Vec<Parser> {
    let half = |rows: usize, width: usize| {
        let data = (0..rows * width).map(|at| f32::from(u8::try_from(at % 7).unwrap())).collect();
        npy::encode_f16(FILE, &Array { shape: vec![rows, width], data }).unwrap()
    };
    let labels = |rows: usize| {
        let data = (0..rows).map(|at| u8::try_from(at % 10).unwrap()).collect();
        npy::encode_u8(&Array { shape: vec![rows], data })
    };
    let mnist = [idx_file(&[2, 28, 28]), idx_file(&[2]), idx_file(&[1, 28, 28]), idx_file(&[1])];
    let embeddings = [half(2, 256), labels(2), half(1, 256), labels(1)];
    let pixels = [cifar_file(&[1, 2]), cifar_file(&[3])];
    let all = [
        (Benchmark::Mnist, mnist.to_vec()),
        (Benchmark::Cifar10, embeddings.to_vec()),
        (Benchmark::Cifar10Pixels, pixels.to_vec()),
    ];
    let parsers = all.into_iter().flat_map(|(benchmark, contents)| {
        let of_train = 0..contents.len() / 2;
        of_train.map(move |at| benchmark_file(benchmark, &contents, at))
    });
    parsers.collect()
}

fn benchmark_file(benchmark: Benchmark, contents: &[Vec<u8>], at: usize) -> Parser {
    let file = benchmark.files()[at].clone();
    let (whole, valid) = (contents.to_vec(), vec![contents[at].clone()]);
    let read = move |bytes: &[u8]| {
        let mut contents = whole.clone();
        contents[at] = bytes.to_vec();
        let [train, test] = accepted!(benchmark.decode(&contents));
        holds_together(&train)?;
        holds_together(&test)?;
        Ok(Ok(()))
    };
    Parser { file: file.clone(), ..Parser::new(&file, Form::Bytes, valid, read) }
}

fn holds_together(data: &Dataset) -> Result<(), TestCaseError> {
    prop_assert_eq!(data.inputs().n_rows(), data.len());
    prop_assert!(data.labels().iter().all(|label| *label < data.n_classes()));
    prop_assert!(data.inputs().values().iter().all(|number| number.is_finite()));
    Ok(())
}

//! The recipes of derived files that the project carries out itself.
//!
//! `cifar10-subset`: named records of the official CIFAR-10 python archive, rewritten in the
//! layout of the official binary version. `cifar10-convmixer`, `cifar100-convmixer`: the images of an
//! official python archive through a network. `stories260K-hf`: a model of llama2.c as a Hugging Face
//! folder.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::Error;
use crate::archive::{self, Part};
use crate::decode::cifar::{self, Images, Set};
use crate::decode::{Array, llama2c, npy};
use crate::fetch::{Outcome, Progress};
use crate::hugging_face;
use crate::manifest::{FileRow, Manifest, Packing, Program};
use crate::pin;
use crate::store::{self, Store};
use crate::verify;

/// Records of every full batch of CIFAR-10.
const BATCH_RECORDS: usize = 10_000;

/// Images that a network is given at a time: enough for many threads, few enough to show progress.
const IMAGES_AT_ONCE: usize = 500;

/// Makes one derived file and puts it in the cache, if it matches its row or may differ from it.
pub(crate) fn make(
    store: &Store,
    manifest: &Manifest,
    row: &FileRow,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Outcome, Error> {
    let mut source = Source { store, manifest, progress, pinned: None };
    let made = match manifest.recipe.as_ref().map(|recipe| &recipe.program) {
        Some(Program::Cifar10Subset { archive, train, test }) => match row.path.as_str() {
            "train.bin.gz" => Some(source.read(archive, |a| select(a, Part::Train, train))?),
            "test.bin.gz" => Some(source.read(archive, |a| select(a, Part::Test, test))?),
            "official_indices.json" => Some(index_list(train, test).into_bytes()),
            _ => None,
        },
        Some(Program::Embedding { archive, images, weights }) => match row.path.as_str() {
            "train_x.npy" => Some(source.embed(archive, *images, weights, row, Part::Train)?),
            "test_x.npy" => Some(source.embed(archive, *images, weights, row, Part::Test)?),
            "train_y.npy" => Some(source.read(archive, |a| labels(a, *images, Part::Train))?),
            "test_y.npy" => Some(source.read(archive, |a| labels(a, *images, Part::Test))?),
            _ => None,
        },
        Some(Program::HuggingFace { model, tokenizer }) => {
            source.hugging_face(model, tokenizer, &row.path)?
        }
        None => None,
    };
    let pinned = source.pinned;
    let content = made.ok_or_else(|| Error::NotFetchable {
        name: store::full_name(manifest, row),
        reason: "the recipe makes no file of this name".to_owned(),
    })?;
    let differs = keep(store, manifest, row, content)?;
    Ok(Outcome::Made { differs, pinned })
}

/// Writes a made file, once it matches its row. Returns why its hash is not the recorded one where
/// that is allowed; the hash is pinned then.
fn keep(
    store: &Store,
    manifest: &Manifest,
    row: &FileRow,
    content: Vec<u8>,
) -> Result<Option<String>, Error> {
    let target = store.writable(manifest, &row.path)?;
    let made = verify::Content::of(&content);
    let differs = row.differs(&made.sha256);
    let expected = if differs.is_some() { None } else { row.sha256.as_deref() };
    let remedy = "nothing was written: the archive is not the one the recipe was made for";
    verify::check(&target, row, expected, &made, remedy)?;
    let packed = match row.packing {
        Packing::None => content,
        Packing::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&content).map_err(Error::io("pack", &target))?;
            encoder.finish().map_err(Error::io("pack", &target))?
        }
    };
    verify::replace(&target, &packed).map_err(Error::io("write", &target))?;
    if differs.is_some() {
        pin::record(&store.cache, &store::full_name(manifest, row), &made.sha256)?;
    }
    Ok(differs.map(str::to_owned))
}

/// What a recipe reads from.
struct Source<'a> {
    store: &'a Store,
    manifest: &'a Manifest,
    progress: &'a mut dyn FnMut(Progress<'_>),
    /// Name and hash of the archive, if it was downloaded now and its hash was not known.
    pinned: Option<(String, String)>,
}

impl Source<'_> {
    /// What a function makes of the archive, which is fetched before if it is not there.
    fn read<T>(
        &mut self,
        archive: &FileRow,
        read: impl FnOnce(&Path) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let name = store::full_name(self.manifest, archive);
        let outcome = self.store.fetch_row(self.manifest, archive, self.progress)?;
        if let Outcome::Pinned { sha256 } = outcome {
            self.pinned = Some((name.clone(), sha256));
        }
        let located = self.store.locate_row(self.manifest, archive)?;
        read(&located.path).inspect_err(|_| {
            // A download without a known hash may be anything that a server once sent: fetch it anew.
            let is_pinned = pin::get(&self.store.cache, &name).is_ok_and(|pin| pin.is_some());
            if is_pinned && self.store.is_cached(&located.path) {
                std::fs::remove_file(&located.path).ok();
                pin::forget(&self.store.cache, &name).ok();
            }
        })
    }

    /// The embeddings of a part's images as a file, `[image, number]`. Their hash may differ from the recorded one, that
    /// of the labels may not: an archive with others is refused before the network is asked.
    fn embed(
        &mut self,
        archive: &FileRow,
        set: Set,
        weights: &str,
        row: &FileRow,
        part: Part,
    ) -> Result<Vec<u8>, Error> {
        let of_labels = self.manifest.file(match part {
            Part::Train => "train_y.npy",
            Part::Test => "test_y.npy",
        });
        self.read(archive, |path| {
            let found = verify::Content::of(&labels(path, set, part)?);
            let check = |row: &FileRow| {
                verify::check(path, row, row.sha256.as_deref(), &found, "its labels are others")
            };
            of_labels.map_or(Ok(()), check)
        })?;
        let network = self.network(weights, row)?;
        let name = store::full_name(self.manifest, row);
        let mut embeddings = Array { shape: vec![0, 0], data: Vec::new() };
        for batch in archive::batches(set, part) {
            let images = self.read(archive, |path| archive::read(path, set, batch))?;
            for some in pieces(&images) {
                append(&mut embeddings, &name, some.shape[0], network(&some)?)?;
                let done = 2 * embeddings.data.len() as u64;
                let total = Some(row.size.limit());
                (self.progress)(Progress { name: &name, done, total });
            }
        }
        npy::encode_f16(&name, &embeddings)
    }

    /// A file of the Hugging Face folder that a model becomes; none of another name.
    fn hugging_face(
        &mut self,
        model: &str,
        tokenizer: &str,
        path: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let decoded = llama2c::Model::decode(model, &self.fetched(model)?)?;
        match path {
            "config.json" => Ok(Some(hugging_face::config(&decoded))),
            "model.safetensors" => hugging_face::weights(model, &decoded).map(Some),
            "tokenizer.json" => {
                let content = self.fetched(tokenizer)?;
                let vocab_size = decoded.sizes.vocab_size;
                let pieces = llama2c::decode_tokenizer(tokenizer, &content, vocab_size)?;
                hugging_face::tokenizer(tokenizer, &pieces).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The content of a file of another data set, which is fetched if it is not there.
    fn fetched(&mut self, name: &str) -> Result<Vec<u8>, Error> {
        let (manifest, file) = self.store.row(name)?;
        self.store.fetch_row(manifest, file, self.progress)?;
        self.store.read(name)
    }

    /// The network that was handed in, with its weights, which are fetched if they are not there.
    fn network(
        &mut self,
        weights: &str,
        row: &FileRow,
    ) -> Result<impl Fn(&Array<u8>) -> Result<Array<f32>, Error> + use<>, Error> {
        let name = store::full_name(self.manifest, row);
        let extractor = self.store.extractor.ok_or_else(|| Error::NotFetchable {
            name: name.clone(),
            reason: "it is made by a network, which only `just data` has".to_owned(),
        })?;
        let content = self.fetched(weights)?;
        let weights = weights.to_owned();
        Ok(move |images: &Array<u8>| {
            extractor(&weights, &content, images)
                .map_err(|source| Error::Extract { name: name.clone(), source })
        })
    }
}

/// The labels of a part as a file, `[image]`.
fn labels(archive: &Path, set: Set, part: Part) -> Result<Vec<u8>, Error> {
    let mut labels = Vec::new();
    for batch in archive::batches(set, part) {
        labels.extend(archive::read(archive, set, batch)?.labels.data);
    }
    Ok(npy::encode_u8(&Array { shape: vec![labels.len()], data: labels }))
}

/// The images in pieces of at most [`IMAGES_AT_ONCE`].
fn pieces(images: &Images) -> impl Iterator<Item = Array<u8>> {
    let size = cifar::RECORD_BYTES - 1;
    images.pixels.data.chunks(IMAGES_AT_ONCE * size).map(move |pixels| Array {
        shape: vec![pixels.len() / size, 3, 32, 32],
        data: pixels.to_vec(),
    })
}

/// Adds the embeddings of so many images to those before them.
fn append(to: &mut Array<f32>, name: &str, n_images: usize, more: Array<f32>) -> Result<(), Error> {
    let width = if to.data.is_empty() { more.data.len() / n_images } else { to.shape[1] };
    if more.shape != [n_images, width] || more.data.len() != n_images * width {
        let expected = format!("{n_images} rows of {width} numbers from the network");
        return Err(Error::decode(name, "npy", expected, format!("the shape {:?}", more.shape)));
    }
    to.shape = vec![to.shape[0] + n_images, width];
    to.data.extend(more.data);
    Ok(())
}

/// `{"train": [0, 1], "test": [0]}`, as Python's json module writes it.
fn index_list(train: &[u32], test: &[u32]) -> String {
    let list =
        |indices: &[u32]| indices.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("{{\"train\": [{}], \"test\": [{}]}}", list(train), list(test))
}

/// The records of CIFAR-10 with the given ascending indices, in the official binary layout.
fn select(archive: &Path, part: Part, indices: &[u32]) -> Result<Vec<u8>, Error> {
    let mut records = Vec::with_capacity(indices.len() * cifar::RECORD_BYTES);
    for (number, batch) in archive::batches(Set::Cifar10, part).iter().enumerate() {
        let first = number * BATCH_RECORDS;
        let wanted: Vec<usize> = indices
            .iter()
            .map(|&index| index as usize)
            .filter(|index| (first..first + BATCH_RECORDS).contains(index))
            .map(|index| index - first)
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let found = archive::read(archive, Set::Cifar10, batch)?;
        for index in wanted {
            let record =
                found.labels.data.get(index).zip(found.pixels.data.chunks(3072).nth(index));
            let Some((&label, pixels)) = record else {
                let file = archive::name(archive, batch);
                let expected = format!("at least {} records", index + 1);
                let got = found.labels.data.len().to_string();
                return Err(Error::decode(&file, "CIFAR python batch", expected, got));
            };
            records.push(label);
            records.extend_from_slice(pixels);
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::manifest::Size;
    use crate::store::Extractor;

    fn project_store(cache: &Path) -> Store {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data-manifests");
        Store::new(&manifests, cache.to_owned(), None).unwrap()
    }

    /// The list is committed as ranges; written out it has the recorded hash.
    #[test]
    fn the_index_list_is_made_from_the_ranges_alone() {
        let cache = tempfile::tempdir().unwrap();
        let store = project_store(cache.path());
        let manifest = &store.manifests()["cifar10-subset"];
        let row = manifest.file("official_indices.json").unwrap();
        let made = make(&store, manifest, row, &mut |_| {}).unwrap();
        assert_eq!(made, Outcome::Made { differs: None, pinned: None });
        let made = store.read("cifar10-subset/official_indices.json").unwrap();
        assert_eq!(Size::Exact(made.len() as u64), row.size);
        assert!(made.starts_with(br#"{"train": [0, 1, 2,"#));
    }

    /// A batch with the opcodes of Python 2's pickler: `{'batch_label': …, labels: […],
    /// 'data': array([[…], …], dtype=uint8), 'filenames': […]}`.
    fn python_batch(labels: &str, records: &[(u8, [u8; 3])]) -> Vec<u8> {
        let n = u8::try_from(records.len()).unwrap();
        let mut p = b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x05batchq\x03U".to_vec();
        p.push(u8::try_from(labels.len()).unwrap());
        p.extend(labels.as_bytes());
        p.extend(b"q\x04]q\x05(");
        for (label, _) in records {
            p.extend([b'K', *label]);
        }
        p.extend(b"eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07");
        p.extend(b"cnumpy\nndarray\nq\x08K\x00\x85U\x01b\x87Rq\x09(K\x01K");
        p.push(n);
        p.extend(b"M\x00\x0c\x86cnumpy\ndtype\nq\nU\x02u1K\x00K\x01\x87Rq\x0b");
        p.extend(b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T");
        p.extend((u32::from(n) * 3072).to_le_bytes());
        for (_, color) in records {
            for plane in color {
                p.extend([*plane; 1024]);
            }
        }
        p.extend(b"tbU\x09filenamesq\x0c]q\x0d(U\x05a.pngeu.");
        p
    }

    fn archive(path: &Path, members: &[(&str, Vec<u8>)]) {
        let gz = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
        let mut tar = tar::Builder::new(gz);
        for (name, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append_data(&mut header, name, bytes.as_slice()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
    }

    /// A subset of one record whose archive comes from a server of the test's own.
    #[test]
    fn a_first_download_of_the_archive_is_told() {
        use std::io::{BufRead as _, BufReader};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        archive(
            &path,
            &[("cifar-10-batches-py/data_batch_1", python_batch("labels", &[(6, [1, 2, 3])]))],
        );
        let packed = std::fs::read(&path).unwrap();
        let record = select(&path, Part::Train, &[0]).unwrap();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/a", server.local_addr().unwrap());
        let expected = verify::sha256(&packed);
        std::thread::spawn(move || {
            let (mut stream, _) = server.accept().unwrap();
            let head = BufReader::new(stream.try_clone().unwrap()).lines();
            head.map_while(Result::ok).find(String::is_empty);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", packed.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&packed)).unwrap();
        });
        let manifests = folder.path().join("manifests");
        std::fs::create_dir(&manifests).unwrap();
        let manifest = format!(
            "name = \"set\"\ntitle = \"t\"\nserves = [\"a\"]\nkind = \"derived\"\nlicense = \"MIT\"\n\
             redistribution = \"free\"\ncredit = \"c\"\norigin = \"o\"\n\
             [recipe]\ntext = \"r\"\n[recipe.cifar10_subset]\ntrain = \"0\"\ntest = \"0\"\n\
             [recipe.cifar10_subset.archive]\npath = \"a.tar.gz\"\nmax_bytes = 100000\n\
             sha256_unknown = \"not published\"\nurl = \"{url}\"\n\
             [[file]]\npath = \"train.bin.gz\"\npacking = \"gzip\"\nbytes = {}\nsha256 = \"{}\"\n",
            record.len(),
            verify::sha256(&record)
        );
        std::fs::write(manifests.join("set.toml"), manifest).unwrap();
        let store = Store::new(&manifests, folder.path().join("cache"), None).unwrap();
        let report = store.fetch("set", &mut |_| {}).unwrap();
        let pinned = Some(("set/a.tar.gz".to_owned(), expected));
        assert_eq!(report.files[0].1.as_ref().unwrap(), &Outcome::Made { differs: None, pinned });
    }

    /// A data set of embeddings of two and of one image of CIFAR-100; the hashes are the recorded ones.
    fn embedding(folder: &Path, train_x: &str, train_y: &[u8], weights: &[u8]) -> Store {
        let manifests = folder.join("manifests");
        std::fs::create_dir_all(&manifests).unwrap();
        let head = |name: &str, kind: &str| {
            format!(
                "name = \"{name}\"\ntitle = \"t\"\nserves = [\"b\"]\nkind = \"{kind}\"\nlicense = \"MIT\"\n\
                 redistribution = \"free\"\ncredit = \"c\"\norigin = \"o\"\n"
            )
        };
        let net = format!(
            "{}[[file]]\npath = \"w\"\nbytes = {}\nsha256 = \"{}\"\nurl_unknown = \"lost\"\n",
            head("net", "official"),
            weights.len(),
            verify::sha256(weights)
        );
        let set = format!(
            "{}[recipe]\ntext = \"r\"\n[recipe.embedding]\nimages = \"cifar-100\"\nweights = \"net/w\"\n\
             [recipe.embedding.archive]\npath = \"a.tar.gz\"\nmax_bytes = 100000\n\
             sha256_unknown = \"not published\"\nurl_unknown = \"no server\"\n\
             [[file]]\npath = \"train_x.npy\"\nbytes = 136\nsha256 = \"{train_x}\"\n\
             made_differs = \"sums in another order\"\n\
             [[file]]\npath = \"train_y.npy\"\nbytes = 130\nsha256 = \"{}\"\n\
             [[file]]\npath = \"test_x.npy\"\nbytes = 132\nsha256 = \"{}\"\n",
            head("set", "derived"),
            verify::sha256(train_y),
            "0".repeat(64)
        );
        std::fs::write(manifests.join("net.toml"), net).unwrap();
        std::fs::write(manifests.join("set.toml"), set).unwrap();
        let mirror = folder.join("mirror");
        for (name, bytes) in [("net/w", weights.to_vec()), ("set/a.tar.gz", cifar100())] {
            std::fs::create_dir_all(mirror.join(name).parent().unwrap()).unwrap();
            std::fs::write(mirror.join(name), bytes).unwrap();
        }
        Store::new(&manifests, folder.join("cache"), Some(mirror)).unwrap()
    }

    fn cifar100() -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        let train = python_batch("fine_labels", &[(99, [1, 2, 3]), (0, [4, 5, 6])]);
        let test = python_batch("fine_labels", &[(50, [7, 8, 9])]);
        archive(&path, &[("cifar-100-python/train", train), ("cifar-100-python/test", test)]);
        std::fs::read(&path).unwrap()
    }

    /// The first weight times the mean pixel, and the first red pixel.
    #[expect(clippy::unnecessary_wraps, reason = "an extractor may fail")]
    fn scaled_mean(
        file: &str,
        weights: &[u8],
        pixels: &Array<u8>,
    ) -> Result<Array<f32>, Box<dyn std::error::Error + Send + Sync>> {
        assert_eq!((file, &pixels.shape[1..]), ("net/w", &[3, 32, 32][..]));
        let embed = |image: &[u8]| {
            let mean = image.iter().map(|pixel| f32::from(*pixel)).sum::<f32>() / 3072.0;
            [f32::from(weights[0]) * mean, f32::from(image[0])]
        };
        let data = pixels.data.chunks(3072).flat_map(embed).collect();
        Ok(Array { shape: vec![pixels.shape[0], 2], data })
    }

    fn halves(values: &[f32]) -> Vec<u8> {
        let array = Array { shape: vec![values.len() / 2, 2], data: values.to_vec() };
        npy::encode_f16("x", &array).unwrap()
    }

    const LABELS: [u8; 2] = [99, 0];

    fn encoded_labels() -> Vec<u8> {
        npy::encode_u8(&Array { shape: vec![2], data: LABELS.to_vec() })
    }

    #[test]
    fn images_are_embedded_in_the_official_order() {
        let folder = tempfile::tempdir().unwrap();
        let expected = halves(&[20.0, 1.0, 50.0, 4.0]);
        let sha256 = verify::sha256(&expected);
        let store = embedding(folder.path(), &sha256, &encoded_labels(), &[10]);
        let store = store.with_extractor(scaled_mean);
        let mut told = Vec::new();
        let report = store.fetch("set", &mut |p| told.push((p.name.to_owned(), p.done, p.total)));
        let report = report.unwrap().files;
        let made = Outcome::Made { differs: None, pinned: None };
        assert_eq!(report[0].1.as_ref().unwrap(), &made);
        assert_eq!(report[1].1.as_ref().unwrap(), &made);
        assert_eq!(store.read("set/train_x.npy").unwrap(), expected);
        assert_eq!(store.read("set/train_y.npy").unwrap(), encoded_labels());
        assert_eq!(told[0], ("set/train_x.npy".to_owned(), 8, Some(136)));
        // A row that may not differ still has to match, and nothing is kept of it.
        let error = report[2].1.as_ref().unwrap_err().to_string();
        assert!(error.contains("test_x.npy") && error.contains("sha256 000"), "{error}");
        assert!(matches!(store.read("set/test_x.npy"), Err(Error::Missing { .. })));
    }

    #[test]
    fn what_differs_from_the_recorded_file_is_told_and_yields_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let recorded = halves(&[20.0, 1.0, 50.0, 4.5]);
        let store = embedding(folder.path(), &verify::sha256(&recorded), &encoded_labels(), &[10])
            .with_extractor(scaled_mean);
        let train_x = |store: &Store| store.fetch("set", &mut |_| {}).unwrap().files.remove(0).1;
        let differs = Some("sums in another order".to_owned());
        let made = Outcome::Made { differs, pinned: None };
        assert_eq!(train_x(&store).unwrap(), made);
        let own = halves(&[20.0, 1.0, 50.0, 4.0]);
        let located = store.locate("set/train_x.npy").unwrap();
        assert_eq!(located.sha256, verify::sha256(&own));
        assert_eq!(store.read("set/train_x.npy").unwrap(), own);
        // Said again each time.
        assert_eq!(train_x(&store).unwrap(), made);

        // In the mirror nothing but the recorded file counts, and it goes before the one made here.
        let mirrored = folder.path().join("mirror/set/train_x.npy");
        std::fs::write(&mirrored, &own).unwrap();
        assert!(
            store
                .locate("set/train_x.npy")
                .unwrap()
                .path
                .starts_with(folder.path().join("cache").canonicalize().unwrap())
        );
        std::fs::write(&mirrored, &recorded).unwrap();
        assert_eq!(store.read("set/train_x.npy").unwrap(), recorded);
        assert_eq!(train_x(&store).unwrap(), Outcome::AlreadyThere);

        // Changed after it was pinned, the one made here is no longer used, and made anew.
        std::fs::remove_file(&mirrored).unwrap();
        let cached = folder.path().join("cache/set/train_x.npy");
        std::fs::write(&cached, halves(&[20.0, 1.0, 50.0, 5.0])).unwrap();
        assert!(matches!(store.locate("set/train_x.npy"), Err(Error::Mismatch { .. })));
        assert_eq!(train_x(&store).unwrap(), made);
        assert_eq!(std::fs::read(&cached).unwrap(), own);
    }

    #[test]
    fn nothing_is_embedded_without_the_right_archive_weights_and_network() {
        let message = |labels: &[u8], extractor: Option<Extractor>, weights: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            let store = embedding(folder.path(), &"0".repeat(64), labels, &[10]);
            std::fs::write(folder.path().join("mirror/net/w"), weights).unwrap();
            let store = match extractor {
                Some(extractor) => store.with_extractor(extractor),
                None => store,
            };
            let error = store.fetch("set", &mut |_| {}).unwrap().files.remove(0).1.unwrap_err();
            assert!(folder.path().join("mirror/set/a.tar.gz").exists());
            assert!(matches!(store.read("set/train_x.npy"), Err(Error::Missing { .. })));
            error.to_string()
        };
        let labels = encoded_labels();
        let none = message(&labels, None, &[10]);
        assert!(none.contains("set/train_x.npy") && none.contains("`just data`"), "{none}");
        let weights = message(&labels, Some(scaled_mean), &[11]);
        assert!(weights.contains("net/w") && weights.contains("lost"), "{weights}");
        let other: Vec<u8> = labels.iter().rev().copied().collect();
        let archive = message(&other, Some(scaled_mean), &[10]);
        assert!(archive.contains("a.tar.gz") && archive.contains("labels"), "{archive}");
        let fails: Extractor = |file, _, _| Err(format!("{file} is no network").into());
        let refused = message(&labels, Some(fails), &[10]);
        assert!(refused.contains("train_x.npy cannot be made: net/w is no network"), "{refused}");
        let shape: Extractor = |_, _, _| Ok(Array { shape: vec![1, 4], data: vec![0.0; 4] });
        let misshapen = message(&labels, Some(shape), &[10]);
        assert!(misshapen.contains("2 rows of 2 numbers"), "{misshapen}");
        let nan: Extractor = |_, _, _| Ok(Array { shape: vec![2, 2], data: vec![f32::NAN; 4] });
        assert!(message(&labels, Some(nan), &[10]).contains("finite"));
    }

    #[test]
    fn records_are_selected_in_the_official_binary_layout() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        let first = python_batch("labels", &[(6, [1, 2, 3]), (9, [4, 5, 6]), (0, [7, 8, 9])]);
        let second = python_batch("labels", &[(2, [10, 11, 12])]);
        archive(
            &path,
            &[
                ("cifar-10-batches-py/readme.html", b"<html>".to_vec()),
                ("cifar-10-batches-py/data_batch_2", second),
                ("cifar-10-batches-py/data_batch_1", first),
            ],
        );
        let records = select(&path, Part::Train, &[0, 2, 10_000]).unwrap();
        let picked: Vec<_> = records
            .chunks(cifar::RECORD_BYTES)
            .map(|record| (record[0], record[1], record[1025], record[3072]))
            .collect();
        assert_eq!(picked, [(6, 1, 2, 3), (0, 7, 8, 9), (2, 10, 11, 12)]);

        let beyond = select(&path, Part::Train, &[3]).unwrap_err().to_string();
        assert!(beyond.contains("data_batch_1") && beyond.contains("at least 4"), "{beyond}");
        let absent = select(&path, Part::Test, &[0]).unwrap_err().to_string();
        assert!(absent.contains("test_batch"), "{absent}");
    }

    /// `pickle.dumps({"labels": [6], "data": E()}, 2)` where `E.__reduce__` returns
    /// `(os.system, ("touch /tmp/x",))`.
    #[test]
    fn a_batch_that_wants_to_run_something_is_refused_by_name() {
        let evil =
            b"\x80\x02}q\x00(X\x06\x00\x00\x00labelsq\x01]q\x02K\x06aX\x04\x00\x00\x00dataq\x03\
            cposix\nsystem\nq\x04X\x0c\x00\x00\x00touch /tmp/xq\x05\x85q\x06Rq\x07u.";
        let error = cifar::decode_python_batch("data_batch_1", evil, Set::Cifar10).unwrap_err();
        assert!(matches!(error, Error::Callable { .. }), "{error}");
        let message = error.to_string();
        assert!(message.contains("data_batch_1") && message.contains("posix system"), "{message}");
    }
}

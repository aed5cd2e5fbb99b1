//! Folders of PNG images, one sub-folder per class.

use std::fs::DirEntry;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::Array;
use crate::Error;

const FORMAT: &str = "png";

/// Bounds on what a folder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most rows or columns of an image.
    pub side: u32,
    /// The most images in all.
    pub images: usize,
    /// The most bytes of pixels in all, and of any one file.
    pub bytes: usize,
}

impl Default for Limits {
    /// Images up to 4,096 pixels a side, a million of them, a gigabyte in all.
    fn default() -> Self {
        Self { side: 4096, images: 1_000_000, bytes: 1 << 30 }
    }
}

/// Labeled images of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFolder {
    /// The sub-folders' names, sorted; a label is an index into it.
    pub classes: Vec<String>,
    /// Class of each image. `[image]`
    pub labels: Array<u32>,
    /// Pixels, 8 bits a channel. `[image, row, column, channel]`
    pub pixels: Array<u8>,
}

/// Reads every `.png` of every sub-folder, in the order of the names.
///
/// **Shapes** all images must agree in rows, columns and channels (1 gray, 2 gray and alpha,
/// 3 RGB, 4 RGBA; a palette is expanded, 16 bits are cut to 8).
///
/// # Errors
///
/// [`Error::Io`] where a folder cannot be read; [`Error::Outside`] for a symbolic link;
/// [`Error::Decode`] for a broken image, one of another size, a name that is not UTF-8, a folder
/// without images, or more than `limits` allow.
pub fn read(folder: &Path, limits: Limits) -> Result<ImageFolder, Error> {
    let mut classes = Vec::new();
    let mut labels = Vec::new();
    let mut first_shape: Option<Vec<usize>> = None;
    let mut pixels = Vec::new();
    for (class, path) in entries(folder, folder)?.into_iter().filter(|(_, path)| path.is_dir()) {
        let label = u32::try_from(classes.len()).unwrap_or(u32::MAX);
        classes.push(class);
        for (name, path) in entries(folder, &path)? {
            if !name.to_ascii_lowercase().ends_with(".png") {
                continue;
            }
            let file = path.display().to_string();
            let fail =
                |expected: String, got: String| Error::decode(&file, "image folder", expected, got);
            if labels.len() >= limits.images {
                return Err(fail(format!("at most {} images", limits.images), "more".to_owned()));
            }
            let left = Limits { bytes: limits.bytes - pixels.len(), ..limits };
            let image = decode(&file, &bounded(&path, limits.bytes)?, left)?;
            let shape = first_shape.get_or_insert_with(|| image.shape.clone());
            if *shape != image.shape {
                let size = |s: &[usize]| format!("{} x {} pixels in {} channels", s[1], s[0], s[2]);
                return Err(fail(
                    format!("{}, as the first image", size(shape)),
                    size(&image.shape),
                ));
            }
            labels.push(label);
            pixels.extend(image.data);
        }
    }
    let Some(shape) = first_shape else {
        let file = folder.display().to_string();
        return Err(Error::decode(&file, "image folder", "a PNG in a sub-folder", "none"));
    };
    let shape = std::iter::once(labels.len()).chain(shape).collect();
    Ok(ImageFolder {
        classes,
        labels: Array { shape: vec![labels.len()], data: labels },
        pixels: Array { shape, data: pixels },
    })
}

/// The entries of a folder by name; links are refused, since they may lead anywhere.
fn entries(root: &Path, folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let named = |entry: DirEntry| {
        let path = entry.path();
        if path.is_symlink() {
            return Err(Error::Outside { path, root: root.to_owned() });
        }
        match entry.file_name().into_string() {
            Ok(name) => Ok((name, path)),
            Err(name) => {
                let got = name.to_string_lossy().into_owned();
                Err(Error::decode(&path.display().to_string(), FORMAT, "a UTF-8 name", got))
            }
        }
    };
    let mut list = std::fs::read_dir(folder)
        .map_err(Error::io("list", folder))?
        .map(|entry| entry.map_err(Error::io("list", folder)).and_then(named))
        .collect::<Result<Vec<_>, _>>()?;
    list.sort();
    Ok(list)
}

fn bounded(path: &Path, limit: usize) -> Result<Vec<u8>, Error> {
    let file = std::fs::File::open(path).map_err(Error::io("open", path))?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() > limit {
        let expected = format!("at most {limit} bytes");
        return Err(Error::decode(&path.display().to_string(), FORMAT, expected, "more"));
    }
    Ok(bytes)
}

/// Decodes one PNG to 8 bits a channel.
///
/// **Shapes** `[row, column, channel]`.
///
/// # Errors
///
/// [`Error::Decode`] where the image is broken, or larger than `limits` before a pixel is
/// allocated.
pub fn decode(file: &str, bytes: &[u8], limits: Limits) -> Result<Array<u8>, Error> {
    let fail = |expected: String, got: String| Error::decode(file, FORMAT, expected, got);
    let broken = |e: png::DecodingError| fail("a sound image".to_owned(), e.to_string());
    // Ancillary chunks (profiles, text) are not kept, so they cannot inflate in memory.
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits { bytes: limits.bytes.min(1 << 26) },
    );
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().map_err(broken)?;
    let (columns, rows) = (reader.info().width, reader.info().height);
    if columns.max(rows) > limits.side {
        let expected = format!("at most {} pixels a side", limits.side);
        return Err(fail(expected, format!("{columns} x {rows}")));
    }
    let channels = reader.output_color_type().0.samples();
    let size = reader.output_buffer_size().filter(|&size| size <= limits.bytes);
    let Some(size) = size else {
        return Err(fail(format!("at most {} bytes of pixels", limits.bytes), "more".to_owned()));
    };
    let mut data = vec![0; size];
    let frame = reader.next_frame(&mut data).map_err(broken)?;
    data.truncate(frame.buffer_size());
    let shape = vec![rows as usize, columns as usize, channels];
    if super::element_count(&shape) != Some(data.len()) {
        return Err(fail(format!("shape {shape:?}"), format!("{} bytes", data.len())));
    }
    Ok(Array { shape, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(columns: u32, rows: u32, pixels: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, columns, rows);
        encoder.set_color(png::ColorType::Grayscale);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(pixels).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn put(folder: &Path, name: &str, bytes: &[u8]) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn classes_and_images_come_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "dog/2.png", &png(2, 1, &[5, 6]));
        put(folder.path(), "dog/1.PNG", &png(2, 1, &[3, 4]));
        put(folder.path(), "cat/9.png", &png(2, 1, &[1, 2]));
        put(folder.path(), "cat/notes.txt", b"not an image");
        put(folder.path(), "readme.txt", b"not a class");
        let set = read(folder.path(), Limits::default()).unwrap();
        assert_eq!(set.classes, ["cat", "dog"]);
        assert_eq!(set.labels.data, [0, 1, 1]);
        assert_eq!((set.pixels.shape, set.pixels.data), (vec![3, 1, 2, 1], vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn other_sizes_broken_images_and_too_many_are_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let message = |limits| read(folder.path(), limits).unwrap_err().to_string();
        assert!(message(Limits::default()).contains("got none"));
        put(folder.path(), "a/1.png", &png(2, 1, &[1, 2]));
        put(folder.path(), "a/2.png", &png(1, 2, &[1, 2]));
        let other = message(Limits::default());
        assert!(other.contains("2.png: not a valid image folder file"), "{other}");
        assert!(other.contains("2 x 1 pixels in 1 channels, as the first image"), "{other}");
        put(folder.path(), "a/2.png", &png(2, 1, &[1, 2])[..40]);
        assert!(message(Limits::default()).contains("2.png"));
        assert!(message(Limits { images: 1, ..Limits::default() }).contains("at most 1 images"));
        assert!(message(Limits { side: 1, ..Limits::default() }).contains("got 2 x 1"));
        assert!(read(Path::new("/nowhere/at/all"), Limits::default()).is_err());
    }

    #[test]
    fn a_header_that_promises_a_huge_image_allocates_nothing() {
        let mut bytes = png(2, 1, &[1, 2]);
        bytes[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]); // 16,384 x 16,384
        let crc = {
            let mut crc = flate2::Crc::new();
            crc.update(&bytes[12..29]);
            crc.sum()
        };
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        let message = decode("huge.png", &bytes, Limits::default()).unwrap_err().to_string();
        assert!(message.contains("huge.png") && message.contains("16384 x 16384"), "{message}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", folder.path().join("class")).unwrap();
        assert!(matches!(read(folder.path(), Limits::default()), Err(Error::Outside { .. })));
    }
}

//! A run on disk: one file, from which it goes on to the same bits.

use std::path::{Path, PathBuf};
use std::{fs, io};

use bytemuck::cast_slice;
use kernels::Matrix;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::{Result, SaeError};
use crate::scaling::Scaling;
use crate::trainer::{RunConfig, Trainer};

/// Numbers of a dictionary in training, to be stored and to be put in again.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    F32(&'a mut [f32]),
    F64(&'a mut [f64]),
    U64(&'a mut [u64]),
}

/// What a checkpoint says of itself.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    config: RunConfig,
    scaling: Scaling,
    /// d and d′.
    widths: [usize; 2],
    /// Steps taken.
    t: u32,
    /// Where the stream of activations goes on, in words of whoever feeds it.
    place: String,
}

/// The one entry of the file's metadata.
const HEADER: &str = "engram";

impl Trainer {
    /// Writes a checkpoint, in the place of the former one when it is complete; until then it is in a folder beside it, of the
    /// same name with the extension `draft`. `place` tells where the stream of activations
    /// goes on.
    ///
    /// # Memory
    /// The numbers are written from where they are.
    ///
    /// # Errors
    /// [`SaeError::Io`] and [`SaeError::Checkpoint`] name the file.
    pub fn save(&mut self, path: &Path, place: &str) -> Result<()> {
        let broken = |why: &dyn std::fmt::Display| SaeError::Checkpoint {
            path: path.to_owned(),
            why: format!("cannot be written: {why}"),
        };
        let mut widths = [0, 0];
        if let Some(sae) = self.saes.first() {
            let dictionary = sae.dictionary()?;
            widths = [dictionary.width(), dictionary.decoder().n_columns()];
        }
        let header = Header {
            config: self.config.clone(),
            scaling: self.scaling.clone(),
            widths,
            t: self.t,
            place: place.to_owned(),
        };
        let header = serde_json::to_string(&header).map_err(|error| broken(&error))?;
        let mut parts = Vec::new();
        for (member, sae) in self.config.members.iter().zip(&mut self.saes) {
            for (name, part) in sae.numbers() {
                parts.push((format!("{}/{name}", member.name), part));
            }
        }
        let views = parts.iter().map(|(name, part)| {
            let (dtype, n, bytes): (_, _, &[u8]) = match part {
                Part::F32(numbers) => (Dtype::F32, numbers.len(), cast_slice(numbers)),
                Part::F64(numbers) => (Dtype::F64, numbers.len(), cast_slice(numbers)),
                Part::U64(numbers) => (Dtype::U64, numbers.len(), cast_slice(numbers)),
            };
            Ok((name.as_str(), TensorView::new(dtype, vec![n], bytes)?))
        });
        let views = views
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|error| broken(&error))?;
        // A kill may leave a file of any name where the format's library writes: a folder of its own, removed with all in it.
        let folder = draft(path);
        remove_folder(&folder)?;
        fs::create_dir(&folder).map_err(SaeError::io("create", &folder))?;
        let draft = folder.join("checkpoint");
        safetensors::serialize_to_file(views, Some([(HEADER.to_owned(), header)].into()), &draft)
            .map_err(|error| broken(&error))?;
        let synced = fs::File::open(&draft).and_then(|file| file.sync_all());
        synced.map_err(SaeError::io("flush", &draft))?;
        fs::rename(&draft, path).map_err(SaeError::io("complete", path))?;
        remove_folder(&folder)
    }

    /// Removes a checkpoint, and what a kill may have left beside it.
    ///
    /// # Errors
    /// [`SaeError::Io`].
    pub fn remove(path: &Path) -> Result<()> {
        remove_folder(&draft(path))?;
        there(fs::remove_file(path)).map_err(SaeError::io("remove", path))
    }

    /// Goes on with a run; also where its stream of activations goes on.
    ///
    /// # Errors
    /// [`SaeError::Io`], and [`SaeError::Checkpoint`] for a file that is damaged or of a run with other settings.
    pub fn resume(config: &RunConfig, path: &Path) -> Result<(Self, String)> {
        let broken = |why: String| SaeError::Checkpoint {
            path: path.to_owned(),
            why: format!("{why}; {REMEDY}"),
        };
        let bytes = fs::read(path).map_err(SaeError::io("read", path))?;
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| broken(error.to_string()))?;
        let header = metadata.metadata().as_ref().and_then(|entries| entries.get(HEADER));
        let header = header.ok_or_else(|| broken("is no checkpoint of a run".to_owned()))?;
        let header: Header =
            serde_json::from_str(header).map_err(|error| broken(error.to_string()))?;
        if header.config != *config {
            return Err(broken("is of a run with other settings".to_owned()));
        }
        if header.widths.iter().any(|width| *width > bytes.len()) {
            return Err(broken("is wider than the file is long".to_owned()));
        }
        let tensors =
            SafeTensors::deserialize(&bytes).map_err(|error| broken(error.to_string()))?;
        let ones = |width: usize| Matrix::from_rows(1, width, vec![1.0; width]);
        let (inputs, targets) = (ones(header.widths[0])?, ones(header.widths[1])?);
        let predicts =
            header.config.members.iter().any(|member| {
                matches!(member.recipe.architecture, crate::Architecture::Transcoder(_))
            });
        let sample = if predicts {
            Batch { inputs: &inputs, targets: &targets }
        } else {
            Batch::of(&inputs)
        };
        let mut trainer = Self::new(header.config, header.scaling, sample)?;
        trainer.t = header.t;
        let mut n_read = 0;
        for (member, sae) in trainer.config.members.iter().zip(&mut trainer.saes) {
            for (name, part) in sae.numbers() {
                let name = format!("{}/{name}", member.name);
                let tensor =
                    tensors.tensor(&name).map_err(|error| broken(format!("{name}: {error}")))?;
                let fits = match part {
                    Part::F32(numbers) => put(numbers, tensor.data(), f32::from_le_bytes),
                    Part::F64(numbers) => put(numbers, tensor.data(), f64::from_le_bytes),
                    Part::U64(numbers) => put(numbers, tensor.data(), u64::from_le_bytes),
                };
                if !fits {
                    return Err(broken(format!("{name} has another size")));
                }
                n_read += 1;
            }
        }
        if n_read != tensors.len() {
            return Err(broken("has numbers of something else".to_owned()));
        }
        Ok((trainer, header.place))
    }
}

/// Where a checkpoint is until it is complete.
fn draft(path: &Path) -> PathBuf {
    path.with_extension("draft")
}

fn remove_folder(path: &Path) -> Result<()> {
    there(fs::remove_dir_all(path)).map_err(SaeError::io("remove", path))
}

/// What is not there needs no removal.
fn there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

const REMEDY: &str = "remove it to begin anew, or put back the settings of its run";

/// Puts numbers in, if there are as many.
fn put<T, const N: usize>(into: &mut [T], bytes: &[u8], of: impl Fn([u8; N]) -> T) -> bool {
    let (chunks, rest) = bytes.as_chunks::<N>();
    let fits = rest.is_empty() && chunks.len() == into.len();
    if fits {
        into.iter_mut().zip(chunks).for_each(|(number, bytes)| *number = of(*bytes));
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::architecture::tests::all;
    use crate::dense::random;
    use crate::parameters::Freeze;
    use crate::recipe::Recipe;
    use crate::trainer::Member;

    fn config(n_steps: u32) -> RunConfig {
        let mut members: Vec<Member> = (all(40).into_iter().enumerate())
            .filter(|(_, architecture)| !matches!(architecture, crate::Architecture::Transcoder(_)))
            .map(|(at, architecture)| Member {
                name: format!("dictionary {at}"),
                recipe: Recipe::new(architecture, 3e-3),
            })
            .collect();
        members[0].recipe.freeze = Freeze::SoftDecoder { least_cosine: 0.9 };
        RunConfig { n_steps, batch_rows: 60, dead_after: 0.1, seed: 3, members }
    }

    fn trained(mut trainer: Trainer, until: u32) -> Trainer {
        while trainer.n_steps() < until {
            let batch = random(60, 6, &format!("batch {}", trainer.n_steps()));
            trainer.step(Batch::of(&batch)).unwrap();
        }
        trainer
    }

    fn begun(config: &RunConfig) -> Trainer {
        let sample = random(60, 6, "sample");
        Trainer::new(config.clone(), Scaling::of(&sample).unwrap(), Batch::of(&sample)).unwrap()
    }

    #[test]
    fn each_is_what_it_would_be_alone() {
        let config = config(30);
        let together = trained(begun(&config), 30);
        for (at, member) in config.members.iter().enumerate() {
            let alone = RunConfig { members: vec![member.clone()], ..config.clone() };
            let alone = trained(begun(&alone), 30);
            assert!(alone.saes[0] == together.saes[at], "{}", member.name);
        }
    }

    #[test]
    fn a_run_that_goes_on_ends_with_the_same_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let config = config(40);
        let whole = trained(begun(&config), 40);
        for stops in [vec![1], vec![7, 8, 25], vec![40]] {
            let mut run = begun(&config);
            for stop in stops {
                run = trained(run, stop);
                run.save(&path, &format!("row {stop}")).unwrap();
                let (resumed, place) = Trainer::resume(&config, &path).unwrap();
                assert!(resumed == run);
                assert_eq!(place, format!("row {stop}"));
                run = resumed;
            }
            assert!(trained(run, 40) == whole);
        }
    }

    #[test]
    fn what_a_kill_leaves_goes_with_the_next_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let names = || {
            let entries = fs::read_dir(folder.path()).unwrap();
            entries.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>()
        };
        let leave = || {
            fs::create_dir(draft(&path)).unwrap();
            fs::write(draft(&path).join(".tmp1234"), b"half").unwrap();
        };
        leave();
        begun(&config(40)).save(&path, "").unwrap();
        assert_eq!(names(), ["checkpoint.safetensors"]);
        leave();
        Trainer::remove(&path).unwrap();
        Trainer::remove(&path).unwrap();
        assert!(names().is_empty());
    }

    #[test]
    fn other_runs_and_damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoint.safetensors");
        let config = config(40);
        let mut run = trained(begun(&config), 2);
        run.save(&path, "").unwrap();
        let error = |config: &RunConfig| Trainer::resume(config, &path).unwrap_err().to_string();
        let other = RunConfig { seed: 4, ..config.clone() };
        assert!(error(&other).contains("other settings"), "{}", error(&other));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        assert!(error(&config).contains("checkpoint.safetensors"), "{}", error(&config));
        fs::write(&path, b"no checkpoint").unwrap();
        assert!(error(&config).contains("remove it"), "{}", error(&config));
        fs::remove_file(&path).unwrap();
        assert!(error(&config).contains("cannot read"), "{}", error(&config));
    }
}

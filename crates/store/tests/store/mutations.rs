//! A store with changed bytes gives an error or the right rows.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use store::{ActivationReader, Dtype, Error, Rows};

use crate::{NamedBytes, capture, files, write};

/// The files of a store, and its rows.
static STORE: LazyLock<(Vec<NamedBytes>, Rows)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Dtype::F16, 17);
    let all = files(folder.path()).into_iter().filter(|file| file.0 != "writer.lock");
    (all.collect(), read_all(folder.path()).unwrap())
});

/// All rows, as a reader finds them.
fn read_all(folder: &Path) -> Result<Rows, Error> {
    let reader = ActivationReader::open(folder, &capture(Dtype::F16))?;
    let mut rows = Rows::default();
    reader.read(0..reader.n_rows(), &mut rows)?;
    Ok(rows)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_bytes_give_an_error_or_the_right_rows(
        file in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 0..8),
        keep in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (all, right) = &*STORE;
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in all {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        let (name, mut bytes) = all[file.index(all.len())].clone();
        for (at, change) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
        }
        if let Some(keep) = keep {
            bytes.truncate(keep.index(bytes.len()));
        }
        fs::write(folder.path().join(&name), bytes).unwrap();
        if let Ok(found) = read_all(folder.path()) {
            prop_assert_eq!(&found, right);
        }
    }
}

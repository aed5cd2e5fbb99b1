//! `just new-experiment`: the skeleton of an experiment, its package and its row in the index.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};

use crate::index::Index;

/// Letter, folder and title of each paper, and of what three of them stand on.
pub const PAPERS: [(char, &str, &str); 6] = [
    ('a', "a-attention-sdm", "Attention Approximates Sparse Distributed Memory (2021)"),
    ('b', "b-continual-learning", "Sparse Distributed Memory is a Continual Learner (2023)"),
    ('s', "s-substrate", "The substrate: a world, and models that learn it"),
    ('c', "c-monosemanticity", "Scaling Monosemanticity (2024)"),
    ('d', "d-auditing", "Auditing Language Models for Hidden Objectives (2025)"),
    ('e', "e-model-diffing", "Cross-Architecture Model Diffing with Crosscoders (2026)"),
];

const SOURCE: &str = include_str!("templates/experiment.rs.in");
const MANIFEST: &str = include_str!("templates/Cargo.toml.in");

/// Writes `experiments/<letter>-<slug>/src/bin/<id>.rs`, the package around it if it is the first of
/// its paper, and a row in paper/index.toml. What comes out builds and runs.
///
/// # Errors
/// An id that is not `<letter><nn>_<slug>`, or one that is taken.
pub fn new_experiment(root: &Path, id: &str, title: &str) -> anyhow::Result<()> {
    let letter = check(id)?;
    let Some((_, folder, paper)) = PAPERS.iter().find(|(of, _, _)| *of == letter) else {
        bail!("{id} is of no paper; expected one of a, b, c, d, e, s at the front");
    };
    let package = root.join("experiments").join(folder);
    let source = package.join("src/bin").join(format!("{id}.rs"));
    ensure!(!source.exists(), "{} is there already", source.display());
    let number = &id[..4];
    let bin = package.join("src/bin");
    let others = fs::read_dir(&bin).into_iter().flatten().flatten();
    let mut names = others.map(|entry| entry.file_name().to_string_lossy().into_owned());
    if let Some(other) = names.find(|name| name.starts_with(number)) {
        bail!("the number of {id} is taken by {other}; take the next one");
    }
    let unquoted = |c: char| c.is_control() || ['"', '\\', '{', '}'].contains(&c);
    ensure!(!title.contains(unquoted), "the title may not hold quotes, backslashes or braces");
    let index = Index::load(root)?;
    let upper = letter.to_ascii_uppercase();
    let taken = |output: &str| index.output.iter().any(|row| row.id == output);
    let output = (1..100).map(|nn| format!("{upper}-y{nn:02}")).find(|output| !taken(output));
    let output = output.context("all ids of figures beyond the paper are taken")?;

    fs::create_dir_all(package.join("src/bin"))?;
    let manifest = package.join("Cargo.toml");
    if !manifest.exists() {
        fs::write(&manifest, MANIFEST.replace("{package}", folder).replace("{paper}", paper))?;
    }
    let camel: String = id[4..].split('_').map(capitalized).collect();
    let text = SOURCE
        .replace("{id}", id)
        .replace("{short}", &id[..3])
        .replace("{letter}", &upper.to_string())
        .replace("{title}", title)
        .replace("{output}", &output)
        .replace("{type}", &camel);
    fs::write(&source, text)?;
    // Names of another length move the line breaks; without rustfmt the file is right all the same.
    std::process::Command::new("rustfmt").args(["--edition", "2024"]).arg(&source).output().ok();

    let path = root.join("paper/index.toml");
    let rows = fs::read_to_string(&path)?;
    let row = format!(
        "\n[[output]]\nid = \"{output}\"\nkind = \"figure\"\nshows = \"{title}\"\nexperiment = \"{id}\"\nclaims = [\"{}.mean\"]\n",
        &id[..3]
    );
    fs::write(&path, rows + &row)?;
    // A new package must stand in the lock file, since every later call of cargo is a locked one.
    let mut lock = crate::catalog::cargo();
    lock.args(["metadata", "--offline", "--format-version", "1"]).current_dir(root);
    let locked = lock.output().context("cannot start cargo")?;
    let complaint = String::from_utf8_lossy(&locked.stderr);
    ensure!(locked.status.success(), "Cargo.lock could not be updated: {}", complaint.trim());
    say!("wrote {}\nwrote a row for {output} in {}", source.display(), path.display());
    say!("now run it: just run {} smoke", &id[..3]);
    Ok(())
}

fn check(id: &str) -> anyhow::Result<char> {
    let bytes = id.as_bytes();
    let well_formed = bytes.len() > 4
        && bytes[0].is_ascii_lowercase()
        && bytes[1].is_ascii_digit()
        && bytes[2].is_ascii_digit()
        && bytes[3] == b'_'
        && bytes[4].is_ascii_lowercase()
        && bytes[4..].iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_');
    ensure!(well_formed, "{id} is no experiment id; expected for instance a07_query_key_norm");
    Ok(char::from(bytes[0]))
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + letters.as_str()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_checked() {
        assert_eq!(check("a07_query_key_norm").unwrap(), 'a');
        for bad in ["", "a7_x", "A07_x", "a07x", "a07_", "a07_X", "a07_../x", "07_x"] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}

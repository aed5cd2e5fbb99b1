//! Executing notebooks and comparing their outputs with the stored ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize as _;
use serde_json::Value;

use self::outputs::{differences, joined, normalized};
use crate::terminal;

mod outputs;

/// How many last lines of Jupyter's log are shown when it fails.
const LOG_LINES: usize = 20;

/// Executes every notebook under notebooks/ and compares its outputs with the stored ones, or stores
/// them; true if all agree. Executed copies lie in results/notebooks/.
///
/// # Errors
/// Missing tools, a notebook that cannot be read, and one with a cell that fails.
pub fn execute_all(root: &Path, store: bool) -> anyhow::Result<bool> {
    let jupyter = jupyter(root)?;
    let mut notebooks: Vec<PathBuf> = fs::read_dir(root.join("notebooks"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    notebooks.retain(|path| path.extension().is_some_and(|suffix| suffix == "ipynb"));
    notebooks.sort();
    let mut agree = true;
    for notebook in &notebooks {
        let name = notebook.file_name().unwrap_or_default().to_string_lossy().into_owned();
        terminal::warn(format_args!("{name}: executing"));
        let executed = execute(root, &jupyter, notebook)?;
        let failure = failure(&executed);
        let executed = normalized(&executed);
        let differences = differences(&normalized(&read(notebook)?), &executed);
        if let Some(failure) = failure {
            // The kernel may lose the message of an error that leaves a cell by `?`, and then the
            // first cell seen to fail is a later one.
            let first = differences.first().map(|first| format!("\nfirst difference: {first}"));
            bail!("{name}, {failure}{}", first.unwrap_or_default());
        }
        if store {
            let text = text(&executed)?;
            ensure!(
                !text.contains(&*root.to_string_lossy()),
                "{name}: an output names {}, a path of this machine",
                root.display()
            );
            fs::write(notebook, text).with_context(|| notebook.display().to_string())?;
            say!("{name}: outputs stored");
            continue;
        }
        agree &= differences.is_empty();
        if differences.is_empty() {
            say!("{name}: outputs agree with the stored ones");
        }
        for difference in differences {
            say!("{name}, {difference}");
        }
    }
    if !agree {
        say!("if the new outputs are right: just notebooks --store");
    }
    Ok(agree)
}

fn jupyter(root: &Path) -> anyhow::Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let jupyter = metadata.target_directory.into_std_path_buf().join("tools/bin/jupyter");
    ensure!(jupyter.exists(), "no {}; `just notebooks` installs it", jupyter.display());
    Ok(jupyter)
}

fn execute(root: &Path, jupyter: &Path, notebook: &Path) -> anyhow::Result<Value> {
    let folder = root.join("results/notebooks");
    fs::create_dir_all(&folder)?;
    let copy = folder.join(notebook.file_name().context("a notebook has a name")?);
    // Cells that fail do not end the execution: they stand in the copy, with their messages.
    let run = Command::new(jupyter)
        .args(["execute", "--allow-errors", "--timeout=1200", "--startup_timeout=300"])
        .arg(format!("--output={}", copy.display()))
        .arg(notebook)
        .output()
        .context("cannot start jupyter")?;
    if !run.status.success() {
        let log = String::from_utf8_lossy(&run.stderr);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        bail!("{} cannot be executed; the log of Jupyter ends with\n{last}", notebook.display());
    }
    read(&copy)
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a notebook", path.display()))
}

/// The notebook as Jupyter itself writes it, so that saving it there changes nothing.
fn text(notebook: &Value) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b" ");
    notebook.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, format))?;
    bytes.push(b'\n');
    Ok(String::from_utf8(bytes)?)
}

/// The first failure in an executed notebook. The kernel tells of what the compiler refuses as an error,
/// and of a panic, or of an error that leaves a cell by `?`, on standard error only.
fn failure(notebook: &Value) -> Option<String> {
    let cells = notebook["cells"].as_array()?;
    let code = cells.iter().filter(|cell| cell["cell_type"] == "code");
    for (at, cell) in code.enumerate() {
        for output in cell["outputs"].as_array().into_iter().flatten() {
            let message = if output["output_type"] == "error" {
                let lines = output["traceback"].as_array().into_iter().flatten();
                let lines: Vec<&str> = lines.filter_map(Value::as_str).collect();
                format!("{}\n{}", joined(&output["evalue"]), lines.join("\n"))
            } else if output["name"] == "stderr" {
                joined(&output["text"])
            } else {
                continue;
            };
            let source = joined(&cell["source"]);
            let first = source.lines().next().unwrap_or_default();
            return Some(format!(
                "code cell {} (`{first}`) fails:\n{}",
                at + 1,
                without_colors(&message).trim()
            ));
        }
    }
    None
}

/// Removes the terminal's color codes, `ESC [ … m`.
fn without_colors(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn notebook(outputs: &Value) -> Value {
        json!({"cells": [
            {"cell_type": "markdown", "source": "text"},
            {"cell_type": "code", "source": ["let n = 1;\n", "n"], "outputs": outputs}
        ]})
    }

    #[test]
    fn a_failure_names_the_cell_and_gives_the_message_of_the_compiler() {
        let refused = json!([
            {"output_type": "stream", "name": "stdout", "text": "fine"},
            {"output_type": "error", "ename": "Error", "evalue": "no such name",
             "traceback": ["\u{1b}[31m[E0425]\u{1b}[0m", "help"]}
        ]);
        let failure = failure(&notebook(&refused)).unwrap();
        assert_eq!(failure, "code cell 1 (`let n = 1;`) fails:\nno such name\n[E0425]\nhelp");
    }

    #[test]
    fn a_panic_is_a_failure_and_printed_text_is_not() {
        let output = |name: &str| json!([{"output_type": "stream", "name": name, "text": ["x"]}]);
        assert_eq!(failure(&notebook(&output("stdout"))), None);
        let failure = failure(&notebook(&output("stderr"))).unwrap();
        assert!(failure.ends_with("fails:\nx"), "{failure}");
    }

    #[test]
    fn a_notebook_is_written_as_jupyter_writes_it() {
        let notebook = json!({"nbformat": 4, "cells": [], "metadata": {"é": 1}});
        let expected =
            "{\n \"cells\": [],\n \"metadata\": {\n  \"é\": 1\n },\n \"nbformat\": 4\n}\n";
        assert_eq!(text(&notebook).unwrap(), expected);
    }
}

//! Executing notebooks and comparing their outputs with the stored ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use serde_json::Value;

/// How far a number in an output may lie from the stored one, relative to it. Figures are printed
/// with rounded coordinates, so the last digit may turn over where a value lies on the edge.
const TOLERANCE: f64 = 1e-6;

/// Executes every notebook under notebooks/ and compares its outputs with the stored ones, or stores
/// them; true if all agree. Executed copies lie in results/notebooks/.
///
/// # Errors
/// Missing tools, a notebook that cannot be read, or one whose execution fails.
pub fn execute_all(root: &Path, store: bool) -> anyhow::Result<bool> {
    let tools = tools(root)?;
    let mut notebooks: Vec<PathBuf> = fs::read_dir(root.join("notebooks"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    notebooks.retain(|path| path.extension().is_some_and(|suffix| suffix == "ipynb"));
    notebooks.sort();
    let mut agree = true;
    for notebook in &notebooks {
        let name = notebook.file_name().unwrap_or_default().to_string_lossy().into_owned();
        eprintln!("{name}: executing");
        let executed = execute(root, &tools, notebook)?;
        if store {
            let text = format!("{}\n", serde_json::to_string_pretty(&stripped(&executed))?);
            fs::write(notebook, text)?;
            println!("{name}: outputs stored");
            continue;
        }
        let differences = differences(&read(notebook)?, &executed);
        agree &= differences.is_empty();
        if differences.is_empty() {
            println!("{name}: outputs agree with the stored ones");
        }
        for difference in differences {
            println!("{name}: {difference}");
        }
    }
    Ok(agree)
}

fn tools(root: &Path) -> anyhow::Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec()?;
    let tools = metadata.target_directory.into_std_path_buf().join("tools");
    ensure!(
        tools.join("venv/bin/jupyter").exists(),
        "no Jupyter in {}; `./just notebooks` installs it",
        tools.display()
    );
    Ok(tools)
}

fn execute(root: &Path, tools: &Path, notebook: &Path) -> anyhow::Result<Value> {
    let folder = root.join("results/notebooks");
    fs::create_dir_all(&folder)?;
    let status = Command::new(tools.join("venv/bin/jupyter"))
        .args(["nbconvert", "--to", "notebook", "--execute", "--log-level", "WARN"])
        .arg("--ExecutePreprocessor.timeout=1200")
        .arg("--output-dir")
        .arg(&folder)
        .arg(notebook)
        .env("JUPYTER_PATH", tools.join("jupyter"))
        .env("EVCXR_TMPDIR", tools.join("evcxr-cells"))
        .status()
        .context("cannot start jupyter")?;
    ensure!(status.success(), "{} does not execute; see above", notebook.display());
    read(&folder.join(notebook.file_name().context("a notebook has a name")?))
}

fn read(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} is not a notebook", path.display()))
}

/// The notebook without what differs from one execution to the next.
fn stripped(notebook: &Value) -> Value {
    let mut notebook = notebook.clone();
    for cell in notebook["cells"].as_array_mut().into_iter().flatten() {
        cell["metadata"] = Value::Object(serde_json::Map::new());
    }
    notebook
}

/// Every difference between the outputs of two notebooks, cell by cell.
fn differences(stored: &Value, executed: &Value) -> Vec<String> {
    let none = Vec::new();
    let cells = |notebook: &'_ Value| notebook["cells"].as_array().cloned().unwrap_or_default();
    let (stored, executed) = (cells(stored), cells(executed));
    if stored.len() != executed.len() {
        return vec![format!("{} cells stored, {} executed", stored.len(), executed.len())];
    }
    let mut found = Vec::new();
    for (at, (was, is)) in stored.iter().zip(&executed).enumerate() {
        let was = was["outputs"].as_array().unwrap_or(&none);
        let is = is["outputs"].as_array().unwrap_or(&none);
        let (was, is) = (contents(was), contents(is));
        if was.len() != is.len() {
            found.push(format!("cell {at}: {} outputs stored, {} now", was.len(), is.len()));
        }
        for ((kind, was), (other, is)) in was.iter().zip(&is) {
            if kind != other {
                found.push(format!("cell {at}: {kind} stored, {other} now"));
            } else if let Some(difference) = text_difference(was, is) {
                found.push(format!("cell {at}, {kind}: {difference}"));
            }
        }
    }
    found
}

/// The outputs of a cell as (kind, text). What goes to standard error is how the compiler and cargo
/// tell of their progress, and differs from run to run.
fn contents(outputs: &[Value]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for output in outputs {
        if output["name"] == "stderr" {
            continue;
        }
        if let Some(data) = output["data"].as_object() {
            found.extend(data.iter().map(|(kind, value)| (kind.clone(), joined(value))));
        } else {
            let kind = output["output_type"].as_str().unwrap_or("output").to_owned();
            let text = if kind == "error" { &output["evalue"] } else { &output["text"] };
            found.push((kind, joined(text)));
        }
    }
    found
}

fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        other => other.to_string(),
    }
}

/// Compares two texts word by word, numbers within [`TOLERANCE`].
fn text_difference(was: &str, is: &str) -> Option<String> {
    let (was, is) = (words(was), words(is));
    if was.len() != is.len() {
        return Some(format!("{} words stored, {} now", was.len(), is.len()));
    }
    let differs = |(a, b): &(&&str, &&str)| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() > TOLERANCE * a.abs().max(b.abs()),
        _ => a != b,
    };
    let (a, b) = was.iter().zip(&is).find(differs)?;
    Some(format!("`{a}` stored, `{b}` now"))
}

/// Splits a text into numbers and what stands between them.
fn words(text: &str) -> Vec<&str> {
    let is_numeric = |c: char| c.is_ascii_digit() || c == '.';
    let mut words = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let numeric = is_numeric(first);
        let end = rest.find(|c| is_numeric(c) != numeric).unwrap_or(rest.len());
        words.push(&rest[..end]);
        rest = &rest[end..];
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_may_differ_in_the_last_digits_and_words_may_not() {
        assert_eq!(text_difference("β = 15.8528123", "β = 15.8528124"), None);
        assert!(text_difference("β = 15.8528", "β = 15.8529").is_some());
        assert!(text_difference("β = 15.8528", "γ = 15.8528").is_some());
        assert!(text_difference("1 2", "1 2 3").is_some());
    }

    #[test]
    fn outputs_are_compared_cell_by_cell_and_progress_is_not() {
        let notebook = |text: &str| {
            json!({"cells": [{"outputs": [
                {"output_type": "stream", "name": "stderr", "text": format!("took {text}")},
                {"output_type": "execute_result", "data": {"text/plain": [text]}}
            ]}]})
        };
        assert_eq!(differences(&notebook("1.0"), &notebook("1.0")), Vec::<String>::new());
        assert_eq!(differences(&notebook("1.0"), &notebook("1.1")).len(), 1);
        let lost = json!({"cells": [{"outputs": []}]});
        assert_eq!(differences(&notebook("1.0"), &lost).len(), 1);
    }
}

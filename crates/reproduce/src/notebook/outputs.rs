//! The outputs of notebooks: what of them is stored, and how two of them compare.

use serde_json::{Value, json};

/// How far a number in an output may lie from the stored one, relative to it: the last digits of
/// logarithms and angles differ from one platform to the next.
const RELATIVE_TOLERANCE: f64 = 1e-6;
/// How far a number in a picture may lie from the stored one, in points. Pictures have rounded
/// coordinates, and where a value lies on the edge, the last digit turns over.
const PICTURE_TOLERANCE: f64 = 0.02;

/// The notebook without what differs from one execution or program to the next: execution counts, times
/// and other metadata, how printed text is cut into pieces.
pub(super) fn normalized(notebook: &Value) -> Value {
    let mut notebook = notebook.clone();
    notebook["metadata"] = json!({
        "kernelspec": {"display_name": "Rust", "language": "rust", "name": "rust"},
        "language_info": {"file_extension": ".rs", "name": "rust", "pygments_lexer": "rust"},
    });
    for (at, cell) in notebook["cells"].as_array_mut().into_iter().flatten().enumerate() {
        cell["metadata"] = json!({});
        if cell["id"].is_null() {
            cell["id"] = json!(format!("cell-{}", at + 1));
        }
        if cell["cell_type"] == "code" {
            cell["execution_count"] = Value::Null;
            let outputs = cell["outputs"].as_array().cloned().unwrap_or_default();
            cell["outputs"] = Value::Array(normalized_outputs(outputs));
        }
    }
    notebook
}

/// Printed text in one piece, then everything else in its order.
fn normalized_outputs(outputs: Vec<Value>) -> Vec<Value> {
    let mut printed = String::new();
    let mut others = Vec::new();
    for mut output in outputs {
        if output["name"] == "stdout" {
            printed.push_str(&joined(&output["text"]));
            continue;
        }
        if output["output_type"] == "execute_result" {
            output["execution_count"] = Value::Null;
        }
        others.push(output);
    }
    if !printed.is_empty() {
        let lines: Vec<&str> = printed.split_inclusive('\n').collect();
        others.insert(0, json!({"name": "stdout", "output_type": "stream", "text": lines}));
    }
    others
}

/// Every difference between the outputs of two normalized notebooks, cell by cell.
pub(super) fn differences(stored: &Value, executed: &Value) -> Vec<String> {
    let [stored, executed] = [stored, executed].map(|notebook| {
        let cells = notebook["cells"].as_array().into_iter().flatten();
        cells.filter(|cell| cell["cell_type"] == "code").collect::<Vec<_>>()
    });
    let mut found = Vec::new();
    for (at, (stored, executed)) in stored.iter().zip(&executed).enumerate() {
        let [was, is] = [stored, executed].map(|cell| contents(&cell["outputs"]));
        let kinds = |contents: &[(String, String)]| match contents {
            [] => "no output".to_owned(),
            contents => contents.iter().map(|(kind, _)| &**kind).collect::<Vec<_>>().join(", "),
        };
        let at = at + 1;
        let (was_kinds, is_kinds) = (kinds(&was), kinds(&is));
        if was_kinds != is_kinds {
            found.push(format!("code cell {at}: {was_kinds} stored, {is_kinds} now"));
            continue;
        }
        for ((kind, was), (_, is)) in was.iter().zip(&is) {
            let tolerance = if kind == "image/svg+xml" { PICTURE_TOLERANCE } else { 0.0 };
            if let Some(difference) = text_difference(was, is, tolerance) {
                found.push(format!("code cell {at}, {kind}: {difference}"));
            }
        }
    }
    if stored.len() != executed.len() {
        found.push(format!("{} code cells stored, {} now", stored.len(), executed.len()));
    }
    found
}

/// The outputs of a cell as (kind, text), where the kind is a media type, `printed text` or `error`.
fn contents(outputs: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for output in outputs.as_array().into_iter().flatten() {
        if let Some(data) = output["data"].as_object() {
            found.extend(data.iter().map(|(kind, value)| (kind.clone(), joined(value))));
        } else if output["output_type"] == "error" {
            found.push(("error".to_owned(), joined(&output["evalue"])));
        } else {
            found.push(("printed text".to_owned(), joined(&output["text"])));
        }
    }
    found
}

/// A text that the notebook format keeps whole or in lines.
pub(super) fn joined(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        other => other.to_string(),
    }
}

/// The first difference between two texts, numbers being equal within the tolerances.
fn text_difference(was: &str, is: &str, absolute_tolerance: f64) -> Option<String> {
    let (was, is) = (words(was), words(is));
    let differs = |(a, b): &(&&str, &&str)| match (a.parse::<f64>(), b.parse::<f64>()) {
        _ if a == b => false,
        (Ok(a), Ok(b)) => {
            let tolerance = absolute_tolerance.max(RELATIVE_TOLERANCE * a.abs().max(b.abs()));
            (a - b).abs() > tolerance || !(a - b).is_finite()
        }
        _ => true,
    };
    if let Some((a, b)) = was.iter().zip(&is).find(differs) {
        return Some(format!("`{}` stored, `{}` now", a.trim(), b.trim()));
    }
    (was.len() != is.len()).then(|| format!("{} words stored, {} now", was.len(), is.len()))
}

/// Splits a text into numbers and what stands between them.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while at < text.len() {
        let length = number_length(&text.as_bytes()[at..]);
        if length > 0 {
            words.extend([&text[start..at], &text[at..at + length]]);
            start = at + length;
        }
        at += length.max(1);
    }
    words.push(&text[start..]);
    words
}

/// How many bytes at the start are a decimal number, with sign, fraction and exponent; 0 if none is.
fn number_length(text: &[u8]) -> usize {
    let digits = |at: usize| text[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(text.first() == Some(&b'-'));
    let whole = digits(sign);
    if whole == 0 {
        return 0;
    }
    let mut end = sign + whole;
    if text.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if matches!(text.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(end + 1), Some(b'-' | b'+')));
        let exponent = text.get(end + 1 + sign).map_or(0, |_| digits(end + 1 + sign));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(outputs: &Value) -> Value {
        json!({"cells": [{"cell_type": "code", "id": "a", "source": "", "outputs": outputs}]})
    }

    fn result(kind: &str, text: &str) -> Value {
        json!({"output_type": "execute_result", "execution_count": 7, "metadata": {},
               "data": {kind: [text]}})
    }

    #[test]
    fn numbers_may_differ_in_the_last_digits_and_words_may_not() {
        let difference = |was, is| text_difference(was, is, 0.0);
        assert_eq!(difference("β = 15.8528123", "β = 15.8528124"), None);
        assert_eq!(difference("-0.0 of 5.000000e-8", "0.0 of 5.000001e-8"), None);
        assert!(difference("β = 15.8528", "β = 15.8529").is_some());
        assert!(difference("β = 15.8528", "γ = 15.8528").is_some());
        assert!(difference("5.0e-8", "5.0e-9").is_some());
        assert!(difference("1 2", "1 2 3").is_some());
        assert!(difference("1", "-1").is_some());
        assert!(difference("#1e9999", "#2e9999").is_some());
        assert_eq!(difference("#1e9999", "#1e9999"), None);
    }

    #[test]
    fn a_picture_may_differ_by_what_nobody_sees() {
        let notebook = |kind, x: &str| code(&json!([result(kind, &format!("<path d='M{x}-3'/>"))]));
        let count = |kind, was, is| differences(&notebook(kind, was), &notebook(kind, is)).len();
        assert_eq!(count("image/svg+xml", "10.05", "10.06"), 0);
        assert_eq!(count("image/svg+xml", "10.05", "10.15"), 1);
        assert_eq!(count("text/plain", "10.05", "10.06"), 1);
    }

    #[test]
    fn words_are_numbers_and_what_stands_between() {
        assert_eq!(words("a-1.5e-3β 2."), ["a", "-1.5e-3", "β ", "2", "."]);
        assert_eq!(words("1.2.3e"), ["", "1.2", ".", "3", "e"]);
    }

    #[test]
    fn kinds_and_counts_of_outputs_are_compared() {
        let (text, picture) = (result("text/plain", "1"), result("image/svg+xml", "1"));
        let some = code(&json!([text]));
        let found = differences(&some, &code(&json!([])));
        assert_eq!(found, ["code cell 1: text/plain stored, no output now"]);
        let found = differences(&some, &code(&json!([picture])));
        assert_eq!(found, ["code cell 1: text/plain stored, image/svg+xml now"]);
        let found = differences(&some, &json!({"cells": []}));
        assert_eq!(found, ["1 code cells stored, 0 now"]);
    }

    #[test]
    fn what_differs_from_run_to_run_is_not_stored() {
        let executed = |count: u32, pieces: &Value| {
            let mut outputs = pieces.as_array().unwrap().clone();
            outputs.push(result("text/plain", "2"));
            json!({"metadata": {"language_info": {"version": count}}, "cells": [
                {"cell_type": "markdown", "metadata": {"tags": [count]}, "source": "text"},
                {"cell_type": "code", "id": "a", "execution_count": count, "source": "",
                 "metadata": {"execution": {"shell.execute_reply": count}}, "outputs": outputs}
            ]})
        };
        let print = |text: &str| json!({"output_type": "stream", "name": "stdout", "text": text});
        let once = normalized(&executed(1, &json!([print("a\nb\n")])));
        let again = normalized(&executed(2, &json!([print("a\n"), print("b\n")])));
        assert_eq!(once, again);
        assert_eq!(normalized(&once), once);
        assert_eq!(once["cells"][0]["id"], "cell-1");
        assert_eq!(once["cells"][1]["id"], "a");
        assert_eq!(once["cells"][1]["outputs"][0]["text"], json!(["a\n", "b\n"]));
        assert_eq!(once["cells"][1]["outputs"][1]["execution_count"], Value::Null);
    }
}

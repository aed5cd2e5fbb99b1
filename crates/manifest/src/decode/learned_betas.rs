//! The text file of 90 learned β of query-key normalization (Paper A).
//!
//! Blocks of Python output, one per translation task; a line naming the task stands before each
//! block but the first:
//!
//! ```text
//! ar-en
//! [('encoder.atts.0.mha_scale.scale', tensor(23.8495, device='cuda:0')),
//!  ('encoder.atts.1.mha_scale.scale', tensor(23.5828, device='cuda:0'))]
//! ```

use crate::Error;

const FORMAT: &str = "learned β";

/// One learned β.
#[derive(Debug, Clone, PartialEq)]
pub struct LearnedBeta {
    /// The translation task, for example `ar-en`; the file does not name the first block's.
    pub block: Option<String>,
    /// The parameter's name, for example `encoder.atts.0.mha_scale.scale`.
    pub name: String,
    /// The value: positive and finite.
    pub value: f64,
}

/// Decodes the text file, in its order. Lines that start with `#` and empty lines are skipped.
///
/// # Errors
///
/// [`Error::Decode`] where the text is not UTF-8, a line is neither label nor entry, a block is
/// not closed, or a value is not positive; [`Error::NotFinite`] for NaN and infinities.
///
/// # Examples
///
/// ```
/// let text = "# two\n[('a.scale', tensor(13.5, device='cuda:0')),\n ('b.scale', tensor(2.25))]\n";
/// let betas = manifest::decode::learned_betas::decode("betas.txt", text.as_bytes())?;
/// assert_eq!(betas.iter().map(|b| b.value).collect::<Vec<_>>(), [13.5, 2.25]);
/// assert_eq!(betas[1].name, "b.scale");
/// # Ok::<(), manifest::Error>(())
/// ```
pub fn decode(file: &str, bytes: &[u8]) -> Result<Vec<LearnedBeta>, Error> {
    let fail = |expected: &str, got: String| Error::decode(file, FORMAT, expected, got);
    let text = std::str::from_utf8(bytes).map_err(|e| fail("UTF-8 text", e.to_string()))?;
    let mut betas: Vec<LearnedBeta> = Vec::new();
    let mut label = None;
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let at = |what: &str| format!("{what} in line {}", index + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if !open && !line.starts_with('[') {
            if line.len() > 40 || !line.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(fail("a block's label or `[`", at("something else")));
            }
            label = Some(line.to_owned());
            continue;
        }
        let line = if open { line } else { &line[1..] };
        let (entry, last) = match (line.strip_suffix(")),"), line.strip_suffix("))]")) {
            (Some(entry), _) => (entry, false),
            (None, Some(entry)) => (entry, true),
            (None, None) => return Err(fail("an entry ended by `,` or `]`", at("something else"))),
        };
        let parts = entry
            .strip_prefix("('")
            .and_then(|rest| rest.split_once("', tensor("))
            .map(|(name, rest)| (name, rest.split_once(',').map_or(rest, |(value, _)| value)));
        let Some((name, value)) = parts.filter(|(name, _)| !name.is_empty()) else {
            return Err(fail("('name', tensor(value, …))", at("something else")));
        };
        let value: f64 =
            value.trim().parse().map_err(|_| fail("a number", at(&format!("{value:?}"))))?;
        if !value.is_finite() {
            return Err(Error::NotFinite { file: file.to_owned(), index: betas.len(), value });
        }
        if value <= 0.0 {
            return Err(fail("a positive β", at(&value.to_string())));
        }
        betas.push(LearnedBeta { block: label.clone(), name: name.to_owned(), value });
        open = !last;
        if last {
            label = None;
        }
    }
    if open {
        return Err(fail("`]` at the end of the last block", "the end of the file".to_owned()));
    }
    Ok(betas)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# credit\n\n\
        [('encoder.atts.0.mha_scale.scale', tensor(13.2098, device='cuda:0')),\n \
        ('decoder.atts.5.mha_scale.scale', tensor(17.7457, device='cuda:0'))]\n\n\
        ar-en\n[('encoder.atts.0.mha_scale.scale', tensor(23.8495, device='cuda:0'))]\n";

    #[test]
    fn blocks_carry_the_label_before_them() {
        let betas = decode("b.txt", TEXT.as_bytes()).unwrap();
        let seen: Vec<_> = betas.iter().map(|b| (b.block.as_deref(), b.value)).collect();
        assert_eq!(seen, [(None, 13.2098), (None, 17.7457), (Some("ar-en"), 23.8495)]);
        assert_eq!(betas[1].name, "decoder.atts.5.mha_scale.scale");
    }

    #[test]
    fn nan_open_blocks_and_other_text_are_refused() {
        let message = |text: &str| decode("b.txt", text.as_bytes()).unwrap_err().to_string();
        let nan = message(&TEXT.replace("17.7457", "nan"));
        assert_eq!(nan, "b.txt: expected finite values, got NaN at index 1");
        assert!(message(&TEXT.replace("17.7457", "inf")).contains("finite"));
        assert!(message(&TEXT.replace("17.7457", "-1")).contains("positive"));
        assert!(message(&TEXT.replace("17.7457", "x")).contains("line 4"));
        assert!(message(&TEXT.replace("))]\n\nar-en", "))\n\nar-en")).contains("line 4"));
        assert!(message("<html>").contains("line 1"));
        assert!(message("[('a', tensor(1)),\n").contains("last block"));
    }

    #[test]
    fn text_that_is_not_utf_8_is_refused() {
        let message = decode("b.txt", b"ar-en\xff").unwrap_err().to_string();
        assert!(message.contains("b.txt") && message.contains("UTF-8"), "{message}");
    }
}

//! Subscripts and superscripts in labels: `_{…}` and `^{…}`.

use crate::Error;

/// Where a piece of text stands relative to the baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Base,
    Subscript,
    Superscript,
}

/// Splits a text into pieces of one level each. A lone `_` or `^` is an ordinary character.
pub(crate) fn parse(text: &str) -> Result<Vec<(Level, &str)>, Error> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((at, level)) = next_script(rest) {
        if at > 0 {
            pieces.push((Level::Base, &rest[..at]));
        }
        let inside = &rest[at + 2..];
        let broken = || Error::Markup { text: text.to_owned() };
        let close = inside.find('}').ok_or_else(broken)?;
        if next_script(&inside[..close]).is_some() {
            return Err(broken());
        }
        pieces.push((level, &inside[..close]));
        rest = &inside[close + 1..];
    }
    if !rest.is_empty() {
        pieces.push((Level::Base, rest));
    }
    Ok(pieces)
}

fn next_script(text: &str) -> Option<(usize, Level)> {
    let subscript = text.find("_{").map(|at| (at, Level::Subscript));
    let superscript = text.find("^{").map(|at| (at, Level::Superscript));
    match (subscript, superscript) {
        (Some(a), Some(b)) => Some(if a.0 < b.0 { a } else { b }),
        (a, b) => a.or(b),
    }
}

/// The words of a text, split at spaces outside braces.
pub(crate) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut depth) = (0, 0_u32);
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_are_split_off() {
        let pieces = parse("10^{−3} d_{v}").unwrap();
        let expected = [
            (Level::Base, "10"),
            (Level::Superscript, "−3"),
            (Level::Base, " d"),
            (Level::Subscript, "v"),
        ];
        assert_eq!(pieces, expected);
        assert_eq!(parse("a_b^c").unwrap(), [(Level::Base, "a_b^c")]);
    }

    #[test]
    fn unclosed_and_nested_scripts_are_errors() {
        for text in ["x_{a", "x^{a_{b}}"] {
            assert_eq!(parse(text), Err(Error::Markup { text: text.to_owned() }));
        }
    }

    #[test]
    fn words_keep_braces_together() {
        assert_eq!(words("cos θ_{a b}  end"), ["cos", "θ_{a b}", "end"]);
    }
}

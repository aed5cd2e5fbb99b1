//! The words of a line of code, one after the other.

/// Words, numbers, and marks; a mark is one character but for the prompts.
pub(super) fn lex(line: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = if ["list-ref", ">>>", "?>"].iter().any(|word| rest.starts_with(word)) {
            if first == 'l' {
                8
            } else if first == '>' {
                3
            } else {
                2
            }
        } else if first.is_alphanumeric() {
            rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(len);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Tokens of a line, and how far they are read.
pub(super) struct Cursor<'a> {
    tokens: &'a [&'a str],
    pub(super) at: usize,
    pub(super) depth: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(tokens: &'a [&'a str]) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    pub(super) fn peek(&self) -> &'a str {
        self.tokens.get(self.at).copied().unwrap_or("")
    }

    pub(super) fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// Whether the next token is this; it is read then.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        let is = self.peek() == token;
        self.at += usize::from(is);
        is
    }

    /// Whether the line ends here, but for a semicolon.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.eat(";");
        if self.at < self.tokens.len() {
            return Err(format!(
                "expected the end of the line, got `{}`; nested operations stand in brackets",
                self.peek()
            ));
        }
        Ok(())
    }

    pub(super) fn expect(&mut self, token: &str) -> Result<(), String> {
        if self.eat(token) {
            Ok(())
        } else {
            Err(format!("expected `{token}`, got `{}`", self.peek()))
        }
    }
}

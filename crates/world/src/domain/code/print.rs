//! Programs as text in three languages.

use super::Syntax;
use super::program::{Bug, Expr, Function, Name, Op, Raised, Value};
use crate::concept::ConceptId;
use crate::config::Language;
use crate::document::Role;
use crate::template::Part;
use crate::writer::Writer;

/// Writes code with its labels: those of syntax, and of bugs as far as they reach.
pub(crate) struct Printer<'a, 'w, 'd> {
    pub(crate) syntax: &'a Syntax,
    pub(crate) w: &'w mut Writer<'d>,
    pub(crate) functions: &'a [Function],
    bug: Option<ConceptId>,
}

impl<'a, 'w, 'd> Printer<'a, 'w, 'd> {
    pub(crate) fn new(
        syntax: &'a Syntax,
        w: &'w mut Writer<'d>,
        functions: &'a [Function],
    ) -> Self {
        Self { syntax, w, functions, bug: None }
    }

    fn put(&mut self, token: u16, role: Role, label: ConceptId) {
        match self.bug {
            Some(bug) => self.w.say_as(token, role, &[label, bug]),
            None => self.w.say_as(token, role, &[label]),
        }
    }

    fn keyword(&mut self, token: u16) {
        self.put(token, Role::Keyword, self.syntax.keyword);
    }

    fn operator(&mut self, token: u16) {
        self.put(token, Role::Operator, self.syntax.operator);
    }

    fn bracket(&mut self, token: u16) {
        self.put(token, Role::Operator, self.syntax.bracket);
    }

    fn variable(&mut self, name: Name) {
        self.put(name, Role::Identifier, self.syntax.variable);
    }

    /// The name of a function, labeled with what it computes.
    fn function(&mut self, name: Name, place: ConceptId) {
        let semantics = self.functions.iter().find(|function| function.name == name);
        let semantics =
            semantics.map(|function| self.syntax.semantics[function.semantics as usize]);
        let labels = [Some(place), semantics, self.bug];
        let mut said = [place; 3];
        let mut n = 0;
        for label in labels.into_iter().flatten() {
            said[n] = label;
            n += 1;
        }
        self.w.say_as(name, Role::Identifier, &said[..n]);
    }

    /// A number digit by digit.
    fn number(&mut self, number: i64, role: Role, label: ConceptId) {
        if number < 0 {
            self.put(self.syntax.minus, role, label);
        }
        let mut digits = [0; 20];
        let mut rest = number.unsigned_abs();
        let mut n = 0;
        loop {
            digits[n] = (rest % 10) as usize;
            rest /= 10;
            n += 1;
            if rest == 0 {
                break;
            }
        }
        for at in (0..n).rev() {
            self.put(self.syntax.digits[usize::from(at + 1 < n)][digits[at]], role, label);
        }
    }

    fn lisp(&self) -> bool {
        self.w.language == Language::SchemeLike
    }

    /// An expression. In C and Python nested operations stand in brackets.
    pub(crate) fn expression(&mut self, expression: &Expr, nested: bool) {
        let s = self.syntax;
        match expression {
            Expr::Number(number) => self.number(*number, Role::Digit, s.literal),
            Expr::Text(text) => {
                self.put(s.quotes[0], Role::Punctuation, s.literal);
                self.put(*text, Role::Word, s.literal);
                self.put(s.quotes[1], Role::Punctuation, s.literal);
            }
            Expr::Name(name) => self.variable(*name),
            Expr::Wrong(bug, inner) => {
                let outer = self.bug.replace(s.bugs[*bug as usize]);
                self.expression(inner, nested);
                self.bug = outer;
            }
            Expr::Binary(op, a, b) => self.binary(*op, a, b, nested),
            Expr::Call(name, arguments) => {
                // Where only the name is wrong, only the name is labeled.
                let bug = self.bug;
                let around = bug.filter(|&bug| bug != s.bugs[Bug::Name as usize]);
                if self.lisp() {
                    self.bug = around;
                    self.bracket(s.open);
                    self.bug = bug;
                    self.function(*name, s.call);
                    self.bug = around;
                    for argument in arguments {
                        self.expression(argument, false);
                    }
                } else {
                    self.function(*name, s.call);
                    self.bug = around;
                    self.bracket(s.open_call);
                    for (at, argument) in arguments.iter().enumerate() {
                        if at > 0 {
                            self.put(s.comma, Role::Punctuation, s.bracket);
                        }
                        self.expression(argument, false);
                    }
                }
                self.bracket(s.close);
            }
            Expr::Index(name, place) => {
                if self.lisp() {
                    self.bracket(s.open);
                    self.keyword(s.list_ref);
                    self.variable(*name);
                    self.expression(place, false);
                    self.bracket(s.close);
                } else {
                    self.variable(*name);
                    self.bracket(s.open_index);
                    self.expression(place, false);
                    self.bracket(s.close_square);
                }
            }
        }
    }

    fn binary(&mut self, op: Op, a: &Expr, b: &Expr, nested: bool) {
        let s = self.syntax;
        match (op, self.w.language) {
            (Op::Max, Language::SchemeLike) => {
                self.bracket(s.open);
                self.keyword(s.if_);
                self.binary_in_brackets(s.greater, a, b);
                self.expression(a, false);
                self.expression(b, false);
                self.bracket(s.close);
            }
            (_, Language::SchemeLike) => self.binary_in_brackets(s.operators[op as usize], a, b),
            (Op::Max, language) => {
                let python = language == Language::PythonLike;
                let (then, otherwise) =
                    if python { (s.if_, s.else_) } else { (s.question, s.colon_apart) };
                if python {
                    self.expression(a, true);
                    self.keyword(then);
                }
                self.infix(s.greater, a, b);
                if !python {
                    self.operator(then);
                    self.expression(a, true);
                }
                if python {
                    self.keyword(otherwise);
                } else {
                    self.operator(otherwise);
                }
                self.expression(b, true);
            }
            _ => {
                if nested {
                    self.bracket(s.open);
                }
                self.infix(s.operators[op as usize], a, b);
                if nested {
                    self.bracket(s.close);
                }
            }
        }
    }

    fn infix(&mut self, operator: u16, a: &Expr, b: &Expr) {
        self.expression(a, true);
        self.operator(operator);
        self.expression(b, true);
    }

    fn binary_in_brackets(&mut self, operator: u16, a: &Expr, b: &Expr) {
        self.bracket(self.syntax.open);
        self.operator(operator);
        self.expression(a, false);
        self.expression(b, false);
        self.bracket(self.syntax.close);
    }

    /// The definition of a function, with the line break after it.
    pub(crate) fn definition(&mut self, function: &Function) {
        let s = self.syntax;
        let [first, second] = function.parameters;
        match self.w.language {
            Language::SchemeLike => {
                self.bracket(s.open);
                self.keyword(s.define);
                self.bracket(s.open);
                self.function(function.name, s.definition);
                self.put(first, Role::Identifier, s.parameter);
                self.put(second, Role::Identifier, s.parameter);
                self.bracket(s.close);
                self.expression(&function.body, false);
                self.bracket(s.close);
            }
            language => {
                let c = language == Language::CLike;
                self.keyword(if c { s.int } else { s.def });
                self.function(function.name, s.definition);
                self.bracket(s.open_call);
                for (at, parameter) in [first, second].into_iter().enumerate() {
                    if at > 0 {
                        self.put(s.comma, Role::Punctuation, s.bracket);
                    }
                    if c {
                        self.keyword(s.int);
                    }
                    self.put(parameter, Role::Identifier, s.parameter);
                }
                self.bracket(s.close);
                if c {
                    self.bracket(s.open_block);
                } else {
                    self.operator(s.colon);
                    self.w.newline();
                    self.w.say(s.indent, &[]);
                }
                self.keyword(s.return_);
                self.expression(&function.body, false);
                if c {
                    self.operator(s.semicolon);
                    self.bracket(s.close_block);
                }
            }
        }
        self.w.newline();
    }

    /// The assignment of a value to a name, with the line break after it.
    pub(crate) fn assignment(&mut self, name: Name, value: &Value) {
        let s = self.syntax;
        if self.lisp() {
            self.bracket(s.open);
            self.keyword(s.define);
            self.variable(name);
        } else {
            if self.w.language == Language::CLike {
                self.keyword(s.int);
            }
            self.variable(name);
            if self.w.language == Language::CLike && matches!(value, Value::List(_)) {
                self.bracket(s.open_index);
                self.bracket(s.close_square);
            }
            self.operator(s.assign);
        }
        self.value(value, Role::Digit, s.literal);
        match self.w.language {
            Language::SchemeLike => self.bracket(s.close),
            Language::CLike => self.operator(s.semicolon),
            _ => {}
        }
        self.w.newline();
    }

    fn value(&mut self, value: &Value, role: Role, label: ConceptId) {
        let s = self.syntax;
        match value {
            Value::Number(number) => self.number(*number, role, label),
            Value::Text(text) => self.put(*text, role, label),
            Value::List(list) => {
                let (open, close) = match self.w.language {
                    Language::PythonLike => (s.open_square, s.close_square),
                    Language::CLike => (s.open_block, s.close_block),
                    _ => (s.open, s.close),
                };
                self.put(open, Role::Operator, label);
                if self.lisp() {
                    self.keyword(s.list);
                }
                for (at, number) in list.iter().enumerate() {
                    if at > 0 && !self.lisp() {
                        self.put(s.comma, Role::Punctuation, label);
                    }
                    self.number(*number, role, label);
                }
                self.put(close, Role::Operator, label);
            }
        }
    }

    /// A line at the prompt, with the line break after it.
    pub(crate) fn line(&mut self, expression: &Expr) {
        let s = self.syntax;
        let python = self.w.language == Language::PythonLike;
        self.put(s.prompts[usize::from(!python)], Role::Marker, s.prompt);
        self.expression(expression, false);
        if self.w.language == Language::CLike {
            self.operator(s.semicolon);
        }
        self.w.newline();
    }

    /// What the interpreter says to a line, with the line break after it.
    pub(crate) fn output(&mut self, result: &Result<Value, Raised>) {
        match result {
            Ok(value) => self.value(value, Role::Output, self.syntax.output),
            Err(raised) => self.traceback(raised),
        }
        self.w.newline();
    }

    /// A traceback: the functions it went through, and what was wrong.
    pub(crate) fn traceback(&mut self, raised: &Raised) {
        let s = self.syntax;
        let label = s.tracebacks[raised.bug as usize];
        self.put(s.traceback[0], Role::Output, label);
        self.put(s.traceback[1], Role::Output, label);
        for &frame in &raised.frames {
            self.put(s.in_, Role::Output, label);
            self.put(frame, Role::Output, label);
            self.put(s.comma, Role::Output, label);
        }
        let language = (self.w.language as usize).saturating_sub(Language::PythonLike as usize);
        for part in &s.messages[language.min(2)][raised.bug as usize].parts {
            match *part {
                Part::Token(token) => self.put(token, Role::Output, label),
                Part::Gap { at: 0, .. } => {
                    raised.name.iter().for_each(|&name| self.put(name, Role::Output, label));
                }
                Part::Gap { at, .. } => self.number(raised.numbers[at - 1], Role::Output, label),
                Part::Open | Part::Close => {}
            }
        }
    }
}

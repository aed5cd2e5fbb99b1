//! W4: programs in three languages at a prompt, with what the interpreter answers, and prose about code.

mod cursor;
mod print;
mod program;
mod read;
mod syntax;

pub use read::{Outcome, run_code};

use print::Printer;
use program::{Bug, Expr, Function, Name, Op, Program, Value, number};
use syntax::Syntax;

use super::lexicon::Lexicon;
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::{CodeOptions, Domain, Language};
use crate::draw::Categorical;
use crate::template::Template;
use crate::writer::Writer;

/// The deepest chain of functions that call each other.
const DEEPEST: usize = 3;

/// Names and their misspellings, and prose about them.
pub(crate) struct Code {
    syntax: Syntax,
    /// Names of functions and of variables, with a misspelling of each; the last are rare.
    functions: Vec<[Name; 2]>,
    variables: Vec<[Name; 2]>,
    often: [Categorical; 2],
    texts: Vec<u16>,
    typo: ConceptId,
    quoted: ConceptId,
    /// Nouns of prose with their misspellings.
    misspelled: Vec<u16>,
    prose: [Vec<Template>; 3],
    marks: [u16; 2],
}

const FUNCTIONS: &str = "foo bar combine merge compute apply join solve blend fuse";
const VARIABLES: &str = "count total value size score width left right first last index limit";

impl Code {
    pub(crate) fn new(b: &mut Builder, lexicon: &Lexicon) -> Self {
        let syntax = Syntax::new(b);
        let group = b.group("code", Domain::Code);
        let names = |b: &mut Builder, list: &str| -> Vec<[Name; 2]> {
            let mut names: Vec<String> = list.split_whitespace().map(str::to_owned).collect();
            names.extend((0..14).map(|_| b.invent(2, "")));
            names.iter().map(|name| [b.word(name), misspell(b, name)]).collect()
        };
        let functions = names(b, FUNCTIONS);
        let variables = names(b, VARIABLES);
        let often = [&functions, &variables].map(|names| Categorical::zipf(names.len()));
        let misspelled = lexicon.nouns.tokens[..20].iter().map(|&token| {
            let noun = b.vocabulary.word(token).surface.clone();
            misspell(b, &noun)
        });
        let misspelled = misspelled.collect();
        let prose = [
            &["The {2} of the < {0} > was late .", "I saw a {1} < {0} > ."][..],
            &["The log of the {2} says", "In an old {2} they found the line"],
            &["The variable {0} is used once .", "Few programs have a name like {0} ."],
        ];
        Self {
            syntax,
            functions,
            variables,
            often,
            texts: b.words("hello name red yes"),
            typo: b.concept(group, "typo", Kind::Bug),
            quoted: b.concept(group, "quoted", Kind::Decoy),
            misspelled,
            prose: prose.map(|templates| b.templates(templates)),
            marks: [b.word("“"), b.word("”")],
        }
    }

    /// A transcript, or prose about code.
    pub(crate) fn write(&self, options: &CodeOptions, lexicon: &Lexicon, w: &mut Writer) {
        if w.draw.chance(options.prose) {
            return self.prose(lexicon, w);
        }
        w.language = *w.one(&options.written);
        let mut program = Program::default();
        for _ in 0..=w.draw.choose(3) {
            let function = self.function(&program, w);
            program.functions.push(function);
        }
        for _ in 0..2 {
            let number = Self::operand_number(w);
            program.variables.insert(self.fresh(&program, 1, &[], w), Value::Number(number));
        }
        let list = (0..2 + w.draw.choose(3)).map(|_| Self::operand_number(w)).collect();
        program.variables.insert(self.fresh(&program, 1, &[], w), Value::List(list));

        let n_lines = 2 + w.draw.choose(3);
        let wrong = w.draw.chance(options.bugs).then(|| w.draw.choose(n_lines));
        let mut lines: Vec<Expr> = (0..n_lines).map(|_| Self::line(&program, w)).collect();
        if let Some(at) = wrong {
            let bug = *w.one(&Bug::ALL);
            self.break_line(bug, &mut lines[at], &mut program, w);
        }
        let mut printer = Printer::new(&self.syntax, w, &program.functions);
        program.functions.iter().for_each(|function| printer.definition(function));
        program.variables.iter().for_each(|(&name, value)| printer.assignment(name, value));
        for line in &lines {
            printer.line(line);
            printer.output(&program.run(line));
        }
        w.language = Language::English;
    }

    /// A number of one digit mostly, of two else.
    fn operand_number(w: &mut Writer) -> i64 {
        let digits = if w.draw.chance(0.7) { 9 } else { 89 };
        number(1 + w.draw.choose(digits))
    }

    /// A name of this class (0 functions, 1 variables) that nothing has yet.
    fn fresh(&self, program: &Program, class: usize, taken: &[Name], w: &mut Writer) -> Name {
        loop {
            let names = [&self.functions, &self.variables][class];
            let name = names[w.draw.pick(&self.often[class])][0];
            let known = program.variables.contains_key(&name)
                || taken.contains(&name)
                || program.functions.iter().any(|function| function.name == name);
            if !known {
                return name;
            }
        }
    }

    /// A function that computes by itself, or calls one that does.
    fn function(&self, program: &Program, w: &mut Writer) -> Function {
        let name = self.fresh(program, 0, &[], w);
        let first = self.fresh(program, 1, &[], w);
        let second = self.fresh(program, 1, &[first], w);
        let parameters = [first, second];
        let shallow: Vec<_> =
            program.functions.iter().filter(|function| function.depth < DEEPEST).collect();
        let called = !shallow.is_empty() && w.draw.chance(0.5);
        if called {
            let inner = *w.one(&shallow);
            let body = Expr::Call(inner.name, parameters.map(Expr::Name).into());
            return Function {
                name,
                parameters,
                body,
                semantics: inner.semantics,
                depth: inner.depth + 1,
            };
        }
        let semantics = *w.one(&[Op::Add, Op::Mul, Op::Sub, Op::Max]);
        let [a, b] = parameters.map(|name| Box::new(Expr::Name(name)));
        Function { name, parameters, body: Expr::Binary(semantics, a, b), semantics, depth: 1 }
    }

    /// A variable that holds a number, or a number.
    fn operand(program: &Program, w: &mut Writer) -> Expr {
        let variables = numbers_of(program);
        if w.draw.chance(0.5) {
            Expr::Name(*w.one(&variables))
        } else {
            Expr::Number(Self::operand_number(w))
        }
    }

    /// An expression without a bug.
    fn line(program: &Program, w: &mut Writer) -> Expr {
        match w.draw.choose(4) {
            0 | 1 => {
                let name = w.one(&program.functions).name;
                Expr::Call(name, vec![Self::operand(program, w), Self::operand(program, w)])
            }
            2 => {
                let op = *w.one(&[Op::Add, Op::Sub, Op::Mul, Op::Div]);
                let a = Self::operand(program, w);
                Expr::Binary(op, Box::new(a), Box::new(Self::operand(program, w)))
            }
            _ => {
                let (name, list) = list_of(program);
                let place = number(w.draw.choose(list.len()));
                Expr::Index(name, Box::new(Expr::Number(place)))
            }
        }
    }

    /// Puts a bug into a line: the interpreter will meet it there, or in the function that the line calls.
    fn break_line(&self, bug: Bug, line: &mut Expr, program: &mut Program, w: &mut Writer) {
        let wrong = |inner| Expr::Wrong(bug, Box::new(inner));
        *line = match bug {
            Bug::Name => {
                let call = w.draw.chance(0.5);
                let name = if call {
                    w.one(&program.functions).name
                } else {
                    *w.one(&numbers_of(program))
                };
                let pair =
                    self.functions.iter().chain(&self.variables).find(|pair| pair[0] == name);
                let misspelled = pair.map_or(name, |pair| pair[1]);
                if call {
                    let arguments = vec![Self::operand(program, w), Self::operand(program, w)];
                    wrong(Expr::Call(misspelled, arguments))
                } else {
                    let other = Box::new(Self::operand(program, w));
                    Expr::Binary(Op::Add, Box::new(wrong(Expr::Name(misspelled))), other)
                }
            }
            Bug::Zero => {
                let a = Box::new(Self::operand(program, w));
                Expr::Binary(Op::Div, a, Box::new(wrong(Expr::Number(0))))
            }
            Bug::Arity => {
                let name = w.one(&program.functions).name;
                let n = [1, 3][w.draw.choose(2)];
                wrong(Expr::Call(name, (0..n).map(|_| Self::operand(program, w)).collect()))
            }
            Bug::Type => {
                let text = wrong(Expr::Text(*w.one(&self.texts)));
                if w.draw.chance(0.5) {
                    Expr::Call(
                        w.one(&program.functions).name,
                        vec![Self::operand(program, w), text],
                    )
                } else {
                    Expr::Binary(Op::Mul, Box::new(Self::operand(program, w)), Box::new(text))
                }
            }
            Bug::Index => {
                let (name, list) = list_of(program);
                let place = number(list.len() + w.draw.choose(5));
                Expr::Index(name, Box::new(wrong(Expr::Number(place))))
            }
        };
    }

    /// Typing errors, quoted tracebacks, and rare names, none of them in a program.
    fn prose(&self, lexicon: &Lexicon, w: &mut Writer) {
        for _ in 0..2 + w.draw.choose(2) {
            let kind = w.draw.choose(3);
            let template = w.one(&self.prose[kind]);
            let [adjective, noun, _] = lexicon.words(template, 1, true, w);
            let (word, label) = match kind {
                0 => (*w.one(&self.misspelled), self.typo),
                _ => (w.one(&self.variables)[0], self.quoted),
            };
            w.fill(template, &[&[word], &[adjective], &[noun]], &[label]);
            if kind == 1 {
                let bug = *w.one(&Bug::ALL);
                w.say(self.marks[0], &[]);
                let name = w.one(&self.variables)[0];
                let labels = [self.syntax.tracebacks[bug as usize], self.quoted];
                for &token in &self.syntax.traceback {
                    w.say(token, &labels);
                }
                let [_, _, two, three, ..] = self.syntax.digits[0];
                let message = &self.syntax.messages[0][bug as usize];
                w.fill_whole(message, &[&[name], &[two], &[three]], &labels);
                w.say(self.marks[1], &[]);
                w.say(self.syntax.period, &[]);
            }
        }
    }
}

fn numbers_of(program: &Program) -> Vec<Name> {
    let numbers = program.variables.iter().filter(|(_, value)| matches!(value, Value::Number(_)));
    numbers.map(|(&name, _)| name).collect()
}

/// The list of a program.
fn list_of(program: &Program) -> (Name, &[i64]) {
    let mut lists = program.variables.iter().filter_map(|(&name, value)| match value {
        Value::List(list) => Some((name, &list[..])),
        _ => None,
    });
    lists.next().expect("every program has a list")
}

/// A word with two letters the other way round, or with its last letter doubled.
fn misspell(b: &mut Builder, word: &str) -> u16 {
    let mut letters: Vec<char> = word.chars().collect();
    letters.swap(1, 2);
    let swapped: String = letters.iter().collect();
    if swapped != word && !b.vocabulary.has_surface(&swapped) {
        return b.word(&swapped);
    }
    let mut doubled = word.to_owned();
    loop {
        let last = doubled.chars().last().unwrap_or('e');
        doubled.push(last);
        if !b.vocabulary.has_surface(&doubled) {
            return b.word(&doubled);
        }
    }
}

//! Reads transcripts back into programs and runs them.

use std::collections::BTreeMap;

use super::cursor::{Cursor, lex};
use super::program::{Bug, Expr, Function, Name, Op, Program, Value};
use crate::config::Language;
use crate::error::WorldError;

/// The most nested brackets, and the most steps that a line may take.
const DEEPEST: usize = 40;
const MOST_STEPS: u64 = 100_000;

/// What a line at the prompt comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<i64>),
    /// An error: the name of its concept below `bug` and `traceback`, and the functions in which it was met, the outermost
    /// first.
    Error(String, Vec<String>),
}

/// Runs a transcript in one of the languages of code: definitions, assignments, and lines at the prompt. What was
/// printed in between is not read, so the answer is that of the interpreter and not of the transcript.
///
/// With it a repaired or a generated program can be asked for its true output.
///
/// # Errors
///
/// [`WorldError::Code`] where a line cannot be read, nests too deep, or would take more than 100,000 steps.
///
/// # Examples
///
/// ```
/// use world::{Language, Outcome, run_code};
///
/// let transcript = "def plus(a, b):\n    return a + b\n>>> plus(2, 40)\n>>> plsu(2, 40)\n";
/// let outcomes = run_code(Language::PythonLike, transcript)?;
/// assert_eq!(outcomes[0], Outcome::Number(42));
/// assert_eq!(outcomes[1], Outcome::Error("name".into(), vec![]));
/// # Ok::<(), world::WorldError>(())
/// ```
pub fn run_code(language: Language, transcript: &str) -> Result<Vec<Outcome>, WorldError> {
    let mut reader = Reader { language, names: BTreeMap::new(), words: Vec::new() };
    let mut program = Program::default();
    let mut outcomes = Vec::new();
    let mut lines = transcript.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let fail = |problem: &str| WorldError::Code { line: at + 1, problem: problem.to_owned() };
        let mut whole = line.to_owned();
        if language == Language::PythonLike && line.starts_with("def ") {
            let (_, body) = lines.next().ok_or_else(|| fail("a body must follow"))?;
            whole.push_str(body);
        }
        let tokens = lex(&whole);
        let mut cursor = Cursor::new(&tokens);
        let first = tokens.first().map_or("", |token| *token);
        let read = match first {
            ">>>" | "?>" => {
                cursor.at = 1;
                let line = reader.expression(&mut cursor);
                line.and_then(|line| cursor.end().map(|()| line)).map(|line| {
                    let steps = steps(&program, &line, program.functions.len());
                    (steps <= MOST_STEPS).then(|| reader.outcome(&program, &line))
                })
            }
            "def" | "int" | "(" => reader.definition(&mut cursor, &mut program).map(|()| None),
            _ if language == Language::PythonLike && tokens.get(1) == Some(&"=") => {
                reader.definition(&mut cursor, &mut program).map(|()| None)
            }
            _ => continue, // what was printed
        };
        let outcome = read.map_err(|problem| fail(&problem))?;
        if matches!(first, ">>>" | "?>") {
            outcomes.push(outcome.ok_or_else(|| fail("this would take too many steps"))?);
        }
    }
    Ok(outcomes)
}

/// Names as numbers, for the interpreter.
struct Reader {
    language: Language,
    names: BTreeMap<String, Name>,
    words: Vec<String>,
}

type Read<T> = Result<T, String>;

impl Reader {
    fn name(&mut self, word: &str) -> Read<Name> {
        if !word.starts_with(char::is_alphabetic) {
            return Err(format!("expected a name, got `{word}`"));
        }
        if let Some(&name) = self.names.get(word) {
            return Ok(name);
        }
        let name = Name::try_from(self.words.len()).map_err(|_| "too many names".to_owned())?;
        self.names.insert(word.to_owned(), name);
        self.words.push(word.to_owned());
        Ok(name)
    }

    fn number(word: &str) -> Read<i64> {
        word.parse().map_err(|_| format!("expected a number, got `{word}`"))
    }

    fn definition(&mut self, cursor: &mut Cursor, program: &mut Program) -> Read<()> {
        let (name, parameters) = if self.language == Language::SchemeLike {
            cursor.expect("(")?;
            cursor.expect("define")?;
            if cursor.eat("(") {
                let name = self.name(cursor.next())?;
                let parameters = [self.name(cursor.next())?, self.name(cursor.next())?];
                cursor.expect(")")?;
                (name, Some(parameters))
            } else {
                (self.name(cursor.next())?, None)
            }
        } else {
            let _ = cursor.eat("def") || cursor.eat("int");
            let name = self.name(cursor.next())?;
            if cursor.eat("(") {
                let parameters = self.parameters(cursor)?;
                (name, Some(parameters))
            } else {
                if cursor.eat("[") {
                    cursor.expect("]")?;
                }
                cursor.expect("=")?;
                (name, None)
            }
        };
        if let Some(parameters) = parameters {
            let _ = cursor.eat(":") || cursor.eat("{");
            let _ = cursor.eat("return");
            let body = self.expression(cursor)?;
            program.functions.push(Function {
                name,
                parameters,
                body,
                semantics: Op::Add, // what it computes is not read off
                depth: 1,
            });
        } else {
            let value = Self::value(cursor)?;
            program.variables.insert(name, value);
        }
        let _ = cursor.eat(")") || (cursor.eat(";") && cursor.eat("}"));
        cursor.end()
    }

    fn parameters(&mut self, cursor: &mut Cursor) -> Read<[Name; 2]> {
        cursor.eat("int");
        let first = self.name(cursor.next())?;
        cursor.expect(",")?;
        cursor.eat("int");
        let second = self.name(cursor.next())?;
        cursor.expect(")")?;
        Ok([first, second])
    }

    /// A number or a list of numbers.
    fn value(cursor: &mut Cursor) -> Read<Value> {
        let close = match cursor.peek() {
            "[" => "]",
            "{" => "}",
            "(" => ")",
            _ => return Self::number(cursor.next()).map(Value::Number),
        };
        cursor.at += 1;
        cursor.eat("list");
        let mut list = Vec::new();
        while !cursor.eat(close) {
            list.push(Self::number(cursor.next())?);
            cursor.eat(",");
        }
        Ok(Value::List(list))
    }

    fn expression(&mut self, cursor: &mut Cursor) -> Read<Expr> {
        cursor.depth += 1;
        if cursor.depth > DEEPEST {
            return Err("nested too deep".to_owned());
        }
        let read = if self.language == Language::SchemeLike {
            self.lisp(cursor)
        } else {
            self.infix(cursor)
        };
        cursor.depth -= 1;
        read
    }

    fn lisp(&mut self, cursor: &mut Cursor) -> Read<Expr> {
        if !cursor.eat("(") {
            return self.atom(cursor);
        }
        let head = cursor.next();
        let read = if let Some(op) = operator(head) {
            self.pair(cursor).map(|[a, b]| Expr::Binary(op, a, b))?
        } else if head == "if" {
            // (if (> a b) a b)
            cursor.expect("(")?;
            cursor.expect(">")?;
            let [a, b] = self.pair(cursor)?;
            cursor.expect(")")?;
            self.pair(cursor)?;
            Expr::Binary(Op::Max, a, b)
        } else if head == "list-ref" {
            let name = self.name(cursor.next())?;
            Expr::Index(name, Box::new(self.expression(cursor)?))
        } else {
            let name = self.name(head)?;
            let mut arguments = Vec::new();
            while cursor.peek() != ")" {
                arguments.push(self.expression(cursor)?);
            }
            Expr::Call(name, arguments)
        };
        cursor.expect(")")?;
        Ok(read)
    }

    fn pair(&mut self, cursor: &mut Cursor) -> Read<[Box<Expr>; 2]> {
        Ok([Box::new(self.expression(cursor)?), Box::new(self.expression(cursor)?)])
    }

    /// One operation between two operands, or a choice of the larger one.
    fn infix(&mut self, cursor: &mut Cursor) -> Read<Expr> {
        let a = self.operand(cursor)?;
        if let Some(op) = operator(cursor.peek()) {
            cursor.at += 1;
            return Ok(Expr::Binary(op, Box::new(a), Box::new(self.operand(cursor)?)));
        }
        // `a if a > b else b`, `a > b ? a : b`
        let python = cursor.eat("if");
        if python {
            self.operand(cursor)?;
        }
        if cursor.eat(">") {
            let b = self.operand(cursor)?;
            cursor.expect(if python { "else" } else { "?" })?;
            self.operand(cursor)?;
            if !python {
                cursor.expect(":")?;
                self.operand(cursor)?;
            }
            return Ok(Expr::Binary(Op::Max, Box::new(a), Box::new(b)));
        }
        Ok(a)
    }

    fn operand(&mut self, cursor: &mut Cursor) -> Read<Expr> {
        if cursor.eat("(") {
            let inner = self.expression(cursor)?;
            cursor.expect(")")?;
            return Ok(inner);
        }
        let atom = self.atom(cursor)?;
        let Expr::Name(name) = atom else { return Ok(atom) };
        if cursor.eat("[") {
            let place = self.expression(cursor)?;
            cursor.expect("]")?;
            return Ok(Expr::Index(name, Box::new(place)));
        }
        if !cursor.eat("(") {
            return Ok(atom);
        }
        let mut arguments = Vec::new();
        while !cursor.eat(")") {
            arguments.push(self.expression(cursor)?);
            if cursor.peek() != ")" {
                cursor.expect(",")?;
            }
        }
        Ok(Expr::Call(name, arguments))
    }

    /// A number, a text, or a name.
    fn atom(&mut self, cursor: &mut Cursor) -> Read<Expr> {
        let token = cursor.next();
        if token == "“" {
            let text = self.name(cursor.next())?;
            cursor.expect("”")?;
            return Ok(Expr::Text(text));
        }
        if token.starts_with(|first: char| first.is_ascii_digit()) {
            return Self::number(token).map(Expr::Number);
        }
        self.name(token).map(Expr::Name)
    }

    fn outcome(&self, program: &Program, line: &Expr) -> Outcome {
        let word = |name: Name| self.words[usize::from(name)].clone();
        match program.run(line) {
            Ok(Value::Number(number)) => Outcome::Number(number),
            Ok(Value::Text(text)) => Outcome::Text(word(text)),
            Ok(Value::List(list)) => Outcome::List(list),
            Err(raised) => {
                let frames = raised.frames.into_iter().map(word).collect();
                Outcome::Error(name_of(raised.bug), frames)
            }
        }
    }
}

/// The name of the concept of a bug.
pub(super) fn name_of(bug: Bug) -> String {
    format!("{bug:?}").to_lowercase()
}

fn operator(token: &str) -> Option<Op> {
    Some(match token {
        "+" => Op::Add,
        "-" => Op::Sub,
        "*" => Op::Mul,
        "/" => Op::Div,
        _ => return None,
    })
}

/// How many expressions are evaluated at most, where the first `visible` functions can be called.
fn steps(program: &Program, expression: &Expr, visible: usize) -> u64 {
    let mut costs: Vec<u64> = Vec::new();
    for function in &program.functions[..visible] {
        let cost = cost(&program.functions, &costs, &function.body);
        costs.push(cost);
    }
    cost(&program.functions, &costs, expression)
}

/// The cost of an expression where those of earlier functions are known.
fn cost(functions: &[Function], costs: &[u64], expression: &Expr) -> u64 {
    let of = |inner: &Expr| cost(functions, costs, inner);
    let inner = match expression {
        Expr::Number(_) | Expr::Text(_) | Expr::Name(_) => 0,
        Expr::Wrong(_, inner) | Expr::Index(_, inner) => of(inner),
        Expr::Binary(_, a, b) => of(a).saturating_add(of(b)),
        Expr::Call(name, arguments) => {
            let called = functions[..costs.len()].iter().rposition(|f| f.name == *name);
            let body = called.map_or(0, |at| costs[at]);
            arguments.iter().map(of).fold(body, u64::saturating_add)
        }
    };
    inner.saturating_add(1)
}

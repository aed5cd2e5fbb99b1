//! Programs as trees, and the interpreter that runs them.

use std::collections::BTreeMap;

/// What can be wrong with an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bug {
    /// A name that is not defined.
    Name,
    /// A division by zero.
    Zero,
    /// A call with too many or too few values.
    Arity,
    /// A text or a list where a number is due.
    Type,
    /// A place behind the end of a list.
    Index,
}

impl Bug {
    pub(crate) const ALL: [Self; 5] =
        [Self::Name, Self::Zero, Self::Arity, Self::Type, Self::Index];
}

/// An operation on two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    Max,
}

/// A name, by its token.
pub(crate) type Name = u16;

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    Number(i64),
    Text(u16),
    Name(Name),
    Binary(Op, Box<Expr>, Box<Expr>),
    Call(Name, Vec<Expr>),
    /// A list by its name, and a place from 0.
    Index(Name, Box<Expr>),
    /// Where a bug was put in.
    Wrong(Bug, Box<Expr>),
}

/// A function of two parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: Name,
    pub(crate) parameters: [Name; 2],
    pub(crate) body: Expr,
    /// What it computes of its parameters.
    pub(crate) semantics: Op,
    /// 1 where it computes by itself, one more than the function that it calls otherwise.
    pub(crate) depth: usize,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Number(i64),
    Text(u16),
    List(Vec<i64>),
}

/// Why a program stopped, with what its traceback says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) bug: Bug,
    /// The name that the message is about.
    pub(crate) name: Option<Name>,
    /// Numbers of the message: of values that a function takes and got; the place and the length of a list.
    pub(crate) numbers: [i64; 2],
    /// The functions in which it happened, the outermost first.
    pub(crate) frames: Vec<Name>,
}

/// What is defined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) functions: Vec<Function>,
    pub(crate) variables: BTreeMap<Name, Value>,
}

impl Program {
    /// The value of an expression, or what it raises. A function sees those that are defined before it, so every call
    /// comes to an end.
    pub(crate) fn run(&self, expression: &Expr) -> Result<Value, Raised> {
        let mut frames = Vec::new();
        self.eval(expression, &[], self.functions.len(), &mut frames)
    }

    fn eval(
        &self,
        expression: &Expr,
        locals: &[(Name, Value)],
        visible: usize,
        frames: &mut Vec<Name>,
    ) -> Result<Value, Raised> {
        let raise = |frames: &[Name], bug, name, numbers| {
            Err(Raised { bug, name, numbers, frames: frames.to_vec() })
        };
        match expression {
            Expr::Number(value) => Ok(Value::Number(*value)),
            Expr::Text(text) => Ok(Value::Text(*text)),
            Expr::Wrong(_, inner) => self.eval(inner, locals, visible, frames),
            Expr::Name(name) => match self.look_up(*name, locals) {
                Some(value) => Ok(value),
                None => raise(frames, Bug::Name, Some(*name), [0; 2]),
            },
            Expr::Binary(op, a, b) => {
                let a = self.eval(a, locals, visible, frames)?;
                let b = self.eval(b, locals, visible, frames)?;
                let (Value::Number(a), Value::Number(b)) = (a, b) else {
                    return raise(frames, Bug::Type, None, [0; 2]);
                };
                Ok(Value::Number(match op {
                    Op::Add => a.wrapping_add(b),
                    Op::Sub => a.wrapping_sub(b),
                    Op::Mul => a.wrapping_mul(b),
                    Op::Div if b == 0 => return raise(frames, Bug::Zero, None, [0; 2]),
                    Op::Div => a.wrapping_div_euclid(b),
                    Op::Max => a.max(b),
                }))
            }
            Expr::Call(name, arguments) => {
                let found = self.functions[..visible].iter().rposition(|f| f.name == *name);
                let Some(at) = found else {
                    return raise(frames, Bug::Name, Some(*name), [0; 2]);
                };
                let function = &self.functions[at];
                let mut values = Vec::with_capacity(arguments.len());
                for argument in arguments {
                    values.push(self.eval(argument, locals, visible, frames)?);
                }
                let numbers = [function.parameters.len(), values.len()].map(number);
                if numbers[0] != numbers[1] {
                    return raise(frames, Bug::Arity, Some(*name), numbers);
                }
                let inner: Vec<_> = function.parameters.into_iter().zip(values).collect();
                frames.push(*name);
                let value = self.eval(&function.body, &inner, at, frames)?;
                frames.pop();
                Ok(value)
            }
            Expr::Index(name, place) => {
                let place = self.eval(place, locals, visible, frames)?;
                match (self.look_up(*name, locals), place) {
                    (None, _) => raise(frames, Bug::Name, Some(*name), [0; 2]),
                    (Some(Value::List(list)), Value::Number(place)) => {
                        let found = usize::try_from(place).ok().and_then(|place| list.get(place));
                        let Some(found) = found else {
                            let numbers = [place, number(list.len())];
                            return raise(frames, Bug::Index, Some(*name), numbers);
                        };
                        Ok(Value::Number(*found))
                    }
                    _ => raise(frames, Bug::Type, Some(*name), [0; 2]),
                }
            }
        }
    }

    fn look_up(&self, name: Name, locals: &[(Name, Value)]) -> Option<Value> {
        let local = locals.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        local.or_else(|| self.variables.get(&name)).cloned()
    }
}

/// A count as a number of a program.
pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X: Name = 1;
    const LIST: Name = 2;
    const ADD: Name = 3;
    const OUTER: Name = 4;
    const PARAMETERS: [Name; 2] = [5, 6];

    /// x = 4; list = [7, 8]; add(a, b) = a + b; outer(a, b) = add(a, b).
    fn program() -> Program {
        let parameters = || PARAMETERS.map(Expr::Name);
        let [a, b] = parameters();
        let sum = Expr::Binary(Op::Add, Box::new(a), Box::new(b));
        let function = |name, body, depth| Function {
            name,
            parameters: PARAMETERS,
            body,
            semantics: Op::Add,
            depth,
        };
        let variables = [(X, Value::Number(4)), (LIST, Value::List(vec![7, 8]))];
        Program {
            functions: vec![
                function(ADD, sum, 1),
                function(OUTER, Expr::Call(ADD, parameters().into()), 2),
            ],
            variables: variables.into(),
        }
    }

    fn binary(op: Op, a: i64, b: i64) -> Expr {
        Expr::Binary(op, Box::new(Expr::Number(a)), Box::new(Expr::Number(b)))
    }

    #[test]
    fn expressions_have_the_values_of_arithmetic() {
        let run = |expression: &Expr| program().run(expression);
        for (op, value) in [(Op::Add, 9), (Op::Sub, 5), (Op::Mul, 14), (Op::Div, 3), (Op::Max, 7)] {
            assert_eq!(run(&binary(op, 7, 2)), Ok(Value::Number(value)), "{op:?}");
        }
        let call = Expr::Call(OUTER, vec![Expr::Name(X), Expr::Number(-9)]);
        assert_eq!(run(&call), Ok(Value::Number(-5)));
        let index = |place| Expr::Index(LIST, Box::new(Expr::Number(place)));
        assert_eq!(run(&index(1)), Ok(Value::Number(8)));
        assert_eq!(run(&index(2)).unwrap_err().numbers, [2, 2]);
        assert_eq!(run(&index(-1)).unwrap_err().bug, Bug::Index);
    }

    #[test]
    fn what_is_wrong_raises_its_error_where_it_happens() {
        let run = |expression: &Expr| program().run(expression).unwrap_err();
        let unknown = run(&Expr::Name(99));
        assert_eq!((unknown.bug, unknown.name), (Bug::Name, Some(99)));
        assert_eq!(run(&binary(Op::Div, 1, 0)).bug, Bug::Zero);
        let arity = run(&Expr::Call(ADD, vec![Expr::Number(1)]));
        assert_eq!((arity.bug, arity.numbers), (Bug::Arity, [2, 1]));
        // The text is met within add, which outer called.
        let call = Expr::Call(OUTER, vec![Expr::Text(50), Expr::Number(1)]);
        let raised = run(&call);
        assert_eq!((raised.bug, raised.frames), (Bug::Type, vec![OUTER, ADD]));
        let scalar = Expr::Index(X, Box::new(Expr::Number(0)));
        assert_eq!(run(&scalar).bug, Bug::Type);
    }
}

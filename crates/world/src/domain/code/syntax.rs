//! Words of code and the concepts of its syntax.

use super::program::Bug;
use crate::build::Builder;
use crate::concept::{ConceptId, Kind};
use crate::config::Domain;
use crate::document::Role;
use crate::template::Template;
use crate::vocabulary::Glue;

/// Tokens of code, and what is labeled in it.
pub(crate) struct Syntax {
    pub(crate) keyword: ConceptId,
    pub(crate) operator: ConceptId,
    pub(crate) bracket: ConceptId,
    pub(crate) variable: ConceptId,
    pub(crate) parameter: ConceptId,
    pub(crate) literal: ConceptId,
    pub(crate) definition: ConceptId,
    pub(crate) call: ConceptId,
    pub(crate) prompt: ConceptId,
    pub(crate) output: ConceptId,
    /// By [`Op`](super::program::Op).
    pub(crate) semantics: [ConceptId; 5],
    /// By [`Bug`].
    pub(crate) bugs: [ConceptId; 5],
    pub(crate) tracebacks: [ConceptId; 5],
    /// Digits that begin a number, and those that follow.
    pub(crate) digits: [[u16; 10]; 2],
    /// By [`Op`](super::program::Op); max has none.
    pub(crate) operators: [u16; 5],
    pub(crate) quotes: [u16; 2],
    pub(crate) prompts: [u16; 2],
    pub(crate) traceback: [u16; 2],
    /// By language and bug; the gaps are the name that they are about, and two numbers.
    pub(crate) messages: [[Template; 5]; 3],
    pub(crate) minus: u16,
    pub(crate) open: u16,
    pub(crate) open_call: u16,
    pub(crate) close: u16,
    pub(crate) open_index: u16,
    pub(crate) open_square: u16,
    pub(crate) close_square: u16,
    pub(crate) open_block: u16,
    pub(crate) close_block: u16,
    pub(crate) comma: u16,
    pub(crate) period: u16,
    pub(crate) colon: u16,
    pub(crate) colon_apart: u16,
    pub(crate) question: u16,
    pub(crate) semicolon: u16,
    pub(crate) assign: u16,
    pub(crate) greater: u16,
    pub(crate) indent: u16,
    pub(crate) def: u16,
    pub(crate) int: u16,
    pub(crate) define: u16,
    pub(crate) return_: u16,
    pub(crate) if_: u16,
    pub(crate) else_: u16,
    pub(crate) in_: u16,
    pub(crate) list: u16,
    pub(crate) list_ref: u16,
}

/// The gaps of messages: the name that they are about, and two numbers.
const GAPS: [&str; 3] = ["name", "first", "second"];
/// By language and bug.
const MESSAGES: [[&str; 5]; 3] = [
    [
        "NameError : {name} is not defined",
        "ZeroDivisionError : division by zero",
        "TypeError : {name} takes {first} values but {second} were given",
        "TypeError : values are not numbers",
        "IndexError : {first} is out of the range of {name}",
    ],
    [
        "error : {name} is undeclared",
        "error : division by zero",
        "error : {name} expects {first} arguments , got {second}",
        "error : invalid operands",
        "error : {first} is out of bounds , {name} has {second}",
    ],
    [
        "unbound variable {name}",
        "quotient : divided by zero",
        "{name} : arity mismatch , expected {first} , given {second}",
        "contract violation , expected number",
        "list-ref : {first} is too large for {name}",
    ],
];

impl Syntax {
    pub(crate) fn new(b: &mut Builder) -> Self {
        let [syntax, semantics, bug, traceback] =
            ["syntax", "semantics", "bug", "traceback"].map(|name| b.group(name, Domain::Code));
        let [
            keyword,
            operator,
            bracket,
            variable,
            parameter,
            literal,
            definition,
            call,
            prompt,
            output,
        ] = [
            "keyword",
            "operator",
            "bracket",
            "variable",
            "parameter",
            "literal",
            "definition",
            "call",
            "prompt",
            "output",
        ]
        .map(|name| b.concept(syntax, name, Kind::Syntax));
        let semantics = ["add", "sub", "mul", "div", "max"]
            .map(|name| b.concept(semantics, name, Kind::Semantics));
        let names = Bug::ALL.map(super::read::name_of);
        let bugs = names.each_ref().map(|name| b.concept(bug, name, Kind::Bug));
        let tracebacks = names.each_ref().map(|name| b.concept(traceback, name, Kind::Bug));
        let mark = |b: &mut Builder, surface: &str, glue| {
            b.vocabulary.intern(surface, glue, Role::Operator)
        };
        let digits = [Glue::NONE, Glue::LEFT].map(|glue| {
            core::array::from_fn(|digit| b.vocabulary.intern(&digit.to_string(), glue, Role::Digit))
        });
        Self {
            keyword,
            operator,
            bracket,
            variable,
            parameter,
            literal,
            definition,
            call,
            prompt,
            output,
            semantics,
            bugs,
            tracebacks,
            digits,
            operators: ["+", "-", "*", "/", "max"].map(|op| mark(b, op, Glue::NONE)),
            quotes: [b.word("“"), b.word("”")],
            prompts: [">>>", "?>"].map(|prompt| mark(b, prompt, Glue::NONE)),
            traceback: [b.word("Traceback"), b.word(":")],
            messages: MESSAGES.map(|messages| {
                messages
                    .map(|message| Template::read(b, message, &GAPS).expect("messages can be read"))
            }),
            minus: mark(b, "-", Glue::RIGHT),
            open: mark(b, "(", Glue::RIGHT),
            open_call: mark(b, "(", Glue::BOTH),
            close: mark(b, ")", Glue::LEFT),
            open_index: mark(b, "[", Glue::BOTH),
            open_square: mark(b, "[", Glue::RIGHT),
            close_square: mark(b, "]", Glue::LEFT),
            open_block: mark(b, "{", Glue::NONE),
            close_block: mark(b, "}", Glue::NONE),
            comma: b.word(","),
            period: b.word("."),
            colon: b.word(":"),
            colon_apart: mark(b, ":", Glue::NONE),
            question: mark(b, "?", Glue::NONE),
            semicolon: b.word(";"),
            assign: mark(b, "=", Glue::NONE),
            greater: mark(b, ">", Glue::NONE),
            indent: b.vocabulary.intern("    ", Glue::BOTH, Role::Punctuation),
            def: b.word("def"),
            int: b.word("int"),
            define: b.word("define"),
            return_: b.word("return"),
            if_: b.word("if"),
            else_: b.word("else"),
            in_: b.word("in"),
            list: b.word("list"),
            list_ref: b.word("list-ref"),
        }
    }
}

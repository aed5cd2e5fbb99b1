//! Damaged files through every parser: an error that names the file, or a value that holds together; no panic, and no
//! memory out of proportion to the file.
//!
//! A program of its own, since it measures the memory of the process: one file at a time. It damages 10,000 files in
//! all, the same ones each time; `--cases <n>` says how many, `--seed <n>` which, and a word runs the parsers that have
//! it in their names.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]
#![allow(clippy::print_stdout, reason = "a program tells what it does")]

mod archives;
mod damage;
mod data;
mod dictionaries;
mod models;
mod parser;
mod stores;
mod worlds;

use std::process::ExitCode;
use std::time::Instant;

use peak_alloc::PeakAlloc;

use parser::{Parser, Tally, peak_memory_kb};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Cases of all parsers together, where none are asked for.
const CASES: u64 = 10_000;
/// The most memory of the whole process, with what libraries in C allocate: the files here have kilobytes.
const MOST_KB: u64 = 400_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |option: &str, otherwise: u64| {
        let at = arguments.iter().position(|argument| argument == option);
        at.map_or(otherwise, |at| arguments[at + 1].parse().unwrap())
    };
    let (cases, seed) = (number("--cases", CASES), number("--seed", 7));
    let word = arguments.first().filter(|argument| !argument.starts_with('-'));

    let all = [data::parsers(), archives::parsers(), models::parsers(), stores::parsers()];
    let all = all.into_iter().flatten().chain(worlds::parsers()).chain(dictionaries::parsers());
    let chosen: Vec<Parser> =
        all.filter(|parser| word.is_none_or(|word| parser.name.contains(word.as_str()))).collect();
    let weights: u64 = chosen.iter().map(|parser| parser.weight).sum();
    let (mut sum, mut n_failed) = (Tally::default(), 0);
    for parser in &chosen {
        let begun = Instant::now();
        match parser.run((cases * parser.weight).div_ceil(weights), seed) {
            Ok(tally) => {
                sum = Tally { tried: sum.tried + tally.tried, read: sum.read + tally.read };
                let seconds = begun.elapsed().as_secs_f64();
                let Tally { tried, read } = tally;
                println!("{}: {tried} files, {read} read, {seconds:.1} s", parser.name);
            }
            Err(error) => {
                n_failed += 1;
                println!("{}: FAILED: {error}", parser.name);
            }
        }
    }
    let peak = peak_memory_kb();
    let Tally { tried, read } = sum;
    let memory = peak.map_or("unknown".to_owned(), |peak| format!("{} MB", peak / 1000));
    let n = chosen.len();
    println!(
        "mutations: {tried} files through {n} parsers, {read} read, {} refused by name, {n_failed} parsers failed; \
         peak memory {memory}",
        tried - read
    );
    let is_small = peak.is_none_or(|peak| peak < MOST_KB);
    if n_failed == 0 && is_small && n > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

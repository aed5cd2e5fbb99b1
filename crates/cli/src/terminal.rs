//! Lines for the person at the terminal.

use std::fmt::Arguments;
use std::io::Write as _;

/// Prints a line on standard output; nobody is left to tell if it cannot be written.
pub(crate) fn say(line: Arguments<'_>) {
    writeln!(std::io::stdout().lock(), "{line}").ok();
}

/// Prints a line on standard error; one that cannot be written is lost.
pub(crate) fn warn(line: Arguments<'_>) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

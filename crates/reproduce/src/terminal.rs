//! Lines for the person at the terminal.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};
use std::process::exit;

/// Prints a line on standard output. Where nobody reads on, as after `| head`, the program ends without a
/// complaint: there is nobody left to tell.
pub fn say(line: Arguments<'_>) {
    if let Err(error) = writeln!(std::io::stdout().lock(), "{line}") {
        if error.kind() == ErrorKind::BrokenPipe {
            exit(0);
        }
        warn(format_args!("error: cannot write to standard output: {error}"));
        exit(1);
    }
}

/// Prints a line on standard error; one that cannot be written is lost.
pub fn warn(line: Arguments<'_>) {
    writeln!(std::io::stderr().lock(), "{line}").ok();
}

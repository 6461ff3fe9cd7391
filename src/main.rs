//! The seewhen command. Everything is in the library; here is only the way in and out.

use std::process::ExitCode;

fn main() -> ExitCode {
    seewhen::cli::main()
}

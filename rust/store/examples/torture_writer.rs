//! Writes and checks the stores of `tests/torture`.
//!
//! ```text
//! torture_writer write FOLDER WORKLOAD [LEVEL [POLICY]]
//!                                               write a store; each line of standard output is a promise
//! torture_writer continue FOLDER WORKLOAD BACK [LEVEL [POLICY]]
//!                                               go on with what is left, without the last records
//! torture_writer export FOLDER TABLES           write the Parquet tables of a store
//! torture_writer check WORKLOAD                 check the store of each line of standard input
//! ```
//!
//! Record `n` of a workload is made from `n` alone, so a store is checked without its writer: what is visible
//! are the records 1, 2, ... up to some number, each bit for bit, and none that was promised is missing.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a program of the tests; where it panics, they fail"
)]

#[path = "torture/check.rs"]
mod check;
#[path = "torture/workload.rs"]
mod workload;
#[path = "torture/write.rs"]
mod write;

use std::env;
use std::process::ExitCode;

use workload::Workload;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["write", folder, workload, ref how @ ..] => {
            write::write(folder.as_ref(), &Workload::named(workload), how)
        }
        ["continue", folder, workload, back, ref how @ ..] => {
            let back = back.parse().unwrap();
            write::go_on(folder.as_ref(), &Workload::named(workload), back, how)
        }
        ["export", folder, tables] => write::export(folder.as_ref(), tables.as_ref()),
        ["check", workload] => check::answer(&Workload::named(workload)),
        _ => panic!("unknown arguments: {words:?}"),
    }
}

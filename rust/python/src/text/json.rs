//! JSON (RFC 8259) with the place of every value. What is not JSON is reported, and where it is plain what was meant,
//! reading goes on.
//!
//! Not read through the YAML parser: that one refuses surrogate pairs and takes comments, single quotes and bare words.

use std::ops::Range;

use super::json_mend::{applied, closed, look_alikes};
use super::json_slips::Slips;
use super::problem::{Code, DEPTH, Problem, Problems};
use super::shifts::Shifts;
use super::source::Source;
use super::tree::{Node, Reading, Value};

pub(super) fn read(source: &Source, problems: &mut Problems) -> Result<Reading, Problem> {
    if let Some(problem) = look_alikes(source.text()) {
        return read_mended(source, problem, problems);
    }
    let (first, found, unclosed) = attempt(source);
    if let Some(problem) = unclosed.and_then(|start| closed(source.text(), start)) {
        let mended = Source::new(applied(source.text(), &problem));
        if attempt(&mended).2.is_none() {
            return read_mended(source, problem, problems);
        }
    }
    for problem in found.into_vec() {
        problems.push(problem);
    }
    first
}

/// What one reading gave, and the bracket that may not be closed where the text ends too early.
fn attempt(source: &Source) -> (Result<Reading, Problem>, Problems, Option<usize>) {
    let mut problems = Problems::default();
    let mut scanner = Scanner {
        source,
        bytes: source.text().as_bytes(),
        offset: 0,
        open: Vec::new(),
        slips: Slips::default(),
        problems: &mut problems,
        cut: None,
        stopped: false,
        comma_forgiven: false,
        unclosed: None,
    };
    let reading = scanner.read_document();
    let unclosed = scanner.unclosed;
    (reading, problems, unclosed)
}

/// The text as the edits of `problem` make it, with every place where it stands in the text that was given.
fn read_mended(
    source: &Source,
    problem: Problem,
    problems: &mut Problems,
) -> Result<Reading, Problem> {
    let text = applied(source.text(), &problem);
    let mut shifts = Shifts::default();
    for (range, written) in problem.edits.iter().rev() {
        shifts.add(range.clone(), written.len());
    }
    let back = |offset| shifts.original(offset);
    problems.add(problem)?;
    let mut found = Problems::default();
    let result = read(&Source::new(text), &mut found);
    for mut problem in found.into_vec() {
        problem.shift(back);
        problems.push(problem);
    }
    match result {
        Ok(mut reading) => {
            if let Some(node) = &mut reading.root {
                node.shift(&back);
            }
            reading.cut = reading.cut.map(back);
            Ok(reading)
        }
        Err(mut problem) => {
            problem.shift(back);
            Err(problem)
        }
    }
}

pub(super) struct Scanner<'s> {
    pub(super) source: &'s Source,
    pub(super) bytes: &'s [u8],
    pub(super) offset: usize,
    /// Where the brackets stand that are open.
    pub(super) open: Vec<usize>,
    pub(super) slips: Slips,
    problems: &'s mut Problems,
    /// From here on the value is not what was meant.
    pub(super) cut: Option<usize>,
    pub(super) stopped: bool,
    /// A bracket that was not closed is reported; the comma behind it is missing for the same reason.
    pub(super) comma_forgiven: bool,
    /// The bracket that seems not to be closed, where the text ends while something is open.
    pub(super) unclosed: Option<usize>,
}

impl Scanner<'_> {
    fn read_document(&mut self) -> Result<Reading, Problem> {
        if self.source.text().starts_with('\u{feff}') {
            self.offset = '\u{feff}'.len_utf8();
        }
        if self.peek().is_none() {
            return Err(Problem::empty());
        }
        if let Some(key) = self.first_key() {
            let message = "this is YAML; a file whose name ends in `.json` is JSON";
            let hint = "call the file `.yaml`";
            return Err(Problem::syntax(key, message).hint(hint));
        }
        let root = self.read_value(0);
        match (&root, self.peek()) {
            (None, Some(_)) => self.stop(Problem::syntax(self.here(), "expected a value here")),
            (Some(node), Some(next)) => {
                if matches!(next, b',' | b'"') {
                    // A bracket that closes too early leaves the rest of the text outside.
                    self.cut = Some(node.range.end - 1);
                }
                let message = match next {
                    b'}' | b']' => "no bracket is open that this one could close",
                    _ => "the value is complete; nothing may follow it",
                };
                self.report(Problem::syntax(self.here(), message));
            }
            (_, None) => {}
        }
        for problem in self.slips.problems() {
            self.report(problem);
        }
        Ok(Reading {
            root,
            cut: self.cut,
        })
    }

    /// A key without quotes at the start of the text, with the colon behind it that YAML has.
    fn first_key(&self) -> Option<Range<usize>> {
        let word = self.word();
        let rest = &self.source.text()[word.end..];
        (!word.is_empty() && (rest.starts_with(": ") || rest.starts_with(":\n"))).then_some(word)
    }

    /// The next byte that is neither white space nor in a comment; none where reading has stopped.
    pub(super) fn peek(&mut self) -> Option<u8> {
        if self.stopped {
            return None;
        }
        loop {
            match self.bytes.get(self.offset) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.offset += 1,
                Some(b'#' | b'/') => match self.slips.comment(self.source, self.offset) {
                    Some(end) => self.offset = end,
                    None => return Some(b'/'),
                },
                other => return other.copied(),
            }
        }
    }

    pub(super) fn here(&self) -> Range<usize> {
        self.source.character(self.offset)
    }

    pub(super) fn report(&mut self, problem: Problem) {
        if self.stopped {
            return;
        }
        if let Err(limit) = self.problems.add(problem) {
            self.stopped = true;
            self.cut = Some(self.cut.unwrap_or(self.offset).min(self.offset));
            self.problems.push(limit);
        }
    }

    /// Report what cannot be read; everything that is open ends here.
    pub(super) fn stop(&mut self, problem: Problem) {
        self.report(problem);
        self.cut = Some(self.cut.unwrap_or(self.offset).min(self.offset));
        self.stopped = true;
    }

    pub(super) fn read_value(&mut self, depth: usize) -> Option<Node> {
        let next = self.peek()?;
        let start = self.offset;
        if matches!(next, b'{' | b'[') && depth == DEPTH {
            self.stop(Problem::depth(start..start + 1));
            return None;
        }
        let value = match next {
            b'{' => self.read_object(depth),
            b'[' => self.read_array(depth),
            b'"' | b'\'' => Value::String(self.read_string(next)),
            _ if is_word(next) => return Some(self.read_word()),
            _ => return None,
        };
        let range = start..self.offset;
        Some(Node { range, value })
    }

    /// What a number, a literal or a mistaken bare word is made of, from here on.
    pub(super) fn word(&self) -> Range<usize> {
        let rest = &self.bytes[self.offset..];
        let length = rest.iter().take_while(|&&byte| is_word(byte)).count();
        self.offset..self.offset + length
    }

    pub(super) fn refuse(&mut self, code: Code, range: Range<usize>, message: String) {
        self.report(Problem::new(code, range, message));
    }
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.' | b'$')
}

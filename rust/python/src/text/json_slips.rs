//! What is not JSON but a habit of another language, and so stands in many places of a text: one problem for each habit.

use std::ops::Range;

use super::problem::Problem;
use super::source::Source;

#[derive(Default)]
pub(super) struct Slips {
    comments: Vec<Range<usize>>,
    single_quotes: Vec<(Range<usize>, String)>,
    bare_keys: Vec<(Range<usize>, String)>,
    suspect: Option<usize>,
}

/// How many brackets of each kind stand in a text, outside of strings: closing minus opening.
#[derive(Clone, Copy)]
pub(super) struct Brackets {
    braces: isize,
    squares: isize,
}

impl Brackets {
    pub(super) fn has_too_many(self, close: u8) -> bool {
        match close {
            b'}' => self.braces > 0 && self.squares < 0,
            _ => self.squares > 0 && self.braces < 0,
        }
    }
}

impl Slips {
    /// The end of the comment that begins at `start`; none where none does.
    pub(super) fn comment(&mut self, source: &Source, start: usize) -> Option<usize> {
        let rest = &source.text()[start..];
        let length = if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("//") || rest.starts_with('#') {
            rest.find(['\n', '\r']).unwrap_or(rest.len())
        } else {
            return None;
        };
        let range = start..start + length;
        // What is read a second time has its comments already.
        if self.comments.last().is_none_or(|last| last.start < start) {
            self.comments.push(range);
        }
        Some(start + length)
    }

    pub(super) fn single_quotes(&mut self, range: Range<usize>, text: &str) {
        if self
            .single_quotes
            .last()
            .is_none_or(|(last, _)| last.start < range.start)
        {
            self.single_quotes.push((range, text.to_owned()));
        }
    }

    pub(super) fn bare_key(&mut self, range: Range<usize>, key: &str) {
        self.bare_keys.push((range, quoted(key)));
    }

    /// Remember the first bracket that is closed on another indentation than that of its line.
    pub(super) fn closed(&mut self, source: &Source, opener: Option<usize>, closer: usize) {
        let Some(opener) = opener else { return };
        let text = source.text();
        let (line, closing) = (line_start(text, opener), line_start(text, closer));
        let begins_line = text[closing..closer].trim().is_empty();
        let ends_line = text[opener + 1..].trim_start_matches([' ', '\t']);
        let ends_line = ends_line.starts_with(['\n', '\r']);
        let (own, other) = (indentation(text, line), closer - closing);
        let differs = if ends_line { own != other } else { own > other };
        if self.suspect.is_none() && begins_line && differs {
            self.suspect = Some(opener);
        }
    }

    pub(super) fn suspect(&self) -> Option<usize> {
        self.suspect
    }

    pub(super) fn problems(&mut self) -> Vec<Problem> {
        let comments = std::mem::take(&mut self.comments);
        let comments = comments.into_iter().map(|range| (range, String::new()));
        let strings = std::mem::take(&mut self.single_quotes).into_iter();
        let strings = strings.map(|(range, text)| (range, quoted(&text)));
        let keys = std::mem::take(&mut self.bare_keys);
        let mut found = Vec::new();
        found.extend(habit(
            comments.collect(),
            "JSON has no comments",
            "remove it, or write YAML",
        ));
        let message = "JSON strings are written in double quotes";
        found.extend(habit(strings.collect(), message, ""));
        let message = "keys are written in double quotes";
        found.extend(habit(keys, message, ""));
        found
    }
}

/// One problem for all places of a habit, with all its edits.
fn habit(places: Vec<(Range<usize>, String)>, message: &str, advice: &str) -> Option<Problem> {
    let (first, written) = places.first()?.clone();
    let more = match places.len() {
        1 => String::new(),
        2 => ", and in 1 other place".to_owned(),
        count => format!(", and in {} other places", count - 1),
    };
    let what = if advice.is_empty() {
        format!("write `{written}`")
    } else {
        advice.to_owned()
    };
    let mut problem = Problem::syntax(first, message).hint(format!("{what}{more}"));
    for (range, text) in places {
        problem = problem.edit(range, text);
    }
    Some(problem)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(super) fn line_start(text: &str, offset: usize) -> usize {
    text[..offset].rfind(['\n', '\r']).map_or(0, |end| end + 1)
}

pub(super) fn indentation(text: &str, start: usize) -> usize {
    let line = &text[start..];
    line.len() - line.trim_start_matches([' ', '\t']).len()
}

/// Brackets outside of strings. A text has this counted only where a bracket does not fit.
pub(super) fn count(bytes: &[u8]) -> Brackets {
    let mut brackets = Brackets {
        braces: 0,
        squares: 0,
    };
    let mut in_string = false;
    let mut escaped = false;
    for &byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => in_string = byte != b'\n',
            b'{' => brackets.braces -= 1,
            b'}' => brackets.braces += 1,
            b'[' => brackets.squares -= 1,
            b']' => brackets.squares += 1,
            _ => {}
        }
    }
    brackets
}

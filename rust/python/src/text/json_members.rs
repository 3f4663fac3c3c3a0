//! Arrays and objects of JSON, and what is wrong between their members.

use std::ops::Range;
use std::sync::Arc;

use super::json::{Scanner, is_word};
use super::json_slips::count;
use super::problem::Problem;
use super::scalar::shortened;
use super::tree::{Map, Member, Node, Value};

impl Scanner<'_> {
    pub(super) fn read_array(&mut self, depth: usize) -> Value {
        self.open_bracket();
        let mut items = Vec::new();
        while self.goes_on(b']') {
            let before = self.offset;
            let Some(node) = self.read_value(depth + 1) else {
                self.stop_inside("a value");
                break;
            };
            let end = self.offset;
            if matches!(node.value, Value::String(_)) && self.peek() == Some(b':') {
                // A key: the array ends before it.
                self.offset = before;
                self.unclosed(before..end, "expected ']' before this key");
                self.comma_forgiven = true;
                break;
            }
            items.push(node);
            self.separate(end, b']');
        }
        self.close_bracket();
        Value::List(items)
    }

    pub(super) fn read_object(&mut self, depth: usize) -> Value {
        self.open_bracket();
        let mut map = Map::default();
        while self.goes_on(b'}') {
            let before = self.offset;
            self.read_member(depth, &mut map);
            if self.offset == before {
                self.stop_inside("a key");
                break;
            }
            self.separate(self.offset, b'}');
        }
        self.close_bracket();
        Value::Map(map)
    }

    fn open_bracket(&mut self) {
        self.open.push(self.offset);
        self.offset += 1;
    }

    fn close_bracket(&mut self) {
        self.open.pop();
    }

    /// Whether something else comes than the bracket that closes what is open.
    fn goes_on(&mut self, close: u8) -> bool {
        loop {
            match self.peek() {
                Some(next @ (b']' | b'}')) if next == close || self.is_other_bracket(next) => {
                    self.slips
                        .closed(self.source, self.open.last().copied(), self.offset);
                    if next != close {
                        let text = char::from(close);
                        let message = format!("expected '{text}' here");
                        let opener = self.opened_here();
                        self.report(
                            Problem::syntax(self.here(), message)
                                .related(opener.0, opener.1)
                                .hint(format!("write `{text}`"))
                                .edit(self.here(), text),
                        );
                    }
                    self.offset += 1;
                    return false;
                }
                Some(b']' | b'}') => {
                    let text = char::from(close);
                    let message = format!("expected ',' or '{text}' here");
                    let (label, opener) = self.opened_here();
                    let before = self.offset..self.offset;
                    let problem = Problem::syntax(self.here(), message).related(label, opener);
                    let hint = format!("write `{text}` before it");
                    self.report(problem.hint(hint).edit(before, text));
                    return false;
                }
                Some(b',') => {
                    let comma = self.here();
                    let message = "nothing stands before this comma";
                    self.report(Problem::syntax(comma.clone(), message).remove(comma, "comma"));
                    self.offset += 1;
                }
                Some(_) => return true,
                None => {
                    self.end_of_file(close);
                    return false;
                }
            }
        }
    }

    /// Whether `next`, which closes nothing that is open here, is only the wrong bracket.
    fn is_other_bracket(&self, next: u8) -> bool {
        let opener = if next == b']' { b'[' } else { b'{' };
        let around = &self.open[..self.open.len().saturating_sub(1)];
        let could_close = around.iter().any(|&start| self.bytes[start] == opener);
        !could_close || count(self.bytes).has_too_many(next)
    }

    /// What stands between a value that ends at `end` and the next.
    fn separate(&mut self, end: usize, close: u8) {
        let forgiven = std::mem::take(&mut self.comma_forgiven);
        match self.peek() {
            Some(b',') => {
                let comma = self.offset..self.offset + 1;
                self.offset += 1;
                if self.peek() == Some(close) {
                    let message = format!("JSON has no comma before '{}'", char::from(close));
                    self.report(Problem::syntax(comma.clone(), message).remove(comma, "comma"));
                }
            }
            Some(b';') => {
                let problem = Problem::syntax(self.here(), "expected ',' here");
                self.report(problem.hint("write `,`").edit(self.here(), ","));
                self.offset += 1;
            }
            Some(next) if matches!(next, b'"' | b'\'' | b'{' | b'[') || is_word(next) => {
                if !forgiven && !self.stopped {
                    let problem = Problem::syntax(end..end, "a comma is missing here");
                    self.report(problem.hint("write `,`").edit(end..end, ","));
                }
            }
            Some(b']' | b'}') | None => {}
            Some(_) => {
                let message = format!("expected ',' or '{}' here", char::from(close));
                self.unclosed(self.here(), &message);
                self.stop_silently();
            }
        }
    }

    fn read_member(&mut self, depth: usize, map: &mut Map) {
        let Some(next) = self.peek() else { return };
        let start = self.offset;
        let key = match next {
            b'"' | b'\'' => self.read_string(next),
            _ if next.is_ascii_digit() && self.read_decimal_comma(map) => return,
            _ if is_word(next) => {
                let range = self.word();
                self.offset = range.end;
                let key = &self.source.text()[range.clone()];
                self.slips.bare_key(range, key);
                key.to_owned()
            }
            _ => return,
        };
        let key_range = start..self.offset;
        let node = if self.read_colon(&key, &key_range) {
            self.peek();
            self.read_value(depth + 1).unwrap_or_else(|| {
                let range = self.here();
                if matches!(self.peek(), Some(b',' | b'}' | b']') | None) {
                    self.report(Problem::syntax(range.clone(), "expected a value here"));
                } else {
                    self.stop(Problem::syntax(range.clone(), "expected a value here"));
                }
                absent(range)
            })
        } else {
            absent(key_range.clone())
        };
        let key = Arc::<str>::from(key);
        let member = Member {
            key: Arc::clone(&key),
            key_range: key_range.clone(),
            node,
        };
        if let Err(first) = map.insert(member) {
            self.report(Problem::duplicate_key(self.source, &key, key_range, first));
        }
    }

    /// Whether a value can follow the key.
    fn read_colon(&mut self, key: &str, range: &Range<usize>) -> bool {
        let key = shortened(key);
        match self.peek() {
            Some(b':') => {
                self.offset += 1;
                true
            }
            Some(b'=') => {
                let problem = Problem::syntax(self.here(), "expected ':' here, not '='");
                self.report(problem.hint("write `:`").edit(self.here(), ":"));
                self.offset += 1;
                true
            }
            Some(next) if matches!(next, b'"' | b'\'' | b'{' | b'[') || is_word(next) => {
                let end = range.end..range.end;
                let message = format!("expected ':' after the key {key:?}");
                let problem = Problem::syntax(self.here(), message);
                self.report(problem.hint("write `:`").edit(end, ":"));
                true
            }
            Some(b',' | b'}' | b']') => {
                let message = format!("expected ':' and a value after the key {key:?}");
                self.report(Problem::syntax(range.clone(), message));
                false
            }
            _ => {
                let message = format!("expected ':' after the key {key:?}");
                self.stop(Problem::syntax(self.here(), message));
                false
            }
        }
    }

    /// `0,001`: two numbers to JSON, of which the second cannot be a key.
    fn read_decimal_comma(&mut self, map: &mut Map) -> bool {
        let start = self.offset;
        let Some(last) = map.last_mut() else {
            return false;
        };
        let is_number = matches!(last.value, Value::Integer(_));
        if !is_number || last.range.end + 1 != start || self.bytes[start - 1] != b',' {
            return false;
        }
        let end = self.word().end;
        let written = &self.source.text()[last.range.start..end];
        let meant = written.replace(',', ".");
        let Ok(number) = meant.parse::<f64>() else {
            return false;
        };
        last.range.end = end;
        last.value = Value::Float(number);
        let range = last.range.clone();
        self.offset = end;
        let problem = Problem::syntax(range.clone(), "a number has a point, not a comma");
        self.report(problem.hint(format!("write `{meant}`")).edit(range, meant));
        true
    }

    fn opened_here(&self) -> (&'static str, Range<usize>) {
        let start = self.open.last().copied().unwrap_or_default();
        let label = match self.bytes[start] {
            b'{' => "object opened here",
            _ => "array opened here",
        };
        (label, start..start + 1)
    }

    fn unclosed(&mut self, range: Range<usize>, message: &str) {
        let (label, opener) = self.opened_here();
        self.report(Problem::syntax(range, message).related(label, opener));
    }

    fn stop_inside(&mut self, expected: &str) {
        if self.stopped {
            return;
        }
        let message = format!("expected {expected} here");
        self.unclosed(self.here(), &message);
        self.stop_silently();
    }

    fn stop_silently(&mut self) {
        self.cut = Some(self.cut.unwrap_or(self.offset).min(self.offset));
        self.stopped = true;
    }

    /// The text ends while something is open; what is missing may be more than a bracket.
    fn end_of_file(&mut self, close: u8) {
        if self.stopped {
            return;
        }
        let end = self.source.text().trim_end().len();
        let close = char::from(close);
        let message = format!("expected ',' or '{close}' before the file ends");
        let problem = Problem::syntax(end..end, message);
        let problem = match self.slips.suspect() {
            Some(start) => {
                let label = "this one may be what is not closed";
                problem.related(label, start..start + 1)
            }
            None => {
                let (label, opener) = self.opened_here();
                let hint = format!("write `{close}`");
                problem
                    .related(label, opener)
                    .hint(hint)
                    .edit(end..end, close)
            }
        };
        self.unclosed = self.slips.suspect();
        self.offset = end;
        self.stop(problem);
    }
}

/// Stands for a value that is missing and reported.
fn absent(range: Range<usize>) -> Node {
    let value = Value::Null;
    Node { range, value }
}

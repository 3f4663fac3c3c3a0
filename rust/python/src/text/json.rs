//! Strict JSON (RFC 8259) with the place of every value.
//!
//! Not read through the YAML parser: that one refuses surrogate pairs and takes comments, single quotes and bare words.

use std::ops::Range;
use std::sync::Arc;

use super::problem::{Code, DEPTH, Problem, Problems};
use super::scalar::{self, shortened};
use super::source::Source;
use super::tree::{Map, Member, Node, Value};

pub(super) fn read(source: &Source, problems: &mut Problems) -> Result<Node, Problem> {
    let mut scanner = Scanner {
        source,
        bytes: source.text().as_bytes(),
        offset: 0,
        problems,
    };
    scanner.read_document()
}

struct Scanner<'s> {
    source: &'s Source,
    bytes: &'s [u8],
    offset: usize,
    problems: &'s mut Problems,
}

impl Scanner<'_> {
    fn read_document(&mut self) -> Result<Node, Problem> {
        if self.source.text().starts_with('\u{feff}') {
            self.offset = '\u{feff}'.len_utf8();
        }
        if self.peek().is_none() {
            return Err(Problem::empty());
        }
        let node = self.read_value(0, "a value")?;
        match self.peek() {
            None => Ok(node),
            Some(b'#' | b'/') => Err(self.unexpected("nothing")),
            Some(_) => {
                let range = self.source.character(self.offset);
                Err(Problem::syntax(
                    range,
                    "the value is complete; nothing may follow it",
                ))
            }
        }
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.bytes.get(self.offset) {
            self.offset += 1;
        }
        self.bytes.get(self.offset).copied()
    }

    fn unexpected(&self, expected: &str) -> Problem {
        let range = self.source.character(self.offset);
        match self.bytes.get(self.offset) {
            Some(b'#' | b'/') => Problem::syntax(range, "JSON has no comments"),
            Some(b'\'') => Problem::syntax(range, "JSON strings are written in double quotes"),
            Some(_) => Problem::syntax(range, format!("expected {expected} here")),
            None => Problem::syntax(range, format!("expected {expected} before the file ends")),
        }
    }

    fn unclosed(&self, expected: &str, name: &str, label: &'static str, start: usize) -> Problem {
        let mut problem = self.unexpected(expected);
        if !problem.message.starts_with("expected") {
            return problem;
        }
        let place = self.source.place(start);
        problem.message = format!("{}; the {name} opened at {place}", problem.message);
        problem.related(label, start..start + 1)
    }

    fn read_value(&mut self, depth: usize, expected: &str) -> Result<Node, Problem> {
        match self.peek() {
            Some(b'{') => self.read_object(depth),
            Some(b'[') => self.read_array(depth),
            Some(b'"') => {
                let start = self.offset;
                let text = self.read_string()?;
                Ok(self.node(start, Value::String(text)))
            }
            Some(byte) if is_word(byte) => self.read_word(),
            _ => Err(self.unexpected(expected)),
        }
    }

    fn node(&self, start: usize, value: Value) -> Node {
        Node {
            range: start..self.offset,
            value,
        }
    }

    fn open(&mut self, depth: usize) -> Result<usize, Problem> {
        let start = self.offset;
        if depth == DEPTH {
            return Err(Problem::depth(start..start + 1));
        }
        self.offset += 1;
        Ok(start)
    }

    fn read_array(&mut self, depth: usize) -> Result<Node, Problem> {
        let start = self.open(depth)?;
        let mut items = Vec::new();
        if self.peek() != Some(b']') {
            loop {
                items.push(self.read_value(depth + 1, "a value")?);
                match self.peek() {
                    Some(b',') => self.skip_comma(b']')?,
                    Some(b']') => break,
                    _ => {
                        return Err(self.unclosed(
                            "',' or ']'",
                            "array",
                            "array opened here",
                            start,
                        ));
                    }
                }
            }
        }
        self.offset += 1;
        Ok(self.node(start, Value::List(items)))
    }

    fn read_object(&mut self, depth: usize) -> Result<Node, Problem> {
        let start = self.open(depth)?;
        let mut map = Map::default();
        if self.peek() != Some(b'}') {
            loop {
                let member = self.read_member(depth, start)?;
                let (key, range) = (Arc::clone(&member.key), member.key_range.clone());
                if let Err(first) = map.insert(member) {
                    let problem = Problem::duplicate_key(self.source, &key, range, first);
                    self.problems.add(problem)?;
                }
                match self.peek() {
                    Some(b',') => self.skip_comma(b'}')?,
                    Some(b'}') => break,
                    _ => {
                        return Err(self.unclosed(
                            "',' or '}'",
                            "object",
                            "object opened here",
                            start,
                        ));
                    }
                }
            }
        }
        self.offset += 1;
        Ok(self.node(start, Value::Map(map)))
    }

    fn read_member(&mut self, depth: usize, object: usize) -> Result<Member, Problem> {
        match self.peek() {
            Some(b'"') => {}
            Some(byte) if is_word(byte) => {
                let range = self.word();
                return Err(Problem::syntax(range, "keys are written in double quotes"));
            }
            _ => return Err(self.unclosed("a key", "object", "object opened here", object)),
        }
        let start = self.offset;
        let key = self.read_string()?;
        let key_range = start..self.offset;
        if self.peek() != Some(b':') {
            return Err(self.unexpected(&format!("':' after the key {:?}", shortened(&key))));
        }
        self.offset += 1;
        Ok(Member {
            node: self.read_value(depth + 1, "a value")?,
            key: key.into(),
            key_range,
        })
    }

    fn skip_comma(&mut self, close: u8) -> Result<(), Problem> {
        let comma = self.offset;
        self.offset += 1;
        if self.peek() == Some(close) {
            let message = format!("JSON has no comma before '{}'", char::from(close));
            return Err(Problem::syntax(comma..comma + 1, message));
        }
        Ok(())
    }

    fn word(&self) -> Range<usize> {
        let rest = &self.bytes[self.offset..];
        let length = rest.iter().take_while(|&&byte| is_word(byte)).count();
        self.offset..self.offset + length
    }

    fn read_word(&mut self) -> Result<Node, Problem> {
        let range = self.word();
        let text = &self.source.text()[range.clone()];
        self.offset = range.end;
        let value = match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "null" => Value::Null,
            _ => match scalar::json_number(text) {
                Some(Ok(value)) => value,
                Some(Err(fault)) => {
                    self.problems
                        .add(Problem::new(Code::Number, range.clone(), fault.message))?;
                    fault.nearest
                }
                None => self.refuse_word(range.clone(), text)?,
            },
        };
        Ok(Node { range, value })
    }

    fn refuse_word(&mut self, range: Range<usize>, text: &str) -> Result<Value, Problem> {
        let name = shortened(text);
        let not_finite = match text.trim_start_matches(['-', '+']) {
            "NaN" | "nan" => Some(f64::NAN),
            "Infinity" | "inf" if text.starts_with('-') => Some(f64::NEG_INFINITY),
            "Infinity" | "inf" => Some(f64::INFINITY),
            _ => None,
        };
        if let Some(number) = not_finite {
            let message = format!("`{name}` is not JSON; use a string or omit the key");
            self.problems
                .add(Problem::new(Code::NotJson, range, message))?;
            return Ok(Value::Float(number));
        }
        let message = match text.to_ascii_lowercase().as_str() {
            small @ ("true" | "false" | "null") => format!("`{name}` is not JSON; write `{small}`"),
            "none" => format!("`{name}` is not JSON; write `null`"),
            _ if text.starts_with(|first: char| !first.is_ascii_alphabetic() && first != '_') => {
                format!("`{name}` is not a number of JSON")
            }
            _ => format!("`{name}` is not JSON; strings are written in double quotes"),
        };
        Err(Problem::syntax(range, message))
    }

    fn read_string(&mut self) -> Result<String, Problem> {
        let start = self.offset;
        let mut text = String::new();
        self.offset += 1;
        loop {
            let rest = &self.bytes[self.offset..];
            let plain = rest.iter().take_while(|&&byte| !is_special(byte)).count();
            text.push_str(&self.source.text()[self.offset..self.offset + plain]);
            self.offset += plain;
            match self.bytes.get(self.offset) {
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.read_escape()?),
                None | Some(b'\n' | b'\r') => {
                    let message =
                        "this string is not closed on its line; a line break is written \\n";
                    return Err(Problem::syntax(start..self.offset, message));
                }
                Some(&control) => {
                    let range = self.source.character(self.offset);
                    let message = format!("a string holds this character only as \\u{control:04x}");
                    return Err(Problem::syntax(range, message));
                }
            }
        }
    }

    fn read_escape(&mut self) -> Result<char, Problem> {
        let start = self.offset;
        let character = match self.bytes.get(start + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'u') => return self.read_unicode_escape(),
            Some(_) => {
                let range = start..self.source.character(start + 1).end;
                let message = "JSON does not know this escape; a backslash is written \\\\";
                return Err(Problem::syntax(range, message));
            }
            None => {
                return Err(Problem::syntax(
                    start..start + 1,
                    "the file ends in a string",
                ));
            }
        };
        self.offset += 2;
        Ok(character)
    }

    fn read_unicode_escape(&mut self) -> Result<char, Problem> {
        let start = self.offset;
        let high = self.read_code_unit()?;
        let mut units = vec![high];
        if (0xd800..0xdc00).contains(&high) && self.bytes[self.offset..].starts_with(b"\\u") {
            units.push(self.read_code_unit()?);
        }
        match char::decode_utf16(units.iter().copied()).next() {
            Some(Ok(character)) => Ok(character),
            _ => {
                let message = "this escape is half of a surrogate pair; the other half is missing";
                Err(Problem::syntax(start..start + 6, message))
            }
        }
    }

    fn read_code_unit(&mut self) -> Result<u16, Problem> {
        let start = self.offset;
        let digits = self.bytes[start + 2..].iter().take(4);
        let hexadecimal = digits.take_while(|byte| byte.is_ascii_hexdigit()).count();
        let end = start + 2 + hexadecimal;
        let unit = u16::from_str_radix(&self.source.text()[start + 2..end], 16);
        match unit {
            Ok(unit) if hexadecimal == 4 => {
                self.offset = end;
                Ok(unit)
            }
            _ => Err(Problem::syntax(
                start..end,
                "\\u is followed by four hexadecimal digits",
            )),
        }
    }
}

/// What a number, a literal or a mistaken bare word is made of.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'.' | b'$')
}

fn is_special(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\')
}

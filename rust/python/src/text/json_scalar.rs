//! Strings, numbers and literals of JSON, and what is written instead of them.

use std::ops::Range;

use super::json::Scanner;
use super::problem::{Code, Problem};
use super::scalar::{self, shortened};
use super::tree::{Node, Value};

impl Scanner<'_> {
    pub(super) fn read_word(&mut self) -> Node {
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
                    self.refuse(Code::Number, range.clone(), fault.message);
                    fault.nearest
                }
                None => return self.read_wrong_word(range),
            },
        };
        Node { range, value }
    }

    fn read_wrong_word(&mut self, range: Range<usize>) -> Node {
        let text = &self.source.text()[range.clone()];
        let name = shortened(text);
        let not_finite = match text.trim_start_matches(['-', '+']) {
            "NaN" | "nan" => Some(f64::NAN),
            "Infinity" | "inf" if text.starts_with('-') => Some(f64::NEG_INFINITY),
            "Infinity" | "inf" => Some(f64::INFINITY),
            _ => None,
        };
        if let Some(number) = not_finite {
            let message = format!("`{name}` is not JSON; use a string or omit the key");
            self.refuse(Code::NotJson, range.clone(), message);
            let value = Value::Float(number);
            return Node { range, value };
        }
        let literal = match text.to_ascii_lowercase().as_str() {
            "true" => Some(("true", Value::Bool(true))),
            "false" => Some(("false", Value::Bool(false))),
            "null" | "none" => Some(("null", Value::Null)),
            _ => None,
        };
        if let Some((written, value)) = literal {
            let message = format!("`{name}` is not JSON");
            self.report_instead(range.clone(), message, written.to_owned());
            return Node { range, value };
        }
        if text.starts_with(|first: char| !first.is_ascii_alphabetic() && first != '_') {
            return self.read_wrong_number(range);
        }
        self.read_bare_text(range)
    }

    fn read_wrong_number(&mut self, range: Range<usize>) -> Node {
        let text = &self.source.text()[range.clone()];
        let message = format!("`{}` is not a number of JSON", shortened(text));
        let bare: String = text.chars().filter(|&digit| digit != '_').collect();
        match scalar::plain(&bare) {
            Ok(value @ (Value::Integer(_) | Value::Float(_))) => {
                let written = match &value {
                    Value::Integer(number) => number.to_string(),
                    Value::Float(number) => format!("{number:?}"),
                    _ => String::new(),
                };
                self.report_instead(range.clone(), message, written);
                Node { range, value }
            }
            _ => {
                self.refuse(Code::Syntax, range.clone(), message);
                let value = Value::String(text.to_owned());
                Node { range, value }
            }
        }
    }

    /// A string without quotes, up to what ends a value.
    fn read_bare_text(&mut self, word: Range<usize>) -> Node {
        let rest = &self.source.text()[word.start..];
        let end = rest
            .find([',', '}', ']', '{', '[', ':', '"', '\n', '\r'])
            .unwrap_or(rest.len());
        let text = rest[..end].trim_end();
        let range = word.start..(word.start + text.len()).max(word.end);
        self.offset = range.end;
        let written = &self.source.text()[range.clone()];
        let name = shortened(written);
        let message = if self.bytes.get(range.end) == Some(&b'"') {
            self.offset += 1;
            format!("`{name}\"` has no opening quote")
        } else {
            format!("`{name}` is not JSON; strings are written in double quotes")
        };
        let value = Value::String(written.to_owned());
        let whole = range.start..self.offset;
        self.report_instead(whole, message, format!("\"{written}\""));
        Node { range, value }
    }

    fn report_instead(&mut self, range: Range<usize>, message: String, written: String) {
        let hint = format!("write `{}`", shortened(&written));
        let problem = Problem::syntax(range.clone(), message);
        self.report(problem.hint(hint).edit(range, written));
    }

    pub(super) fn read_string(&mut self, quote: u8) -> String {
        let start = self.offset;
        let mut text = String::new();
        self.offset += 1;
        loop {
            let rest = &self.bytes[self.offset..];
            let plain = rest
                .iter()
                .take_while(|&&byte| byte >= 0x20 && byte != quote && byte != b'\\');
            let plain = plain.count();
            text.push_str(&self.source.text()[self.offset..self.offset + plain]);
            self.offset += plain;
            match self.bytes.get(self.offset) {
                Some(&next) if next == quote => {
                    self.offset += 1;
                    if quote == b'\'' {
                        self.slips.single_quotes(start..self.offset, &text);
                    }
                    self.check_end_of_string(start);
                    return text;
                }
                Some(b'\\') => text.push(self.read_escape(quote)),
                None | Some(b'\n' | b'\r') => return self.end_unclosed_string(start, text),
                Some(&control) => {
                    let range = self.source.character(self.offset);
                    let message = format!("a string holds this character only as \\u{control:04x}");
                    self.report_instead(range, message, format!("\\u{control:04x}"));
                    text.push(char::from(control));
                    self.offset += 1;
                }
            }
        }
    }

    /// Where a word follows at once, the quote that seems to end this string begins another.
    fn check_end_of_string(&mut self, start: usize) {
        let next = self.bytes.get(self.offset);
        if next.is_some_and(|next| next.is_ascii_alphanumeric() || *next == b'_') {
            let message = "a quote is missing in or before this string";
            self.stop(Problem::syntax(start..self.offset, message));
        }
    }

    /// What follows a string on its line, a comma and brackets, is taken out of it again.
    fn end_unclosed_string(&mut self, start: usize, mut text: String) -> String {
        let line = self.source.text()[start + 1..self.offset].trim_end();
        let kept = line.trim_end_matches([',', '}', ']', ' ']).len();
        let end = start + 1 + kept;
        let message = "this string is not closed on its line; a line break is written \\n";
        let problem = Problem::syntax(start..self.offset, message);
        let removed = self.offset - end;
        self.report(problem.hint("close it with `\"`").edit(end..end, "\""));
        text.truncate(text.len().saturating_sub(removed));
        self.offset = end;
        text
    }

    fn read_escape(&mut self, quote: u8) -> char {
        let start = self.offset;
        let character = match self.bytes.get(start + 1) {
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(&byte) if byte == quote => char::from(byte),
            Some(b'u') => return self.read_unicode_escape(),
            _ => {
                let range = start..self.source.character(start + 1).end;
                let message = "JSON does not know this escape; a backslash is written \\\\";
                let backslash = start..start + 1;
                let problem = Problem::syntax(range, message).hint("write `\\\\`");
                self.report(problem.edit(backslash, "\\\\"));
                self.offset += 1;
                return '\\';
            }
        };
        self.offset += 2;
        character
    }

    fn read_unicode_escape(&mut self) -> char {
        let start = self.offset;
        let Some(high) = self.read_code_unit() else {
            return char::REPLACEMENT_CHARACTER;
        };
        let mut units = vec![high];
        if (0xd800..0xdc00).contains(&high) && self.bytes[self.offset..].starts_with(b"\\u") {
            match self.read_code_unit() {
                Some(low) => units.push(low),
                None => return char::REPLACEMENT_CHARACTER,
            }
        }
        match char::decode_utf16(units.iter().copied()).next() {
            Some(Ok(character)) => character,
            _ => {
                let message = "this escape is half of a surrogate pair; the other half is missing";
                self.report(Problem::syntax(start..start + 6, message));
                char::REPLACEMENT_CHARACTER
            }
        }
    }

    fn read_code_unit(&mut self) -> Option<u16> {
        let start = self.offset;
        let digits = self.bytes[start + 2..].iter().take(4);
        let hexadecimal = digits.take_while(|byte| byte.is_ascii_hexdigit()).count();
        let end = start + 2 + hexadecimal;
        self.offset = end;
        if hexadecimal == 4 {
            return u16::from_str_radix(&self.source.text()[start + 2..end], 16).ok();
        }
        let message = "\\u is followed by four hexadecimal digits";
        self.report(Problem::syntax(start..end, message));
        None
    }
}

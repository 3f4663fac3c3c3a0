//! Slips inside the brackets of a line of YAML.

use std::ops::Range;

use super::problem::Problem;
use super::scalar::shortened;
use super::yaml_lines::Line;

impl Line<'_> {
    /// `{a: [2}`, where a bracket is missing, and `[2}`, where it is another one.
    pub(super) fn other_brackets(&self) -> Vec<Problem> {
        let (start, content) = self.content();
        let mut open: Vec<(usize, char)> = Vec::new();
        let mut quote = None;
        for (offset, character) in content.char_indices() {
            match (quote, character) {
                (Some(opened), _) if opened == character => quote = None,
                (None, '"' | '\'') => quote = Some(character),
                (None, '[' | '{') => open.push((start + offset, character)),
                (None, ']' | '}') => {
                    let Some((opened, opener)) = open.pop() else {
                        break;
                    };
                    if closing(opener) == character {
                        continue;
                    }
                    let place = start + offset;
                    let missing = closing(opener).to_string();
                    return vec![
                        not_closed(opener, opened, place..place, missing),
                        of_another(opener, opened, place, character),
                    ];
                }
                _ => {}
            }
        }
        Vec::new()
    }

    /// Entries of a mapping in brackets that nothing parts: `{use: adam lr: 0.1}`, `{use: adam; lr: 0.1}`,
    /// `{use: adam,, lr: 0.1}`; or a value with a colon in it, `{title: one: two}`.
    pub(super) fn entries(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let mut open: Vec<char> = Vec::new();
        let mut quote = None;
        // Where the entry began, and where the value of its first colon does.
        let (mut entry, mut value) = (0, None);
        for (offset, character) in content.char_indices() {
            let rest = &content[offset + character.len_utf8()..];
            match (quote, character) {
                (Some(opened), _) if opened == character => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') => quote = Some(character),
                (None, '[' | '{') => {
                    open.push(character);
                    (entry, value) = (offset + 1, None);
                }
                (None, ']' | '}') => {
                    open.pop();
                    // What is behind a bracket belongs to the entry around it, whose colon was before.
                    (entry, value) = (offset + 1, None);
                }
                (None, ',') if !open.is_empty() => {
                    if content[entry..offset].trim().is_empty() && !before(content, offset) {
                        let range = start + offset..start + offset + 1;
                        let message = "nothing stands before this comma";
                        return Some(
                            Problem::syntax(range.clone(), message).remove(range, "comma"),
                        );
                    }
                    (entry, value) = (offset + 1, None);
                }
                (None, ':') if open.last() == Some(&'{') && rest.starts_with(' ') => match value {
                    None => value = Some(offset + 2),
                    Some(from) => return Some(unparted(content, start, from, offset)),
                },
                _ => {}
            }
        }
        None
    }

    fn brackets(&self) -> (Vec<(usize, char)>, Option<usize>) {
        let (start, content) = self.content();
        let mut open: Vec<(usize, char)> = Vec::new();
        let mut extra = None;
        let mut quote = None;
        for (offset, character) in content.char_indices() {
            match (quote, character) {
                (Some(opened), _) if opened == character => quote = None,
                (None, '"' | '\'') => quote = Some(character),
                (None, '[' | '{') => open.push((start + offset, character)),
                (None, ']' | '}') if open.pop().is_none() => {
                    extra = extra.or(Some(start + offset));
                }
                _ => {}
            }
        }
        (open, extra)
    }

    /// Brackets that the line opens and does not close.
    pub(super) fn open_bracket(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let (open, _) = self.brackets();
        let &(first, _) = open.first()?;
        let &(_, last) = open.last()?;
        let closing: String = open
            .iter()
            .rev()
            .map(|&(_, opener)| closing(opener))
            .collect();
        let trimmed = content.trim_end_matches([',', ' ']).len();
        let end = start + trimmed;
        Some(not_closed(last, first, end..start + content.len(), closing))
    }

    pub(super) fn extra_bracket(&self) -> Option<Problem> {
        let (_, extra) = self.brackets();
        let range = extra?..extra? + 1;
        let message = "no bracket is open that this one could close";
        Some(Problem::syntax(range.clone(), message).remove(range, "bracket"))
    }
}

fn closing(opener: char) -> char {
    if opener == '[' { ']' } else { '}' }
}

fn called(opener: char) -> &'static str {
    if opener == '[' { "list" } else { "mapping" }
}

/// The innermost bracket that is open is `opener`; `written` takes the place of `gap`.
fn not_closed(opener: char, opened: usize, gap: Range<usize>, written: String) -> Problem {
    let name = called(opener);
    let message = format!("the {name} is not closed: expected '{written}' here");
    Problem::syntax(gap.start..gap.start, message)
        .related("opened here", opened..opened + 1)
        .hint(format!("write `{written}`"))
        .edit(gap, written)
}

fn of_another(opener: char, opened: usize, place: usize, found: char) -> Problem {
    let message = format!("'{found}' does not close a {}", called(opener));
    Problem::syntax(place..place + 1, message)
        .related("opened here", opened..opened + 1)
        .hint(format!("write `{}`", closing(opener)))
        .edit(place..place + 1, closing(opener))
}

/// Whether a bracket was closed before this comma.
fn before(content: &str, comma: usize) -> bool {
    content[..comma].trim_end().ends_with([']', '}', '"', '\''])
}

/// A second colon in the entry whose value begins at `from`.
fn unparted(content: &str, start: usize, from: usize, colon: usize) -> Problem {
    let said = &content[from..colon];
    let written = said.trim_start();
    let from = from + said.len() - written.len();
    let Some(gap) = written.rfind(' ') else {
        let end = content[colon..].find([',', '}', ']']);
        let end = end.map_or(content.len(), |length| colon + length);
        let value = content[from..end].trim_end();
        let range = start + from..start + from + value.len();
        let quoted = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let message = "a value that contains ': ' is written in quotes";
        let hint = format!("write `{}`", shortened(&quoted));
        return Problem::syntax(range.clone(), message)
            .hint(hint)
            .edit(range, quoted);
    };
    let value = written[..gap].trim_end().trim_end_matches(';');
    let key = &written[gap + 1..];
    let place = start + from + value.len()..start + from + gap;
    let shown = place.start..place.end.max(place.start + 1);
    Problem::syntax(shown, format!("a comma is missing before `{key}`"))
        .hint(format!("write `{}, {key}: `", shortened(value)))
        .edit(place, ",")
}

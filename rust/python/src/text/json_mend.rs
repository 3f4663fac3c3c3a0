//! Slips in JSON that are mended in the text, after which it is read once more.

use super::json_slips::{indentation, line_start};
use super::look_alikes::{meant, problem};
use super::problem::Problem;

pub(super) fn applied(text: &str, problem: &Problem) -> String {
    let mut text = text.to_owned();
    for (range, written) in problem.edits.iter().rev() {
        text.replace_range(range.clone(), written);
    }
    text
}

/// Characters outside of strings that only look like those of JSON.
pub(super) fn look_alikes(text: &str) -> Option<Problem> {
    if text.is_ascii() {
        return None;
    }
    let mut found = Vec::new();
    let (mut in_string, mut escaped, mut in_comment) = (false, false, false);
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        let meant = meant(character).filter(|&meant| meant != "-");
        match character {
            '\n' => (in_string, in_comment) = (false, false),
            _ if in_comment => {}
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            '#' if !in_string => in_comment = true,
            '/' if !in_string && before == '/' => in_comment = true,
            // What a curly quote began, one of either kind ends.
            _ if meant == Some("\"") && (!in_string || !found.is_empty()) => {
                found.push((at, character, "\""));
                in_string = !in_string;
            }
            _ if !in_string => found.extend(meant.map(|meant| (at, character, meant))),
            _ => {}
        }
        before = character;
    }
    problem(found.into_iter())
}

/// The bracket that `start` lacks: it belongs before the first line that is not indented deeper.
pub(super) fn closed(text: &str, start: usize) -> Option<Problem> {
    let own = indentation(text, line_start(text, start));
    let mut end = None;
    let mut at = start;
    let next = loop {
        let line = &text[at..];
        let length = line.find('\n').unwrap_or(line.len());
        if at > start && !line[..length].trim().is_empty() && indentation(text, at) <= own {
            break line[..length].trim_start();
        }
        if !line[..length].trim().is_empty() {
            end = Some(at + line[..length].trim_end().len());
        }
        if length == line.len() {
            return None;
        }
        at += length + 1;
    };
    let end = end?;
    let (bracket, name) = match text.as_bytes()[start] {
        b'{' => ("}", "object"),
        _ => ("]", "array"),
    };
    let before_comma = text[..end].trim_end_matches(',').len();
    let goes_on = next.starts_with(['"', '{', '[']) && before_comma == end;
    let written = if goes_on {
        format!("{bracket},")
    } else {
        bracket.to_owned()
    };
    let message = format!("the {name} is not closed: expected '{bracket}' here");
    Some(
        Problem::syntax(before_comma..before_comma, message)
            .related("opened here", start..start + 1)
            .hint(format!("write `{written}`"))
            .edit(before_comma..before_comma, written),
    )
}

//! Characters that look like those of a format and are others, as a word processor or another keyboard writes them.

use super::problem::Problem;
use super::yaml_lines::Line;

/// What a character was meant as; none where it looks like nothing that a format needs.
pub(super) fn meant(character: char) -> Option<&'static str> {
    Some(match character {
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2022}' | '\u{ff0d}' => "-",
        '\u{ff1a}' | '\u{2236}' => ":",
        '\u{ff0c}' | '\u{3001}' => ",",
        '\u{ff5b}' => "{",
        '\u{ff5d}' => "}",
        '\u{ff3b}' => "[",
        '\u{ff3d}' => "]",
        '\u{201c}'..='\u{201f}' | '\u{ff02}' => "\"",
        '\u{2018}'..='\u{201b}' | '\u{ff07}' => "'",
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => " ",
        _ => return None,
    })
}

/// The first of the characters, and all of them as edits.
pub(super) fn problem(found: impl Iterator<Item = (usize, char, &'static str)>) -> Option<Problem> {
    found.fold(None, |problem: Option<Problem>, (at, character, meant)| {
        let range = at..at + character.len_utf8();
        let problem = problem.unwrap_or_else(|| first(range.clone(), character, meant));
        let written = match meant {
            ":" | "," => format!("{meant} "),
            _ => meant.to_owned(),
        };
        Some(problem.edit(range, written))
    })
}

fn first(range: std::ops::Range<usize>, character: char, meant: &str) -> Problem {
    let code = u32::from(character);
    let (message, hint) = if meant == " " {
        let message = format!("this character (U+{code:04X}) only looks like a space");
        (message, "write a space".to_owned())
    } else {
        let message = format!("`{character}` (U+{code:04X}) only looks like `{meant}`");
        (message, format!("write `{meant}`"))
    };
    Problem::syntax(range, message).hint(hint)
}

impl Line<'_> {
    /// `– phase: eval`, `epochs：10`, `“text”`
    pub(super) fn look_alikes(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let mut quote = None;
        let mut found = Vec::new();
        for (offset, character) in content.char_indices() {
            match (quote, character) {
                (Some(open), _) if character == open => quote = None,
                (None, '"' | '\'') => quote = Some(character),
                (None, _) => found.extend(
                    meant(character)
                        .filter(|&meant| meant != "-" || offset == 0)
                        .map(|meant| (start + offset, character, meant)),
                ),
                _ => {}
            }
        }
        problem(found.into_iter())
    }
}

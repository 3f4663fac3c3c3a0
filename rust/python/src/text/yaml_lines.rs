//! Lines of YAML as a person reads them, and the slips that can be seen in one.

use std::ops::Range;

use super::problem::Problem;
use super::scalar::shortened;

/// Spaces that a slip of the keys adds or takes.
const NEAR: usize = 2;

pub(super) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

/// A line without its line break.
#[derive(Clone, Copy)]
pub(super) struct Line<'t> {
    index: usize,
    pub(super) start: usize,
    pub(super) end: usize,
    text: &'t str,
}

impl<'t> Lines<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let breaks = text.match_indices('\n').map(|(offset, _)| offset + 1);
        let starts = std::iter::once(0).chain(breaks).collect();
        Self { text, starts }
    }

    fn line(&self, index: usize) -> Line<'t> {
        let start = self.starts[index];
        let next = self.starts.get(index + 1).copied();
        let whole = &self.text[start..next.unwrap_or(self.text.len())];
        let text = whole.trim_end_matches(['\n', '\r']);
        Line {
            index,
            start,
            end: start + text.len(),
            text,
        }
    }

    pub(super) fn at(&self, offset: usize) -> Line<'t> {
        self.line(self.starts.partition_point(|&start| start <= offset) - 1)
    }

    fn above(&self, line: &Line<'t>) -> Option<Line<'t>> {
        let lines = (0..line.index).rev().map(|index| self.line(index));
        lines.into_iter().find(|line| !line.is_blank())
    }

    /// A line and those above it that are not blank, `most` of them.
    pub(super) fn upwards(&self, line: &Line<'t>, most: usize) -> Vec<Line<'t>> {
        let lines = std::iter::successors(Some(*line), |line| self.above(line));
        lines.take(most).collect()
    }

    /// Tabs in the indentation, everywhere: they were typed for the same reason.
    pub(super) fn tabs(&self, stopped: &Line<'t>) -> Vec<Problem> {
        let all: Vec<_> = (0..self.starts.len())
            .map(|index| self.line(index))
            .collect();
        let with_tab = all
            .iter()
            .filter(|line| !line.is_blank() && line.margin().contains('\t'));
        let with_tab: Vec<_> = with_tab.collect();
        let Some(first) = with_tab.iter().find(|line| line.index + 1 >= stopped.index) else {
            return Vec::new();
        };
        let tab = first.start + first.margin().find('\t').unwrap_or_default();
        let of_space = |width: usize| {
            let message = "indentation is made of spaces, not tabs";
            let problem = Problem::syntax(tab..tab + 1, message);
            let mut problem = problem.hint("replace each tab with spaces");
            for line in &with_tab {
                let margin = line.margin();
                let spaces = margin.replace('\t', &" ".repeat(width));
                problem
                    .edits
                    .push((line.start..line.start + margin.len(), spaces));
            }
            problem
        };
        // Of two widths that do as well, the last is taken.
        [1, 8, 2, 4].map(of_space).into()
    }

    fn below(&self, line: &Line<'t>) -> Option<Line<'t>> {
        let mut lines = (line.index + 1..self.starts.len()).map(|index| self.line(index));
        lines.find(|line| !line.is_blank())
    }

    /// Keys without a colon that something hangs on: `nodes`, and below it a deeper line.
    pub(super) fn bare_keys(&self, near: &[Line<'t>]) -> Vec<Problem> {
        let hangs = |line: &&Line<'t>| {
            let below = self.below(line);
            below.is_some_and(|below| below.margin().len() > line.margin().len())
        };
        let bare = near.iter().filter(hangs);
        bare.filter_map(Line::bare_key).collect()
    }

    /// The line, alone or with what hangs on it, with the indentation of one near it: what changes the fewest lines first.
    pub(super) fn indentations(&self, stopped: &Line<'t>) -> Vec<Problem> {
        let mut found = Vec::new();
        for line in self.suspects(stopped) {
            let own = line.margin().len();
            let below = self.below(&line);
            let mut widths = self.widths(&line);
            widths.sort_by_key(|width| width.abs_diff(own));
            let block = (line.index + 1..self.starts.len()).map(|index| self.line(index));
            let block = block.take_while(|below| below.is_blank() || below.margin().len() >= own);
            let block: Vec<_> = std::iter::once(line)
                .chain(block.filter(|below| !below.is_blank()))
                .collect();
            for &width in widths.iter().take(4) {
                // What a key opens stays below it.
                let keeps = |below: &Line<'t>| {
                    let deeper = below.margin().len();
                    !line.opens() || deeper <= own || width < deeper
                };
                if below.as_ref().is_none_or(keeps) {
                    found.push(line.indented(&block[..1], width, below.as_ref()));
                }
                if block.len() > 1 {
                    found.push(line.indented(&block, width, None));
                }
            }
        }
        found.sort_by_key(|problem| problem.edits.len());
        found
    }

    /// A line, the one above it, and the nearest above that is indented less.
    fn suspects(&self, stopped: &Line<'t>) -> Vec<Line<'t>> {
        let mut lines = self.upwards(stopped, 2);
        let mut above = std::iter::successors(self.above(stopped), |line| self.above(line));
        let outer = above.find(|line| line.margin().len() < stopped.margin().len());
        let other = outer.filter(|outer| lines.iter().all(|line| line.index != outer.index));
        lines.extend(other);
        lines
    }

    /// The lines above that a line stands below, and those that it may have been meant to stand beside.
    fn around(&self, line: &Line<'t>) -> Vec<Line<'t>> {
        let own = line.margin().len();
        let mut width = own;
        let mut found = Vec::new();
        for above in std::iter::successors(self.above(line), |line| self.above(line)) {
            let margin = above.margin().len();
            if margin < width || margin.abs_diff(own) <= NEAR {
                width = width.min(margin);
                found.push(above);
            }
            if margin == 0 {
                break;
            }
        }
        found
    }

    /// How far the lines near one are indented, where it is otherwise; dashes of lists count.
    fn widths(&self, line: &Line<'t>) -> Vec<usize> {
        let above = self.upwards(line, 12);
        let below = std::iter::successors(self.below(line), |line| self.below(line));
        // The first line sets the measure.
        let after = usize::from(above.len() > 1);
        let near = above.into_iter().skip(1).chain(below.take(after));
        let near = near.chain(self.around(line));
        let mut widths: Vec<usize> = Vec::new();
        for other in near {
            let inner = other.margin().len() + other.dashes();
            for width in [other.margin().len(), inner] {
                if width != line.margin().len() && !widths.contains(&width) {
                    widths.push(width);
                }
            }
        }
        widths
    }
}

impl Line<'_> {
    fn is_blank(&self) -> bool {
        let content = self.text.trim_start();
        content.is_empty() || content.starts_with('#')
    }

    fn margin(&self) -> &str {
        &self.text[..self.text.len() - self.text.trim_start_matches([' ', '\t']).len()]
    }

    /// The width of the dashes of lists that begin on this line.
    fn dashes(&self) -> usize {
        let content = &self.text[self.margin().len()..];
        content.len() - content.trim_start_matches(['-', ' ']).len()
    }

    /// What the line says behind its margin and dashes, without a comment, and where it starts.
    pub(super) fn content(&self) -> (usize, &str) {
        let start = self.margin().len() + self.dashes();
        let rest = &self.text[start.min(self.text.len())..];
        let mut quote = None;
        let mut before = ' ';
        for (offset, character) in rest.char_indices() {
            match (quote, character) {
                (Some(open), _) if character == open => quote = None,
                (None, '"' | '\'') if before == ' ' || "[{,:".contains(before) => {
                    quote = Some(character);
                }
                (None, '#') if before.is_whitespace() => {
                    return (self.start + start, rest[..offset].trim_end());
                }
                _ => {}
            }
            before = character;
        }
        (self.start + start, rest.trim_end())
    }

    /// The key of the line, if it begins with one.
    fn key(&self) -> Option<&str> {
        let (_, content) = self.content();
        let length = content
            .find(|next: char| !next.is_ascii_alphanumeric() && next != '_' && next != '-')
            .unwrap_or(content.len());
        let key = &content[..length];
        key.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            .then_some(key)
    }

    /// `lr: ${params.lr}`
    pub(super) fn evaluated(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let from = content.find("${")?;
        let length = content[from..].find('}')? + 1;
        let range = start + from..start + from + length;
        let name = content[from + 2..from + length - 1].trim();
        let name = name.strip_prefix("params.").unwrap_or(name);
        let written = format!("{{$: params.{}}}", shortened(name));
        Some(
            Problem::syntax(range.clone(), "`${...}` is not evaluated")
                .hint(format!("write `{written}`"))
                .edit(range, format!("{{$: params.{name}}}")),
        )
    }

    pub(super) fn tab_after_colon(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let tab = start + content.find(":\t")? + 1;
        let end = tab + self.text[tab - self.start..].len()
            - self.text[tab - self.start..].trim_start_matches('\t').len();
        let message = "':' is followed by a space, not a tab";
        Some(
            Problem::syntax(tab..end, message)
                .hint("write a space")
                .edit(tab..end, " "),
        )
    }

    /// `epochs:3`
    pub(super) fn no_space_after_colon(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let key = self.key()?;
        let value = content[key.len()..].strip_prefix(':')?;
        if value.is_empty() || value.starts_with([' ', '\t', '/', '\\', ':']) {
            return None;
        }
        let colon = start + key.len();
        let hint = format!("write `{key}: {}`", shortened(value));
        Some(
            Problem::syntax(colon..colon + 1, "a space is missing after this colon")
                .hint(hint)
                .edit(colon + 1..colon + 1, " "),
        )
    }

    /// `epochs 3`, `epochs = 3`
    pub(super) fn no_colon(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let key = self.key()?;
        let rest = &content[key.len()..];
        let value = rest.trim_start().trim_start_matches('=').trim_start();
        if rest.is_empty() || value.is_empty() || rest.starts_with(':') || content.contains(": ") {
            return None;
        }
        let gap = start + key.len()..start + content.len() - value.len();
        let message = format!("a colon is missing after `{key}`");
        let hint = format!("write `{key}: {}`", shortened(value));
        let range = start..start + key.len();
        Some(Problem::syntax(range, message).hint(hint).edit(gap, ": "))
    }

    /// A key alone on its line.
    fn bare_key(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let key = self.key().filter(|key| key.len() == content.len())?;
        let range = start..start + key.len();
        let message = format!("a colon is missing after `{key}`");
        Some(
            Problem::syntax(range.clone(), message)
                .hint(format!("write `{key}:`"))
                .edit(range.end..range.end, ":"),
        )
    }

    fn opens(&self) -> bool {
        self.content().1.ends_with(':')
    }

    /// `-phase: train`
    pub(super) fn no_space_after_dash(&self) -> Option<Problem> {
        let content = self.text.trim_start();
        let item = content.strip_prefix('-')?;
        let named = item.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if !named || !item.contains(':') {
            return None;
        }
        let dash = self.start + self.text.len() - content.len();
        let hint = format!("write `- {}`", shortened(item));
        Some(
            Problem::syntax(dash..dash + 1, "a space is missing after this dash")
                .hint(hint)
                .edit(dash + 1..dash + 1, " "),
        )
    }

    /// A quote that nothing closes on its line.
    pub(super) fn open_string(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let mut open: Option<(usize, char)> = None;
        let mut before = ' ';
        for (offset, character) in content.char_indices() {
            match open {
                Some((_, quote)) if character == quote && before != '\\' => open = None,
                None if matches!(character, '"' | '\'') && " [{,:".contains(before) => {
                    open = Some((offset, character));
                }
                _ => {}
            }
            before = character;
        }
        let (offset, quote) = open?;
        let end = start + content.trim_end_matches(['}', ']', ' ']).len();
        let range = start + offset..start + content.len();
        let message = "this string is not closed";
        let hint = format!("close it with `{quote}`");
        Some(
            Problem::syntax(range, message)
                .hint(hint)
                .edit(end..end, quote),
        )
    }

    /// `'Bob's'`: the quote between two letters closes nothing.
    pub(super) fn quote_inside(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let open = content.find(": '")? + 3;
        let is_letter = |found: Option<char>| found.is_some_and(char::is_alphanumeric);
        let inside = content[open..].match_indices('\'').map(|(at, _)| open + at);
        let mut inside = inside.filter(|&at| {
            is_letter(content[..at].chars().next_back())
                && is_letter(content[at + 1..].chars().next())
        });
        let at = start + inside.next()?;
        let problem = Problem::syntax(
            at..at + 1,
            "a quote inside of single quotes is written twice",
        );
        Some(inside.map(|at| start + at).fold(
            problem.hint("write `''`").edit(at..at, "'"),
            |problem, at| problem.edit(at..at, "'"),
        ))
    }

    /// `"C:\data"`: a backslash in double quotes begins an escape.
    pub(super) fn escape(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let open = content.find('"')?;
        let bytes = content.as_bytes();
        let mut wrong = Vec::new();
        let mut offset = open + 1;
        while offset + 1 < bytes.len() {
            if bytes[offset] != b'\\' {
                offset += 1;
                continue;
            }
            if !b"0abtnvfre \"/\\N_LPxuU".contains(&bytes[offset + 1]) {
                wrong.push(start + offset..start + offset + 1);
            }
            offset += 2;
        }
        let first = wrong.first()?.clone();
        let message = "YAML does not know this escape; in single quotes a backslash is itself";
        let place = first.start..first.end + 1;
        let problem = Problem::syntax(place, message).hint("write `\\\\`");
        let edits = wrong.into_iter();
        Some(edits.fold(problem, |problem, range| problem.edit(range, "\\\\")))
    }

    /// `seed: 13, shuffle: true`, which is two lines, or the inside of brackets
    pub(super) fn two_on_a_line(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let key = self.key()?;
        let value = content[key.len()..].strip_prefix(": ")?;
        let comma = value.find(", ")?;
        let (first, second) = (&value[..comma], &value[comma + 2..]);
        let named = second.find(':').is_some_and(|colon| {
            let name = second[..colon].chars();
            colon > 0
                && name
                    .clone()
                    .all(|next| next.is_ascii_alphanumeric() || next == '_')
        });
        if !named || first.contains(['"', '\'', '{', '[', ' ']) {
            return None;
        }
        let at = start + key.len() + 2 + comma;
        let indentation = " ".repeat(self.margin().len() + self.dashes());
        Some(
            Problem::syntax(at..at + 1, "a second key begins behind this comma")
                .hint("put it on a line of its own")
                .edit(at..at + 2, format!("\n{indentation}")),
        )
    }

    /// `title: one: two`
    pub(super) fn colon_in_value(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let key = self.key()?;
        let value = content[key.len()..].strip_prefix(": ")?.trim_start();
        let quotable = value.contains(": ") || value.ends_with(':');
        if !quotable || value.starts_with(['"', '\'', '{', '[', '|', '>', '&', '*']) {
            return None;
        }
        let from = start + content.len() - value.len();
        let range = from..from + value.len();
        let written = format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        let message = "a value that contains ': ' is written in quotes";
        let hint = format!("write `{}`", shortened(&written));
        Some(
            Problem::syntax(range.clone(), message)
                .hint(hint)
                .edit(range, written),
        )
    }

    /// A value that begins with a character which means something else in YAML.
    pub(super) fn reserved(&self) -> Option<Problem> {
        let (start, content) = self.content();
        let key = self.key().unwrap_or_default();
        let value = content[key.len()..].trim_start_matches([':', ' ']);
        let mut letters = value.chars();
        let (first, second) = (letters.next()?, letters.next());
        let is_alias = second.is_some_and(|second| second.is_alphanumeric() || second == '_');
        if !"@`%*".contains(first) || first == '*' && is_alias {
            return None;
        }
        if value.contains('"') {
            return None;
        }
        let from = start + content.len() - value.len();
        let range = from..from + value.len();
        let message = format!("`{first}` cannot begin a value");
        let written = format!("\"{}\"", value.replace('\\', "\\\\"));
        let hint = format!("put it in quotes: write `{}`", shortened(&written));
        Some(
            Problem::syntax(range.clone(), message)
                .hint(hint)
                .edit(range, written),
        )
    }

    /// `below` is a line that stays as it is, and shows what is wrong with this one.
    fn indented(&self, block: &[Line<'_>], width: usize, below: Option<&Line<'_>>) -> Problem {
        let own = self.margin().len();
        let place = self.start..self.start + own.max(1).min(self.text.len());
        let message = match below.map(|below| below.margin().len()) {
            Some(other) if other == width && other > own => {
                format!("this line is indented by {own}, those below by {other}")
            }
            _ => format!("this line is indented by {own}, which fits no line above"),
        };
        let mut problem = Problem::syntax(place, message).hint(format!("indent it by {width}"));
        for line in block {
            let margin = line.margin().len();
            let spaces = " ".repeat((margin + width).saturating_sub(own));
            let range: Range<usize> = line.start..line.start + margin;
            problem = problem.edit(range, spaces);
        }
        problem
    }
}

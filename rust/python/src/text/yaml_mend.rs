//! Slips in YAML after which it is plain how to go on: a text is mended as a person would, and the mend is right if
//! the parser then gets beyond the line that it stopped in.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use saphyr_parser::Parser;

use super::problem::Problem;
use super::shifts::Shifts;
use super::yaml_lines::{Line, Lines};
use super::yaml_place::Places;

/// Each mend reads the text a few times.
const MOST: usize = 20;
const LONGEST: usize = 256 * 1024;

pub(super) struct Mended {
    pub(super) text: String,
    pub(super) problems: Vec<Problem>,
    pub(super) shifts: Shifts,
}

/// The text without its slips; none where the first of them cannot be mended.
pub(super) fn mend(text: &str, stopped: usize) -> Option<Mended> {
    if text.len() > LONGEST {
        return None;
    }
    let mut mended = Mended {
        text: text.to_owned(),
        problems: Vec::new(),
        shifts: Shifts::default(),
    };
    let mut stopped = Some(stopped);
    while let Some(offset) = stopped {
        let step = (mended.problems.len() < MOST).then(|| improve(&mended.text, offset));
        let Some((text, problem, next)) = step.flatten() else {
            break;
        };
        let mut told = Problem::syntax(problem.range, problem.message);
        told.related = problem.related;
        told.hint = problem.hint;
        told.edits = problem.edits.clone();
        told.shift(|offset| mended.shifts.original(offset));
        mended.problems.push(told);
        // Behind the others first, so that those before keep their places.
        for (range, written) in problem.edits.into_iter().rev() {
            mended.shifts.add(range, written.len());
        }
        mended.text = text;
        stopped = next;
    }
    (!mended.problems.is_empty()).then_some(mended)
}

/// The problem whose edits lead beyond the line of `stopped`, and where the parser stops next.
fn improve(text: &str, stopped: usize) -> Option<(String, Problem, Option<usize>)> {
    let lines = Lines::new(text);
    let line = lines.at(stopped);
    let is_alias = text[stopped..].starts_with('*');
    let try_out = |problem: Problem| {
        let mended = applied(text, &problem.edits);
        let next = stops_at(&mended);
        let moved = mended.len() as isize - text.len() as isize;
        let goes_on = next.is_none_or(|next| next as isize - moved > line.end as isize);
        goes_on.then_some((mended, problem, next))
    };
    // How wide a tab was meant to be shows in how far the parser gets.
    let tabs = lines.tabs(&line).into_iter().filter_map(try_out);
    let furthest = tabs.max_by_key(|(_, _, next)| next.unwrap_or(usize::MAX));
    furthest.or_else(|| {
        let tried = candidates(&lines, &line, is_alias)
            .into_iter()
            .filter_map(try_out);
        best(tried)
    })
}

/// The first mend after which the text is whole, else the first of those that lead furthest.
fn best(
    tried: impl Iterator<Item = (String, Problem, Option<usize>)>,
) -> Option<(String, Problem, Option<usize>)> {
    let mut best: Option<(String, Problem, Option<usize>)> = None;
    let left = |text: &str, next: usize| text.len().saturating_sub(next);
    for (text, problem, next) in tried {
        let Some(reached) = next else {
            return Some((text, problem, next));
        };
        let further = match &best {
            Some((other, _, Some(before))) => left(&text, reached) < left(other, *before),
            _ => true,
        };
        if further {
            best = Some((text, problem, next));
        }
    }
    best
}

fn applied(text: &str, edits: &[(Range<usize>, String)]) -> String {
    let mut text = text.to_owned();
    for (range, written) in edits.iter().rev() {
        text.replace_range(range.clone(), written);
    }
    text
}

fn stops_at(text: &str) -> Option<usize> {
    let places = Places::new(text);
    catch_unwind(AssertUnwindSafe(|| {
        Parser::new_from_str(text).find_map(Result::err)
    }))
    .map_or(Some(0), |error| {
        error.map(|error| places.byte(error.marker().index()))
    })
}

/// What may be wrong, the likeliest first, each with the edits that mend it.
fn candidates<'t>(lines: &Lines<'t>, stopped: &Line<'t>, is_alias: bool) -> Vec<Problem> {
    let near: Vec<Line<'t>> = lines.upwards(stopped, 4);
    let mut found = Vec::new();
    let rules: [fn(&Line<'t>) -> Option<Problem>; 12] = [
        Line::look_alikes,
        Line::evaluated,
        Line::tab_after_colon,
        Line::no_space_after_colon,
        Line::no_colon,
        Line::escape,
        Line::quote_inside,
        Line::open_string,
        Line::no_space_after_dash,
        Line::entries,
        Line::open_bracket,
        Line::reserved,
    ];
    found.extend(near.iter().flat_map(Line::other_brackets));
    for rule in rules {
        found.extend(near.iter().filter_map(rule));
    }
    found.extend(lines.bare_keys(&near));
    found.extend(stopped.extra_bracket());
    found.extend(stopped.two_on_a_line());
    found.extend(stopped.colon_in_value());
    // No other indentation gives an alias its anchor.
    if !is_alias {
        found.extend(lines.indentations(stopped));
    }
    found
}

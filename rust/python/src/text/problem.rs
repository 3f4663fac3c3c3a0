//! Faults of a text, as they are found.

use std::ops::Range;

use super::source::Source;

/// More faults than anyone reads; each costs a look at its whole line, which may be the whole text.
const PROBLEMS: usize = 100;

pub(super) const DEPTH: usize = 64;

#[derive(Clone, Copy)]
pub(super) enum Code {
    Syntax,
    DuplicateKey,
    Limit,
    NotJson,
    NotUnicode,
    Number,
}

impl Code {
    pub(super) fn name(self) -> &'static str {
        match self {
            Code::Syntax => "SP001",
            Code::DuplicateKey => "SP002",
            Code::Limit => "SP003",
            Code::NotJson => "SP004",
            Code::NotUnicode => "SP005",
            Code::Number => "SP006",
        }
    }
}

pub(super) struct Problem {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) range: Range<usize>,
    pub(super) related: Option<(&'static str, Range<usize>)>,
    pub(super) hint: Option<Box<str>>,
    /// What the hint says, done to the text.
    pub(super) edits: Vec<(Range<usize>, String)>,
}

impl Problem {
    pub(super) fn new(code: Code, range: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            range,
            related: None,
            hint: None,
            edits: Vec::new(),
        }
    }

    pub(super) fn syntax(range: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Code::Syntax, range, message)
    }

    pub(super) fn empty() -> Self {
        Self::syntax(0..0, "the file is empty")
    }

    pub(super) fn depth(range: Range<usize>) -> Self {
        Self::new(
            Code::Limit,
            range,
            format!("nesting deeper than {DEPTH} levels"),
        )
    }

    pub(super) fn duplicate_key(
        source: &Source,
        key: &str,
        range: Range<usize>,
        first: Range<usize>,
    ) -> Self {
        let place = source.place(first.start);
        let message = format!("key {key:?} appears twice; the first is at {place}");
        Self::new(Code::DuplicateKey, range, message).related("first defined here", first)
    }

    pub(super) fn related(mut self, label: &'static str, range: Range<usize>) -> Self {
        self.related = Some((label, range));
        self
    }

    /// Move every place to where it stands in another text.
    pub(super) fn shift(&mut self, back: impl Fn(usize) -> usize) {
        let ranges = std::iter::once(&mut self.range);
        let ranges = ranges.chain(self.related.iter_mut().map(|(_, range)| range));
        for range in ranges.chain(self.edits.iter_mut().map(|(range, _)| range)) {
            *range = back(range.start)..back(range.end);
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into().into_boxed_str());
        self
    }

    pub(super) fn edit(mut self, range: Range<usize>, text: impl Into<String>) -> Self {
        self.edits.push((range, text.into()));
        self
    }

    pub(super) fn remove(self, range: Range<usize>, what: &str) -> Self {
        self.hint(format!("remove this {what}")).edit(range, "")
    }
}

/// The faults after which reading goes on.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    /// Fails where the text has so many faults that reading on is of no use.
    pub(super) fn add(&mut self, problem: Problem) -> Result<(), Problem> {
        if self.0.len() == PROBLEMS {
            let message =
                format!("more than {PROBLEMS} problems; the rest of the file is not read");
            return Err(Problem::new(Code::Limit, problem.range, message));
        }
        self.0.push(problem);
        Ok(())
    }

    /// The last problem, when there are more than anyone reads.
    pub(super) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(super) fn into_vec(self) -> Vec<Problem> {
        self.0
    }
}

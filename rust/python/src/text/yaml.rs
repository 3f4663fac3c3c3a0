//! YAML 1.2: the events of saphyr-parser become a tree.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::problem::{Code, DEPTH, Problem, Problems};
use super::scalar::{self, shortened};
use super::source::Source;
use super::tree::{Map, Member, Node, Reading, Value};
use super::yaml_mend::mend;
use super::yaml_message::explain;
use super::yaml_place::Places;

const ALIASES: usize = 100;

/// Values that anchors and aliases may copy, all together: 100 aliases of aliases would else be 2^100 values.
const COPIES: usize = 100_000;

pub(super) fn read(source: &Source, problems: &mut Problems) -> Result<Reading, Problem> {
    let first = attempt(source);
    let Some(Failure { offset, .. }) = first.failure else {
        return first.finish(problems, |offset| offset);
    };
    let Some(mended) = offset.and_then(|offset| mend(source.text(), offset)) else {
        return first.finish(problems, |offset| offset);
    };
    for problem in mended.problems {
        problems.add(problem)?;
    }
    let back = mended.shifts;
    attempt(&Source::new(mended.text)).finish(problems, |offset| back.original(offset))
}

/// saphyr-parser asserts what it believes of its own state; a text must not be able to end the process.
fn attempt(source: &Source) -> Attempt {
    catch_unwind(AssertUnwindSafe(|| Builder::new(source).read())).unwrap_or_else(|_| {
        let problem = Problem::syntax(0..0, "the YAML parser failed on this text");
        Attempt {
            root: None,
            problems: Problems::default(),
            failure: Some(Failure {
                problem,
                cut: 0,
                offset: None,
            }),
            ended: None,
        }
    })
}

/// What one reading of a text gave.
struct Attempt {
    root: Option<Node>,
    problems: Problems,
    failure: Option<Failure>,
    ended: Option<usize>,
}

/// Why a text could not be read to its end.
struct Failure {
    problem: Problem,
    /// From here on, what was read is not what was meant.
    cut: usize,
    /// Where the parser stopped; none where the text broke a rule of ours.
    offset: Option<usize>,
}

impl Attempt {
    /// `back` leads from the bytes of this text to those of the one that was given.
    fn finish(
        self,
        problems: &mut Problems,
        back: impl Fn(usize) -> usize,
    ) -> Result<Reading, Problem> {
        for mut problem in self.problems.into_vec() {
            problem.shift(&back);
            problems.add(problem)?;
        }
        let mut root = self.root;
        if let Some(node) = &mut root {
            node.shift(&back);
        }
        let cut = match self.failure {
            Some(failure) => {
                let mut problem = failure.problem;
                problem.shift(&back);
                problems.add(problem)?;
                Some(back(failure.cut))
            }
            None => self.ended.map(&back),
        };
        Ok(Reading { root, cut })
    }
}

struct Builder<'s> {
    source: &'s Source,
    places: Places<'s>,
    problems: Problems,
    open: Vec<Collection>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    aliases: usize,
    copies: usize,
    /// Where the first of several documents ends; what is missing may stand in the others.
    ended: Option<usize>,
}

/// A list or mapping whose end has not come.
struct Collection {
    start: usize,
    /// Where what was read of it so far ends.
    end: usize,
    anchor: usize,
    contents: Contents,
}

enum Contents {
    List(Vec<Node>),
    Map { map: Map, key: Option<Key> },
}

enum Key {
    Usable(String, Range<usize>),
    /// Reported already; its value is read and dropped.
    Refused,
}

impl<'s> Builder<'s> {
    fn new(source: &'s Source) -> Self {
        Self {
            source,
            places: Places::new(source.text()),
            problems: Problems::default(),
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            aliases: 0,
            copies: 0,
            ended: None,
        }
    }

    fn read(mut self) -> Attempt {
        let mut offset = None;
        let failed = self.read_events(&mut offset).err();
        let failure = failed.map(|problem| {
            let cut = self.cut(problem.range.start);
            Failure {
                problem,
                cut,
                offset,
            }
        });
        while failure.is_some() && !self.open.is_empty() {
            // What is copied once more for an anchor may be too much; it is not used any more.
            let _ = self.close(0..0);
        }
        Attempt {
            root: self.root,
            problems: self.problems,
            failure,
            ended: self.ended,
        }
    }

    /// The start of what is open around a fault, or of the line above it.
    fn cut(&self, fault: usize) -> usize {
        let text = self.source.text();
        let flow = self.open.iter().map(|collection| collection.start);
        let flow = flow.filter(|&start| text[start..].starts_with(['{', '[']));
        let above = text[..fault]
            .trim_end_matches(|last| last != '\n')
            .trim_end();
        let line = above.rfind(['\n', '\r']).map_or(0, |end| end + 1);
        flow.chain([line]).min().unwrap_or(line)
    }

    fn read_events(&mut self, stopped: &mut Option<usize>) -> Result<(), Problem> {
        let source = self.source;
        for event in Parser::new_from_str(source.text()) {
            let (event, span) = event.map_err(|error| {
                *stopped = Some(self.places.byte(error.marker().index()));
                self.syntax_error(&error)
            })?;
            let range = self.places.range(span);
            match event {
                Event::DocumentStart(_) if self.root.is_some() => {
                    let message = "a second document starts here; a file holds one";
                    let hint = "remove this line, or put what follows it into a file of its own";
                    self.problems
                        .add(Problem::syntax(range, message).hint(hint))?;
                    self.ended = self.root.as_ref().map(|root| root.range.end);
                    break;
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let range =
                        self.places
                            .scalar(range, &text, style, anchor > 0 || tag.is_some());
                    self.add_scalar(&text, style, anchor, tag.as_deref(), range)?;
                }
                Event::Alias(anchor) => self.add_alias(anchor, range)?,
                Event::SequenceStart(anchor, tag) => {
                    self.open(
                        Contents::List(Vec::new()),
                        "seq",
                        anchor,
                        tag.as_deref(),
                        range,
                    )?;
                }
                Event::MappingStart(anchor, tag) => {
                    let contents = Contents::Map {
                        map: Map::default(),
                        key: None,
                    };
                    self.open(contents, "map", anchor, tag.as_deref(), range)?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.close(range)?,
                Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::StreamStart
                | Event::StreamEnd
                | Event::Nothing => {}
            }
        }
        match &self.root {
            Some(node) if !matches!(node.value, Value::Null) || !node.range.is_empty() => Ok(()),
            _ => Err(Problem::empty()),
        }
    }

    fn add_scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        range: Range<usize>,
    ) -> Result<(), Problem> {
        let value = match tag {
            None if style == ScalarStyle::Plain => self.resolve(text, &range)?,
            None => Value::String(text.to_owned()),
            Some(tag) => self.tagged(tag, text, &range)?,
        };
        self.add(Node { range, value }, anchor)
    }

    fn resolve(&mut self, text: &str, range: &Range<usize>) -> Result<Value, Problem> {
        scalar::plain(text).or_else(|fault| {
            let problem = Problem::new(Code::Number, range.clone(), fault.message);
            self.problems.add(problem)?;
            Ok(fault.nearest)
        })
    }

    fn tagged(&mut self, tag: &Tag, text: &str, range: &Range<usize>) -> Result<Value, Problem> {
        let string = Value::String(text.to_owned());
        if is_non_specific(tag) || is_core(tag) && tag.suffix == "str" {
            return Ok(string);
        }
        if !is_core(tag) || !["int", "float", "bool", "null"].contains(&tag.suffix.as_str()) {
            self.refuse_tag(tag, range)?;
            return Ok(string);
        }
        match (tag.suffix.as_str(), self.resolve(text, range)?) {
            ("float", Value::Integer(integer)) => Ok(Value::Float(integer as f64)),
            ("int", value @ Value::Integer(_))
            | ("float", value @ Value::Float(_))
            | ("bool", value @ Value::Bool(_))
            | ("null", value @ Value::Null) => Ok(value),
            (_, value) => {
                let message = format!("`{}` is not a value of !!{}", shortened(text), tag.suffix);
                self.problems.add(Problem::syntax(range.clone(), message))?;
                Ok(value)
            }
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, range: &Range<usize>) -> Result<(), Problem> {
        let name = if is_core(tag) {
            format!("!!{}", tag.suffix)
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        };
        let message = format!("tag {} is not supported here", shortened(&name));
        let place = self.places.tag_before(range.start);
        let place = place.unwrap_or_else(|| range.clone());
        let problem = Problem::syntax(place.clone(), message);
        self.problems.add(problem.remove(place, "tag"))
    }

    fn add_alias(&mut self, anchor: usize, range: Range<usize>) -> Result<(), Problem> {
        self.aliases += 1;
        if self.aliases > ALIASES {
            return Err(Problem::new(
                Code::Limit,
                range,
                format!("more than {ALIASES} aliases"),
            ));
        }
        let Some(target) = self.anchors.get(&anchor) else {
            let message = "this alias stands inside the value that it names";
            return Err(Problem::syntax(range, message));
        };
        if self.open.len() + target.height() > DEPTH {
            return Err(Problem::depth(range));
        }
        let mut node = copy(target, &mut self.copies, &range)?;
        node.range = range;
        self.add(node, 0)
    }

    fn open(
        &mut self,
        contents: Contents,
        own_tag: &str,
        anchor: usize,
        tag: Option<&Tag>,
        range: Range<usize>,
    ) -> Result<(), Problem> {
        let start = self
            .places
            .content_start(range, anchor > 0 || tag.is_some());
        let first = self.source.character(start);
        if let Some(tag) = tag
            && !is_non_specific(tag)
            && !(is_core(tag) && tag.suffix == own_tag)
        {
            self.refuse_tag(tag, &first)?;
        }
        if self.open.len() == DEPTH {
            return Err(Problem::depth(first));
        }
        self.open.push(Collection {
            start,
            end: start,
            anchor,
            contents,
        });
        Ok(())
    }

    fn close(&mut self, bracket: Range<usize>) -> Result<(), Problem> {
        let Some(collection) = self.open.pop() else {
            return Ok(());
        };
        let value = match collection.contents {
            Contents::List(items) => Value::List(items),
            Contents::Map { map, .. } => Value::Map(map),
        };
        // Only a flow collection has a closing bracket; a block ends where its last value does.
        let end = if bracket.is_empty() {
            collection.end
        } else {
            bracket.end
        };
        let range = collection.start..end;
        self.add(Node { range, value }, collection.anchor)
    }

    /// Puts a whole value where it belongs.
    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Problem> {
        if anchor > 0 {
            let copied = copy(&node, &mut self.copies, &node.range)?;
            self.anchors.insert(anchor, copied);
        }
        let Some(collection) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        collection.end = collection.end.max(node.range.end);
        match &mut collection.contents {
            Contents::List(items) => items.push(node),
            Contents::Map {
                map,
                key: key @ None,
            } => {
                *key = match decimal_comma(map, &node, self.source.text()) {
                    Some(problem) => {
                        self.problems.add(problem)?;
                        Some(Key::Refused)
                    }
                    None => Some(check_key(node, self.source.text(), &mut self.problems)?),
                };
            }
            Contents::Map { map, key } => {
                if let Some(Key::Usable(name, range)) = key.take() {
                    let key = Arc::<str>::from(name);
                    let member = Member {
                        key: Arc::clone(&key),
                        key_range: range.clone(),
                        node,
                    };
                    if let Err(first) = map.insert(member) {
                        let problem = Problem::duplicate_key(self.source, &key, range, first);
                        self.problems.add(problem)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError) -> Problem {
        let offset = self.places.byte(error.marker().index());
        let range = self.source.character(offset);
        let info = error.info();
        if info == "recursion limit exceeded" {
            return Problem::depth(range);
        }
        let (bracket, name) = if info.contains("flow mapping") {
            ('{', "mapping")
        } else if info.contains("flow sequence") {
            ('[', "list")
        } else {
            return Problem::syntax(range, explain(info));
        };
        let start = self.open.last().map(|collection| collection.start);
        match start.filter(|&start| self.source.text()[start..].starts_with(bracket)) {
            Some(start) => {
                let close = if bracket == '{' { '}' } else { ']' };
                let place = self.source.place(start);
                let message =
                    format!("expected ',' or '{close}' here; the {name} opened at {place}");
                Problem::syntax(range, message).related("opened here", start..start + 1)
            }
            None => Problem::syntax(range, explain(info)),
        }
    }
}

/// `{lr: 0,001}`: two members to YAML. The number gets its point.
fn decimal_comma(map: &mut Map, key: &Node, text: &str) -> Option<Problem> {
    let last = map.last_mut()?;
    let range = last.range.start..key.range.end;
    let written = text.get(range.clone())?;
    let mut digits = text[key.range.clone()].bytes();
    let is_number = matches!(last.value, Value::Integer(_)) && written.contains(',');
    if !is_number
        || last.range.end + 1 != key.range.start
        || !digits.all(|digit| digit.is_ascii_digit())
    {
        return None;
    }
    let meant = written.replace(',', ".");
    last.value = Value::Float(meant.parse().ok()?);
    last.range = range.clone();
    let problem = Problem::syntax(range.clone(), "a number has a point, not a comma");
    Some(problem.hint(format!("write `{meant}`")).edit(range, meant))
}

fn check_key(node: Node, text: &str, problems: &mut Problems) -> Result<Key, Problem> {
    let written = &text[node.range.clone()];
    let (message, key) = match node.value {
        // The quoted form is a key like any other.
        Value::String(_) if written == "<<" => (
            "merge keys (`<<`) are not supported; write the keys out, or use `imports`".to_owned(),
            Key::Refused,
        ),
        Value::String(name) => return Ok(Key::Usable(name, node.range)),
        Value::List(_) | Value::Map(_) => (
            "keys are strings; this one is a collection".to_owned(),
            Key::Refused,
        ),
        _ if written.is_empty() => ("a key is missing here".to_owned(), Key::Refused),
        _ => (
            format!("keys are strings; write \"{}\"", shortened(written)),
            Key::Usable(written.to_owned(), node.range.clone()),
        ),
    };
    problems.add(Problem::syntax(node.range, message))?;
    Ok(key)
}

fn is_core(tag: &Tag) -> bool {
    tag.is_yaml_core_schema()
}

fn is_non_specific(tag: &Tag) -> bool {
    tag.handle.is_empty() && tag.suffix == "!"
}

fn copy(node: &Node, copies: &mut usize, range: &Range<usize>) -> Result<Node, Problem> {
    *copies += node.count();
    if *copies > COPIES {
        let message = format!("anchors and aliases stand for more than {COPIES} values");
        return Err(Problem::new(Code::Limit, range.clone(), message));
    }
    Ok(node.clone())
}

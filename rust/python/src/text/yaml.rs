//! YAML 1.2: the events of saphyr-parser become a tree.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::problem::{Code, DEPTH, Problem, Problems};
use super::scalar::{self, shortened};
use super::source::Source;
use super::tree::{Map, Member, Node, Value};
use super::yaml_place::Places;

const ALIASES: usize = 100;

/// Values that anchors and aliases may copy, all together: 100 aliases of aliases would else be 2^100 values.
const COPIES: usize = 100_000;

pub(super) fn read(source: &Source, problems: &mut Problems) -> Result<Node, Problem> {
    // saphyr-parser asserts what it believes of its own state; a text must not be able to end the process.
    catch_unwind(AssertUnwindSafe(|| Builder::new(source, problems).read()))
        .unwrap_or_else(|_| Err(Problem::syntax(0..0, "the YAML parser failed on this text")))
}

struct Builder<'s> {
    source: &'s Source,
    places: Places<'s>,
    problems: &'s mut Problems,
    open: Vec<Collection>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    aliases: usize,
    copies: usize,
}

/// A list or mapping whose end has not come.
struct Collection {
    range: Range<usize>,
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
    fn new(source: &'s Source, problems: &'s mut Problems) -> Self {
        Self {
            source,
            places: Places::new(source.text()),
            problems,
            open: Vec::new(),
            root: None,
            anchors: HashMap::new(),
            aliases: 0,
            copies: 0,
        }
    }

    fn read(mut self) -> Result<Node, Problem> {
        let source = self.source;
        for event in Parser::new_from_str(source.text()) {
            let (event, span) = event.map_err(|error| self.syntax_error(&error))?;
            let range = self.places.range(span);
            match event {
                Event::DocumentStart(_) if self.root.is_some() => {
                    let message = "a second document starts here; a file holds one";
                    self.problems.add(Problem::syntax(range, message))?;
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
        match self.root {
            Some(node) if !matches!(node.value, Value::Null) || !node.range.is_empty() => Ok(node),
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
        let plain = if style == ScalarStyle::Plain && tag.is_none_or(is_core) {
            scalar::plain(text).or_else(|fault| {
                self.problems
                    .add(Problem::new(Code::Number, range.clone(), fault.message))?;
                Ok(fault.nearest)
            })?
        } else {
            Value::String(text.to_owned())
        };
        let value = match tag {
            Some(tag) => self.apply_tag(tag, plain, text, &range)?,
            None => plain,
        };
        if style == ScalarStyle::Plain && text == "<<" && self.expects_key() {
            let message =
                "merge keys (`<<`) are not supported; write the keys out, or use `imports`";
            self.problems.add(Problem::syntax(range, message))?;
            return self.set_key(Key::Refused);
        }
        self.add(Node { range, value }, anchor, text)
    }

    fn apply_tag(
        &mut self,
        tag: &Tag,
        plain: Value,
        text: &str,
        range: &Range<usize>,
    ) -> Result<Value, Problem> {
        if tag.suffix == "str" && is_core(tag) || is_non_specific(tag) {
            return Ok(Value::String(text.to_owned()));
        }
        let plain = match plain {
            Value::String(_) if is_core(tag) => {
                scalar::plain(text).unwrap_or_else(|fault| fault.nearest)
            }
            other => other,
        };
        match (tag.suffix.as_str(), &plain) {
            _ if !is_core(tag) => self.refuse_tag(tag, range)?,
            ("int", Value::Integer(_))
            | ("float", Value::Float(_))
            | ("bool", Value::Bool(_))
            | ("null", Value::Null) => {}
            #[expect(clippy::cast_precision_loss, reason = "the tag asks for a float")]
            ("float", Value::Integer(integer)) => return Ok(Value::Float(*integer as f64)),
            ("int" | "float" | "bool" | "null", _) => {
                let message = format!("`{}` is not a value of !!{}", shortened(text), tag.suffix);
                self.problems.add(Problem::syntax(range.clone(), message))?;
            }
            _ => self.refuse_tag(tag, range)?,
        }
        Ok(plain)
    }

    fn refuse_tag(&mut self, tag: &Tag, range: &Range<usize>) -> Result<(), Problem> {
        let name = if is_core(tag) {
            format!("!!{}", tag.suffix)
        } else {
            format!("{}{}", tag.handle, tag.suffix)
        };
        let message = format!("tag {} is not supported here", shortened(&name));
        self.problems.add(Problem::syntax(range.clone(), message))
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
        node.range = range.clone();
        let text = self.source.text()[range].to_owned();
        self.add(node, 0, &text)
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
            .content_start(range.clone(), anchor > 0 || tag.is_some());
        let range = start..range.end.max(start);
        if let Some(tag) =
            tag.filter(|tag| !is_non_specific(tag) && !(is_core(tag) && tag.suffix == own_tag))
        {
            self.refuse_tag(tag, &range)?;
        }
        if self.open.len() == DEPTH {
            return Err(Problem::depth(range));
        }
        self.open.push(Collection {
            range,
            anchor,
            contents,
        });
        Ok(())
    }

    fn close(&mut self, end: Range<usize>) -> Result<(), Problem> {
        let Some(Collection {
            range,
            anchor,
            contents,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let (value, last) = match contents {
            Contents::List(items) => {
                let last = items.last().map(|item| item.range.end);
                (Value::List(items), last)
            }
            Contents::Map { map, .. } => {
                let last = map.members().last();
                let last = last.map(|member| member.node.range.end.max(member.key_range.end));
                (Value::Map(map), last)
            }
        };
        // Only a flow collection has a closing bracket; a block ends where its last value does.
        let end = if end.is_empty() {
            last.unwrap_or(range.end)
        } else {
            end.end
        };
        let range = range.start..end.max(range.start);
        self.add(Node { range, value }, anchor, "")
    }

    fn expects_key(&self) -> bool {
        matches!(
            self.open.last(),
            Some(Collection {
                contents: Contents::Map { key: None, .. },
                ..
            })
        )
    }

    fn set_key(&mut self, new: Key) -> Result<(), Problem> {
        if let Some(Collection {
            contents: Contents::Map { key, .. },
            ..
        }) = self.open.last_mut()
        {
            *key = Some(new);
        }
        Ok(())
    }

    /// Puts a whole value where it belongs. `text` is how it is written, for a message.
    fn add(&mut self, node: Node, anchor: usize, text: &str) -> Result<(), Problem> {
        if anchor > 0 {
            let copied = copy(&node, &mut self.copies, &node.range)?;
            self.anchors.insert(anchor, copied);
        }
        if self.expects_key() {
            let key = self.check_key(node, text)?;
            return self.set_key(key);
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Collection {
                contents: Contents::List(items),
                ..
            }) => items.push(node),
            Some(Collection {
                contents: Contents::Map { map, key },
                ..
            }) => {
                if let Some(Key::Usable(name, range)) = key.take() {
                    let member = Member {
                        key: name.as_str().into(),
                        key_range: range.clone(),
                        node,
                    };
                    if let Err(first) = map.insert(member) {
                        let problem = Problem::duplicate_key(self.source, &name, range, first);
                        self.problems.add(problem)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check_key(&mut self, node: Node, text: &str) -> Result<Key, Problem> {
        let message = match node.value {
            Value::String(name) => return Ok(Key::Usable(name, node.range)),
            Value::List(_) | Value::Map(_) => {
                "keys are strings; this one is a collection".to_owned()
            }
            _ if text.is_empty() => "a key is missing here".to_owned(),
            _ => format!("keys are strings; write \"{}\"", shortened(text)),
        };
        self.problems.add(Problem::syntax(node.range, message))?;
        Ok(Key::Refused)
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
        let start = self.open.last().map(|collection| collection.range.start);
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

fn explain(info: &str) -> &str {
    match info {
        "mapping values are not allowed in this context" => {
            "a mapping cannot start here; put a value that contains ': ' in quotes"
        }
        "while parsing a block mapping, did not find expected key" => {
            "expected a key here; is the indentation that of the lines above?"
        }
        "while parsing node, found unknown anchor" => "no anchor of this name stands above",
        _ => info,
    }
}

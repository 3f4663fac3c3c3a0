//! `parse_text`: JSON and YAML as plain Python values, and the place of each.

use std::ops::Range;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice, PyString};

use problem::{Code, Problems};
use source::Source;
use tree::{Node, PathItem, Reading, Value};

mod json;
mod json_members;
mod json_mend;
mod json_scalar;
mod json_slips;
mod look_alikes;
mod problem;
mod scalar;
mod shifts;
mod source;
mod tree;
mod yaml;
mod yaml_brackets;
mod yaml_lines;
mod yaml_mend;
mod yaml_message;
mod yaml_place;

const LONGEST_TEXT: usize = 16 * 1024 * 1024;

/// A place in a text. Lines and columns count from 1, columns in characters; the end is exclusive.
#[pyclass(frozen, get_all, eq, hash, module = "specplan._native")]
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

#[pymethods]
impl Span {
    fn __repr__(&self) -> String {
        let Self {
            line,
            column,
            end_line,
            end_column,
        } = self;
        format!("Span({line}:{column}-{end_line}:{end_column})")
    }
}

impl Span {
    fn new(source: &Source, range: &Range<usize>) -> Self {
        let (start, end) = (source.place(range.start), source.place(range.end));
        Self {
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        }
    }
}

/// One fault of a text that was found while it was read.
#[pyclass(frozen, get_all, module = "specplan._native")]
pub(crate) struct Problem {
    code: &'static str,
    message: String,
    span: Span,
    related: Option<(&'static str, Span)>,
    hint: Option<String>,
    edits: Vec<(Span, String)>,
}

#[pymethods]
impl Problem {
    fn __repr__(&self) -> String {
        let Span { line, column, .. } = self.span;
        format!("Problem({} {line}:{column} {:?})", self.code, self.message)
    }
}

impl Problem {
    fn new(source: &Source, problem: problem::Problem) -> Self {
        let related = problem.related;
        let edits = problem.edits.into_iter();
        Self {
            code: problem.code.name(),
            span: Span::new(source, &problem.range),
            related: related.map(|(label, range)| (label, Span::new(source, &range))),
            message: problem.message,
            hint: problem.hint.map(String::from),
            edits: edits
                .map(|(range, text)| (Span::new(source, &range), text))
                .collect(),
        }
    }
}

/// A parsed text: plain values, and where each of them stands.
#[pyclass(frozen, module = "specplan._native")]
pub(crate) struct Text {
    #[pyo3(get)]
    value: Py<PyAny>,
    #[pyo3(get)]
    problems: Py<PyList>,
    #[pyo3(get)]
    cut: Option<Span>,
    source: Source,
    root: Option<Node>,
}

#[pymethods]
impl Text {
    fn value_span(&self, path: Vec<PathItem>) -> Option<Span> {
        let node = self.root.as_ref()?.at(&path)?;
        Some(Span::new(&self.source, &node.range))
    }

    fn key_span(&self, path: Vec<PathItem>) -> Option<Span> {
        let range = self.root.as_ref()?.key_at(&path)?;
        Some(Span::new(&self.source, range))
    }
}

/// Read a JSON or YAML 1.2 text.
#[pyfunction]
pub(crate) fn parse_text(text: &Bound<'_, PyString>, format: &str) -> PyResult<Text> {
    let py = text.py();
    let read = match format {
        "json" => json::read,
        "yaml" => yaml::read,
        _ => {
            return Err(PyValueError::new_err(format!(
                "format is {format:?}, must be 'json' or 'yaml'"
            )));
        }
    };
    let (source, refused) = accept(text)?;
    let mut problems = Problems::default();
    let result = match refused {
        Some(problem) => Err(problem),
        None => py.detach(|| read(&source, &mut problems)),
    };
    let (root, cut, last) = match result {
        Ok(Reading { root, cut }) => (root, cut, None),
        Err(problem) => (None, None, Some(problem)),
    };
    let mut problems: Vec<_> = problems.into_vec().into_iter().chain(last).collect();
    problems.sort_by_key(|problem| problem.range.start);
    let problems = problems.into_iter();
    let problems = problems.map(|problem| Problem::new(&source, problem));
    Ok(Text {
        value: match &root {
            Some(root) => to_python(py, root)?.unbind(),
            None => py.None(),
        },
        problems: PyList::new(py, problems.collect::<Vec<_>>())?.unbind(),
        cut: cut.map(|offset| Span::new(&source, &(offset..offset))),
        source,
        root,
    })
}

/// Of a text that is not read, only what stands before the fault comes back.
fn accept(text: &Bound<'_, PyString>) -> PyResult<(Source, Option<problem::Problem>)> {
    match text.to_str() {
        Ok(text) if text.len() > LONGEST_TEXT => {
            let problem = problem::Problem::new(Code::Limit, 0..0, "file above 16 MiB");
            Ok((Source::new(String::new()), Some(problem)))
        }
        Ok(text) => Ok((Source::new(text.to_owned()), None)),
        Err(error) => {
            // A Python string may hold lone surrogates, a Rust string cannot.
            let py = text.py();
            let position: isize = error.value(py).getattr("start")?.extract()?;
            let before: String = text.get_item(PySlice::new(py, 0, position, 1))?.extract()?;
            let range = before.len()..before.len();
            let message = "a lone surrogate stands here, so the text is not UTF-8";
            let problem = problem::Problem::new(Code::NotUnicode, range, message);
            Ok((Source::new(before), Some(problem)))
        }
    }
}

fn to_python<'py>(py: Python<'py>, node: &Node) -> PyResult<Bound<'py, PyAny>> {
    Ok(match &node.value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => value.into_pyobject(py)?.to_owned().into_any(),
        Value::Integer(value) => value.into_pyobject(py)?.into_any(),
        Value::Float(value) => value.into_pyobject(py)?.into_any(),
        Value::String(value) => value.into_pyobject(py)?.into_any(),
        Value::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(to_python(py, item)?)?;
            }
            list.into_any()
        }
        Value::Map(map) => {
            let dict = PyDict::new(py);
            for member in map.members() {
                dict.set_item(&*member.key, to_python(py, &member.node)?)?;
            }
            dict.into_any()
        }
    })
}

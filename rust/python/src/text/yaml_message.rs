//! What a user is told where the YAML parser stops.

/// The parser's own words, without their context, where they serve.
pub(super) fn explain(info: &str) -> &str {
    let fault = match info.split_once(", ") {
        Some((context, fault)) if context.starts_with("while ") => fault,
        _ => info,
    };
    match fault {
        "mapping values are not allowed in this context" => {
            "a mapping cannot start here; check the indentation, or put a value that contains ': ' in quotes"
        }
        "block sequence entries are not allowed in this context" => {
            "a list cannot start here; put it on a line of its own"
        }
        "did not find expected key" => {
            "expected a key here; is the indentation that of the lines above?"
        }
        "did not find expected '-' indicator" => {
            "expected '-' here; is the indentation that of the lines above?"
        }
        "tabs disallowed within this context (block indentation)" | "found a tab" => {
            "indentation is made of spaces, not tabs"
        }
        "':' must be followed by a valid YAML whitespace" => {
            "':' is followed by a space, not a tab"
        }
        "illegal placement of ':' indicator" => {
            "a key cannot stand here; is a bracket above not closed?"
        }
        "simple key expected" | "simple key expect ':'" => "expected ':' after this key",
        "did not find expected node content" => "expected a value here",
        "misplaced bracket" => "no bracket is open that this one could close",
        "found unexpected end of stream" | "invalid indentation in quoted scalar" => {
            "this string is not closed"
        }
        "invalid trailing content after double-quoted scalar" => {
            "nothing may follow the closing quote"
        }
        "found unknown escape character" => {
            "YAML does not know this escape; in single quotes a backslash is itself"
        }
        "found invalid Unicode character escape code" => {
            "this string has an escape that is no character; YAML knows no surrogate pairs"
        }
        "comment intercepting the multiline text" => {
            "a value does not go on after a comment; put it in quotes or on one line"
        }
        "found unknown anchor" => "no anchor of this name stands above",
        "the handle wasn't declared" => "no %TAG line declares this tag",
        "did not find expected <document start>" => "the value is complete; nothing may follow it",
        _ => fault,
    }
}

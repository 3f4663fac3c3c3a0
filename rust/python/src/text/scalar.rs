//! What a plain scalar means: the core schema of YAML 1.2, and the numbers of JSON.

use super::tree::Value;

/// A number that no `i64` or `f64` can hold, with the nearest value that one can.
pub(super) struct OutOfRange {
    pub(super) message: String,
    pub(super) nearest: Value,
}

pub(super) fn plain(text: &str) -> Result<Value, OutOfRange> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => return Ok(Value::Float(f64::NAN)),
        _ => {}
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return radix(text, digits, 16);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return radix(text, digits, 8);
    }
    let (negative, unsigned) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let infinity = if negative {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        };
        return Ok(Value::Float(infinity));
    }
    match number_parts(unsigned) {
        Some(parts) if parts.is_integer() && !parts.whole.is_empty() => integer(text, 10, text),
        Some(parts)
            if !parts.whole.is_empty() || parts.fraction.is_some_and(|it| !it.is_empty()) =>
        {
            float(text)
        }
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// `None` where the text is not a number of JSON.
pub(super) fn json_number(text: &str) -> Option<Result<Value, OutOfRange>> {
    let parts = number_parts(text.strip_prefix('-').unwrap_or(text))?;
    let leading_zero = parts.whole.len() > 1 && parts.whole.starts_with('0');
    if parts.whole.is_empty() || leading_zero || parts.fraction == Some("") {
        return None;
    }
    Some(if parts.is_integer() {
        integer(text, 10, text)
    } else {
        float(text)
    })
}

struct NumberParts<'t> {
    whole: &'t str,
    fraction: Option<&'t str>,
    exponent: bool,
}

impl NumberParts<'_> {
    fn is_integer(&self) -> bool {
        self.fraction.is_none() && !self.exponent
    }
}

fn number_parts(text: &str) -> Option<NumberParts<'_>> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    if let Some(exponent) = exponent {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if digits.is_empty() || !is_digits(digits) {
            return None;
        }
    }
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let all_digits = is_digits(whole) && fraction.is_none_or(is_digits);
    all_digits.then_some(NumberParts {
        whole,
        fraction,
        exponent: exponent.is_some(),
    })
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn radix(text: &str, digits: &str, radix: u32) -> Result<Value, OutOfRange> {
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Ok(Value::String(text.to_owned()));
    }
    integer(text, radix, digits)
}

fn integer(text: &str, radix: u32, digits: &str) -> Result<Value, OutOfRange> {
    i64::from_str_radix(digits, radix)
        .map(Value::Integer)
        .map_err(|_| OutOfRange {
            message: format!(
                "integer {} cannot be represented exactly; integers reach from -2^63 to 2^63-1",
                shortened(text)
            ),
            nearest: Value::Integer(if text.starts_with('-') {
                i64::MIN
            } else {
                i64::MAX
            }),
        })
}

fn float(text: &str) -> Result<Value, OutOfRange> {
    // Everything that `number_parts` takes is a float to Rust, too.
    let number = text.parse::<f64>().unwrap_or(f64::NAN);
    if number.is_finite() {
        return Ok(Value::Float(number));
    }
    Err(OutOfRange {
        message: format!("number {} is beyond the range of float64", shortened(text)),
        nearest: Value::Float(if text.starts_with('-') {
            f64::MIN
        } else {
            f64::MAX
        }),
    })
}

/// For messages: a hostile text may hold a number of a million digits.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 40;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

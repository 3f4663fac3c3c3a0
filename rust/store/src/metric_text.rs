//! Metrics as text: CSV, and times as ISO 8601.

use std::fmt::{self, Write};

use crate::metric_table::{Label, MetricRow, MetricTable};

const HEADER: &str = concat!(
    r#""run_id","session","phase","node","split","name","epoch","batch","step","time","value""#,
    "\n"
);
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;
/// Decimal exponents of the numbers that are written without one, as other writers of CSV do.
const PLAIN: std::ops::RangeInclusive<i32> = -6..=9;

impl MetricTable {
    /// All rows as CSV: texts in quotes, and nothing where there is nothing.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = HEADER.to_owned();
        for row in self.rows() {
            // A string takes everything.
            let _ = self.write_row(&mut text, row);
        }
        text
    }

    fn write_row(&self, out: &mut String, row: &MetricRow) -> fmt::Result {
        let series = &self.series()[row.series as usize];
        quote(out, self.run_id());
        write!(out, ",{},", row.session)?;
        quote(out, &series.phase);
        for label in [Label::Node, Label::Split] {
            out.push(',');
            if !label.of(series).is_empty() {
                quote(out, label.of(series));
            }
        }
        out.push(',');
        quote(out, &series.name);
        for number in [row.epoch, row.batch] {
            out.push(',');
            if number >= 0 {
                write!(out, "{number}")?;
            }
        }
        write!(out, ",{},{},", row.step, time_text(row.time))?;
        write_float(out, row.value)?;
        out.push('\n');
        Ok(())
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for part in text.chars() {
        if part == '"' {
            out.push('"');
        }
        out.push(part);
    }
    out.push('"');
}

/// The shortest digits that are read as the same number.
fn write_float(out: &mut String, value: f64) -> fmt::Result {
    if value.is_nan() {
        return out.write_str("nan");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if value != 0.0 => match exponent.parse::<i32>() {
            Ok(plain) if PLAIN.contains(&plain) => write!(out, "{value}"),
            Ok(large @ 0..) => write!(out, "{digits}e+{large}"),
            _ => write!(out, "{digits}e{exponent}"),
        },
        _ => write!(out, "{value}"),
    }
}

/// Nanoseconds since 1970 as ISO 8601 has them, with a space between day and time.
#[must_use]
pub fn time_text(time: i64) -> String {
    let (seconds, nanoseconds) = (time.div_euclid(SECOND), time.rem_euclid(SECOND));
    let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = date(day);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// Year, month and day of the Gregorian calendar, of a number of days since 1970.
fn date(days: i64) -> (i64, i64, i64) {
    // Counted from a first of March, so that the day of a leap year is the last one, in eras of 400 years.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (400 * era + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::{time_text, write_float};

    #[test]
    fn times_are_those_of_the_calendar() {
        for (time, text) in [
            (0, "1970-01-01 00:00:00.000000000Z"),
            (-1, "1969-12-31 23:59:59.999999999Z"),
            (951_782_400_000_000_000, "2000-02-29 00:00:00.000000000Z"),
            (4_107_542_399_000_000_007, "2100-02-28 23:59:59.000000007Z"),
            (4_107_542_400_000_000_000, "2100-03-01 00:00:00.000000000Z"),
            (i64::MAX, "2262-04-11 23:47:16.854775807Z"),
            (i64::MIN, "1677-09-21 00:12:43.145224192Z"),
        ] {
            assert_eq!(time_text(time), text);
        }
    }

    #[test]
    fn floats_are_short() {
        for (value, text) in [
            (10.0, "10"),
            (0.1, "0.1"),
            (-0.0, "-0"),
            (0.000_001, "0.000001"),
            (1.5e-7, "1.5e-7"),
            (1_234_567_890.5, "1234567890.5"),
            (1e10, "1e+10"),
            (1.234_567_890_123_456_8e17, "1.2345678901234568e+17"),
            (5e-324, "5e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (-f64::NAN, "nan"),
        ] {
            let mut found = String::new();
            assert!(write_float(&mut found, value).is_ok());
            assert_eq!(found, text);
        }
    }
}

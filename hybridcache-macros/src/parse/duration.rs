//! Duration literals: `250ms`, `20s`, `1h30m`, `1.5s`.

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Names of the units in other notations, for messages.
const OTHER_NAMES: [(&str, &[&str]); 5] = [
    ("d", &["day", "days"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("ms", &["msec", "msecs", "milli", "millis", "millisecond", "milliseconds"]),
];

/// Longer than an entry can live, and short enough that no sum of times overflows.
const LONGEST_DAYS: u64 = 36_500;

/// The milliseconds of a duration, or a message that says how to write it.
pub(crate) fn milliseconds(text: &str) -> Result<u64, String> {
    let mut rest = text;
    let mut total = 0_u64;
    let mut last = None;
    while !rest.is_empty() {
        let (number, after_number) = split_at_first(rest, |c: char| !c.is_ascii_digit() && c != '.' && c != '_');
        let (unit, after_unit) = split_at_first(after_number, |c: char| c.is_ascii_digit() || c == '.' || c == '_');
        let position = unit_position(text, number, unit, last)?;
        if last.is_some_and(|last| position <= last) {
            return Err(format!("`{text}` has a larger unit after a smaller one: write it as `1h30m`, largest first"));
        }
        last = Some(position);
        total = part(number, UNITS[position].1)
            .map_err(|mistake| format!("`{number}{unit}` {mistake}"))?
            .checked_add(total)
            .ok_or_else(|| too_long(text))?;
        rest = after_unit;
    }
    if total > LONGEST_DAYS * UNITS[0].1 { Err(too_long(text)) } else { Ok(total) }
}

fn too_long(text: &str) -> String {
    format!("`{text}` {TOO_LONG}")
}

const TOO_LONG: &str = "is longer than 100 years, which is the limit (`36500d`)";

fn split_at_first(text: &str, boundary: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(boundary).unwrap_or(text.len()))
}

/// The index of the unit in [`UNITS`].
fn unit_position(text: &str, number: &str, unit: &str, last: Option<usize>) -> Result<usize, String> {
    if let Some(position) = UNITS.iter().position(|(name, _)| *name == unit) {
        return Ok(position);
    }
    if unit.is_empty() {
        // After `1h` the next unit is minutes; a number alone most often means seconds.
        let next = last.map_or("s", |last| UNITS.get(last + 1).map_or("ms", |(name, _)| name));
        return Err(format!("`{text}` has no unit ({UNIT_NAMES}): did you mean `{text}{next}`?"));
    }
    let lower = unit.to_lowercase();
    let meant = OTHER_NAMES.iter().find(|(name, others)| *name == lower || others.contains(&lower.as_str()));
    Err(match (meant, lower.as_str()) {
        (Some((name, _)), _) => format!("unknown unit `{unit}`: did you mean `{number}{name}`?"),
        (None, "w" | "week" | "weeks") => format!("unknown unit `{unit}`: count in days, as in `7d`"),
        (None, "us" | "µs" | "ns") => format!("unknown unit `{unit}`: the smallest unit is `ms`"),
        _ => format!("unknown unit `{unit}`: the units are {UNIT_NAMES}"),
    })
}

const UNIT_NAMES: &str = "`ms`, `s`, `m`, `h`, `d`";

/// `number` times `unit`, without rounding.
fn part(number: &str, unit: u64) -> Result<u64, &'static str> {
    let digits = number.replace('_', "");
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    if !digits.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("is not a number");
    }
    let whole = whole.parse::<u64>().map_err(|_| TOO_LONG)?;
    // Without trailing zeros, a fraction of more digits is finer than a millisecond.
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 8 {
        return Err(TOO_FINE);
    }
    let scale = 10_u64.pow(fraction.len() as u32);
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().map_err(|_| "is not a number")? };
    if !(fraction * unit).is_multiple_of(scale) {
        return Err(TOO_FINE);
    }
    whole.checked_mul(unit).and_then(|whole| whole.checked_add(fraction * unit / scale)).ok_or(TOO_LONG)
}

const TOO_FINE: &str = "is not a whole number of milliseconds";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed_exactly() {
        for (text, expected) in [
            ("250ms", 250),
            ("20s", 20_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("1d12h30m15s250ms", 131_415_250),
            ("1.5s", 1_500),
            ("0.25h", 900_000),
            ("1.001s", 1_001),
            ("2.50000000000000000s", 2_500),
            ("1_000ms", 1_000),
            ("0s", 0),
            ("36500d", 3_153_600_000_000),
        ] {
            assert_eq!(milliseconds(text), Ok(expected), "{text}");
        }
    }

    /// Every amount below a day, written in its units with none left out, with zeros left out, and as a fraction.
    #[test]
    fn every_way_to_write_an_amount_gives_the_amount() {
        let mut state = 7_u64;
        for _ in 0..20_000 {
            // SplitMix64 (Steele, Lea, Flood 2014): the same amounts in every run.
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let amount = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9) % (LONGEST_DAYS * 86_400_000);
            let mut rest = amount;
            let (mut all, mut short) = (String::new(), String::new());
            for (name, unit) in UNITS {
                let count = rest / unit;
                rest %= unit;
                all += &format!("{count}{name}");
                if count > 0 {
                    short += &format!("{count}{name}");
                }
            }
            assert_eq!(milliseconds(&all), Ok(amount), "{all}");
            assert_eq!(milliseconds(&short), Ok(amount), "{short}");
            let fraction = format!("{}.{:03}s", amount / 1000, amount % 1000);
            assert_eq!(milliseconds(&fraction), Ok(amount), "{fraction}");
        }
    }

    #[test]
    fn mistakes_name_the_fix() {
        for (text, expected) in [
            ("5", "did you mean `5s`?"),
            ("1h30", "did you mean `1h30m`?"),
            ("1.5", "did you mean `1.5s`?"),
            ("5sec", "unknown unit `sec`: did you mean `5s`?"),
            ("5min", "did you mean `5m`?"),
            ("5M", "did you mean `5m`?"),
            ("3weeks", "as in `7d`"),
            ("10us", "the smallest unit is `ms`"),
            ("5x", "the units are `ms`, `s`, `m`, `h`, `d`"),
            ("30m1h", "largest first"),
            ("1s1s", "largest first"),
            ("1h_m", "is not a number"),
            ("1.5ms", "not a whole number of milliseconds"),
            ("0.0001s", "not a whole number of milliseconds"),
            ("0.123456789123s", "not a whole number of milliseconds"),
            ("36501d", "longer than 100 years"),
            ("99999999999999999999s", "longer than 100 years"),
            ("18446744073709551615d", "longer than 100 years"),
            ("18446744073709551615ms", "longer than 100 years"),
        ] {
            let mistake = milliseconds(text).expect_err(text);
            assert!(mistake.contains(expected), "{text}: {mistake}");
        }
    }
}

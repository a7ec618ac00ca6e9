//! The value of `fresh_for`, `jitter` and `refresh_ahead`: a percentage like `80%`, or a duration.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Error, Result};

use crate::parse::percent::percentage;
use crate::parse::time::Time;

/// A part of a lifetime.
pub(crate) enum Part {
    Percent(Percent),
    Time(Time),
}

/// From 1 to 99.
pub(crate) struct Percent {
    pub(crate) number: u8,
    tokens: TokenStream,
}

impl Part {
    /// Parses the value of `option`.
    pub(crate) fn parse(option: &str, input: ParseStream) -> Result<Self> {
        let Some((number, tokens)) = percentage(input) else { return Time::parse(option, input).map(Self::Time) };
        match number.parse::<u128>() {
            Ok(number @ 1..=99) => Ok(Self::Percent(Percent { number: number as u8, tokens })),
            Ok(0) => Err(Error::new_spanned(tokens, nothing(option))),
            Ok(100) => Err(Error::new_spanned(tokens, everything(option))),
            _ => Err(Error::new_spanned(
                tokens,
                format!("a percentage is a whole number from 1 to 99, as in `{option} = {}`", example(option)),
            )),
        }
    }

    pub(crate) fn time(&self) -> Option<&Time> {
        match self {
            Self::Percent(_) => None,
            Self::Time(time) => Some(time),
        }
    }
}

impl ToTokens for Part {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Percent(percent) => percent.tokens.to_tokens(tokens),
            Self::Time(time) => time.to_tokens(tokens),
        }
    }
}

fn example(option: &str) -> &'static str {
    match option {
        "fresh_for" => "80%",
        "jitter" => "10%",
        _ => "20%",
    }
}

fn nothing(option: &str) -> &'static str {
    match option {
        "fresh_for" => {
            "`fresh_for` is 0 % of `ttl`: no value would ever be fresh; leave it out to have values fresh until `ttl`"
        }
        "jitter" => "`jitter` is 0 %: it would change nothing; leave it out to have none",
        _ => {
            "`refresh_ahead` is 0 % of `fresh_for`: no refresh would start early; leave it out to refresh stale values only"
        }
    }
}

fn everything(option: &str) -> &'static str {
    match option {
        "fresh_for" => "`fresh_for` is 100 % of `ttl`, which is the default: leave it out",
        "jitter" => "`jitter` is 100 %: values could end at once; write a smaller part, as in `jitter = 10%`",
        _ => {
            "`refresh_ahead` is 100 % of `fresh_for`: each hit would start a refresh; write a smaller part, as in \
             `refresh_ahead = 20%`, or `refresh_ahead = auto`"
        }
    }
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser;

    use super::*;

    fn part(text: &str) -> Result<Part> {
        let tokens: TokenStream = text.parse().expect(text);
        (|input: ParseStream| {
            let part = Part::parse("jitter", input)?;
            assert!(input.is_empty(), "{text} left {input}");
            Ok(part)
        })
        .parse2(tokens)
    }

    #[test]
    fn percentages_and_durations_are_told_apart() {
        for (text, expected) in [("10%", 10), ("1 %", 1), ("99%", 99)] {
            assert!(matches!(part(text), Ok(Part::Percent(Percent { number, .. })) if number == expected), "{text}");
        }
        for text in ["10s", "JITTER", "jitter()", "TTL / 10"] {
            assert!(matches!(part(text), Ok(Part::Time(_))), "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_fix() {
        for (text, expected) in [
            ("0%", "leave it out"),
            ("100%", "as in `jitter = 10%`"),
            ("101%", "from 1 to 99, as in `jitter = 10%`"),
            ("12.5%", "a whole number from 1 to 99"),
            ("99999999999999999999999999999999999999999999%", "from 1 to 99"),
            ("\"10%\"", "write `jitter = 10%`"),
            ("0s", "`jitter` is zero"),
            ("10", "did you mean `10s`?"),
        ] {
            let Err(mistake) = part(text) else { panic!("{text}") };
            assert!(mistake.to_string().contains(expected), "{text}: {mistake}");
        }
    }
}

//! Byte sizes: `64kb`, `1mb`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::parse::ParseStream;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Result};

use crate::span::{ends, hidden};

/// The units, as Redis has them: 1kb is 1024 bytes.
const UNITS: [(&str, u64); 3] = [("b", 1), ("kb", 1 << 10), ("mb", 1 << 20)];

/// The longest value of Redis.
const LONGEST: u64 = 512 << 20;

/// A number of bytes: a literal, which the macro has checked, or an expression of type `usize`.
pub(crate) enum Bytes {
    Literal(u64, TokenStream),
    Computed(Expr),
}

impl Bytes {
    /// Parses the value of `option`.
    pub(crate) fn parse(option: &str, input: ParseStream) -> Result<Self> {
        if let Ok(quoted) = input.fork().parse::<LitStr>() {
            let size = quoted.value();
            let fix = if bytes(&size).is_ok() { &size } else { "64kb" };
            return Err(Error::new(
                quoted.span(),
                format!("a size is written without quotes: write `{option} = {fix}`"),
            ));
        }
        match input.parse()? {
            Expr::Lit(ExprLit { lit: lit @ (Lit::Int(_) | Lit::Float(_)), .. }) => {
                match bytes(&lit.to_token_stream().to_string()) {
                    Ok(bytes) => Ok(Self::Literal(bytes, lit.into_token_stream())),
                    Err(mistake) => Err(Error::new_spanned(lit, mistake)),
                }
            }
            expression => Ok(Self::Computed(expression)),
        }
    }
}

/// An expression of type `usize`.
impl ToTokens for Bytes {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(bytes, literal) => {
                tokens.extend(quote_spanned!(hidden(ends(literal).0)=> { #bytes as usize }));
            }
            Self::Computed(expression) => expression.to_tokens(tokens),
        }
    }
}

/// The bytes of a size, or a message that says how to write it.
fn bytes(text: &str) -> std::result::Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let lower = unit.to_lowercase();
    let Some((_, size)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(match lower.as_str() {
            "" => format!("`{text}` has no unit ({UNIT_NAMES}): did you mean `{text}b`?"),
            "k" | "kib" | "kb" => {
                format!("unknown unit `{unit}`: did you mean `{number}kb`, which is {number} times 1024 bytes?")
            }
            "m" | "mib" | "mb" => format!("unknown unit `{unit}`: did you mean `{number}mb`?"),
            "g" | "gib" | "gb" => format!("unknown unit `{unit}`: a value in Redis has at most `512mb`"),
            _ if unit.starts_with('.') => format!("`{text}` is no whole number: use a smaller unit ({UNIT_NAMES})"),
            _ => format!("unknown unit `{unit}`: the units are {UNIT_NAMES}"),
        });
    };
    let too_long = || format!("`{text}` is more than a value in Redis can have (`512mb`)");
    let number: u64 = number.replace('_', "").parse().map_err(|_| too_long())?;
    match number.checked_mul(*size) {
        Some(0) => Err(format!("`{text}` would keep every value out of Redis: write `tier = memory` instead")),
        Some(bytes) if bytes <= LONGEST => Ok(bytes),
        _ => Err(too_long()),
    }
}

const UNIT_NAMES: &str = "`b`, `kb`, `mb`";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_parsed_exactly() {
        for (text, expected) in [
            ("1b", 1),
            ("64kb", 65_536),
            ("1mb", 1 << 20),
            ("1_000b", 1000),
            ("512mb", 512 << 20),
            ("524288kb", 512 << 20),
        ] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_fix() {
        for (text, expected) in [
            ("65536", "did you mean `65536b`?"),
            ("64KB", "did you mean `64kb`"),
            ("64k", "did you mean `64kb`"),
            ("64kib", "64 times 1024 bytes"),
            ("1MiB", "did you mean `1mb`?"),
            ("1gb", "at most `512mb`"),
            ("1.5mb", "use a smaller unit"),
            ("5x", "the units are `b`, `kb`, `mb`"),
            ("0kb", "`tier = memory`"),
            ("513mb", "more than a value in Redis can have"),
            ("99999999999999999999b", "more than a value in Redis can have"),
            ("18446744073709551615mb", "more than a value in Redis can have"),
        ] {
            let mistake = bytes(text).expect_err(text);
            assert!(mistake.contains(expected), "{text}: {mistake}");
        }
    }
}

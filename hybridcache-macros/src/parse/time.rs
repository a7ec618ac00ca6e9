//! The value of an option that is a duration: a literal like `20s`, or an expression of type `Duration`.

use proc_macro2::{Literal, TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Error, Expr, ExprCall, ExprPath, Ident, LitStr, Path, Result, Token};

use crate::parse::duration::milliseconds;
use crate::parse::percent::percentage;

/// A duration, by when it can be checked.
pub(crate) enum Time {
    /// Checked by the macro.
    Literal(TimeLiteral),
    /// Checked by the compiler, in a `const` block.
    Constant(Expr),
    /// Clamped to the bounds by the runtime.
    Computed(Expr),
}

pub(crate) struct TimeLiteral {
    pub(crate) milliseconds: u64,
    tokens: TokenStream,
}

impl Time {
    /// Parses the value of `option`.
    pub(crate) fn parse(option: &str, input: ParseStream) -> Result<Self> {
        if let Ok(quoted) = input.fork().parse::<LitStr>() {
            let duration = quoted.value();
            let is_percentage = duration.strip_suffix('%').is_some_and(|number| number.trim().parse::<u8>().is_ok());
            let fix = if is_percentage || milliseconds(&duration).is_ok() { &duration } else { "20s" };
            return Err(Error::new(
                quoted.span(),
                format!("a duration is written without quotes: write `{option} = {fix}`"),
            ));
        }
        if let Some((_, tokens)) = percentage(&input.fork()) {
            return Err(Error::new_spanned(
                tokens,
                format!(
                    "`{option}` takes a duration, as in `{option} = 20s`; `fresh_for`, `refresh_ahead` and `jitter` take a \
                     percentage too"
                ),
            ));
        }
        if input.peek(Token![-]) {
            return Err(input.error(format!("`{option}` cannot be negative")));
        }
        if let Some((tokens, text)) = separate_unit(input) {
            let mistake = match milliseconds(&text) {
                Ok(0) if option != MAY_BE_ZERO => is_zero(option).to_owned(),
                Ok(_) => format!("a duration is one word: write `{option} = {text}`, without a space"),
                Err(mistake) => mistake,
            };
            return Err(Error::new_spanned(tokens, mistake));
        }
        if let Some(tokens) = duration_literal(input) {
            return TimeLiteral::check(option, tokens).map(Self::Literal);
        }
        let expression: Expr = input.parse()?;
        Ok(if is_constant_duration(&expression) { Self::Constant(expression) } else { Self::Computed(expression) })
    }

    /// The milliseconds of a literal.
    pub(crate) fn literal(&self) -> Option<u64> {
        match self {
            Self::Literal(literal) => Some(literal.milliseconds),
            Self::Constant(_) | Self::Computed(_) => None,
        }
    }
}

impl ToTokens for Time {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Literal(literal) => literal.tokens.to_tokens(tokens),
            Self::Constant(expression) | Self::Computed(expression) => expression.to_tokens(tokens),
        }
    }
}

impl TimeLiteral {
    fn check(option: &str, tokens: TokenStream) -> Result<Self> {
        let text: String = tokens.clone().into_iter().map(|literal| literal.to_string()).collect();
        match milliseconds(&text) {
            Ok(0) if option != MAY_BE_ZERO => Err(Error::new_spanned(&tokens, is_zero(option))),
            Ok(milliseconds) => Ok(Self { milliseconds, tokens }),
            Err(mistake) => Err(Error::new_spanned(&tokens, mistake)),
        }
    }
}

impl std::fmt::Display for TimeLiteral {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tokens.fmt(f)
    }
}

/// `none_ttl = 0s`: absent values are not stored.
const MAY_BE_ZERO: &str = "none_ttl";

fn is_zero(option: &str) -> &'static str {
    match option {
        "ttl" => "`ttl` is zero: nothing would ever be cached",
        "fresh_for" => {
            "`fresh_for` is zero: no value would ever be fresh; leave it out to have values fresh until `ttl`"
        }
        "timeout" => "`timeout` is zero: no load could finish; leave it out to have none",
        "soft_timeout" => "`soft_timeout` is zero, which is the default: leave it out",
        "err_ttl" => "`err_ttl` is zero: no error would be kept; leave it out",
        "jitter" => "`jitter` is zero: it would change nothing; leave it out to have none",
        "min_cost" => "`min_cost` is zero: every value would be stored; leave it out",
        _ => "`refresh_ahead` is zero: no refresh would start early; leave it out to refresh stale values only",
    }
}

/// Parses `1h30m` or `1h 30m`, but not a number that begins an expression, as in `2 * MINUTE`.
fn duration_literal(input: ParseStream) -> Option<TokenStream> {
    let fork = input.fork();
    let first: Literal = fork.parse().ok()?;
    let ends_here = fork.is_empty() || fork.peek(Token![,]);
    if is_plain_number(&first.to_string()) && !ends_here {
        return None;
    }
    let mut tokens = TokenStream::new();
    while let Ok(literal) = input.parse::<Literal>() {
        literal.to_tokens(&mut tokens);
    }
    Some(tokens)
}

/// `60 s`: a number and the name of a unit, and both as one word. Rust has no expression like that.
fn separate_unit(input: ParseStream) -> Option<(TokenStream, String)> {
    let fork = input.fork();
    let (mut tokens, mut text) = (TokenStream::new(), String::new());
    while let Ok(literal) = fork.parse::<Literal>() {
        text += &literal.to_string();
        literal.to_tokens(&mut tokens);
        if let Ok(unit) = fork.parse::<Ident>() {
            text += &unit.to_string();
            unit.to_tokens(&mut tokens);
        }
    }
    let has_a_unit = tokens.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(_)));
    (has_a_unit && (fork.is_empty() || fork.peek(Token![,]))).then_some((tokens, text))
}

/// A Rust number: without a suffix, or with that of a type.
fn is_plain_number(text: &str) -> bool {
    let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_' || c == '.');
    matches!(
        suffix,
        "" | "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize"
    )
}

/// Whether an expression of type `Duration` can be in a `const` block, as far as its tokens show.
fn is_constant_duration(expression: &Expr) -> bool {
    match expression {
        Expr::Path(ExprPath { path, .. }) => is_constant_path(path),
        Expr::Paren(inner) => is_constant_duration(&inner.expr),
        Expr::Group(inner) => is_constant_duration(&inner.expr),
        Expr::Call(ExprCall { func, args, .. }) => is_constructor(func) && args.iter().all(is_constant_number),
        _ => false,
    }
}

/// `Duration::new`, `Duration::from_secs` and their like, which are all `const`.
fn is_constructor(function: &Expr) -> bool {
    let Expr::Path(ExprPath { path, .. }) = function else { return false };
    let mut names = path.segments.iter().rev().map(|segment| segment.ident.to_string());
    names.next().is_some_and(|name| name == "new" || name.starts_with("from_"))
        && names.next().is_some_and(|name| name == "Duration")
}

fn is_constant_number(expression: &Expr) -> bool {
    match expression {
        Expr::Lit(_) => true,
        Expr::Path(ExprPath { path, .. }) => is_constant_path(path),
        Expr::Paren(inner) => is_constant_number(&inner.expr),
        Expr::Group(inner) => is_constant_number(&inner.expr),
        Expr::Cast(inner) => is_constant_number(&inner.expr),
        Expr::Binary(binary) => is_constant_number(&binary.left) && is_constant_number(&binary.right),
        _ => false,
    }
}

/// `TTL`, `Self::TTL`, `limits::TTL`: constants are written in capitals, arguments are not.
fn is_constant_path(path: &Path) -> bool {
    path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        name.chars().any(char::is_uppercase) && !name.chars().any(char::is_lowercase)
    })
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser;

    use super::*;

    fn time(text: &str) -> Result<Time> {
        let tokens: TokenStream = text.parse().expect(text);
        (|input: ParseStream| {
            let time = Time::parse("ttl", input)?;
            assert!(input.is_empty(), "{text} left {input}");
            Ok(time)
        })
        .parse2(tokens)
    }

    #[test]
    fn literals_constants_and_computed_values_are_told_apart() {
        for (text, expected) in [("20s", 20_000), ("1h30m", 5_400_000), ("1h 30m", 5_400_000), ("1.5s", 1_500)] {
            assert!(
                matches!(time(text), Ok(Time::Literal(TimeLiteral { milliseconds, .. })) if milliseconds == expected),
                "{text}"
            );
        }
        for text in [
            "TTL",
            "Self::TTL",
            "(TTL)",
            "Duration::from_secs(5)",
            "std::time::Duration::from_secs(60 * MINUTES as u64)",
            "Duration::new(5, 0)",
            "Duration::MAX",
        ] {
            assert!(matches!(time(text), Ok(Time::Constant(_))), "{text}");
        }
        for text in [
            "ttl",
            "self.ttl",
            "2 * TTL",
            "5u32 * TTL",
            "Duration::from_secs(ttl)",
            "config().ttl",
            "*TTL",
            "lifetime(5)",
        ] {
            assert!(matches!(time(text), Ok(Time::Computed(_))), "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_fix() {
        for (text, expected) in [
            ("5", "did you mean `5s`?"),
            ("5sec", "did you mean `5s`?"),
            ("1h 30", "did you mean `1h30m`?"),
            ("60 s", "write `ttl = 60s`, without a space"),
            ("1 h 30 m", "write `ttl = 1h30m`, without a space"),
            ("1h 30 m", "write `ttl = 1h30m`, without a space"),
            ("1.5 s", "write `ttl = 1.5s`, without a space"),
            ("60 seconds", "did you mean `60s`?"),
            ("0 s", "`ttl` is zero"),
            ("0s", "`ttl` is zero"),
            ("\"20s\"", "write `ttl = 20s`"),
            ("\"soon\"", "write `ttl = 20s`"),
            ("-5s", "cannot be negative"),
        ] {
            let Err(mistake) = time(text) else { panic!("{text}") };
            assert!(mistake.to_string().contains(expected), "{text}: {mistake}");
        }
    }
}

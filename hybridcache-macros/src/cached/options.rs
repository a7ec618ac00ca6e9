//! The grammar of `#[hybrid_cached(..)]`. Options keep their tokens, so that later errors have their spans.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, LitBool, LitInt, LitStr, Path, Result, Token, Type, parenthesized, parse_quote, token};

use crate::errors::Errors;
use crate::parse::bytes::Bytes;
use crate::parse::comma_list::{each, ends_here, tags};
use crate::parse::part::Part;
use crate::parse::suggest::{did_you_mean, listed};
use crate::parse::time::Time;

/// In the order of the documentation.
const NAMES: [&str; 22] = [
    "ttl",
    "fresh_for",
    "timeout",
    "refresh_ahead",
    "soft_timeout",
    "none_ttl",
    "err_ttl",
    "jitter",
    "min_cost",
    "key",
    "skip",
    "name",
    "version",
    "tags",
    "tier",
    "cache",
    "weigh",
    "codec",
    "compress",
    "max_value",
    "crate",
    "entry",
];

/// The options that are about the bytes in Redis.
const FOR_REDIS: [&str; 3] = ["codec", "compress", "max_value"];

/// What other crates call `ttl`.
const OTHER_NAMES_OF_TTL: [&str; 6] = ["time", "ttl_secs", "ttl_millis", "expire", "expires_in", "time_to_live"];

/// The parsed attribute.
pub(crate) struct Options {
    pub(crate) ttl: Option<Time>,
    pub(crate) fresh_for: Option<Part>,
    pub(crate) timeout: Option<Time>,
    pub(crate) refresh_ahead: Option<RefreshAhead>,
    pub(crate) soft_timeout: Option<Time>,
    pub(crate) none_ttl: Option<Time>,
    pub(crate) err_ttl: Option<Time>,
    pub(crate) jitter: Option<Part>,
    pub(crate) min_cost: Option<Time>,
    pub(crate) key: Option<Key>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) name: Option<LitStr>,
    pub(crate) version: u32,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) tier: Tier,
    pub(crate) cache: Option<Expr>,
    pub(crate) weigh: Option<Expr>,
    pub(crate) codec: Option<Type>,
    pub(crate) compress: bool,
    pub(crate) max_value: Option<Bytes>,
    /// `crate`: the path of the facade crate.
    pub(crate) facade: Path,
    pub(crate) entry: bool,
    /// An option that is about the bytes in Redis.
    for_redis: Option<Ident>,
}

pub(crate) enum Key {
    Template(LitStr),
    Expression(Expr),
}

pub(crate) enum RefreshAhead {
    Auto(Ident),
    XFetch(Ident),
    Part(Part),
}

impl RefreshAhead {
    pub(crate) fn time(&self) -> Option<&Time> {
        match self {
            Self::Auto(_) | Self::XFetch(_) => None,
            Self::Part(part) => part.time(),
        }
    }
}

impl ToTokens for RefreshAhead {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Auto(word) | Self::XFetch(word) => word.to_tokens(tokens),
            Self::Part(part) => part.to_tokens(tokens),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tier {
    Both,
    Memory,
}

impl Options {
    /// Every option that can be parsed; the mistakes in the others go to `errors`.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self {
            ttl: None,
            fresh_for: None,
            timeout: None,
            refresh_ahead: None,
            soft_timeout: None,
            none_ttl: None,
            err_ttl: None,
            jitter: None,
            min_cost: None,
            key: None,
            skip: Vec::new(),
            name: None,
            version: 0,
            tags: Vec::new(),
            tier: Tier::Both,
            cache: None,
            weigh: None,
            codec: None,
            compress: true,
            max_value: None,
            facade: parse_quote!(::hybridcache),
            entry: true,
            for_redis: None,
        };
        let mut given = HashSet::new();
        each(tokens, errors, |input| options.parse_one(input, &mut given));
        if !given.contains("ttl") {
            errors.push(Error::new(
                Span::call_site(),
                "`ttl` is missing: say how long a value may be used, as in `#[hybrid_cached(ttl = 5m)]`",
            ));
        }
        options.check_tier(errors);
        options
    }

    /// The durations that a value is stored with, by loads and puts alike.
    pub(crate) fn times_of_values(&self) -> impl Iterator<Item = &Time> {
        let parts = [&self.fresh_for, &self.jitter].into_iter().flatten().filter_map(Part::time);
        let ahead = self.refresh_ahead.as_ref().and_then(RefreshAhead::time);
        [&self.ttl, &self.none_ttl].into_iter().flatten().chain(parts).chain(ahead)
    }

    fn parse_one(&mut self, input: ParseStream, given: &mut HashSet<String>) -> Result<()> {
        let option = input
            .call(Ident::parse_any)
            .map_err(|error| Error::new(error.span(), format!("expected an option, one of: {}", listed(NAMES))))?;
        let name = option.to_string();
        if !NAMES.contains(&name.as_str()) {
            if OTHER_NAMES_OF_TTL.contains(&name.as_str()) {
                // One mistake, one message: `ttl` is not missing, too.
                given.insert("ttl".to_owned());
            }
            return Err(Error::new(option.span(), unknown(&name)));
        }
        if !given.insert(name.clone()) {
            return Err(Error::new(option.span(), format!("`{name}` is given twice: remove one of them")));
        }
        if name == "skip" {
            self.skip = skipped(input, &option)?;
            return Ok(());
        }
        if !input.peek(Token![=]) {
            return Err(Error::new(option.span(), format!("`{name}` takes a value: write `{}`", example(&name))));
        }
        input.parse::<Token![=]>()?;
        if FOR_REDIS.contains(&name.as_str()) {
            self.for_redis = Some(option);
        }
        self.parse_value(&name, input)
    }

    fn parse_value(&mut self, name: &str, input: ParseStream) -> Result<()> {
        match name {
            "ttl" => self.ttl = Some(Time::parse(name, input)?),
            "fresh_for" => self.fresh_for = Some(Part::parse(name, input)?),
            "timeout" => self.timeout = Some(Time::parse(name, input)?),
            "refresh_ahead" => self.refresh_ahead = Some(refresh_ahead(input)?),
            "soft_timeout" => self.soft_timeout = Some(Time::parse(name, input)?),
            "err_ttl" => self.err_ttl = Some(Time::parse(name, input)?),
            "none_ttl" => self.none_ttl = Some(Time::parse(name, input)?),
            "jitter" => self.jitter = Some(Part::parse(name, input)?),
            "min_cost" => self.min_cost = Some(Time::parse(name, input)?),
            "key" => self.key = Some(key(input)?),
            "name" => self.name = Some(function_name(input)?),
            "version" => self.version = version(input)?,
            "tags" => self.tags = tags(input)?,
            "tier" => self.tier = tier(input)?,
            "cache" => self.cache = Some(input.parse()?),
            "weigh" => self.weigh = Some(input.parse()?),
            "codec" => {
                let expected = "expected a type that implements `hybridcache::Codec`, as in `codec = Json`";
                self.codec = Some(input.parse().map_err(|error| Error::new(error.span(), expected))?);
            }
            "compress" => self.compress = switch(input, "compress", "which stores values as they are encoded")?,
            "max_value" => self.max_value = Some(Bytes::parse(name, input)?),
            "crate" => self.facade = input.call(Path::parse_mod_style)?,
            _ => self.entry = switch(input, "entry", "which leaves the entry handle out")?,
        }
        Ok(())
    }

    /// What is about the bytes in Redis has no effect on values that never go there.
    fn check_tier(&self, errors: &mut Errors) {
        let Some(option) = self.for_redis.as_ref().filter(|_| self.tier == Tier::Memory) else { return };
        let message = format!(
            "`{option}` is about values in Redis, and with `tier = memory` they stay in memory: remove one of the two"
        );
        errors.push(Error::new(option.span(), message));
    }
}

/// The message for a name that is no option. People come from other crates, whose options have other names.
fn unknown(name: &str) -> String {
    let elsewhere = match name {
        _ if OTHER_NAMES_OF_TTL.contains(&name) => "; write `ttl = 60s`: a duration has its unit",
        "size" | "max_size" | "max_entries" | "capacity" | "max_capacity" => {
            "; the bound is the cache's: `HybridCache::builder().memory(Memory::entries(10_000))`"
        }
        "result" | "option" | "cache_err" => {
            "; leave it out: an `Err` is never stored, and a `None` is a value like any other"
        }
        "sync_writes" | "sync_lock" => "; leave it out: callers of one key share one load",
        "convert" => "; the key is `key = \"{id}\"`, or an expression: `key = (org, id)`",
        _ => return format!("unknown option `{name}`{}", did_you_mean(name, NAMES)),
    };
    format!("unknown option `{name}`{elsewhere}")
}

/// An example of each option, for messages.
fn example(name: &str) -> &'static str {
    match name {
        "ttl" => "ttl = 1h",
        "fresh_for" => "fresh_for = 1m",
        "timeout" => "timeout = 20s",
        "refresh_ahead" => "refresh_ahead = auto",
        "soft_timeout" => "soft_timeout = 50ms",
        "none_ttl" => "none_ttl = 30s",
        "err_ttl" => "err_ttl = 1s",
        "jitter" => "jitter = 10%",
        "min_cost" => "min_cost = 5ms",
        "key" => "key = \"user:{id}\"",
        "name" => "name = \"user\"",
        "version" => "version = 1",
        "tags" => "tags = [\"org:{org}\"]",
        "tier" => "tier = memory",
        "cache" => "cache = self.cache",
        "weigh" => "weigh = |value: &T| value.len()",
        "codec" => "codec = Json",
        "compress" => "compress = false",
        "max_value" => "max_value = 64kb",
        "crate" => "crate = path::to::hybridcache",
        _ => "entry = false",
    }
}

fn skipped(input: ParseStream, option: &Ident) -> Result<Vec<Ident>> {
    if !input.peek(token::Paren) {
        return Err(Error::new(option.span(), "`skip` takes a list of arguments: write `skip(db, client)`"));
    }
    let content;
    parenthesized!(content in input);
    let arguments = content.parse_terminated(
        |input: ParseStream| {
            input.call(Ident::parse_any).map_err(|error| Error::new(error.span(), "expected the name of an argument"))
        },
        Token![,],
    )?;
    let mut seen = HashSet::new();
    for argument in &arguments {
        if !seen.insert(argument.to_string()) {
            return Err(Error::new(argument.span(), format!("`{argument}` is skipped twice: remove one of them")));
        }
    }
    Ok(arguments.into_iter().collect())
}

fn key(input: ParseStream) -> Result<Key> {
    // An expression can begin with a literal: `"a".len()`.
    let fork = input.fork();
    if fork.parse::<LitStr>().is_ok() && ends_here(&fork) {
        return input.parse().map(Key::Template);
    }
    let expression = input.parse()?;
    // `key = user:{id}`
    if input.peek(Token![:]) {
        return Err(Error::new_spanned(expression, "a template is written in quotes: write `key = \"user:{id}\"`"));
    }
    Ok(Key::Expression(expression))
}

fn refresh_ahead(input: ParseStream) -> Result<RefreshAhead> {
    let fork = input.fork();
    match fork.parse::<Ident>() {
        Ok(word) if ends_here(&fork) && (word == "auto" || word == "xfetch") => {
            let word: Ident = input.parse()?;
            Ok(if word == "auto" { RefreshAhead::Auto(word) } else { RefreshAhead::XFetch(word) })
        }
        _ => Part::parse("refresh_ahead", input).map(RefreshAhead::Part),
    }
}

fn function_name(input: ParseStream) -> Result<LitStr> {
    let name: LitStr = input
        .parse()
        .map_err(|error| Error::new(error.span(), "expected a string literal, as in `name = \"user\"`"))?;
    if name.value().is_empty() {
        return Err(Error::new(name.span(), "the name is empty; leave `name` out to use the function's path"));
    }
    Ok(name)
}

fn version(input: ParseStream) -> Result<u32> {
    let expected = "expected an integer from 0 to 4294967295, as in `version = 1`";
    let literal: LitInt = input.parse().map_err(|error| Error::new(error.span(), expected))?;
    match literal.base10_parse() {
        Ok(version) if literal.suffix().is_empty() => Ok(version),
        _ => Err(Error::new(literal.span(), expected)),
    }
}

fn switch(input: ParseStream, name: &str, effect: &str) -> Result<bool> {
    let value: Result<LitBool> = input.parse();
    value
        .map(|value| value.value)
        .map_err(|error| Error::new(error.span(), format!("expected `{name} = false`, {effect}")))
}

fn tier(input: ParseStream) -> Result<Tier> {
    let tier = input.call(Ident::parse_any);
    match tier {
        Ok(tier) if tier == "memory" => Ok(Tier::Memory),
        Ok(tier) => Err(Error::new(tier.span(), TIERS)),
        Err(error) => Err(Error::new(error.span(), TIERS)),
    }
}

const TIERS: &str = "expected `tier = memory`; leave `tier` out to use memory and the shared tier";

#[cfg(test)]
mod tests;

//! The grammar of `#[hybrid_evict(..)]`: calls, and options between them in any order.

use std::collections::HashSet;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Expr, Ident, LitStr, Path, Result, Token, parse_quote};

use super::target::Target;
use crate::errors::Errors;
use crate::parse::comma_list::{each, ends_here, tags};
use crate::parse::suggest::did_you_mean;

const NAMES: [&str; 4] = ["tags", "when", "cache", "crate"];

/// The parsed attribute.
pub(crate) struct Options {
    pub(crate) targets: Vec<Target>,
    pub(crate) tags: Vec<LitStr>,
    pub(crate) when: When,
    /// The cache of the tags: the handle of a target has its own.
    pub(crate) cache: Option<Expr>,
    /// `crate`: the path of the facade crate.
    pub(crate) facade: Path,
}

/// The outcomes of the function after which it evicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    /// All except `Err`.
    Ok,
    /// All.
    Always,
}

impl Options {
    /// Everything that can be parsed; the mistakes in the rest go to `errors`.
    pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut options = Self {
            targets: Vec::new(),
            tags: Vec::new(),
            when: When::Ok,
            cache: None,
            facade: parse_quote!(::hybridcache),
        };
        let mut given = HashSet::new();
        let mut mistakes = Errors::default();
        each(tokens, &mut mistakes, |input| options.parse_one(input, &mut given));
        // After another mistake, that may be the target or tag that is missing.
        if mistakes.is_empty() {
            mistakes.keep(options.check_complete(&given));
        }
        errors.keep(mistakes.into_result());
        options
    }

    fn parse_one(&mut self, input: ParseStream, given: &mut HashSet<String>) -> Result<()> {
        if !is_option(input) {
            self.targets.push(Target::parse(input)?);
            return Ok(());
        }
        let option = input.call(Ident::parse_any)?;
        let name = option.to_string();
        if !NAMES.contains(&name.as_str()) {
            return Err(Error::new(option.span(), format!("unknown option `{name}`{}", did_you_mean(&name, NAMES))));
        }
        if !given.insert(name.clone()) {
            return Err(Error::new(option.span(), format!("`{name}` is given twice: remove one of them")));
        }
        if ends_here(input) {
            return Err(Error::new(option.span(), format!("`{name}` takes a value: write `{}`", example(&name))));
        }
        input.parse::<Token![=]>()?;
        match name.as_str() {
            "tags" => self.tags = tags(input)?,
            "when" => self.when = when(input)?,
            "cache" => self.cache = Some(input.parse()?),
            _ => self.facade = input.call(Path::parse_mod_style)?,
        }
        Ok(())
    }

    fn check_complete(&self, given: &HashSet<String>) -> Result<()> {
        if self.targets.is_empty() && self.tags.is_empty() {
            return Err(Error::new(
                Span::call_site(),
                "nothing to evict: name a cached function with its entry's arguments, as in \
                 `#[hybrid_evict(user(order.user_id))]`, or tags, as in `#[hybrid_evict(tags = [\"org:{org}\"])]`",
            ));
        }
        match &self.cache {
            Some(cache) if !given.contains("tags") => Err(Error::new_spanned(
                cache,
                "`cache` is the cache of the tags, and there are no tags: remove it, since each cached function knows \
                 its own cache",
            )),
            _ => Ok(()),
        }
    }
}

/// Whether the next tokens are `name = ..`, or an option's name without a value.
fn is_option(input: ParseStream) -> bool {
    let fork = input.fork();
    match fork.call(Ident::parse_any) {
        Ok(name) if ends_here(&fork) => NAMES.iter().any(|option| name == option),
        Ok(_) => fork.peek(Token![=]) && !fork.peek(Token![==]),
        Err(_) => false,
    }
}

/// An example of each option, for messages.
fn example(name: &str) -> &'static str {
    match name {
        "tags" => "tags = [\"org:{org}\"]",
        "when" => "when = always",
        "cache" => "cache = self.cache",
        _ => "crate = path::to::hybridcache",
    }
}

fn when(input: ParseStream) -> Result<When> {
    let expected = "expected `when = ok`, which evicts unless the function returned `Err`, or `when = always`";
    let when = input.call(Ident::parse_any).map_err(|error| Error::new(error.span(), expected))?;
    match when.to_string().as_str() {
        "ok" => Ok(When::Ok),
        "always" => Ok(When::Always),
        _ => Err(Error::new(when.span(), expected)),
    }
}

#[cfg(test)]
mod tests {
    use quote::ToTokens;

    use super::*;

    fn parse(text: &str) -> (Options, Vec<String>) {
        let mut errors = Errors::default();
        let options = Options::parse(text.parse().expect(text), &mut errors);
        (options, errors.messages())
    }

    fn handles(options: &Options) -> Vec<String> {
        options.targets.iter().map(|target| target.handle.to_token_stream().to_string().replace(' ', "")).collect()
    }

    #[test]
    fn targets_and_options_come_in_any_order() {
        let (options, mistakes) = parse(
            r#"user(order.user_id), tags = ["org:{org}", "all"], self.totals(id, "x"), when = always, Self::of::<T>(),
            cache = &self.cache, crate::users::user(1), crate = my::cache, <Self as Users>::user(&name), r#match(2),
            user_entry(3)"#,
        );
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(
            handles(&options),
            [
                "user_entry(order.user_id)",
                "self.totals_entry(id,\"x\")",
                "Self::of_entry::<T>()",
                "crate::users::user_entry(1)",
                "<SelfasUsers>::user_entry(&name)",
                "match_entry(2)",
                "user_entry(3)",
            ]
        );
        assert_eq!(options.tags.iter().map(LitStr::value).collect::<Vec<_>>(), ["org:{org}", "all"]);
        assert_eq!(options.when, When::Always);
        assert!(options.cache.is_some());
        assert!(options.facade.segments.last().is_some_and(|last| last.ident == "cache"));
        let (options, _) = parse("user(1)");
        assert_eq!(options.when, When::Ok);
    }

    #[test]
    fn functions_may_be_called_as_options_are() {
        let (options, mistakes) = parse("tags(id), cache(id), when()");
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(handles(&options), ["tags_entry(id)", "cache_entry(id)", "when_entry()"]);
    }

    #[test]
    fn each_mistake_has_one_message_with_the_fix() {
        for (text, expected) in [
            ("", "nothing to evict: name a cached function"),
            ("when = always", "nothing to evict: name a cached function"),
            ("tags = []", "nothing to evict: name a cached function"),
            ("user(1), tag = [\"a\"]", "unknown option `tag`; did you mean `tags`? Expected one of: `tags`,"),
            ("user(1), ttl = 1h", "unknown option `ttl`; expected one of: `tags`,"),
            ("user(1), when = ok, when = ok", "`when` is given twice"),
            ("user(1), when = maybe", "expected `when = ok`"),
            ("user(1), when = \"ok\"", "expected `when = ok`"),
            ("user(1), when", "write `when = always`"),
            ("tags", "write `tags = ["),
            ("tags = \"org\"", "`tags` is a list: write `tags = ["),
            ("user(1), tags = [org]", "write a string literal"),
            ("user(1), cache = self.cache", "remove it, since each cached function knows its own cache"),
            ("user", "write `user(..)`, with the arguments of its entry handle"),
            ("users::user", "write `user(..)`, with the arguments of its entry handle"),
            ("self.user", "write `user(..)`, with the arguments of its entry handle"),
            ("user(1).await", "leave `.await` out"),
            ("user_entry(1).invalidate()", "leave `.invalidate()` out"),
            ("user_entry(1).invalidate().await", "leave `.await` out"),
            ("\"org:{org}\"", "write `tags = [\"org:{org}\"]`"),
            ("&user(1)", "expected a call of a cached function"),
            ("(f)(1)", "expected a call of a cached function"),
            ("user(1) other(2)", "expected a `,` between options"),
            ("user(1), = 5", "expected"),
        ] {
            let (_, mistakes) = parse(text);
            assert_eq!(mistakes.len(), 1, "{text}: {mistakes:?}");
            assert!(mistakes[0].contains(expected), "{text}: {mistakes:?}");
        }
    }
}

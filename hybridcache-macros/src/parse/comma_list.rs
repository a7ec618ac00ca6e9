//! A list of options, separated by commas.

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser};
use syn::{Error, LitStr, Result, Token, bracketed, token};

use crate::errors::Errors;

/// Parses each element. After a mistake in one element, the others are still parsed.
pub(crate) fn each(tokens: TokenStream, errors: &mut Errors, mut parse_one: impl FnMut(ParseStream) -> Result<()>) {
    let all = |input: ParseStream| {
        let mut mistakes = Errors::default();
        while !input.is_empty() {
            if mistakes.keep(parse_one(input)).is_none() {
                skip_to_comma(input);
            } else if !input.is_empty() && !input.peek(Token![,]) {
                mistakes.push(input.error("expected a `,` between options"));
                skip_to_comma(input);
            }
            input.parse::<Option<Token![,]>>()?;
        }
        // syn checks that all tokens were parsed only if there was no mistake.
        mistakes.into_result()
    };
    errors.keep(all.parse2(tokens));
}

/// Skips tokens to the next comma, or to the end.
fn skip_to_comma(input: ParseStream) {
    while !input.is_empty() && !input.peek(Token![,]) {
        if input.parse::<TokenTree>().is_err() {
            return;
        }
    }
}

/// Whether the element has no more tokens before the next comma.
pub(crate) fn ends_here(input: ParseStream) -> bool {
    input.is_empty() || input.peek(Token![,])
}

/// `["org:{org}", ..]`
pub(crate) fn tags(input: ParseStream) -> Result<Vec<LitStr>> {
    if !input.peek(token::Bracket) {
        return Err(input.error("`tags` is a list: write `tags = [\"org:{org}\"]`"));
    }
    let content;
    bracketed!(content in input);
    let tags = content.parse_terminated(
        |input: ParseStream| {
            let tag: LitStr = input.parse().map_err(|error| {
                Error::new(error.span(), "a tag is a template: write a string literal, as in `\"org:{org}\"`")
            })?;
            if tag.value().is_empty() { Err(Error::new(tag.span(), "the tag is empty")) } else { Ok(tag) }
        },
        Token![,],
    )?;
    Ok(tags.into_iter().collect())
}

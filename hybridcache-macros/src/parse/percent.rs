//! A percentage: `80%`.

use proc_macro2::{Literal, TokenStream};
use quote::ToTokens;
use syn::Token;
use syn::parse::ParseStream;

use crate::parse::comma_list::ends_here;

/// The number and all tokens, if the element is a percentage. In `80 % x` the `%` is an operator.
pub(super) fn percentage(input: ParseStream) -> Option<(String, TokenStream)> {
    let fork = input.fork();
    let (number, sign) = both(&fork)?;
    if !ends_here(&fork) {
        return None;
    }
    both(input)?;
    let mut tokens = number.to_token_stream();
    sign.to_tokens(&mut tokens);
    Some((number.to_string(), tokens))
}

fn both(input: ParseStream) -> Option<(Literal, Token![%])> {
    Some((input.parse().ok()?, input.parse().ok()?))
}

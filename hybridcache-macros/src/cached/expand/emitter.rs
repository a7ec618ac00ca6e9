//! The state that all generators share: the function, and the spans of their tokens.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Attribute, Ident};

use crate::cached::signature::CachedFn;
use crate::span::{Facade, ends, hidden};

pub(super) struct Emitter<'a> {
    pub(super) function: &'a CachedFn,
    pub(super) facade: &'a Facade,
    pub(super) nth: u32,
}

impl Emitter<'_> {
    pub(super) fn return_span(&self) -> Span {
        ends(&self.function.returns).0
    }
}

/// Uses the names, so that lints do not report them as unused. An `#[allow]` instead would be an error under `forbid`. A name like
/// `_name` needs no use.
pub(super) fn mark_used(names: &[Ident], cfgs: &[&Attribute]) -> TokenStream {
    let names = names.iter().filter(|name| !name.to_string().starts_with('_')).map(|name| {
        let at = hidden(name.span());
        quote_spanned!(at=> #(#cfgs)* let _ = &#name;)
    });
    names.collect()
}

//! `#[hybrid_cached(..)]`: a function becomes a thin call into the runtime.

mod contradictions;
mod expand;
mod no_cache;
mod options;
mod signature;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

use self::options::Options;
use self::signature::CachedFn;
use crate::errors::{Errors, not_a_function};
use crate::span::Facade;

/// Parse, check, expand. Errors are emitted beside a function that other code can call, so that one mistake gives one
/// message.
pub(crate) fn attribute(options: TokenStream, item: TokenStream, nth: u32) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(options, &mut errors);
    contradictions::check(&options, &mut errors);
    let facade = Facade(options.facade.clone());
    let parsed: ItemFn = match syn::parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            errors.push(not_a_function(&item, error, "hybrid_cached", "a cached"));
            let errors = errors.into_compile_errors();
            return quote!(#errors #item);
        }
    };
    let mut function = CachedFn::check(parsed.clone(), options, &mut errors);
    if let Some(function) = &mut function {
        errors.keep(no_cache::rewrite(&mut function.body, &function.returns, &facade));
    }
    match function {
        Some(function) if errors.is_empty() => expand::expand(&function, &facade, nth),
        function => {
            let mut original = parsed;
            no_cache::rewrite_everywhere(&mut original);
            let item = expand::rejected(&original, function.as_ref(), &facade);
            let errors = errors.into_compile_errors();
            quote!(#errors #item)
        }
    }
}

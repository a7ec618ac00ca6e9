//! The attribute `#[hybrid_cached]` and the derive `#[derive(CacheKey)]`. Use them through the crate `hybridcache`.

mod argument;
mod consumed;
mod derive;
mod duration;
mod errors;
mod expand;
mod form;
mod key;
mod mentions;
mod no_cache;
mod options;
mod receiver;
mod signature;
mod site;
mod suggest;
mod template;
mod time;

use std::sync::atomic::{AtomicU32, Ordering};

use errors::Errors;
use options::Options;
use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use signature::CachedFn;
use site::Facade;
use syn::{DeriveInput, ItemFn, parse_macro_input};

/// Doc
#[proc_macro_attribute]
pub fn hybrid_cached(options: TokenStream, item: TokenStream) -> TokenStream {
    static EXPANSIONS: AtomicU32 = AtomicU32::new(0);
    cached(options.into(), item.into(), EXPANSIONS.fetch_add(1, Ordering::Relaxed)).into()
}

/// Doc
#[proc_macro_derive(CacheKey, attributes(cache_key))]
pub fn derive_cache_key(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    derive::cache_key(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}

/// Parse, check, expand. What is wrong is reported next to a function that other code can use, so that one mistake gives one message.
fn cached(options: Tokens, item: Tokens, nth: u32) -> Tokens {
    let mut errors = Errors::default();
    let options = Options::parse(options, &mut errors);
    let facade = Facade(options.facade.clone());
    let parsed: ItemFn = match syn::parse2(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            errors.push(error);
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
            no_cache::rewrite_everywhere(&mut original.block, &facade);
            let item = expand::rejected(&original, function.as_ref(), &facade);
            let errors = errors.into_compile_errors();
            quote!(#errors #item)
        }
    }
}

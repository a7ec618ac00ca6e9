//! `#[hybrid_evict(..)]`: a function that invalidates after it has written.

mod expand;
mod options;
mod target;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ItemFn;

use self::options::Options;
use crate::errors::{Errors, not_a_function};

/// Parse, check, expand. With a mistake the function stays as it is, next to the messages.
pub(crate) fn attribute(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(options, &mut errors);
    let function: Option<ItemFn> = errors
        .keep(syn::parse2(item.clone()).map_err(|error| not_a_function(&item, error, "hybrid_evict", "an evicting")));
    let expanded = function.and_then(|function| expand::expand(function, &options, &mut errors));
    match expanded {
        Some(expanded) if errors.is_empty() => expanded,
        _ => {
            let errors = errors.into_compile_errors();
            quote!(#errors #item)
        }
    }
}

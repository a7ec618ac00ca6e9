//! The tokens of a key or a tag, and of the cache that it is used in.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Expr;

use super::{Part, Value, ValueKind};
use crate::span::{Facade, ends, hidden};

// Output:
//     let mut __key = KeyBuf::new();
//     KeyBuf::template(&mut __key, "user:");
//     { use ladder::*; (&&Placeholder(&id)).__hc_write(&mut __key); }
pub(crate) fn key_buffer(parts: &[Part], location: Span, facade: &Facade) -> TokenStream {
    let (at, private) = (hidden(location), facade.private_at(location));
    let parts = parts.iter().map(|part| match part {
        Part::Text(text) => quote_spanned!(at=> #private::KeyBuf::template(&mut __key, #text);),
        Part::Value(value) => key_value(value, facade),
    });
    quote_spanned!(at=> let mut __key = #private::KeyBuf::new(); #(#parts)*)
}

fn key_value(Value { reference, kind, blamed, cfgs }: &Value, facade: &Facade) -> TokenStream {
    let (at, private) = (hidden(*blamed), facade.private_at(*blamed));
    let write = match kind {
        ValueKind::CacheKey => quote_spanned!(at=> { #private::key_part(#reference, &mut __key); }),
        ValueKind::Placeholder => quote_spanned!(at=> {
            use #private::ladder::*;
            (&&#private::Placeholder(#reference)).__hc_write(&mut __key);
        }),
    };
    quote!(#(#cfgs)* #write)
}

// Output:
//     let __cache: &HybridCache = &(self.cache);
pub(crate) fn cache(named: Option<&Expr>, location: Span, facade: &Facade) -> TokenStream {
    let Some(cache) = named else {
        let private = facade.private_at(location);
        return quote_spanned!(hidden(location)=> let __cache = #private::installed(););
    };
    let (start, end) = ends(cache);
    let (at, facade) = (hidden(start), facade.at(start));
    let parenthesized = quote_spanned!(hidden(end)=> (#cache));
    quote_spanned!(at=> let __cache: &#facade::HybridCache = &#parenthesized;)
}

//! Spans of emitted tokens: the place of messages, and the names that are visible.
//!
//! The compiler reports a bound that fails at the tokens of the call, so each call has the span of tokens that the user can change.
//! Names that the macro invents are invisible to the user's code, and the other way round (`Span::mixed_site`).

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;

/// For names that the macro invents, reported at `location`.
pub(crate) fn hidden(location: Span) -> Span {
    Span::mixed_site().located_at(location)
}

/// The spans of the first and the last token. Stable Rust cannot join two spans, but it reports an expression from its
/// first token to its last.
pub(crate) fn ends(tokens: &impl ToTokens) -> (Span, Span) {
    let mut tokens = tokens.to_token_stream().into_iter();
    let first = tokens.next().map_or_else(Span::call_site, |token| token.span());
    let last = tokens.last().map_or(first, |token| token.span());
    (first, last)
}

/// The path of the facade crate.
pub(crate) struct Facade(pub(crate) Path);

impl Facade {
    /// `::hybridcache`
    pub(crate) fn at(&self, location: Span) -> TokenStream {
        let tokens = self.0.to_token_stream().into_iter();
        tokens
            .map(|mut token: TokenTree| {
                // The path was written by the user: it keeps its hygiene.
                token.set_span(location.resolved_at(token.span()));
                token
            })
            .collect()
    }

    /// `::hybridcache::__private`
    pub(crate) fn private_at(&self, location: Span) -> TokenStream {
        let facade = self.at(location);
        let span = hidden(location);
        quote_spanned!(span=> #facade::__private)
    }
}

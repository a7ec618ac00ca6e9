//! Where emitted tokens stand, and what they see.
//!
//! A bound that fails is reported where the tokens of the call stand, so each call stands on what the user can change.
//! What the macro names itself is invisible to the user's code (`Span::mixed_site`), and the other way round.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::{ToTokens, quote_spanned};
use syn::Path;

/// Invented names, reported at `location`.
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
                // The path is the user's: it keeps what it sees.
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

//! The load: the body, with arguments that it owns.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

use super::emitter::{Emitter, mark_used};
use crate::cached::signature::CachedFn;
use crate::input::argument::{Argument, LOCAL_SELF, Passing};
use crate::input::free_names::contains_name;
use crate::input::wrap_body;
use crate::span::{ends, hidden};

impl Emitter<'_> {
    /// The statement before the load takes an argument: a borrowed argument is cloned, the type of an owned one is checked.
    pub(super) fn owned(&self, nth: usize, argument: &Argument) -> TokenStream {
        if argument.is_ignored() {
            return TokenStream::new();
        }
        let (outer, ty, cfgs) = (&argument.outer, &argument.ty, argument.cfgs());
        let blamed = ends(ty).0;
        let at = hidden(blamed);
        let private = self.facade.private_at(blamed);
        let statement = match &argument.passing {
            Passing::Borrowed(_) if !self.is_seen_by_load(argument) => TokenStream::new(),
            Passing::Borrowed(target) => {
                let owned = owned_name(nth);
                let target = if argument.is_opaque() { quote_spanned!(at=> _) } else { target.into_token_stream() };
                quote_spanned!(at=> let #owned = #private::LoadArg::<#target>::new(#outer);)
            }
            Passing::Owned if argument.is_opaque() => quote_spanned!(at=> #private::sendable_value(&#outer);),
            Passing::Owned => quote_spanned!(at=> let _ = #private::sendable::<#ty>;),
        };
        if statement.is_empty() { statement } else { quote!(#(#cfgs)* #statement) }
    }

    /// A borrowed argument that the body does not name need not be cloned.
    fn is_seen_by_load(&self, argument: &Argument) -> bool {
        let body = self.function.body.to_token_stream();
        if argument.is_self() {
            return contains_name(body, LOCAL_SELF);
        }
        argument.names.iter().any(|name| contains_name(body.clone(), &name.unraw().to_string()))
    }

    // Output:
    //     async move {
    //         let db: &Db = LoadArg::get(&__owned_0);
    //         let (a, b) = __a_b;
    //         BODY
    //     }
    pub(super) fn load(&self) -> TokenStream {
        let CachedFn { sig, body, returns, arguments, .. } = self.function;
        let bindings = arguments.iter().enumerate().map(|(nth, argument)| self.binding(nth, argument));
        let at = hidden(sig.ident.span());
        let body = wrap_body::typed_block(body, returns, sig.ident.span(), self.facade);
        quote_spanned!(at=> async move { #(#bindings)* #body })
    }

    /// Binds an argument in the body as the signature wrote it. An owned argument with a plain name needs no binding.
    fn binding(&self, nth: usize, argument: &Argument) -> TokenStream {
        let Argument { outer, inner, .. } = argument;
        let cfgs: Vec<_> = argument.cfgs().collect();
        // Lints must not report an argument as unused if the key uses it.
        let is_used = self.function.used.contains(&nth) && !argument.is_self();
        let seen = is_used.then(|| mark_used(&argument.names, &cfgs));
        let at = hidden(outer.span());
        let private = self.facade.private_at(outer.span());
        match &argument.passing {
            Passing::Borrowed(_) if argument.is_ignored() || !self.is_seen_by_load(argument) => TokenStream::new(),
            Passing::Borrowed(target) => {
                let owned = owned_name(nth);
                let annotation = (!argument.is_opaque()).then(|| quote_spanned!(at=> : &#target));
                quote_spanned!(at=> #(#cfgs)* let #inner #annotation = #private::LoadArg::get(&#owned); #seen)
            }
            Passing::Owned if argument.is_ignored() || argument.is_self() || argument.is_plain() => TokenStream::new(),
            Passing::Owned => {
                let taken = argument.as_taken(outer.to_token_stream());
                quote_spanned!(at=> #(#cfgs)* let #inner = #taken; #seen)
            }
        }
    }
}

fn owned_name(nth: usize) -> Ident {
    format_ident!("__owned_{nth}", span = Span::mixed_site())
}

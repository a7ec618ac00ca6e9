//! What runs when a value is needed: the body, with arguments of its own.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

use super::emitter::{Emitter, seen};
use crate::cached::signature::CachedFn;
use crate::input::argument::{Argument, LOCAL_SELF, Passing};
use crate::input::free_names::may_mention;
use crate::input::wrap_body;
use crate::span::{ends, hidden};

impl Emitter<'_> {
    /// What happens to an argument before a load takes it: a borrowed one is cloned, for an owned one its type is
    /// checked.
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

    /// A borrowed argument of which the body knows nothing need not be cloned.
    fn is_seen_by_load(&self, argument: &Argument) -> bool {
        let body = self.function.body.to_token_stream();
        if argument.is_self() {
            return may_mention(body, LOCAL_SELF);
        }
        argument.names.iter().any(|name| may_mention(body.clone(), &name.unraw().to_string()))
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
        let body = wrap_body::typed(body, returns, sig.ident.span(), self.facade);
        quote_spanned!(at=> async move { #(#bindings)* #body })
    }

    /// How the body comes to see an argument as it was written. One that is owned and has a plain name is seen as it
    /// is.
    fn binding(&self, nth: usize, argument: &Argument) -> TokenStream {
        let Argument { outer, inner, .. } = argument;
        let cfgs: Vec<_> = argument.cfgs().collect();
        // What only the key uses is no unused argument.
        let is_used = self.function.used.contains(&nth) && !argument.is_self();
        let seen = is_used.then(|| seen(&argument.names, &cfgs));
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

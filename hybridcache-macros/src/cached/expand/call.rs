//! The memory lookup: the key, the function's instance and the cache.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{ConstParam, GenericParam, Item, Path, Type};

use super::emitter::{Emitter, mark_used};
use crate::cached::signature::CachedFn;
use crate::input::argument::Argument;
use crate::key::Part;
use crate::key::tokens;
use crate::span::hidden;

impl Emitter<'_> {
    /// The kind of return type, found by method resolution on the type, so that aliases work. Only the type of this expression is
    /// used: its calls are never executed, and the compiler removes them.
    pub(super) fn shape(&self) -> TokenStream {
        let returns = &self.function.returns;
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        quote_spanned!(at=> if false {
            use #private::ladder::*;
            let __shape = (&&&&&#private::Probe::<#returns>::NEW.__hc_returns()).__hc_shape();
            ::core::option::Option::Some((&&#private::Unchecked::<#returns, _>::new(__shape)).__hc_checked())
        } else {
            ::core::option::Option::None
        })
    }

    pub(super) fn begin(&self) -> TokenStream {
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let (patterns, key, cache, instance) =
            (self.patterns_by_reference(), self.key(), self.cache(), self.instance());
        quote_spanned!(at=> {
            #patterns
            #key
            #cache
            #private::begin(__cache, #instance, &__key, __shape)
        })
    }

    /// Binds the names in patterns by reference, for keys and settings.
    pub(super) fn patterns_by_reference(&self) -> TokenStream {
        let used = self.function.used.iter().map(|nth| &self.function.arguments[*nth]);
        let patterns = used.filter_map(|argument| {
            let (pattern, scrutinee) = argument.pattern_by_reference()?;
            let cfgs: Vec<_> = argument.cfgs().collect();
            let seen = mark_used(&argument.names, &cfgs);
            Some(quote!(#(#cfgs)* let #pattern = #scrutinee; #seen))
        });
        patterns.collect()
    }

    pub(super) fn key(&self) -> TokenStream {
        self.key_buffer(&self.function.key)
    }

    pub(super) fn key_buffer(&self, parts: &[Part]) -> TokenStream {
        tokens::key_buffer(parts, self.return_span(), self.facade)
    }

    pub(super) fn cache(&self) -> TokenStream {
        tokens::cache(self.function.options.cache.as_ref(), self.return_span(), self.facade)
    }

    // Output:
    //     Instance {
    //         site: const { &Site::implicit(module_path!(), file!(), "", 3, "user", 0, || ()) },
    //         receiver: None,
    //         generics: &[],
    //     }
    pub(super) fn instance(&self) -> TokenStream {
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let CachedFn { sig, arguments, options, .. } = self.function;
        let version = options.version;
        if let Some(name) = &options.name {
            return quote_spanned! {at=> #private::Instance {
                site: const { &#private::Site::named(#name, #version) },
                receiver: ::core::option::Option::None,
                generics: &[],
            }};
        }
        let (name, nth, binary) = (sig.ident.unraw().to_string(), self.nth, binary());
        let receiver = if arguments.first().is_some_and(Argument::is_self) || names_self_type(self.function) {
            quote_spanned!(at=> ::core::option::Option::Some(#private::TypeTag::of::<Self>()))
        } else {
            quote_spanned!(at=> ::core::option::Option::None)
        };
        let parameters = sig.generics.params.iter().filter_map(|parameter| self.generic(parameter));
        let opaque = arguments.iter().filter(|argument| argument.is_opaque()).map(|argument| {
            let outer = &argument.outer;
            quote_spanned!(at=> #private::TypeTag::of_value(&#outer))
        });
        let generics = parameters.chain(opaque);
        quote_spanned! {at=> #private::Instance {
            site: const {
                &#private::Site::implicit(
                    ::core::module_path!(), ::core::file!(), #binary, #nth, #name, #version, || (),
                )
            },
            receiver: #receiver,
            generics: &[#(#generics),*],
        }}
    }

    /// The tag that distinguishes the arguments of a generic parameter.
    fn generic(&self, parameter: &GenericParam) -> Option<TokenStream> {
        let at = hidden(self.return_span());
        let private = self.facade.private_at(self.return_span());
        let of = match parameter {
            GenericParam::Lifetime(_) => return None,
            GenericParam::Type(parameter) => parameter.ident.to_token_stream(),
            GenericParam::Const(ConstParam { ident, ty, .. }) => {
                let kind = last_name(ty);
                quote_spanned!(at=> #private::constant::#kind<#ident>)
            }
        };
        Some(quote_spanned!(at=> #private::TypeTag::of::<#of>()))
    }
}

/// The binary that is being compiled, as Cargo says: a package may have a library with the same crate name.
fn binary() -> String {
    std::env::var("CARGO_BIN_NAME").unwrap_or_default()
}

/// Whether the function names `Self`: then it is in an `impl` or a trait, even if it has no receiver.
fn names_self_type(function: &CachedFn) -> bool {
    struct NamesSelf(bool);
    impl<'ast> Visit<'ast> for NamesSelf {
        fn visit_path(&mut self, path: &'ast Path) {
            self.0 |= path.segments.first().is_some_and(|first| first.ident == "Self");
            visit::visit_path(self, path);
        }

        // An item has its own `Self`, and a macro may generate one.
        fn visit_item(&mut self, _: &'ast Item) {}
    }
    let mut names = NamesSelf(false);
    names.visit_signature(&function.sig);
    names.visit_block(&function.body);
    names.0
}

/// The `u8` of `core::primitive::u8`.
fn last_name(ty: &Type) -> TokenStream {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_token_stream()).unwrap_or_default(),
        ty => ty.to_token_stream(),
    }
}

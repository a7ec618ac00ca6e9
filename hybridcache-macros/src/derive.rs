//! `#[derive(CacheKey)]`: the text of a struct or an enum from the texts of its fields.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Data, DeriveInput, Error, Field, Fields, Generics, Member, Path, Result, parse_quote};

use crate::input::types::is_float;
use crate::key::template::escape;
use crate::parse::suggest::did_you_mean;
use crate::span::{Facade, ends, hidden};

// Input:
//     #[derive(CacheKey)]
//     enum Period { All, Days(u16) }
//
// Output:
//     impl ::hybridcache::CacheKey for Period {
//         fn write_key(&self, __key: &mut ::hybridcache::KeyBuf) {
//             match self {
//                 Self::All {} => { __key.literal("All"); }
//                 Self::Days { 0: __0 } => { __key.literal("Days("); key_part(__0, __key); __key.literal(")"); }
//             }
//         }
//     }
pub(crate) fn cache_key(input: &DeriveInput) -> Result<TokenStream> {
    let facade = facade(&input.attrs)?;
    check_fields(&input.data)?;
    let name = &input.ident;
    let arms: Vec<_> = match &input.data {
        Data::Struct(data) => vec![arm(&quote!(Self), None, &data.fields, &facade)],
        Data::Enum(data) => {
            let arm = |variant: &syn::Variant| {
                let ident = &variant.ident;
                arm(&quote!(Self::#ident), Some(ident), &variant.fields, &facade)
            };
            data.variants.iter().map(arm).collect()
        }
        // `check_fields` has returned an error.
        Data::Union(_) => Vec::new(),
    };
    let at = hidden(name.span());
    // A reference to an enum without variants cannot be matched with no arms; the enum itself can.
    let matched = if arms.is_empty() { quote_spanned!(at=> *self) } else { quote_spanned!(at=> self) };
    let generics = with_bounds(input.generics.clone(), &facade);
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let facade = facade.at(name.span());
    Ok(quote_spanned! {at=>
        #[automatically_derived]
        impl #parameters #facade::CacheKey for #name #arguments #where_clause {
            fn write_key(&self, __key: &mut #facade::KeyBuf) {
                match #matched { #(#arms)* }
            }
        }
    })
}

fn check_fields(data: &Data) -> Result<()> {
    let fields: Vec<_> = match data {
        Data::Struct(data) => data.fields.iter().collect(),
        Data::Enum(data) => data.variants.iter().flat_map(|variant| &variant.fields).collect(),
        Data::Union(data) => {
            return Err(Error::new(
                data.union_token.span,
                "a union cannot be part of a key: it is not known which field is set",
            ));
        }
    };
    match fields.into_iter().find(|field| is_float(&field.ty)) {
        None => Ok(()),
        Some(field) => Err(Error::new_spanned(
            &field.ty,
            "a float cannot be part of a key, because `0.1 + 0.2` and `0.3` would be two keys: make it an integer, \
             such as cents or millimetres, or write `CacheKey` by hand",
        )),
    }
}

/// `#[cache_key(crate = path)]`
fn facade(attrs: &[Attribute]) -> Result<Facade> {
    let mut facade = parse_quote!(::hybridcache);
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("cache_key")) {
        attr.parse_nested_meta(|option| {
            if option.path.is_ident("crate") {
                facade = option.value()?.call(Path::parse_mod_style)?;
                return Ok(());
            }
            let name = option.path.get_ident().map(ToString::to_string).unwrap_or_default();
            Err(option.error(format!("unknown option `{name}`{}", did_you_mean(&name, ["crate"]))))
        })?;
    }
    Ok(Facade(facade))
}

fn with_bounds(mut generics: Generics, facade: &Facade) -> Generics {
    for parameter in generics.type_params_mut() {
        let facade = facade.at(parameter.ident.span());
        parameter.bounds.push(parse_quote!(#facade::CacheKey));
    }
    generics
}

/// A struct is `(a,b)`, a variant `Variant` or `Variant(a,b)`.
fn arm(path: &TokenStream, variant: Option<&Ident>, fields: &Fields, facade: &Facade) -> TokenStream {
    let name = variant.map_or_else(String::new, |variant| escape(&variant.unraw().to_string()));
    let blamed = |field: &Field| hidden(ends(&field.ty).0);
    let bindings: Vec<_> =
        fields.iter().enumerate().map(|(nth, field)| format_ident!("__{nth}", span = blamed(field))).collect();
    let members = fields.members().collect::<Vec<Member>>();
    let (open, close) = match (variant, fields.is_empty()) {
        (Some(_), true) => (name, ""),
        _ => (format!("{name}("), ")"),
    };
    let parts = fields.iter().zip(&bindings).enumerate().map(|(nth, (field, binding))| {
        let at = blamed(field);
        let private = facade.private_at(at);
        let comma = (nth > 0).then(|| quote_spanned!(at=> #private::KeyBuf::literal(__key, ",");));
        quote_spanned!(at=> #comma #private::key_part(#binding, __key);)
    });
    let at = proc_macro2::Span::mixed_site();
    let private = facade.private_at(at);
    quote_spanned!(at=> #path { #(#members: #bindings),* } => {
        #private::KeyBuf::literal(__key, #open);
        #(#parts)*
        #private::KeyBuf::literal(__key, #close);
    })
}

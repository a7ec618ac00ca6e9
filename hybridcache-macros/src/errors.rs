//! Collects several mistakes, so that all of them are reported and the rest is still checked.

use proc_macro2::TokenStream;
use syn::{Item, TraitItemFn};

/// The mistakes that were found so far.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(errors) => errors.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// The value; an error is added to the mistakes.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn into_result(self) -> syn::Result<()> {
        self.0.map_or(Ok(()), Err)
    }

    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.0.map(syn::Error::into_compile_error).unwrap_or_default()
    }
}

/// The message for an attribute on something that is not a function with a body.
pub(crate) fn not_a_function(item: &TokenStream, error: syn::Error, attribute: &str, kind: &str) -> syn::Error {
    if let Ok(function) = syn::parse2::<TraitItemFn>(item.clone()) {
        return syn::Error::new(
            function.sig.ident.span(),
            format!("{kind} function has a body: put the attribute on the implementations"),
        );
    }
    match syn::parse2::<Item>(item.clone()) {
        Ok(_) => syn::Error::new(error.span(), format!("`#[{attribute}]` goes on an `async fn`")),
        Err(_) => error,
    }
}

#[cfg(test)]
impl Errors {
    /// The messages, in the order in which they were found.
    pub(crate) fn messages(self) -> Vec<String> {
        self.0.into_iter().flatten().map(|error| error.to_string()).collect()
    }
}

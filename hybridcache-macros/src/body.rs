//! A function's body in an `async` block of its own.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Block, Type};

use crate::site::hidden;

// Output:
//     if let Some(__result) = None::<Result<User, AppError>> { return __result; }
//     let __result: Result<User, AppError> = { BODY };
//     __result
//
/// What such a block ends with. The type is fixed as async-trait does it, so that `?`, `return` and coercions mean what
/// they meant in the function.
pub(crate) fn typed(body: &Block, returns: &Type, location: Span) -> TokenStream {
    let at = hidden(location);
    quote_spanned! {at=>
        if let ::core::option::Option::Some(__result) = ::core::option::Option::None::<#returns> {
            return __result;
        }
        #[allow(clippy::diverging_sub_expression)]
        let __result: #returns = #body;
        #[allow(unreachable_code)]
        __result
    }
}

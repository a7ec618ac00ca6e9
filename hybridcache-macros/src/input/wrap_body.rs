//! A function's body in an `async` block of its own.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Block, Stmt, Type};

use crate::span::{Facade, hidden};

/// The name under which `#[hybrid_evict]` keeps what the body returned. `NoCache` looks for the body by it.
pub(crate) const EVICTING: &str = "__hybrid_evict_returned";

// Output:
//     if false { return never::<Result<User, AppError>>(); }
//     { BODY }
//
/// What such a block ends with. The type is fixed by a `return` that never runs, so that `?`, `return` and coercions mean what
/// they meant in the function. The body itself comes last: after one that never ends nothing would be reachable.
pub(crate) fn typed(body: &Block, returns: &Type, location: Span, facade: &Facade) -> TokenStream {
    let (at, private) = (hidden(location), facade.private_at(location));
    let body = match &body.stmts[..] {
        // Its braces would be unused ones.
        [Stmt::Expr(only, None)] => only.to_token_stream(),
        _ => body.to_token_stream(),
    };
    quote_spanned! {at=>
        if false {
            return #private::never::<#returns>();
        }
        #body
    }
}

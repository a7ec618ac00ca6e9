//! Wraps a function's body in an `async` block.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::{Block, Stmt, Type};

use crate::span::{Facade, hidden};

/// The variable in which `#[hybrid_evict]` keeps the result of the body. `cached/no_cache.rs` finds the body by it.
pub(crate) const EVICTING: &str = "__hybrid_evict_returned";

// Output:
//     if false { return never::<Result<User, AppError>>(); }
//     { BODY }
//
/// The end of such a block. A `return` that never runs fixes the type of the block, so that `?`, `return` and coercions work as in the
/// function. The body is last: code after a body that never ends would be unreachable.
pub(crate) fn typed_block(body: &Block, returns: &Type, location: Span, facade: &Facade) -> TokenStream {
    let (at, private) = (hidden(location), facade.private_at(location));
    let body = match &body.stmts[..] {
        // A lint reports unused braces around a single expression.
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

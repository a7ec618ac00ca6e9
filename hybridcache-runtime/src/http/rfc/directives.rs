//! `Cache-Control`: directives and their arguments.

//! Enums whose variants are values of a label.

/// The label of each variant in metrics, and how many variants there are.
macro_rules! labels {
    ($type:ident { $($variant:ident = $label:literal),+ $(,)? }) => {
        impl $type {
            pub(crate) const ALL: [Self; [$($label),+].len()] = [$(Self::$variant),+];

            /// The name in metrics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $label),+
                }
            }
        }

        impl ::std::fmt::Display for $type {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(super) use labels;

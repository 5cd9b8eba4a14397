//! Setters of options: one for each public field, so that structs can grow.

/// Makes a method of each field's name. `some` takes what an `Option` holds, `into` all that turns into the field's type.
macro_rules! setters {
    ($name:ident { $($field:ident: $kind:ident $type:ty),* $(,)? }) => {
        impl $name {
            $(setters!(@ $name $field $kind $type);)*
        }
    };
    (@ $name:ident $field:ident is $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](field@", stringify!($name), "::", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    };
    (@ $name:ident $field:ident some $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](field@", stringify!($name), "::", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: $type) -> Self {
            self.$field = Some($field);
            self
        }
    };
    (@ $name:ident $field:ident into $type:ty) => {
        #[doc = concat!("Sets [`", stringify!($field), "`](field@", stringify!($name), "::", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$type>) -> Self {
            self.$field = $field.into();
            self
        }
    };
}

pub(crate) use setters;

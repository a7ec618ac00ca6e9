//! serde's data model as MessagePack. Fails as soon as there are too many bytes.

use rmp::encode;
use serde::Serialize;
use serde::ser::{self, Serializer};

use super::format::{CodecFault, I128, MAX_DEPTH, NIL, ONE_BYTE_EXTENSION, SOME, U128};

/// Appends to `bytes`.
pub(super) struct Encoder<'a> {
    bytes: &'a mut Vec<u8>,
    /// The greatest length of `bytes`.
    limit: usize,
    depth: usize,
    /// Whether the types' own names are written too: see [`super::trace`].
    is_traced: bool,
}

type Done = Result<(), CodecFault>;

impl<'a> Encoder<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>, limit: usize) -> Self {
        Self { bytes, limit, depth: 0, is_traced: false }
    }

    pub(super) fn traced(bytes: &'a mut Vec<u8>) -> Self {
        Self { bytes, limit: usize::MAX, depth: 0, is_traced: true }
    }

    /// Writes a number, a text, bytes or nothing as `rmp-serde` does. It takes at least `room` bytes, and at most eight
    /// more.
    fn plain<T: Serialize + ?Sized>(&mut self, room: usize, value: &T) -> Done {
        self.write(room, |bytes| value.serialize(&mut rmp_serde::Serializer::new(bytes)))
    }

    /// Writes data that takes at least `room` bytes, and at most eight more.
    fn write<T, E>(&mut self, room: usize, write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>) -> Done {
        if self.bytes.len().saturating_add(room) > self.limit {
            return Err(CodecFault::TooLarge);
        }
        // Writing to a vector cannot fail.
        write(self.bytes).map_err(|_| CodecFault::Malformed)?;
        if self.bytes.len() > self.limit { Err(CodecFault::TooLarge) } else { Ok(()) }
    }

    /// In a trace, each object is in a map with one item, whose key says what the object is.
    fn tag(&mut self, tag: &str) -> Done {
        if !self.is_traced {
            return Ok(());
        }
        self.write(1, |bytes| encode::write_map_len(bytes, 1))?;
        self.text(tag)
    }

    fn text(&mut self, text: &str) -> Done {
        self.plain(text.len() + 1, text)
    }

    fn extension(&mut self, kind: u8, data: &[u8]) -> Done {
        self.write(data.len() + 2, |bytes| {
            encode::write_ext_meta(bytes, data.len() as u32, kind as i8)?;
            bytes.extend_from_slice(data);
            Ok::<_, encode::ValueWriteError>(())
        })
    }

    /// Begins an array or a map of `items` items. `None`: the number is known only at its end.
    fn open(&mut self, is_map: bool, items: Option<usize>) -> Result<usize, CodecFault> {
        // A trace is nested deeper.
        if self.depth >= MAX_DEPTH {
            return Err(CodecFault::TooDeep);
        }
        self.depth += 1;
        let at = self.bytes.len();
        match items {
            Some(items) => {
                let count = u32::try_from(items).map_err(|_| CodecFault::TooLarge)?;
                self.write(1, |bytes| match is_map {
                    true => encode::write_map_len(bytes, count),
                    false => encode::write_array_len(bytes, count),
                })?;
            }
            // A length of four bytes, which is filled in later.
            None => self.write(5, |bytes| {
                bytes.extend_from_slice(&[if is_map { 0xdf } else { 0xdd }, 0, 0, 0, 0]);
                Ok::<_, CodecFault>(())
            })?,
        }
        Ok(at)
    }

    fn items<'e>(&'e mut self, items: Items, count: Option<usize>) -> Result<Compound<'e, 'a>, CodecFault> {
        // A trace also writes the places of fields.
        let items = if matches!(items, Items::Places) && !self.is_traced { Items::Any } else { items };
        let at = self.open(!matches!(items, Items::Any), count)?;
        Ok(Compound { encoder: self, items, expected: count, at, written: 0 })
    }

    /// Begins the map with one item that contains a variant's value.
    fn variant(&mut self, name: &str, variant: &str) -> Done {
        self.tag(name)?;
        self.open(true, Some(1))?;
        self.text(variant)
    }
}

/// The form in which items are written.
#[derive(Clone, Copy)]
enum Items {
    Any,
    /// In a trace, with the numbers of their places.
    Places,
    /// Keys and values.
    Pairs,
}

/// An array or a map that is being written.
pub(super) struct Compound<'e, 'a> {
    encoder: &'e mut Encoder<'a>,
    items: Items,
    expected: Option<usize>,
    at: usize,
    written: usize,
}

impl Compound<'_, '_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        if matches!(self.items, Items::Places) {
            let place = self.written as u64;
            self.encoder.plain(1, &place)?;
        }
        self.written += 1;
        value.serialize(&mut *self.encoder)
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Done {
        self.encoder.text(name)?;
        self.written += 1;
        value.serialize(&mut *self.encoder)
    }

    fn close(self) -> Done {
        self.encoder.depth -= 1;
        if let Some(expected) = self.expected {
            return if expected == self.written { Ok(()) } else { Err(CodecFault::Malformed) };
        }
        let count = u32::try_from(self.written).map_err(|_| CodecFault::TooLarge)?;
        let length = self.encoder.bytes.get_mut(self.at + 1..self.at + 5).ok_or(CodecFault::Malformed)?;
        length.copy_from_slice(&count.to_be_bytes());
        Ok(())
    }

    /// Also ends the map with one item around it.
    fn close_variant(self) -> Done {
        self.encoder.depth -= 1;
        self.close()
    }
}

macro_rules! numbers {
    ($($method:ident: $ty:ident,)*) => {$(
        fn $method(self, value: $ty) -> Done {
            self.tag(stringify!($ty))?;
            self.plain(1, &value)
        }
    )*};
}

impl<'e, 'a> Serializer for &'e mut Encoder<'a> {
    type Ok = ();
    type Error = CodecFault;
    type SerializeSeq = Compound<'e, 'a>;
    type SerializeTuple = Compound<'e, 'a>;
    type SerializeTupleStruct = Compound<'e, 'a>;
    type SerializeTupleVariant = Variant<'e, 'a>;
    type SerializeMap = Compound<'e, 'a>;
    type SerializeStruct = Compound<'e, 'a>;
    type SerializeStructVariant = Variant<'e, 'a>;

    numbers! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_f32: f32,
        serialize_f64: f64,
    }

    fn serialize_i128(self, value: i128) -> Done {
        self.tag("i128")?;
        self.extension(I128, &value.to_be_bytes())
    }

    fn serialize_u128(self, value: u128) -> Done {
        self.tag("u128")?;
        self.extension(U128, &value.to_be_bytes())
    }

    fn serialize_char(self, value: char) -> Done {
        self.tag("char")?;
        self.text(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        self.tag("str")?;
        self.text(value)
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.tag("bytes")?;
        self.write(value.len() + 2, |bytes| encode::write_bin(bytes, value))
    }

    fn serialize_none(self) -> Done {
        self.tag("none")?;
        self.plain(1, &())
    }

    /// The content is written as itself, unless it is nothing.
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.tag("some")?;
        let at = self.bytes.len();
        value.serialize(&mut *self)?;
        match self.bytes.get_mut(at..) {
            Some([NIL]) => {
                self.bytes.truncate(at);
                self.extension(SOME, &[1])
            }
            Some([ONE_BYTE_EXTENSION, SOME, depth]) => {
                *depth = depth.checked_add(1).ok_or(CodecFault::TooDeep)?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn serialize_unit(self) -> Done {
        self.tag("unit")?;
        self.plain(1, &())
    }

    fn serialize_unit_struct(self, name: &'static str) -> Done {
        self.tag(name)?;
        self.write(1, |bytes| encode::write_array_len(bytes, 0))
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Done {
        self.tag(name)?;
        self.text(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Done {
        self.tag(name)?;
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.variant(name, variant)?;
        value.serialize(&mut *self)?;
        self.depth -= 1;
        Ok(())
    }

    fn serialize_seq(self, items: Option<usize>) -> Result<Compound<'e, 'a>, CodecFault> {
        self.tag("seq")?;
        self.items(Items::Any, items)
    }

    fn serialize_tuple(self, items: usize) -> Result<Compound<'e, 'a>, CodecFault> {
        self.tag("tuple")?;
        self.items(Items::Places, Some(items))
    }

    fn serialize_tuple_struct(self, name: &'static str, items: usize) -> Result<Compound<'e, 'a>, CodecFault> {
        self.tag(name)?;
        self.items(Items::Places, Some(items))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        items: usize,
    ) -> Result<Variant<'e, 'a>, CodecFault> {
        self.variant(name, variant)?;
        self.items(Items::Places, Some(items)).map(Variant)
    }

    fn serialize_map(self, items: Option<usize>) -> Result<Compound<'e, 'a>, CodecFault> {
        self.tag("map")?;
        self.items(Items::Pairs, items)
    }

    fn serialize_struct(self, name: &'static str, items: usize) -> Result<Compound<'e, 'a>, CodecFault> {
        self.tag(name)?;
        self.items(Items::Pairs, Some(items))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        items: usize,
    ) -> Result<Variant<'e, 'a>, CodecFault> {
        self.variant(name, variant)?;
        self.items(Items::Pairs, Some(items)).map(Variant)
    }

    /// serde always reads untagged and flattened types, which it has to buffer first, as from a human-readable format.
    fn is_human_readable(&self) -> bool {
        true
    }
}

/// The fields of a variant.
pub(super) struct Variant<'e, 'a>(Compound<'e, 'a>);

macro_rules! items {
    ($($trait:ident::$method:ident)*) => {$(
        impl ser::$trait for Compound<'_, '_> {
            type Ok = ();
            type Error = CodecFault;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
                self.item(value)
            }

            fn end(self) -> Done {
                self.close()
            }
        }
    )*};
}
items!(SerializeSeq::serialize_element SerializeTuple::serialize_element SerializeTupleStruct::serialize_field);

impl ser::SerializeTupleVariant for Variant<'_, '_> {
    type Ok = ();
    type Error = CodecFault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.0.item(value)
    }

    fn end(self) -> Done {
        self.0.close_variant()
    }
}

impl ser::SerializeMap for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecFault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        key.serialize(&mut *self.encoder)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.item(value)
    }

    fn end(self) -> Done {
        self.close()
    }
}

impl ser::SerializeStruct for Compound<'_, '_> {
    type Ok = ();
    type Error = CodecFault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        self.field(name, value)
    }

    fn end(self) -> Done {
        self.close()
    }
}

impl ser::SerializeStructVariant for Variant<'_, '_> {
    type Ok = ();
    type Error = CodecFault;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Done {
        self.0.field(name, value)
    }

    fn end(self) -> Done {
        self.0.close_variant()
    }
}

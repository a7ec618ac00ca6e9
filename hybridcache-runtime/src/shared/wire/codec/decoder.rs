//! MessagePack as serde's data model. `check_shape` has walked over the bytes before: they are one whole object, and
//! not too deep.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::format::{CodecFault, I128, SOME, U128, length, step_into, take};

pub(super) struct Decoder<'de> {
    rest: &'de [u8],
    /// An object that was read from `rest` and not yet returned: nothing, inside so many `Some`.
    pending: Option<u8>,
}

/// The next object, or the head of an object that contains others.
enum Head<'de> {
    /// Inside so many `Some`.
    Nil(u8),
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    I128(i128),
    U128(u128),
    F32(f32),
    F64(f64),
    Text(&'de str),
    Bytes(&'de [u8]),
    Array(usize),
    Map(usize),
}

impl<'de> Decoder<'de> {
    pub(super) fn new(bytes: &'de [u8]) -> Self {
        Self { rest: bytes, pending: None }
    }

    fn head(&mut self) -> Result<Head<'de>, CodecFault> {
        if let Some(depth) = self.pending.take() {
            return Ok(Head::Nil(depth));
        }
        let rest = &mut self.rest;
        let marker = take(rest, 1)?[0];
        Ok(match marker {
            0x00..=0x7f => Head::Unsigned(marker.into()),
            0xe0..=0xff => Head::Signed((marker as i8).into()),
            0xcc => Head::Unsigned(number(rest, 1)?),
            0xcd => Head::Unsigned(number(rest, 2)?),
            0xce => Head::Unsigned(number(rest, 4)?),
            0xcf => Head::Unsigned(number(rest, 8)?),
            0xd0 => Head::Signed((number(rest, 1)? as i8).into()),
            0xd1 => Head::Signed((number(rest, 2)? as i16).into()),
            0xd2 => Head::Signed((number(rest, 4)? as i32).into()),
            0xd3 => Head::Signed(number(rest, 8)? as i64),
            0xca => Head::F32(f32::from_bits(number(rest, 4)? as u32)),
            0xcb => Head::F64(f64::from_bits(number(rest, 8)?)),
            0xc0 => Head::Nil(0),
            0xc2 | 0xc3 => Head::Bool(marker == 0xc3),
            0xa0..=0xbf => text(take(rest, usize::from(marker & 0x1f))?)?,
            0xd9 => text(sized(rest, 1)?)?,
            0xda => text(sized(rest, 2)?)?,
            0xdb => text(sized(rest, 4)?)?,
            0xc4 => Head::Bytes(sized(rest, 1)?),
            0xc5 => Head::Bytes(sized(rest, 2)?),
            0xc6 => Head::Bytes(sized(rest, 4)?),
            0x90..=0x9f => Head::Array(usize::from(marker & 0xf)),
            0xdc => Head::Array(length(rest, 2)?),
            0xdd => Head::Array(length(rest, 4)?),
            0x80..=0x8f => Head::Map(usize::from(marker & 0xf)),
            0xde => Head::Map(length(rest, 2)?),
            0xdf => Head::Map(length(rest, 4)?),
            0xd4 => extension(take(rest, 2)?)?,
            0xd8 => extension(take(rest, 17)?)?,
            _ => return Err(CodecFault::Malformed),
        })
    }

    /// Reads the head without advancing.
    fn peek(&self) -> Result<Head<'de>, CodecFault> {
        Self { rest: self.rest, pending: self.pending }.head()
    }

    /// Skips one object.
    fn skip(&mut self) -> Result<(), CodecFault> {
        if self.pending.take().is_some() {
            return Ok(());
        }
        let mut left = 1_usize;
        while left > 0 {
            left = left - 1 + step_into(&mut self.rest)?;
        }
        Ok(())
    }

    fn items<T>(
        &mut self,
        count: usize,
        visit: impl FnOnce(&mut Items<'_, 'de>) -> Result<T, CodecFault>,
    ) -> Result<T, CodecFault> {
        let mut items = Items { decoder: self, left: count };
        let visited = visit(&mut items)?;
        match items.left {
            0 => Ok(visited),
            left => Err(CodecFault::custom(format_args!("{left} of {count} items are not expected"))),
        }
    }
}

fn number(rest: &mut &[u8], size: usize) -> Result<u64, CodecFault> {
    Ok(take(rest, size)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn sized<'de>(rest: &mut &'de [u8], size: usize) -> Result<&'de [u8], CodecFault> {
    let length = length(rest, size)?;
    take(rest, length)
}

fn text(bytes: &[u8]) -> Result<Head<'_>, CodecFault> {
    str::from_utf8(bytes).map(Head::Text).map_err(CodecFault::custom)
}

fn extension(bytes: &[u8]) -> Result<Head<'_>, CodecFault> {
    let (kind, data) = bytes.split_first().ok_or(CodecFault::Malformed)?;
    match (*kind, data) {
        (SOME, [depth]) if *depth > 0 => Ok(Head::Nil(*depth)),
        (I128, data) => data.try_into().map(|data| Head::I128(i128::from_be_bytes(data))),
        (U128, data) => data.try_into().map(|data| Head::U128(u128::from_be_bytes(data))),
        _ => return Err(CodecFault::custom("an extension that is not known")),
    }
    .map_err(|_| CodecFault::Malformed)
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = CodecFault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecFault> {
        match self.head()? {
            Head::Nil(0) => visitor.visit_unit(),
            Head::Nil(depth) => {
                self.pending = Some(depth - 1);
                visitor.visit_some(self)
            }
            Head::Bool(value) => visitor.visit_bool(value),
            Head::Unsigned(value) => visitor.visit_u64(value),
            Head::Signed(value) => visitor.visit_i64(value),
            Head::I128(value) => visitor.visit_i128(value),
            Head::U128(value) => visitor.visit_u128(value),
            Head::F32(value) => visitor.visit_f32(value),
            Head::F64(value) => visitor.visit_f64(value),
            Head::Text(value) => visitor.visit_borrowed_str(value),
            Head::Bytes(value) => visitor.visit_borrowed_bytes(value),
            Head::Array(count) => self.items(count, |items| visitor.visit_seq(items)),
            Head::Map(count) => self.items(count, |items| visitor.visit_map(items)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecFault> {
        match self.peek()? {
            Head::Nil(0) => {
                self.head()?;
                visitor.visit_none()
            }
            Head::Nil(_) => self.deserialize_any(visitor),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecFault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, CodecFault> {
        match self.head()? {
            Head::Nil(0) | Head::Array(0) => visitor.visit_unit(),
            _ => Err(CodecFault::custom("more than a unit")),
        }
    }

    /// The name of a variant, or a map with one item.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, CodecFault> {
        let is_unit = match self.peek()? {
            Head::Text(_) => true,
            Head::Map(1) => {
                self.head()?;
                false
            }
            _ => return Err(CodecFault::custom("no variant")),
        };
        visitor.visit_enum(Variant { decoder: self, is_unit })
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, CodecFault> {
        self.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        true
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit seq tuple tuple_struct map
        struct identifier
    }
}

struct Items<'d, 'de> {
    decoder: &'d mut Decoder<'de>,
    left: usize,
}

impl<'de> Items<'_, 'de> {
    fn next<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecFault> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(&mut *self.decoder).map(Some)
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = CodecFault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecFault> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = CodecFault;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, CodecFault> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, CodecFault> {
        seed.deserialize(&mut *self.decoder)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

struct Variant<'d, 'de> {
    decoder: &'d mut Decoder<'de>,
    is_unit: bool,
}

impl Variant<'_, '_> {
    fn with_value(&self) -> Result<(), CodecFault> {
        if self.is_unit { Err(CodecFault::custom("a variant without its value")) } else { Ok(()) }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = CodecFault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), CodecFault> {
        let variant = seed.deserialize(&mut *self.decoder)?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = CodecFault;

    fn unit_variant(self) -> Result<(), CodecFault> {
        if self.is_unit { Ok(()) } else { Deserialize::deserialize(self.decoder) }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, CodecFault> {
        self.with_value()?;
        seed.deserialize(self.decoder)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, CodecFault> {
        self.with_value()?;
        self.decoder.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, CodecFault> {
        self.with_value()?;
        self.decoder.deserialize_any(visitor)
    }
}

//! The wire format of protobuf: tags, varints and lengths, each checked against the message that it is in.
//!
//! What a file can make us allocate is bounded by the fields and list elements that are counted here. Large data is
//! stepped over, and nothing is called deeper than the messages in `proto.rs` are.

use crate::error::{Error, Result};
use std::io::{BufRead, Seek};
use std::path::{Path, PathBuf};

/// Most messages, names and list elements of a file, tensors' data aside.
const MAX_ITEMS: usize = 1_000_000;
/// Longest name, in bytes.
pub(super) const MAX_NAME: usize = 4096;

/// A file or bytes in memory, read from the beginning.
pub(super) trait Input: BufRead + Seek {}

impl<T: BufRead + Seek> Input for T {}

/// What a field holds. Of a length-delimited one, where.
#[derive(Clone, Copy)]
pub(super) enum Held {
    Varint(u64),
    Fixed32(u32),
    Fixed64,
    Bytes { at: u64, len: u64 },
}

pub(super) struct Wire<'a> {
    input: &'a mut dyn Input,
    /// Bytes read or stepped over.
    at: u64,
    path: PathBuf,
    items: usize,
}

impl<'a> Wire<'a> {
    pub(super) fn new(input: &'a mut dyn Input, path: &Path) -> Self {
        Self { input, at: 0, path: path.into(), items: 0 }
    }

    /// Calls `each` with every field up to `end`, and steps over what it leaves unread.
    pub(super) fn message(&mut self, end: u64, each: &mut dyn FnMut(&mut Self, u32, Held) -> Result<()>) -> Result<()> {
        while self.at < end {
            let tag = self.varint()?;
            let number = u32::try_from(tag >> 3).unwrap_or(0);
            if number == 0 {
                return Err(self.damaged(&format!("a field of number {}", tag >> 3)));
            }
            let held = match tag & 7 {
                0 => Held::Varint(self.varint()?),
                1 => {
                    self.fixed::<8>()?;
                    Held::Fixed64
                }
                2 => {
                    let len = self.varint()?;
                    Held::Bytes { at: self.at, len }
                }
                5 => Held::Fixed32(u32::from_le_bytes(self.fixed()?)),
                kind => return Err(self.damaged(&format!("a field of wire type {kind}"))),
            };
            let mut after = self.at;
            if let Held::Bytes { at, len } = held {
                after = at.checked_add(len).filter(|&after| after <= end).ok_or_else(|| {
                    self.damaged(&format!("a field of {len} bytes at {at}, in a message that ends at {end}"))
                })?;
            }
            if after > end {
                return Err(self.damaged("a field runs over the end of its message"));
            }
            self.count(1)?;
            each(self, number, held)?;
            self.skip_to(after)?;
        }
        Ok(())
    }

    pub(super) fn nested(
        &mut self,
        held: Held,
        each: &mut dyn FnMut(&mut Self, u32, Held) -> Result<()>,
    ) -> Result<()> {
        match held {
            Held::Bytes { at, len } => self.message(at + len, each),
            _ => Err(self.damaged("a number where a message belongs")),
        }
    }

    pub(super) fn string(&mut self, held: Held) -> Result<String> {
        let Held::Bytes { len, .. } = held else { return Err(self.damaged("a number where a name belongs")) };
        if len > MAX_NAME as u64 {
            return Err(self.fail(format!("has a name of {len} bytes, the limit is {MAX_NAME}")));
        }
        let mut bytes = vec![0; len as usize];
        self.exact(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| self.damaged("a name that is no UTF-8"))
    }

    pub(super) fn int(&mut self, held: Held) -> Result<i64> {
        match held {
            Held::Varint(value) => Ok(value as i64),
            _ => Err(self.damaged("no integer where one belongs")),
        }
    }

    pub(super) fn float(&mut self, held: Held) -> Result<f32> {
        match held {
            Held::Fixed32(bits) => Ok(f32::from_bits(bits)),
            _ => Err(self.damaged("no float where one belongs")),
        }
    }

    /// Appends a list, or one element of it.
    pub(super) fn ints(&mut self, held: Held, into: &mut Vec<i64>) -> Result<()> {
        let Held::Bytes { at, len } = held else {
            into.push(self.int(held)?);
            return self.count(1);
        };
        while self.at < at + len {
            into.push(self.varint()? as i64);
            self.count(1)?;
        }
        if self.at == at + len { Ok(()) } else { Err(self.damaged("a list runs over its end")) }
    }

    /// Appends a list, or one element of it.
    pub(super) fn floats(&mut self, held: Held, into: &mut Vec<f32>) -> Result<()> {
        let Held::Bytes { len, .. } = held else {
            into.push(self.float(held)?);
            return self.count(1);
        };
        for _ in 0..len / 4 {
            into.push(f32::from_le_bytes(self.fixed()?));
            self.count(1)?;
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.fixed()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && byte > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.damaged("a number of more than 64 bits"))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.exact(&mut bytes)?;
        Ok(bytes)
    }

    fn exact(&mut self, into: &mut [u8]) -> Result<()> {
        self.input.read_exact(into).map_err(|e| self.unreadable(e))?;
        self.at += into.len() as u64;
        Ok(())
    }

    fn skip_to(&mut self, after: u64) -> Result<()> {
        // Messages end within the file, so the way is no longer than that.
        let way = i64::try_from(after - self.at).map_err(|_| self.damaged("a field without end"))?;
        if way > 0 {
            self.input.seek_relative(way).map_err(|e| self.unreadable(e))?;
            self.at = after;
        }
        Ok(())
    }

    fn count(&mut self, items: usize) -> Result<()> {
        self.items += items;
        if self.items <= MAX_ITEMS {
            return Ok(());
        }
        Err(self.fail(format!("has more than {MAX_ITEMS} fields and list elements")))
    }

    fn unreadable(&self, error: std::io::Error) -> Error {
        Error::File {
            path: self.path.clone(),
            message: format!("is not a sound ONNX file (near byte {})", self.at),
            source: Some(Box::new(error)),
        }
    }

    pub(super) fn damaged(&self, what: &str) -> Error {
        self.fail(format!("is not a sound ONNX file: {what} (near byte {})", self.at))
    }

    pub(super) fn fail(&self, message: String) -> Error {
        Error::file(&self.path, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// Number and content of each field, and how many bytes are left.
    fn fields(bytes: &[u8]) -> Result<Vec<(u32, String)>> {
        let mut input = Cursor::new(bytes);
        let mut found = Vec::new();
        Wire::new(&mut input, Path::new("bytes")).message(bytes.len() as u64, &mut |_, number, held| {
            found.push((
                number,
                match held {
                    Held::Varint(value) => value.to_string(),
                    Held::Fixed32(bits) => format!("{bits:x}"),
                    Held::Fixed64 => "64 bits".into(),
                    Held::Bytes { at, len } => format!("{len} at {at}"),
                },
            ));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn fields_of_each_type_are_read() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],
            &[0x15, 1, 0, 0, 0x3f],
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x22, 2, 0xff, 0xff],
            &[0xaa, 0x01, 0],
        ]
        .concat();
        let expected = [(1, "150"), (2, "3f000001"), (3, "64 bits"), (4, "2 at 19"), (21, "0 at 24")];
        assert_eq!(fields(&bytes).unwrap(), expected.map(|(number, held)| (number, held.to_string())));
        for cut in 1..bytes.len() {
            let whole = [3, 8, 17, 21].contains(&cut);
            assert_eq!(fields(&bytes[..cut]).is_ok(), whole, "{cut}");
        }
    }

    #[test]
    fn numbers_have_64_bits() {
        let most = [&[0x08][..], &[0xff; 9], &[0x01]].concat();
        assert_eq!(fields(&most).unwrap(), [(1, u64::MAX.to_string())]);
        let error = |bytes: &[u8]| fields(bytes).unwrap_err().to_string();
        for last in [0x02, 0x81, 0xff] {
            assert!(error(&[&[0x08][..], &[0xff; 9], &[last, 0]].concat()).contains("more than 64 bits"), "{last}");
        }
        assert!(error(&[0x00, 0x00]).contains("a field of number 0"));
        assert!(error(&[&[0xff; 9][..], &[0x01]].concat()).contains("a field of number"));
    }
}

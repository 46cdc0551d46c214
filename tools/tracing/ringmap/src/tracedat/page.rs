// SPDX-License-Identifier: LGPL-2.1-or-later

//! A sub-buffer in a file.

use std::io::{self, IoSlice, Write};

use crate::mapping::{Commit, PAGE_HEADER};
use crate::reader::{Loss, SubBuffer};

/// Writes one sub-buffer as the kernel's splice() would hand it out: header, data, if events were
/// lost before it their number, and zeros. The data goes from the mapping to the file.
/// Returns how much that is.
pub(super) fn write_page(
    out: &mut impl Write,
    page: &SubBuffer<'_>,
    zeros: &[u8],
) -> io::Result<u64> {
    let data = page.bytes();
    if data.is_empty() {
        return Ok(0);
    }
    let room = zeros.len().saturating_sub(PAGE_HEADER + data.len());
    let stored = match page.loss() {
        Some(Loss::Known(count)) if room >= size_of::<u64>() => count.to_ne_bytes().to_vec(),
        _ => Vec::new(),
    };
    let commit = Commit::new(data.len(), page.loss().is_some(), !stored.is_empty());
    let header = [page.time().to_ne_bytes(), commit.word().to_ne_bytes()].concat();
    let rest = zeros.get(..room - stored.len()).unwrap_or_default();

    let mut slices = [&header, data, &stored, rest].map(IoSlice::new);
    let len = slices.iter().map(|slice| slice.len()).sum::<usize>();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match out.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => IoSlice::advance_slices(&mut left, n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len as u64)
}

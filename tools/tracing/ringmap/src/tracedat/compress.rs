// SPDX-License-Identifier: LGPL-2.1-or-later

//! Compression: none, or zstd.

use std::io;

/// How the data of a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// Not at all.
    None,
    /// With zstd, which trace-cmd takes as well if it can.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Default for Compression {
    /// The best there is: zstd, if this crate was built with it.
    fn default() -> Self {
        #[cfg(feature = "zstd")]
        return Compression::Zstd;
        #[cfg(not(feature = "zstd"))]
        return Compression::None;
    }
}

impl Compression {
    /// Its name in a file.
    pub(super) fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            #[cfg(feature = "zstd")]
            Compression::Zstd => "zstd",
        }
    }

    /// The version of what compresses, as a file has it.
    pub(super) fn version(self) -> &'static str {
        match self {
            Compression::None => "",
            #[cfg(feature = "zstd")]
            Compression::Zstd => zstd::zstd_safe::version_string(),
        }
    }

    /// The one of that name.
    pub(super) fn of_name(name: &[u8]) -> Option<Self> {
        match name {
            b"none" => Some(Compression::None),
            #[cfg(feature = "zstd")]
            b"zstd" => Some(Compression::Zstd),
            _ => None,
        }
    }

    pub(super) fn start(self) -> io::Result<Compressor> {
        match self {
            Compression::None => Ok(Compressor::None),
            #[cfg(feature = "zstd")]
            Compression::Zstd => zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)
                .map(|zstd| Compressor::Zstd(Box::new(zstd))),
        }
    }
}

/// What compresses pieces, each by itself.
pub(super) enum Compressor {
    None,
    #[cfg(feature = "zstd")]
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl Compressor {
    /// The compressed data, or nothing if it stays as it is.
    pub fn compress(&mut self, data: &[u8]) -> io::Result<Option<Vec<u8>>> {
        match self {
            Compressor::None => {
                let _ = data;
                Ok(None)
            }
            #[cfg(feature = "zstd")]
            Compressor::Zstd(zstd) => zstd.compress(data).map(Some),
        }
    }
}

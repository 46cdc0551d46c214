// SPDX-License-Identifier: GPL-2.0

//! Consuming a CPU's events through a mapping.

use crate::{
    events::{HEADER, Malformed, SIZE_MASK, Types},
    instance::Instance,
    sys::{self, Area, Errno, Result},
};
use std::{collections::HashMap, fs::File};

/// Offsets in struct trace_buffer_meta, all of 8 bytes.
const META_SIZES: usize = 0;
const META_SUBBUFS: usize = 8;
const META_READER: usize = 16;
const META_READER_PLACE: usize = 24;
const META_ENTRIES: usize = 40;
const META_OVERRUN: usize = 48;
const META_READ: usize = 56;

/// A mapping of a whole buffer, as two areas.
pub struct View {
    pub file: File,
    meta: Area,
    data: Area,
    subbuf: usize,
}

/// The counters on the meta-page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    pub entries: u64,
    pub overrun: u64,
    pub read: u64,
}

impl View {
    pub fn new(instance: &Instance, cpu: usize, block: bool) -> Result<Self> {
        let file = instance.open(cpu, "trace_pipe_raw", block)?;
        let meta = Area::new(&file, sys::page(), 0)?;
        let first = (meta.word(META_SIZES) & u64::from(u32::MAX)) as usize;
        let sizes = meta.word(META_SUBBUFS);
        let (subbuf, nr) = (sizes as u32 as usize, (sizes >> 32) as usize);
        let data = Area::new(&file, subbuf * nr, first)?;
        Ok(Self {
            file,
            meta,
            data,
            subbuf,
        })
    }

    pub fn counters(&self) -> Counters {
        Counters {
            entries: self.meta.word(META_ENTRIES),
            overrun: self.meta.word(META_OVERRUN),
            read: self.meta.word(META_READ),
        }
    }
}

/// What came out of the mappings of one CPU. Its lock is held from GET_READER until the events are
/// copied: the meta-page says what the last one of them has consumed.
#[derive(Default)]
pub struct Stream {
    /// No copies are taken while the lock is held.
    alone: bool,
    /// How far the events of a page are known, by the time that it begins with.
    positions: HashMap<u64, usize>,
    pub numbers: Vec<u32>,
    /// What the meta-page called lost.
    pub lost: u64,
    pub malformed: u64,
}

impl Stream {
    pub fn new(alone: bool) -> Self {
        Self {
            alone,
            ..Self::default()
        }
    }

    /// One GET_READER, and the markers that are new.
    pub fn advance(&mut self, view: &View, types: Types) -> Result<()> {
        sys::get_reader(&view.file)?;

        let place = view.meta.word(META_READER_PLACE);
        let (id, read) = (place as u32 as usize, (place >> 32) as usize);
        self.lost += view.meta.word(META_READER);
        let base = id * view.subbuf;
        if base + view.subbuf > view.data.len() {
            return Err(Errno(libc::ERANGE));
        }

        let stamp = view.data.word(base);
        let commit = (view.data.word(base + 8) & SIZE_MASK) as usize;
        let position = *self.positions.get(&stamp).unwrap_or(&0);
        // A reset may have put the page back to its beginning.
        let end = read.min(commit).min(view.subbuf - HEADER);
        if end <= position {
            return Ok(());
        }
        let bytes = view.data.copy(base, HEADER + end);
        // What a reset has begun to overwrite is not to be looked at.
        if view.data.word(base) != stamp || view.meta.word(META_READER_PLACE) != place {
            return Ok(());
        }
        // Nor is what another consumer may have taken away, and a writer overwrites.
        if !self.alone {
            return Ok(());
        }
        if types.walk(&bytes[HEADER + position..], &mut self.numbers) == Err(Malformed) {
            self.malformed += 1;
        }
        self.positions.insert(stamp, end);
        Ok(())
    }
}

//! Bytes on their way to the end of one region of a chunk.

use crate::error::Result;
use crate::growing_files::GrowingFiles;

/// Smaller pieces are gathered before they are written; larger ones are written from where they are.
const GATHER_BYTES: usize = 64 << 10;
const GATHER_CAPACITY: usize = 256 << 10;

pub(crate) struct RegionWriter {
    region: usize,
    /// Bytes that were written behind the committed ones.
    written: usize,
    gathered: Vec<u8>,
}

impl RegionWriter {
    pub(crate) fn new(region: usize) -> Self {
        Self {
            region,
            written: 0,
            gathered: Vec::new(),
        }
    }

    pub(crate) fn append(&mut self, chunks: &GrowingFiles, bytes: &[u8]) -> Result<()> {
        if self.gathered.len() + bytes.len() > GATHER_CAPACITY || bytes.len() >= GATHER_BYTES {
            self.flush(chunks)?;
        }
        if bytes.len() < GATHER_BYTES {
            self.gathered.extend_from_slice(bytes);
            return Ok(());
        }
        chunks.write(self.region, self.written, bytes)?;
        self.written += bytes.len();
        Ok(())
    }

    /// Append a number so many times.
    pub(crate) fn repeat(
        &mut self,
        chunks: &GrowingFiles,
        number: [u8; 4],
        count: usize,
    ) -> Result<()> {
        for _ in 0..count {
            if self.gathered.len() >= GATHER_CAPACITY {
                self.flush(chunks)?;
            }
            self.gathered.extend_from_slice(&number);
        }
        Ok(())
    }

    /// Write everything that was appended; the chunk is committed next.
    pub(crate) fn end(&mut self, chunks: &GrowingFiles) -> Result<()> {
        self.flush(chunks)?;
        self.written = 0;
        Ok(())
    }

    /// Forget what was appended.
    pub(crate) fn abandon(&mut self) {
        self.gathered.clear();
        self.written = 0;
    }

    fn flush(&mut self, chunks: &GrowingFiles) -> Result<()> {
        if !self.gathered.is_empty() {
            chunks.write(self.region, self.written, &self.gathered)?;
            self.written += self.gathered.len();
            self.gathered.clear();
        }
        Ok(())
    }
}

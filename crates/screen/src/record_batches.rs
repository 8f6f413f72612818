use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;

use crate::parquet_file::damaged;

/// Rows of a Parquet file, batch by batch. It ends at the first error, which is
/// said in words, with what to do about it.
///
/// Parquet's decoder panics at some pages that contradict each other, such as
/// positions in a dictionary that is not there. Here that is damage like any
/// other.
pub(crate) struct RecordBatches(Option<ParquetRecordBatchReader>);

impl RecordBatches {
    pub(crate) fn of<R: ChunkReader + 'static>(
        builder: ParquetRecordBatchReaderBuilder<R>,
    ) -> Result<Self, String> {
        let reader = builder.build().map_err(|error| damaged(&error))?;
        Ok(Self(Some(reader)))
    }
}

impl Iterator for RecordBatches {
    type Item = Result<RecordBatch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.0.take()?;
        // Nothing of the reader is used again after a panic.
        let next = catch_unwind(AssertUnwindSafe(|| reader.next()));
        let batch = match next {
            Ok(batch) => batch?.map_err(|error| damaged(&error)),
            Err(_) => Err(damaged(&"its pages contradict each other")),
        };
        if batch.is_ok() {
            self.0 = Some(reader);
        }
        Some(batch)
    }
}

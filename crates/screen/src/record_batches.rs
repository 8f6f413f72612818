use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;

use crate::parquet_file::{caught, damaged};

/// Rows of a Parquet file, batch by batch. It ends at the first error, which is
/// said in words, with what to do about it.
pub(crate) struct RecordBatches(Option<ParquetRecordBatchReader>);

impl RecordBatches {
    pub(crate) fn of<R: ChunkReader + 'static>(
        builder: ParquetRecordBatchReaderBuilder<R>,
    ) -> Result<Self, String> {
        let reader = caught(|| builder.build().map_err(|error| damaged(&error)))?;
        Ok(Self(Some(reader)))
    }
}

impl Iterator for RecordBatches {
    type Item = Result<RecordBatch, String>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut reader = self.0.take()?;
        let next = caught(|| {
            let batch = reader.next().transpose();
            batch.map_err(|error| damaged(&error))
        });
        let batch = next.transpose()?;
        if batch.is_ok() {
            self.0 = Some(reader);
        }
        Some(batch)
    }
}

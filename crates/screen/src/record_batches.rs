use std::sync::Arc;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::reader::ChunkReader;

use crate::checked_pages::CheckedRowGroups;
use crate::parquet_file::{caught, damaged};

/// Rows of a batch where nothing else is asked for.
const BATCH_LEN: usize = 1024;

/// What to read of a Parquet file.
pub(crate) struct Selection {
    pub(crate) columns: ProjectionMask,
    /// Indices of row groups.
    pub(crate) row_groups: Vec<usize>,
    /// Rows of those; `None`: all.
    pub(crate) rows: Option<RowSelection>,
    /// Rows of a batch at most.
    pub(crate) batch_len: usize,
}

impl Selection {
    /// All of it.
    pub(crate) fn all(metadata: &ArrowReaderMetadata) -> Self {
        Self {
            columns: ProjectionMask::all(),
            row_groups: (0..metadata.metadata().num_row_groups()).collect(),
            rows: None,
            batch_len: BATCH_LEN,
        }
    }
}

/// Rows of a Parquet file, batch by batch. It ends at the first error, which is
/// said in words, with what to do about it.
pub(crate) struct RecordBatches(Option<ParquetRecordBatchReader>);

impl RecordBatches {
    /// `metadata` is the file's, as
    /// [`metadata_with_views`](crate::parquet_file::metadata_with_views) gives it.
    pub(crate) fn of<R: ChunkReader + 'static>(
        file: R,
        metadata: &ArrowReaderMetadata,
        selection: Selection,
    ) -> Result<Self, String> {
        let row_groups = CheckedRowGroups {
            file: Arc::new(file),
            metadata: Arc::clone(metadata.metadata()),
            row_groups: selection.row_groups,
        };
        let reader = caught(|| {
            let columns = parquet_to_arrow_field_levels(
                metadata.parquet_schema(),
                selection.columns,
                Some(metadata.schema().fields()),
            );
            columns
                .and_then(|columns| {
                    ParquetRecordBatchReader::try_new_with_row_groups(
                        &columns,
                        &row_groups,
                        selection.batch_len,
                        selection.rows,
                    )
                })
                .map_err(|error| damaged(&error))
        })?;
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

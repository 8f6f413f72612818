use std::sync::Arc;

use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::Type;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::reader::ChunkReader;
use parquet::file::serialized_reader::SerializedPageReader;

/// Row groups of a Parquet file whose pages are looked at before they are
/// decoded.
pub(crate) struct CheckedRowGroups<R> {
    pub(crate) file: Arc<R>,
    pub(crate) metadata: Arc<ParquetMetaData>,
    /// Indices of the row groups to read.
    pub(crate) row_groups: Vec<usize>,
}

impl<R: ChunkReader + 'static> RowGroups for CheckedRowGroups<R> {
    fn num_rows(&self) -> usize {
        let num_rows = RowGroups::row_groups(self).map(|group| group.num_rows() as usize);
        num_rows.sum()
    }

    fn column_chunks(&self, column: usize) -> Result<Box<dyn PageIterator>> {
        Ok(Box::new(CheckedChunks {
            file: Arc::clone(&self.file),
            metadata: Arc::clone(&self.metadata),
            row_groups: self.row_groups.clone().into_iter(),
            column,
        }))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        let indices = self.row_groups.iter();
        Box::new(indices.map(|&index| self.metadata.row_group(index)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// A column's chunk in each of some row groups.
struct CheckedChunks<R> {
    file: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    row_groups: std::vec::IntoIter<usize>,
    column: usize,
}

impl<R: ChunkReader + 'static> Iterator for CheckedChunks<R> {
    type Item = Result<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        let group = self.metadata.row_group(self.row_groups.next()?);
        let chunk = group.column(self.column);
        let num_rows = group.num_rows() as usize;
        let pages = SerializedPageReader::new(Arc::clone(&self.file), chunk, num_rows, None);
        Some(pages.map(|pages| {
            let checked = CheckedPages {
                pages,
                value_len: least_value_len(chunk),
            };
            Box::new(checked) as Box<dyn PageReader>
        }))
    }
}

impl<R: ChunkReader + 'static> PageIterator for CheckedChunks<R> {}

/// Bytes that a column's value takes in a dictionary at the least.
fn least_value_len(chunk: &ColumnChunkMetaData) -> usize {
    match chunk.column_type() {
        Type::BOOLEAN => 1,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        // Its length.
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::FIXED_LEN_BYTE_ARRAY => {
            usize::try_from(chunk.column_descr().type_length()).map_or(1, |len| len.max(1))
        }
    }
}

/// Pages of a column's chunk. The decoder of a dictionary reserves as many
/// values as its header claims, which ends the program where that is more
/// than there is memory for.
struct CheckedPages<R: ChunkReader> {
    pages: SerializedPageReader<R>,
    value_len: usize,
}

impl<R: ChunkReader> CheckedPages<R> {
    fn check(&self, page: Option<Page>) -> Result<Option<Page>> {
        if let Some(Page::DictionaryPage {
            buf, num_values, ..
        }) = &page
            && *num_values as usize > buf.len() / self.value_len
        {
            return Err(ParquetError::General(format!(
                "a dictionary of {} bytes claims {num_values} values",
                buf.len()
            )));
        }
        Ok(page)
    }
}

impl<R: ChunkReader> Iterator for CheckedPages<R> {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl<R: ChunkReader> PageReader for CheckedPages<R> {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        self.check(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn supports_deferred_dictionary(&self) -> bool {
        self.pages.supports_deferred_dictionary()
    }

    fn take_deferred_dictionary(&mut self) -> Result<Option<Page>> {
        let page = self.pages.take_deferred_dictionary()?;
        self.check(page)
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

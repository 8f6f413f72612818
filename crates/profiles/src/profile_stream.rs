use std::path::{Path, PathBuf};

use morphospace_core::Provenance;

use crate::read::{Format, open_table};
use crate::table_file::{PartialTable, RowReader, TableFile};
use crate::{ColumnRoles, Profiles, ProfilesError, ReadOptions};

/// A table that is read in chunks of rows, for tables larger than memory:
/// Parquet, CSV and TSV, gzipped or not, and AnnData.
///
/// Every chunk has the same columns of the same kinds. Parquet says what they
/// are; text is read once beforehand, when the stream is opened, so that a
/// column of numbers with one word in its last row is text from the first row
/// on, as [`read_profiles`](crate::read_profiles) has it. The chunks one below the other are
/// what [`read_profiles`](crate::read_profiles) gives.
///
/// # Memory
/// `memory_bytes` is what a chunk takes together with what is held to read it:
/// of Parquet a page of each column (up to 1 MiB each as most tools write them;
/// those of [`ProfilesWriter`](crate::ProfilesWriter) are 64 KiB of single precision), of
/// AnnData a chunk of `X`, 65,536 rows of `obs` and the categories. A chunk
/// takes about a quarter of it at least, and holds at least one row, so that too
/// small a budget is exceeded and never an error. What is done with a chunk
/// comes on top: [`Profiles::values`] of single precision makes a copy of twice
/// the size, and a chunk that is kept while the next is read counts twice.
/// (`tests/it/memory.rs` measures it.)
///
/// ```
/// use morphospace_profiles::{ProfileStream, ReadOptions};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("profiles.csv");
/// std::fs::write(&path, "well,feature_0\nA01,1\nA02,2\nA03,6\n")?;
///
/// let mut stream = ProfileStream::open(&path, &ReadOptions::default(), 200_000_000)?;
/// assert_eq!(stream.num_rows(), 3);
/// let mut sum = 0.0;
/// while let Some(chunk) = stream.next_chunk()? {
///     sum += chunk.values().iter().sum::<f64>();
/// }
/// let mean = sum / stream.num_rows() as f64;
/// // A second pass, now that the mean is known.
/// stream.rewind()?;
/// let first = stream.next_chunk()?.expect("there are rows");
/// assert_eq!(first.row(0)[0] - mean, -2.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ProfileStream {
    path: PathBuf,
    table: Box<dyn TableFile>,
    rows: Box<dyn RowReader>,
    batch_rows: usize,
    /// What the rows of a chunk may take.
    chunk_bytes: usize,
    num_rows_given: usize,
    row_offset: usize,
}

impl ProfileStream {
    /// Opens a table, to be read in chunks of about so many bytes in memory.
    ///
    /// # Errors
    /// [`ProfilesError`] names the file, the column and row, and the fix. GCT
    /// is refused: its rows are features.
    pub fn open(
        path: &Path,
        options: &ReadOptions,
        memory_bytes: usize,
    ) -> Result<Self, ProfilesError> {
        let format = Format::of(path)?;
        Self::begin(path, format, options, memory_bytes).map_err(|error| error.in_file(path))
    }

    fn begin(
        path: &Path,
        format: Format,
        options: &ReadOptions,
        memory_bytes: usize,
    ) -> Result<Self, ProfilesError> {
        /// Rows read at a time at most, and the share of the budget they may take.
        const BATCH_ROWS: usize = 4096;
        const BATCH_SHARE: usize = 16;
        const ALLOCATOR_SHARE: usize = 16;
        let table = open_table(path, format, options)?;
        let layout = table.layout();
        let row_bytes = measured_row_bytes(&*table)?.max(layout.row_bytes()).max(1);
        let batch_rows = (memory_bytes / BATCH_SHARE / row_bytes).clamp(1, BATCH_ROWS);
        // A batch is held twice: as it was decoded, and cast.
        let beside = layout
            .reader_bytes
            .saturating_add(2 * batch_rows * row_bytes);
        // What is freed does not all go back to the system.
        let beside = beside.saturating_add(memory_bytes / ALLOCATOR_SHARE);
        let chunk_bytes = memory_bytes.saturating_sub(beside).max(memory_bytes / 4);
        let rows = table.rows(batch_rows)?;
        Ok(Self {
            path: path.to_owned(),
            table,
            rows,
            batch_rows,
            chunk_bytes,
            num_rows_given: 0,
            row_offset: 0,
        })
    }

    /// What became of each column of the file.
    pub fn roles(&self) -> &ColumnRoles {
        &self.table.layout().roles
    }

    /// Rows of the whole table.
    pub fn num_rows(&self) -> usize {
        self.table.layout().num_rows
    }

    /// Where the table came from, if its file said so; every chunk has it, too.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.table.layout().provenance.as_ref()
    }

    /// Rows of the table before the chunk that was given last. Messages about a
    /// chunk count its rows from 1.
    pub fn row_offset(&self) -> usize {
        self.row_offset
    }

    /// The next chunk of rows, `None` after the last.
    ///
    /// # Errors
    /// [`ProfilesError`] names the file, the column and row, and the fix. After
    /// an error the stream has to be rewound.
    pub fn next_chunk(&mut self) -> Result<Option<Profiles>, ProfilesError> {
        self.read_chunk().map_err(|error| error.in_file(&self.path))
    }

    fn read_chunk(&mut self) -> Result<Option<Profiles>, ProfilesError> {
        let layout = self.table.layout();
        // Room that is not filled costs nothing; growing would copy.
        let fitting = self.chunk_bytes / layout.row_bytes().max(1) + self.batch_rows;
        let left = layout.num_rows.saturating_sub(self.num_rows_given);
        let mut table = PartialTable::new(layout, fitting.min(left));
        let mut num_bytes = 0;
        loop {
            let before = table.num_rows;
            if self.rows.read_batch(&mut table)? == 0 {
                break;
            }
            let batch_bytes = table.num_bytes_from(before, layout);
            num_bytes += batch_bytes;
            if num_bytes + batch_bytes > self.chunk_bytes {
                break;
            }
        }
        if table.num_rows == 0 {
            return Ok(None);
        }
        self.row_offset = self.num_rows_given;
        self.num_rows_given += table.num_rows;
        table.finish(layout).map(Some)
    }

    /// Goes back to the first row, for another pass.
    ///
    /// # Errors
    /// The file cannot be read again.
    pub fn rewind(&mut self) -> Result<(), ProfilesError> {
        let rows = self.table.rows(self.batch_rows);
        self.rows = rows.map_err(|error| error.in_file(&self.path))?;
        self.num_rows_given = 0;
        self.row_offset = 0;
        Ok(())
    }
}

/// Bytes of one of the first rows in memory: how long texts are no layout says.
fn measured_row_bytes(table: &dyn TableFile) -> Result<usize, ProfilesError> {
    const MEASURED_ROWS: usize = 64;
    let layout = table.layout();
    let mut rows = PartialTable::new(layout, 0);
    let num_rows = table.rows(MEASURED_ROWS)?.read_batch(&mut rows)?;
    Ok(rows.num_bytes_from(0, layout) / num_rows.max(1))
}

impl Iterator for ProfileStream {
    type Item = Result<Profiles, ProfilesError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_chunk().transpose()
    }
}

impl std::fmt::Debug for ProfileStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileStream")
            .field("path", &self.path)
            .field("num_rows", &self.num_rows())
            .field("num_rows_given", &self.num_rows_given)
            .finish_non_exhaustive()
    }
}

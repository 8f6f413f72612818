use morphospace_core::Provenance;

use crate::column::ColumnKind;
use crate::{Column, ColumnRoles, Features, Profiles, ProfilesError};

/// What is known of a file's table before its rows are read: every piece of it
/// that is read has these columns.
#[derive(Clone, Debug)]
pub(crate) struct TableLayout {
    pub(crate) roles: ColumnRoles,
    /// Of the metadata columns, in the order of `roles.metadata`.
    pub(crate) kinds: Vec<ColumnKind>,
    /// Whether the features are single precision.
    pub(crate) is_single: bool,
    pub(crate) num_rows: usize,
    pub(crate) provenance: Option<Provenance>,
    /// What a reader holds in memory beside the rows it gives.
    pub(crate) reader_bytes: usize,
}

impl TableLayout {
    pub(crate) fn num_features(&self) -> usize {
        self.roles.features.len()
    }

    /// Bytes of a row in memory, without the letters of its texts.
    pub(crate) fn row_bytes(&self) -> usize {
        let value = if self.is_single { 4 } else { 8 };
        let metadata: usize = self.kinds.iter().map(|kind| kind.value_bytes()).sum();
        metadata + value * self.num_features()
    }
}

/// A file that holds a table, its columns settled.
pub(crate) trait TableFile: Send {
    fn layout(&self) -> &TableLayout;

    /// Begins at the first row; `batch_rows` are read at a time.
    fn rows(&self, batch_rows: usize) -> Result<Box<dyn RowReader>, ProfilesError>;
}

/// The rows of a file from front to back.
pub(crate) trait RowReader: Send {
    /// Adds the next rows to a table and says how many; 0 is the end.
    fn read_batch(&mut self, table: &mut PartialTable) -> Result<usize, ProfilesError>;
}

/// A table that rows are added to.
pub(crate) struct PartialTable {
    pub(crate) columns: Vec<Column>,
    pub(crate) features: Features,
    pub(crate) num_rows: usize,
}

impl PartialTable {
    pub(crate) fn new(layout: &TableLayout, room: usize) -> Self {
        Self {
            columns: layout.kinds.iter().map(|kind| kind.empty(room)).collect(),
            features: Features::with_room(layout.is_single, room * layout.num_features()),
            num_rows: 0,
        }
    }

    /// Bytes in memory of the rows from one on.
    pub(crate) fn num_bytes_from(&self, row: usize, layout: &TableLayout) -> usize {
        let value = if layout.is_single { 4 } else { 8 };
        let columns = self.columns.iter();
        let metadata: usize = columns.map(|c| c.num_bytes(row..self.num_rows)).sum();
        metadata + value * layout.num_features() * (self.num_rows - row)
    }

    pub(crate) fn finish(self, layout: &TableLayout) -> Result<Profiles, ProfilesError> {
        let metadata = layout.roles.metadata.iter().cloned().zip(self.columns);
        let names = layout.roles.features.clone();
        let profiles = Profiles::new(metadata.collect(), names, self.features)?;
        Ok(match &layout.provenance {
            Some(provenance) => profiles.with_provenance(provenance.clone()),
            None => profiles,
        })
    }
}

/// Rows read at a time where a whole table is read: the only ones held beside it.
const BATCH_ROWS: usize = 4096;

/// Reads all rows of a file.
pub(crate) fn read_whole(file: &dyn TableFile) -> Result<Profiles, ProfilesError> {
    let layout = file.layout();
    check_room(layout)?;
    let mut rows = file.rows(BATCH_ROWS)?;
    // What a file says of its length is believed as its rows arrive.
    let room = layout.num_rows.min(BATCH_ROWS);
    let mut table = PartialTable::new(layout, room);
    while rows.read_batch(&mut table)? > 0 {}
    table.finish(layout)
}

/// Refuses a table that no memory holds before it is asked for, which would end
/// the program.
fn check_room(layout: &TableLayout) -> Result<(), ProfilesError> {
    let num_bytes = layout.num_rows.saturating_mul(layout.row_bytes());
    let room = Vec::<u8>::new().try_reserve_exact(num_bytes);
    room.map_err(|_| ProfilesError::TooLarge {
        num_rows: layout.num_rows,
        num_bytes,
    })
}

use std::fmt;

/// Most rows of a table that are read: twice the wells of RxRx3, of which
/// there is no larger table of a screen.
pub(crate) const MAX_NUM_ROWS: usize = 5_000_000;

/// Most values of a table that are read.
pub(crate) const MAX_NUM_CELLS: usize = 1 << 27;

/// Longest value of a table, in bytes.
pub(crate) const MAX_CELL_LEN: usize = 1 << 16;

/// Most bytes of text in a table: 1 GiB, all values together.
pub(crate) const MAX_TEXT_LEN: usize = 1 << 30;

/// Rows of text, held in one piece: a gigabyte of a table takes little more
/// than that of memory, however short its values are.
#[derive(Debug, Default)]
pub(crate) struct TableRows {
    num_columns: usize,
    num_rows: usize,
    text: String,
    /// Where each value ends in the text.
    ends: Vec<u32>,
    /// The line on which each row starts; empty where the file has no lines.
    lines: Vec<u32>,
}

impl TableRows {
    pub(crate) fn new(num_columns: usize) -> Self {
        Self {
            num_columns,
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.num_rows
    }

    /// Adds the next value of a row that is not complete yet.
    ///
    /// # Errors
    /// One of the bounds, in words, with what to do about it.
    pub(crate) fn push_cell(&mut self, cell: &str) -> Result<(), String> {
        if cell.len() > MAX_CELL_LEN {
            return Err(too_long_cell());
        }
        if self.ends.len() >= MAX_NUM_CELLS {
            return Err(too_many("values", MAX_NUM_CELLS));
        }
        if self.text.len() + cell.len() > MAX_TEXT_LEN {
            return Err(too_many("bytes of text", MAX_TEXT_LEN));
        }
        self.text.push_str(cell);
        self.ends.push(self.text.len() as u32);
        Ok(())
    }

    /// Completes a row. Either all rows have a line or none.
    ///
    /// # Errors
    /// As [`TableRows::push_cell`].
    pub(crate) fn end_row(&mut self, line: Option<u64>) -> Result<(), String> {
        if self.num_rows >= MAX_NUM_ROWS {
            return Err(too_many("rows", MAX_NUM_ROWS));
        }
        self.num_rows += 1;
        self.lines.extend(line.map(|line| line as u32));
        Ok(())
    }

    pub(crate) fn get(&self, row: usize, column: usize) -> &str {
        let index = row * self.num_columns + column;
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        &self.text[start..self.ends[index] as usize]
    }

    /// The line on which a row starts, 1 being the header.
    pub(crate) fn line(&self, row: usize) -> usize {
        self.lines.get(row).map_or(row + 2, |&line| line as usize)
    }
}

pub(crate) fn too_many(what: &str, max: usize) -> String {
    format!(
        "it has more than {max} {what}\nhint: split it, or leave out what the screen does not need"
    )
}

pub(crate) fn too_long_cell() -> String {
    format!(
        "the value has more than {MAX_CELL_LEN} bytes\nhint: check that the file is a table, and whole"
    )
}

/// A value that is being written out, no longer than values may be.
#[derive(Debug, Default)]
pub(crate) struct CellText {
    pub(crate) text: String,
    /// Whether there was more than there may be.
    pub(crate) is_too_long: bool,
}

impl CellText {
    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.is_too_long = false;
    }
}

impl fmt::Write for CellText {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > MAX_CELL_LEN {
            self.is_too_long = true;
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    #[test]
    fn values_are_found_by_row_and_column() {
        let mut rows = TableRows::new(2);
        for (line, row) in [(2, ["a", ""]), (4, ["", "bc"])] {
            for cell in row {
                rows.push_cell(cell).expect("within bounds");
            }
            rows.end_row(Some(line)).expect("within bounds");
        }
        assert_eq!(rows.len(), 2);
        let cells = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(row, column)| rows.get(row, column));
        assert_eq!(cells, ["a", "", "", "bc"]);
        assert_eq!((rows.line(0), rows.line(1)), (2, 4));
    }

    #[test]
    fn every_bound_is_kept() {
        let mut rows = TableRows::new(1);
        rows.push_cell(&"x".repeat(MAX_CELL_LEN))
            .expect("as long as may be");
        let error = rows
            .push_cell(&"x".repeat(MAX_CELL_LEN + 1))
            .expect_err("longer");
        assert!(error.contains("65536 bytes\nhint: "), "{error}");
        for _ in 0..MAX_NUM_ROWS {
            rows.end_row(None).expect("within bounds");
        }
        let error = rows.end_row(None).expect_err("one more");
        assert!(error.contains("5000000 rows\nhint: "), "{error}");
        let mut cell = CellText::default();
        assert!(cell.write_str(&"x".repeat(MAX_CELL_LEN)).is_ok());
        assert!(cell.write_char('x').is_err() && cell.is_too_long);
    }
}

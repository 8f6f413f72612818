use morphospace_core::WellAddress;

/// The address of a well.
pub(super) fn well_address(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match text.parse::<WellAddress>() {
        Ok(well) => {
            assert_eq!(well.to_string().parse(), Ok(well));
            let (row, column) = (well.row_index(), well.column_index());
            assert_eq!(WellAddress::from_indices(row, column), Some(well));
        }
        Err(error) => assert_eq!(error.text, text),
    }
}

use std::collections::BTreeMap;

use super::curation::DroppedRow;
use super::settings::CurateSettings;
use super::table::CurationTable;

/// Rows of unknown or too many perturbations, and those whose images are not as
/// those of most rows.
pub(super) fn apply(
    table: &CurationTable,
    rows: &[usize],
    settings: &CurateSettings,
) -> Vec<DroppedRow> {
    let expected_channels = settings.num_channels.or_else(|| {
        let counts = table.num_channels.as_ref()?;
        most_frequent(rows.iter().map(|&row| counts[row]))
    });
    let expected_size = settings.image_size_px.or_else(|| {
        let sizes = table.image_sizes_px.as_ref()?;
        most_frequent(rows.iter().filter_map(|&row| sizes[row]))
    });
    let why = |row: usize| -> Option<(String, String)> {
        let same = |why: String| Some((why.clone(), why));
        let Some(conditions) = &table.well(row).conditions else {
            return same("the perturbation is not known".to_owned());
        };
        let max = settings.max_perturbations;
        if conditions.len() > max {
            return Some((
                format!("more than {max} perturbations"),
                format!("{} perturbations, more than {max}", conditions.len()),
            ));
        }
        if let (Some(counts), Some(expected)) = (&table.num_channels, expected_channels)
            && counts[row] != expected
        {
            return Some((
                format!("not {expected} channels"),
                format!("{} channels, not {expected}", counts[row]),
            ));
        }
        if let (Some(sizes), Some([width, height])) = (&table.image_sizes_px, expected_size) {
            match sizes[row] {
                None => return same("the size of images is not known".to_owned()),
                Some(size) if size != [width, height] => {
                    return Some((
                        format!("images are not {width} x {height} pixels"),
                        format!(
                            "images of {} x {} pixels, not {width} x {height}",
                            size[0], size[1]
                        ),
                    ));
                }
                Some(_) => {}
            }
        }
        None
    };
    let dropped = rows.iter().filter_map(|&row| {
        let (category, words) = why(row)?;
        Some(DroppedRow {
            row,
            category,
            words,
        })
    });
    dropped.collect()
}

/// The value that occurs most often; the greatest of several.
fn most_frequent<T: Ord + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|&(value, count)| (count, value));
    most.map(|(value, _)| value)
}

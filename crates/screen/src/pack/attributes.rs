use std::collections::BTreeSet;

use morphospace_core::{Channel, Stain, WellAddress};
use serde_json::{Value, json};

/// Version of OME-Zarr that is written.
const VERSION: &str = "0.5";

fn group(ome: Value) -> Value {
    json!({
        "zarr_format": 3,
        "node_type": "group",
        "attributes": { "ome": ome },
    })
}

/// A group without a meaning of its own: a row of a plate.
pub(super) fn row_group() -> Value {
    json!({ "zarr_format": 3, "node_type": "group", "attributes": {} })
}

/// `zarr.json` of a plate.
pub(super) fn plate_group(name: &str, wells: &BTreeSet<WellAddress>, field_count: usize) -> Value {
    let rows: BTreeSet<usize> = wells.iter().map(|well| well.row_index()).collect();
    let columns: BTreeSet<usize> = wells.iter().map(|well| well.column_index()).collect();
    let rows: Vec<usize> = rows.into_iter().collect();
    let columns: Vec<usize> = columns.into_iter().collect();
    let row_name = |&row: &usize| {
        let first = WellAddress::from_indices(row, 0).expect("the row of a well");
        json!({ "name": first.row_name() })
    };
    let well = |well: &WellAddress| {
        json!({
            "path": well_path(*well),
            "rowIndex": rows.binary_search(&well.row_index()).expect("collected above"),
            "columnIndex": columns.binary_search(&well.column_index()).expect("collected above"),
        })
    };
    group(json!({
        "version": VERSION,
        "plate": {
            "name": name,
            "rows": rows.iter().map(row_name).collect::<Vec<_>>(),
            "columns": columns
                .iter()
                .map(|column| json!({ "name": column_name(*column) }))
                .collect::<Vec<_>>(),
            "wells": wells.iter().map(well).collect::<Vec<_>>(),
            "field_count": field_count,
        },
    }))
}

/// `zarr.json` of a well with the given fields.
pub(super) fn well_group(fields: &BTreeSet<String>) -> Value {
    let images: Vec<Value> = fields
        .iter()
        .map(|field| json!({ "path": field }))
        .collect();
    group(json!({ "version": VERSION, "well": { "images": images } }))
}

/// `zarr.json` of a field. `largest` is the brightest value of each channel,
/// for the viewer's contrast; `origin` is what this program notes down.
pub(super) fn image_group(channels: &[Channel], largest: &[u16], origin: Value) -> Value {
    let channel = |(channel, &largest): (&Channel, &u16)| {
        json!({
            "label": channel.name,
            "color": colour(&channel.stain),
            "active": true,
            "window": { "start": 0, "end": largest.max(1), "min": 0, "max": largest.max(1) },
        })
    };
    let mut image = group(json!({
        "version": VERSION,
        "multiscales": [{
            "name": "field",
            "axes": [
                { "name": "c", "type": "channel" },
                { "name": "y", "type": "space" },
                { "name": "x", "type": "space" },
            ],
            "datasets": [{
                "path": "0",
                "coordinateTransformations": [{ "type": "scale", "scale": [1.0, 1.0, 1.0] }],
            }],
        }],
        "omero": { "channels": channels.iter().zip(largest).map(channel).collect::<Vec<_>>() },
    }));
    image["attributes"]["morphospace"] = origin;
    image
}

/// Path of a well in its plate: `B/02`.
pub(super) fn well_path(well: WellAddress) -> String {
    format!("{}/{}", well.row_name(), column_name(well.column_index()))
}

fn column_name(column_index: usize) -> String {
    format!("{:02}", column_index + 1)
}

/// Colours in which stains are usually shown, as hexadecimal RGB.
fn colour(stain: &Stain) -> &'static str {
    match stain {
        Stain::Dna => "0000FF",
        Stain::Er => "00FF00",
        Stain::Actin | Stain::Tubulin => "FF0000",
        Stain::Rna => "00FFFF",
        Stain::Mito => "FF00FF",
        Stain::Golgi | Stain::Agp => "FFFF00",
        Stain::Brightfield | Stain::Other(_) => "FFFFFF",
    }
}

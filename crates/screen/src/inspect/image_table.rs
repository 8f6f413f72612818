use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt8Array, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use morphospace_core::Provenance;

use super::image_quality::{ImageMeasures, ImageQuality};
use crate::ScreenError;
use crate::parquet_file::{BATCH_LEN, WriteError, write_parquet};
use crate::screen::Screen;
use crate::site_list::site_key_text;

/// Writes `qc.parquet`: one row per image, those that are missing included,
/// with `site_key`, `channel`, `mean`, `sd`, `minimum`, `maximum`,
/// `saturated_fraction`, `focus`, `relative_focus`, `width`, `height`,
/// `bit_depth` (see [`ImageMeasures`]; nothing where there was nothing to
/// measure) and `flags`, a list of the words of
/// [`QualityFlag`](super::QualityFlag). The file appears whole or not at all.
///
/// # Errors
/// [`ScreenError::CannotWrite`].
pub fn write_image_quality(
    path: &Path,
    screen: &dyn Screen,
    images: &[ImageQuality],
    provenance: &Provenance,
) -> Result<(), ScreenError> {
    let schema = schema();
    let batches = images
        .chunks(BATCH_LEN)
        .map(|images| record_batch(&schema, screen, images));
    write_parquet(path, &schema, Some(provenance), &[], batches)
}

fn flag_item() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Utf8, false))
}

fn schema() -> Arc<Schema> {
    let float = |name: &str| Field::new(name, DataType::Float64, true);
    let whole = |name: &str| Field::new(name, DataType::UInt32, true);
    Arc::new(Schema::new(vec![
        Field::new("site_key", DataType::Utf8, false),
        Field::new("channel", DataType::Utf8, false),
        float("mean"),
        float("sd"),
        whole("minimum"),
        whole("maximum"),
        float("saturated_fraction"),
        float("focus"),
        float("relative_focus"),
        whole("width"),
        whole("height"),
        Field::new("bit_depth", DataType::UInt8, true),
        Field::new("flags", DataType::List(flag_item()), false),
    ]))
}

fn record_batch(
    schema: &Arc<Schema>,
    screen: &dyn Screen,
    images: &[ImageQuality],
) -> Result<RecordBatch, WriteError> {
    let text = |value: &dyn Fn(&ImageQuality) -> String| -> ArrayRef {
        let values = images.iter().map(|image| Some(value(image)));
        Arc::new(values.collect::<StringArray>())
    };
    let float = |value: fn(&ImageMeasures) -> Option<f64>| -> ArrayRef {
        let measures = images.iter().map(|image| image.measures.as_ref());
        Arc::new(
            measures
                .map(|found| found.and_then(value))
                .collect::<Float64Array>(),
        )
    };
    let whole = |value: fn(&ImageMeasures) -> u32| -> ArrayRef {
        let measures = images.iter().map(|image| image.measures.as_ref());
        Arc::new(
            measures
                .map(|found| found.map(value))
                .collect::<UInt32Array>(),
        )
    };
    let depths = images.iter().map(|image| Some(image.measures?.bit_depth));
    let mut flags = ListBuilder::new(StringBuilder::new()).with_field(flag_item());
    for image in images {
        for flag in image.flags.iter() {
            flags.values().append_value(flag.as_str());
        }
        flags.append(true);
    }
    let columns = vec![
        text(&|image| site_key_text(&screen.sites()[image.site_index].key)),
        text(&|image| screen.channels()[image.channel_index].name.clone()),
        float(|found| Some(found.mean)),
        float(|found| Some(found.sd)),
        whole(|found| u32::from(found.minimum)),
        whole(|found| u32::from(found.maximum)),
        float(|found| Some(found.saturated_fraction)),
        float(|found| found.focus),
        float(ImageMeasures::relative_focus),
        whole(|found| found.width as u32),
        whole(|found| found.height as u32),
        Arc::new(depths.collect::<UInt8Array>()),
        Arc::new(flags.finish()),
    ];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

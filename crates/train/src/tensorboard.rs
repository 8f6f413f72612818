use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::TrainError;
use crate::run_folder::Line;

const FOLDER: &str = "tensorboard";
const FILE: &str = "events.out.tfevents.0000000000.morphospace";

/// The numbers of a run as TensorBoard reads them: `tensorboard --logdir RUN`.
///
/// One event file, which is written anew from `metrics.jsonl` when a run goes
/// on, so that a kill leaves no points of steps that never counted. Wall times
/// are left out: the file is a function of the metrics.
///
/// # Source
/// Records: tensorflow `lib/io/record_writer.cc`; events: `event.proto` and
/// `summary.proto`.
pub(crate) struct TensorBoard {
    path: PathBuf,
    file: BufWriter<File>,
}

impl TensorBoard {
    pub(crate) fn create(run_folder: &Path) -> Result<Self, TrainError> {
        let path = run_folder.join(FOLDER).join(FILE);
        let parent = run_folder.join(FOLDER);
        fs::create_dir_all(&parent).map_err(TrainError::file(&parent))?;
        let file = File::create(&path).map_err(TrainError::file(&path))?;
        let mut tensorboard = Self {
            path,
            file: BufWriter::new(file),
        };
        let mut event = Vec::new();
        // Event.file_version = 3
        put_bytes(&mut event, 3, b"brain.Event:2");
        tensorboard.put_record(&event)?;
        Ok(tensorboard)
    }

    pub(crate) fn add(&mut self, line: &Line) -> Result<(), TrainError> {
        let event = match line {
            Line::Step(report) => {
                let mut scalars = vec![
                    ("loss".to_owned(), report.loss),
                    ("optimiser/learning_rate".to_owned(), report.learning_rate),
                    ("optimiser/gradient_norm".to_owned(), report.gradient_norm),
                    (
                        "speed/images_per_second".to_owned(),
                        report.images_per_second,
                    ),
                    ("speed/data_wait_share".to_owned(), report.data_wait_share),
                ];
                let parts = report.parts.iter();
                scalars.extend(parts.map(|(name, value)| (format!("parts/{name}"), *value)));
                if let Some(scale) = report.loss_scale {
                    scalars.push(("optimiser/loss_scale".to_owned(), scale));
                }
                if let Some(spread) = report.embedding {
                    scalars.push(("embedding/std".to_owned(), spread.std));
                    scalars.push(("embedding/rank".to_owned(), spread.rank));
                }
                event(report.step + 1, &scalars)
            }
            Line::Evaluation(report) => {
                let scores = report.scores.iter();
                let scalars: Vec<(String, f64)> =
                    scores.map(|(name, value)| (name.clone(), *value)).collect();
                event(report.num_steps_done, &scalars)
            }
        };
        self.put_record(&event)
    }

    /// Length, its checksum, the data, its checksum.
    fn put_record(&mut self, data: &[u8]) -> Result<(), TrainError> {
        let len = (data.len() as u64).to_le_bytes();
        let mut record = Vec::with_capacity(data.len() + 16);
        record.extend(len);
        record.extend(masked_crc(&len).to_le_bytes());
        record.extend(data);
        record.extend(masked_crc(data).to_le_bytes());
        let written = self
            .file
            .write_all(&record)
            .and_then(|()| self.file.flush());
        written.map_err(TrainError::file(&self.path))
    }
}

/// One `Event` with a `Summary` of scalars.
fn event(step: u64, scalars: &[(String, f64)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, number) in scalars {
        let mut value = Vec::new();
        // Summary.Value.tag = 1, simple_value = 2 (a 32-bit float)
        put_bytes(&mut value, 1, tag.as_bytes());
        value.push(2 << 3 | 5);
        value.extend((*number as f32).to_le_bytes());
        // Summary.value = 1
        put_bytes(&mut summary, 1, &value);
    }
    let mut event = Vec::new();
    // Event.step = 2 (varint), Event.summary = 5
    event.push(2 << 3);
    put_varint(&mut event, step);
    put_bytes(&mut event, 5, &summary);
    event
}

/// A field of bytes, text or an inner message.
fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// CRC-32C, turned so that checksums of checksums are no weakness.
fn masked_crc(data: &[u8]) -> u32 {
    crc32c::crc32c(data)
        .rotate_right(15)
        .wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_by_hand() {
        let event = event(300, &[("a".to_owned(), 1.0)]);
        // step 300 = 0xac 0x02; summary of one value of 8 bytes.
        let expected = [
            0x10, 0xac, 0x02, 0x2a, 0x0a, 0x0a, 0x08, 0x0a, 0x01, b'a', 0x15, 0x00, 0x00, 0x80,
            0x3f,
        ];
        assert_eq!(event, expected);
    }

    #[test]
    fn checksums_are_masked() {
        // Of tensorflow: the header of every first record, 24 bytes long.
        let len = 24u64.to_le_bytes();
        assert_eq!(masked_crc(&len).to_le_bytes(), [0xa3, 0x7f, 0x4b, 0x22]);
    }
}

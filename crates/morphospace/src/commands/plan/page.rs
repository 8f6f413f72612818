//! The plan as text.

use morphospace_models::NetworkConfig;
use morphospace_models::plan::Count;

use super::{MachinePlan, Plan, Plans};

/// One network at length, or a line for each of several.
pub(super) fn page(plans: &Plans) -> String {
    match &plans.networks[..] {
        [plan] => one_network(plans, plan),
        several => comparison(plans, several),
    }
}

fn one_network(plans: &Plans, plan: &Plan) -> String {
    let precision = plans.precision.as_str();
    let mut text = format!(
        "{}: {}, images of {} channels and {} px, {} features\n",
        plan.name,
        kind(&plan.network),
        plan.image.in_chans,
        plan.image.side,
        plan.num_features
    );
    if plan.training_image != plan.image {
        text += &format!("trained on {} channels\n", plan.training_image.in_chans);
    }
    text += &parameters(plan);
    text += &operations(plan);
    text += &memory(plan, precision);
    if let Some(screen) = &plan.screen {
        let size = screen.size;
        let mut table = Table::new(&["screen", ""]);
        for (name, count) in [
            ("wells", size.num_wells),
            ("sites per well", size.sites_per_well),
            ("crops per site", size.crops_per_site),
        ] {
            table.row(&[name.to_owned(), digits(count.into())]);
        }
        table.row(&["crops".to_owned(), digits(screen.num_crops)]);
        let pixels = format!(
            "{} ({} channels of {} x {} px, {} B per pixel, uncompressed)",
            bytes(screen.pixel_bytes),
            size.in_chans,
            size.site_px,
            size.site_px,
            size.bytes_per_pixel
        );
        table.row(&["pixels in".to_owned(), pixels]);
        table.row(&[
            "profiles out, by well".to_owned(),
            bytes(screen.bytes_by_well),
        ]);
        table.row(&[
            "profiles out, by crop".to_owned(),
            bytes(screen.bytes_by_crop),
        ]);
        text += &table.left_aligned().to_text();
    }
    text += &machines(plans, plan);
    text
}

fn parameters(plan: &Plan) -> String {
    let mut table = Table::new(&["parameters", "trained", "fixed"]);
    let counts = &plan.parameters;
    for (name, count) in [
        ("encoder", counts.encoder),
        ("decoder", counts.decoder),
        ("head", counts.head),
    ] {
        if count != Count::default() {
            table.row(&[
                name.to_owned(),
                digits(count.trained.into()),
                digits(count.fixed.into()),
            ]);
        }
    }
    table.row(&[
        "all".to_owned(),
        digits(counts.trained().into()),
        digits(counts.fixed().into()),
    ]);
    table.to_text()
}

fn operations(plan: &Plan) -> String {
    let mut table = Table::new(&["forward pass of an image", "embedding", "training"]);
    let (embedding, training) = (&plan.embedding, &plan.training);
    let parts = embedding.flops_by_part.parts().into_iter();
    for ((part, embed), (_, train)) in parts.zip(training.flops_by_part.parts()) {
        if embed + train > 0 {
            let cell = |count| match count {
                0 => String::new(),
                count => flops(count),
            };
            table.row(&[part.to_owned(), cell(embed), cell(train)]);
        }
    }
    table.row(&[
        "all".to_owned(),
        flops(embedding.flops),
        flops(training.flops),
    ]);
    let adds = |count: u128| scaled(count as f64, "");
    table.row(&[
        "multiply-adds".to_owned(),
        adds(embedding.multiply_adds),
        adds(training.multiply_adds),
    ]);
    let estimate = match plan.approximate_multiply_adds {
        Some(count) => scaled(count, ""),
        None => "not defined".to_owned(),
    };
    table.row(&[
        "multiply-adds by Kraus et al.".to_owned(),
        estimate,
        String::new(),
    ]);
    table.row(&[
        "forward and backward".to_owned(),
        String::new(),
        flops(plan.training_step_flops),
    ]);
    table.to_text()
}

fn memory(plan: &Plan, precision: &str) -> String {
    let title = format!("memory, {precision}, {}, about", plan.optimiser.as_str());
    let mut table = Table::new(&[&title, "embedding", "training"]);
    let (embedding, training) = (&plan.embedding_memory, &plan.training_memory);
    let none = String::new;
    for (name, embed, train) in [
        (
            "weights",
            bytes(embedding.weight_bytes),
            bytes(training.weight_bytes),
        ),
        ("gradients", none(), bytes(training.gradient_bytes)),
        ("moving averages", none(), bytes(training.optimiser_bytes)),
        (
            "activations of an image",
            bytes(embedding.activation_bytes_per_image),
            bytes(training.activation_bytes_per_image),
        ),
    ] {
        table.row(&[name.to_owned(), embed, train]);
    }
    for batch in &plan.batches {
        table.row(&[
            format!("all, batch of {}", digits(batch.batch_size.into())),
            bytes(batch.embedding_bytes),
            bytes(batch.training_bytes),
        ]);
    }
    table.to_text()
}

fn machines(plans: &Plans, plan: &Plan) -> String {
    let epochs = plan.screen.as_ref().and_then(|screen| screen.epochs);
    let training_hours = epochs.map(|epochs| format!("GPU-hours to train {epochs} epochs"));
    let mut titles = vec![
        "accelerator",
        "peak",
        "embedded",
        "trained",
        "most embedded at once",
        "most trained at once",
    ];
    if plan.screen.is_some() {
        titles.push("GPU-hours to embed");
    }
    if let Some(title) = &training_hours {
        titles.push(title);
    }
    let mut table = Table::new(&titles);
    for machine in &plan.machines {
        let MachinePlan {
            name,
            peak_flops_per_second,
            embedding_images_per_second,
            training_images_per_second,
            embedding_hours,
            training_hours,
            ..
        } = machine;
        let most = |batch: Option<u64>| match (batch, machine.accelerator) {
            (Some(batch), _) => digits(batch.into()),
            (None, Some(_)) => "none fits".to_owned(),
            (None, None) => String::new(),
        };
        let mut cells = vec![
            name.clone(),
            peak_flops_per_second.map_or_else(String::new, |peak| scaled(peak, "FLOP/s")),
            speed(*embedding_images_per_second),
            speed(*training_images_per_second),
            most(machine.largest_embedding_batch),
            most(machine.largest_training_batch),
        ];
        cells.extend(
            [embedding_hours, training_hours]
                .into_iter()
                .flatten()
                .map(|h| hours(*h)),
        );
        table.row(&cells);
    }
    let share = percent(plans.utilisation);
    format!(
        "{}\nSpeeds are {share} % of the peak in {}; reading images is not in them. See docs/plan.md.\n",
        table.to_text(),
        plans.precision.as_str()
    )
}

fn comparison(plans: &Plans, networks: &[Plan]) -> String {
    let precision = plans.precision.as_str();
    let batches: Vec<u64> = match networks
        .iter()
        .all(|plan| has_same_batches(plan, &networks[0]))
    {
        true => networks[0]
            .batches
            .iter()
            .map(|batch| batch.batch_size)
            .collect(),
        false => Vec::new(),
    };
    let batch_titles: Vec<String> = batches
        .iter()
        .map(|batch_size| format!("memory to train {batch_size}"))
        .collect();
    let screen = networks.iter().any(|plan| plan.screen.is_some());
    let machine_titles: Vec<String> = networks[0]
        .machines
        .iter()
        .map(|machine| match screen {
            true => format!("{} GPU-hours", machine.name),
            false => format!("{} embeds", machine.name),
        })
        .collect();
    let mut titles = vec!["network", "parameters", "embedding", "training step"];
    titles.extend(batch_titles.iter().map(String::as_str));
    titles.extend(machine_titles.iter().map(String::as_str));
    let mut table = Table::new(&titles);
    for plan in networks {
        let mut cells = vec![
            plan.name.clone(),
            digits(plan.trained_parameters.into()),
            flops(plan.embedding.flops),
            flops(plan.training_step_flops),
        ];
        if !batches.is_empty() {
            cells.extend(plan.batches.iter().map(|batch| bytes(batch.training_bytes)));
        }
        for machine in &plan.machines {
            cells.push(match machine.embedding_hours {
                Some(time) => hours(time),
                None => speed(machine.embedding_images_per_second),
            });
        }
        table.row(&cells);
    }
    let share = percent(plans.utilisation);
    format!(
        "{}\nSpeeds are {share} % of the peak in {precision}; reading images is not in them. See docs/plan.md.\n",
        table.to_text().trim_start_matches('\n')
    )
}

fn has_same_batches(plan: &Plan, other: &Plan) -> bool {
    let sizes =
        |plan: &Plan| -> Vec<u64> { plan.batches.iter().map(|batch| batch.batch_size).collect() };
    sizes(plan) == sizes(other)
}

fn kind(network: &NetworkConfig) -> &'static str {
    match network {
        NetworkConfig::Vit(_) => "vision transformer with parallel blocks",
        NetworkConfig::Mae(_) => "masked autoencoder",
        NetworkConfig::CaMae(_) => "channel-agnostic masked autoencoder",
        NetworkConfig::PlainVit(_) => "vision transformer",
        NetworkConfig::DenseNet(_) => "DenseNet",
        NetworkConfig::ResNet(_) => "ResNet",
        NetworkConfig::MuNet(_) => "MU-Net",
        NetworkConfig::Supervised(_) => "weakly supervised network",
    }
}

/// Columns as wide as their widest cell, the first to the left, numbers to the
/// right.
struct Table {
    rows: Vec<Vec<String>>,
    is_left_aligned: bool,
}

impl Table {
    fn new(titles: &[&str]) -> Self {
        Self {
            rows: vec![titles.iter().map(|title| (*title).to_owned()).collect()],
            is_left_aligned: false,
        }
    }

    fn left_aligned(mut self) -> Self {
        self.is_left_aligned = true;
        self
    }

    fn row(&mut self, cells: &[String]) {
        self.rows.push(cells.to_vec());
    }

    /// An empty line and the rows.
    fn to_text(&self) -> String {
        let num_columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..num_columns).map(width).collect();
        let mut text = "\n".to_owned();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                line += &match column == 0 || self.is_left_aligned {
                    true => format!("{cell:<width$}   "),
                    false => format!("{cell:>width$}   "),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

/// `26,486,112`.
fn digits(number: u128) -> String {
    let plain = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in plain.chars().enumerate() {
        if place > 0 && (plain.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Three or four digits and a thousands prefix: `4.11 TFLOP`.
fn scaled(number: f64, unit: &str) -> String {
    const PREFIXES: [&str; 9] = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    let mut value = number;
    let mut prefixes = PREFIXES.iter();
    let mut prefix = prefixes.next().copied().unwrap_or_default();
    // What would be rounded to a thousand has the next prefix.
    while value >= 999.95 {
        let Some(next) = prefixes.next() else { break };
        (value, prefix) = (value / 1000.0, next);
    }
    let decimals = match value {
        _ if prefix.is_empty() && value.fract() == 0.0 => 0,
        _ if value < 9.995 => 2,
        _ if value < 999.95 => 1,
        _ => 0,
    };
    let text = format!("{value:.decimals$} {prefix}{unit}");
    text.trim_end().to_owned()
}

fn flops(count: u128) -> String {
    scaled(count as f64, "FLOP")
}

fn bytes(count: u128) -> String {
    scaled(count as f64, "B")
}

/// `35` or `18.9`.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    text.trim_end_matches(".0").to_owned()
}

fn speed(images_per_second: f64) -> String {
    format!("{} images/s", rounded(images_per_second))
}

fn hours(hours: f64) -> String {
    rounded(hours)
}

/// Whole from a hundred up, three digits below; powers of ten where nobody
/// wants to count zeros.
fn rounded(number: f64) -> String {
    match number {
        huge if huge >= 1e12 => format!("{huge:.2e}"),
        large if large >= 99.95 => digits(large.round() as u128),
        some if some >= 1.0 => format!("{some:.1}"),
        small if small >= 0.001 => format!("{small:.3}"),
        tiny => format!("{tiny:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_easy_to_read() {
        assert_eq!(digits(0), "0");
        assert_eq!(digits(999), "999");
        assert_eq!(digits(26_486_112), "26,486,112");
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(999_999), "1.00 MB");
        assert_eq!(bytes(12_340_000_000), "12.3 GB");
        assert_eq!(flops(4_109_485_006_848), "4.11 TFLOP");
        assert_eq!(scaled(7.848e9, ""), "7.85 G");
        assert_eq!(scaled(1e30, "B"), "1000000 YB");
        assert_eq!(speed(11.04), "11.0 images/s");
        assert_eq!(speed(1234.4), "1,234 images/s");
        assert_eq!(hours(4321.0), "4,321");
        assert_eq!(hours(0.5), "0.500");
        assert_eq!(rounded(99.96), "100");
        assert_eq!(rounded(0.000_123), "1.23e-4");
        assert_eq!(rounded(4e15), "4.00e15");
        assert_eq!(percent(0.35), "35");
        assert_eq!(percent(0.189), "18.9");
        assert_eq!(percent(1.0), "100");
    }
}

use std::collections::BTreeMap;
use std::fmt;

use morphospace_core::{Channel, ControlRole};
use serde::{Deserialize, Serialize};

use super::assessment::{PlateChannel, QualityReport};
use super::counts::{Counts, GroupCount};
use super::finding::Finding;
use super::outlier::median_of;
use super::quality_flag::QualityFlag;

/// How closely images are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InspectDepth {
    /// Whether each file is there; one site per plate is decoded for its
    /// size and bit depth.
    #[default]
    Presence,
    /// Decode every image.
    Decode,
    /// Measure every image, and compare it with the others of its plate and
    /// of the screen.
    Quality,
}

/// What a screen holds and what is wrong with it.
///
/// Counts are of wells where they say wells. `Display` is the form for
/// people; serialised, it is the form for programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// The screen's name.
    pub screen: String,
    /// How closely images were looked at.
    pub depth: InspectDepth,
    /// Number of experiments (batches).
    pub num_experiments: usize,
    /// Number of plates.
    pub num_plates: usize,
    /// Number of wells.
    pub num_wells: usize,
    /// Number of sites.
    pub num_sites: usize,
    /// The channels.
    pub channels: Vec<Channel>,
    /// What the images lack, and what was left out:
    /// [`Screen::notes`](crate::Screen::notes); and how many image files no
    /// row names.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Image files that no row names, and folders of such
    /// ([`Screen::unlisted_images`](crate::Screen::unlisted_images)).
    #[serde(default)]
    pub unlisted: Vec<String>,
    /// For each channel, how many sites have its image.
    pub num_present: Vec<usize>,
    /// Number of different perturbations (reagent, guide, compound at a
    /// dose), controls included.
    pub num_perturbations: usize,
    /// Number of different targets (genes, or reagents and compounds).
    pub num_targets: usize,
    /// Wells by control role.
    pub control_roles: BTreeMap<ControlRole, usize>,
    /// Treated wells whose perturbation is not known.
    pub num_unlabelled_wells: usize,
    /// Wells by cell type.
    pub cell_types: BTreeMap<String, usize>,
    /// Wells by background treatment.
    pub backgrounds: BTreeMap<String, usize>,
    /// Decoded images by size and bit depth, e.g. `512 x 512, 8 bit`.
    pub image_forms: BTreeMap<String, usize>,
    /// Number of sites that lack an image of at least one channel.
    pub num_incomplete_sites: usize,
    /// Images that are not there.
    pub missing: Vec<Finding>,
    /// Images that are there but cannot be used: damaged, or not grey.
    pub unreadable: Vec<Finding>,
    /// Images of another size than most channels of their site, which cannot
    /// be used together.
    #[serde(default)]
    pub mixed_sizes: Vec<Finding>,
    /// Experiments without a negative control or untreated well, which
    /// cannot be aligned by their controls.
    pub experiments_without_negative_controls: Vec<String>,
    /// Fewest wells that are negative controls or untreated, over plates.
    pub min_negative_controls_per_plate: usize,
    /// Wells, sites and flags of each experiment, plate, cell type and class.
    pub counts: Counts,
    /// What quality control found; `None` unless images were measured.
    pub quality: Option<QualityReport>,
}

impl Inspection {
    /// Whether no image is missing or unreadable, and the channels of every
    /// site are of one size.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.unreadable.is_empty() && self.mixed_sizes.is_empty()
    }
}

/// Findings and plates printed before "and n more".
const NUM_SHOWN: usize = 40;
/// Experiments in the table of them.
const MOST_EXPERIMENT_ROWS: usize = 60;
/// Experiments named beside a count of sites.
const MOST_EXPERIMENTS: usize = 6;
/// Classes named as those of the fewest wells.
const MOST_CLASSES: usize = 5;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_holdings(f, self)?;
        show_images(f, self)?;
        for note in &self.notes {
            writeln!(f, "note           {note}")?;
        }
        show_experiments(f, self)?;
        show_findings(f, "missing", &self.missing)?;
        show_findings(f, "unreadable", &self.unreadable)?;
        show_findings(f, "of another size than their site", &self.mixed_sizes)?;
        if !self.experiments_without_negative_controls.is_empty() {
            writeln!(
                f,
                "no negative controls in {}\nhint: these cannot be aligned by their controls; \
                 check the control roles of their wells",
                self.experiments_without_negative_controls.join(", ")
            )?;
        }
        match &self.quality {
            Some(report) => show_quality(f, self, report),
            None => Ok(()),
        }
    }
}

fn show_holdings(f: &mut fmt::Formatter<'_>, inspection: &Inspection) -> fmt::Result {
    writeln!(f, "screen         {}", inspection.screen)?;
    writeln!(
        f,
        "holds          {}, {}, {}, {}",
        counted(inspection.num_experiments, "experiment"),
        counted(inspection.num_plates, "plate"),
        counted(inspection.num_wells, "well"),
        counted(inspection.num_sites, "site"),
    )?;
    writeln!(
        f,
        "perturbations  {} ({})",
        inspection.num_perturbations,
        counted(inspection.num_targets, "target")
    )?;
    show_classes(f, &inspection.counts)?;
    let roles: Vec<String> = inspection
        .control_roles
        .iter()
        .map(|(role, count)| format!("{role} {count}"))
        .collect();
    writeln!(f, "control roles  {} (wells)", roles.join(", "))?;
    if inspection.num_unlabelled_wells > 0 {
        let wells = counted(inspection.num_unlabelled_wells, "well");
        writeln!(f, "unknown label  {wells}")?;
    }
    writeln!(f, "cell types     {}", tally(&inspection.cell_types))?;
    if !inspection.backgrounds.is_empty() {
        writeln!(f, "backgrounds    {}", tally(&inspection.backgrounds))?;
    }
    Ok(())
}

/// How many classes there are, how large they are, and which are small.
fn show_classes(f: &mut fmt::Formatter<'_>, counts: &Counts) -> fmt::Result {
    let smallest = counts.smallest_classes();
    let (Some(first), Some(last)) = (smallest.first(), smallest.last()) else {
        return Ok(());
    };
    let (fewest, most) = (first.num_wells, last.num_wells);
    write!(f, "classes        {} ", smallest.len())?;
    if fewest == most {
        return writeln!(f, "of {} each", counted(fewest, "well"));
    }
    let numbers: Vec<f64> = smallest.iter().map(|c| c.num_wells as f64).collect();
    let named: Vec<String> = smallest
        .iter()
        .take(MOST_CLASSES)
        .map(|class| format!("{} {}", class.name, class.num_wells))
        .collect();
    writeln!(
        f,
        "of {fewest} to {most} wells each (median {}; fewest: {})",
        median_of(&numbers),
        named.join(", ")
    )
}

fn show_images(f: &mut fmt::Formatter<'_>, inspection: &Inspection) -> fmt::Result {
    let total = inspection.num_sites;
    let looked = match inspection.depth {
        InspectDepth::Presence => "first site of each plate decoded",
        InspectDepth::Decode => "every image decoded",
        InspectDepth::Quality => "every image measured",
    };
    let forms = tally(&inspection.image_forms);
    writeln!(f, "images         {forms} ({looked})")?;
    for (channel, present) in inspection.channels.iter().zip(&inspection.num_present) {
        writeln!(f, "  {:<12} {present} of {total}", channel.to_string())?;
    }
    match inspection.num_incomplete_sites {
        0 => writeln!(f, "incomplete     none"),
        count => writeln!(f, "incomplete     {count} of {total} sites lack a channel"),
    }
}

/// One row per experiment: plates, wells by control role, sites.
fn show_experiments(f: &mut fmt::Formatter<'_>, inspection: &Inspection) -> fmt::Result {
    let groups = &inspection.counts.experiments;
    let cell_types = |group: &GroupCount| Vec::from_iter(group.cell_types.clone()).join("/");
    let mut columns = vec!["plates", "wells", "sites"];
    columns.extend(inspection.control_roles.keys().map(|role| role.as_str()));
    if inspection.num_unlabelled_wells > 0 {
        columns.push("unknown label");
    }
    columns.push("incomplete sites");
    let numbers = |group: &GroupCount| {
        let mut numbers = vec![group.num_plates, group.num_wells, group.num_sites];
        let of_role = |role| group.control_roles.get(role).copied().unwrap_or(0);
        numbers.extend(inspection.control_roles.keys().map(of_role));
        if inspection.num_unlabelled_wells > 0 {
            numbers.push(group.num_unlabelled_wells);
        }
        numbers.push(group.num_incomplete_sites());
        numbers
    };
    let shown = &groups[..groups.len().min(MOST_EXPERIMENT_ROWS)];
    let widest = |least: &str, text: &dyn Fn(&GroupCount) -> usize| {
        shown.iter().map(text).max().unwrap_or(0).max(least.len())
    };
    let width = widest("experiment", &|group| group.name.chars().count());
    let type_width = widest("cell type", &|group| cell_types(group).chars().count());
    write!(
        f,
        "\n{:<width$}  {:<type_width$}",
        "experiment", "cell type"
    )?;
    for column in &columns {
        write!(f, "  {column:>6}")?;
    }
    writeln!(f)?;
    for group in shown {
        write!(
            f,
            "{:<width$}  {:<type_width$}",
            group.name,
            cell_types(group)
        )?;
        for (column, number) in columns.iter().zip(numbers(group)) {
            write!(f, "  {number:>0$}", column.len().max(6))?;
        }
        writeln!(f)?;
    }
    if groups.len() > shown.len() {
        let more = groups.len() - shown.len();
        writeln!(f, "  and {more} more (all of them are in the JSON)")?;
    }
    writeln!(f)
}

fn show_quality(
    f: &mut fmt::Formatter<'_>,
    inspection: &Inspection,
    report: &QualityReport,
) -> fmt::Result {
    let thresholds = &report.thresholds;
    writeln!(
        f,
        "\nquality        blank below sd {} grey levels; saturated above {} % of the pixels; \
         outliers beyond\n               a robust z of {} within plate and channel (of {} images \
         or more); few cells below\n               {} % of the DNA foreground of the plate's \
         median well",
        thresholds.blank_sd,
        100.0 * thresholds.saturated_fraction,
        thresholds.outlier_z,
        thresholds.min_images,
        100.0 * thresholds.few_cells_fraction,
    )?;
    if !report.looked_for.contains(&QualityFlag::FewCells) {
        writeln!(f, "few cells      not looked for: no channel shows DNA")?;
    }
    show_flagged_sites(f, inspection)?;
    show_plates(f, &report.plates)?;
    for (flag, findings) in &report.findings {
        show_findings(f, flag.title(), findings)?;
    }
    Ok(())
}

/// Sites by flag, for each experiment and in total.
fn show_flagged_sites(f: &mut fmt::Formatter<'_>, inspection: &Inspection) -> fmt::Result {
    let experiments = &inspection.counts.experiments;
    let num_flagged = |flag: QualityFlag| -> usize {
        let counts = experiments.iter().map(|group| &group.flagged_sites);
        counts.filter_map(|counts| counts.get(&flag)).sum()
    };
    writeln!(f, "flagged sites")?;
    for flag in QualityFlag::ALL {
        let of_experiments: Vec<String> = experiments
            .iter()
            .filter_map(|group| {
                let count = group.flagged_sites.get(&flag)?;
                Some(format!("{}: {count}", group.name))
            })
            .collect();
        let shown = match of_experiments.len() {
            0 => String::new(),
            len if len > MOST_EXPERIMENTS => format!(" ({len} experiments)"),
            _ => format!(" ({})", of_experiments.join("; ")),
        };
        writeln!(f, "  {:<18} {}{shown}", flag.title(), num_flagged(flag))?;
    }
    Ok(())
}

fn show_plates(f: &mut fmt::Formatter<'_>, plates: &[PlateChannel]) -> fmt::Result {
    let name = |plate: &PlateChannel| plate.plate.chars().count();
    let width = plates.iter().map(name).max().unwrap_or(0).max(5);
    let channel = |plate: &PlateChannel| plate.channel.chars().count();
    let channel_width = plates.iter().map(channel).max().unwrap_or(0).max(7);
    writeln!(
        f,
        "{:<width$}  {:<channel_width$}  images  median mean (MAD)     median sharpness  saturated",
        "plate", "channel"
    )?;
    for plate in plates.iter().take(NUM_SHOWN) {
        write!(
            f,
            "{:<width$}  {:<channel_width$}  {:>6}",
            plate.plate, plate.channel, plate.num_images
        )?;
        if let (Some(mean), Some(saturated)) = (&plate.mean, &plate.saturated_fraction) {
            let focus = plate.relative_focus.map_or(f64::NAN, |focus| focus.median);
            let spread = format!("{:.2} ({:.2})", mean.median, mean.mad);
            let percent = 100.0 * saturated.median;
            write!(f, "  {spread:<20}  {focus:<16.3e}  {percent:.3} %")?;
        }
        writeln!(f)?;
    }
    if plates.len() > NUM_SHOWN {
        let more = plates.len() - NUM_SHOWN;
        writeln!(f, "  and {more} more (all of them are in the JSON)")?;
    }
    Ok(())
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn tally(counts: &BTreeMap<String, usize>) -> String {
    if counts.is_empty() {
        return "none".to_owned();
    }
    let parts: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{what}: {count}"))
        .collect();
    parts.join("; ")
}

fn show_findings(f: &mut fmt::Formatter<'_>, title: &str, list: &[Finding]) -> fmt::Result {
    if list.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}: {}", counted(list.len(), "image"))?;
    for finding in list.iter().take(NUM_SHOWN) {
        writeln!(f, "  {finding}")?;
    }
    if list.len() > NUM_SHOWN {
        writeln!(f, "  and {} more", list.len() - NUM_SHOWN)?;
    }
    Ok(())
}

//! The page about the quality of a screen's images.

use std::collections::BTreeMap;

use morphospace_core::Provenance;
use morphospace_report::{
    CountTable, Failure, FailureTable, ImagePanel, InspectedPlate, InspectedWell, InspectionPage,
    KeyValueTable, Notes, PanelSection, PlatePanel, counted,
};
use morphospace_screen::{
    Finding, GroupCount, Inspected, Inspection, QualityFlag, QualityFlags, QualityReport, Screen,
    WellMeasures, WellQuality,
};

use crate::run_report::image_panel;

/// Findings of one flag that a page lists; the rest stands in the JSON.
const MAX_FINDINGS: usize = 300;

/// Groups that a table of counts lists; the rest stands in the JSON.
const MAX_ROWS: usize = 200;
/// Heading of images that do not fit the others of their site.
const MIXED_SIZES: &str = "Of another size than their site";
/// Experiments that a warning names.
const MAX_NAMED: usize = 20;

/// Sites of a plate that are looked at for a whole one.
const MAX_TRIED: usize = 500;
/// Sites whose channels a page shows.
const NUM_PREVIEWS: usize = 3;

/// Lays an inspection of a screen out as a page.
pub fn inspection_page(
    screen: &dyn Screen,
    inspected: &Inspected,
    provenance: &Provenance,
) -> InspectionPage {
    let inspection = &inspected.inspection;
    let panels = panels(inspection);
    let (sections, values) = sections(&panels, &inspected.wells);
    InspectionPage {
        lead: lead(inspected),
        overview: overview(inspection),
        screen_notes: screen_notes(inspection),
        holdings: holdings(inspection),
        previews: previews(screen),
        counts: counts(inspected),
        sections,
        plates: plates(inspected, &values),
        findings: findings(inspection),
        notes: notes(inspection),
        provenance: KeyValueTable::from(provenance),
        ..InspectionPage::new(format!("Inspection of '{}'", inspection.screen))
    }
}

/// The channels of the first whole site of a few plates, from all over the
/// screen.
fn previews(screen: &dyn Screen) -> Vec<ImagePanel> {
    let sites = screen.sites();
    let num_channels = screen.channels().len();
    let is_whole = |site: &usize| (0..num_channels).all(|c| screen.is_present(*site, c));
    let mut plates: Vec<usize> = (0..sites.len())
        .filter(|&site| site == 0 || sites[site - 1].key.plate != sites[site].key.plate)
        .collect();
    let step = plates.len().div_ceil(NUM_PREVIEWS).max(1);
    plates = plates.into_iter().step_by(step).collect();
    plates
        .into_iter()
        .filter_map(|first| {
            let plate = &sites[first].key.plate;
            let same_plate =
                (first..sites.len()).take_while(|&site| sites[site].key.plate == *plate);
            let whole = same_plate.take(MAX_TRIED).find(is_whole)?;
            image_panel(screen, whole).ok()
        })
        .collect()
}

fn lead(inspected: &Inspected) -> String {
    let num_flagged = inspected
        .sites
        .flags
        .iter()
        .filter(|flags| !flags.is_empty())
        .count();
    format!(
        "{} in {} on {} of {}; {num_flagged} with a flag.",
        counted(inspected.inspection.num_sites, "site"),
        counted(inspected.inspection.num_wells, "well"),
        counted(inspected.inspection.num_plates, "plate"),
        counted(inspected.inspection.num_experiments, "experiment"),
    )
}

fn overview(inspection: &Inspection) -> KeyValueTable {
    let joined = |parts: Vec<String>| match parts.is_empty() {
        true => "none".to_owned(),
        false => parts.join("\n"),
    };
    let tally = |counts: &BTreeMap<String, usize>, noun: &str| {
        let parts = counts.iter();
        joined(
            parts
                .map(|(what, count)| format!("{what}: {}", counted(*count, noun)))
                .collect(),
        )
    };
    let num_sites = inspection.num_sites;
    let present = inspection.channels.iter().zip(&inspection.num_present);
    let present = present.map(|(channel, count)| format!("{channel}: {count} of {num_sites}"));
    let roles = inspection.control_roles.iter();
    let roles = roles.map(|(role, count)| format!("{role}: {}", counted(*count, "well")));
    let mut table = KeyValueTable::default()
        .with("Experiments", inspection.num_experiments)
        .with("Plates", inspection.num_plates)
        .with("Wells", inspection.num_wells)
        .with("Sites", num_sites)
        .with("Images that are there", joined(present.collect()))
        .with(
            "Sites that lack a channel",
            format!("{} of {num_sites}", inspection.num_incomplete_sites),
        )
        .with("Image sizes", tally(&inspection.image_forms, "image"))
        .with("Cell types", tally(&inspection.cell_types, "well"))
        .with("Control roles", joined(roles.collect()))
        .with(
            "Perturbations",
            format!(
                "{} ({})",
                inspection.num_perturbations,
                counted(inspection.num_targets, "target")
            ),
        );
    let smallest = inspection.counts.smallest_classes();
    if let (Some(first), Some(last)) = (smallest.first(), smallest.last()) {
        let (fewest, most) = (first.num_wells, last.num_wells);
        let wells = match fewest == most {
            true => counted(most, "well"),
            false => format!("{fewest} to {}", counted(most, "well")),
        };
        let text = format!("{}, of {wells} each", smallest.len());
        table = table.with("Classes", text);
    }
    if inspection.num_unlabelled_wells > 0 {
        let wells = counted(inspection.num_unlabelled_wells, "well");
        table = table.with("Unknown label", wells);
    }
    if !inspection.backgrounds.is_empty() {
        table = table.with("Backgrounds", tally(&inspection.backgrounds, "well"));
    }
    table
}

/// What the screen says of itself, and whether it can be aligned.
fn screen_notes(inspection: &Inspection) -> Notes {
    let mut notes = Notes::default();
    let without = &inspection.experiments_without_negative_controls;
    if !without.is_empty() {
        let named = without[..without.len().min(MAX_NAMED)].join(", ");
        let more = match without.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes = notes.with_warning(format!(
            "No negative controls in {named}{more}: these cannot be aligned by their controls."
        ));
    }
    inspection.notes.iter().fold(notes, Notes::with_note)
}

/// Plates, wells and sites of each experiment, plate, cell type and class.
fn holdings(inspection: &Inspection) -> Vec<CountTable> {
    let counts = &inspection.counts;
    let tables: [(&str, Vec<&GroupCount>); 4] = [
        ("By experiment", counts.experiments.iter().collect()),
        ("By plate", counts.plates.iter().collect()),
        ("By cell type", counts.cell_types.iter().collect()),
        (
            "By class, those of the fewest wells first",
            counts.smallest_classes(),
        ),
    ];
    tables
        .into_iter()
        .filter(|(_, groups)| !groups.is_empty())
        .map(|(caption, groups)| {
            let mut columns = holding_columns(inspection);
            if groups.iter().all(|group| group.num_plates == 1) {
                columns.retain(|(title, _)| title != "plates");
            }
            let table = CountTable::new(
                bounded(caption, groups.len()),
                columns.iter().map(|(title, _)| title.clone()),
            );
            groups
                .into_iter()
                .take(MAX_ROWS)
                .fold(table, |table, group| {
                    let row = columns.iter().map(|(_, value)| value(group));
                    table.with_row(row_name(group), row.collect())
                })
        })
        .collect()
}

/// A column of a table of groups: its title, and the number for a group.
type Column = (String, Box<dyn Fn(&GroupCount) -> usize>);

fn holding_columns(inspection: &Inspection) -> Vec<Column> {
    let mut columns: Vec<Column> = vec![
        ("plates".to_owned(), Box::new(|group| group.num_plates)),
        ("wells".to_owned(), Box::new(|group| group.num_wells)),
        ("sites".to_owned(), Box::new(|group| group.num_sites)),
    ];
    for &role in inspection.control_roles.keys() {
        let title = role.as_str().replace('_', " ");
        let value = move |group: &GroupCount| group.control_roles.get(&role).copied().unwrap_or(0);
        columns.push((title, Box::new(value)));
    }
    if inspection.num_unlabelled_wells > 0 {
        let value = |group: &GroupCount| group.num_unlabelled_wells;
        columns.push(("unknown label".to_owned(), Box::new(value)));
    }
    let value = GroupCount::num_incomplete_sites;
    columns.push(("incomplete sites".to_owned(), Box::new(value)));
    columns
}

/// A group's name, with its cell types where the name does not say them.
fn row_name(group: &GroupCount) -> String {
    let types: Vec<&str> = group.cell_types.iter().map(String::as_str).collect();
    match types[..] {
        [only] if !group.name.contains(only) => format!("{} ({only})", group.name),
        _ => group.name.clone(),
    }
}

/// A caption that says how much of a long table is there.
fn bounded(caption: &str, num_rows: usize) -> String {
    match num_rows > MAX_ROWS {
        true => format!("{caption}: the first {MAX_ROWS} of {num_rows}, all are in the JSON"),
        false => caption.to_owned(),
    }
}

fn counts(inspected: &Inspected) -> Vec<CountTable> {
    let counts = &inspected.inspection.counts;
    let flags: Vec<QualityFlag> = inspected.sites.looked_for.iter().collect();
    let table = |caption: &str, groups: &[GroupCount]| {
        let columns = std::iter::once("sites").chain(flags.iter().map(|flag| flag.title()));
        let table = CountTable::new(bounded(caption, groups.len()), columns);
        groups.iter().take(MAX_ROWS).fold(table, |table, group| {
            let flagged = flags
                .iter()
                .map(|flag| group.flagged_sites.get(flag).copied().unwrap_or(0));
            let row = std::iter::once(group.num_sites).chain(flagged);
            table.with_row(&group.name, row.collect())
        })
    };
    [
        ("Sites with each flag, by experiment", &counts.experiments),
        ("Sites with each flag, by plate", &counts.plates),
        ("Sites with each flag, by cell type", &counts.cell_types),
    ]
    .into_iter()
    .filter(|(_, groups)| !groups.is_empty())
    .map(|(caption, groups)| table(caption, groups))
    .collect()
}

fn notes(inspection: &Inspection) -> Notes {
    let Some(report) = &inspection.quality else {
        return Notes::default().with_note(
            "Images were not measured: inspect at the depth of quality to find those that are \
             blank, saturated, out of focus or duplicated.",
        );
    };
    let thresholds = &report.thresholds;
    let mut notes = Notes::default().with_note(format!(
        "Blank: standard deviation below {} grey levels. Saturated: more than {} % of the pixels \
         at the greatest value of the bit depth. Intensity outliers and images out of focus: \
         robust z-score beyond {} among the images of the plate and channel, where there are {} \
         or more. Odd size, odd bit depth: unlike most images of the screen or the channel. Few cells: less than {} % of the DNA foreground of the plate's median well, \
         above Otsu's threshold of the plate's pooled pixels; no cell was segmented.",
        thresholds.blank_sd,
        100.0 * thresholds.saturated_fraction,
        thresholds.outlier_z,
        thresholds.min_images,
        100.0 * thresholds.few_cells_fraction,
    ));
    if !report.looked_for.contains(&QualityFlag::FewCells) {
        notes = notes.with_warning("Few cells were not looked for: no channel shows DNA.");
    }
    notes
}

fn findings(inspection: &Inspection) -> Vec<(String, FailureTable)> {
    let title = |flag: QualityFlag| capitalised(flag.title());
    let lists = [
        (title(QualityFlag::Missing), &inspection.missing),
        (title(QualityFlag::Unreadable), &inspection.unreadable),
        (MIXED_SIZES.to_owned(), &inspection.mixed_sizes),
    ];
    let measured = inspection
        .quality
        .iter()
        .flat_map(|report| &report.findings);
    lists
        .into_iter()
        .chain(measured.map(|(flag, findings)| (title(*flag), findings)))
        .filter(|(_, findings)| !findings.is_empty())
        .map(|(title, findings)| {
            let heading = match findings.len() {
                len if len > MAX_FINDINGS => {
                    format!("{title}: the first {MAX_FINDINGS} of {len} images")
                }
                _ => title,
            };
            let table = FailureTable {
                num_checked: inspection.num_sites,
                failures: findings.iter().take(MAX_FINDINGS).map(failure).collect(),
            };
            (heading, table)
        })
        .collect()
}

fn failure(finding: &Finding) -> Failure {
    let subject = format!("{} channel {}", finding.site, finding.channel);
    Failure::new(subject, &finding.problem, "flagged")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// What one small plate shows.
struct Panel {
    section: &'static str,
    intro: String,
    title: String,
    value_label: &'static str,
    /// Wells with one of these flags are framed.
    marks: QualityFlags,
    source: Source,
}

/// Where a panel's values come from.
#[derive(Clone, Copy)]
enum Source {
    Presence,
    Channel(usize, fn(&WellMeasures) -> Option<f64>),
    Foreground,
}

impl Panel {
    fn value(&self, well: &WellQuality) -> Option<f64> {
        match self.source {
            Source::Presence => Some(100.0 * well.present_fraction),
            Source::Channel(index, value) => value(well.channels.get(index)?),
            Source::Foreground => Some(100.0 * well.foreground_ratio?),
        }
    }

    fn is_marked(&self, well: &WellQuality) -> bool {
        let flags = match self.source {
            Source::Channel(index, _) => well.channels.get(index).map(|found| found.flags),
            Source::Presence | Source::Foreground => Some(well.flags),
        };
        let is_raised = |flag| flags.is_some_and(|flags| flags.contains(flag));
        self.marks.iter().any(is_raised)
    }

    /// Ends of the colour scale over all plates: the 1st and 99th percentile,
    /// so that one outlier does not take all the colours.
    fn range(&self, wells: &[WellQuality]) -> Option<(f64, f64)> {
        match self.source {
            Source::Presence => return Some((0.0, 100.0)),
            Source::Foreground => return Some((0.0, 200.0)),
            Source::Channel(..) => {}
        }
        let mut values: Vec<f64> = wells.iter().filter_map(|well| self.value(well)).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |part: f64| values[(part * last as f64).round() as usize];
        let (low, high) = (at(0.01), at(0.99));
        match (low < high, high > 0.0) {
            (true, _) => Some((low, high)),
            (false, true) => Some((0.0, high)),
            (false, false) => Some((0.0, 1.0)),
        }
    }
}

fn panels(inspection: &Inspection) -> Vec<Panel> {
    use QualityFlag::{
        Blank, Duplicate, FewCells, IntensityOutlier, OddBitDepth, OddSize, OutOfFocus, Saturated,
        Unreadable,
    };
    let mut panels = vec![Panel {
        section: "Presence",
        intro:
            "Share of a well's images that are there. Frames: an image is unreadable, of another \
                size or bit depth, or the same as another."
                .to_owned(),
        title: "All channels".to_owned(),
        value_label: "images that are there (%)",
        marks: [Unreadable, OddSize, OddBitDepth, Duplicate]
            .into_iter()
            .collect(),
        source: Source::Presence,
    }];
    let Some(report) = &inspection.quality else {
        return panels;
    };
    panels.extend(per_channel(
        inspection,
        "Mean intensity",
        "Gradients and edges that all channels share come from plating; those of one channel from \
         staining. Frames: blank images and outliers in intensity.",
        "mean, in grey levels",
        &[Blank, IntensityOutlier],
        |found| found.mean,
    ));
    panels.extend(per_channel(
        inspection,
        "Focus",
        "Variance of the Laplacian over the squared mean: high where an image is sharp, and where \
         it is dim and noisy. Frames: out of focus.",
        "sharpness",
        &[OutOfFocus],
        |found| found.relative_focus,
    ));
    panels.extend(per_channel(
        inspection,
        "Saturation",
        "Pixels at the greatest value of the bit depth. Frames: saturated images.",
        "saturated pixels (%)",
        &[Saturated],
        |found| found.saturated_fraction.map(|fraction| 100.0 * fraction),
    ));
    panels.extend(foreground_panel(report, &[FewCells]));
    panels
}

fn per_channel(
    inspection: &Inspection,
    section: &'static str,
    intro: &str,
    value_label: &'static str,
    marks: &[QualityFlag],
    value: fn(&WellMeasures) -> Option<f64>,
) -> Vec<Panel> {
    let panel = |(index, channel): (usize, &morphospace_core::Channel)| Panel {
        section,
        intro: intro.to_owned(),
        title: channel.to_string(),
        value_label,
        marks: marks.iter().copied().collect(),
        source: Source::Channel(index, value),
    };
    inspection.channels.iter().enumerate().map(panel).collect()
}

fn foreground_panel(report: &QualityReport, marks: &[QualityFlag]) -> Option<Panel> {
    report
        .looked_for
        .contains(&QualityFlag::FewCells)
        .then(|| Panel {
            section: "Cells",
            intro: "DNA foreground of a well in per cent of its plate's median well: where it is \
                    low, cells are lost. Frames: few cells."
                .to_owned(),
            title: "DNA".to_owned(),
            value_label: "foreground (% of the plate's median well)",
            marks: marks.iter().copied().collect(),
            source: Source::Foreground,
        })
}

/// For each well, the value of each panel and whether the well is framed.
type PanelValues = Vec<Vec<(Option<f64>, bool)>>;

fn sections(panels: &[Panel], wells: &[WellQuality]) -> (Vec<PanelSection>, PanelValues) {
    let drawn = |panel: &Panel| PlatePanel {
        range: panel.range(wells),
        ..PlatePanel::new(&panel.title, panel.value_label)
    };
    let sections = panels
        .chunk_by(|a, b| a.section == b.section)
        .map(|panels| PanelSection {
            heading: panels[0].section.to_owned(),
            intro: panels[0].intro.clone(),
            panels: panels.iter().map(drawn).collect(),
        })
        .collect();
    let values = wells
        .iter()
        .map(|well| {
            let panels = panels.iter();
            panels
                .map(|panel| (panel.value(well), panel.is_marked(well)))
                .collect()
        })
        .collect();
    (sections, values)
}

fn plates(inspected: &Inspected, values: &PanelValues) -> Vec<InspectedPlate> {
    let num_flagged =
        |group: Option<&GroupCount>| group.map_or(0, |group| group.flagged_sites.values().sum());
    let wells: Vec<_> = inspected.wells.iter().zip(values).collect();
    wells
        .chunk_by(|a, b| a.0.plate == b.0.plate)
        .enumerate()
        .map(|(index, wells)| InspectedPlate {
            title: wells[0].0.plate.to_string(),
            // Plates are counted in the order of sites, as wells are.
            num_flagged_sites: num_flagged(inspected.inspection.counts.plates.get(index)),
            wells: wells
                .iter()
                .map(|(well, values)| InspectedWell {
                    address: well.address,
                    values: (*values).clone(),
                })
                .collect(),
        })
        .collect()
}

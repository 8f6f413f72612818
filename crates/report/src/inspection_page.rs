use morphospace_core::WellAddress;

use crate::number::counted;
use crate::{
    CountTable, FailureTable, GridPlate, GridWell, ImagePanel, KeyValueTable, Notes, Page,
    PlateGrid, Section,
};

/// What an inspection of a screen found, as a page of tables and plates.
///
/// Values, flags and colour scales are given; the page draws the plates with
/// the most flagged sites first where there are too many to look at, and says
/// so.
///
/// ```
/// use morphospace_report::{
///     InspectedPlate, InspectedWell, InspectionPage, KeyValueTable, PanelSection, PlatePanel,
/// };
///
/// let panel = PlatePanel::new("w1 (DNA)", "mean grey level");
/// let page = InspectionPage {
///     sections: vec![PanelSection {
///         heading: "Mean intensity".into(),
///         intro: "Mean over sites.".into(),
///         panels: vec![panel],
///     }],
///     plates: vec![InspectedPlate {
///         title: "HUVEC-01 plate 1".into(),
///         num_flagged_sites: 0,
///         wells: vec![InspectedWell {
///             address: "B02".parse()?,
///             values: vec![(Some(38.1), false)],
///         }],
///     }],
///     ..InspectionPage::new("Screen 'may'")
/// };
/// assert!(page.to_page().to_html().contains("Mean intensity"));
/// # Ok::<(), morphospace_core::InvalidWellAddress>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct InspectionPage {
    /// The page's title.
    pub title: String,
    /// What was looked at and what came out.
    pub lead: String,
    /// What the screen holds.
    pub overview: KeyValueTable,
    /// What the screen's images lack, and what was left out.
    pub screen_notes: Notes,
    /// Plates, wells and sites by experiment, class and so on.
    pub holdings: Vec<CountTable>,
    /// A few sites, to see that each channel shows what it is said to show.
    pub previews: Vec<ImagePanel>,
    /// How many sites have each flag, by experiment, plate and so on.
    pub counts: Vec<CountTable>,
    /// What the plates are drawn for.
    pub sections: Vec<PanelSection>,
    /// All plates, in order.
    pub plates: Vec<InspectedPlate>,
    /// Images with a flag, by flag.
    pub findings: Vec<(String, FailureTable)>,
    /// Thresholds, and what was not looked for.
    pub notes: Notes,
    /// What ran.
    pub provenance: KeyValueTable,
}

/// Panels under one heading, e.g. the mean intensity of every channel.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelSection {
    /// The heading.
    pub heading: String,
    /// How to read the panels.
    pub intro: String,
    /// The panels.
    pub panels: Vec<PlatePanel>,
}

/// One value per well, e.g. the mean intensity of a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct PlatePanel {
    /// What is shown.
    pub title: String,
    /// What the colour means, with its unit.
    pub value_label: String,
    /// Ends of the colour scale; the extent of the drawn values if not given.
    pub range: Option<(f64, f64)>,
    /// What a frame around a well means.
    pub mark_label: String,
}

impl PlatePanel {
    /// A panel whose colour scale is the extent of its values.
    pub fn new(title: impl Into<String>, value_label: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            value_label: value_label.into(),
            range: None,
            mark_label: "flagged".to_owned(),
        }
    }
}

/// A plate of an [`InspectionPage`].
#[derive(Clone, Debug, PartialEq)]
pub struct InspectedPlate {
    /// Which plate.
    pub title: String,
    /// Sites with a flag: where there are too many plates to draw, those with
    /// the most are.
    pub num_flagged_sites: usize,
    /// The wells in use.
    pub wells: Vec<InspectedWell>,
}

/// A well of an [`InspectedPlate`].
#[derive(Clone, Debug, PartialEq)]
pub struct InspectedWell {
    /// Where on the plate.
    pub address: WellAddress,
    /// For each panel of each section, in order, the value and whether the
    /// well is framed.
    pub values: Vec<(Option<f64>, bool)>,
}

impl InspectionPage {
    /// Most plates that are drawn for each panel.
    pub const MAX_PLATES: usize = 12;

    /// A page of nothing.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            lead: String::new(),
            overview: KeyValueTable::default(),
            screen_notes: Notes::default(),
            holdings: Vec::new(),
            previews: Vec::new(),
            counts: Vec::new(),
            sections: Vec::new(),
            plates: Vec::new(),
            findings: Vec::new(),
            notes: Notes::default(),
            provenance: KeyValueTable::default(),
        }
    }

    /// The page.
    pub fn to_page(&self) -> Page {
        let mut page = Page::new(&self.title).with_lead(&self.lead);
        let mut holdings = Section::new("What the screen holds").with(self.overview.clone());
        if self.screen_notes != Notes::default() {
            holdings = holdings.with(self.screen_notes.clone());
        }
        for table in &self.holdings {
            holdings = holdings.with(table.clone());
        }
        page = page.with_section(holdings);
        if !self.previews.is_empty() {
            let mut channels = Section::new("Channels").with_intro(
                "Does each image show what its title says? Nuclei belong to DNA, a network of \
                 threads to mitochondria.",
            );
            for panel in &self.previews {
                channels = channels.with(panel.clone());
            }
            page = page.with_section(channels);
        }
        let mut flags = Section::new("Flags")
            .with_intro("A flag is a hint to look; no image is left out because of it.");
        for table in &self.counts {
            flags = flags.with(table.clone());
        }
        page = page.with_section(flags.with(self.notes.clone()));
        let drawn = self.drawn_plates();
        let mut first_panel = 0;
        for section in &self.sections {
            page = page.with_section(self.plate_section(section, first_panel, &drawn));
            first_panel += section.panels.len();
        }
        for (heading, table) in &self.findings {
            page = page.with_section(Section::new(heading).with(table.clone()));
        }
        page.with_section(Section::new("What ran").with(self.provenance.clone()))
    }

    /// The plates with the most flagged sites, in their own order.
    fn drawn_plates(&self) -> Vec<&InspectedPlate> {
        let mut positions: Vec<usize> = (0..self.plates.len()).collect();
        positions.sort_by_key(|&position| {
            let plate = &self.plates[position];
            (std::cmp::Reverse(plate.num_flagged_sites), position)
        });
        positions.truncate(Self::MAX_PLATES);
        positions.sort_unstable();
        let plates = positions.into_iter();
        plates.map(|position| &self.plates[position]).collect()
    }

    fn plate_section(
        &self,
        section: &PanelSection,
        first_panel: usize,
        drawn: &[&InspectedPlate],
    ) -> Section {
        let intro = match drawn.len() < self.plates.len() {
            false => section.intro.clone(),
            true => format!(
                "{}\n{} of {} are drawn: those with the most flagged sites.",
                section.intro,
                drawn.len(),
                counted(self.plates.len(), "plate")
            ),
        };
        let mut blocks = Section::new(&section.heading).with_intro(intro);
        for (offset, panel) in section.panels.iter().enumerate() {
            let grid_plate = |plate: &&InspectedPlate| GridPlate {
                title: plate.title.clone(),
                wells: plate
                    .wells
                    .iter()
                    .map(|well| {
                        let found = well.values.get(first_panel + offset);
                        let (value, is_marked) = found.copied().unwrap_or_default();
                        GridWell {
                            address: well.address,
                            value,
                            is_marked,
                        }
                    })
                    .collect(),
            };
            blocks = blocks.with(PlateGrid {
                title: panel.title.clone(),
                value_label: panel.value_label.clone(),
                mark_label: panel.mark_label.clone(),
                plates: drawn.iter().map(grid_plate).collect(),
                range: panel.range,
            });
        }
        blocks
    }
}

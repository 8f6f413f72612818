use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;

use morphospace_core::{Channel, ControlRole, Perturbation};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ScreenError;
use crate::error::ImageProblem;
use crate::screen::{Plane, Screen};

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
    /// What the images lack, and what was left out: [`Screen::notes`].
    #[serde(default)]
    pub notes: Vec<String>,
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
    /// Images that are there but cannot be used: damaged, not grey, of
    /// another size than the other channels of their site.
    pub unreadable: Vec<Finding>,
    /// Experiments without a negative control or untreated well, which
    /// cannot be aligned by their controls.
    pub experiments_without_negative_controls: Vec<String>,
    /// Fewest wells that are negative controls or untreated, over plates.
    pub min_negative_controls_per_plate: usize,
}

/// One image and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The experiment.
    pub experiment: String,
    /// The plate within it.
    pub plate: String,
    /// The well.
    pub well: String,
    /// The site, with plate and well, as text.
    pub site: String,
    /// The channel's name.
    pub channel: String,
    /// The file, if the screen names one.
    pub file: Option<String>,
    /// What is wrong.
    pub problem: String,
}

impl Inspection {
    /// Whether no image is missing or unreadable.
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.unreadable.is_empty()
    }
}

/// Looks a screen over: counts, and every image that is missing or cannot be
/// used, by name. Sites are visited in parallel; the result does not depend
/// on the number of threads.
///
/// ```no_run
/// use morphospace_screen::{InspectDepth, inspect, open_screen};
///
/// let screen = open_screen("rxrx1".as_ref(), None)?;
/// let inspection = inspect(&*screen, InspectDepth::Presence);
/// print!("{inspection}");
/// # Ok::<(), morphospace_screen::ScreenError>(())
/// ```
pub fn inspect(screen: &dyn Screen, depth: InspectDepth) -> Inspection {
    let (sites, channels) = (screen.sites(), screen.channels());
    let is_decoded: Vec<bool> = match depth {
        InspectDepth::Decode => vec![true; sites.len()],
        InspectDepth::Presence => {
            let mut plates = HashSet::new();
            sites
                .iter()
                .map(|site| plates.insert(&site.key.plate))
                .collect()
        }
    };
    let looked_at: Vec<SiteFindings> = (0..sites.len())
        .into_par_iter()
        .map(|site_index| look_at_site(screen, site_index, is_decoded[site_index]))
        .collect();

    let mut inspection = Inspection {
        screen: screen.name().to_owned(),
        depth,
        num_experiments: 0,
        num_plates: 0,
        num_wells: 0,
        num_sites: sites.len(),
        channels: channels.to_vec(),
        notes: screen.notes().to_vec(),
        num_present: vec![0; channels.len()],
        num_perturbations: 0,
        num_targets: 0,
        control_roles: BTreeMap::new(),
        num_unlabelled_wells: 0,
        cell_types: BTreeMap::new(),
        backgrounds: BTreeMap::new(),
        image_forms: BTreeMap::new(),
        num_incomplete_sites: 0,
        missing: Vec::new(),
        unreadable: Vec::new(),
        experiments_without_negative_controls: Vec::new(),
        min_negative_controls_per_plate: 0,
    };
    count_wells(screen, &mut inspection);
    for found in looked_at {
        inspection.num_incomplete_sites += usize::from(!found.missing.is_empty());
        for (count, is_present) in inspection.num_present.iter_mut().zip(found.is_present) {
            *count += usize::from(is_present);
        }
        for form in found.forms {
            *inspection.image_forms.entry(form).or_default() += 1;
        }
        inspection.missing.extend(found.missing);
        inspection.unreadable.extend(found.unreadable);
    }
    inspection
}

fn count_wells(screen: &dyn Screen, inspection: &mut Inspection) {
    let mut experiments = BTreeMap::new();
    let mut plates = BTreeMap::new();
    let mut perturbations = BTreeSet::new();
    let mut targets = BTreeSet::new();
    let mut last = None;
    for site in screen.sites() {
        // Sites are sorted, so those of a well follow each other.
        let key = (&site.key.plate, site.key.well);
        if last.replace(key) == Some(key) {
            continue;
        }
        let well = &site.well;
        let is_negative = usize::from(well.control_role.is_negative());
        *experiments.entry(&site.key.plate.experiment).or_insert(0) += is_negative;
        *plates.entry(&site.key.plate).or_insert(0) += is_negative;
        inspection.num_wells += 1;
        *inspection
            .control_roles
            .entry(well.control_role)
            .or_default() += 1;
        inspection.num_unlabelled_wells += usize::from(well.label().is_none());
        if let Some(cell_type) = &well.cell_type {
            *inspection.cell_types.entry(cell_type.clone()).or_default() += 1;
        }
        if let Some(background) = &well.background {
            *inspection
                .backgrounds
                .entry(background.clone())
                .or_default() += 1;
        }
        perturbations.extend(well.perturbations.iter().map(Perturbation::label));
        targets.extend(well.perturbations.iter().map(|p| p.target().to_owned()));
    }
    inspection.num_experiments = experiments.len();
    inspection.num_plates = plates.len();
    inspection.num_perturbations = perturbations.len();
    inspection.num_targets = targets.len();
    inspection.min_negative_controls_per_plate = plates.values().copied().min().unwrap_or(0);
    inspection.experiments_without_negative_controls = experiments
        .iter()
        .filter(|(_, num_negative)| **num_negative == 0)
        .map(|(experiment, _)| experiment.to_string())
        .collect();
}

struct SiteFindings {
    is_present: Vec<bool>,
    forms: Vec<String>,
    missing: Vec<Finding>,
    unreadable: Vec<Finding>,
}

fn look_at_site(screen: &dyn Screen, site_index: usize, is_decoded: bool) -> SiteFindings {
    let num_channels = screen.channels().len();
    let mut found = SiteFindings {
        is_present: vec![false; num_channels],
        forms: Vec::new(),
        missing: Vec::new(),
        unreadable: Vec::new(),
    };
    let mut first: Option<(usize, (usize, usize))> = None;
    for channel_index in 0..num_channels {
        let is_present = screen.is_present(site_index, channel_index);
        found.is_present[channel_index] = is_present;
        if is_present && !is_decoded {
            continue;
        }
        // A missing image is asked for as well: the error says why.
        match screen.read_plane(site_index, channel_index) {
            Ok(plane) => {
                found.forms.push(form(&plane));
                let size = (plane.width, plane.height);
                let (other_index, other_size) = *first.get_or_insert((channel_index, size));
                if size != other_size {
                    let problem = ImageProblem::WrongSize {
                        size,
                        other_channel: screen.channels()[other_index].clone(),
                        other_size,
                    };
                    let error = screen.image_error(site_index, channel_index, problem);
                    found
                        .unreadable
                        .push(Finding::new(screen, site_index, channel_index, &error));
                }
            }
            Err(error) => {
                let finding = Finding::new(screen, site_index, channel_index, &error);
                let list = if is_present {
                    &mut found.unreadable
                } else {
                    &mut found.missing
                };
                list.push(finding);
            }
        }
    }
    found
}

fn form(plane: &Plane) -> String {
    format!(
        "{} x {}, {} bit",
        plane.width,
        plane.height,
        plane.bit_depth()
    )
}

impl Finding {
    fn new(
        screen: &dyn Screen,
        site_index: usize,
        channel_index: usize,
        error: &ScreenError,
    ) -> Self {
        let key = &screen.sites()[site_index].key;
        Self {
            experiment: key.plate.experiment.to_string(),
            plate: key.plate.plate.clone(),
            well: key.well.to_string(),
            site: key.to_string(),
            channel: screen.channels()[channel_index].name.clone(),
            file: screen.plane_location(site_index, channel_index),
            problem: match error {
                ScreenError::Image(image) => image.problem.to_string(),
                other => other.to_string(),
            },
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} channel {}: {}",
            self.site, self.channel, self.problem
        )?;
        match &self.file {
            Some(file) => write!(f, ": '{file}'"),
            None => Ok(()),
        }
    }
}

/// Findings printed before "and n more".
const NUM_SHOWN: usize = 40;

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.num_sites;
        writeln!(f, "screen         {}", self.screen)?;
        writeln!(
            f,
            "holds          {}, {}, {}, {}",
            counted(self.num_experiments, "experiment"),
            counted(self.num_plates, "plate"),
            counted(self.num_wells, "well"),
            counted(self.num_sites, "site"),
        )?;
        writeln!(
            f,
            "perturbations  {} ({})",
            self.num_perturbations,
            counted(self.num_targets, "target")
        )?;
        let roles: Vec<String> = self
            .control_roles
            .iter()
            .map(|(role, count)| format!("{role} {count}"))
            .collect();
        writeln!(f, "control roles  {} (wells)", roles.join(", "))?;
        if self.num_unlabelled_wells > 0 {
            writeln!(
                f,
                "unknown label  {}",
                counted(self.num_unlabelled_wells, "well")
            )?;
        }
        writeln!(f, "cell types     {}", tally(&self.cell_types))?;
        if !self.backgrounds.is_empty() {
            writeln!(f, "backgrounds    {}", tally(&self.backgrounds))?;
        }
        let looked = match self.depth {
            InspectDepth::Presence => "first site of each plate decoded",
            InspectDepth::Decode => "every image decoded",
        };
        writeln!(f, "images         {} ({looked})", tally(&self.image_forms))?;
        for (channel, present) in self.channels.iter().zip(&self.num_present) {
            writeln!(f, "  {:<12} {present} of {total}", channel.to_string())?;
        }
        match self.num_incomplete_sites {
            0 => writeln!(f, "incomplete     none")?,
            count => writeln!(f, "incomplete     {count} of {total} sites lack a channel")?,
        }
        for note in &self.notes {
            writeln!(f, "note           {note}")?;
        }
        show_findings(f, "missing", &self.missing)?;
        show_findings(f, "unreadable", &self.unreadable)?;
        if !self.experiments_without_negative_controls.is_empty() {
            writeln!(
                f,
                "no negative controls in {}\nhint: these cannot be aligned by their controls; \
                 check the control roles of their wells",
                self.experiments_without_negative_controls.join(", ")
            )?;
        }
        Ok(())
    }
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

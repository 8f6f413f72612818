use std::collections::{BTreeMap, BTreeSet};

use morphospace_core::{ControlRole, Perturbation, Site, Well};
use morphospace_screen::sampler::Domain;
use serde::{Deserialize, Serialize};

use crate::TrainError;

/// What is learnt to be told apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LabelsConfig {
    /// The classes of images.
    pub class: ClassLabel,
    /// The batches whose effect is measured or unlearnt, and for which DINO
    /// may have a centre each.
    pub domain: Domain,
    /// Roles whose wells are not trained on, nor validated with: Lugli et al.
    /// 2025 propose to leave out all controls.
    pub leave_out: Vec<ControlRole>,
    /// How many classes there must be, to refuse a screen that lacks some.
    pub num_classes: Option<usize>,
}

/// What the classes of images are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassLabel {
    /// The reagents of a well, as in RxRx1: `EMPTY` is one of them.
    #[default]
    Perturbation,
    /// What reagents act on: genes, compounds whatever their dose.
    Target,
    /// The cells.
    CellType,
}

impl ClassLabel {
    /// The class of a well, if it is known.
    pub fn of(self, well: &Well) -> Option<String> {
        match self {
            Self::Perturbation => well.label(),
            Self::Target if well.perturbations.is_empty() => well.label(),
            Self::Target => {
                let targets: Vec<&str> = well
                    .perturbations
                    .iter()
                    .map(Perturbation::target)
                    .collect();
                Some(targets.join(" + "))
            }
            Self::CellType => well.cell_type.clone(),
        }
    }

    /// The word in configurations and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Perturbation => "perturbation",
            Self::Target => "target",
            Self::CellType => "cell_type",
        }
    }
}

/// Classes and domains by name and number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classes {
    /// Names of the classes, in the order of the head's outputs.
    pub classes: Vec<String>,
    /// Names of the domains, likewise.
    pub domains: Vec<String>,
}

/// Classes and domains of the sites of a screen.
#[derive(Clone, Debug)]
pub struct Labels {
    /// Their names.
    pub names: Classes,
    class_of_site: Vec<Option<usize>>,
    domain_of_site: Vec<Option<usize>>,
    /// Training sites of each domain.
    pub num_sites_of_domain: Vec<usize>,
}

impl Labels {
    /// Numbers the classes and domains of the sites that are trained on, in
    /// the order of their names. Sites of no known class have none.
    pub fn of_training(config: &LabelsConfig, sites: &[Site], site_indices: &[usize]) -> Self {
        let class = |index: &usize| config.class.of(&sites[*index].well);
        let domain = |index: &usize| config.domain_of(&sites[*index]);
        let classes: BTreeSet<String> = site_indices.iter().filter_map(class).collect();
        let domains: BTreeSet<String> = site_indices.iter().map(domain).collect();
        let names = Classes {
            classes: classes.into_iter().collect(),
            domains: domains.into_iter().collect(),
        };
        let mut labels = Self::of(config, names, sites, site_indices);
        labels.num_sites_of_domain = vec![0; labels.names.domains.len()];
        for site in site_indices {
            let domain = labels.domain(*site).expect("is one of them");
            labels.num_sites_of_domain[domain] += 1;
        }
        labels
    }

    /// The numbers of sites by names that are given; sites of other classes or
    /// domains have none.
    pub fn of(
        config: &LabelsConfig,
        names: Classes,
        sites: &[Site],
        site_indices: &[usize],
    ) -> Self {
        let numbers = |names: &[String]| -> BTreeMap<String, usize> {
            let names = names.iter().cloned();
            names.zip(0..).collect()
        };
        let (classes, domains) = (numbers(&names.classes), numbers(&names.domains));
        let mut class_of_site = vec![None; sites.len()];
        let mut domain_of_site = vec![None; sites.len()];
        for &index in site_indices {
            let site = &sites[index];
            let class = config.class.of(&site.well);
            class_of_site[index] = class.and_then(|name| classes.get(&name).copied());
            let domain = config.domain_of(site);
            domain_of_site[index] = domains.get(&domain).copied();
        }
        Self {
            names,
            class_of_site,
            domain_of_site,
            num_sites_of_domain: Vec::new(),
        }
    }

    /// Number of a site's class.
    pub fn class(&self, site: usize) -> Option<usize> {
        self.class_of_site[site]
    }

    /// Number of a site's domain.
    pub fn domain(&self, site: usize) -> Option<usize> {
        self.domain_of_site[site]
    }

    /// Refuses sites without a known class, and another number of classes than
    /// was asked for.
    ///
    /// # Errors
    /// [`TrainError::UnsuitableLabels`].
    pub fn check(
        &self,
        config: &LabelsConfig,
        sites: &[Site],
        site_indices: &[usize],
    ) -> Result<(), TrainError> {
        let label = config.class.as_str();
        let unsuitable = |message| Err(TrainError::UnsuitableLabels(message));
        let unknown: Vec<&usize> = site_indices
            .iter()
            .filter(|site| self.class(**site).is_none())
            .collect();
        if let Some(first) = unknown.first() {
            return unsuitable(format!(
                "{} of {} training sites have no {label}; the first is {}\nhint: `inspect` says \
                 what is known of wells; train on a split without them",
                unknown.len(),
                site_indices.len(),
                sites[**first].key
            ));
        }
        let num_classes = self.names.classes.len();
        if num_classes < 2 {
            return unsuitable(format!(
                "the training sites have {num_classes} {label} class: there is nothing to tell \
                 apart\nhint: choose another labels.class"
            ));
        }
        if let Some(expected) = config
            .num_classes
            .filter(|expected| *expected != num_classes)
        {
            return unsuitable(format!(
                "the training sites have {num_classes} {label} classes, labels.num_classes asks \
                 for {expected}: the split leaves classes without samples, or this is another \
                 screen"
            ));
        }
        Ok(())
    }
}

impl LabelsConfig {
    /// Whether a site takes part.
    pub fn takes(&self, site: &Site) -> bool {
        !self.leave_out.contains(&site.well.control_role)
    }

    /// The domain of a site.
    pub fn domain_of(&self, site: &Site) -> String {
        self.domain.of(&site.key.plate)
    }
}

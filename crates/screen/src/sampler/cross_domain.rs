use std::collections::{BTreeMap, BTreeSet, HashMap};

use morphospace_core::{Seed, Site};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use super::Sampler;
use super::batch::Batch;
use super::error::SamplerError;
use super::identity::SamplerIdentity;
use super::labels::labels_of;
use super::remainder::Remainder;
use super::uniform::Uniform;

/// How [`CrossDomain`] pairs sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrossDomainConfig {
    /// Pairs of one step.
    pub batch_size: usize,
    /// Whether a partner is also of another cell type.
    pub other_cell_type: bool,
    /// What to do with sites that have no known label or no partner.
    pub on_unpaired: OnUnpaired,
    /// What becomes of an epoch's last sites.
    pub remainder: Remainder,
}

/// What to do with sites that have no known label or no partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnpaired {
    /// Refuse to sample, with their number.
    #[default]
    Refuse,
    /// Leave them out, counted in [`CrossDomain::num_left_out`].
    Skip,
}

/// Every site once per epoch, each with a partner: a site of the same
/// perturbation in another experiment (of a source, where there are several),
/// drawn anew in every epoch. Controls
/// and untreated wells are paired like all others.
///
/// This uses labels: a network trained on such pairs never sees one, and is
/// weakly supervised all the same.
///
/// # Source
/// Cross-domain consistency learning: Haslum et al. 2022,
/// <https://arxiv.org/abs/2212.11595>. Lugli et al. 2025 pair with another
/// cell type where they train on all of RxRx1.
#[derive(Clone, Debug)]
pub struct CrossDomain {
    anchors: Uniform,
    /// Of each class its sites by experiment and cell type.
    classes: Vec<Vec<Group>>,
    /// Class of each site, and group within it.
    place_of: HashMap<usize, (usize, usize)>,
    num_left_out: usize,
    config: CrossDomainConfig,
    seed: Seed,
    identity: SamplerIdentity,
}

/// Sites of one perturbation in one experiment and cell type.
#[derive(Clone, Debug)]
struct Group {
    /// Places of the experiment and the cell type among all, sorted.
    domain: (usize, usize),
    sites: Vec<usize>,
}

impl CrossDomain {
    /// Samples from the sites at the given positions of `sites`; partners
    /// are among them too.
    ///
    /// # Errors
    /// [`SamplerError`]: there is no site, fewer than one batch takes, or,
    /// unless they are to be left out, one whose label is unknown or that has
    /// no partner.
    pub fn new(
        sites: &[Site],
        site_indices: &[usize],
        config: CrossDomainConfig,
        seed: Seed,
    ) -> Result<Self, SamplerError> {
        let mut labelled = site_indices.to_vec();
        if config.on_unpaired == OnUnpaired::Skip {
            labelled.retain(|&index| sites[index].well.label().is_some());
        }
        let classes = grouped(sites, &labelled)?;
        let mut place_of = HashMap::new();
        let mut anchors: Vec<usize> = Vec::new();
        let mut unpaired: Vec<usize> = Vec::new();
        for (class, groups) in classes.iter().enumerate() {
            for (place, group) in groups.iter().enumerate() {
                let is_paired = partners(groups, group, config).next().is_some();
                let list = if is_paired {
                    &mut anchors
                } else {
                    &mut unpaired
                };
                list.extend(&group.sites);
                let places = group.sites.iter().map(|&site| (site, (class, place)));
                place_of.extend(places);
            }
        }
        if let Some(first) = unpaired.iter().min()
            && config.on_unpaired == OnUnpaired::Refuse
        {
            return Err(SamplerError::NoPartner {
                num_unpaired: unpaired.len(),
                num_sites: site_indices.len(),
                other_cell_type: config.other_cell_type,
                first: sites[*first].key.to_string(),
            });
        }
        anchors.sort_unstable();
        let num_left_out = site_indices.len() - anchors.len();
        Ok(Self {
            anchors: Uniform::new(sites, &anchors, config.batch_size, config.remainder, seed)?,
            classes,
            place_of,
            num_left_out,
            config,
            seed,
            identity: SamplerIdentity::new(
                "cross_domain",
                &config,
                seed,
                sites,
                site_indices,
                true,
            ),
        })
    }

    /// Sites without a known label or a partner, which are never sampled.
    pub fn num_left_out(&self) -> usize {
        self.num_left_out
    }

    /// The partner of a site in an epoch, each candidate equally likely.
    fn partner(&self, epoch: u64, site_index: usize) -> usize {
        let (class, place) = self.place_of[&site_index];
        let groups = &self.classes[class];
        let candidates = || partners(groups, &groups[place], self.config);
        let num_candidates = candidates().map(|group| group.sites.len()).sum();
        let seed = self.seed.split("partner").split_index(epoch);
        let mut drawn = seed
            .split_index(site_index as u64)
            .rng()
            .random_range(0..num_candidates);
        for group in candidates() {
            match group.sites.get(drawn) {
                Some(&partner) => return partner,
                None => drawn -= group.sites.len(),
            }
        }
        unreachable!("the draw is below the number of candidates")
    }
}

/// Sites by label, then by experiment and cell type, all sorted.
fn grouped(sites: &[Site], site_indices: &[usize]) -> Result<Vec<Vec<Group>>, SamplerError> {
    let labels = labels_of(sites, site_indices)?;
    let experiment = |index: usize| {
        let plate = &sites[index].key.plate;
        (&plate.source, &plate.experiment)
    };
    let cell_type = |index: usize| &sites[index].well.cell_type;
    let experiments = places(site_indices.iter().map(|&index| experiment(index)));
    let cell_types = places(site_indices.iter().map(|&index| cell_type(index)));
    let mut classes: BTreeMap<String, BTreeMap<_, Vec<usize>>> = BTreeMap::new();
    for (label, &index) in labels.into_iter().zip(site_indices) {
        let domain = (
            experiments[&experiment(index)],
            cell_types[&cell_type(index)],
        );
        let class = classes.entry(label).or_default();
        class.entry(domain).or_default().push(index);
    }
    let group = |(domain, sites)| Group { domain, sites };
    Ok(classes
        .into_values()
        .map(|groups| groups.into_iter().map(group).collect())
        .collect())
}

/// The place of each of some things among them, sorted.
fn places<T: Ord>(things: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    let sorted: BTreeSet<T> = things.collect();
    sorted.into_iter().zip(0..).collect()
}

/// The groups of a class that hold partners for the sites of one of them.
fn partners<'a>(
    groups: &'a [Group],
    own: &'a Group,
    config: CrossDomainConfig,
) -> impl Iterator<Item = &'a Group> {
    groups.iter().filter(move |group| {
        group.domain.0 != own.domain.0
            && (!config.other_cell_type || group.domain.1 != own.domain.1)
    })
}

impl Sampler for CrossDomain {
    fn plan(&self, epoch: u64) -> Vec<Batch> {
        let mut batches = self.anchors.plan(epoch);
        for batch in &mut batches {
            let anchors = batch.site_indices.iter();
            batch.partner_indices = anchors.map(|&site| self.partner(epoch, site)).collect();
        }
        batches
    }

    fn uses_labels(&self) -> bool {
        true
    }

    fn identity(&self) -> &SamplerIdentity {
        &self.identity
    }
}

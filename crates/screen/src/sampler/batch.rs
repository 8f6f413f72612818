/// The sites of one step, as positions in
/// [`Screen::sites`](crate::Screen::sites).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The sites.
    pub site_indices: Vec<usize>,
    /// For each site its partner, of the same perturbation in another
    /// experiment; empty where the sampler does not pair.
    pub partner_indices: Vec<usize>,
    /// Length of the runs of sites that come from one domain each, the whole
    /// batch or a part of it; `None` where domains are mixed.
    pub ghost_batch_size: Option<usize>,
}

impl Batch {
    /// Sites of any domains, without partners.
    pub(super) fn mixed(site_indices: Vec<usize>) -> Self {
        Self {
            site_indices,
            partner_indices: Vec::new(),
            ghost_batch_size: None,
        }
    }
}

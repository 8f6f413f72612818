use burn::tensor::Tensor;

/// What the network is given of some sites, and what is known of them.
#[derive(Clone, Debug)]
pub struct ImageBatch {
    /// Of every view the images of all sites, each `[B, C, px, px]`.
    pub views: Vec<Tensor<4>>,
    /// Class of each site; empty where labels have no part in training.
    pub classes: Vec<usize>,
    /// Domain of each site; empty where they have no part.
    pub domains: Vec<usize>,
    /// What of other images was put into these, if anything was.
    pub mixture: Option<Mixture>,
    /// Length of the runs of sites that come from one domain each, if batches
    /// are made so.
    pub ghost_batch_size: Option<usize>,
}

impl ImageBatch {
    /// Sites.
    pub fn len(&self) -> usize {
        self.views[0].dims()[0]
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Images of which a box was taken from others of the batch (CutMix).
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// Whose box each image has.
    pub partners: Vec<usize>,
    /// Share of the image that is its own.
    pub own_share: f64,
}

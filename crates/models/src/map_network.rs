use burn::tensor::Tensor;

use crate::blocks::norm_pass::NormPass;
use crate::blocks::pooling::global_avg_pool;
use crate::encoder::{ChannelSupport, Encoder, Pooling, Representation, check_images};
use crate::error::ModelError;

/// A network of maps with batch normalisation, of which every pass says whose
/// statistics it takes.
///
/// As an [`Encoder`], it takes the running averages of training. Its embedding
/// is the mean over pixels, for which [`Pooling::PatchMean`] stands.
pub trait MapNetwork: Send + Sync {
    /// Features of the embedding.
    fn num_features(&self) -> usize;

    /// Channels it takes.
    fn in_chans(&self) -> usize;

    /// Side of the square images it is made for, in pixels.
    fn img_size(&self) -> usize;

    /// Blocks: stages of a ResNet, levels of a U-Net.
    fn num_blocks(&self) -> usize;

    /// The maps behind every block, each half as large as those before.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `num_blocks` times `[B, _, _, _]`
    fn forward_block_maps(&self, images: Tensor<4>, pass: &mut NormPass) -> Vec<Tensor<4>>;

    /// The embedding, from the maps behind the last block, in the same pass.
    ///
    /// # Shapes
    /// `[B, _, _, _]` to `[B, num_features]`
    fn embedding_of_maps(&self, last: Tensor<4>, pass: &mut NormPass) -> Tensor<2>;

    /// The embedding.
    ///
    /// # Shapes
    /// `[B, C, H, W]` to `[B, num_features]`
    fn forward_embedding(&self, images: Tensor<4>, pass: &mut NormPass) -> Tensor<2> {
        let maps = self.forward_block_maps(images, pass);
        self.embedding_of_maps(
            maps.into_iter().next_back().expect("there is a block"),
            pass,
        )
    }

    /// As [`Encoder::forward_representations`], by the statistics of `pass`.
    fn forward_representations_in(
        &self,
        images: Tensor<4>,
        wanted: &[Representation],
        pass: &mut NormPass,
    ) -> Vec<Tensor<2>> {
        let maps = self.forward_block_maps(images, pass);
        let needs_output = wanted.iter().any(|wanted| wanted.block.is_none());
        let output = needs_output.then(|| {
            let last = maps.last().expect("there is a block").clone();
            self.embedding_of_maps(last, pass)
        });
        let vector = |wanted: &Representation| match wanted.block {
            Some(block) => global_avg_pool(maps[block].clone()),
            None => output.clone().expect("it was asked for"),
        };
        wanted.iter().map(vector).collect()
    }
}

impl<N: MapNetwork> Encoder for N {
    fn num_features(&self) -> usize {
        MapNetwork::num_features(self)
    }

    fn in_chans(&self) -> ChannelSupport {
        ChannelSupport::Exactly(MapNetwork::in_chans(self))
    }

    fn img_size(&self) -> usize {
        MapNetwork::img_size(self)
    }

    fn num_blocks(&self) -> usize {
        MapNetwork::num_blocks(self)
    }

    fn check(&self, in_chans: usize, pooling: Pooling) -> Result<(), ModelError> {
        check_images(
            Encoder::in_chans(self),
            MapNetwork::img_size(self),
            in_chans,
        )?;
        match pooling {
            Pooling::PatchMean => Ok(()),
            Pooling::Cls | Pooling::PerChannel => Err(ModelError::WrongPooling(format!(
                "{} pooling is of tokens, and this network has maps\nhint: pool by patch-mean, \
                 the mean over their pixels",
                pooling.as_str()
            ))),
        }
    }

    fn forward_representations(
        &self,
        images: Tensor<4>,
        wanted: &[Representation],
    ) -> Vec<Tensor<2>> {
        self.forward_representations_in(images, wanted, &mut NormPass::running())
    }

    fn as_map_network(&self) -> Option<&dyn MapNetwork> {
        Some(self)
    }
}

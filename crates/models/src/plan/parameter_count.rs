use burn::tensor::Device;
use morphospace_core::Seed;
use serde::Serialize;

use crate::error::ModelError;
use crate::registry::NetworkConfig;
use crate::weights::{Parameter, parameters};

/// Values in the tensors of a network that is being trained, by part.
///
/// Papers count what is trained: [`ParameterCount::trained`]. Files hold the
/// fixed values too, so their sizes give [`ParameterCount::total`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ParameterCount {
    /// What embeds an image, with the neck of weak supervision.
    pub encoder: Count,
    /// What only training needs: the decoder of an autoencoder, with the maps
    /// into it and to pixels.
    pub decoder: Count,
    /// Classifiers.
    pub head: Count,
}

/// Values of one part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Moved by the optimiser.
    pub trained: u64,
    /// Stored, but moved by no gradient: sine-cosine tables of positions, the
    /// class token's placeholder, running averages of batch normalisation.
    pub fixed: u64,
}

impl ParameterCount {
    /// Counts the parameters of the network that `train` would build, without
    /// building any.
    ///
    /// # Errors
    /// As [`NetworkConfig::check`].
    ///
    /// ```
    /// use morphospace_models::NetworkConfig;
    /// use morphospace_models::plan::ParameterCount;
    ///
    /// let network = NetworkConfig::decode_variant("densenet161")?;
    /// assert_eq!(ParameterCount::of(&network)?.trained(), 26_486_112);
    /// # Ok::<(), morphospace_models::ModelError>(())
    /// ```
    pub fn of(network: &NetworkConfig) -> Result<Self, ModelError> {
        // Parameters are drawn when they are first asked for, which they are
        // not here: the seed decides nothing.
        let built = network.init(&Device::default(), Seed::new(0))?;
        let has_fixed_positions = matches!(
            network,
            NetworkConfig::Vit(_) | NetworkConfig::Mae(_) | NetworkConfig::CaMae(_)
        );
        let mut counts = Self::default();
        for Parameter { name, shape, .. } in parameters(&built) {
            let part = counts.part_of(&name);
            let count = shape.iter().map(|&side| side as u64).product::<u64>();
            match is_fixed(&name, has_fixed_positions) {
                true => part.fixed += count,
                false => part.trained += count,
            }
        }
        Ok(counts)
    }

    fn part_of(&mut self, name: &str) -> &mut Count {
        let fields: Vec<&str> = name.split('.').collect();
        match fields[..] {
            ["decoder" | "encoder_decoder_proj" | "decoder_pred", ..] => &mut self.decoder,
            ["classifier" | "fc", ..] | ["backbone", "classifier" | "fc", ..] => &mut self.head,
            // The neck makes the embedding.
            ["head", "pert" | "batch", ..] => &mut self.head,
            _ => &mut self.encoder,
        }
    }

    /// All that the optimiser moves.
    pub fn trained(&self) -> u64 {
        self.parts().iter().map(|part| part.trained).sum()
    }

    /// All that is stored and not trained.
    pub fn fixed(&self) -> u64 {
        self.parts().iter().map(|part| part.fixed).sum()
    }

    /// All that a checkpoint holds.
    pub fn total(&self) -> u64 {
        self.trained() + self.fixed()
    }

    fn parts(&self) -> [Count; 3] {
        [self.encoder, self.decoder, self.head]
    }
}

impl Count {
    /// Trained and fixed.
    pub fn total(&self) -> u64 {
        self.trained + self.fixed
    }
}

/// Whether no gradient moves the parameter. A parameter knows it itself, but
/// tells only once it is drawn; `tests/it/plan.rs` compares.
fn is_fixed(name: &str, has_fixed_positions: bool) -> bool {
    let field = name.rsplit('.').next().unwrap_or_default();
    match field {
        "running_mean" | "running_var" | "pos_embeddings" | "placeholder" => true,
        "pos_embed" => has_fixed_positions,
        _ => false,
    }
}

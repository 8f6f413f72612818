use anyhow::Context;
use burn::tensor::Device;
use morphospace_core::Provenance;
use morphospace_models::trim_checkpoint;

use super::import::{refuse_network, write_provenance};
use crate::cli::TrimArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::network_source::checkpoint_folder;

pub(crate) fn run(args: &TrimArgs) -> Result<Outcome, Failure> {
    let folder = checkpoint_folder(&args.network).or_refuse()?;
    refuse_network(&args.output)?;
    // Weights are copied, not computed with: no other device is needed.
    trim_checkpoint(&folder, args.blocks, &args.output, &Device::flex())
        .with_context(|| format!("trimming the network in '{}'", folder.display()))
        .or_refuse()?;
    let provenance = Provenance::new("trim")
        .with_setting("network", folder.display())
        .with_setting("blocks", args.blocks)
        .with_input(&folder.join("model.safetensors"))
        .or_stop()?;
    write_provenance(&args.output, &provenance)?;
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

use anyhow::Context;
use burn::tensor::Device;
use morphospace_models::trim_checkpoint;

use crate::cli::TrimArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::network_source::checkpoint_folder;

pub(crate) fn run(args: &TrimArgs) -> Result<Outcome, Failure> {
    let folder = checkpoint_folder(&args.network).or_refuse()?;
    super::refuse_unwritable(&args.output.join("config.json"))?;
    // Weights are copied, not computed with: no other device is needed.
    trim_checkpoint(&folder, args.blocks, &args.output, &Device::flex())
        .with_context(|| format!("trimming the network in '{}'", folder.display()))
        .or_refuse()?;
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

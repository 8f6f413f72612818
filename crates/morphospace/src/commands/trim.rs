use std::path::Path;

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use morphospace_benchmark::Score;
use morphospace_core::Provenance;
use morphospace_models::trim_checkpoint;

use super::import::{refuse_network, write_provenance};
use super::probe::NETWORK_SETTING;
use crate::cli::TrimArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::network_source::{NetworkSource, checkpoint_folder};

pub(crate) fn run(args: &TrimArgs) -> Result<Outcome, Failure> {
    let folder = checkpoint_folder(&args.network).or_refuse()?;
    refuse_network(&args.output)?;
    let provenance = Provenance::new("trim").with_setting("network", folder.display());
    let (blocks, provenance) = match (&args.probe, args.blocks) {
        (Some(path), _) => {
            let network = NetworkSource::Folder(args.network.clone());
            let best = best_block(path, &network.sha256(0).or_refuse()?).or_refuse()?;
            crate::say!("{}", best.why);
            let provenance = provenance.with_setting("why", &best.why);
            (best.block, provenance.with_input(path).or_refuse()?)
        }
        (None, Some(blocks)) => (blocks, provenance),
        (None, None) => unreachable!("one of them is required"),
    };
    // Weights are copied, not computed with: no other device is needed.
    trim_checkpoint(&folder, blocks, &args.output, &Device::flex())
        .with_context(|| format!("trimming the network in '{}'", folder.display()))
        .or_refuse()?;
    let provenance = provenance
        .with_setting("blocks", blocks)
        .with_input(&folder.join("model.safetensors"))
        .or_stop()?;
    write_provenance(&args.output, &provenance)?;
    crate::print_line!("{}", args.output.display());
    Ok(Outcome::Done)
}

struct BestBlock {
    block: usize,
    why: String,
}

/// The best block by the scores of a probe of this very network.
fn best_block(path: &Path, network_sha256: &str) -> Result<BestBlock> {
    let scores = super::benchmark::read_scores(path)?.scores;
    let of_blocks: Vec<&Score> = scores.iter().filter(|one| one.block.is_some()).collect();
    if of_blocks.is_empty() {
        bail!(
            "'{}' has no scores of blocks\nhint: `probe FOLDER --output {}` adds them",
            path.display(),
            path.display()
        );
    }
    let is_of_it = |one: &&&Score| {
        one.settings.get(NETWORK_SETTING).map(String::as_str) == Some(network_sha256)
    };
    let of_network: Vec<&Score> = of_blocks.iter().filter(is_of_it).copied().collect();
    let Some(&first) = of_network.first() else {
        bail!(
            "the scores in '{}' are of another network (by its weights)\nhint: embed the blocks of \
             this one and probe them, or choose with --blocks",
            path.display()
        );
    };
    if let Some(other) = of_network
        .iter()
        .find(|one| one.benchmark != first.benchmark)
    {
        bail!(
            "'{}' holds several scores of its blocks: '{}' and '{}'\nhint: probe into a file of its \
             own, or choose with --blocks",
            path.display(),
            first.benchmark,
            other.benchmark
        );
    }
    let mut blocks = of_network;
    blocks.sort_by_key(|one| one.block);
    // Of equal ones the first: the shorter network.
    let best = blocks
        .iter()
        .copied()
        .reduce(|best, one| if one.value > best.value { one } else { best })
        .unwrap_or(first);
    let last = blocks[blocks.len() - 1];
    let (Some(block), Some(last_block)) = (best.block, last.block) else {
        unreachable!("they were chosen by their blocks");
    };
    let interval = match best.ci_low.zip(best.ci_high) {
        Some((low, high)) => format!(" [{low:.4}, {high:.4}]"),
        None => String::new(),
    };
    Ok(BestBlock {
        block: block as usize,
        why: format!(
            "block {block} of {last_block} is best: {} {:.4}{interval}, the last {:.4}, n = {}",
            best.benchmark, best.value, last.value, best.n
        ),
    })
}

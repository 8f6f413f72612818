use std::sync::atomic::{AtomicUsize, Ordering};

use morphospace_screen::{PackConfig, PackError, Screen, pack, verify_pack};

use crate::cli::PackArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{self, Progress};

pub(crate) fn run(args: &PackArgs) -> Result<Outcome, Failure> {
    let config = PackConfig {
        chunk_px: args.chunk_px,
        compression_level: args.compression_level,
        skip_unreadable: args.skip_unreadable,
    };
    config.check().or_refuse()?;
    let screen = super::open(&args.screen).or_refuse()?;
    let progress = Progress::new("pack", "sites", screen.sites().len());
    let done = AtomicUsize::new(0);
    let on_site = || progress.update(done.fetch_add(1, Ordering::Relaxed) + 1, "");
    let report = pack(&*screen, &args.output, &config, &on_site).map_err(|error| match error {
        PackError::InvalidConfig(_) | PackError::OtherPack { .. } => Failure::Refused(error.into()),
        _ => Failure::Stopped(error.into()),
    })?;
    progress.finish(&format!(
        "{} sites packed, {} were there; {} plates, {:.1} MB in '{}'",
        report.num_packed,
        report.num_kept,
        report.num_plates,
        report.num_bytes as f64 / 1e6,
        args.output.display()
    ));
    terminal::warn_each("images missing", &report.missing);
    terminal::warn_each("images left out", &report.unreadable);
    terminal::warn_each("sites without an image", &report.empty_sites);
    let mut is_sound = [&report.missing, &report.unreadable, &report.empty_sites]
        .iter()
        .all(|left_out| left_out.is_empty());
    if args.verify {
        is_sound &= verify(&*screen, args)?;
    }
    if args.json {
        crate::print_line!("{}", serde_json::to_string_pretty(&report).or_stop()?);
    }
    Ok(Outcome::with_failures(!is_sound))
}

fn verify(screen: &dyn Screen, args: &PackArgs) -> Result<bool, Failure> {
    let progress = Progress::new("verify", "images", 0);
    let verification = verify_pack(&args.output, Some(screen)).or_stop()?;
    progress.finish(&format!(
        "{} images are those of the screen",
        verification.num_sound
    ));
    terminal::warn_each("images damaged", &verification.damaged);
    Ok(verification.damaged.is_empty())
}

use std::fs;

use anyhow::{Context, anyhow};
use morphospace_core::{PlateKey, parse_config};
use morphospace_screen::{
    Illumination, IlluminationOptions, NpyFloat, OnIncomplete, fit_illumination, plate_names,
    refuse_missing_images,
};

use crate::cli::IlluminationArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::{Progress, warn_each};

pub(crate) fn run(args: &IlluminationArgs) -> Result<Outcome, Failure> {
    let options: IlluminationOptions =
        parse_config("illumination", "", &args.overrides).or_refuse()?;
    options.check().or_refuse()?;
    super::refuse_illumination(
        &args.screen,
        "functions are fitted to images as they were taken",
    )?;
    if args.on_incomplete == OnIncomplete::Fill {
        return Err(Failure::Refused(anyhow!(
            "--on-incomplete fill makes no sense here: zeros are no light\nhint: give fail or skip"
        )));
    }
    let screen = super::open(&args.screen).or_refuse()?;
    if args.on_incomplete == OnIncomplete::Fail {
        refuse_missing_images(&*screen).or_refuse()?;
    }
    let mut plates: Vec<&PlateKey> = screen.sites().iter().map(|site| &site.key.plate).collect();
    plates.dedup();
    let names = plate_names(plates.iter().copied());
    let progress = Progress::new("illumination", "plates", plates.len());
    let mut left_out = Vec::new();
    for (index, plate) in plates.iter().enumerate() {
        let fit = fit_illumination(&*screen, plate, &options, args.on_incomplete).or_stop()?;
        left_out.extend(fit.left_out);
        for (function, channel) in fit.functions.iter().zip(screen.channels()) {
            let path = args
                .output
                .join(Illumination::path_of(&names[plate], channel));
            let folder = path.parent().unwrap_or(&args.output);
            fs::create_dir_all(folder)
                .with_context(|| format!("making folder '{}'", folder.display()))
                .or_stop()?;
            function.save(&path, NpyFloat::F64).or_stop()?;
        }
        progress.update(index + 1, &plate.to_string());
    }
    progress.finish(&format!(
        "{} plates, {} channels in '{}'",
        plates.len(),
        screen.channels().len(),
        args.output.display()
    ));
    warn_each("images left out", &left_out);
    Ok(Outcome::with_failures(!left_out.is_empty()))
}

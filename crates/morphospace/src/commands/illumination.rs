use std::fs;

use anyhow::Context;
use morphospace_core::{PlateKey, parse_config};
use morphospace_screen::{
    Illumination, IlluminationOptions, NpyFloat, fit_illumination, plate_names,
};

use crate::cli::IlluminationArgs;
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::Progress;

pub(crate) fn run(args: &IlluminationArgs) -> Result<Outcome, Failure> {
    let options: IlluminationOptions =
        parse_config("illumination", "", &args.overrides).or_refuse()?;
    options.check().or_refuse()?;
    let screen = super::open(&args.screen).or_refuse()?;
    let mut plates: Vec<&PlateKey> = screen.sites().iter().map(|site| &site.key.plate).collect();
    plates.dedup();
    let names = plate_names(plates.iter().copied());
    let progress = Progress::new("illumination", "plates", plates.len());
    for (index, plate) in plates.iter().enumerate() {
        let functions = fit_illumination(&*screen, plate, &options).or_stop()?;
        for (function, channel) in functions.iter().zip(screen.channels()) {
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
    Ok(Outcome::Done)
}

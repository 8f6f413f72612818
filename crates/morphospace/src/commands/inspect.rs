use morphospace_screen::{InspectDepth, Manifest, inspect, write_manifest};

use crate::cli::InspectArgs;
use crate::failure::{Failure, Outcome, Phase};

pub(crate) fn run(args: &InspectArgs) -> Result<Outcome, Failure> {
    if let Some(path) = &args.manifest {
        super::refuse_unwritable(path)?;
    }
    let screen = super::open(&args.screen).or_refuse()?;
    let depth = if args.decode {
        InspectDepth::Decode
    } else {
        InspectDepth::Presence
    };
    let inspection = inspect(&*screen, depth);
    if let Some(path) = &args.manifest {
        write_manifest(path, &Manifest::of(&*screen)).or_stop()?;
    }
    if args.json {
        crate::print_line!("{}", serde_json::to_string_pretty(&inspection).or_stop()?);
    } else {
        crate::print_line!("{inspection}");
    }
    Ok(Outcome::with_failures(!inspection.is_sound()))
}

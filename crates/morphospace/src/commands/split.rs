use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use morphospace_core::{Experiment, Seed};
use morphospace_screen::split::{
    SplitConfig, SplitScheme, SplitSummary, WildsTest, make_split, write_split,
};

use crate::cli::{SchemeArg, SplitArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal;

pub(crate) fn run(args: &SplitArgs) -> Result<Outcome, Failure> {
    let config = SplitConfig {
        scheme: scheme(args).or_refuse()?,
        seed: Seed::new(args.seed),
        only_labelled: args.only_labelled,
    };
    super::refuse_illumination(&args.screen, "a split looks at no pixels")?;
    super::refuse_unwritable_parquet("a split", &args.output)?;
    let screen = super::open(&args.screen).or_refuse()?;
    let mut split = make_split(screen.sites(), &config).or_refuse()?;
    split.provenance = split
        .provenance
        .map(|provenance| super::with_screen(provenance, &args.screen))
        .transpose()
        .or_stop()?;
    warn_of_assumptions(&config.scheme);
    write_split(&args.output, &split).or_stop()?;
    let parts = split.parts(screen.sites()).or_stop()?;
    let summary = SplitSummary::of(screen.sites(), &parts);
    if args.json {
        crate::print_line!("{}", serde_json::to_string_pretty(&summary).or_stop()?);
    } else {
        crate::print_line!("{summary}");
    }
    Ok(Outcome::Done)
}

/// The scheme that the flags describe.
fn scheme(args: &SplitArgs) -> Result<SplitScheme> {
    refuse_unused_flags(args)?;
    let experiments = |names: &[String]| names.iter().map(Experiment::new).collect();
    let validation = experiments(&args.validation_experiments);
    let level = args.level.unwrap_or_default();
    let cross_validation = |fold| SplitScheme::CrossValidation {
        fold,
        cell_type: args
            .cell_type
            .clone()
            .unwrap_or_else(|| SplitScheme::CROSS_VALIDATION_CELL_TYPE.to_owned()),
    };
    Ok(match args.scheme {
        SchemeArg::BatchSeparated => SplitScheme::BatchSeparated,
        SchemeArg::BatchStratified => SplitScheme::BatchStratified {
            train_fraction: args
                .train_fraction
                .unwrap_or(SplitScheme::BATCH_STRATIFIED_TRAIN_FRACTION),
            level,
        },
        SchemeArg::Stratified8020 => SplitScheme::Stratified8020 {
            cell_type: args.cell_type.clone(),
            level,
        },
        SchemeArg::CrossValidation => cross_validation(
            args.fold
                .context("scheme 'cross-validation' needs a fold\nhint: give --fold 1 to 6")?,
        ),
        SchemeArg::F0 => cross_validation(1),
        SchemeArg::WildsOfficial => SplitScheme::WildsOfficial {
            validation,
            test: WildsTest::OutOfDistribution,
        },
        SchemeArg::WildsOfficialId => SplitScheme::WildsOfficial {
            validation,
            test: WildsTest::InDistribution,
        },
        SchemeArg::WildsMixedToTest => SplitScheme::WildsMixedToTest { validation },
        SchemeArg::ExperimentsOfOneCellType => SplitScheme::ExperimentsOfOneCellType {
            cell_type: args.cell_type.clone().context(
                "scheme 'experiments-of-one-cell-type' needs a cell type\nhint: give --cell-type, \
                 e.g. U2OS",
            )?,
            num_experiments: args.num_experiments.context(
                "scheme 'experiments-of-one-cell-type' needs a number of experiments\nhint: give \
                 --num-experiments, e.g. 3",
            )?,
        },
        SchemeArg::LeavePlateOut => SplitScheme::LeavePlateOut {
            plates: args.plates.clone(),
            test: experiments(&args.experiments),
        },
        SchemeArg::LeaveExperimentOut => SplitScheme::LeaveExperimentOut {
            test: experiments(&args.experiments),
            validation,
        },
    })
}

/// A flag without effect is a misunderstanding.
fn refuse_unused_flags(args: &SplitArgs) -> Result<()> {
    let used: &[&str] = match args.scheme {
        SchemeArg::BatchSeparated => &[],
        SchemeArg::BatchStratified => &["--level", "--train-fraction"],
        SchemeArg::Stratified8020 => &["--level", "--cell-type"],
        SchemeArg::CrossValidation => &["--fold", "--cell-type"],
        SchemeArg::F0 => &["--cell-type"],
        SchemeArg::WildsOfficial | SchemeArg::WildsOfficialId | SchemeArg::WildsMixedToTest => {
            &["--validation-experiments"]
        }
        SchemeArg::ExperimentsOfOneCellType => &["--cell-type", "--num-experiments"],
        SchemeArg::LeaveExperimentOut => &["--experiments", "--validation-experiments"],
        SchemeArg::LeavePlateOut => &["--plates", "--experiments"],
    };
    let given = [
        ("--fold", args.fold.is_some()),
        ("--level", args.level.is_some()),
        ("--cell-type", args.cell_type.is_some()),
        ("--plates", !args.plates.is_empty()),
        ("--experiments", !args.experiments.is_empty()),
        (
            "--validation-experiments",
            !args.validation_experiments.is_empty(),
        ),
        ("--num-experiments", args.num_experiments.is_some()),
        ("--train-fraction", args.train_fraction.is_some()),
    ];
    let unused = given
        .iter()
        .find(|(flag, is_given)| *is_given && !used.contains(flag));
    let Some((flag, _)) = unused else {
        return Ok(());
    };
    let scheme = args
        .scheme
        .to_possible_value()
        .expect("no scheme is hidden");
    let hint = match used {
        [] => "it takes none but --seed and --only-labelled".to_owned(),
        _ => format!("it takes {}", used.join(" and ")),
    };
    bail!(
        "scheme '{}' has no use for {flag}\nhint: {hint}",
        scheme.get_name()
    )
}

fn warn_of_assumptions(scheme: &SplitScheme) {
    let (SplitScheme::WildsOfficial { validation, .. }
    | SplitScheme::WildsMixedToTest { validation }) = scheme
    else {
        return;
    };
    if validation.is_empty() {
        terminal::warn(
            "the metadata does not say which experiments WILDS validates on: taken is the first \
             test experiment of each cell type\nhint: name others with --validation-experiments",
        );
    }
}

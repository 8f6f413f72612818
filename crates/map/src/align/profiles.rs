use faer::MatRef;
use morphospace_profiles::Profiles;

use super::{Align, AlignError, AlignInput, AlignMethod, FittedAligner};
use crate::ControlRule;

/// Fits a method to a table and applies it to that same table.
///
/// Metadata columns and row order stay; a method that turns the features
/// into components names them `feature_0`, `feature_1`, ...
///
/// # Errors
/// A missing column, no controls by the rule, a batch with too few of them,
/// NaN or infinity: each names the column, batch or well.
///
/// # Example
/// ```
/// use morphospace_map::{AlignMethod, CenterScale, ControlRule, align_profiles};
/// use morphospace_profiles::{Column, Features, Profiles};
///
/// let profiles = Profiles::new(
///     vec![
///         ("Metadata_Plate".to_owned(), Column::from(vec!["P1", "P1", "P1"])),
///         ("Metadata_pert_type".to_owned(), Column::from(vec!["negcon", "negcon", "trt"])),
///     ],
///     vec!["feature_0".to_owned()],
///     Features::F32(vec![1.0, 3.0, 5.0]),
/// )?;
/// let controls = ControlRule::new("Metadata_pert_type", ["negcon"]);
/// let method = AlignMethod::from(CenterScale::default());
/// let aligned = align_profiles(&profiles, "Metadata_Plate", &controls, &method)?;
/// assert_eq!(aligned.values(), [-1.0, 1.0, 3.0].as_slice());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn align_profiles(
    profiles: &Profiles,
    batch_column: &str,
    controls: &ControlRule,
    method: &AlignMethod,
) -> Result<Profiles, AlignError> {
    let fitted = fit_profiles(profiles, batch_column, controls, method)?;
    transform_profiles(&fitted, profiles, batch_column)
}

/// Fits a method to a table.
///
/// # Errors
/// As [`align_profiles`].
pub fn fit_profiles(
    profiles: &Profiles,
    batch_column: &str,
    controls: &ControlRule,
    method: &AlignMethod,
) -> Result<FittedAligner, AlignError> {
    method.check()?;
    let batch = profiles.keys(batch_column)?;
    let is_control = if method.reference().controls_only() {
        controls.select(profiles)?
    } else {
        controls
            .select(profiles)
            .unwrap_or_else(|_| vec![false; profiles.num_rows()])
    };
    profiles.check_finite()?;
    let values = profiles.values();
    let values =
        MatRef::from_row_major_slice(&values, profiles.num_rows(), profiles.num_features());
    let input = AlignInput::new(values, &batch, &is_control)?;
    let covariate = covariate_of(method, profiles)?;
    let input = match &covariate {
        Some(covariate) => input.with_covariate(covariate)?,
        None => input,
    };
    Ok(method
        .fit(&input)?
        .with_feature_names(profiles.feature_names()))
}

/// Applies a fitted method to a table, which may hold other rows than the
/// one fitted on.
///
/// # Errors
/// A batch that was not there when fitting, other features, a missing
/// column, NaN or infinity.
pub fn transform_profiles(
    fitted: &FittedAligner,
    profiles: &Profiles,
    batch_column: &str,
) -> Result<Profiles, AlignError> {
    fitted.check_feature_names(profiles.feature_names())?;
    let batch = profiles.keys(batch_column)?;
    profiles.check_finite()?;
    let values = profiles.values();
    let values =
        MatRef::from_row_major_slice(&values, profiles.num_rows(), profiles.num_features());
    let covariate = covariate_of(fitted.method(), profiles)?;
    let aligned = fitted.transform_with_covariate(values, &batch, covariate.as_deref())?;
    let names = fitted.feature_names_out(profiles.feature_names());
    Ok(profiles.with_values(names, aligned.values)?)
}

fn covariate_of(
    method: &AlignMethod,
    profiles: &Profiles,
) -> Result<Option<Vec<String>>, AlignError> {
    let column = method.covariate();
    Ok(column.map(|column| profiles.keys(column)).transpose()?)
}

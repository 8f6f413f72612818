use std::fmt;

use burn::module::Module;

use super::BATCHES_TRACKED;
use super::error::WeightsError;
use super::foreign_keys::{Matched, matched};
use super::load::{compare, fill};
use super::load_report::{LoadReport, TensorMismatch};
use super::parameter::{Parameter, parameters};
use super::source::{Adaptation, Source};
use super::weights_file::WeightsFile;

/// How other weights became those of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// What stood before the network's names in the file's keys.
    pub prefix: String,
    /// What stands before as many other tensors of these names: another
    /// network, which was left out.
    pub passed_over: Vec<String>,
    /// Parameters that were filled.
    pub num_loaded: usize,
    /// How many of them have another name in the file, prefix aside.
    pub num_renamed: usize,
    /// Parameters that needed more than a name, and what.
    pub adapted: Vec<(String, Adaptation)>,
    /// Tensors of the file that the network does not have: heads, decoders,
    /// the student beside its teacher.
    pub left_out: Vec<String>,
}

impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} parameters filled", self.num_loaded)?;
        if !self.prefix.is_empty() {
            write!(f, ", found behind '{}'", self.prefix)?;
        }
        if self.num_renamed > 0 {
            write!(f, ", {} of them renamed", self.num_renamed)?;
        }
        for (name, adaptation) in &self.adapted {
            match adaptation {
                Adaptation::InputChannels { from, to } => write!(
                    f,
                    "\n'{name}' was trained on {from} channels and is repeated for {to}, scaled by \
                     {from}/{to}"
                )?,
                Adaptation::NoMaskToken => {
                    write!(
                        f,
                        "\n'{name}' is not there and is zeros: embedding does without it"
                    )?;
                }
                Adaptation::ClassRow => {
                    write!(f, "\n'{name}' got a row of zeros for the class token")?;
                }
            }
        }
        for prefix in &self.passed_over {
            let place = if prefix.is_empty() {
                "without a prefix"
            } else {
                prefix
            };
            write!(f, "\nanother such network, '{place}', was passed over")?;
        }
        if let Some(first) = self.left_out.first() {
            let count = self.left_out.len();
            let tensors = if count == 1 { "tensor" } else { "tensors" };
            write!(f, "\n{count} {tensors} left out, such as '{first}'")?;
        }
        Ok(())
    }
}

/// Fills a network from a file of another program and returns it; the given one
/// is left as it was.
///
/// Names of timm, torchvision, Hugging Face, DINO, DINOv2 and OpenPhenom are
/// known, also behind wrappers such as `model.` or `teacher.backbone.`. A first
/// convolution of three channels is repeated for the network's
/// ([`adapt_input_conv`](crate::blocks::adapt_input_conv::adapt_input_conv));
/// tensors that the network does not have are left out and reported.
///
/// # Errors
/// [`WeightsError::DoNotFit`] if a parameter is missing or of another shape;
/// [`WeightsError::NotFinite`]; [`WeightsError::CannotRead`]. All of the
/// parameters are filled or none.
pub fn import_weights<M: Module>(
    module: &M,
    file: &WeightsFile,
) -> Result<(M, ImportReport), WeightsError> {
    let parameters = parameters(module);
    let keys = file.names();
    let names = parameters.iter().map(|parameter| parameter.name.as_str());
    let Matched {
        mut sources,
        prefix,
        passed_over,
    } = matched(names, &keys);
    let mut adapted = Vec::new();
    for parameter in &parameters {
        if parameter.name == "mask_token" && !sources.is_empty() {
            let source = sources.entry(parameter.name.clone());
            source.or_insert_with(|| Source::no_mask_token(&parameter.shape));
        }
        if let Some(source) = sources.get_mut(&parameter.name) {
            source.adaptation = source
                .adaptation
                .or_else(|| adaptation(parameter, source, file));
            if let Some(adaptation) = source.adaptation {
                adapted.push((parameter.name.clone(), adaptation));
            }
        }
    }
    let report = compare(&parameters, &sources, file);
    if !report.missing.is_empty() || !report.mismatched.is_empty() {
        return Err(do_not_fit(report, file));
    }
    let used: std::collections::BTreeSet<&String> =
        sources.values().flat_map(|source| &source.keys).collect();
    let is_left_out = |key: &String| !used.contains(key) && !key.ends_with(BATCHES_TRACKED);
    let is_renamed = |(name, source): &(&String, &Source)| {
        source.keys.len() > 1
            || source
                .keys
                .iter()
                .any(|key| *key != format!("{prefix}{name}"))
    };
    let report = ImportReport {
        num_loaded: parameters.len(),
        num_renamed: sources.iter().filter(is_renamed).count(),
        adapted,
        passed_over,
        left_out: keys
            .iter()
            .filter(|key| is_left_out(key))
            .cloned()
            .collect(),
        prefix,
    };
    let module = fill(module, file, sources)?;
    Ok((module, report))
}

fn do_not_fit(report: LoadReport, file: &WeightsFile) -> WeightsError {
    let is_of_decoder =
        |name: &String| name.starts_with("decoder") || name.starts_with("encoder_decoder_proj");
    let is_number = |mismatch: &TensorMismatch| mismatch.expected != mismatch.found;
    let hint = if report.loaded.is_empty() && report.mismatched.is_empty() {
        "\nhint: none of its tensors has a name of this network's: it is of another kind"
    } else if report.mismatched.is_empty() && report.missing.iter().all(is_of_decoder) {
        "\nhint: the file has no decoder: give the encoder's name, such as vit_small_patch16 or \
         openphenom_encoder"
    } else if report.missing.is_empty() && !report.mismatched.iter().any(is_number) {
        "\nhint: weights are floating-point numbers"
    } else {
        "\nhint: compare its sizes (width, depth, patch, image) with the network's"
    };
    WeightsError::DoNotFit {
        path: file.path().to_owned(),
        report: Box::new(report),
        hint: Some(hint),
    }
}

/// What a tensor needs to fit, if something else than its shape.
fn adaptation(parameter: &Parameter, source: &Source, file: &WeightsFile) -> Option<Adaptation> {
    let [key] = source.keys.as_slice() else {
        return None;
    };
    let found = file.shape(key)?;
    match (parameter.shape.as_slice(), found) {
        (&[d, to, height, width], &[d_file, from @ 3, height_file, width_file])
            if to != from && (d, height, width) == (d_file, height_file, width_file) =>
        {
            Some(Adaptation::InputChannels { from, to })
        }
        (&[1, rows, d], &[1, rows_file, d_file])
            if parameter.name == "pos_embed" && rows == rows_file + 1 && d == d_file =>
        {
            Some(Adaptation::ClassRow)
        }
        _ => None,
    }
}

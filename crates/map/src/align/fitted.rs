use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use faer::{Mat, MatRef};
use morphospace_core::{Provenance, sha256_hex, write_atomically};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::{Deserialize, Serialize};

use super::affine::{Affine, BatchRows, Scaling};
use super::combat::LevelMeans;
use super::soft_clusters::SoftClusters;
use super::{
    AlignError, AlignInput, AlignMethod, Aligned, Aligner, Convergence, Reference, Shrinkage,
};

/// The numbers of a fitted aligner.
const TENSORS_FILE: &str = "aligner.safetensors";
/// What they mean.
const SETTINGS_FILE: &str = "aligner.toml";

/// What a method was fitted on and how many components came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Rows of the input.
    pub num_rows: usize,
    /// Negative controls among them.
    pub num_controls: usize,
    /// Negative controls of each batch.
    pub controls_per_batch: BTreeMap<String, usize>,
    /// Features of the input.
    pub num_features: usize,
    /// Features of the result.
    pub num_components: usize,
    /// Standard deviation of the rows fitted on along every principal
    /// component, the dropped ones too; empty for a method without.
    pub component_sd: Vec<f64>,
    /// What else a reader of the result is to be told.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How far each batch's covariance was drawn towards a multiple of the
    /// identity, where that was asked for.
    #[serde(default)]
    pub shrinkage_per_batch: BTreeMap<String, f64>,
    /// Whether a method that goes step by step arrived.
    #[serde(default)]
    pub convergence: Option<Convergence>,
}

impl FitReport {
    pub(crate) fn new(
        input: &AlignInput<'_>,
        num_components: usize,
        component_sd: Vec<f64>,
    ) -> Self {
        let mut controls_per_batch = BTreeMap::new();
        for (batch, &is_control) in input.batch.iter().zip(input.is_control) {
            let count: &mut usize = controls_per_batch.entry(batch.clone()).or_default();
            *count += usize::from(is_control);
        }
        let (num_rows, num_features) = (input.batch.len(), input.values.ncols());
        Self {
            num_components,
            component_sd,
            ..Self::of_counts(num_rows, controls_per_batch, num_features)
        }
    }

    /// A report of rows that were counted elsewhere, with as many components
    /// as features.
    pub(crate) fn of_counts(
        num_rows: usize,
        controls_per_batch: BTreeMap<String, usize>,
        num_features: usize,
    ) -> Self {
        Self {
            num_rows,
            num_controls: controls_per_batch.values().sum(),
            controls_per_batch,
            num_features,
            num_components: num_features,
            component_sd: Vec::new(),
            warnings: Vec::new(),
            shrinkage_per_batch: BTreeMap::new(),
            convergence: None,
        }
    }

    /// Warns of batches whose covariance cannot be told in all directions.
    pub(crate) fn note_few_rows(
        &mut self,
        batches: &BatchRows,
        num_components: usize,
        shrinkage: Shrinkage,
    ) {
        let counts = batches.names.iter().zip(batches.rows.iter().map(Vec::len));
        let few = counts.filter(|(_, count)| *count <= num_components);
        let Some((batch, count)) = few.clone().min_by_key(|(_, count)| *count) else {
            return;
        };
        let stand_in = match shrinkage {
            Shrinkage::None => "regularisation",
            _ => "shrinkage",
        };
        self.warnings.push(format!(
            "{} of {} batches have no more rows to fit on than components (fewest: {count} in \
             '{batch}', for {num_components}); the {stand_in} stands in for the directions they \
             do not show",
            few.count(),
            batches.names.len(),
        ));
    }

    /// Warns of batches of two rows, which scaling takes to -1 and 1.
    pub(crate) fn note_two_rows(&mut self, batches: &BatchRows, reference: Reference) {
        let two: Vec<&String> = batches
            .names
            .iter()
            .zip(&batches.rows)
            .filter(|(_, rows)| rows.len() == 2)
            .map(|(name, _)| name)
            .collect();
        if let Some(first) = two.first() {
            self.warnings.push(format!(
                "{} of {} batches have only two {} ('{first}'), of which every spread is a guess",
                two.len(),
                batches.names.len(),
                reference.rows()
            ));
        }
    }
}

/// What comes after an [`Affine`] map.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum LastStep {
    /// Nothing.
    Nothing,
    /// [`Combat`](super::Combat) with a covariate: its levels get back what
    /// the batch's scale took from them.
    Levels(LevelMeans),
    /// [`Harmony`](super::Harmony): a shift by the clusters a row belongs to.
    SoftClusters(SoftClusters),
}

/// A fitted [`AlignMethod`]: a scaling of the features, a projection, and a
/// scaling or matrix per batch, as far as the method has them; then what
/// [`Combat`](super::Combat) and [`Harmony`](super::Harmony) do to rows one by
/// one.
///
/// [`Aligner::save`] writes `aligner.safetensors` (the numbers, in double
/// precision) and `aligner.toml` (method, settings, batches, feature names,
/// report, provenance) into a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct FittedAligner {
    method: AlignMethod,
    affine: Affine,
    last_step: LastStep,
    report: FitReport,
    feature_names: Option<Vec<String>>,
    provenance: Option<Provenance>,
}

impl FittedAligner {
    pub(crate) fn new(method: AlignMethod, affine: Affine, report: FitReport) -> Self {
        Self {
            method,
            affine,
            last_step: LastStep::Nothing,
            report,
            feature_names: None,
            provenance: None,
        }
    }

    pub(crate) fn with_last_step(mut self, last_step: LastStep) -> Self {
        self.last_step = last_step;
        self
    }

    /// Sets counts of rows that were not all there when fitting.
    pub(crate) fn with_counts(
        mut self,
        num_rows: usize,
        controls_per_batch: BTreeMap<String, usize>,
    ) -> Self {
        self.report.num_rows = num_rows;
        self.report.num_controls = controls_per_batch.values().sum();
        self.report.controls_per_batch = controls_per_batch;
        self
    }

    /// As [`Aligner::transform`], of rows whose covariate is known.
    ///
    /// # Errors
    /// As [`Aligner::transform`]; [`AlignError::NoCovariate`] where the
    /// method takes account of one and none is given,
    /// [`AlignError::UnknownLevel`] for one that was not there when fitting.
    pub fn transform_with_covariate(
        &self,
        values: MatRef<'_, f64>,
        batch: &[String],
        covariate: Option<&[String]>,
    ) -> Result<Aligned, AlignError> {
        let mut aligned = self.affine.transform(values, batch)?;
        match &self.last_step {
            LastStep::Nothing => {}
            LastStep::Levels(levels) => {
                let column = self.method.covariate().unwrap_or_default();
                levels.apply(&self.affine, &mut aligned, batch, column, covariate)?;
            }
            LastStep::SoftClusters(clusters) => {
                clusters.apply(values, &self.affine.rows_by_batch(batch)?, &mut aligned);
            }
        }
        Ok(aligned)
    }

    /// The method and its settings.
    pub fn method(&self) -> &AlignMethod {
        &self.method
    }

    /// The batches whose rows can be transformed, `None` where the method
    /// does not tell batches apart.
    pub fn batches(&self) -> Option<&[String]> {
        self.affine.batches.as_deref()
    }

    /// The projection, `[num_features, num_components]`, of a method that
    /// has one; for [`Tvn`](super::Tvn) divided by the standard deviation on
    /// the controls.
    pub fn projection(&self) -> Option<MatRef<'_, f64>> {
        self.affine.projection.as_ref().map(Mat::as_ref)
    }

    /// What to tell a reader of the result: too few controls for the number
    /// of features, features left alone, steps that did not arrive.
    pub fn warnings(&self) -> Vec<String> {
        let report = &self.report;
        let mut warnings = Vec::new();
        let takes_components = matches!(
            self.method,
            AlignMethod::Tvn(_) | AlignMethod::PcaCenterScale(_)
        );
        if takes_components && report.num_components < report.num_features {
            warnings.push(format!(
                "rank-deficient: kept {} of {} components ({} negative controls)",
                report.num_components, report.num_features, report.num_controls
            ));
        }
        if let AlignMethod::MadRobustize(method) = &self.method {
            let is_flat = |scale: &f64| *scale <= method.epsilon;
            let num_flat = (0..report.num_features)
                .filter(|&j| {
                    self.affine
                        .before
                        .iter()
                        .any(|scaling| is_flat(&scaling.scale[j]))
                })
                .count();
            if num_flat > 0 {
                warnings.push(format!(
                    "{num_flat} of {} features have a median absolute deviation of 0 and were \
                     divided by epsilon ({:e})",
                    report.num_features, method.epsilon
                ));
            }
        }
        warnings.extend(report.warnings.iter().cloned());
        warnings
    }

    /// The names of the features fitted on, which a table to transform then
    /// has to have.
    pub(crate) fn with_feature_names(mut self, names: &[String]) -> Self {
        self.feature_names = Some(names.to_vec());
        self
    }

    /// Sets where the aligner came from, which is saved with it.
    #[must_use]
    pub fn with_provenance(mut self, provenance: Provenance) -> Self {
        self.provenance = Some(provenance);
        self
    }

    /// Where the aligner came from, if it was said.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Refuses a table whose features are not those fitted on.
    pub(crate) fn check_feature_names(&self, names: &[String]) -> Result<(), AlignError> {
        let expected = self.affine.num_features_in();
        let difference = self.feature_names.as_ref().and_then(|fitted| {
            fitted
                .iter()
                .zip(names)
                .position(|(then, now)| then != now)
                .map(|index| (index + 1, fitted[index].clone(), names[index].clone()))
        });
        if names.len() == expected && difference.is_none() {
            return Ok(());
        }
        Err(AlignError::OtherFeatures {
            expected,
            found: names.len(),
            difference,
        })
    }

    /// Names of the result's features: those of the input where they keep
    /// their meaning.
    pub(crate) fn feature_names_out(&self, names: &[String]) -> Vec<String> {
        use super::Sphering::{Zca, ZcaCor};
        let keeps_features = match &self.method {
            AlignMethod::Spherize(method) => matches!(method.sphering, Zca | ZcaCor),
            _ => self.affine.projection.is_none(),
        };
        match keeps_features {
            true => names.to_vec(),
            false => (0..self.affine.num_features_out())
                .map(|i| format!("feature_{i}"))
                .collect(),
        }
    }
}

/// `aligner.toml`. Tables come last, as TOML wants them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    schema_version: u32,
    tensors_sha256: String,
    batches: Option<Vec<String>>,
    /// Values of the covariate.
    levels: Option<Vec<String>>,
    feature_names: Option<Vec<String>>,
    method: AlignMethod,
    report: FitReport,
    provenance: Option<Provenance>,
}

impl Aligner for FittedAligner {
    fn transform(&self, values: MatRef<'_, f64>, batch: &[String]) -> Result<Aligned, AlignError> {
        self.transform_with_covariate(values, batch, None)
    }

    fn report(&self) -> &FitReport {
        &self.report
    }

    fn save(&self, folder: &Path) -> Result<(), AlignError> {
        let tensors = self.to_safetensors();
        let saved = Saved {
            schema_version: Provenance::SCHEMA_VERSION,
            tensors_sha256: sha256_hex(&tensors),
            batches: self.affine.batches.clone(),
            levels: match &self.last_step {
                LastStep::Levels(levels) => Some(levels.names.clone()),
                _ => None,
            },
            feature_names: self.feature_names.clone(),
            method: self.method.clone(),
            report: self.report.clone(),
            provenance: self.provenance.clone(),
        };
        let settings = toml::to_string(&saved).expect("settings are plain values");
        for (name, bytes) in [
            (TENSORS_FILE, &tensors[..]),
            (SETTINGS_FILE, settings.as_bytes()),
        ] {
            let path = folder.join(name);
            write_atomically(&path, |file| file.write_all(bytes))
                .map_err(|source| AlignError::CannotSave { path, source })?;
        }
        Ok(())
    }

    fn load(folder: &Path) -> Result<Self, AlignError> {
        let path = folder.join(SETTINGS_FILE);
        let cannot = |message: String| AlignError::CannotLoad {
            path: path.clone(),
            message,
        };
        let text = fs::read_to_string(&path).map_err(|error| cannot(error.to_string()))?;
        let saved: Saved = toml::from_str(&text).map_err(|error| cannot(error.to_string()))?;
        if saved.schema_version > Provenance::SCHEMA_VERSION {
            return Err(cannot(format!(
                "schema version {} is newer than {}, which this release reads",
                saved.schema_version,
                Provenance::SCHEMA_VERSION
            )));
        }
        let path = folder.join(TENSORS_FILE);
        let cannot = |message: String| AlignError::CannotLoad {
            path: path.clone(),
            message,
        };
        let bytes = fs::read(&path).map_err(|error| cannot(error.to_string()))?;
        if sha256_hex(&bytes) != saved.tensors_sha256 {
            return Err(cannot(format!(
                "it is not the file that '{SETTINGS_FILE}' was written with"
            )));
        }
        let (affine, last_step) =
            from_safetensors(&bytes, &saved.method, saved.batches, saved.levels).map_err(cannot)?;
        Ok(Self {
            method: saved.method,
            affine,
            last_step,
            report: saved.report,
            feature_names: saved.feature_names,
            provenance: saved.provenance,
        })
    }
}

/// A tensor's shape and values.
pub(crate) type Shaped = (Vec<usize>, Vec<f64>);

/// A tensor by its name and number of axes, if it is there.
pub(crate) type GetTensor<'a> = dyn Fn(&str, usize) -> Result<Option<Shaped>, String> + 'a;

/// Tensors by name.
pub(crate) type Tensors = BTreeMap<&'static str, Shaped>;

impl FittedAligner {
    /// The numbers under the names that [`from_safetensors`] reads.
    fn to_safetensors(&self) -> Vec<u8> {
        let mut tensors = self.affine.to_tensors();
        match &self.last_step {
            LastStep::Nothing => {}
            LastStep::Levels(levels) => levels.put_tensors(&mut tensors),
            LastStep::SoftClusters(clusters) => clusters.put_tensors(&mut tensors),
        }
        let bytes: BTreeMap<&str, (Vec<usize>, Vec<u8>)> = tensors
            .into_iter()
            .map(|(name, (shape, values))| {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (name, (shape, bytes.collect()))
            })
            .collect();
        let views = bytes.iter().map(|(name, (shape, bytes))| {
            let view = TensorView::new(Dtype::F64, shape.clone(), bytes);
            (*name, view.expect("as many values as the shape says"))
        });
        safetensors::serialize(views, None).expect("double precision tensors always serialise")
    }
}

/// # Errors
/// What is missing or does not fit together.
fn from_safetensors(
    bytes: &[u8],
    method: &AlignMethod,
    batches: Option<Vec<String>>,
    levels: Option<Vec<String>>,
) -> Result<(Affine, LastStep), String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    let get = |name: &str, num_axes: usize| -> Result<Option<Shaped>, String> {
        let Ok(view) = tensors.tensor(name) else {
            return Ok(None);
        };
        if view.dtype() != Dtype::F64 || view.shape().len() != num_axes {
            return Err(format!("tensor '{name}' has an unexpected type or shape"));
        }
        let values = view
            .data()
            .chunks_exact(8)
            .map(|bytes| f64::from_le_bytes(bytes.try_into().expect("chunks of eight")));
        Ok(Some((view.shape().to_vec(), values.collect())))
    };
    let affine = Affine::from_tensors(&get, batches)?;
    let num_batches = affine.batches.as_ref().map_or(0, Vec::len);
    let num_features = affine.num_features_out();
    let last_step = match method {
        AlignMethod::Harmony(method) => LastStep::SoftClusters(SoftClusters::from_tensors(
            &get,
            method,
            num_batches,
            num_features,
        )?),
        AlignMethod::Combat(method) if method.covariate.is_some() => {
            let fits = affine.before.len() == num_batches;
            let levels = levels.filter(|_| fits).ok_or("its levels are missing")?;
            LastStep::Levels(LevelMeans::from_tensors(&get, levels, num_features)?)
        }
        _ => LastStep::Nothing,
    };
    Ok((affine, last_step))
}

impl Affine {
    fn to_tensors(&self) -> Tensors {
        let mut tensors = Tensors::new();
        let mut put_scalings = |center, scale, scalings: &[Scaling]| {
            if let Some(first) = scalings.first() {
                let shape = vec![scalings.len(), first.center.len()];
                let centers = scalings
                    .iter()
                    .flat_map(|scaling| scaling.center.iter().copied());
                tensors.insert(center, (shape.clone(), centers.collect()));
                let scales = scalings
                    .iter()
                    .flat_map(|scaling| scaling.scale.iter().copied());
                tensors.insert(scale, (shape, scales.collect()));
            }
        };
        put_scalings("before.center", "before.scale", &self.before);
        put_scalings("after.center", "after.scale", &self.after);
        if let Some(projection) = &self.projection {
            let shape = vec![projection.nrows(), projection.ncols()];
            tensors.insert("projection", (shape, row_major(projection)));
        }
        if let Some(first) = self.matrices.first() {
            let shape = vec![self.matrices.len(), first.nrows(), first.ncols()];
            tensors.insert(
                "after.matrix",
                (shape, self.matrices.iter().flat_map(row_major).collect()),
            );
        }
        tensors
    }

    /// # Errors
    /// What is missing or does not fit together.
    fn from_tensors(get: &GetTensor<'_>, batches: Option<Vec<String>>) -> Result<Self, String> {
        let scalings = |center: &str, scale: &str| -> Result<Vec<Scaling>, String> {
            match (get(center, 2)?, get(scale, 2)?) {
                (None, None) => Ok(Vec::new()),
                (Some((shape, centers)), Some((scale_shape, scales)))
                    if shape == scale_shape && shape[1] > 0 =>
                {
                    let pairs = centers
                        .chunks_exact(shape[1])
                        .zip(scales.chunks_exact(shape[1]));
                    Ok(pairs
                        .map(|(center, scale)| Scaling {
                            center: center.to_vec(),
                            scale: scale.to_vec(),
                        })
                        .collect())
                }
                _ => Err(format!(
                    "tensors '{center}' and '{scale}' do not fit together"
                )),
            }
        };
        let before = scalings("before.center", "before.scale")?;
        let after = scalings("after.center", "after.scale")?;
        let projection =
            get("projection", 2)?.map(|(shape, values)| matrix(&values, shape[0], shape[1]));
        let matrices = match get("after.matrix", 3)? {
            None => Vec::new(),
            Some((shape, values)) => {
                let size = (shape[1] * shape[2]).max(1);
                values
                    .chunks_exact(size)
                    .map(|values| matrix(values, shape[1], shape[2]))
                    .collect()
            }
        };

        let num_batches = batches.as_ref().map_or(1, Vec::len);
        let affine = Self {
            batches,
            before,
            projection,
            after,
            matrices,
        };
        let is_count = |count: usize| count == 1 || count == num_batches;
        let fits = !affine.before.is_empty()
            && is_count(affine.before.len())
            && (affine.after.is_empty() || is_count(affine.after.len()))
            && (affine.matrices.is_empty() || affine.matrices.len() == num_batches)
            && affine
                .projection
                .as_ref()
                .is_none_or(|p| p.nrows() == affine.num_features_in())
            && affine.num_features_out() > 0
            && affine
                .after
                .iter()
                .all(|s| s.center.len() == affine.num_features_out())
            && affine.matrices.iter().all(|m| {
                m.nrows() == affine.num_features_out() && m.ncols() == affine.num_features_out()
            });
        if fits {
            Ok(affine)
        } else {
            Err("its tensors do not fit together".to_owned())
        }
    }
}

pub(crate) fn row_major(matrix: &Mat<f64>) -> Vec<f64> {
    (0..matrix.nrows())
        .flat_map(|i| matrix.row(i).iter().copied())
        .collect()
}

pub(crate) fn matrix(values: &[f64], nrows: usize, ncols: usize) -> Mat<f64> {
    MatRef::from_row_major_slice(values, nrows, ncols).to_owned()
}

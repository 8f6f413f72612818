//! Comparison with tables that the reference implementations computed.
//!
//! `MORPHOSPACE_GOLDEN` names folders of case folders, separated by `:`;
//! without it the committed cases are read. Everything is built from a
//! case's `config` and compared with the tolerances of its `case.json`. An
//! output table may hold a part of the rows: its column `row` says which.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use faer::{Mat, MatRef};
use morphospace_map::chromosome_arm::{ArmCentering, Interval, LocFilter, gene_arms};
use morphospace_map::{
    Aggregate, Align, AlignInput, AlignMethod, Aligned, Aligner, Average, CenterScale, Components,
    ControlRule, FittedAligner, MadRobustize, Pca, PcaCenterScale, Reference, Sphering, Spherize,
    Tvn, aggregate, cauchy_combination,
};
use morphospace_profiles::{Profiles, ReadOptions, read_profiles, read_profiles_with};
use serde_json::Value;

use crate::tables::{cosines, covariance};

/// Kinds of this crate whose code is still to be written.
const NOT_BUILT_YET: [&str; 0] = [];

#[test]
fn golden_cases_agree() {
    let folders: Vec<PathBuf> = match env::var("MORPHOSPACE_GOLDEN") {
        Ok(folders) => folders.split(':').map(PathBuf::from).collect(),
        Err(_) => vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")],
    };
    let mut num_cases = 0;
    for folder in &folders {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        entries.sort();
        for folder in entries
            .iter()
            .filter(|path| path.join("case.json").is_file())
        {
            let case = Case::read(folder);
            if case.json["crate"] != "map" {
                continue;
            }
            num_cases += 1;
            case.check();
        }
    }
    eprintln!("{num_cases} golden cases; kinds not built yet: {NOT_BUILT_YET:?}");
    assert!(num_cases > 0, "no case of this crate under {folders:?}");
}

struct Case {
    folder: PathBuf,
    json: Value,
}

/// How values are compared.
#[derive(Clone, Copy)]
struct Tolerance {
    absolute: f64,
    /// Signs of whole columns are arbitrary.
    up_to_sign: bool,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("case.json")).unwrap();
        Self {
            folder: folder.to_owned(),
            json: serde_json::from_str(&text).unwrap(),
        }
    }

    fn check(&self) {
        match self.json["kind"].as_str().unwrap() {
            "tvn" => self.check_tvn(),
            "pca_centerscale" => self.check_pca_center_scale(),
            "centerscale" => self.check_center_scale(),
            "pca" => self.check_pca(),
            "align_real" => self.check_align_real(),
            "aggregate" => self.check_aggregate(),
            "mad_robustize" => self.check_mad_robustize(),
            "spherize" => self.check_spherize(),
            "cauchy" => self.check_cauchy(),
            "chromosome_arm" => self.check_chromosome_arm(),
            "coral" | "combat" | "harmony" => self.check_batch_method(),
            kind if NOT_BUILT_YET.contains(&kind) => {
                eprintln!("NOT BUILT YET: {kind} ({})", self.folder.display());
            }
            kind => panic!("unknown kind '{kind}' in {}", self.folder.display()),
        }
    }

    fn config_f64(&self, key: &str, default: f64) -> f64 {
        self.json["config"][key].as_f64().unwrap_or(default)
    }

    fn control_key(&self) -> &str {
        self.json["config"]["control_key"]
            .as_str()
            .unwrap_or("EMPTY")
    }

    /// The number after a word in a tolerance's text.
    fn tolerance(&self, key: &str, word: &str) -> f64 {
        let text = self.json["tolerance"][key].as_str();
        let text =
            text.unwrap_or_else(|| panic!("no tolerance '{key}' in {}", self.folder.display()));
        let rest = &text[text.find(word).unwrap() + word.len()..];
        let number = rest.split_whitespace().next().unwrap();
        number
            .trim_matches(|c: char| !c.is_ascii_digit())
            .parse()
            .unwrap()
    }

    fn has(&self, file: &str) -> bool {
        self.json["outputs"].get(file).is_some()
    }

    fn table(&self, file: &str) -> Profiles {
        read_profiles(&self.folder.join(file)).unwrap()
    }

    fn expected(&self) -> Value {
        let text = fs::read_to_string(self.folder.join("expected.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Compares the rows that an output table holds.
    fn compare(&self, file: &str, found: &Aligned, tolerance: Tolerance) {
        let expect = self.table(file);
        assert_eq!(
            expect.num_features(),
            found.num_features,
            "{} {file}",
            self.folder.display()
        );
        let rows = rows_of(&expect);
        let found: Vec<f64> = rows
            .iter()
            .flat_map(|&row| found.row(row).to_vec())
            .collect();
        self.compare_values(file, &found, &expect, tolerance);
    }

    fn compare_cosines(&self, file: &str, found: &Aligned, absolute: f64) {
        let expect = self.table(file);
        let rows: Vec<&[f64]> = rows_of(&expect).iter().map(|&row| found.row(row)).collect();
        let tolerance = Tolerance {
            absolute,
            up_to_sign: false,
        };
        self.compare_values(file, &cosines(&rows), &expect, tolerance);
    }

    /// Absolutely, and relatively for values above 1.
    fn compare_values(&self, file: &str, found: &[f64], expect: &Profiles, tolerance: Tolerance) {
        let d = expect.num_features();
        let expect = expect.values();
        assert_eq!(
            found.len(),
            expect.len(),
            "{} {file}",
            self.folder.display()
        );
        let mut signs = vec![1.0; d];
        if tolerance.up_to_sign {
            for (j, sign) in signs.iter_mut().enumerate() {
                let dot: f64 = (j..found.len())
                    .step_by(d)
                    .map(|i| found[i] * expect[i])
                    .sum();
                *sign = if dot < 0.0 { -1.0 } else { 1.0 };
            }
        }
        for (index, (found, &expect)) in found.iter().zip(expect.iter()).enumerate() {
            if found.is_nan() && expect.is_nan() {
                continue;
            }
            let difference = (signs[index % d] * found - expect).abs();
            assert!(
                difference <= tolerance.absolute * expect.abs().max(1.0),
                "{} {file}: row {} feature {} is {found} and not {expect}",
                self.folder.display(),
                index / d,
                index % d,
            );
        }
    }

    fn check_tvn(&self) {
        let wells = Wells::of(self.table("wells.parquet"), self.control_key());
        let method = Tvn {
            regularisation: self.config_f64("regularisation", 0.5),
            drop_sd_below: self.config_f64("drop_sd_below", 1e-10),
            ..Tvn::default()
        };
        let (fitted, aligned) = wells.align(&method.clone().into());
        if self.has("aligned.parquet") {
            let absolute = self.tolerance("after PCA", "abs");
            self.compare(
                "aligned.parquet",
                &aligned,
                Tolerance {
                    absolute,
                    up_to_sign: true,
                },
            );
            self.compare_cosines("cosines.parquet", &aligned, absolute);
            if self.has("cosines_nobatch.parquet") {
                let (_, global) = wells.align(
                    &Tvn {
                        per_batch: false,
                        ..method
                    }
                    .into(),
                );
                self.compare_cosines("cosines_nobatch.parquet", &global, absolute);
            }
        } else {
            let absolute = self.tolerance("cosines", "abs");
            self.compare_cosines("cosines.parquet", &aligned, absolute);
            let tolerance = Tolerance {
                absolute,
                up_to_sign: true,
            };
            self.compare("aligned_dropped.parquet", &aligned, tolerance);
        }

        let expected = self.expected();
        let report = fitted.report();
        if let Some(kept) = expected["components_kept"].as_u64() {
            assert_eq!(report.num_components, kept as usize);
            assert!(!fitted.warnings().is_empty());
        }
        if let Some(num_controls) = expected["n_controls"].as_u64() {
            assert_eq!(report.num_controls, num_controls as usize);
        }
        if let Some(sd) = expected["control_sd_of_components"].as_array() {
            for (found, expect) in report.component_sd.iter().zip(sd) {
                assert!((found - expect.as_f64().unwrap()).abs() < 1e-12);
            }
        }
        if let Some(counts) = expected["controls_per_batch"].as_object() {
            for (batch, count) in counts {
                assert_eq!(
                    report.controls_per_batch[batch],
                    count.as_u64().unwrap() as usize
                );
            }
        }
        if let Some(norms) = expected["control_batch_mean_norm_after"].as_object() {
            for (batch, norm) in norms {
                let rows: Vec<usize> = (0..wells.batch.len())
                    .filter(|&row| wells.is_control[row] && wells.batch[row] == *batch)
                    .collect();
                let squares = (0..aligned.num_features).map(|j| {
                    let sum: f64 = rows.iter().map(|&row| aligned.row(row)[j]).sum();
                    (sum / rows.len() as f64).powi(2)
                });
                let found = squares.sum::<f64>().sqrt();
                assert!(
                    (found - norm.as_f64().unwrap()).abs() < 1e-8,
                    "{batch}: {found}"
                );
            }
        }
    }

    fn check_pca_center_scale(&self) {
        let wells = Wells::of(self.table("wells.parquet"), self.control_key());
        let absolute = self.tolerance("after PCA", "abs");
        let (_, aligned) = wells.align(&PcaCenterScale::default().into());
        self.compare(
            "aligned.parquet",
            &aligned,
            Tolerance {
                absolute,
                up_to_sign: true,
            },
        );
        self.compare_cosines("cosines.parquet", &aligned, absolute);
        if self.has("cosines_global.parquet") {
            let (_, global) = wells.align(&PcaCenterScale { per_batch: false }.into());
            self.compare_cosines("cosines_global.parquet", &global, absolute);
        }
    }

    fn check_center_scale(&self) {
        let wells = Wells::of(self.table("wells.parquet"), self.control_key());
        let tolerance = Tolerance {
            absolute: self.tolerance("all", "abs"),
            up_to_sign: false,
        };
        for (file, reference, per_batch) in [
            ("global.parquet", Reference::All, false),
            ("by_batch.parquet", Reference::All, true),
            ("on_controls.parquet", Reference::Controls, false),
            ("on_controls_by_batch.parquet", Reference::Controls, true),
        ] {
            if self.has(file) {
                let (_, aligned) = wells.align(
                    &CenterScale {
                        reference,
                        per_batch,
                    }
                    .into(),
                );
                self.compare(file, &aligned, tolerance);
            }
        }
    }

    fn check_pca(&self) {
        let wells = Wells::of(self.table("wells.parquet"), self.control_key());
        let absolute = self.tolerance("after PCA", "abs");
        let up_to_sign = Tolerance {
            absolute,
            up_to_sign: true,
        };
        let (fitted, scores) = wells.align(&Pca::default().into());
        self.compare("pca_all.parquet", &scores, up_to_sign);

        // Axes are rows there and columns here.
        let components = self.table("components.parquet");
        let axes = fitted.projection().unwrap();
        for (k, sd) in fitted.report().component_sd.iter().enumerate() {
            let expect = components.row(k);
            let sign = if (0..expect.len())
                .map(|i| axes[(i, k)] * expect[i])
                .sum::<f64>()
                < 0.0
            {
                -1.0
            } else {
                1.0
            };
            for (i, expect) in expect.iter().enumerate() {
                assert!((sign * axes[(i, k)] - expect).abs() <= absolute, "axis {k}");
            }
            let n = wells.batch.len() as f64;
            let variance: f64 = components.keys("explained_variance").unwrap()[k]
                .parse()
                .unwrap();
            assert!((sd * sd * n / (n - 1.0) - variance).abs() <= 1e-10 * variance.max(1.0));
        }

        let scaled = CenterScale {
            reference: Reference::All,
            per_batch: true,
        };
        let (_, scaled) = wells.align(&scaled.into());
        let scaled = wells.with(scaled.values);
        let count = self.json["config"]["n_components"].as_u64().unwrap() as usize;
        let pca = Pca {
            components: Components::Count(count),
            ..Pca::default()
        };
        let (_, embedded) = scaled.align(&pca.into());
        self.compare("embed_by_pca.parquet", &embedded, up_to_sign);
        self.compare_cosines("cosines.parquet", &embedded, absolute);

        let share = self.config_f64("variance", 0.9);
        let pca = Pca {
            components: Components::Variance(share),
            ..Pca::default()
        };
        let expected = self.expected();
        let (_, expect) = expected
            .as_object()
            .unwrap()
            .iter()
            .find(|(key, _)| key.starts_with("n_components_for_variance"))
            .unwrap();
        assert_eq!(
            scaled.align(&pca.into()).1.num_features as u64,
            expect.as_u64().unwrap()
        );

        let mean: Vec<f64> = serde_json::from_value(expected["mean"].clone()).unwrap();
        let middle = MatRef::from_row_major_slice(&mean, 1, mean.len());
        let middle = fitted.transform(middle, &wells.batch[..1]).unwrap();
        assert!(middle.values.iter().all(|value| value.abs() < 1e-10));
    }

    fn check_align_real(&self) {
        let wells = Wells::of(self.table("wells.parquet"), self.control_key());
        let absolute = self.tolerance("after PCA", "abs");
        let tolerance = Tolerance {
            absolute,
            up_to_sign: true,
        };
        let embedded = self.table("embedded.parquet");
        if self.json["config"]["pca_before"] == true {
            let scaled = CenterScale {
                reference: Reference::All,
                per_batch: false,
            };
            let (_, scaled) = wells.align(&scaled.into());
            let components = Components::Count(embedded.num_features());
            let pca = Pca {
                components,
                ..Pca::default()
            };
            let (_, found) = wells.with(scaled.values).align(&pca.into());
            self.compare("embedded.parquet", &found, tolerance);
        }
        let wells = wells.with(embedded.values().into_owned());
        for (name, method) in [
            ("tvn", AlignMethod::from(Tvn::default())),
            ("pca_cs", PcaCenterScale::default().into()),
        ] {
            let (_, aligned) = wells.align(&method);
            self.compare(&format!("{name}.parquet"), &aligned, tolerance);
            let file = format!("{name}_aggregate_cosines.parquet");
            let expect = self.table(&file);
            let keys = expect.keys("pert").unwrap();
            let names = (0..aligned.num_features)
                .map(|i| format!("feature_{i}"))
                .collect();
            let aligned = wells.profiles.with_values(names, aligned.values).unwrap();
            let control = self.control_key().to_owned();
            let keys_to_remove = if keys.contains(&control) {
                vec![]
            } else {
                vec![control]
            };
            let settings = Aggregate {
                keys_to_remove,
                ..Aggregate::by(["pert"])
            };
            let found = aggregate(&aligned, &settings).unwrap();
            assert_eq!(found.keys("pert").unwrap(), keys);
            let values = found.values();
            let rows: Vec<&[f64]> = values.chunks_exact(found.num_features()).collect();
            let tolerance = Tolerance {
                absolute,
                up_to_sign: false,
            };
            self.compare_values(&file, &cosines(&rows), &expect, tolerance);
        }
    }

    fn check_mad_robustize(&self) {
        let wells = Wells::with_control_flags(self.table("wells.parquet"));
        let relative = self.tolerance("finite columns", "rel");
        let epsilon = self.config_f64("epsilon", 1e-18);
        let method = MadRobustize {
            per_batch: false,
            epsilon,
            ..MadRobustize::default()
        };
        let (fitted, robust) = wells.align(&method.into());
        let expect = self.table("robustized.parquet");
        let tolerance = Tolerance {
            absolute: relative,
            up_to_sign: false,
        };
        self.compare("robustized.parquet", &robust, tolerance);

        let fit = self.table("fit.parquet");
        assert_eq!(fit.keys("what").unwrap(), ["median", "mad"]);
        let (median, mad) = (fit.row(0), fit.row(1));
        let sum: Vec<f64> = median.iter().zip(&mad).map(|(a, b)| a + b).collect();
        let transform = |row: &[f64]| {
            let row = MatRef::from_row_major_slice(row, 1, row.len());
            fitted.transform(row, &wells.batch[..1]).unwrap().values
        };
        assert!(transform(&median).iter().all(|value| *value == 0.0));
        let num_flat = mad.iter().filter(|mad| **mad == 0.0).count();
        for (mad, value) in mad.iter().zip(transform(&sum)) {
            assert!(*mad == 0.0 || (value - 1.0).abs() < 1e-10);
        }
        assert_eq!(fitted.warnings().len(), usize::from(num_flat > 0));
        assert_eq!(expect.num_features(), mad.len());
    }

    fn check_spherize(&self) {
        let wells = Wells::with_control_flags(self.table("wells.parquet"));
        let epsilon = self.config_f64("epsilon", 1e-6);
        let expected = self.expected();
        let names: Vec<String> =
            serde_json::from_value(self.json["config"]["methods"].clone()).unwrap();
        for name in names {
            let sphering: Sphering = serde_json::from_value(Value::from(name.as_str())).unwrap();
            let method = Spherize {
                sphering,
                epsilon,
                ..Spherize::default()
            };
            let (_, sphered) = wells.align(&method.into());
            let is_pca = matches!(sphering, Sphering::Pca | Sphering::PcaCor);
            let key = if is_pca { "PCA,PCA-cor" } else { "ZCA,ZCA-cor" };
            let absolute = self.tolerance(key, "abs");
            let tolerance = Tolerance {
                absolute,
                up_to_sign: is_pca,
            };
            self.compare(&format!("{name}.parquet"), &sphered, tolerance);
            if let Some(expect) = expected["max_abs_cov_minus_identity_on_controls"][&name].as_f64()
            {
                let controls: Vec<usize> = (0..wells.batch.len())
                    .filter(|&row| wells.is_control[row])
                    .collect();
                let d = sphered.num_features;
                let controls = Mat::from_fn(controls.len(), d, |i, j| sphered.row(controls[i])[j]);
                let rest = covariance(controls.as_ref(), 1) - Mat::<f64>::identity(d, d);
                assert!((rest.norm_max() - expect).abs() < 1e-9, "{name}");
            }
        }
        if self.has("ZCA_rank_deficient.parquet") {
            let rows: Vec<usize> =
                serde_json::from_value(expected["rank_deficient_rows"].clone()).unwrap();
            let mut few = wells.with(wells.values.clone());
            few.is_control = (0..wells.batch.len())
                .map(|row| rows.contains(&row))
                .collect();
            let (_, sphered) = few.align(
                &Spherize {
                    epsilon,
                    ..Spherize::default()
                }
                .into(),
            );
            let absolute = self.tolerance("ZCA,ZCA-cor", "abs");
            let tolerance = Tolerance {
                absolute,
                up_to_sign: false,
            };
            self.compare("ZCA_rank_deficient.parquet", &sphered, tolerance);
        }
    }

    /// Values, batches and results of several settings, all in
    /// `expected.json`.
    fn check_batch_method(&self) {
        let expected = self.expected();
        let numbers =
            |rows: &Value| -> Vec<Vec<f64>> { serde_json::from_value(rows.clone()).unwrap() };
        let text = |key: &str| -> Option<Vec<String>> {
            serde_json::from_value(expected[key].clone()).unwrap()
        };
        let rows = numbers(&expected["values"]);
        let values = Mat::from_fn(rows.len(), rows[0].len(), |i, j| rows[i][j]);
        let (batch, covariate) = (text("batch").unwrap(), text("covariate"));
        let no_controls = vec![false; batch.len()];
        let input = AlignInput::new(values.as_ref(), &batch, &no_controls).unwrap();
        let input = match &covariate {
            Some(covariate) => input.with_covariate(covariate).unwrap(),
            None => input,
        };
        let every = expected["every"].as_u64().unwrap_or(1) as usize;
        let absolute = self.tolerance("all", "abs");
        let close =
            |found: f64, expect: f64| (found - expect).abs() <= absolute * expect.abs().max(1.0);
        for variant in expected["variants"].as_array().unwrap() {
            let settings = &variant["settings"];
            let mut with_name = settings.clone();
            with_name["method"] = self.json["kind"].clone();
            let method: AlignMethod = serde_json::from_value(with_name).unwrap();
            let fitted = match &method {
                AlignMethod::Harmony(method) => {
                    let initial = expected["initial_rows"].as_array().unwrap();
                    let initial = Mat::from_fn(initial.len(), values.ncols(), |i, j| {
                        values[(initial[i].as_u64().unwrap() as usize, j)]
                    });
                    method.fit_from(&input, Some(initial.as_ref())).unwrap()
                }
                method => method.fit(&input).unwrap(),
            };
            let aligned = fitted
                .transform_with_covariate(values.as_ref(), &batch, covariate.as_deref())
                .unwrap();
            let expect = numbers(&variant["aligned"]);
            assert_eq!(expect.len(), batch.len().div_ceil(every));
            for (row, expect) in expect.iter().enumerate() {
                for (&found, &expect) in aligned.row(row * every).iter().zip(expect) {
                    assert!(
                        close(found, expect),
                        "{settings}: row {} is {found} and not {expect}",
                        row * every
                    );
                }
            }
            if let Some(objective) = variant["objective"].as_array() {
                let found = &fitted.report().convergence.as_ref().unwrap().objective;
                assert_eq!(found.len(), objective.len(), "{settings}");
                for (&found, expect) in found.iter().zip(objective) {
                    assert!(
                        close(found, expect.as_f64().unwrap()),
                        "{settings}: {found}"
                    );
                }
            }
            let shrinkage = &fitted.report().shrinkage_per_batch;
            for (batch, found) in shrinkage {
                assert!(close(
                    *found,
                    expected["shrinkage"][batch].as_f64().unwrap()
                ));
            }
        }
    }

    fn check_cauchy(&self) {
        let relative = self.tolerance("p", "rel");
        // The second number is for very small values mixed with some near 1.
        let text = self.json["tolerance"]["p"].as_str().unwrap();
        let mixed: f64 = text
            .split("rel ")
            .nth(2)
            .and_then(|rest| rest.split_whitespace().next())
            .map_or(relative, |number| number.parse().unwrap());
        for case in self.expected()["cases"].as_array().unwrap() {
            let numbers = |key: &str| -> Option<Vec<f64>> {
                let values = case[key].as_array()?;
                Some(values.iter().map(|value| value.as_f64().unwrap()).collect())
            };
            let p = numbers("p").unwrap();
            let found = cauchy_combination(&p, numbers("weights").as_deref()).unwrap();
            let expect = case["expected"].as_f64().unwrap();
            let is_mixed = p.iter().any(|&p| p < 1e-3) && p.iter().any(|&p| p > 0.9);
            let relative = if is_mixed { mixed } else { relative };
            assert!(
                (found / expect - 1.0).abs() <= relative,
                "{p:?}: {found} and not {expect}"
            );
        }
    }

    fn check_chromosome_arm(&self) {
        let intervals = |file: &str, [name, chromosome, start, end]: [&str; 4]| -> Vec<Interval> {
            let features = Some(vec![start.to_owned(), end.to_owned()]);
            let options = ReadOptions {
                features,
                ..ReadOptions::default()
            };
            let (table, _) = read_profiles_with(&self.folder.join(file), &options).unwrap();
            let (names, chromosomes) = (table.keys(name).unwrap(), table.keys(chromosome).unwrap());
            (0..table.num_rows())
                .map(|row| Interval {
                    name: names[row].clone(),
                    chromosome: chromosomes[row].clone(),
                    start: table.row(row)[0] as u64,
                    end: table.row(row)[1] as u64,
                })
                .collect()
        };
        let transcripts = intervals(
            "transcripts.parquet",
            ["name2", "chrom", "txStart", "txEnd"],
        );
        let centromeres = intervals(
            "centromeres.parquet",
            ["chrom", "chrom", "chromStart", "chromEnd"],
        );
        let arms = gene_arms(&transcripts, &centromeres, LocFilter::AsPublished);
        let expect = intervals(
            "gene_arms.parquet",
            ["gene", "chrom_arm_name", "start", "end"],
        );
        let found: Vec<Interval> = arms
            .iter()
            .map(|arm| Interval {
                name: arm.gene.clone(),
                chromosome: arm.arm_name(),
                start: arm.start,
                end: arm.end,
            })
            .collect();
        assert_eq!(found, expect);
        let expected = self.expected();
        assert_eq!(
            arms.len() as u64,
            expected["n_genes_kept"].as_u64().unwrap()
        );

        // `zfpkm < -3`
        let query = self.json["config"]["subset_query"].as_str().unwrap();
        let (column, below) = query.split_once('<').unwrap();
        let unexpressed = ArmCentering {
            arm_column: "chromosome_arm".into(),
            expression_column: Some(column.trim().into()),
            unexpressed_below: below.trim().parse().unwrap(),
            min_num_genes: self.json["config"]["min_num_gene"].as_u64().unwrap() as usize,
        };
        let every = ArmCentering {
            expression_column: None,
            ..unexpressed.clone()
        };
        let table = self.table("table.parquet");
        for (file, centering) in [
            ("arm_means.parquet", &unexpressed),
            ("arm_means_all.parquet", &every),
        ] {
            let expect = self.table(file);
            let means = centering.arm_means(&table).unwrap();
            let names: Vec<&String> = means.keys().collect();
            assert_eq!(
                names,
                expect
                    .keys("chromosome_arm")
                    .unwrap()
                    .iter()
                    .collect::<Vec<_>>()
            );
            let found: Vec<f64> = means.values().flat_map(|mean| mean.mean.clone()).collect();
            let absolute = self.tolerance("arm means", "abs");
            self.compare_values(
                file,
                &found,
                &expect,
                Tolerance {
                    absolute,
                    up_to_sign: false,
                },
            );
        }
        let means = unexpressed.arm_means(&table).unwrap();
        assert_eq!(
            means.len() as u64,
            expected["n_arms_kept"].as_u64().unwrap()
        );
        for arm in expected["arms_with_exactly_20"].as_array().unwrap() {
            assert!(!means.contains_key(arm.as_str().unwrap()));
        }
        for arm in expected["arms_with_exactly_21"].as_array().unwrap() {
            assert_eq!(means[arm.as_str().unwrap()].num_rows, 21);
        }
        let centered = unexpressed.center(&table).unwrap();
        let expect = self.table("centered.parquet");
        let expect_rows = rows_of(&expect);
        let found: Vec<f64> = expect_rows
            .iter()
            .flat_map(|&row| centered.row(row))
            .collect();
        let absolute = self.tolerance("centered features", "abs");
        self.compare_values(
            "centered.parquet",
            &found,
            &expect,
            Tolerance {
                absolute,
                up_to_sign: false,
            },
        );
    }

    fn check_aggregate(&self) {
        let wells = self.table("wells.parquet");
        let keys_to_remove: Vec<String> =
            serde_json::from_value(self.json["config"]["keys_to_remove"].clone()).unwrap();
        let controls = ControlRule::new("pert", keys_to_remove.clone());
        let spherical = self.tolerance("spherical", "abs");
        let frechet = self.tolerance("spherical", "Frechet");
        let plain = self.tolerance("mean,median", "abs");
        for (name, average, absolute) in [
            ("mean", Average::Mean, plain),
            ("median", Average::Median, plain),
            ("spherical_projected", Average::Spherical, spherical),
            ("spherical_frechet", Average::SphericalFrechet, frechet),
        ] {
            for (suffix, origin) in [("", None), ("_centered", Some(controls.clone()))] {
                let file = format!("{name}{suffix}.parquet");
                if !self.has(&file) {
                    continue;
                }
                let expect = self.table(&file);
                let keys_to_remove = keys_to_remove.clone();
                let settings = Aggregate {
                    by: vec!["pert".into()],
                    average,
                    keys_to_remove,
                    origin,
                };
                let found = aggregate(&wells, &settings).unwrap();
                assert_eq!(found.keys("pert").unwrap(), expect.keys("pert").unwrap());
                let expected = self.expected();
                let texts = |key: &str| -> Vec<String> {
                    let values = expected[key].as_array().unwrap();
                    values
                        .iter()
                        .map(|v| v.as_str().map_or(v.to_string(), str::to_owned))
                        .collect()
                };
                assert_eq!(found.keys("pert").unwrap(), texts("keys"));
                assert_eq!(found.keys("Metadata_count").unwrap(), texts("counts"));
                let tolerance = Tolerance {
                    absolute,
                    up_to_sign: false,
                };
                self.compare_values(&file, &found.values(), &expect, tolerance);
            }
        }
    }
}

/// The rows that a table is about: those in its column `row`, or all.
fn rows_of(table: &Profiles) -> Vec<usize> {
    match table.keys("row") {
        Ok(rows) => rows.iter().map(|row| row.parse().unwrap()).collect(),
        Err(_) => (0..table.num_rows()).collect(),
    }
}

struct Wells {
    profiles: Profiles,
    values: Vec<f64>,
    batch: Vec<String>,
    is_control: Vec<bool>,
}

impl Wells {
    fn of(profiles: Profiles, control_key: &str) -> Self {
        let is_control = ControlRule::new("pert", [control_key])
            .select(&profiles)
            .unwrap();
        let batch = profiles.keys("batch").unwrap();
        let values = profiles.values().into_owned();
        Self {
            profiles,
            values,
            batch,
            is_control,
        }
    }

    /// Controls marked by a column of flags, and no batches.
    fn with_control_flags(profiles: Profiles) -> Self {
        let is_control = ControlRule::new("control", ["true"])
            .select(&profiles)
            .unwrap();
        let batch = vec![String::new(); profiles.num_rows()];
        let values = profiles.values().into_owned();
        Self {
            profiles,
            values,
            batch,
            is_control,
        }
    }

    /// The same wells with other features.
    fn with(&self, values: Vec<f64>) -> Self {
        Self {
            profiles: self.profiles.clone(),
            values,
            batch: self.batch.clone(),
            is_control: self.is_control.clone(),
        }
    }

    fn align(&self, method: &AlignMethod) -> (FittedAligner, Aligned) {
        let num_rows = self.batch.len();
        let values =
            MatRef::from_row_major_slice(&self.values, num_rows, self.values.len() / num_rows);
        let input = AlignInput::new(values, &self.batch, &self.is_control).unwrap();
        let fitted = method.fit(&input).unwrap();
        let aligned = fitted.transform(values, &self.batch).unwrap();
        (fitted, aligned)
    }
}

//! Every recipe of `configs/evaluate`: understood, and run at tiny scale on simulated
//! screens with networks that have hardly been trained.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::morphospace;

fn configs() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    folder.canonicalize().expect("the configurations are there")
}

/// A recipe and what its files say.
struct Row {
    /// `vitally_consistent/table1_dinov2_small`.
    name: String,
    path: PathBuf,
    /// Of it and those that it extends.
    text: String,
}

impl Row {
    fn inputs(&self) -> BTreeSet<&str> {
        let mut is_inputs = false;
        let mut inputs = BTreeSet::new();
        for line in self.text.lines() {
            if line.starts_with('[') {
                is_inputs = line == "[inputs]";
            } else if let Some((name, _)) = line.split_once(" = ").filter(|_| is_inputs) {
                inputs.insert(name);
            }
        }
        inputs
    }

    /// What its header says of its network.
    fn network(&self) -> Option<&str> {
        let mut lines = self.text.lines();
        lines.find_map(|line| line.strip_prefix("# Network: "))
    }
}

fn rows() -> Vec<Row> {
    let root = configs().join("evaluate");
    let mut rows = Vec::new();
    for entry in walkdir::WalkDir::new(&root).sort_by_file_name() {
        let path = entry.expect("a folder").into_path();
        let name = path.file_name().expect("a name").to_string_lossy();
        if path.extension().is_none_or(|end| end != "toml") || name.starts_with('_') {
            continue;
        }
        let mut text = fs::read_to_string(&path).expect("a recipe");
        let base = text
            .lines()
            .find_map(|line| line.strip_prefix("extends = "));
        if let Some(base) = base.map(|base| path.with_file_name(base.trim_matches('"'))) {
            text.push_str(&fs::read_to_string(base).expect("a base"));
        }
        let name = path.strip_prefix(&root).expect("below").with_extension("");
        rows.push(Row {
            name: name.to_string_lossy().into_owned(),
            path,
            text,
        });
    }
    assert!(rows.len() > 90, "{} recipes", rows.len());
    rows
}

#[test]
fn every_recipe_is_understood_at_full_and_at_tiny_scale() {
    let folder = tempfile::tempdir().expect("a folder");
    for row in rows() {
        let inputs: Vec<String> = row
            .inputs()
            .iter()
            .map(|name| format!("{name}=x"))
            .collect();
        assert!(
            inputs.contains(&"screen=x".to_owned()) || inputs.contains(&"profiles=x".to_owned())
        );
        let scales: &[&[&str]] = match row.text.contains("[scales.tiny]") {
            true => &[&[], &["--set", "scale=tiny"]],
            false => &[&[]],
        };
        for scale in scales {
            let mut args = vec!["run", row.path.to_str().expect("text"), "--output", "out"];
            args.push("--dry-run");
            inputs
                .iter()
                .for_each(|input| args.extend(["--input", input]));
            args.extend(*scale);
            let run = morphospace(folder.path(), &args);
            assert_eq!(run.status, 0, "{}: {}", row.name, run.stderr);
            assert!(run.stdout.contains("morphospace "), "{}", row.name);
        }
    }
    assert!(
        !folder.path().join("out").exists(),
        "a dry run writes nothing"
    );
}

/// 16-bit TIFFs of five channels, and weights as OpenPhenom's are laid out.
#[test]
fn a_plate_of_ones_own_becomes_aligned_profiles_in_one_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ground = Ground::new(folder.path());
    let run = ground.network("configs/train/vitally_consistent/camae_vit_small_patch16_rxrx3.toml");
    let checkpoint = fs::read_dir(run.join("checkpoints"))
        .expect("checkpoints")
        .next();
    let checkpoint = checkpoint.expect("one").expect("a folder").path();
    let weights = format!("weights={}", checkpoint.join("model.safetensors").display());
    let network = format!(
        "values.network={}",
        checkpoint.join("config.json").display()
    );
    let recipe = configs().join("evaluate/profiles.toml");
    let args = [
        "run",
        recipe.to_str().expect("text"),
        "--input",
        "screen=jump",
        "--input",
        &weights,
        "--set",
        &network,
        "--output",
        "profiles",
    ];
    morphospace(folder.path(), &args).expect_status(0);
    let aligned = folder.path().join("profiles/aligned.parquet");
    let aligned = morphospace_profiles::read_profiles(&aligned).expect("profiles");
    assert_eq!(aligned.num_rows(), 74);
    assert!(folder.path().join("profiles/report.html").exists());
}

/// Small screens, networks and tables for every recipe.
struct Ground {
    folder: PathBuf,
    networks: BTreeMap<String, PathBuf>,
}

impl Ground {
    fn new(folder: &Path) -> Self {
        let simulate = |args: &[&str]| {
            let run = morphospace(folder, &[&["simulate"], args].concat());
            assert_eq!(run.status, 0, "{}", run.stderr);
        };
        let tiny = configs().join("simulators/tiny_training.toml");
        simulate(&[
            "--config",
            tiny.to_str().expect("text"),
            "--output",
            "rxrx1",
        ]);
        let of_genes = [
            "--set",
            "magnification=0.5",
            "--set",
            "num_groups=7",
            "--set",
            "group_size=4",
            "--set",
            "num_negative_controls=8",
        ];
        let rxrx3 = [
            "--layout",
            "rxrx3",
            "--set",
            "image_px=192",
            "--set",
            "num_rows=12",
            "--set",
            "num_replicates=2",
            "--set",
            "num_columns=12",
            "--set",
            "num_guides=2",
            "--set",
            "num_positive_controls=2",
            "--output",
            "rxrx3",
        ];
        simulate(&[&of_genes[..], &rxrx3].concat());
        let jump = [
            "--layout",
            "jump",
            "--set",
            "image_px=96",
            "--set",
            "num_sites=1",
            "--set",
            "num_rows=6",
            "--set",
            "num_columns=10",
            "--output",
            "jump",
        ];
        simulate(&[&of_genes[..], &jump].concat());
        let split = "split rxrx1 --scheme leave-experiment-out --experiments HUVEC-02 \
                     --validation-experiments HUVEC-01 --output split.parquet";
        let split: Vec<&str> = split.split_whitespace().collect();
        assert_eq!(morphospace(folder, &split).status, 0);
        let ground = Self {
            folder: folder.to_owned(),
            networks: BTreeMap::new(),
        };
        ground.write_core();
        ground.write_tables();
        ground
    }

    /// RxRx3-core's mixture of genes and compounds, of which the simulator makes
    /// genes only: the second experiment's guides become compounds.
    fn write_core(&self) {
        let from = self.folder.join("rxrx3");
        let to = self.folder.join("core");
        for entry in walkdir::WalkDir::new(&from) {
            let path = entry.expect("a file").into_path();
            let below = path
                .strip_prefix(&from)
                .expect("below")
                .to_string_lossy()
                .into_owned();
            let target = to.join(below.replace("gene-002", "compound-001"));
            if path.is_dir() {
                fs::create_dir_all(target).expect("a folder");
            } else if path
                .file_name()
                .is_some_and(|name| name != "metadata_rxrx3.csv")
            {
                fs::copy(&path, target).expect("a file");
            }
        }
        let text = fs::read_to_string(from.join("metadata_rxrx3.csv")).expect("metadata");
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
        let column = |name: &str| header.iter().position(|other| *other == name).expect(name);
        let (treatment, kind) = (column("treatment"), column("perturbation_type"));
        let (gene, smiles) = (column("gene"), column("SMILES"));
        let concentration = column("concentration");
        let mut made = vec![header.join(",")];
        for line in lines {
            let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
            if line.contains("gene-002") {
                cells = cells
                    .iter()
                    .map(|cell| cell.replace("gene-002", "compound-001"))
                    .collect();
                cells[kind] = "COMPOUND".to_owned();
                if let Some((name, guide)) = cells[treatment].clone().split_once("_guide_") {
                    cells[treatment] = format!("C-{name}");
                    cells[gene].clear();
                    cells[smiles] = "C".to_owned();
                    cells[concentration] = ["0.1", "1.0"][usize::from(guide == "2")].to_owned();
                }
            }
            made.push(cells.join(","));
        }
        fs::write(to.join("metadata_rxrx3.csv"), made.join("\n") + "\n").expect("metadata");
    }

    fn write_tables(&self) {
        let path = |name: &str| self.folder.join(name);
        let relationships = fs::read_to_string(path("rxrx3/relationships.csv")).expect("pairs");
        for folder in ["annotations", "gene_sets"] {
            fs::create_dir_all(path(folder)).expect("a folder");
        }
        for name in ["CORUM", "HuMAP", "Reactome", "StringDB"] {
            fs::write(path(&format!("annotations/{name}.txt")), &relationships).expect("a file");
        }
        let genes: BTreeSet<&str> = relationships
            .lines()
            .skip(1)
            .flat_map(|line| line.split(','))
            .collect();
        let genes: Vec<&str> = genes.into_iter().collect();
        let arms: String = genes
            .iter()
            .enumerate()
            .map(|(index, gene)| format!("{gene},chr{}q\n", 1 + index % 2))
            .collect();
        fs::write(path("arms.csv"), format!("gene,chromosome_arm\n{arms}")).expect("a file");
        for (set, genes) in (1..=3).zip(genes.chunks(genes.len().div_ceil(3))) {
            fs::write(path(&format!("gene_sets/{set}.txt")), genes.join("\n")).expect("a file");
        }
        let groups: String = genes
            .iter()
            .enumerate()
            .map(|(index, gene)| format!("group {}\t{gene}\n", index / 4))
            .collect();
        fs::write(path("groups.tsv"), format!("group\tgene\n{groups}")).expect("a file");
        let pairs: String = genes
            .iter()
            .enumerate()
            .map(|(index, gene)| {
                let other = genes[(index + 1) % genes.len()];
                format!("{gene},50,C-{gene}\n{other},100000,C-{gene}\n")
            })
            .collect();
        let header = "gene_symbol,nM_value,treatment\n";
        fs::write(path("interactions.csv"), format!("{header}{pairs}")).expect("a file");
    }

    /// A network of a training configuration at tiny scale, hardly trained.
    fn network(&mut self, config: &str) -> PathBuf {
        if let Some(network) = self.networks.get(config) {
            return network.clone();
        }
        let name = config.replace(['/', '.'], "-");
        let path = self.folder.join(name);
        let text = path.to_string_lossy().into_owned();
        let config_path = configs().join("..").join(config);
        let mut args = vec![
            "train",
            "rxrx1",
            "--split",
            "split.parquet",
            "--config",
            config_path.to_str().expect("text"),
            "--set",
            "scale=tiny",
            "--set",
            "length=12 steps",
            "--output",
            &text,
        ];
        // Fine-tuned: what it begins with is as large as itself.
        let init = fs::read_to_string(&config_path).is_ok_and(|text| text.contains("[init]"));
        let begun = init.then(|| {
            let config = "configs/train/masked_autoencoders/mae_vit_large_patch8_rpi.toml";
            format!("init.checkpoint={}", self.network(config).display())
        });
        if let Some(begun) = &begun {
            args.extend(["--set", begun]);
        }
        let run = morphospace(&self.folder, &args);
        assert_eq!(run.status, 0, "{config}: {}", run.stderr);
        self.networks.insert(config.to_owned(), path.clone());
        path
    }

    /// Follows a recipe; the tables that it prints.
    fn follow(&mut self, row: &Row) -> String {
        let screen = match &row.name {
            name if name.starts_with("rxrx1") || name.starts_with("self_sup") => "rxrx1",
            name if name.contains("probe_rxrx1") => "rxrx1",
            name if name.contains("/table2") && name.starts_with("vitally") => "jump",
            name if name.contains("/table3") || name.contains("/table6") => "core",
            _ => "rxrx3",
        };
        let mut args: Vec<String> = vec!["run".into(), row.path.to_string_lossy().into_owned()];
        args.extend(["--output".into(), format!("out/{}", row.name)]);
        if row.text.contains("[scales.tiny]") {
            args.extend(["--set".into(), "scale=tiny".into()]);
        }
        for input in row.inputs() {
            let value = match input {
                "screen" => screen.to_owned(),
                "annotations" | "gene_sets" => input.to_owned(),
                "arms" => "arms.csv".to_owned(),
                "interactions" => "interactions.csv".to_owned(),
                "network" => {
                    let network = row.network().expect("a header names its network");
                    let config = match network.starts_with("configs/") {
                        true => network,
                        false => {
                            "configs/train/vitally_consistent/dinov2_vit_large_patch16_rxrx3.toml"
                        }
                    };
                    self.network(config).to_string_lossy().into_owned()
                }
                "profiles" => self.cell_profiler(),
                other => panic!("{}: what is input '{other}'?", row.name),
            };
            args.extend(["--input".into(), format!("{input}={value}")]);
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let run = morphospace(&self.folder, &args);
        assert_eq!(
            run.status,
            0,
            "{}: {}\n{}",
            row.name,
            args.join(" "),
            run.stderr
        );
        // All of it is done.
        let again = morphospace(&self.folder, &args);
        assert_eq!(again.status, 0, "{}: {}", row.name, again.stderr);
        let num_steps = again
            .stderr
            .lines()
            .filter(|line| line.starts_with('['))
            .count();
        let num_done = again.stderr.matches(": done before").count();
        assert_eq!(num_done, num_steps, "{}: {}", row.name, again.stderr);
        run.stdout
    }

    /// Features of JUMP's wells, for which intensities stand.
    fn cell_profiler(&self) -> String {
        let args = [
            "embed",
            "jump",
            "--network",
            "intensity",
            "--output",
            "cp.parquet",
        ];
        let run = morphospace(&self.folder, &args);
        assert_eq!(run.status, 0, "{}", run.stderr);
        "cp.parquet".to_owned()
    }
}

fn follow_those(wanted: impl Fn(&str) -> bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut ground = Ground::new(folder.path());
    let mut followed = Vec::new();
    for row in rows()
        .iter()
        .filter(|row| row.name != "profiles" && wanted(&row.name))
    {
        let tables = ground.follow(row);
        for line in tables
            .lines()
            .filter(|line| line.starts_with("| ") && !line.starts_with("| |"))
        {
            assert!(
                !line.contains(" - "),
                "{}: a score is missing: {tables}",
                row.name
            );
        }
        followed.push(format!("out/{}", row.name));
    }
    // Rows of one table stand below each other.
    let with_tables: Vec<&str> = followed
        .iter()
        .map(String::as_str)
        .filter(|path| !path.ends_with("curation"))
        .collect();
    let args = [&["collect", "--output", "tables.html"], &with_tables[..]].concat();
    let collected = morphospace(folder.path(), &args);
    assert_eq!(collected.status, 0, "{}", collected.stderr);
}

#[test]
fn a_recipe_of_each_kind_runs_at_tiny_scale() {
    let kinds = [
        "rxrx1/table4_all_per_plate",
        "self_supervised/table2_simclr",
        "masked_autoencoders/table1_wsl_densenet161_rxrx1_adabn",
        "masked_autoencoders/table1_shuffled",
        "masked_autoencoders/table2_mae_vit_small_patch16_rxrx3",
        "vitally_consistent/table1_mae_vit_gigantic_patch8_phenoprints_trimmed",
        "vitally_consistent/table2_camae_vit_small_patch16_rxrx3",
        "vitally_consistent/table3_random",
        "vitally_consistent/probe_rxrx1",
        "vitally_consistent/curation",
    ];
    follow_those(|name| kinds.contains(&name));
}

macro_rules! every_recipe_runs_at_tiny_scale {
    ($($name:ident),*) => {$(
        #[test]
        #[ignore = "all of configs/evaluate: cargo test --workspace --test it -- --ignored evaluations::of_"]
        fn $name() {
            let folder = stringify!($name).strip_prefix("of_").expect("a prefix");
            follow_those(|name| name.starts_with(&format!("{folder}/")));
        }
    )*};
}

every_recipe_runs_at_tiny_scale!(
    of_masked_autoencoders,
    of_rxrx1,
    of_self_supervised,
    of_vitally_consistent
);

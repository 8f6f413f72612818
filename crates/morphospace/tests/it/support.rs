//! Running the program and making small screens for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A simulated screen that takes a second: two experiments, one plate each,
/// 64-pixel images.
pub(crate) const TINY_SIMULATOR: &str = r#"
seed = 3
experiments = ["HUVEC-01", "HUVEC-02"]
test_experiments = ["HUVEC-02"]
num_plates = 1
num_rows = 5
num_columns = 8
image_px = 64
num_groups = 7
group_size = 3
num_replicates = 1
num_negative_controls = 12
num_positive_controls = 1
"#;

/// A network that takes a second to train.
pub(crate) const TINY_TRAINING: &str = r#"
seed = 3
length = "6 steps"
batch_size = 4
checkpoint_minutes = 100.0

[network]
kind = "mae"

[network.config.encoder]
img_size = 64
patch_size = 16
in_chans = 6
embed_dim = 32
depth = 2
num_heads = 2
init_values = 0.1
drop_path_rate = 0.1

[network.config.decoder]
embed_dim = 32
depth = 1
num_heads = 2

[optimiser]
rule = "adam_w"
learning_rate = 1e-3

[schedule]
kind = "one_cycle"
pct_start = 0.1
"#;

/// What a run of the program came to.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program in a folder.
pub(crate) fn morphospace(folder: &Path, args: &[&str]) -> Run {
    morphospace_with(folder, args, &[])
}

/// Runs the program in a folder, with variables of the environment.
pub(crate) fn morphospace_with(
    folder: &Path,
    args: &[&str],
    environment: &[(String, String)],
) -> Run {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_morphospace"))
        .args(args)
        .current_dir(folder)
        .env_remove("MORPHOSPACE_DEVICE")
        .envs(environment.iter().cloned())
        .output()
        .expect("the program starts");
    Run {
        status: status.code().expect("not killed"),
        stdout: String::from_utf8_lossy(&stdout).into_owned(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

impl Run {
    /// Fails the test with what was printed unless the status is as expected.
    #[track_caller]
    pub(crate) fn expect_status(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "stdout:\n{}\nstderr:\n{}",
            self.stdout, self.stderr
        );
        self
    }

    /// Fails the test unless standard error holds every part.
    #[track_caller]
    pub(crate) fn expect_stderr(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "no '{part}' in:\n{}",
                self.stderr
            );
        }
        self
    }
}

/// Writes `screen/` and `train.toml` into a folder.
pub(crate) fn tiny_screen(folder: &Path) {
    fs::write(folder.join("simulator.toml"), TINY_SIMULATOR).expect("written");
    fs::write(folder.join("train.toml"), TINY_TRAINING).expect("written");
    let args = [
        "simulate",
        "--config",
        "simulator.toml",
        "--output",
        "screen",
    ];
    morphospace(folder, &args).expect_status(0);
}

/// The image of the first site in the metadata, e.g. `.../B02_s1_w4.png`.
pub(crate) fn first_image(folder: &Path, channel: usize) -> PathBuf {
    let metadata = fs::read_to_string(folder.join("screen/metadata.csv")).unwrap();
    let site: Vec<&str> = metadata.lines().nth(1).unwrap().split(',').collect();
    folder.join(format!(
        "screen/images/HUVEC-01/Plate1/{}_s1_w{channel}.png",
        site[6]
    ))
}

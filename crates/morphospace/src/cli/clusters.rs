//! Arguments of the command that hands work to a cluster's scheduler.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    /// Who runs the parts
    #[arg(long)]
    pub(crate) scheduler: SchedulerArg,
    /// Parts, at most as many as there are plates
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) parts: u32,
    /// Parts that run at a time [default: as many as there is room for]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) at_a_time: Option<u32>,
    /// Name of the job
    #[arg(long, default_value = "morphospace-embed", value_name = "NAME")]
    pub(crate) name: String,
    /// Cores of a part
    #[arg(long, default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) cpus: u32,
    /// Memory of a part in GiB
    #[arg(long, default_value_t = 32, value_name = "GIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) memory: u32,
    /// Accelerators of a part
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub(crate) gpus: u32,
    /// Longest time of a part in hours
    #[arg(long, default_value_t = 24, value_name = "HOURS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) hours: u32,
    /// Partition, of Slurm
    #[arg(long, value_name = "NAME")]
    pub(crate) partition: Option<String>,
    /// Container image with the program, of Kubernetes
    #[arg(long, value_name = "IMAGE", required_if_eq("scheduler", "kubernetes"))]
    pub(crate) image: Option<String>,
    /// Claim of the volume with the screen and the output, of Kubernetes
    #[arg(long, value_name = "CLAIM", required_if_eq("scheduler", "kubernetes"))]
    pub(crate) volume_claim: Option<String>,
    /// Where the volume is mounted, of Kubernetes
    #[arg(long, default_value = "/data", value_name = "PATH")]
    pub(crate) mount: String,
    /// Job file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) job: PathBuf,
    /// Write the job file and hand in nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The command, behind `--`: embed SCREEN --network NETWORK --output FOLDER ...
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchedulerArg {
    /// An array job, handed in with sbatch
    Slurm,
    /// An indexed job, handed in with kubectl
    Kubernetes,
}

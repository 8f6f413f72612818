use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::Command as Process;

use anyhow::{Context, Result, bail};
use clap::Parser;
use morphospace_core::{PlateKey, write_atomically};
use morphospace_screen::store::is_url;

use crate::cli::{Cli, Command, EmbedArgs, SchedulerArg, SubmitArgs};
use crate::failure::{Failure, Outcome, Phase};
use crate::terminal::warn;

/// Retries of a part of an indexed job before it counts as failed.
const NUM_RETRIES: u32 = 3;

/// Seconds before its time is up at which a part is told to end.
const SECONDS_TO_END: u32 = 120;

pub(crate) fn run(args: &SubmitArgs) -> Result<Outcome, Failure> {
    let embed = check_command(&args.command).or_refuse()?;
    if args.scheduler == SchedulerArg::Slurm {
        warn_of_what_is_not_here(args, &embed).or_refuse()?;
    }
    check_name(&args.name).or_refuse()?;
    super::refuse_unwritable(&args.job)?;
    refuse_other_file(&args.job).or_refuse()?;
    let (text, program, flags): (String, &str, &[&str]) = match args.scheduler {
        SchedulerArg::Slurm => (slurm(args), "sbatch", &["--parsable"]),
        SchedulerArg::Kubernetes => (kubernetes(args), "kubectl", &["apply", "--filename"]),
    };
    write_atomically(&args.job, |file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write '{}'", args.job.display()))
        .or_stop()?;
    if args.dry_run {
        crate::print_line!("{}", args.job.display());
        return Ok(Outcome::Done);
    }
    let status = Process::new(program)
        .args(flags)
        .arg(&args.job)
        .status()
        .with_context(|| {
            format!(
                "cannot start '{program}'\nhint: '{}' is written; hand it in where {program} is, or \
                 write it with --dry-run",
                args.job.display()
            )
        })
        .or_stop()?;
    match status.success() {
        true => Ok(Outcome::Done),
        false => Err(Failure::Stopped(anyhow::anyhow!(
            "'{program}' did not take '{job}' ({status})\nhint: the job is written; `{program} {} \
             {job}` hands it in",
            flags.join(" "),
            job = args.job.display()
        ))),
    }
}

/// What every part will run is looked at once, before a thousand parts fail at it.
fn check_command(command: &[String]) -> Result<EmbedArgs> {
    if command.first().is_some_and(|word| word == "morphospace") {
        bail!("behind '--' stands what follows 'morphospace'\nhint: leave that word out");
    }
    let words = ["morphospace".to_owned()];
    let parsed = Cli::try_parse_from(words.iter().chain(command)).map_err(|error| {
        let text = error.to_string();
        let text = text.trim_start_matches("error: ").trim_end().to_owned();
        anyhow::anyhow!("behind '--': {text}")
    })?;
    let Command::Embed(embed) = parsed.command else {
        bail!(
            "only `embed` runs in parts\nhint: give embed SCREEN --network NETWORK ... behind '--'"
        );
    };
    if super::is_table(&embed.output) {
        bail!(
            "'{}' is a table, which only one process writes\nhint: name a folder with --output",
            embed.output.display()
        );
    }
    if embed.shard.is_some() {
        bail!("--shard is added for every part\nhint: leave it out");
    }
    Ok(embed)
}

/// Machines of a Slurm cluster see the same files: what is not here is hardly there.
fn warn_of_what_is_not_here(args: &SubmitArgs, embed: &EmbedArgs) -> Result<()> {
    let network = embed.network.to_string();
    if !network.contains(':') && network != "intensity" && !Path::new(&network).exists() {
        warn(format!("there is no network '{network}' on this machine"));
    }
    let screen = &embed.screen.screen;
    if !screen.to_str().is_some_and(is_url) && !screen.exists() {
        warn(format!(
            "there is no screen '{}' on this machine",
            screen.display()
        ));
        return Ok(());
    }
    let plates: BTreeSet<PlateKey> = super::open(&embed.screen)?
        .sites()
        .iter()
        .map(|site| site.key.plate.clone())
        .collect();
    if plates.len() < args.parts as usize {
        warn(format!(
            "{} parts for {} plates: those beyond have nothing to do",
            args.parts,
            plates.len()
        ));
    }
    Ok(())
}

/// A job may be written anew, another file not.
fn refuse_other_file(path: &Path) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return match path.exists() {
            true => bail!("'{}' is no job file and stays as it is", path.display()),
            false => Ok(()),
        };
    };
    let is_job = text.starts_with("#!/bin/bash\n#SBATCH") || text.contains("\"batch/v1\"");
    match is_job {
        true => Ok(()),
        false => bail!(
            "'{}' is no job file and stays as it is\nhint: name another with --job",
            path.display()
        ),
    }
}

/// Names of Kubernetes, which Slurm takes too.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = (1..=50).contains(&name.len())
        && name.bytes().all(is_plain)
        && !name.starts_with('-')
        && !name.ends_with('-');
    match is_name {
        true => Ok(()),
        false => bail!(
            "'{name}' is no name of a job\nhint: take lower-case letters, digits and inner dashes, at \
             most 50"
        ),
    }
}

/// The command as a shell takes it.
fn shell_words(command: &[String]) -> String {
    let quoted = |word: &String| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(&byte);
        match !word.is_empty() && word.bytes().all(is_plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    };
    command.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn slurm(args: &SubmitArgs) -> String {
    let mut text = String::from("#!/bin/bash\n");
    let mut option = |name: &str, value: String| {
        writeln!(text, "#SBATCH --{name}={value}").expect("a string takes any text");
    };
    let at_a_time = args
        .at_a_time
        .map_or(String::new(), |most| format!("%{most}"));
    option("job-name", args.name.clone());
    option("array", format!("0-{}{at_a_time}", args.parts - 1));
    option("cpus-per-task", args.cpus.to_string());
    option("mem", format!("{}G", args.memory));
    if args.gpus > 0 {
        option("gpus", args.gpus.to_string());
    }
    option("time", format!("{}:00:00", args.hours));
    if let Some(partition) = &args.partition {
        option("partition", partition.clone());
    }
    // Told to end, a part drops the plate at hand; handed in again, it goes on.
    option("signal", format!("B:TERM@{SECONDS_TO_END}"));
    text.push_str(
        "#SBATCH --requeue\n#SBATCH --output=%x-%A_%a.log\n#SBATCH --open-mode=append\n\n",
    );
    // With the number of all parts, so that some can be handed in again alone.
    writeln!(
        text,
        "exec morphospace {} --shard \"$SLURM_ARRAY_TASK_ID/{}\"",
        shell_words(&args.command),
        args.parts
    )
    .expect("a string takes any text");
    text
}

fn kubernetes(args: &SubmitArgs) -> String {
    // JSON, which YAML is a superset of: nothing has to be quoted by hand.
    let mut command = vec!["morphospace".to_owned()];
    command.extend(args.command.iter().cloned());
    command.extend(["--shard".to_owned(), "auto".to_owned()]);
    let mut resources = serde_json::json!({
        "cpu": args.cpus.to_string(),
        "memory": format!("{}Gi", args.memory),
    });
    if args.gpus > 0 {
        resources["nvidia.com/gpu"] = args.gpus.to_string().into();
    }
    let parallelism = args.at_a_time.unwrap_or(args.parts).min(args.parts);
    let job = serde_json::json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": args.name },
        "spec": {
            "completionMode": "Indexed",
            "completions": args.parts,
            "parallelism": parallelism,
            "backoffLimitPerIndex": NUM_RETRIES,
            "template": {
                "spec": {
                    // Of a part; of the job it would be the time of all of them.
                    "activeDeadlineSeconds": u64::from(args.hours) * 3600,
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": SECONDS_TO_END,
                    "containers": [{
                        "name": "morphospace",
                        "image": args.image,
                        "command": command,
                        "workingDir": args.mount,
                        "env": [{ "name": "JOB_COMPLETIONS", "value": args.parts.to_string() }],
                        "resources": { "requests": resources, "limits": resources },
                        "volumeMounts": [{ "name": "data", "mountPath": args.mount }],
                    }],
                    "volumes": [{
                        "name": "data",
                        "persistentVolumeClaim": { "claimName": args.volume_claim },
                    }],
                },
            },
        },
    });
    let mut text = serde_json::to_string_pretty(&job).expect("a job is JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        let words = ["embed", "my screen", "it's", "a=b,c", "", "$HOME"].map(str::to_owned);
        assert_eq!(
            shell_words(&words),
            "embed 'my screen' 'it'\\''s' a=b,c '' '$HOME'"
        );
    }

    #[test]
    fn names_are_those_of_kubernetes() {
        assert!(check_name("rxrx3-genes-1").is_ok());
        for name in ["", "-a", "a-", "A", "a_b", "a b", &"a".repeat(51)] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}

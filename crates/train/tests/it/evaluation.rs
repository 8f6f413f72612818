//! What is looked at on the way, and what ends a run.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::tensor::Device;
use morphospace_screen::sampler::{OnUnpaired, Remainder, SamplerChoice};
use morphospace_screen::{LoaderOptions, Screen, open_screen};
use morphospace_train::{
    Clip, EmbeddedSites, EvaluationConfig, EvaluationReport, InitConfig, Observer, ParameterGroup,
    Schedule, Span, TrainConfig, TrainError, TrainSummary, TrainingData, best_checkpoint,
    latest_checkpoint, train,
};

use crate::support::{adam_w, screen_of, tiny_run};

/// Gives every evaluation the next of some scores, and notes what it is shown.
#[derive(Default)]
struct Judge {
    scores: Vec<f64>,
    shown: Vec<(EmbeddedSites, EmbeddedSites)>,
    best: Vec<bool>,
}

impl Observer for Judge {
    fn probe(
        &mut self,
        training: &EmbeddedSites,
        validation: &EmbeddedSites,
    ) -> Result<BTreeMap<String, f64>, Box<dyn Error + Send + Sync>> {
        self.shown.push((training.clone(), validation.clone()));
        let score = self.scores.get(self.shown.len() - 1);
        let score = score.ok_or("there is no score left")?;
        Ok(BTreeMap::from([("probe/score".to_owned(), *score)]))
    }

    fn on_evaluation(&mut self, _report: &EvaluationReport, is_best: bool) {
        self.best.push(is_best);
    }
}

fn run(
    (training, validation): (&dyn Screen, &dyn Screen),
    config: TrainConfig,
    folder: &Path,
    observer: &mut dyn Observer,
) -> Result<TrainSummary, Box<TrainError>> {
    let data = TrainingData {
        training,
        validation: Some(validation),
    };
    let device = Device::default();
    let config = config.check()?;
    let trained = train(
        &config,
        data,
        folder,
        &device,
        LoaderOptions::default(),
        observer,
    );
    Ok(trained?)
}

fn judged(patience: Option<u32>) -> TrainConfig {
    TrainConfig {
        length: Span::Steps(10),
        schedule: Schedule::Constant,
        checkpoint_minutes: 1e3,
        evaluation: EvaluationConfig {
            every: Span::Steps(2),
            metric: "probe/score".to_owned(),
            goal: morphospace_train::Goal::Max,
            patience,
            probe_sites: 4,
            ..EvaluationConfig::default()
        },
        ..tiny_run()
    }
}

#[test]
fn a_score_that_there_is_not_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let training = screen_of(&["RPE-01"], &folder.path().join("training"));
    let validation = screen_of(&["RPE-02"], &folder.path().join("validation"));
    let screens = (&*training, &*validation);
    let watching = |metric: &str| {
        let mut config = judged(None);
        config.evaluation.metric = metric.to_owned();
        let mut judge = Judge {
            scores: vec![0.1; 5],
            ..Judge::default()
        };
        let run_folder = folder.path().join(metric.replace('/', "-"));
        let error = run(screens, config, &run_folder, &mut judge).unwrap_err();
        (error.to_string(), judge.shown.len())
    };
    let (error, num_evaluations) = watching("validation/msee");
    assert!(
        error
            .contains("'validation/msee' is no score of this run (did you mean 'validation/mse'?)")
            && error.contains("there are validation/loss, validation/mse"),
        "{error}"
    );
    assert_eq!(num_evaluations, 0);
    // Those of probes are known once there is one.
    let (error, num_evaluations) = watching("probe/scores");
    assert!(error.contains("did you mean 'probe/score'?"), "{error}");
    assert_eq!(num_evaluations, 1);
}

#[test]
fn a_run_without_better_scores_ends_and_keeps_its_best() {
    let folder = tempfile::tempdir().unwrap();
    let training = screen_of(&["RPE-01"], &folder.path().join("training"));
    let validation = screen_of(&["RPE-02"], &folder.path().join("validation"));
    let screens = (&*training, &*validation);
    let run_folder = folder.path().join("run");
    let mut judge = Judge {
        scores: vec![0.1, 0.3, 0.2, 0.3],
        ..Judge::default()
    };
    let summary = run(screens, judged(Some(2)), &run_folder, &mut judge).unwrap();
    assert!(summary.is_early);
    assert_eq!((summary.steps.len(), summary.num_steps), (8, 10));
    assert_eq!(judge.best, [true, true, false, false]);
    let best = best_checkpoint(&run_folder).unwrap().unwrap();
    assert_eq!(best.num_steps_done, 4);
    assert_eq!(
        latest_checkpoint(&run_folder)
            .unwrap()
            .unwrap()
            .num_steps_done,
        8
    );
    // It is over: nothing is done and nothing is asked.
    let again = run(screens, judged(Some(2)), &run_folder, &mut Judge::default()).unwrap();
    assert_eq!((again.first_step, again.steps.len()), (8, 0));
    // The validation loss is there, too, and its parts.
    let scores = &summary.evaluations[0].scores;
    assert!(scores["validation/loss"] > 0.0 && scores.contains_key("validation/mse"));
    // Four sites of each part, those of training first.
    for (training, validation) in &judge.shown {
        for sites in [training, validation] {
            assert_eq!(sites.classes.len(), 4);
            assert_eq!(sites.values.len(), 4 * sites.num_features);
        }
        assert_ne!(training.values, validation.values);
    }
    // The network has moved in between.
    assert_ne!(judge.shown[0].0.values, judge.shown[1].0.values);
}

#[test]
fn a_probe_that_fails_stops_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["RPE-01"], &folder.path().join("screen"));
    let screens = (&*screen, &*screen);
    let mut judge = Judge::default();
    let error = run(
        screens,
        judged(None),
        &folder.path().join("run"),
        &mut judge,
    )
    .unwrap_err();
    assert!(matches!(*error, TrainError::Probe(_)), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_before_weights_move() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["RPE-01"], &folder.path().join("screen"));
    let screens = (&*screen, &*screen);
    let run_folder = folder.path().join("run");
    let config = TrainConfig {
        optimiser: adam_w(1e30),
        schedule: Schedule::Constant,
        checkpoint_minutes: 0.0,
        clip: Some(Clip::Global { length: 1.0 }),
        evaluation: EvaluationConfig {
            keep_best: false,
            ..EvaluationConfig::default()
        },
        ..tiny_run()
    };
    let error = run(screens, config.clone(), &run_folder, &mut ()).unwrap_err();
    let message = error.to_string();
    match *error {
        TrainError::LossNotFinite { step, .. } => {
            assert!(message.contains("RPE-01 plate 1 well"), "{message}");
            assert!(step > 0);
        }
        TrainError::GradientNotFinite { step } => assert!(step > 0),
        other => panic!("{other}"),
    }
    assert!(
        message.contains("the last checkpoint is intact"),
        "{message}"
    );
    // What was written before the loss went wrong is whole, and ends alike.
    let last = latest_checkpoint(&run_folder).unwrap().unwrap();
    assert!(last.num_steps_done > 0);
    let again = run(screens, config, &run_folder, &mut ()).unwrap_err();
    assert_eq!(again.to_string(), message);
}

#[test]
fn pairs_of_unknown_labels_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let screen_folder = folder.path().join("screen");
    screen_of(&["HUVEC-01", "HUVEC-02"], &screen_folder);
    let table = screen_folder.join("metadata.csv");
    let text = std::fs::read_to_string(&table).unwrap();
    let mut lines: Vec<Vec<String>> = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect();
    let column = |name: &str| lines[0].iter().position(|column| column == name).unwrap();
    let (sirna, sirna_id) = (column("sirna"), column("sirna_id"));
    for line in &mut lines[1..] {
        line[sirna] = String::new();
        line[sirna_id] = String::new();
    }
    let lines: Vec<String> = lines.iter().map(|line| line.join(",")).collect();
    std::fs::write(&table, lines.join("\n")).unwrap();
    let screen = open_screen(&screen_folder, None).unwrap();
    let text = "
seed = 1
length = '2 steps'
batch_size = 4
[network]
kind = 'plain_vit'
config = { img_size = 32, patch_size = 8, embed_dim = 24, depth = 1, num_heads = 2 }
[objective]
kind = 'dino'
head = { out_dim = 20, hidden_dim = 16, bottleneck_dim = 8 }
[views]
preset = 'simple'
resize_px = 32
crop_px = 32
local_px = 16
[optimiser]
rule = 'adam_w'
learning_rate = 1e-3
";
    let config: TrainConfig = toml::from_str(text).unwrap();
    let config = TrainConfig {
        sampler: SamplerChoice::CrossDomain {
            other_cell_type: false,
            on_unpaired: OnUnpaired::Refuse,
            remainder: Remainder::Drop,
        },
        ..config
    };
    let run_folder = folder.path().join("run");
    let error = run((&*screen, &*screen), config, &run_folder, &mut ()).unwrap_err();
    assert!(matches!(*error, TrainError::Sampler(_)), "{error}");
    assert!(!run_folder.exists());
}

#[test]
fn names_of_no_parameter_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["RPE-01"], &folder.path().join("screen"));
    let screens = (&*screen, &*screen);
    let run_folder = folder.path().join("run");
    let mut config = tiny_run();
    config.optimiser.groups = vec![ParameterGroup {
        prefix: "hed.".to_owned(),
        learning_rate_factor: 2.0,
        weight_decay: None,
    }];
    let error = run(screens, config, &run_folder, &mut ())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no parameter begins with 'hed.'"), "{error}");
    let config = TrainConfig {
        init: Some(InitConfig {
            checkpoint: folder.path().join("nowhere"),
            leave_out: vec!["patch_embde".to_owned()],
        }),
        ..tiny_run()
    };
    let error = run(screens, config, &run_folder, &mut ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no parameter begins with 'patch_embde'"),
        "{error}"
    );
    assert!(!run_folder.exists());
}

#[test]
fn a_run_goes_on_without_what_it_began_with() {
    let folder = tempfile::tempdir().unwrap();
    let screen = screen_of(&["RPE-01"], &folder.path().join("screen"));
    let screens = (&*screen, &*screen);
    let first = folder.path().join("first");
    run(screens, tiny_run(), &first, &mut ()).unwrap();
    let config = TrainConfig {
        init: Some(InitConfig {
            checkpoint: first.clone(),
            leave_out: Vec::new(),
        }),
        ..tiny_run()
    };
    let second = folder.path().join("second");
    run(screens, config.clone(), &second, &mut ()).unwrap();
    std::fs::remove_dir_all(first).unwrap();
    let again = run(screens, config, &second, &mut ()).unwrap();
    assert_eq!(again.first_step, 6);
}

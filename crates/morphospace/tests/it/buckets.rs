//! Embeddings in buckets, and images on servers that behave badly.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::s3_server::S3Server;
use crate::support::{Run, morphospace, morphospace_with, tiny_screen};
use crate::web_server::{Answer, WebServer};

const KEY: (&str, &str) = ("AKIAEXAMPLE", "a-secret");

fn trained(folder: &Path) {
    tiny_screen(folder);
    let train = "train screen --config train.toml --output run";
    let train: Vec<&str> = train.split(' ').collect();
    morphospace(folder, &train).expect_status(0);
}

/// All files below a folder but those of programs at work.
fn files(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = walkdir::WalkDir::new(root).into_iter();
    let files = entries.filter_map(|entry| {
        let path = entry.expect("a folder").into_path();
        let below = path.strip_prefix(root).expect("below").to_owned();
        path.is_file()
            .then(|| (below, fs::read(&path).expect("a file")))
    });
    files
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "parquet"))
        .collect()
}

#[test]
fn a_screen_is_embedded_into_a_bucket_in_parts_and_gone_on_with() {
    let folder = tempfile::tempdir().expect("a folder");
    trained(folder.path());
    let bucket = folder.path().join("buckets/maps");
    fs::create_dir_all(&bucket).expect("a bucket");
    let server = S3Server::start(bucket.parent().expect("buckets"), Some(KEY));
    let settings = server.settings(Some(KEY));
    let run = |args: &str| -> Run {
        let args: Vec<&str> = args.split(' ').collect();
        morphospace_with(folder.path(), &args, &settings)
    };
    let embed = "embed screen --network run --blocks all,output --levels wells,sites";
    run(&format!("{embed} --output out")).expect_status(0);
    run(&format!("{embed} --output s3://maps/a/screen --shard 0/2")).expect_status(0);
    let collate = "collate s3://maps/a/screen --representation output --output one.parquet";
    run(collate)
        .expect_status(1)
        .expect_stderr(&["not embedded yet", "HUVEC-02"]);
    run(&format!("{embed} --output s3://maps/a/screen --shard 1/2")).expect_status(0);
    assert_eq!(
        files(&bucket.join("a/screen")),
        files(&folder.path().join("out"))
    );
    run(collate).expect_status(0);
    run("collate out --representation output --output two.parquet").expect_status(0);
    let bytes = |name: &str| fs::read(folder.path().join(name)).expect("a table");
    assert_eq!(bytes("one.parquet"), bytes("two.parquet"));

    // Done plates stay done, a table that is gone is made anew.
    let again = format!("{embed} --output s3://maps/a/screen");
    run(&again)
        .expect_status(0)
        .expect_stderr(&["(2 were done before)"]);
    let gone = bucket.join("a/screen/wells/block-01/HUVEC-01/1.parquet");
    fs::remove_file(&gone).expect("a table");
    run(&again)
        .expect_status(0)
        .expect_stderr(&["(1 were done before)"]);
    assert!(gone.is_file());
    run("probe s3://maps/a/screen --folds 2 --level wells --classifier knn").expect_status(0);

    // Other settings, other contents and no permission are refused by name.
    run(&format!("{again} --batch-size 3"))
        .expect_status(2)
        .expect_stderr(&["s3://maps/a/screen", "batch_size: 8 there, 3 now"]);
    run(&format!("{embed} --output s3://maps/a"))
        .expect_status(2)
        .expect_stderr(&["s3://maps/a", "holds no embeddings"]);
    run(&format!("{embed} --output s3://maps/table.parquet"))
        .expect_status(2)
        .expect_stderr(&["tables are written to disk"]);
    let args: Vec<&str> = again.split(' ').collect();
    morphospace_with(folder.path(), &args, &server.settings(None))
        .expect_status(2)
        .expect_stderr(&["s3://maps/a/screen", "no permission"]);
}

/// A described screen whose images are URLs of a server.
fn screen_of_urls(folder: &Path, url: &str) {
    let images = folder.join("screen");
    let metadata = fs::read_to_string(images.join("metadata.csv")).expect("metadata");
    let header: Vec<&str> = metadata
        .lines()
        .next()
        .expect("a header")
        .split(',')
        .collect();
    let column = |name: &str| header.iter().position(|other| *other == name).expect(name);
    let columns = ["experiment", "plate", "well"].map(column);
    let mut rows = vec!["batch,plate,well,site,w1,w2,w3,w4,w5,w6".to_owned()];
    for line in metadata.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let [batch, plate, well] = columns.map(|column| cells[column]);
        let image =
            |channel: usize| format!("{url}/images/{batch}/Plate{plate}/{well}_s1_w{channel}.png");
        let row = [batch, plate, well, "1"].map(str::to_owned).into_iter();
        rows.push(row.chain((1..=6).map(image)).collect::<Vec<_>>().join(","));
    }
    let mut description =
        "[index]\nfile = \"index.csv\"\nexperiment = \"batch\"\nplate = \"plate\"\n\
                           well = \"well\"\nsite = \"site\"\n"
            .to_owned();
    let stains = ["DNA", "ER", "Actin", "RNA", "Mito", "Golgi"];
    for (index, stain) in stains.iter().enumerate() {
        let path = format!("w{}", index + 1);
        description.push_str(&format!(
            "[[channels]]\nname = \"{path}\"\nstain = \"{stain}\"\npath_column = \"{path}\"\n"
        ));
    }
    let screen = folder.join("urls");
    fs::create_dir_all(&screen).expect("a folder");
    fs::write(screen.join("index.csv"), rows.join("\n") + "\n").expect("an index");
    fs::write(screen.join("screen.toml"), description).expect("a description");
}

fn features(folder: &Path, plate: &str) -> Vec<f64> {
    let path = folder
        .join("wells/output")
        .join(plate)
        .with_extension("parquet");
    let table = morphospace_profiles::read_profiles(&path).expect("a table");
    table.values().into_owned()
}

#[test]
fn servers_that_are_busy_slow_or_break_off_cost_time_but_no_image() {
    let folder = tempfile::tempdir().expect("a folder");
    trained(folder.path());
    let images = folder.path().join("screen");
    let count = AtomicUsize::new(0);
    let server = WebServer::start(move |request| {
        let path = images.join(request.path.trim_start_matches('/'));
        let Ok(bytes) = fs::read(path) else {
            return Answer::new(404, "no such page");
        };
        let mut answer = Answer::file(request, &bytes);
        match count.fetch_add(1, Ordering::Relaxed) % 37 {
            1 => return Answer::new(503, "busy"),
            3 => return Answer::new(500, "trouble"),
            4 => std::thread::sleep(Duration::from_millis(100)),
            // The connection breaks after half of the image.
            5 if request.method == "GET" => answer.breaks_after = Some(answer.body.len() / 2),
            _ => {}
        }
        answer
    });
    screen_of_urls(folder.path(), &server.url);
    let embed = |screen: &str, output: &str| {
        let args = ["embed", screen, "--network", "run", "--output", output];
        morphospace(folder.path(), &args)
    };
    embed("urls", "from-server").expect_status(0);
    embed("screen", "from-disk").expect_status(0);
    for plate in ["HUVEC-01/1", "HUVEC-02/1"] {
        let [a, b] = ["from-server", "from-disk"].map(|name| folder.path().join(name));
        assert_eq!(features(&a, plate), features(&b, plate));
    }
}

#[test]
fn an_image_that_never_comes_costs_its_plate_alone_and_not_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    trained(folder.path());
    let images = folder.path().join("screen");
    let server = WebServer::start(move |request| {
        let is_bad = request.path.contains("HUVEC-01") && request.path.contains("_w4");
        match fs::read(images.join(request.path.trim_start_matches('/'))) {
            // It is there, as it says.
            Ok(_) if is_bad && request.method == "GET" => Answer::new(500, "trouble"),
            Ok(bytes) => Answer::file(request, &bytes),
            Err(_) => Answer::new(404, "no such page"),
        }
    });
    screen_of_urls(folder.path(), &server.url);
    let args = ["embed", "urls", "--network", "run", "--output", "out"];
    let started = std::time::Instant::now();
    let run = morphospace(folder.path(), &args).expect_status(1);
    run.expect_stderr(&[
        "plates that could not be embedded: 1",
        "HUVEC-01",
        "_w4.png",
        "500",
    ]);
    assert!(started.elapsed() < Duration::from_secs(120));
    assert!(!features(&folder.path().join("out"), "HUVEC-02/1").is_empty());
    assert!(
        !folder
            .path()
            .join("out/wells/output/HUVEC-01/1.parquet")
            .exists()
    );
}

/// The tree of the Cell Painting Gallery.
#[test]
fn plates_are_written_as_the_gallery_keeps_them() {
    let folder = tempfile::tempdir().expect("a folder");
    trained(folder.path());
    let run = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        morphospace(folder.path(), &args)
    };
    run("embed screen --network run --levels wells,sites,crops --output out").expect_status(0);
    run("collate out --layout gallery --output gallery")
        .expect_status(2)
        .expect_stderr(&["--model"]);
    run("collate out --layout gallery --model mae_tiny --output gallery").expect_status(0);
    let root = folder.path().join("gallery/workspace_dl");
    let model = fs::read_dir(root.join("profiles"))
        .expect("a folder")
        .next();
    let model = model.expect("a model").expect("a folder").file_name();
    let model = model.to_string_lossy();
    assert!(
        model.starts_with("mae_tiny_") && model.len() == "mae_tiny_".len() + 8,
        "{model}"
    );
    let found = files(&root);
    let names: Vec<String> = found
        .keys()
        .map(|path| path.display().to_string())
        .collect();
    let wells: Vec<&String> = names
        .iter()
        .filter(|name| name.starts_with("embeddings"))
        .collect();
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("profiles"))
            .count(),
        2
    );
    assert_eq!(
        names
            .iter()
            .filter(|name| name.starts_with("collated"))
            .count(),
        2
    );
    for name in [
        format!("profiles/{model}/HUVEC-01/1/1.parquet"),
        format!("collated/{model}/HUVEC-02/collated.parquet"),
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let read = |path: &Path| morphospace_profiles::read_profiles(path).expect("a table");
    let plates = ["HUVEC-01", "HUVEC-02"]
        .map(|batch| read(&root.join(format!("profiles/{model}/{batch}/1/1.parquet"))).num_rows());
    assert_eq!(wells.len(), plates.iter().sum::<usize>());
    let site = read(&root.join(wells[0]));
    assert_eq!(site.num_rows(), 1, "one crop of 64 pixels");
    assert!(wells[0].ends_with("-1/embedding.parquet"), "{}", wells[0]);
}

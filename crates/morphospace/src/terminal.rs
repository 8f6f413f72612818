//! What a person sees: progress bars on a terminal, plain lines in a pipe.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between lines when standard error is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Progress of one stage with throughput and time left.
pub(crate) struct Progress {
    bar: ProgressBar,
    stage: &'static str,
    unit: &'static str,
    started: Instant,
    last_line: std::sync::Mutex<Instant>,
    is_terminal: bool,
}

impl Progress {
    pub(crate) fn new(stage: &'static str, unit: &'static str, total: usize) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::new(total as u64);
        if is_terminal {
            let template = format!(
                "{{prefix:>9}} {{bar:32}} {{pos}}/{{len}} {unit} {{per_sec}} {{eta}} left {{msg}}"
            );
            let style = ProgressStyle::with_template(&template).expect("a valid template");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(stage);
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
            crate::say!("{stage}: {total} {unit}");
        }
        let now = Instant::now();
        Self {
            bar,
            stage,
            unit,
            started: now,
            last_line: now.into(),
            is_terminal,
        }
    }

    /// Where the stage stands, with a remark such as the loss.
    pub(crate) fn update(&self, done: usize, message: &str) {
        self.bar.set_position(done as u64);
        if self.is_terminal {
            self.bar.set_message(message.to_owned());
            return;
        }
        let mut last_line = self
            .last_line
            .lock()
            .expect("no thread panics while it prints");
        if last_line.elapsed() >= LINE_EVERY && done > 0 {
            *last_line = Instant::now();
            let seconds = self.started.elapsed().as_secs_f64();
            let total = self.bar.length().unwrap_or_default() as f64;
            let rate = done as f64 / seconds;
            let left = (total - done as f64) / rate;
            crate::say!(
                "{}: {done}/{total} {} ({rate:.1}/s, {left:.0} s left) {message}",
                self.stage,
                self.unit
            );
        }
    }

    /// Ends the stage with what it came to.
    pub(crate) fn finish(self, message: &str) {
        self.bar.finish_and_clear();
        let seconds = self.started.elapsed().as_secs_f64();
        crate::say!("{:>9}: {message} ({seconds:.1} s)", self.stage);
    }
}

/// The error, what caused it, and the way out.
pub(crate) fn print_error(error: &anyhow::Error) {
    crate::say!("error: {error}");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        // Transparent wrappers repeat what was just said.
        if !error.to_string().contains(&cause) {
            crate::say!("  because: {cause}");
        }
    }
}

/// Something that did not stop the work but must be known.
pub(crate) fn warn(message: impl std::fmt::Display) {
    crate::say!("warning: {message}");
}

/// Prints a line of results. A reader that has gone (`| head`) ends the
/// program quietly, any other trouble with a message.
#[macro_export]
macro_rules! print_line {
    ($($text:tt)*) => { $crate::terminal::print(&format!($($text)*)) };
}

/// Says a line to a person. Where nobody listens any more the work goes on.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { $crate::terminal::say_line(&format!($($text)*)) };
}

/// See [`say`].
pub(crate) fn say_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// See [`print_line`].
pub(crate) fn print(line: &str) {
    use std::io::{ErrorKind, Write};
    let mut stdout = std::io::stdout().lock();
    if let Err(error) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        if error.kind() == ErrorKind::BrokenPipe {
            std::process::exit(0);
        }
        print_error(&anyhow::Error::new(error).context("cannot write to standard output"));
        std::process::exit(1);
    }
}

/// A few of many names, and how many more there are.
pub(crate) fn warn_each(what: &str, names: &[String]) {
    const MOST: usize = 20;
    if names.is_empty() {
        return;
    }
    warn(format!("{what}: {}", names.len()));
    for name in names.iter().take(MOST) {
        crate::say!("  {name}");
    }
    if names.len() > MOST {
        crate::say!("  ... and {} more", names.len() - MOST);
    }
}

use std::fmt::Write;

use morphospace_benchmark::Score;

use crate::axis::Axis;
use crate::escape::{Escaped, shortened};
use crate::number::{format_count, format_number, px};

/// A score of a [`ScoreTable`].
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreRow {
    /// What was measured, e.g. `relationship recall`; rows of one benchmark
    /// stand together.
    pub benchmark: String,
    /// What was scored.
    pub model: String,
    /// How its profiles were aligned.
    pub alignment: String,
    /// The score.
    pub value: f64,
    /// Ends of its 95 % confidence interval.
    pub ci: Option<(f64, f64)>,
    /// The score of chance.
    pub null: Option<f64>,
    /// Number of items behind the score.
    pub n: usize,
    /// What else a reader must know. What all rows of a benchmark say is
    /// written once, beside its name.
    pub notes: Vec<String>,
}

/// The settings become notes; a network's block is part of the model's
/// name. An interval needs both ends.
impl From<&Score> for ScoreRow {
    fn from(score: &Score) -> Self {
        let model = match score.block {
            Some(block) => format!("{}, block {block}", score.model),
            None => score.model.clone(),
        };
        let settings = score
            .settings
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        Self {
            benchmark: score.benchmark.clone(),
            model,
            alignment: score.alignment.clone(),
            value: score.value,
            ci: score.ci_low.zip(score.ci_high),
            null: score.null,
            n: score.n,
            notes: settings.collect(),
        }
    }
}

/// Which end of a benchmark is the good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// E.g. recall.
    Higher,
    /// E.g. how well the batch is predicted.
    Lower,
}

/// Scores by benchmark, with their 95 % intervals and chance levels, in
/// numbers and drawn on one axis per benchmark.
///
/// The best value of a benchmark is marked by a word, if it is known which
/// end is better and there are others to compare it with; reference rows
/// (an oracle, chance) are not ranked. A mark is no test, and the table says
/// so.
///
/// ```
/// use morphospace_report::{Better, ScoreRow, ScoreTable};
///
/// let row = ScoreRow {
///     benchmark: "relationship recall".into(),
///     model: "MAE ViT-S/16".into(),
///     alignment: "tvn".into(),
///     value: 0.31,
///     ci: Some((0.28, 0.34)),
///     null: Some(0.1),
///     n: 412,
///     notes: Vec::new(),
/// };
/// let table = ScoreTable::new("Scores", [row])
///     .with_better("relationship recall", Better::Higher)
///     .with_reference("oracle");
/// assert_eq!(table.rows.len(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScoreTable {
    /// What the table shows.
    pub caption: String,
    /// The scores; benchmarks appear in the order of their first row.
    pub rows: Vec<ScoreRow>,
    /// Which end is better, by benchmark.
    pub better: Vec<(String, Better)>,
    /// Models that are bounds or baselines for orientation.
    pub references: Vec<String>,
}

impl ScoreTable {
    /// A table of rows.
    pub fn new(caption: impl Into<String>, rows: impl IntoIterator<Item = ScoreRow>) -> Self {
        Self {
            caption: caption.into(),
            rows: rows.into_iter().collect(),
            better: Vec::new(),
            references: Vec::new(),
        }
    }

    /// Says which end of a benchmark is the good one; its best row is then
    /// marked.
    #[must_use]
    pub fn with_better(mut self, benchmark: impl Into<String>, better: Better) -> Self {
        self.better.push((benchmark.into(), better));
        self
    }

    /// Takes a model out of the ranking.
    #[must_use]
    pub fn with_reference(mut self, model: impl Into<String>) -> Self {
        self.references.push(model.into());
        self
    }

    fn is_reference(&self, row: &ScoreRow) -> bool {
        self.references.contains(&row.model)
    }

    /// Notes that all rows of a benchmark share.
    fn common_notes(&self, benchmark: &str) -> Vec<&str> {
        let mut rows = self.rows.iter().filter(|row| row.benchmark == benchmark);
        let Some(first) = rows.next() else {
            return Vec::new();
        };
        let mut common: Vec<&str> = first.notes.iter().map(String::as_str).collect();
        rows.for_each(|row| common.retain(|note| row.notes.iter().any(|own| own == note)));
        common
    }

    /// Notes of a row that not all rows of its benchmark share.
    fn own_notes<'a>(&self, row: &'a ScoreRow) -> Vec<&'a str> {
        let common = self.common_notes(&row.benchmark);
        row.notes
            .iter()
            .map(String::as_str)
            .filter(|note| !common.contains(note))
            .collect()
    }

    /// The row of a benchmark with the best value, and the word for it;
    /// nothing where the best is not one row.
    fn best<'a>(&self, rows: &[&'a ScoreRow]) -> Option<(&'a ScoreRow, &'static str)> {
        let benchmark = &rows.first()?.benchmark;
        let (_, better) = self.better.iter().find(|(name, _)| name == benchmark)?;
        let (sign, word) = match better {
            Better::Higher => (1.0, "highest"),
            Better::Lower => (-1.0, "lowest"),
        };
        let mut ranked: Vec<&ScoreRow> = rows
            .iter()
            .copied()
            .filter(|row| row.value.is_finite() && !self.is_reference(row))
            .collect();
        ranked.sort_by(|a, b| (sign * b.value).total_cmp(&(sign * a.value)));
        match ranked[..] {
            [first, second, ..] if first.value != second.value => Some((first, word)),
            _ => None,
        }
    }

    pub(crate) fn write_html(&self, html: &mut String) -> std::fmt::Result {
        if self.rows.is_empty() {
            html.push_str("<p class=\"empty\">No scores.</p>\n");
            return Ok(());
        }
        let columns = Columns {
            ci: self.rows.iter().any(|row| row.ci.is_some()),
            null: self.rows.iter().any(|row| row.null.is_some()),
        };
        html.push_str(
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Scores\">\
             <table class=\"scores\">",
        );
        if !self.caption.is_empty() {
            write!(html, "<caption>{}</caption>", Escaped(&self.caption))?;
        }
        columns.write_head(html)?;
        let mut benchmarks: Vec<&str> = Vec::new();
        for row in &self.rows {
            if !benchmarks.contains(&row.benchmark.as_str()) {
                benchmarks.push(&row.benchmark);
            }
        }
        let mut words = Vec::new();
        for benchmark in benchmarks {
            let rows: Vec<&ScoreRow> = self
                .rows
                .iter()
                .filter(|row| row.benchmark == benchmark)
                .collect();
            let best = self.best(&rows);
            if let Some((_, word)) = best
                && !words.contains(&word)
            {
                words.push(word);
            }
            self.write_benchmark(html, &columns, &rows, best)?;
        }
        html.push_str("</table></div>\n");
        self.write_remarks(html, &columns, &words)
    }

    fn write_benchmark(
        &self,
        html: &mut String,
        columns: &Columns,
        rows: &[&ScoreRow],
        best: Option<(&ScoreRow, &str)>,
    ) -> std::fmt::Result {
        let benchmark = rows.first().map_or("", |row| &row.benchmark);
        let axis = Axis::covering(rows.iter().flat_map(|row| row.drawn_values()), 5);
        let direction = self.better.iter().find(|(name, _)| name == benchmark);
        let direction = direction.map_or("", |(_, better)| match better {
            Better::Higher => "higher is better",
            Better::Lower => "lower is better",
        });
        let mut about = self.common_notes(benchmark);
        if !direction.is_empty() {
            about.insert(0, direction);
        }
        html.push_str("<tbody>\n");
        writeln!(
            html,
            "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\">{} <span \
             class=\"count\">{}</span></th><td class=\"strip\">{}</td></tr>",
            columns.num_before_strip(),
            Escaped(benchmark),
            Escaped(&about.join("; ")),
            strip_axis(&axis)?
        )?;
        for row in rows {
            let is_reference = self.is_reference(row);
            let class = if is_reference {
                " class=\"reference\""
            } else {
                ""
            };
            write!(html, "<tr{class}><th scope=\"row\"{}", cell(&row.model, 60))?;
            if is_reference {
                html.push_str(" <span class=\"badge\">reference</span>");
            }
            write!(html, "</th><td{}</td>", cell(&row.alignment, 32))?;
            match best.filter(|(first, _)| std::ptr::eq(*first, *row)) {
                Some((_, word)) => write!(
                    html,
                    "<td class=\"number best\"><span class=\"badge\">{word}</span> {}</td>",
                    format_number(row.value)
                )?,
                None => write!(
                    html,
                    "<td class=\"number\">{}</td>",
                    format_number(row.value)
                )?,
            }
            if columns.ci {
                let ci = row.ci.map(|(low, high)| {
                    format!("[{}, {}]", format_number(low), format_number(high))
                });
                write!(
                    html,
                    "<td class=\"number\">{}</td>",
                    ci.as_deref().unwrap_or("–")
                )?;
            }
            if columns.null {
                let null = row.null.map(format_number);
                write!(
                    html,
                    "<td class=\"number\">{}</td>",
                    null.as_deref().unwrap_or("–")
                )?;
            }
            write!(
                html,
                "<td class=\"number\">{}</td><td class=\"strip\">{}</td>",
                format_count(row.n),
                row.strip(&axis)?
            )?;
            html.push_str("</tr>\n");
            let notes = self.own_notes(row);
            if !notes.is_empty() {
                writeln!(
                    html,
                    "<tr class=\"note\"><td colspan=\"{}\"{}</td></tr>",
                    columns.num_before_strip() + 1,
                    cell(&notes.join("; "), 400)
                )?;
            }
        }
        html.push_str("</tbody>\n");
        Ok(())
    }

    fn write_remarks(
        &self,
        html: &mut String,
        columns: &Columns,
        words: &[&str],
    ) -> std::fmt::Result {
        let mut remarks = Vec::new();
        if columns.ci {
            remarks.push("Dot: value; line: 95 % interval.".to_owned());
        }
        if columns.null {
            remarks.push("Dashed line: chance.".to_owned());
        }
        if !words.is_empty() {
            let words: Vec<String> = words.iter().map(|word| format!("‘{word}’")).collect();
            remarks.push(format!(
                "{} marks the best value of a benchmark{}. It is no test: where intervals overlap, \
                 the order may be chance.",
                words.join(" or "),
                if self.references.is_empty() {
                    ""
                } else {
                    ", references left out"
                }
            ));
        }
        if !remarks.is_empty() {
            writeln!(html, "<p class=\"remark\">{}</p>", remarks.join(" "))?;
        }
        Ok(())
    }
}

/// End of a cell's opening tag and its text; of a long text the beginning,
/// and the whole when the pointer rests on it.
fn cell(text: &str, max_chars: usize) -> String {
    let short = shortened(text, max_chars);
    if short == text {
        format!(">{}", Escaped(text))
    } else {
        format!(" title=\"{}\">{}", Escaped(text), Escaped(&short))
    }
}

/// Columns that are shown because some row fills them.
struct Columns {
    ci: bool,
    null: bool,
}

impl Columns {
    fn num_before_strip(&self) -> usize {
        4 + usize::from(self.ci) + usize::from(self.null)
    }

    fn write_head(&self, html: &mut String) -> std::fmt::Result {
        html.push_str("<thead><tr><th scope=\"col\">Model</th><th scope=\"col\">Alignment</th>");
        let mut number =
            |name: &str| write!(html, "<th scope=\"col\" class=\"number\">{name}</th>");
        number("Value")?;
        if self.ci {
            number("95 % interval")?;
        }
        if self.null {
            number("Chance")?;
        }
        number("n")?;
        html.push_str("<th scope=\"col\" class=\"strip\">Drawn</th></tr></thead>\n");
        Ok(())
    }
}

const STRIP_WIDTH: f64 = 220.0;
const STRIP_HEIGHT: f64 = 22.0;
/// Room for half a tick label at both ends.
const STRIP_MARGIN: f64 = 14.0;

fn strip_x(axis: &Axis, value: f64) -> f64 {
    STRIP_MARGIN + axis.fraction(value) * (STRIP_WIDTH - 2.0 * STRIP_MARGIN)
}

/// Opens a strip and draws its grid.
fn open_strip(axis: &Axis) -> Result<String, std::fmt::Error> {
    let (w, h) = (px(STRIP_WIDTH), px(STRIP_HEIGHT));
    let mut svg = format!(
        "<svg class=\"whisker\" aria-hidden=\"true\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" \
         height=\"{h}\">"
    );
    let mut grid = String::new();
    for (tick, _) in &axis.ticks {
        write!(grid, "M{} 0V{h}", px(strip_x(axis, *tick)))?;
    }
    write!(svg, "<path class=\"grid\" d=\"{grid}\"/>")?;
    Ok(svg)
}

/// The axis above the strips of a benchmark.
fn strip_axis(axis: &Axis) -> Result<String, std::fmt::Error> {
    let mut svg = format!(
        "<svg class=\"whisker\" aria-hidden=\"true\" viewBox=\"0 0 {w} 16\" width=\"{w}\" \
         height=\"16\">",
        w = px(STRIP_WIDTH)
    );
    for (tick, label) in &axis.ticks {
        let x = px(strip_x(axis, *tick));
        write!(
            svg,
            "<text class=\"tick\" x=\"{x}\" y=\"12\" text-anchor=\"middle\">{label}</text>"
        )?;
    }
    svg.push_str("</svg>");
    Ok(svg)
}

impl ScoreRow {
    fn drawn_values(&self) -> impl Iterator<Item = f64> {
        let (low, high) = self.ci.unzip();
        [Some(self.value), low, high, self.null]
            .into_iter()
            .flatten()
    }

    /// Dot, whisker and chance level.
    fn strip(&self, axis: &Axis) -> Result<String, std::fmt::Error> {
        let mut svg = open_strip(axis)?;
        if let Some(null) = self.null.filter(|null| null.is_finite()) {
            write!(
                svg,
                "<path class=\"chance\" d=\"M{} 0V22\"/>",
                px(strip_x(axis, null))
            )?;
        }
        if let Some((low, high)) = self
            .ci
            .filter(|(low, high)| low.is_finite() && high.is_finite())
        {
            let (low, high) = (px(strip_x(axis, low)), px(strip_x(axis, high)));
            write!(
                svg,
                "<path class=\"interval\" d=\"M{low} 11H{high}M{low} 7v8M{high} 7v8\"/>"
            )?;
        }
        if self.value.is_finite() {
            let x = px(strip_x(axis, self.value));
            write!(
                svg,
                "<circle class=\"value\" cx=\"{x}\" cy=\"11\" r=\"4\"/>"
            )?;
        }
        svg.push_str("</svg>");
        Ok(svg)
    }
}

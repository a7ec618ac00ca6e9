//! The one table, in Markdown: a line for each row, a column for each candidate, ratios in its cells.

use std::fmt;

use crate::peers::Peer;
use crate::rounds::{Figure, Samples};

#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
    /// What could not be compared, and why.
    notes: Vec<String>,
}

pub(crate) struct Row {
    what: String,
    /// What 1.00 is.
    unit: String,
    cells: Vec<(Peer, String)>,
    bars: Vec<Bar>,
}

struct Bar {
    text: String,
    is_met: bool,
}

/// Nanoseconds, as people write them.
pub(crate) struct Time(pub(crate) f64);

impl Table {
    pub(crate) fn add(&mut self, row: Row) {
        eprintln!("{row}");
        self.rows.push(row);
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    pub(crate) fn passes(&self) -> bool {
        self.rows.iter().flat_map(|row| &row.bars).all(|bar| bar.is_met)
    }
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, unit: impl Into<String>) -> Self {
        Self { what: what.into(), unit: unit.into(), cells: Vec::new(), bars: Vec::new() }
    }

    /// All that was measured, as ratios to one of them.
    pub(crate) fn of_ratios(what: impl Into<String>, samples: &Samples, reference: Peer, unit: &str) -> Self {
        let time = Time(samples.figure(reference).median);
        let mut row = Self::new(what, format!("{unit}: {time}"));
        for peer in samples.peers() {
            row.cell(
                peer,
                if peer == reference { "1.00".to_owned() } else { samples.ratio(peer, reference).to_string() },
            );
        }
        row
    }

    /// All that was measured, as times; ours is at most `limit` nanoseconds.
    pub(crate) fn of_times(what: impl Into<String>, samples: &Samples, limit: f64) -> Self {
        let mut row = Self::new(what, "");
        for peer in samples.peers() {
            let figure = samples.figure(peer);
            row.cell(peer, format!("{} ± {}", Time(figure.median), Time(figure.noise)));
        }
        let ours = samples.figure(Peer::Hybridcache).median;
        row.bar(format!("≤ {}", Time(limit)), Time(ours), ours <= limit)
    }

    pub(crate) fn cell(&mut self, peer: Peer, text: impl Into<String>) {
        self.cells.push((peer, text.into()));
    }

    /// Ours is at most so many times that of another.
    pub(crate) fn at_most(self, samples: &Samples, limit: f64, of: Peer, whose: &str) -> Self {
        let ratio = samples.ratio(Peer::Hybridcache, of).median;
        self.bar(format!("≤ {limit} × {whose}"), format!("{ratio:.2}"), ratio <= limit)
    }

    pub(crate) fn bar(mut self, bar: impl fmt::Display, figure: impl fmt::Display, is_met: bool) -> Self {
        let verdict = if is_met { "PASS" } else { "**FAIL**" };
        self.bars.push(Bar { text: format!("{bar}: {figure} {verdict}"), is_met });
        self
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| | 1.00 is |")?;
        Peer::ALL.iter().try_for_each(|peer| write!(f, " {peer} |"))?;
        write!(f, " bar |\n|---|---|")?;
        Peer::ALL.iter().try_for_each(|_| write!(f, "---|"))?;
        writeln!(f, "---|")?;
        self.rows.iter().try_for_each(|row| writeln!(f, "{row}"))?;
        writeln!(f)?;
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} |", self.what, self.unit)?;
        for peer in Peer::ALL {
            let cell = self.cells.iter().find(|(of, _)| *of == peer).map_or("", |(_, text)| text);
            write!(f, " {cell} |")?;
        }
        let bars: Vec<_> = self.bars.iter().map(|bar| bar.text.as_str()).collect();
        write!(f, " {} |", bars.join("<br>"))
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Three digits, however many times slower something is.
        let digits = if self.median < 10.0 { 2 } else { usize::from(self.median < 100.0) };
        write!(f, "{:.digits$} ± {:.digits$}", self.median, self.noise)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0 {
            ns if ns < 1e3 => (ns, "ns"),
            ns if ns < 1e6 => (ns / 1e3, "µs"),
            ns if ns < 1e9 => (ns / 1e6, "ms"),
            ns => (ns / 1e9, "s"),
        };
        let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
        write!(f, "{value:.digits$} {unit}")
    }
}

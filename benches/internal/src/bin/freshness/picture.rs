//! The figures as bars: one row for each figure, one column for each rate, one group of bars for each number of processes.

use std::fmt::Write;

use crate::simulation::Figures;
use crate::strategy::Strategy;
use crate::{Cell, PROCESSES, RATES};

const WIDTH: f64 = 1000.0;
const PANEL: (f64, f64) = (270.0, 150.0);
const MARGIN: (f64, f64) = (70.0, 80.0);
const GAP: (f64, f64) = (48.0, 60.0);
const BAR: f64 = 17.0;

struct Row {
    title: &'static str,
    unit: &'static str,
    of: fn(&Figures) -> f64,
}

const ROWS: [Row; 3] = [
    Row { title: "expiries with a waiting caller", unit: "%", of: |figures| 100.0 * figures.waiting },
    Row { title: "freshness given away", unit: "%", of: |figures| 100.0 * figures.given_away },
    Row { title: "loads per expiry", unit: "", of: |figures| figures.loads },
];

fn color(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::None => "#9a9a9a",
        Strategy::Auto => "#1f6fb2",
        Strategy::Percent => "#e08a1e",
        Strategy::XFetch => "#3c9d5b",
    }
}

pub(crate) fn draw(cells: &[Cell]) -> String {
    let height = MARGIN.1 + ROWS.len() as f64 * (PANEL.1 + GAP.1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    text(
        &mut svg,
        MARGIN.0,
        22.0,
        "start",
        "refresh_ahead: a value fresh for 60 s, loads of 100 ms in the median, no stale window",
    );
    for (nth, strategy) in Strategy::ALL.into_iter().enumerate() {
        let x = MARGIN.0 + 90.0 * nth as f64;
        bar(&mut svg, x, 34.0, 12.0, 12.0, color(strategy));
        text(&mut svg, x + 17.0, 44.0, "start", strategy.name());
    }
    for (row, figure) in ROWS.iter().enumerate() {
        let most = cells.iter().map(|cell| (figure.of)(&cell.figures)).fold(0.0, f64::max);
        for (column, rate) in RATES.into_iter().enumerate() {
            let left = MARGIN.0 + column as f64 * (PANEL.0 + GAP.0);
            let top = MARGIN.1 + row as f64 * (PANEL.1 + GAP.1);
            panel(&mut svg, (left, top), most, figure, rate, cells);
        }
    }
    svg + "</svg>\n"
}

fn panel(svg: &mut String, (left, top): (f64, f64), most: f64, row: &Row, rate: u64, cells: &[Cell]) {
    let bottom = top + PANEL.1;
    text(svg, left, top - 8.0, "start", &format!("{}, {rate} requests/s", row.title));
    line(svg, left, bottom, left + PANEL.0, bottom);
    for part in [0.0, 0.5, 1.0] {
        let y = bottom - part * (PANEL.1 - 14.0);
        text(svg, left - 6.0, y + 4.0, "end", &format!("{}{}", short(part * most), row.unit));
        line(svg, left - 3.0, y, left, y);
    }
    for (group, processes) in PROCESSES.into_iter().enumerate() {
        let x = left + 10.0 + group as f64 * 88.0;
        let label = if processes == 1 { "1 process".to_owned() } else { format!("{processes} processes") };
        text(svg, x + 2.0 * BAR, bottom + 16.0, "middle", &label);
        let here = cells.iter().filter(|cell| cell.rate == rate && cell.processes == processes);
        for (nth, cell) in here.enumerate() {
            let value = (row.of)(&cell.figures);
            let tall = value / most.max(f64::MIN_POSITIVE) * (PANEL.1 - 14.0);
            let x = x + nth as f64 * BAR;
            bar(svg, x, bottom - tall, BAR - 2.0, tall, color(cell.strategy));
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"7.5\" text-anchor=\"middle\">{}</text>",
                x + BAR / 2.0 - 1.0,
                bottom - tall - 3.0,
                short(value)
            );
        }
    }
}

fn short(value: f64) -> String {
    if value >= 9.95 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn bar(svg: &mut String, x: f64, y: f64, width: f64, height: f64, color: &str) {
    let _ =
        writeln!(svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{color}\"/>");
}

fn line(svg: &mut String, x1: f64, y1: f64, x2: f64, y2: f64) {
    let _ = writeln!(svg, "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#444\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
}

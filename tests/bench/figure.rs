//! A measured figure and the tables that show them. Measures nothing.

/// Values of one thing, its peer in the same run, and the bound that DESIGN states for it.
#[derive(Debug)]
pub(crate) struct Figure {
    /// What was measured, with its unit.
    pub(crate) what: String,
    /// The values, in the unit.
    pub(crate) values: Vec<f64>,
    /// The peer: what it is, and its values in the same unit.
    pub(crate) peer: Option<(String, Vec<f64>)>,
    /// The most that the median may be, in the unit.
    pub(crate) bound: Option<f64>,
}

impl Figure {
    /// A figure without peer and bound.
    pub(crate) fn new(what: &str, values: Vec<f64>) -> Self {
        Self { what: what.to_owned(), values, peer: None, bound: None }
    }

    /// With its peer.
    pub(crate) fn beside(mut self, peer: &str, values: Vec<f64>) -> Self {
        self.peer = Some((peer.to_owned(), values));
        self
    }

    /// With its bound.
    pub(crate) fn at_most(mut self, bound: f64) -> Self {
        self.bound = Some(bound);
        self
    }

    fn row(&self) -> String {
        let (least, middle, most) = spread(&self.values);
        let (peer, ratio) = self.peer.as_ref().map_or((String::new(), String::new()), |(name, values)| {
            let (least, peer, most) = spread(values);
            let ratio = if peer > 0.0 { format!("{:.2}", middle / peer) } else { "-".to_owned() };
            (format!("{name}: {} / {} / {}", short(least), short(peer), short(most)), ratio)
        });
        let bound = self.bound.map_or(String::new(), |bound| {
            format!("{} {}", short(bound), if middle <= bound { "(kept)" } else { "(MISSED)" })
        });
        let runs = self.values.len();
        let (least, middle, most) = (short(least), short(middle), short(most));
        format!("| {} | {least} | {middle} | {most} | {runs} | {peer} | {ratio} | {bound} |", self.what)
    }
}

/// A Markdown table.
pub(crate) fn table(title: &str, figures: &[Figure]) -> String {
    let mut lines = vec![
        format!("### {title}\n"),
        "| measured | min | median | max | runs | peer: min / median / max | ratio of medians | bound |".to_owned(),
        "|---|---:|---:|---:|---:|---|---:|---|".to_owned(),
    ];
    lines.extend(figures.iter().map(Figure::row));
    lines.join("\n") + "\n"
}

/// Least, median and greatest value; zeros for none.
fn spread(values: &[f64]) -> (f64, f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(0.0);
    let half = sorted.len() / 2;
    let middle =
        if sorted.len().is_multiple_of(2) && half > 0 { f64::midpoint(at(half - 1), at(half)) } else { at(half) };
    (at(0), middle, sorted.last().copied().unwrap_or(0.0))
}

/// Three digits that count.
fn short(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else if value >= 1.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

//! Metrics in memory: what a reader of them asks for, and what tables of them are made of.

use std::collections::HashMap;

use crate::chunk_map::ChunkMap;
use crate::description::Session;
use crate::error::Result;
use crate::metric_files::Series;
use crate::metric_row::{LABELS, MetricNumbers, row_labels};

/// What an epoch or a batch is where there is none.
const ABSENT: i32 = -1;

/// A label of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Path of the phase.
    Phase,
    /// The split.
    Split,
    /// The node.
    Node,
    /// Name of the metric.
    Name,
}

impl Label {
    /// The label that a column of this name holds.
    #[must_use]
    pub fn named(column: &str) -> Option<Self> {
        match column {
            "phase" => Some(Self::Phase),
            "split" => Some(Self::Split),
            "node" => Some(Self::Node),
            "name" => Some(Self::Name),
            _ => None,
        }
    }

    /// What it is in a series; empty where that has none.
    #[must_use]
    pub fn of(self, series: &Series) -> &str {
        match self {
            Self::Phase => &series.phase,
            Self::Split => &series.split,
            Self::Node => &series.node,
            Self::Name => &series.name,
        }
    }
}

/// One logged value.
#[derive(Clone, Copy, Debug)]
pub struct MetricRow {
    /// Place of its series among those of the table.
    pub series: u32,
    /// The session that recorded it.
    pub session: i32,
    /// Number of the epoch; negative for none.
    pub epoch: i32,
    /// Number of the batch; negative for a value of a whole epoch or phase.
    pub batch: i32,
    /// The step.
    pub step: i64,
    /// Nanoseconds since 1970, UTC.
    pub time: i64,
    /// The value.
    pub value: f64,
}

/// Rows of metrics, in the order of recording.
#[derive(Clone, Debug, Default)]
pub struct MetricTable {
    pub(crate) run_id: String,
    series: Vec<Series>,
    pub(crate) rows: Vec<MetricRow>,
    places: HashMap<Series, u32>,
    /// For each series the one that came after it the last time: steps log theirs in the same order.
    followers: Vec<u32>,
}

impl MetricTable {
    pub(crate) fn new(run_id: &str) -> Self {
        Self {
            run_id: run_id.to_owned(),
            ..Self::default()
        }
    }

    /// Id of the run that logged the values.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
    }

    /// The series that rows may be of; some have none.
    #[must_use]
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[MetricRow] {
        &self.rows
    }

    /// The different texts of a label, in the order in which they first occur; none for rows without one.
    #[must_use]
    pub fn labels(&self, label: Label) -> Vec<&str> {
        let mut found: Vec<&str> = Vec::new();
        for series in self.occurring() {
            let text = label.of(&self.series[series]);
            let is_there = !text.is_empty() || matches!(label, Label::Phase | Label::Name);
            if is_there && !found.contains(&text) {
                found.push(text);
            }
        }
        found
    }

    /// The rows whose label is this text.
    #[must_use]
    pub fn select(&self, label: Label, text: &str) -> Self {
        let series = self.series.iter();
        let wanted: Vec<bool> = series.map(|each| label.of(each) == text).collect();
        self.with_rows(|_, row| wanted[row.series as usize])
    }

    /// The last row of each series. Where a series has values of whole epochs or phases it is the last of those, and of
    /// those the last one that is not later than the kept epoch of its phase, if there is one.
    #[must_use]
    pub fn last(&self, kept_epochs: &HashMap<String, i32>) -> Self {
        let kept = |series: &Series| kept_epochs.get(&series.phase).copied();
        let kept: Vec<Option<i32>> = self.series.iter().map(kept).collect();
        let mut last: Vec<Option<(i32, usize)>> = vec![None; self.series.len()];
        for (place, row) in self.rows.iter().enumerate() {
            let series = row.series as usize;
            let is_later = kept[series].is_some_and(|kept| row.epoch > kept);
            let worth = 2 * i32::from(row.batch < 0) - i32::from(is_later);
            if last[series].is_none_or(|(best, _)| worth >= best) {
                last[series] = Some((worth, place));
            }
        }
        self.with_rows(|place, row| {
            last[row.series as usize].is_some_and(|(_, chosen)| chosen == place)
        })
    }

    /// The latest epoch of each phase that has values of epochs, in the order in which the phases first occur.
    #[must_use]
    pub fn last_epochs(&self) -> Vec<(&str, i32)> {
        let mut latest = vec![ABSENT; self.series.len()];
        for row in &self.rows {
            let epoch = &mut latest[row.series as usize];
            *epoch = row.epoch.max(*epoch);
        }
        let of_phase = |phase| {
            let series = self.series.iter().zip(&latest);
            let epochs = series.filter(|(series, _)| series.phase == phase);
            epochs.map(|(_, &epoch)| epoch).max().unwrap_or(ABSENT)
        };
        let phases = self.labels(Label::Phase).into_iter();
        let found = phases.map(|phase| (phase, of_phase(phase)));
        found.filter(|&(_, epoch)| epoch >= 0).collect()
    }

    /// Add a row of a chunk, which is not compared with its checksum here.
    pub(crate) fn add(&mut self, map: &ChunkMap, row: u64, sessions: &[Session]) -> Result<()> {
        let series = self.place_of(row_labels(map, row)?);
        let numbers = MetricNumbers::read(map, row);
        self.rows.push(MetricRow {
            series,
            session: session_of(numbers.sequence, sessions),
            epoch: numbers.epoch.max(ABSENT),
            batch: numbers.batch.max(ABSENT),
            step: numbers.step,
            time: numbers.time,
            value: numbers.value,
        });
        Ok(())
    }

    /// Where the series of these labels (phase, split, node, name) stands, which comes right after that of the row before.
    pub(crate) fn place_of(&mut self, labels: [&str; LABELS]) -> u32 {
        let before = self.rows.last().map(|row| row.series as usize);
        let guess = before.map(|before| self.followers[before]);
        if let Some(guess) = guess
            && self.series[guess as usize].labels() == labels
        {
            return guess;
        }
        let [phase, split, node, name] = labels.map(str::to_owned);
        let series = Series {
            phase,
            split,
            node,
            name,
        };
        let place = match self.places.get(&series) {
            Some(&place) => place,
            None => {
                let place = self.series.len() as u32;
                self.series.push(series.clone());
                self.followers.push(place);
                self.places.insert(series, place);
                place
            }
        };
        if let Some(before) = before {
            self.followers[before] = place;
        }
        place
    }

    /// The series that have rows, in the order of the first row of each.
    fn occurring(&self) -> Vec<usize> {
        let mut seen = vec![false; self.series.len()];
        let mut found = Vec::new();
        for row in &self.rows {
            let series = row.series as usize;
            if !std::mem::replace(&mut seen[series], true) {
                found.push(series);
            }
        }
        found
    }

    fn with_rows(&self, mut wanted: impl FnMut(usize, &MetricRow) -> bool) -> Self {
        let rows = self.rows.iter().enumerate();
        let rows = rows.filter(|&(place, row)| wanted(place, row));
        Self {
            run_id: self.run_id.clone(),
            series: self.series.clone(),
            rows: rows.map(|(_, row)| *row).collect(),
            places: HashMap::new(),
            followers: Vec::new(),
        }
    }
}

/// The session that wrote the record of this number.
fn session_of(sequence: u64, sessions: &[Session]) -> i32 {
    let begun = sessions.partition_point(|session| session.first_sequence <= sequence);
    let session = begun
        .checked_sub(1)
        .map_or(0, |last| sessions[last].session);
    i32::try_from(session).unwrap_or(i32::MAX)
}

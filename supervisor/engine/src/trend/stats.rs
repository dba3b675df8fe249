//! Rank statistics for short series: quantile, Mann-Kendall test, Sen slope with its bounds. Knows nothing of file descriptors.

/// One value of a daily series; `day` counts up with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) day: u32,
    pub(super) value: u32,
}

/// Sen's slope per day, and the bounds of its two-sided 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slope {
    pub(super) median: f64,
    pub(super) low: f64,
    pub(super) high: f64,
}

/// Two-sided 95 % quantile of the standard normal distribution.
const Z_95: f64 = 1.959_964;

/// The smallest value that at least `per_mille` of a thousand values do not exceed; none for no values.
pub(super) fn quantile(values: &mut [u32], per_mille: usize) -> Option<u32> {
    let rank = values.len().checked_mul(per_mille)?.div_ceil(1000).max(1);
    if rank > values.len() {
        return None;
    }
    let (_, value, _) = values.select_nth_unstable(rank - 1);
    Some(*value)
}

/// Mann-Kendall: the chance of a rise at least this steady if the order of the values meant nothing.
/// One-sided, normal approximation with continuity and tie correction (conservative for n < 10).
pub(super) fn rising_p(series: &[Point]) -> f64 {
    let mut score = 0_i32;
    for (i, a) in series.iter().enumerate() {
        for b in series.iter().skip(i + 1) {
            score += match b.value.cmp(&a.value) {
                std::cmp::Ordering::Greater => 1,
                std::cmp::Ordering::Equal => 0,
                std::cmp::Ordering::Less => -1,
            };
        }
    }
    let variance = score_variance(series);
    if variance <= 0.0 {
        return 1.0;
    }
    let corrected = f64::from(score - score.signum());
    upper_tail(corrected / variance.sqrt())
}

/// Sen's slope over the pairs WITHIN each of the series, pooled (one series, or one for each part of
/// the day, which takes the daily wave out). None without a pair.
///
/// Parts of one day move together, so they count as one series when the width is reckoned: as if
/// fully correlated, which errs on the wide side.
pub(super) fn sen(parts: &[Vec<Point>]) -> Option<Slope> {
    let mut slopes: Vec<f64> = parts.iter().flat_map(|part| pair_slopes(part)).collect();
    slopes.sort_by(f64::total_cmp);
    let count = f64::from(u32::try_from(slopes.len()).ok()?);
    let deviation: f64 = parts.iter().map(|part| score_variance(part).max(0.0).sqrt()).sum();
    let outside = (count - Z_95 * deviation) / 2.0;
    let mut cut = 0;
    let mut cut_value = 1.0;
    while cut_value < outside {
        cut += 1;
        cut_value += 1.0;
    }
    let last = slopes.len().checked_sub(1)?;
    Some(Slope { median: midpoint(&slopes)?, low: *slopes.get(cut)?, high: *slopes.get(last.checked_sub(cut)?)? })
}

fn pair_slopes(series: &[Point]) -> Vec<f64> {
    let mut slopes = Vec::new();
    for (i, a) in series.iter().enumerate() {
        for b in series.iter().skip(i + 1) {
            if b.day > a.day {
                slopes.push((f64::from(b.value) - f64::from(a.value)) / f64::from(b.day - a.day));
            }
        }
    }
    slopes
}

fn midpoint(sorted: &[f64]) -> Option<f64> {
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    if sorted.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(*sorted.get(half.checked_sub(1)?)?, upper))
}

/// Variance of the Mann-Kendall score if the order meant nothing, less what ties take away.
fn score_variance(series: &[Point]) -> f64 {
    let mut values: Vec<u32> = series.iter().map(|point| point.value).collect();
    values.sort_unstable();
    let ties: f64 = values.chunk_by(|a, b| a == b).map(|group| variance_term(group.len())).sum();
    (variance_term(values.len()) - ties) / 18.0
}

fn variance_term(len: usize) -> f64 {
    let n = u32::try_from(len).map_or(f64::MAX, f64::from);
    n * (n - 1.0) * (2.0 * n + 5.0)
}

/// Chance that a standard normal value is at least `z` (Abramowitz and Stegun 26.2.17, error below 1e-7).
fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let poly = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429]
        .iter()
        .rev()
        .fold(0.0, |sum, factor| (sum + factor) * t);
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    density * poly
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[u32]) -> Vec<Point> {
        (0_u32..).zip(values).map(|(day, value)| Point { day, value: *value }).collect()
    }

    #[test]
    fn quantile_is_the_nearest_rank() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(quantile(&mut values, 50), Some(5));
        assert_eq!(quantile(&mut values, 500), Some(50));
        assert_eq!(quantile(&mut values, 999), Some(100));
        assert_eq!(quantile(&mut [7], 50), Some(7));
        assert_eq!(quantile(&mut [], 50), None);
    }

    #[test]
    fn normal_tail_matches_the_table() {
        for (z, p) in [(0.0, 0.5), (1.0, 0.158_655), (1.96, 0.024_998), (2.326_348, 0.01), (-1.0, 0.841_345)] {
            assert!((upper_tail(z) - p).abs() < 1e-5, "z {z}: {}", upper_tail(z));
        }
    }

    // Worked by hand: n = 7, S = 21, Var = 44.33, z = 20 / 6.658 = 3.004.
    #[test]
    fn mann_kendall_of_seven_rising_values() {
        assert!((rising_p(&series(&[1, 2, 3, 4, 5, 6, 7])) - 0.001_33).abs() < 1e-4);
        assert!(rising_p(&series(&[7, 6, 5, 4, 3, 2, 1])) > 0.99);
    }

    // n = 4 with one pair tied: S = 5, Var = (4*3*13 - 2*1*9) / 18 = 7.667, z = 4 / 2.769 = 1.4446.
    #[test]
    fn mann_kendall_corrects_for_ties() {
        assert!((rising_p(&series(&[1, 2, 2, 3])) - 0.074_3).abs() < 5e-4);
        assert!((rising_p(&series(&[4, 4, 4, 4])) - 1.0).abs() < f64::EPSILON, "all equal: no rise at all");
        assert!((rising_p(&[]) - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn sen_slope_ignores_one_wild_value() {
        let slope = sen(&[series(&[10, 20, 30, 900, 50, 60, 70, 80])]).unwrap();
        assert!((slope.median - 10.0).abs() < 1.0, "{slope:?}");
        assert!(slope.low <= slope.median && slope.median <= slope.high);
    }

    // n = 10: 45 slopes, Var = 125, C = 1.96 * 11.18 = 21.9, so the 11 lowest and 11 highest are cut.
    #[test]
    fn sen_bounds_follow_the_rank_rule() {
        let slope = sen(&[series(&[0, 11, 19, 32, 38, 51, 60, 69, 82, 90])]).unwrap();
        let mut all = pair_slopes(&series(&[0, 11, 19, 32, 38, 51, 60, 69, 82, 90]));
        all.sort_by(f64::total_cmp);
        assert_eq!(all.len(), 45);
        assert!((slope.low - all[11]).abs() < 1e-12 && (slope.high - all[33]).abs() < 1e-12, "{slope:?}");
    }

    #[test]
    fn few_points_give_the_whole_range_and_one_point_gives_nothing() {
        let parts = [series(&[10, 30]), series(&[100, 110])];
        let slope = sen(&parts).unwrap();
        assert_eq!((slope.low, slope.median, slope.high), (10.0, 15.0, 20.0));
        assert_eq!(sen(&[series(&[10])]), None);
        assert_eq!(sen(&[]), None);
    }

    #[test]
    fn a_gap_of_days_counts_as_days() {
        let gap = vec![Point { day: 0, value: 0 }, Point { day: 5, value: 50 }];
        assert_eq!(sen(&[gap]).map(|slope| slope.median), Some(10.0));
    }
}

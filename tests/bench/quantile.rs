//! The arithmetic of the figures.

/// What `share` of `sorted` is not more than; none of none.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

/// The middle one, or the mean of the two in the middle; none of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let after = *values.get(values.len() / 2)?;
    let before = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(before, after))
}

/// How many times `of` the value is; none where one is missing or `of` is nothing.
pub(crate) fn ratio(value: Option<f64>, of: Option<f64>) -> Option<f64> {
    Some(value? / of.filter(|of| *of > 0.0)?)
}

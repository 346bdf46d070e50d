//! Tests of the bench's arithmetic: the bench itself is a program without a test harness.

#[path = "quantile.rs"]
mod quantile;

use quantile::{median, quantile, ratio};

#[test]
fn quantiles_are_values_that_were_measured() {
    let sorted: Vec<u64> = (0..=100).collect();
    assert_eq!(quantile(&sorted, 0.5), Some(50));
    assert_eq!(quantile(&sorted, 0.99), Some(99));
    assert_eq!(quantile(&sorted, 1.0), Some(100));
    assert_eq!(quantile(&[7], 0.95), Some(7));
    assert_eq!(quantile(&[], 0.5), None);
}

#[test]
fn the_median_is_in_the_middle_whatever_the_order() {
    assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(median([4.0, 1.0, 3.0, 2.0]), Some(2.5));
    assert_eq!(median([5.0]), Some(5.0));
    assert_eq!(median([]), None);
}

#[test]
fn a_ratio_needs_both_and_something_to_divide_by() {
    assert_eq!(ratio(Some(3.0), Some(2.0)), Some(1.5));
    assert_eq!(ratio(Some(3.0), Some(0.0)), None);
    assert_eq!(ratio(None, Some(2.0)), None);
    assert_eq!(ratio(Some(3.0), None), None);
}

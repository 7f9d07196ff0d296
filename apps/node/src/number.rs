//! Value parsers for numbers on the command line: each knows its range, refuses what is outside of it, NaN and infinity
//! included, and says what is allowed.
//!
//! ```
//! use clap::Parser;
//! #[derive(Parser)]
//! struct Cli {
//!     #[arg(long, value_parser = crqkd_node::number::real(0.0, 1000.0))]
//!     distance_km: f64,
//!     #[arg(long, value_parser = crqkd_node::number::whole::<usize>(1, 4096))]
//!     bytes: usize,
//! }
//! let refused = Cli::try_parse_from(["x", "--distance-km", "1001", "--bytes", "16"]).err();
//! assert!(refused.is_some_and(|error| error.to_string().contains("1001 is not in 0..=1000")));
//! ```

use std::fmt::Display;

/// A parser of whole numbers from `least` to `most`, both allowed. A `_` may stand between digits.
pub fn whole<T: TryFrom<u64>>(
    least: u64,
    most: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let digits: String = text.chars().filter(|&c| c != '_').collect();
        let refused = || format!("{text} is not in {least}..={most}");
        if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_digit() || "+-".contains(c)) {
            return Err(format!("expected a whole number in {least}..={most}"));
        }
        let value: u64 = digits.parse().map_err(|_| refused())?;
        if !(least..=most).contains(&value) {
            return Err(refused());
        }
        T::try_from(value).map_err(|_| refused())
    }
}

/// A parser of worker threads, 1 to 64; more than the processors that this process may use become as many as these.
/// Blocks that hand samples to each other wait in loops, so threads without a processor of their own only take time away.
pub fn workers() -> impl Fn(&str) -> Result<u8, String> + Clone + Send + Sync + 'static {
    let whole = whole::<u8>(1, 64);
    move |text| whole(text).map(at_most_processors)
}

/// So many threads, or as many as the process may use processors.
pub fn at_most_processors(workers: u8) -> u8 {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    workers.min(u8::try_from(processors).unwrap_or(u8::MAX))
}

/// A parser of finite numbers from `least` to `most`, both allowed.
pub fn real(
    least: f64,
    most: f64,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    bounded(format!("{}..={}", shown(least), shown(most)), move |x| (least..=most).contains(&x))
}

/// A parser of finite numbers above `least`, which is not allowed, to `most`, which is.
pub fn above(
    least: f64,
    most: f64,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    let range = format!("{}..={} (without {0})", shown(least), shown(most));
    bounded(range, move |x| x > least && x <= most)
}

fn bounded(
    range: String,
    good: impl Fn(f64) -> bool + Clone + Send + Sync + 'static,
) -> impl Fn(&str) -> Result<f64, String> + Clone + Send + Sync + 'static {
    move |text| match text.parse::<f64>() {
        Ok(value) if value.is_finite() && good(value) => Ok(value),
        Ok(_) => Err(format!("{text} is not in {range}")),
        Err(_) => Err(format!("expected a number in {range}")),
    }
}

/// Large and small ones as powers of ten.
fn shown(value: f64) -> impl Display {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e7).contains(&magnitude) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_workers_than_processors() {
        let processors = std::thread::available_parallelism().unwrap().get().min(64) as u8;
        assert_eq!(workers()("64"), Ok(processors));
        assert_eq!(workers()("1"), Ok(1));
        assert_eq!(workers()("0").unwrap_err(), "0 is not in 1..=64");
        assert_eq!(workers()("65").unwrap_err(), "65 is not in 1..=64");
    }

    #[test]
    fn whole_numbers_outside_their_range_are_refused_with_it() {
        let parse = whole::<u32>(1, 100_000);
        assert_eq!(parse("100_000"), Ok(100_000));
        for text in ["0", "-1", "100001", "18446744073709551616"] {
            assert_eq!(parse(text), Err(format!("{text} is not in 1..=100000")));
        }
        for text in ["", "x", "1.5", "1e3", "nan"] {
            assert_eq!(parse(text), Err("expected a whole number in 1..=100000".to_owned()));
        }
        // A range wider than the type.
        assert_eq!(whole::<u8>(0, 1000)("256"), Err("256 is not in 0..=1000".to_owned()));
    }

    #[test]
    fn real_numbers_outside_their_range_and_what_is_no_number_are_refused_with_it() {
        let parse = real(0.0, 1000.0);
        assert_eq!((parse("0"), parse("1e3")), (Ok(0.0), Ok(1000.0)));
        for text in ["-0.1", "1e300", "nan", "inf", "-inf", "1e999"] {
            assert_eq!(parse(text), Err(format!("{text} is not in 0..=1000")));
        }
        assert_eq!(parse("ten"), Err("expected a number in 0..=1000".to_owned()));
        let parse = above(0.0, 1e9);
        assert_eq!(parse("0"), Err("0 is not in 0..=1e9 (without 0)".to_owned()));
        assert_eq!(parse("1e-300"), Ok(1e-300));
    }
}

//! Whole numbers as arguments.

/// The most seconds of a time limit: a year. A clock cannot add every number of them.
#[cfg(any(feature = "registry", feature = "vm"))]
const SECONDS_MAX: u64 = 365 * 86_400;

/// A parser of numbers of seconds, at least `min`.
#[cfg(any(feature = "registry", feature = "vm"))]
pub(in crate::cli) fn seconds(
    min: u64,
) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    number(min, SECONDS_MAX)
}

/// A parser of whole numbers from `min` to `max`; `u64::MAX` stands for no limit.
pub(in crate::cli) fn number<T: TryFrom<u64>>(
    min: u64,
    max: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match max {
            u64::MAX => format!("expected a whole number, at least {min}"),
            _ => format!("expected {min} to {max}"),
        })
    }
}

//! Whole numbers as arguments.

/// A parser of whole numbers from `min` to `max`; `u64::MAX` stands for no limit.
pub(in crate::cli) fn number<T: TryFrom<u64>>(
    min: u64,
    max: u64,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| (min..=max).contains(number));
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match (min, max) {
            (0, u64::MAX) => "expected a whole number".to_owned(),
            (_, u64::MAX) => format!("expected a whole number, at least {min}"),
            _ => format!("expected {min} to {max}"),
        })
    }
}

/// A number as the tables show it: three significant digits, all digits of
/// the integer part kept, powers of ten beyond a million or below 1/10,000.
///
/// ```
/// use morphospace_report::format_number;
///
/// assert_eq!(format_number(0.31278), "0.313");
/// assert_eq!(format_number(12.34), "12.3");
/// assert_eq!(format_number(1234.4), "1234");
/// assert_eq!(format_number(0.000012345), "1.23e-5");
/// assert_eq!(format_number(f64::NAN), "not a number");
/// ```
pub fn format_number(value: f64) -> String {
    if value.is_nan() {
        return "not a number".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "infinite" } else { "-infinite" }.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs();
    if !(1e-4..1e6).contains(&magnitude) {
        return format!("{value:.2e}");
    }
    // Counted after rounding to three digits, so that 0.9999 is "1.00".
    let rounded: f64 = format!("{magnitude:.2e}")
        .parse()
        .expect("a formatted number is a number");
    let decimals = (2 - rounded.log10().floor() as i32).max(0) as usize;
    format!("{value:.decimals$}")
}

/// A count with its thousands set apart: `12,345`.
pub(crate) fn format_count(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 well`, `2 wells`, `1,234 wells`.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", format_count(count))
}

/// A coordinate inside a drawing, to a tenth of a pixel.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".to_owned(),
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_at_every_size() {
        let check = |value: f64, expect: &str| assert_eq!(format_number(value), expect);
        check(0.0, "0");
        check(-0.0, "0");
        check(0.5, "0.500");
        check(0.9999, "1.00");
        check(-0.04567, "-0.0457");
        check(99.96, "100");
        check(123.4, "123");
        check(999_999.0, "999999");
        check(1e6, "1.00e6");
        check(1e-4, "0.000100");
        check(9.9e-5, "9.90e-5");
        check(f64::INFINITY, "infinite");
        check(f64::MAX, "1.80e308");
        check(f64::MIN_POSITIVE, "2.23e-308");
    }

    #[test]
    fn counts_and_pixels() {
        assert_eq!(format_count(0), "0");
        assert_eq!(format_count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "well"), "1 well");
        assert_eq!(px(-0.04), "0");
        assert_eq!(px(12.34), "12.3");
    }
}

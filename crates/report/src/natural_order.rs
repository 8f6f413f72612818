use std::cmp::Ordering;

/// Compares labels as people order them: digits inside are numbers, so
/// `group 2` comes before `group 10` and `HUVEC-2` before `HUVEC-10`.
/// Labels that differ only in leading zeros are ordered as text.
pub(crate) fn by_nature(a: &str, b: &str) -> Ordering {
    let (mut rest_a, mut rest_b) = (a, b);
    while !rest_a.is_empty() && !rest_b.is_empty() {
        let (part_a, next_a) = first_part(rest_a);
        let (part_b, next_b) = first_part(rest_b);
        let number = |part: &str| {
            let digits = part.trim_start_matches('0').to_owned();
            part.starts_with(|c: char| c.is_ascii_digit())
                .then_some(digits)
        };
        let order = match (number(part_a), number(part_b)) {
            // Without leading zeros, the longer number is the larger.
            (Some(a), Some(b)) => a.len().cmp(&b.len()).then(a.cmp(&b)),
            _ => part_a.cmp(part_b),
        };
        if order.is_ne() {
            return order;
        }
        (rest_a, rest_b) = (next_a, next_b);
    }
    rest_a.len().cmp(&rest_b.len()).then(a.cmp(b))
}

/// The leading run of digits or of anything else, and what follows it.
fn first_part(text: &str) -> (&str, &str) {
    let starts_with_digit = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != starts_with_digit);
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_inside_are_numbers() {
        let sorted = [
            "", "2", "10", "HUVEC-01", "HUVEC-1", "HUVEC-2", "HUVEC-10", "a", "a2b", "a10",
        ];
        for (index, a) in sorted.iter().enumerate() {
            for (other, b) in sorted.iter().enumerate() {
                assert_eq!(by_nature(a, b), index.cmp(&other), "{a:?} and {b:?}");
            }
        }
    }
}

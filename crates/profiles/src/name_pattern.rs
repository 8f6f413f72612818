/// Whether a name fits a pattern, in which `*` stands for any characters, or
/// none, and `?` for one.
pub(crate) fn name_fits(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) =
        (name.chars().collect(), pattern.chars().collect());
    let (mut n, mut p) = (0, 0);
    // The last star, and where what it stands for ends so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            (n, p) = (n + 1, p + 1);
        } else if let Some((at, end)) = star {
            star = Some((at, end + 1));
            (n, p) = (end + 1, at + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        let check = |name: &str, pattern: &str, expect: bool| {
            assert_eq!(name_fits(name, pattern), expect, "'{name}' as '{pattern}'");
        };
        check("Cells_Area", "Cells_*", true);
        check("Cells_", "Cells_*", true);
        check("Cell_Area", "Cells_*", false);
        check("Cells_Area", "*_Area", true);
        check("Cells_Area_2", "*_Area", false);
        check("Cells_Area_Area", "*_Area", true);
        check("aXbXc", "a*b*c", true);
        check("aXbX", "a*b*c", false);
        check("z12", "z??", true);
        check("z1", "z??", false);
        check("µm", "?m", true);
        check("", "", true);
        check("", "*", true);
        check("a", "", false);
        check("[NSU]", "[NSU]", true);
        check("N", "[NSU]", false);
    }

    /// The definition, slow.
    fn fits(name: &[char], pattern: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|from| fits(&name[from..], rest)),
            Some((c, rest)) => {
                !name.is_empty() && (*c == '?' || *c == name[0]) && fits(&name[1..], rest)
            }
        }
    }

    proptest! {
        #[test]
        fn fits_as_defined(name in "[ab]{0,8}", pattern in "[ab*?]{0,6}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(name_fits(&name, &pattern), fits(&chars(&name), &chars(&pattern)));
        }
    }
}

use std::fmt;

/// Text made safe for HTML content, quoted attributes and SVG.
///
/// Besides `& < > " '`, characters that no label needs but that can hide or
/// reorder others (controls, bidirectional overrides) become U+FFFD.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(character)?,
                '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => f.write_char('\u{FFFD}')?,
                _ if character.is_control() => f.write_char('\u{FFFD}')?,
                _ => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

/// The text, cut to `max_chars` with an ellipsis at the end.
pub(crate) fn shortened(text: &str, max_chars: usize) -> String {
    if text.chars().count() <= max_chars {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max_chars.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let escaped = Escaped("<script>alert('\"&\")</script>").to_string();
        assert_eq!(
            escaped,
            "&lt;script&gt;alert(&#39;&quot;&amp;&quot;)&lt;/script&gt;"
        );
    }

    #[test]
    fn characters_that_hide_others_are_shown() {
        assert_eq!(
            Escaped("a\0b\u{202E}c\u{7}").to_string(),
            "a\u{FFFD}b\u{FFFD}c\u{FFFD}"
        );
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("αβγδε", 3), "αβ…");
        assert_eq!(shortened("αβγ", 3), "αβγ");
        assert_eq!(shortened("", 3), "");
    }
}

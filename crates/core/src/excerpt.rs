use std::borrow::Cow;

/// Most characters of a value that a message shows.
const MAX_CHARS: usize = 60;

/// A value as it should stand in a message: control characters made visible,
/// and cut where it is longer than a message should be.
///
/// ```
/// use morphospace_core::excerpt;
///
/// assert_eq!(excerpt("B02"), "B02");
/// assert_eq!(excerpt("B\0"), "B\\u{0}");
/// assert_eq!(excerpt(&"x".repeat(100)).chars().count(), 61);
/// ```
pub fn excerpt(text: &str) -> Cow<'_, str> {
    let is_long = text.chars().nth(MAX_CHARS).is_some();
    if !is_long && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for character in text.chars().take(MAX_CHARS) {
        match character.is_control() {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    if is_long {
        shown.push('…');
    }
    Cow::Owned(shown)
}

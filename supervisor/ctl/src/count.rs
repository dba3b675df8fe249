//! Numbers as people read them: with the right plural, in groups of a thousand. Counts nothing.

/// `1 check`, `1,204 checks`.
pub(crate) fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    // Nothing that is counted here is below zero.
    let number = number.try_into().unwrap_or(0);
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// `1,204`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural_and_thousands_are_grouped() {
        let cases = [(0_usize, "0 folders"), (1, "1 folder"), (999, "999 folders"), (1_204_005, "1,204,005 folders")];
        for (number, expected) in cases {
            assert_eq!(counted(number, "folder"), expected);
        }
    }
}

//! Text by the columns that a terminal needs for it: its width, wrapping, cutting, filling up. Writes nothing.
use std::io;

use textwrap::core::Word;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};
use wbd_model::text::columns;

/// Columns of a line where the output is no terminal, so that what is kept or compared is the same everywhere.
pub(crate) const USUAL: usize = 80;
/// Below this, labels would leave no room for what they are about.
const NARROWEST: usize = 40;

/// Columns of a line on standard output: the terminal's own.
pub(crate) fn of_stdout() -> usize {
    wide(terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| width.0))
}

fn wide(terminal: Option<u16>) -> usize {
    terminal.map_or(USUAL, |columns| usize::from(columns).max(NARROWEST))
}

/// Breaks a paragraph into lines of at most so many columns, behind a label of `lead` columns. Words of Latin letters stay whole, paths and commands too, so that they can be copied: one that is
/// longer stands on a line of its own. Texts without spaces (Japanese) break where their rules allow.
pub(crate) fn wrap(text: &str, lead: usize, width: usize) -> Vec<String> {
    let flow = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let options = Options::new(width.saturating_sub(lead).max(1))
        .break_words(false)
        .word_separator(WordSeparator::Custom(words))
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    let lines = textwrap::wrap(&flow, options);
    lines.into_iter().filter(|line| !line.is_empty()).map(std::borrow::Cow::into_owned).collect()
}

/// Parts between which a line may break: at spaces, and beside wide characters where Unicode allows a break. (Of itself
/// it allows none between a space and a path, and one after each hyphen.)
fn words(line: &str) -> Box<dyn Iterator<Item = Word<'_>> + '_> {
    let is_wide = |ch: Option<char>| ch.is_some_and(|ch| columns(ch.encode_utf8(&mut [0; 4])) > 1);
    let (mut parts, mut begin) = (Vec::new(), 0);
    for word in WordSeparator::AsciiSpace.find_words(line) {
        let (end, with_spaces) = (begin + word.word.len(), begin + word.word.len() + word.whitespace.len());
        let mut at = begin;
        for piece in WordSeparator::UnicodeBreakProperties.find_words(word.word) {
            at += piece.word.len();
            let next = line.get(at..end).and_then(|rest| rest.chars().next());
            if next.is_some() && (is_wide(piece.word.chars().next_back()) || is_wide(next)) {
                parts.extend(line.get(begin..at).map(Word::from));
                begin = at;
            }
        }
        parts.extend(line.get(begin..with_spaces).map(Word::from));
        begin = with_spaces;
    }
    Box::new(parts.into_iter())
}

/// Fills a text up with spaces to so many columns; a wider one stays whole.
pub(crate) fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(columns(text));
    format!("{text}{:missing$}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    const JAPANESE: &str = "監視できないフォルダーがあります。上限 (fs.inotify.max_user_watches) を引き上げて、エージェントを再起動してください。";

    #[test]
    fn lines_end_within_the_width_and_a_long_word_stays_whole() {
        let lines = wrap("one two three four averyveryverylongword five", 0, 10);
        assert_eq!(lines, ["one two", "three four", "averyveryverylongword", "five"]);
        assert_eq!(
            wrap("see /etc/wbd/wbd.yaml, then run-it --yes now", 2, 14),
            ["see", "/etc/wbd/wbd.yaml,", "then run-it", "--yes now"]
        );
        assert_eq!(wrap(" \n ", 0, 10), Vec::<String>::new());
    }

    #[test]
    fn japanese_breaks_without_spaces_by_its_own_rules_and_counts_two_columns_a_character() {
        for width in [NARROWEST, 50, USUAL] {
            let lines = wrap(JAPANESE, 6, width);
            assert!(lines.len() > 1, "{lines:?}");
            assert!(lines.iter().all(|line| columns(line) <= width - 6), "{width}: {lines:?}");
            assert!(lines.iter().all(|line| !line.starts_with(['。', '、', ')'])), "{width}: {lines:?}");
            assert!(lines.iter().any(|line| line.contains("(fs.inotify.max_user_watches)")), "{width}: {lines:?}");
            let whole: String = lines.concat();
            assert_eq!(whole.replace(' ', ""), JAPANESE.replace(' ', ""), "nothing is lost");
            // A line that could have taken the next character has not been ended early.
            assert!(columns(&lines[0]) > (width - 6) / 2, "{width}: {lines:?}");
        }
    }

    #[test]
    fn prose_uses_the_whole_width_of_a_wide_terminal() {
        let lines = wrap(&"word ".repeat(100), 10, 200);
        assert!(lines.iter().all(|line| columns(line) <= 190), "{lines:?}");
        assert!(lines.iter().any(|line| columns(line) > 180), "{lines:?}");
    }

    #[test]
    fn what_is_filled_up_has_its_columns_and_what_is_wider_stays_whole() {
        assert_eq!((padded("日本", 6), padded("ab", 6)), ("日本  ".to_owned(), "ab    ".to_owned()));
        assert_eq!(padded("日本語です", 6), "日本語です");
    }

    #[test]
    fn the_width_is_the_terminals_own_unless_it_is_too_narrow_or_no_terminal() {
        assert_eq!((wide(None), wide(Some(50)), wide(Some(200)), wide(Some(10))), (80, 50, 200, NARROWEST));
    }
}

//! Elastic tab stops: cells that end in a tab line up with those above and below them.
//!
//! What `describe` prints is indented text in which values stand in columns; each block of neighbouring lines has columns
//! of its own. In: text with tabs. Out: text with spaces.

/// Spaces between a column's widest cell and the next column.
const GAP: usize = 2;

/// Replaces tabs by as many spaces as it takes.
pub(crate) fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut aligned = String::with_capacity(text.len() * 2);
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len()]).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    for column in 0..columns {
        // A run of lines that all have a cell here which a tab ends.
        let has = |line: usize| lines.get(line).is_some_and(|cells| cells.len() > column + 1);
        let mut first = 0;
        while first < lines.len() {
            let end = (first..).find(|line| !has(*line)).unwrap_or(first);
            let widest = lines[first..end]
                .iter()
                .map(|cells| cells[column].chars().count())
                .max();
            for line in &mut widths[first..end] {
                line[column] = widest.unwrap_or(0) + GAP;
            }
            first = end + 1;
        }
    }
    for (cells, widths) in lines.iter().zip(&widths) {
        let line: String = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        aligned += line.trim_end();
        aligned.push('\n');
    }
    aligned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_lines_share_their_columns_and_others_do_not() {
        let text = "Name:\tweb\nNamespace:\tdefault\nContainers:\n  web:\n    Image:\tnginx\n    Port:\t80\tTCP\n\nA\tb\tc\nAAAAAA\tb\tc\n";
        insta::assert_snapshot!(align(text), @r"
        Name:       web
        Namespace:  default
        Containers:
          web:
            Image:  nginx
            Port:   80  TCP

        A       b  c
        AAAAAA  b  c
        ");
    }
}

//! Tables as kubectl prints them: capital headers, columns apart by three spaces, no lines.
//!
//! [`Widths`] lays out one line at a time, for tables that grow while they are shown; [`Table`] is one that is whole.

/// Spaces between columns.
const GAP: usize = 3;

/// The widths of columns. They only grow, so that lines which come later stand under those that came before.
#[derive(Clone, Debug, Default)]
pub struct Widths(Vec<usize>);

impl Widths {
    /// Makes room for a line.
    pub fn fit<S: AsRef<str>>(&mut self, cells: &[S]) {
        if self.0.len() < cells.len() {
            self.0.resize(cells.len(), 0);
        }
        for (width, cell) in self.0.iter_mut().zip(cells) {
            *width = (*width).max(cell.as_ref().chars().count());
        }
    }

    /// A line, without its line break.
    pub fn line<S: AsRef<str>>(&mut self, cells: &[S]) -> String {
        self.fit(cells);
        let padded = cells.iter().zip(&self.0).map(|(cell, width)| {
            let cell = cell.as_ref();
            format!("{cell:pad$}", pad = width + GAP)
        });
        padded.collect::<String>().trim_end().to_owned()
    }
}

/// A table under construction.
#[derive(Debug)]
pub struct Table {
    lines: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headers.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(headers: I) -> Self {
        let headers = headers.into_iter().map(Into::into).collect();
        Self { lines: vec![headers] }
    }

    /// Adds a row. An empty cell shows as `<none>`, as kubectl has it.
    pub fn row<I: IntoIterator<Item = S>, S: Into<String>>(&mut self, cells: I) {
        let filled = cells.into_iter().map(|cell| {
            let cell: String = cell.into();
            if cell.is_empty() {
                "<none>".to_owned()
            } else {
                cell
            }
        });
        self.lines.push(filled.collect());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut widths = Widths::default();
        for line in &self.lines {
            widths.fit(line);
        }
        for line in &self.lines {
            writeln!(f, "{}", widths.line(line))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_have_no_spaces_at_their_end() {
        let mut table = Table::new(["NAME", "STATUS"]);
        table.row(["node-1", "Ready"]);
        table.row(["a", ""]);
        assert_eq!(
            table.to_string(),
            "NAME     STATUS\nnode-1   Ready\na        <none>\n"
        );
    }

    #[test]
    fn a_later_line_stands_under_the_earlier_ones() {
        let mut widths = Widths::default();
        widths.fit(&["web-1", "Running"]);
        assert_eq!(widths.line(&["NAME", "STATUS"]), "NAME    STATUS");
        assert_eq!(widths.line(&["a", "Pending"]), "a       Pending");
        assert_eq!(widths.line(&["longer-name", "x"]), "longer-name   x");
        assert_eq!(widths.line(&["a", "x"]), "a             x");
    }
}

//! Tables as kubectl prints them: capital headers, columns apart by three spaces, no lines.

use comfy_table::{Table as Cells, presets};

/// A table under construction.
#[derive(Debug)]
pub struct Table(Cells);

impl Table {
    /// An empty table with these headers.
    pub fn new<I: IntoIterator<Item = S>, S: Into<String>>(headers: I) -> Self {
        let mut cells = Cells::new();
        cells.load_style(presets::NOTHING);
        cells.set_header(headers.into_iter().map(Into::into));
        Self(cells)
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
        self.0.add_row(filled);
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut cells = self.0.clone();
        for column in cells.column_iter_mut() {
            column.set_padding((0, 3));
        }
        for line in cells.lines() {
            writeln!(f, "{}", line.trim_end())?;
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
}

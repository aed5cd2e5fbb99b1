use crate::Error;
use crate::csv::{field, number};
use crate::notebook;

/// One cell of a [`Table`].
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A number, shown with this many digits after the point and stored in full in the CSV.
    Number {
        /// The value.
        value: f64,
        /// Digits after the point.
        digits: usize,
    },
    /// No value: an empty CSV field, a dash elsewhere.
    Missing,
}

impl Cell {
    /// A cell of words.
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A number shown with `digits` digits after the point.
    pub fn number(value: f64, digits: usize) -> Self {
        Self::Number { value, digits }
    }

    fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number { value, digits } => {
                let number = format!("{value:.digits$}");
                let zero = !number.contains(|c: char| ('1'..='9').contains(&c));
                // The typographic minus, as in the figures, and none before a zero.
                number.replace('-', if zero { "" } else { "−" })
            }
            Self::Missing => "–".to_owned(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Column {
    name: String,
    unit: String,
}

impl Column {
    fn header(&self) -> String {
        if self.unit.is_empty() {
            self.name.clone()
        } else {
            format!("{} ({})", self.name, self.unit)
        }
    }
}

/// A table of a paper, as CSV, Markdown and HTML.
///
/// ```
/// use figures::{Cell, Table};
/// let table = Table::new("A-tab1", "Optimal radii")
///     .column("variant", "")
///     .column("radius", "bits")
///     .row(vec![Cell::text("critical"), Cell::number(451.0, 0)])
///     .row(vec![Cell::text("unknown"), Cell::Missing]);
/// assert_eq!(table.csv()?, "variant,radius (bits)\ncritical,451\nunknown,\n");
/// # Ok::<(), figures::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    id: String,
    title: String,
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// An empty table.
    pub fn new(id: &str, title: &str) -> Self {
        Self { id: id.to_owned(), title: title.to_owned(), columns: Vec::new(), rows: Vec::new() }
    }

    /// Adds a column; a dimensionless one has the unit `""`.
    #[must_use]
    pub fn column(mut self, name: &str, unit: &str) -> Self {
        self.columns.push(Column { name: name.to_owned(), unit: unit.to_owned() });
        self
    }

    /// Adds a row with one cell for each column.
    #[must_use]
    pub fn row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push(cells);
        self
    }

    /// The table's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The table's title.
    pub fn title(&self) -> &str {
        &self.title
    }

    fn check(&self) -> Result<(), Error> {
        for (row, cells) in self.rows.iter().enumerate() {
            if cells.len() != self.columns.len() {
                return Err(Error::RowLength {
                    table: self.id.clone(),
                    row,
                    expected: self.columns.len(),
                    got: cells.len(),
                });
            }
            for (cell, column) in cells.iter().zip(&self.columns) {
                if let Cell::Number { value, .. } = cell
                    && !value.is_finite()
                {
                    return Err(Error::NonFiniteCell {
                        table: self.id.clone(),
                        row,
                        column: column.name.clone(),
                        value: *value,
                    });
                }
            }
        }
        Ok(())
    }

    /// The table as CSV with every number in full (the shortest decimal that reads back the same).
    ///
    /// # Errors
    /// [`Error::RowLength`] and [`Error::NonFiniteCell`] name the first cell that is wrong.
    pub fn csv(&self) -> Result<String, Error> {
        self.check()?;
        let header = self.columns.iter().map(|column| field(&column.header())).collect();
        let rows = self.rows.iter().map(|cells| {
            cells
                .iter()
                .map(|cell| match cell {
                    Cell::Text(text) => field(text),
                    Cell::Number { value, .. } => number(*value),
                    Cell::Missing => String::new(),
                })
                .collect()
        });
        let lines = std::iter::once(header).chain(rows);
        Ok(lines.map(|line: Vec<String>| line.join(",") + "\n").collect())
    }

    /// The table as Markdown, numbers aligned to the right.
    ///
    /// # Errors
    /// As [`Table::csv`].
    ///
    /// ```
    /// use figures::{Cell, Table};
    /// let table = Table::new("t", "").column("n", "").column("error", "%");
    /// let table = table.row(vec![Cell::text("a|b"), Cell::number(-0.26, 1)]);
    /// assert_eq!(
    ///     table.markdown()?,
    ///     "| n | error (%) |\n|:---|---:|\n| a\\|b | −0.3 |\n"
    /// );
    /// # Ok::<(), figures::Error>(())
    /// ```
    pub fn markdown(&self) -> Result<String, Error> {
        self.check()?;
        let line = |cells: Vec<String>| {
            let escaped: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", escaped.join(" | "))
        };
        let rule: Vec<&str> = (0..self.columns.len())
            .map(|i| if self.numeric(i) { "---:" } else { ":---" })
            .collect();
        let header = line(self.columns.iter().map(Column::header).collect());
        let rows = self.rows.iter().map(|cells| line(cells.iter().map(Cell::shown).collect()));
        Ok(format!("{header}|{}|\n{}", rule.join("|"), rows.collect::<String>()))
    }

    /// The table as an HTML fragment for notebooks.
    ///
    /// # Errors
    /// As [`Table::csv`].
    pub fn html(&self) -> Result<String, Error> {
        use crate::svg::escape;
        self.check()?;
        let line = |tag: &str, cells: Vec<String>| {
            let cells = cells.iter().enumerate().map(|(i, cell)| {
                let align = if self.numeric(i) { "right" } else { "left" };
                format!("<{tag} style=\"text-align:{align}\">{}</{tag}>", escape(cell))
            });
            format!("<tr>{}</tr>\n", cells.collect::<String>())
        };
        let caption = escape(&self.title);
        let header = line("th", self.columns.iter().map(Column::header).collect());
        let rows =
            self.rows.iter().map(|cells| line("td", cells.iter().map(Cell::shown).collect()));
        let rows: String = rows.collect();
        Ok(format!("<table>\n<caption>{caption}</caption>\n{header}{rows}</table>\n"))
    }

    /// Shows the table, or the reason why it cannot be shown, in a notebook with an evcxr kernel.
    pub fn evcxr_display(&self) {
        match self.html() {
            Ok(html) => notebook::show("text/html", &html),
            Err(error) => notebook::show("text/plain", &error.to_string()),
        }
    }

    /// Whether a column holds numbers and nothing else.
    fn numeric(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().filter_map(|cells| cells.get(column));
        !self.rows.is_empty() && cells.all(|cell| !matches!(cell, Cell::Text(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_row_and_a_nan_are_errors() {
        let table = Table::new("t", "").column("a", "").column("b", "");
        let short = table.clone().row(vec![Cell::Missing]);
        assert!(matches!(short.csv(), Err(Error::RowLength { row: 0, expected: 2, got: 1, .. })));
        let nan = table.row(vec![Cell::Missing, Cell::number(f64::NAN, 1)]);
        assert!(matches!(nan.markdown(), Err(Error::NonFiniteCell { row: 0, .. })));
    }

    #[test]
    fn a_number_that_rounds_to_zero_has_no_sign() {
        assert_eq!(Cell::number(-0.004, 2).shown(), "0.00");
        assert_eq!(Cell::number(-0.006, 2).shown(), "−0.01");
    }

    #[test]
    fn html_escapes_and_aligns() {
        let table = Table::new("t", "x < y").column("name", "").column("v", "");
        let html = table.row(vec![Cell::text("a&b"), Cell::number(1.0, 2)]).html().unwrap();
        assert!(html.contains("<caption>x &lt; y</caption>"));
        assert!(html.contains("<td style=\"text-align:left\">a&amp;b</td>"));
        assert!(html.contains("<td style=\"text-align:right\">1.00</td>"));
    }
}

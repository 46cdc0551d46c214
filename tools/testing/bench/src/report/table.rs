// SPDX-License-Identifier: GPL-2.0

//! A table, as text and as Markdown. The first column is text, the others are figures.

pub struct Table {
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(title: &str, head: &[&str]) -> Table {
        Table {
            title: title.to_owned(),
            head: head.iter().map(|word| (*word).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub fn text(&self) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let width = |column: usize| {
            let widths = lines().map(|line| line[column].chars().count());
            widths.max().unwrap_or(0)
        };
        let mut text = format!("{}\n", self.title);
        for line in lines() {
            text.push_str(&format!("  {:<46}", line[0]));
            for (column, cell) in line.iter().enumerate().skip(1) {
                text.push_str(&format!("  {cell:>0$}", width(column).max(9)));
            }
            text.push('\n');
        }
        text
    }

    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("**{}**\n\n{}", self.title, line(&self.head));
        text.push_str(&format!("|---|{}\n", "--:|".repeat(self.head.len() - 1)));
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }
}

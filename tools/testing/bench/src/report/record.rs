// SPDX-License-Identifier: GPL-2.0

//! The figures that are kept in the repository: `recorded.tsv`.

use crate::{
    environment::Environment,
    figures::{Figures, number},
    rows::GATED,
};
use anyhow::{Context, Result};

pub struct Record {
    pub environment: Environment,
    /// Id and figure.
    pub figures: Vec<(String, f64)>,
}

impl Record {
    pub fn parse(text: &str) -> Result<Record> {
        let mut environment = String::new();
        let mut figures = Vec::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                if let Some((name, value)) = comment.trim().split_once(": ") {
                    environment.push_str(&format!("{name}\t{value}\n"));
                }
                continue;
            }
            let mut fields = line.split('\t');
            let mut field = || {
                fields
                    .next()
                    .with_context(|| format!("not a record: {line}"))
            };
            let (id, figure) = (field()?.to_owned(), field()?.replace(',', ""));
            figures.push((id, figure.parse().with_context(|| line.to_owned())?));
        }
        Ok(Record {
            environment: Environment::parse(&environment)?,
            figures,
        })
    }
}

/// A new record.
pub fn write(environment: &Environment, rust: &Figures) -> Result<String> {
    let mut text = "\
# SPDX-License-Identifier: GPL-2.0
# Instructions of the Rust kernel. make test fails where one is exceeded by over
# 2 %; make bench RECORD=1 writes this file.
"
    .to_owned();
    for (name, value) in environment.decisive() {
        text.push_str(&format!("# {name}: {value}\n"));
    }
    for (id, name) in GATED {
        let figure = rust
            .get(id)
            .with_context(|| format!("{id} was not measured"))?;
        let value = number(figure.value(), figure.divisor > 1);
        text.push_str(&format!("{id}\t{value}\t{name}\n"));
    }
    Ok(text)
}

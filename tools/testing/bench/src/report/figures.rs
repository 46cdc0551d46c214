// SPDX-License-Identifier: GPL-2.0

//! What `ringbench` has printed.

use anyhow::{Context, Result, ensure};

/// One figure: the median of its samples, divided.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    pub id: String,
    pub divisor: u64,
    pub samples: Vec<u64>,
}

impl Figure {
    fn parse(line: &str) -> Result<Figure> {
        let mut fields = line.split('\t');
        let mut field = || {
            fields
                .next()
                .with_context(|| format!("not a figure: {line}"))
        };
        let id = field()?.to_owned();
        let divisor = field()?.parse()?;
        let samples = field()?
            .split(' ')
            .map(|sample| sample.parse().with_context(|| line.to_owned()))
            .collect::<Result<Vec<u64>>>()?;
        ensure!(divisor > 0 && !samples.is_empty(), "not a figure: {line}");
        Ok(Figure {
            id,
            divisor,
            samples,
        })
    }

    /// The lower one if there are two in the middle, so that it is one that occurred.
    pub fn median(&self) -> u64 {
        let mut sorted = self.samples.clone();
        sorted.sort_unstable();
        sorted[(sorted.len() - 1) / 2]
    }

    pub fn value(&self) -> f64 {
        self.median() as f64 / self.divisor as f64
    }
}

/// All of one kernel.
pub struct Figures(pub Vec<Figure>);

impl Figures {
    pub fn parse(text: &str) -> Result<Figures> {
        text.lines()
            .map(Figure::parse)
            .collect::<Result<_>>()
            .map(Figures)
    }

    pub fn get(&self, id: &str) -> Option<&Figure> {
        self.0.iter().find(|figure| figure.id == id)
    }

    pub fn value(&self, id: &str) -> Option<f64> {
        self.get(id).map(Figure::value)
    }

    /// As it is printed.
    pub fn text(&self, id: &str) -> String {
        self.get(id).map_or("-".to_owned(), |figure| {
            number(figure.value(), figure.divisor > 1)
        })
    }
}

/// With a separator for thousands, and one decimal place if it is a quotient.
pub fn number(value: f64, quotient: bool) -> String {
    let tenths = (value * 10.0).round() as u64;
    let digits = if quotient {
        tenths / 10
    } else {
        value.round() as u64
    }
    .to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    if quotient {
        text.push_str(&format!(".{}", tenths % 10));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_and_quotient() {
        let figures = Figures::parse("a\t1\t5 1 9\nb\t4\t10 30 20 40\n").unwrap();
        assert_eq!(figures.get("a").unwrap().median(), 5);
        assert_eq!(figures.value("b"), Some(5.0));
        assert_eq!(figures.text("b"), "5.0");
        assert_eq!(figures.text("c"), "-");
    }

    #[test]
    fn what_is_no_figure_is_refused() {
        for line in ["a", "a\t1", "a\t0\t1", "a\t1\t", "a\t1\tx", "Error: no"] {
            assert!(Figures::parse(line).is_err(), "{line}");
        }
    }

    #[test]
    fn thousands() {
        assert_eq!(number(999.0, false), "999");
        assert_eq!(number(1_234_567.0, false), "1,234,567");
        assert_eq!(number(1234.56, true), "1,234.6");
        assert_eq!(number(9.96, true), "10.0");
    }
}

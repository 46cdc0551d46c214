// SPDX-License-Identifier: GPL-2.0

//! The gate: figures against their record.

use crate::{
    environment::Environment,
    figures::{Figures, number},
    record::Record,
    rows::GATED,
};

/// By how much a figure may be exceeded.
const TOLERANCE: f64 = 1.02;

fn name(id: &str) -> &str {
    GATED
        .iter()
        .find(|(other, _)| *other == id)
        .map_or(id, |(_, name)| name)
}

/// A line for each: "ok", "not ok" or "skip", and what was compared; a reason after a tab.
pub fn all(recorded: &Record, environment: &Environment, rust: &Figures) -> Vec<String> {
    // Another compiler makes other code: no figure of it says anything about ours.
    if let Some(difference) = environment.difference(&recorded.environment) {
        return vec![format!("skip figures against their record\t{difference}")];
    }
    let mut lines: Vec<String> = GATED
        .iter()
        .filter(|(id, _)| !recorded.figures.iter().any(|(other, _)| other == id))
        .map(|(_, name)| format!("not ok {name}: not recorded"))
        .collect();
    lines.extend(recorded.figures.iter().map(|(id, was)| {
        let name = name(id);
        let Some(figure) = rust.get(id) else {
            return format!("not ok {name}: not measured");
        };
        let quotient = figure.divisor > 1;
        let (value, was_text) = (figure.value(), number(*was, quotient));
        let verdict = if value <= was * TOLERANCE {
            "ok"
        } else {
            "not ok"
        };
        format!(
            "{verdict} {name}: {} (recorded {was_text})",
            number(value, quotient)
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;

    const ENVIRONMENT: &str = "kernel\t7.3\nclang\t22\nrustc\t1.96\nqemu\t7.2\n";

    fn environment() -> Environment {
        Environment::parse(ENVIRONMENT).unwrap()
    }

    /// Every gated operation costs `cost`.
    fn figures(cost: u64) -> Figures {
        let lines: Vec<String> = GATED
            .iter()
            .map(|(id, _)| format!("{id}\t1\t{cost}\n"))
            .collect();
        Figures::parse(&lines.concat()).unwrap()
    }

    fn against(cost: u64) -> Vec<String> {
        let text = record::write(&environment(), &figures(1000)).unwrap();
        all(
            &Record::parse(&text).unwrap(),
            &environment(),
            &figures(cost),
        )
    }

    #[test]
    fn two_percent_more_pass() {
        for cost in [1, 1000, 1020] {
            let lines = against(cost);
            assert_eq!(lines.len(), GATED.len());
            assert!(
                lines.iter().all(|line| line.starts_with("ok ")),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn more_than_that_fails() {
        assert!(against(1021).iter().all(|line| line.starts_with("not ok ")));
        assert!(against(1021)[0].ends_with(": 1,021 (recorded 1,000)"));
    }

    #[test]
    fn what_is_missing_fails() {
        let text = record::write(&environment(), &figures(1)).unwrap();
        let recorded = Record::parse(&text).unwrap();
        let none = Figures::parse("").unwrap();
        let lines = all(&recorded, &environment(), &none);
        assert!(
            lines.iter().all(|line| line.ends_with("not measured")),
            "{lines:?}"
        );
        let lines = all(
            &Record {
                environment: environment(),
                figures: Vec::new(),
            },
            &environment(),
            &figures(1),
        );
        assert!(
            lines.iter().all(|line| line.ends_with("not recorded")),
            "{lines:?}"
        );
    }

    #[test]
    fn another_compiler_skips() {
        let text = record::write(&environment(), &figures(1)).unwrap();
        let recorded = Record::parse(&text).unwrap();
        let other = Environment::parse(&ENVIRONMENT.replace("1.96", "1.97")).unwrap();
        let lines = all(&recorded, &other, &figures(9));
        assert_eq!(
            lines,
            ["skip figures against their record\trustc is 1.97 here, the record is of 1.96"]
        );
    }
}

// SPDX-License-Identifier: GPL-2.0

//! The raw results.

use crate::{environment::Environment, figures::Figures, rows::Kernels};

/// A string. What comes here has no control characters.
fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn object(indent: usize, members: &[(String, String)]) -> String {
    let space = "  ".repeat(indent);
    let members: Vec<String> = members
        .iter()
        .map(|(name, value)| format!("{space}  {}: {value}", string(name)))
        .collect();
    format!("{{\n{}\n{space}}}", members.join(",\n"))
}

fn figures(figures: &Figures) -> String {
    let members: Vec<(String, String)> = figures
        .0
        .iter()
        .map(|figure| {
            let samples: Vec<String> = figure.samples.iter().map(u64::to_string).collect();
            let value = format!(
                "{{ \"median\": {}, \"divisor\": {}, \"samples\": [{}] }}",
                figure.median(),
                figure.divisor,
                samples.join(", ")
            );
            (figure.id.clone(), value)
        })
        .collect();
    object(1, &members)
}

pub fn write(environment: &Environment, kernels: &Kernels) -> String {
    let pairs: Vec<(String, String)> = environment
        .0
        .iter()
        .map(|(name, value)| (name.clone(), string(value)))
        .collect();
    let all = [
        ("environment".to_owned(), object(1, &pairs)),
        ("c".to_owned(), figures(&kernels.c)),
        ("rust".to_owned(), figures(&kernels.rust)),
        ("calls".to_owned(), figures(&kernels.calls)),
    ];
    object(0, &all) + "\n"
}

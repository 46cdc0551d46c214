// SPDX-License-Identifier: LGPL-2.1-or-later

//! Where tables are shown: in the terminal, each in the place of the one before, or one after the
//! other.

use std::io::{self, IsTerminal, Write};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;
use ratatui::{DefaultTerminal, Frame};

use crate::signals::Stop;
use crate::table::{self, Kind, Room, Sample, Type};

/// How soon a signal is noticed.
const LOOK: Duration = Duration::from_millis(50);

/// The least width for two tables beside each other: that of all columns, with long names.
const BESIDE: u16 = 70 + GAP + 60;
const GAP: u16 = 3;

/// What is shown.
#[derive(Debug)]
pub struct View<'a> {
    /// One line about all of it.
    pub title: String,
    pub before: &'a [Sample],
    pub now: &'a [Sample],
    /// Nothing if events are not taken.
    pub types: Option<&'a [Type]>,
    /// Time between the samples.
    pub seconds: f64,
}

/// Where to.
pub enum Screen {
    Plain,
    // Restored when it is dropped, and by a hook before a panic is reported.
    Terminal(DefaultTerminal),
}

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Go,
    End,
    /// Ctrl-C was pressed, of which the terminal makes no signal now.
    Interrupt,
}

impl Screen {
    /// Whether this is a terminal that has a size and keys.
    pub fn fits() -> bool {
        let size = rustix::termios::tcgetwinsize(io::stdout());
        size.is_ok_and(|size| size.ws_row > 0 && size.ws_col > 0) && io::stdin().is_terminal()
    }

    /// The terminal, if it fits.
    pub fn open() -> io::Result<Self> {
        match Self::fits() {
            true => Ok(Screen::Terminal(ratatui::try_init()?)),
            false => Ok(Screen::Plain),
        }
    }

    pub fn is_terminal(&self) -> bool {
        matches!(self, Screen::Terminal(_))
    }

    pub fn show(&mut self, view: &View<'_>) -> io::Result<()> {
        match self {
            Screen::Plain => plain(view, &mut io::stdout().lock()),
            Screen::Terminal(terminal) => terminal.draw(|frame| draw(view, frame)).map(drop),
        }
    }

    /// Waits until then, a signal or a key.
    pub fn wait(&mut self, until: Instant, stop: &Stop) -> io::Result<Then> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if stop.came() {
                return Ok(Then::End);
            }
            if left.is_zero() {
                return Ok(Then::Go);
            }
            match self {
                Screen::Plain => thread::sleep(LOOK.min(left)),
                Screen::Terminal(terminal) => {
                    if !event::poll(LOOK.min(left))? {
                        continue;
                    }
                    match event::read()? {
                        Event::Key(key) if key.kind != KeyEventKind::Release => {
                            let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
                            match key.code {
                                KeyCode::Char('q') | KeyCode::Esc => return Ok(Then::End),
                                KeyCode::Char('c') if ctrl => return Ok(Then::Interrupt),
                                _ => {}
                            }
                        }
                        // The table comes in its new size with the next draw.
                        Event::Resize(..) => terminal.autoresize()?,
                        _ => {}
                    }
                }
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal() {
            ratatui::restore();
        }
    }
}

fn plain(view: &View<'_>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{}", view.title)?;
    for (_, line) in table::cpus(view.before, view.now, view.seconds, Room::ENDLESS) {
        writeln!(out, "{line}")?;
    }
    for (_, line) in view
        .types
        .iter()
        .flat_map(|types| table::events(types, view.seconds, Room::ENDLESS))
    {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

fn draw(view: &View<'_>, frame: &mut Frame<'_>) {
    let [title, body] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(frame.area());
    frame.render_widget(
        Paragraph::new(view.title.as_str()).style(Style::new().add_modifier(Modifier::BOLD)),
        title,
    );
    let Some(types) = view.types else {
        cpus(view, frame, body);
        return;
    };
    let [first, second] = match body.width >= BESIDE {
        true => Layout::horizontal([Constraint::Length(70), Constraint::Min(0)])
            .spacing(GAP)
            .areas(body),
        false => {
            // All CPUs if they have room beside as many events, else half of it.
            let all = u16::try_from(view.now.len())
                .unwrap_or(u16::MAX)
                .saturating_add(2);
            let height = all.min(body.height.div_ceil(2));
            Layout::vertical([Constraint::Length(height), Constraint::Min(0)]).areas(body)
        }
    };
    cpus(view, frame, first);
    let lines = table::events(types, view.seconds, room(second));
    frame.render_widget(paragraph(lines), second);
}

fn cpus(view: &View<'_>, frame: &mut Frame<'_>, area: Rect) {
    let lines = table::cpus(view.before, view.now, view.seconds, room(area));
    frame.render_widget(paragraph(lines), area);
}

fn room(area: Rect) -> Room {
    Room {
        width: area.width.into(),
        height: area.height.into(),
    }
}

fn paragraph(lines: Vec<table::Line>) -> Paragraph<'static> {
    let styled = |(kind, text): table::Line| {
        let style = match kind {
            Kind::Row => Style::new(),
            Kind::Head => Style::new().add_modifier(Modifier::REVERSED),
            Kind::Bad => Style::new().fg(Color::Red).add_modifier(Modifier::BOLD),
            Kind::Total => Style::new().add_modifier(Modifier::BOLD),
            Kind::Note => Style::new().add_modifier(Modifier::DIM),
        };
        Line::styled(text, style)
    };
    Paragraph::new(lines.into_iter().map(styled).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Counts;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    fn samples(count: u32, written: u64) -> Vec<Sample> {
        let one = |cpu| Sample {
            cpu,
            counts: Counts {
                written: written * u64::from(cpu + 1),
                ..Counts::default()
            },
            unread: 0,
            filled: (0, 1),
        };
        (0..count).map(one).collect()
    }

    fn types() -> Vec<Type> {
        let one = |name: &str, new| Type {
            name: name.into(),
            total: new,
            new,
        };
        vec![one("sched:sched_switch", 7), one("irq:softirq_raise", 3)]
    }

    fn screen(width: u16, height: u16, count: u32) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let (before, now, types) = (samples(count, 0), samples(count, 10), types());
        let view = View {
            title: "ringmap top".into(),
            before: &before,
            now: &now,
            types: Some(&types),
            seconds: 1.0,
        };
        terminal.draw(|frame| draw(&view, frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let rows = buffer.content().chunks(usize::from(width).max(1));
        rows.map(|row| {
            row.iter()
                .map(|cell| cell.symbol())
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect()
    }

    #[test]
    fn below_each_other() {
        let lines = screen(80, 24, 2);
        assert_eq!(lines[0], "ringmap top");
        assert!(lines[1].starts_with("cpu     written/s"), "{lines:#?}");
        assert!(lines[2].starts_with("cpu0           10"));
        assert!(lines[4].starts_with("total          30"));
        assert!(lines[5].starts_with("event"));
        assert!(lines[6].starts_with("sched:sched_switch          7   70.0%"));
    }

    #[test]
    fn beside_each_other() {
        let lines = screen(140, 6, 2);
        assert!(lines[1].starts_with("cpu ") && lines[1].contains("event "));
        assert!(lines[2].starts_with("cpu0 ") && lines[2].contains("sched:sched_switch "));
    }

    #[test]
    fn more_cpus_than_lines() {
        let lines = screen(80, 12, 200);
        assert_eq!(lines[5], "and 197 less busy CPUs");
        assert!(lines[6].starts_with("total "));
        assert!(lines[7].starts_with("event "));
    }

    #[test]
    fn any_size() {
        for (width, height) in [(0, 0), (1, 1), (5, 2), (20, 3), (300, 1), (500, 200)] {
            screen(width, height, 9);
        }
    }

    #[test]
    fn no_terminal() {
        let (before, now, types) = (samples(2, 0), samples(2, 10), types());
        let view = View {
            title: "title".into(),
            before: &before,
            now: &now,
            types: Some(&types),
            seconds: 1.0,
        };
        let mut out = Vec::new();
        plain(&view, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out.lines().count(), 1 + 4 + 3);
        assert!(!out.contains('\x1b'));
    }
}

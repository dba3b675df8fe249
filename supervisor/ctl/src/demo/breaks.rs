//! The four breaks, what each must come to, and what it came to. Heals nothing.
use std::fs;
use std::io;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use wbd_model::incident::Closing;

use crate::exit::Failure;
use crate::out::Tone;
use crate::when;

use super::content;
use super::follow::{self, Seen};
use super::interrupt::Interrupt;
use super::proc;
use super::show::Show;
use super::trial::Trial;

/// Longer than a hung agent needs to be noticed and healed.
const DEADLINE: Duration = Duration::from_secs(25);
const SETTLE: Duration = Duration::from_secs(5);

/// One way to break the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// SIGKILL.
    Killed,
    /// SIGSTOP: the process lives and its heartbeat stands still.
    Hung,
    /// Its settings are garbage when it starts again.
    Settings,
    /// Its program ends at once, however often it is started.
    CrashLoop,
}

/// What one break came to.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    broken: Break,
    seen: Seen,
    problem: Option<String>,
}

impl Outcome {
    /// It ended as it should.
    pub(crate) fn as_it_should(&self) -> bool {
        self.problem.is_none()
    }

    /// For programs.
    pub(crate) fn document(&self) -> Value {
        json!({
            "name": self.broken.name(),
            "expected": self.broken.expected().as_str(),
            "ended": self.seen.end().map(Closing::as_str),
            "deeds": self.seen.actions,
            "proved_ms": self.seen.proved_ms,
            "guide": self.seen.guide,
            "problem": self.problem,
        })
    }
}

impl Break {
    /// In the order of the demo.
    pub(crate) const ALL: [Self; 4] = [Self::Killed, Self::Hung, Self::Settings, Self::CrashLoop];

    /// The heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Killed => "SIGKILL: the agent dies",
            Self::Hung => "SIGSTOP: the agent hangs, its process lives",
            Self::Settings => "Its settings are corrupted, and it dies",
            Self::CrashLoop => "A crash loop that no restart cures",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Hung => "hung",
            Self::Settings => "settings",
            Self::CrashLoop => "crash-loop",
        }
    }

    const fn expected(self) -> Closing {
        match self {
            Self::Killed | Self::Hung | Self::Settings => Closing::Healed,
            Self::CrashLoop => Closing::HandedOver,
        }
    }

    /// Breaks it, follows it to its end, and judges that end.
    ///
    /// # Errors
    /// It could not be broken, did not end in time, or was interrupted.
    pub(crate) fn play(self, trial: &mut Trial, interrupt: &Interrupt, show: &mut Show) -> Result<Outcome, Failure> {
        let pid = interrupt.until("a running agent to break", SETTLE, || Ok(trial.agent_pid()))?;
        let mark = follow::mark(&trial.reader()?)?;
        let done =
            self.inflict(trial, pid).map_err(|error| Failure::failed(format!("cannot break the agent: {error}")))?;
        let broken_ms = crate::moment::clocks().boot_ms;
        show.event(0, "break", Tone::Strong, &done);
        let followed = follow::follow(trial, interrupt, show, mark, broken_ms, DEADLINE);
        let restored = if self == Self::CrashLoop { restore(trial) } else { Ok(()) };
        let seen = followed?;
        restored.map_err(|error| Failure::failed(format!("cannot put the agent's program back: {error}")))?;
        let mut problem = self.judge(&seen);
        if self == Self::Settings && problem.is_none() {
            problem = last_good(trial, interrupt, show)?;
        }
        self.tell(show, &seen, problem.as_deref());
        Ok(Outcome { broken: self, seen, problem })
    }

    fn inflict(self, trial: &Trial, pid: u32) -> io::Result<String> {
        let root = trial.root();
        match self {
            Self::Killed => {
                proc::signal(pid, root, Signal::KILL)?;
                Ok(format!("kill -KILL {pid}"))
            }
            Self::Hung => {
                proc::signal(pid, root, Signal::STOP)?;
                Ok(format!("kill -STOP {pid}; the heartbeat must be missed before anybody can know"))
            }
            Self::Settings => {
                trial.scratch().put("var/lib/wbd/agent/settings.yaml", content::BROKEN_SETTINGS.as_bytes(), 0o600)?;
                proc::signal(pid, root, Signal::KILL)?;
                Ok(format!("settings.yaml overwritten with garbage, kill -KILL {pid}"))
            }
            Self::CrashLoop => {
                fs::rename(trial.scratch().agent(), root.join("wbd_agent.good"))?;
                trial.scratch().put("opt/nbp/wbd/wbd_agent", content::BROKEN_AGENT.as_bytes(), 0o755)?;
                proc::signal(pid, root, Signal::KILL)?;
                Ok(format!("the program replaced by one that ends at once, kill -KILL {pid}"))
            }
        }
    }

    fn judge(self, seen: &Seen) -> Option<String> {
        let expected = self.expected();
        let ended = seen.end();
        if ended != Some(expected) {
            return Some(format!(
                "ended {}, and should be {}",
                ended.map_or("not", Closing::as_str),
                expected.as_str()
            ));
        }
        match self {
            Self::Killed | Self::Hung | Self::Settings if seen.proved_ms.is_none() => {
                Some("healed without a proof".to_owned())
            }
            Self::CrashLoop if seen.guide.is_empty() => Some("handed over without a guide".to_owned()),
            Self::Killed | Self::Hung | Self::Settings | Self::CrashLoop => None,
        }
    }

    fn tell(self, show: &mut Show, seen: &Seen, problem: Option<&str>) {
        let actions = seen.actions;
        let (tone, text) = match (problem, seen.proved_ms) {
            (Some(problem), _) => (Tone::Bad, format!("NOT AS IT SHOULD: {problem}")),
            (None, Some(ms)) if self.expected() == Closing::Healed => (
                Tone::Good,
                format!("HEALED: {} from the break to the passing verdict, {}", when::length(ms), counted(actions)),
            ),
            (None, _) => (
                Tone::Good,
                format!("HANDED OVER after {}, no loop; what the person is notified of:", counted(actions)),
            ),
        };
        show.with(|out| {
            out.spans(&[(Tone::Plain, "  "), (tone, &text)]);
            for (number, step) in seen.guide.iter().enumerate() {
                out.paragraph(&format!("    {}. ", number + 1), step);
            }
        });
    }
}

fn counted(actions: u32) -> String {
    if actions == 1 { "1 action".to_owned() } else { format!("{actions} actions") }
}

/// After its settings were corrupted the agent must work on the last good ones and say so.
fn last_good(trial: &Trial, interrupt: &Interrupt, show: &mut Show) -> Result<Option<String>, Failure> {
    let said = interrupt.until("the agent's word on its settings", SETTLE, || {
        Ok(trial.agent_pid().and_then(|_| trial.health()).filter(|health| health["settings"]["source"] == "good"))
    });
    let health = match said {
        Ok(health) => health,
        Err(failure) if failure.message.contains("without success") => {
            return Ok(Some("the agent does not say that it uses its last good settings".to_owned()));
        }
        Err(failure) => return Err(failure),
    };
    let problem = &health["settings"]["problem"];
    let word = |key: &str| problem[key].as_str().unwrap_or("?").to_owned();
    show.with(|out| {
        let text = format!(
            "The agent works on its last good settings and says WBD-CONFIG: {}:{}:{}: {}",
            word("file"),
            problem["line"],
            problem["column"],
            word("message")
        );
        out.paragraph("  ", &text);
    });
    Ok(None)
}

fn restore(trial: &Trial) -> io::Result<()> {
    fs::rename(trial.root().join("wbd_agent.good"), trial.scratch().agent())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_end_that_is_not_the_expected_one_is_a_failure() {
        let seen = |how, proved_ms, guide: &[&str]| Seen {
            ends: BTreeMap::from([(1, Some(how))]),
            proved_ms,
            actions: 1,
            guide: guide.iter().map(|step| (*step).to_owned()).collect(),
        };
        let cases = [
            (Break::Killed, seen(Closing::Healed, Some(5), &[]), true),
            (Break::Killed, seen(Closing::Healed, None, &[]), false),
            (Break::Killed, seen(Closing::SelfHealed, Some(5), &[]), false),
            (Break::CrashLoop, seen(Closing::HandedOver, None, &["look"]), true),
            (Break::CrashLoop, seen(Closing::HandedOver, None, &[]), false),
            (Break::CrashLoop, seen(Closing::Healed, Some(5), &["look"]), false),
            (Break::Hung, Seen::default(), false),
        ];
        for (broken, seen, good) in cases {
            assert_eq!(broken.judge(&seen).is_none(), good, "{broken:?} {seen:?}");
        }
    }
}

//! `agent.health`: what the agent says of itself, and whether the one who said it still runs. It believes nothing more.
use wbd_agent_api::{Code, HealthDocument, HealthError, LinkReport, SettingsSource, State, ThisBoot, paths};
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;

use crate::clock;
use crate::procs;
use crate::runner::ProbeContext;

pub(crate) fn look(context: &ProbeContext) -> Observation {
    let fields = ProbeName::AgentHealth.fields();
    match wbd_agent_api::read(&paths::health(context.root())) {
        Ok(document) => describe(context, &document),
        Err(error @ HealthError::NotThere { .. }) => {
            let mut seen = Observation::unseen(fields, &error.to_string());
            seen.know("present", false).know("live", false).know("state", "none");
            seen
        }
        Err(error) => Observation::unseen(fields, &error.to_string()),
    }
}

fn describe(context: &ProbeContext, document: &HealthDocument) -> Observation {
    let fields = ProbeName::AgentHealth.fields();
    if !document.is_of(&ThisBoot::now(context.proc())) {
        let reason = "the health document is of an earlier boot";
        let mut seen = Observation::unseen(fields, reason);
        seen.know("present", true).know("live", false).know("state", "none");
        return seen;
    }
    let mut seen = Observation::default();
    seen.know("present", true);
    match procs::still_runs(context.proc(), document.pid, document.start_ticks) {
        Ok(live) => seen.know("live", live),
        Err(reason) => seen.miss("live", reason),
    };
    let age = clock::monotonic_ms().saturating_sub(document.heartbeat_ms);
    seen.know("heartbeat_age_ms", i64::try_from(age).unwrap_or(i64::MAX));
    contents(document, &mut seen);
    seen
}

fn contents(document: &HealthDocument, seen: &mut Observation) {
    let newer = "said in a word that only a newer wbd knows; bring supervisor and agent to one version";
    match document.state {
        State::Starting => seen.know("state", "starting"),
        State::Active => seen.know("state", "active"),
        State::Inactive => seen.know("state", "inactive"),
        State::Stopping => seen.know("state", "stopping"),
        State::Unknown => seen.miss("state", newer),
    };
    match document.settings.source {
        SettingsSource::Current => seen.know("settings", "current"),
        SettingsSource::Good => seen.know("settings", "good"),
        SettingsSource::Empty => seen.know("settings", "empty"),
        SettingsSource::Unknown => seen.miss("settings", newer),
    };
    let problem = document.settings.problem.as_ref().map(|it| {
        let (file, line, column, message) = (&it.file, it.line, it.column, &it.message);
        match line {
            0 => format!("{file}: {message}"),
            _ => format!("{file}:{line}:{column}: {message}"),
        }
    });
    let codes: Vec<String> = document.errors.iter().map(|it| it.code.to_string()).collect();
    let detail = document.errors.first().map(|it| it.detail.clone());
    seen.know("version", document.version.clone())
        .know("generation", i64::try_from(document.generation).unwrap_or(i64::MAX))
        .know("settings_problem", problem.unwrap_or_default())
        .know("codes", codes.join(" "))
        .know("detail", detail.unwrap_or_default())
        .know("targets", i64::try_from(document.targets.len()).unwrap_or(i64::MAX))
        .know("folders", i64::try_from(document.watches.used).unwrap_or(i64::MAX))
        .know("linked", i64::try_from(document.watches.linked_count).unwrap_or(i64::MAX))
        .know("first_link", document.watches.linked.first().map(link).unwrap_or_default());
    for code in Code::RAISED {
        if let Some(number) = code.number() {
            seen.know(&format!("detail_{number}"), details(document, code));
        }
    }
}

/// All that is said of a code, in one text.
fn details(document: &HealthDocument, code: Code) -> String {
    let said: Vec<&str> = document.errors.iter().filter(|it| it.code == code).map(|it| it.detail.as_str()).collect();
    said.join("; ")
}

fn link(one: &LinkReport) -> String {
    match &one.leads_to {
        Some(folder) => format!("{} leads to {folder}", one.link),
        None => format!("{} leads to something that does not answer", one.link),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Host, document, known, unknown};
    use wbd_agent_api::{BytesPath, Error, SettingsProblem};
    use wbd_model::observation::{Fact, Value};

    fn host() -> Host {
        let host = Host::new();
        host.process(1, "init").write();
        host.process(5, "wbd_agent").write();
        host
    }

    #[test]
    fn a_live_document_tells_everything() {
        let host = host();
        let mut doc = document(5, 10_000);
        doc.settings.source = SettingsSource::Good;
        doc.settings.problem = Some(SettingsProblem {
            file: BytesPath::new("/s.yaml"),
            line: 3,
            column: 7,
            message: "no such key".into(),
        });
        doc.watches.used = 1_204;
        for (code, detail) in [
            (Code::WATCH_LIMIT, "first"),
            (Code::Config, "second"),
            (Code::PATH_UNREADABLE, "a"),
            (Code::PATH_UNREADABLE, "b"),
        ] {
            doc.errors.push(Error { code, detail: detail.into(), since_ms: 1 });
        }
        doc.watches.linked_count = 12;
        let leads_to = Some(BytesPath::new("/srv/b"));
        doc.watches.linked.push(LinkReport { link: BytesPath::new("/srv/a"), leads_to });
        doc.heartbeat_ms = doc.heartbeat_ms.saturating_sub(60_000);
        host.health(&doc);
        let seen = look(&host.context());
        for (field, value) in [
            ("present", Value::from(true)),
            ("live", Value::from(true)),
            ("state", Value::from("active")),
            ("version", Value::from("1.2.3")),
            ("generation", Value::from(4)),
            ("settings", Value::from("good")),
            ("settings_problem", Value::from("/s.yaml:3:7: no such key")),
            ("codes", Value::from("WBD-5404 WBD-CONFIG WBD-5405 WBD-5405")),
            ("detail_5401", Value::from("")),
            ("detail_5404", Value::from("first")),
            ("detail_5405", Value::from("a; b")),
            ("folders", Value::from(1_204)),
            ("detail", Value::from("first")),
            ("targets", Value::from(0)),
            ("linked", Value::from(12)),
            ("first_link", Value::from("/srv/a leads to /srv/b")),
        ] {
            assert_eq!(known(&seen, field), value, "{field}");
        }
        let Value::Int(age) = known(&seen, "heartbeat_age_ms") else { panic!("not a number") };
        assert!((60_000..120_000).contains(&age), "{age}");
    }

    #[test]
    fn another_process_under_the_same_id_is_not_the_writer() {
        let host = host();
        host.health(&document(5, 9_999));
        assert_eq!(known(&look(&host.context()), "live"), Value::from(false));
        host.health(&document(6, 10_000));
        assert_eq!(known(&look(&host.context()), "live"), Value::from(false));
    }

    #[test]
    fn no_document_and_one_of_another_boot_are_not_live() {
        let host = host();
        let seen = look(&host.context());
        assert_eq!(known(&seen, "present"), Value::from(false));
        assert_eq!(known(&seen, "live"), Value::from(false));
        let mut doc = document(5, 10_000);
        doc.heartbeat_ms = clock::monotonic_ms() + 3_600_000;
        host.health(&doc);
        let earlier = || {
            let seen = look(&host.context());
            assert_eq!(known(&seen, "present"), Value::from(true));
            assert_eq!(known(&seen, "live"), Value::from(false));
            assert!(unknown(&seen, "heartbeat_age_ms").contains("earlier boot"));
        };
        earlier();
        // A container that was started again: its clock is the machine's and goes on.
        host.health(&document(5, 9_000));
        host.process(5, "wbd_agent").write();
        earlier();
    }

    #[test]
    fn a_document_that_names_a_boot_counts_whatever_it_is_called_here() {
        let host = host();
        host.health(&document(5, 10_000));
        let path = paths::health(host.root());
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen('{', r#"{"boot_id":"a third","#, 1)).unwrap();
        assert_eq!(known(&look(&host.context()), "live"), Value::from(true));
    }

    #[test]
    fn a_malformed_document_makes_every_field_unknown_and_says_where() {
        let host = host();
        let path = host.file("run/wbd/agent.health.json", "{\"schema\": 1,\n \"version\": 3}");
        let seen = look(&host.context());
        for (field, fact) in &seen.facts {
            let Fact::Unknown(reason) = fact else { panic!("{field} is known") };
            assert!(reason.contains(&format!("{}:2:", path.display())), "{reason}");
        }
    }
}

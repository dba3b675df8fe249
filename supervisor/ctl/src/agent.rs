//! `agent` and `target`: passed to the agent through the supervisor. Knows the agent's words, not its rules.
mod by_hand;
mod call;
mod silent;

use std::fmt::Write as _;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use wbd_model::control::AgentVerb;
use wbd_model::report::SCHEMA;

use crate::Context;
use crate::ask;
use crate::cli::{Agent, Format, Language, NewTarget, Target};
use crate::count::counted;
use crate::exit::{Ended, Exit, Failure};
use crate::out::{Out, Tone};

pub(crate) use by_hand::done;

/// A longer list of targets is not read, in bytes; the agent takes no longer request either.
const MAX_TARGETS_BYTES: u64 = 256 * 1024;
/// The supervisor waits 20 s for an agent that has many folders to watch; its word comes after that.
const CHANGE: Duration = Duration::from_secs(25);

/// `agent VERB`.
///
/// # Errors
/// No answer, no leave, or the agent's own refusal with its code.
pub(crate) fn run(context: &mut Context, verb: Agent) -> Ended {
    match verb {
        Agent::Start(wait) => by_hand::agent(context, AgentVerb::Start, wait.no_wait),
        Agent::Restart(wait) => by_hand::agent(context, AgentVerb::Restart, wait.no_wait),
        Agent::Stop => by_hand::agent(context, AgentVerb::Stop, false),
        Agent::Reload(wait) => by_hand::agent(context, AgentVerb::Reload, wait.no_wait),
        Agent::Activate => change(context, &json!("activate"), "the agent is active"),
        Agent::Deactivate => change(context, &json!("deactivate"), "the agent is inactive"),
        Agent::Status => {
            let health = call::health(&context.client())?;
            if context.format == Format::Text {
                show(&mut context.out, &health);
            } else {
                context.out.document(context.format, &json!({"schema": SCHEMA, "health": health}))?;
            }
            Ok(Exit::Done)
        }
    }
}

/// `target VERB`.
///
/// # Errors
/// No answer, no leave, a file that is no list of targets, or the agent's own refusal with its code.
pub(crate) fn target(context: &mut Context, verb: &Target) -> Ended {
    match verb {
        Target::Add(new) => {
            let command = json!({"target_add": {"target": written(new)}});
            change(context, &command, &format!("target {} is registered", new.id))
        }
        Target::Set { file } => {
            let targets = listed(file)?;
            let command = json!({"target_set": {"targets": targets}});
            change(context, &command, "the targets are registered")
        }
        Target::Remove { id } => {
            let command = json!({"target_remove": {"id": id}});
            change(context, &command, &format!("target {id} is no longer watched"))
        }
        Target::List => {
            let targets = call::health(&context.client())?["targets"].take();
            if context.format == Format::Text {
                list(&mut context.out, &targets);
            } else {
                context.out.document(context.format, &json!({"schema": SCHEMA, "targets": targets}))?;
            }
            Ok(Exit::Done)
        }
    }
}

fn change(context: &mut Context, command: &Value, done: &str) -> Ended {
    let client = context.client().patient(CHANGE);
    call::call(&client, command, true)?;
    ask::say(context, done)
}

fn written(new: &NewTarget) -> Value {
    let language = match new.language {
        Language::Php => "php",
        Language::Jsp => "jsp",
    };
    let mut target = json!({"id": new.id, "web_root": escaped(&new.web_root), "language": language});
    if let Some(path) = &new.upload_path {
        target["upload_path"] = json!(escaped(path));
    }
    target
}

/// A path of any bytes as the agent's interface spells it: `\xNN` for what is no text, `\\` for a backslash.
fn escaped(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        for ch in chunk.valid().chars() {
            match ch {
                '\\' => text.push_str("\\\\"),
                ch if ch.is_ascii_control() => {
                    let _ = write!(text, "\\x{:02x}", u32::from(ch));
                }
                ch => text.push(ch),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn listed(file: &Path) -> Result<Value, Failure> {
    let shown = file.display();
    let unreadable = |error: std::io::Error| Failure::failed(format!("cannot read targets from {shown}: {error}"));
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(MAX_TARGETS_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    } else {
        let opened = std::fs::File::open(file).map_err(unreadable)?;
        opened.take(MAX_TARGETS_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
    }
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_TARGETS_BYTES {
        return Err(Failure::failed(format!(
            "the targets in {shown} are longer than {MAX_TARGETS_BYTES} bytes; register fewer"
        )));
    }
    let value: Value =
        serde_saphyr::from_str(&text).map_err(|error| Failure::new(Exit::BadConfig, format!("{shown}: {error}")))?;
    if value.is_array() {
        Ok(value)
    } else {
        Err(Failure::new(
            Exit::BadConfig,
            format!("{shown}: not a list of targets; write - {{id: ..., web_root: ..., language: php}}"),
        ))
    }
}

fn show(out: &mut Out, health: &Value) {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let state = text(&health["state"]);
    let tone = if state == "active" { Tone::Good } else { Tone::Warn };
    out.spans(&[
        (Tone::Strong, "wbd_agent "),
        (Tone::Plain, &format!("{}, pid {}: ", text(&health["version"]), health["pid"])),
        (tone, &state),
    ]);
    out.line(format!("settings  {}, generation {}", text(&health["settings"]["source"]), health["generation"]));
    let problem = &health["settings"]["problem"];
    if !problem.is_null() {
        let place = format!("{}:{}:{}", text(&problem["file"]), problem["line"], problem["column"]);
        out.paragraph("          ", &format!("{place}: {}", text(&problem["message"])));
    }
    let watches = &health["watches"];
    match watches["unanswered"].as_str() {
        Some(folder) => out.paragraph(
            "watches   ",
            &format!("{}; how many are missing is unknown: {folder} does not answer", watches["used"]),
        ),
        None => {
            let (used, needed, missing) = (&watches["used"], &watches["needed"], &watches["missing"]);
            out.line(format!("watches   {used} of {needed} needed, {missing} missing"));
        }
    }
    links(out, watches);
    let errors = health["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    for error in errors {
        out.paragraph("error     ", &format!("{}: {}", call::code(&error["code"]), text(&error["detail"])));
    }
    list(out, &health["targets"]);
}

/// Links below the targets that lead out of them: what is behind them is not watched.
fn links(out: &mut Out, watches: &Value) {
    let named = watches["linked"].as_array().map(Vec::as_slice).unwrap_or_default();
    for one in named {
        let link = one["link"].as_str().unwrap_or("?");
        let text = match one["leads_to"].as_str() {
            Some(folder) => format!("{folder}, behind the link {link}; it is in no target"),
            None => format!("what is behind the link {link}; it does not answer"),
        };
        out.paragraph("unwatched ", &text);
    }
    let more = watches["linked_count"].as_u64().unwrap_or_default().saturating_sub(named.len() as u64);
    if more > 0 {
        out.line(format!("unwatched {} behind links", counted(more, "more folder")));
    }
}

fn list(out: &mut Out, targets: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let targets = targets.as_array().map(Vec::as_slice).unwrap_or_default();
    if targets.is_empty() {
        out.line("No targets.");
    }
    for target in targets {
        let missing = target["missing"].as_u64().unwrap_or_default();
        let tone = if missing == 0 { Tone::Plain } else { Tone::Bad };
        out.spans(&[
            (
                Tone::Plain,
                &format!(
                    "target    {} ({}) {}, {} watched",
                    text(&target["id"]),
                    text(&target["language"]),
                    text(&target["web_root"]),
                    counted(target["watches"].as_u64().unwrap_or_default(), "folder")
                ),
            ),
            (tone, &if missing == 0 { String::new() } else { format!(", {missing} not watched") }),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::out::testing::text_of;

    #[test]
    fn paths_of_any_bytes_reach_the_agent() {
        let path = Path::new(OsStr::from_bytes(b"/srv/\xff\\ \n"));
        assert_eq!(escaped(path), "/srv/\\xff\\\\ \\x0a");
    }

    #[test]
    fn a_file_that_is_no_list_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("targets.yaml");
        for (text, part) in [("id: a", "not a list"), ("- {id: a, id: b}", "targets.yaml")] {
            std::fs::write(&file, text).unwrap();
            let failure = listed(&file).unwrap_err();
            assert_eq!(failure.exit, Exit::BadConfig);
            assert!(failure.message.contains(part), "{}", failure.message);
        }
        std::fs::write(&file, "- {id: a, web_root: /srv, language: php}").unwrap();
        assert_eq!(listed(&file).unwrap(), json!([{"id": "a", "web_root": "/srv", "language": "php"}]));
    }

    #[test]
    fn status_names_what_is_not_watched_behind_links_and_what_does_not_answer() {
        let health = |watches: Value| {
            json!({"state": "active", "version": "0.1.0", "pid": 7, "generation": 3, "settings": {"source": "current"},
                "watches": watches, "errors": [], "targets": []})
        };
        let linked = json!({"used": 3, "needed": 3, "missing": 0, "unanswered": null, "linked_count": 4, "linked": [
            {"link": "/srv/site/up", "leads_to": "/srv/shared"}, {"link": "/srv/site/nfs", "leads_to": null}]});
        let text = text_of(|out| show(out, &health(linked)));
        for part in [
            "watches   3 of 3 needed, 0 missing\n",
            "unwatched /srv/shared, behind the link /srv/site/up; it is in no target\n",
            "unwatched what is behind the link /srv/site/nfs; it does not answer\n",
            "unwatched 2 more folders behind links\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let silent = json!({"used": 3, "needed": 3, "missing": 0, "unanswered": "/srv/nfs"});
        let text = text_of(|out| show(out, &health(silent)));
        assert!(text.contains("3; how many are missing is unknown: /srv/nfs does not answer"), "{text}");
        // Twin: an older agent says nothing of either.
        let older = json!({"used": 3, "needed": 3, "missing": 0});
        let text = text_of(|out| show(out, &health(older)));
        assert!(text.contains("3 of 3 needed") && !text.contains("unwatched"), "{text}");
    }

    #[test]
    fn status_names_the_broken_place_of_the_settings() {
        let health = json!({"state": "active", "version": "0.1.0", "pid": 7, "generation": 3,
            "settings": {"source": "good", "problem": {"file": "/s.yaml", "line": 1, "column": 2, "message": "not YAML"}},
            "watches": {"used": 3, "needed": 4, "missing": 1}, "errors": [{"code": 5404, "detail": "limit"}],
            "targets": [{"id": "shop", "language": "php", "web_root": "/srv", "watches": 3, "missing": 1}]});
        let text = text_of(|out| show(out, &health));
        for part in [
            "0.1.0, pid 7: active",
            "/s.yaml:1:2: not YAML",
            "WBD-5404: limit",
            "shop (php) /srv, 3 folders watched, 1 not watched",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

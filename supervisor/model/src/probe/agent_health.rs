//! `agent.health`: what wbd's agent says of itself.
use super::declared::{Answered, Declaration};
use crate::declared::Need;
use crate::observation::{Field, Unit};

/// All that is said of it.
pub const DECLARATION: Declaration = Declaration {
    key: "agent.health",
    asks: "What does wbd's agent say of itself?",
    parameters: &[],
    needs: &[Need::Health],
    answered: Answered::Host,
    of_host: false,
    costly: false,
    fields: &[
        Field::flag(
            "present",
            "the health document is there",
            "the health document is missing",
            "the health document is there and readable",
        ),
        Field::flag(
            "live",
            "the agent that wrote the health document runs",
            "the agent that wrote the health document has ended",
            "the process that wrote it still runs",
        ),
        Field::word(
            "state",
            "state of the agent",
            &["starting", "active", "inactive", "stopping", "none"],
            "starting, active, inactive or stopping; none without a document",
        ),
        Field::number(
            "heartbeat_age_ms",
            Unit::Milliseconds,
            "age of the last heartbeat",
            "milliseconds since the event loop last wrote it (monotonic clock)",
        ),
        Field::text("version", "version of the agent", "version of the running agent"),
        Field::number("generation", Unit::Id, "generation of its settings", "generation of its settings"),
        Field::word(
            "settings",
            "settings in use",
            &["current", "good", "empty"],
            "current, good (the last good ones are used) or empty",
        ),
        Field::text(
            "settings_problem",
            "problem of the settings",
            "file:line:column and message of what is broken, empty if nothing is",
        ),
        Field::text(
            "codes",
            "codes that the agent raises",
            "documented codes that the agent raises, separated by spaces",
        ),
        Field::text("detail", "first error", "the first error's own words, empty if none"),
        Field::number("targets", Unit::Count, "watched targets", "watched targets"),
        Field::number("folders", Unit::Count, "watched folders", "folders that are watched"),
        Field::text("detail_5401", "no server", "what the agent says of WBD-5401, empty if it does not raise it"),
        Field::text("detail_5402", "servers", "what the agent says of WBD-5402, empty if it does not raise it"),
        Field::text("detail_5403", "access log", "what the agent says of WBD-5403, empty if it does not raise it"),
        Field::text("detail_5404", "watches", "what the agent says of WBD-5404, empty if it does not raise it"),
        Field::text("detail_5405", "closed path", "what the agent says of WBD-5405, empty if it does not raise it"),
        Field::number(
            "linked",
            Unit::Count,
            "unwatched linked folders",
            "links below the targets that lead to folders in no target; links are not followed",
        ),
        Field::text("first_link", "first of them", "the first of these links and where it leads to, empty if none"),
    ],
    unknown: "All but present where there is no health document; all of it where one is there and cannot be read or \
              understood. live where /proc cannot be read; state or settings where a newer agent uses a word that this \
              wbd does not know.",
};

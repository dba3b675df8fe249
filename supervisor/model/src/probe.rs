//! The closed list of read-only questions, each with the fields of its answer. Measures nothing itself.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::TargetName;
use crate::observation::{Field, Kind};
use crate::profile::{Endpoint, ProcessSelector, VersionSource};

/// A question with every parameter filled in: plain and serialisable, so that it may be asked by
/// another process than the one that thinks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Probe {
    /// Is the process there, and in which state?
    ProcessState(ProcessSelector),
    /// What does wbd's agent say of itself?
    AgentHealth,
    /// What does the service manager say of the unit?
    ServiceState {
        /// The unit; `None` where the product has none (stand-alone).
        unit: Option<String>,
    },
    /// How did the watched process end last? Answered from the ledger, not by a probe.
    ExitLast(TargetName),
    /// inotify use against its limits, for the user of the process.
    InotifyUsage(ProcessSelector),
    /// Does each configured name server answer for these names?
    DnsServers {
        /// Host names to ask for, at most 8.
        names: Vec<String>,
    },
    /// Name, address, TCP ports and ping of one endpoint.
    NetEndpoint(Endpoint),
    /// Open file descriptors against the process's own limit.
    FdUsage(ProcessSelector),
    /// What the samples of the file descriptors say. Answered from the samples, not by a probe.
    FdTrend(ProcessSelector),
    /// Two versions, compared in their first three parts.
    VersionPair {
        /// The one that should follow.
        left: VersionSource,
        /// The one that leads.
        right: VersionSource,
    },
}

/// The question's name alone, as playbooks spell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ProbeName {
    /// `process.state`
    #[serde(rename = "process.state")]
    ProcessState,
    /// `agent.health`
    #[serde(rename = "agent.health")]
    AgentHealth,
    /// `service.state`
    #[serde(rename = "service.state")]
    ServiceState,
    /// `exit.last`
    #[serde(rename = "exit.last")]
    ExitLast,
    /// `inotify.usage`
    #[serde(rename = "inotify.usage")]
    InotifyUsage,
    /// `dns.servers`
    #[serde(rename = "dns.servers")]
    DnsServers,
    /// `net.endpoint`
    #[serde(rename = "net.endpoint")]
    NetEndpoint,
    /// `fd.usage`
    #[serde(rename = "fd.usage")]
    FdUsage,
    /// `fd.trend`
    #[serde(rename = "fd.trend")]
    FdTrend,
    /// `version.pair`
    #[serde(rename = "version.pair")]
    VersionPair,
}

impl Probe {
    /// Which question it is.
    #[must_use]
    pub fn name(&self) -> ProbeName {
        match self {
            Self::ProcessState(_) => ProbeName::ProcessState,
            Self::AgentHealth => ProbeName::AgentHealth,
            Self::ServiceState { .. } => ProbeName::ServiceState,
            Self::ExitLast(_) => ProbeName::ExitLast,
            Self::InotifyUsage(_) => ProbeName::InotifyUsage,
            Self::DnsServers { .. } => ProbeName::DnsServers,
            Self::NetEndpoint(_) => ProbeName::NetEndpoint,
            Self::FdUsage(_) => ProbeName::FdUsage,
            Self::FdTrend(_) => ProbeName::FdTrend,
            Self::VersionPair { .. } => ProbeName::VersionPair,
        }
    }
}

const fn field(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, doc }
}

impl ProbeName {
    /// Every question, in the manual's order.
    pub const ALL: [Self; 10] = [
        Self::ProcessState,
        Self::AgentHealth,
        Self::ServiceState,
        Self::ExitLast,
        Self::InotifyUsage,
        Self::DnsServers,
        Self::NetEndpoint,
        Self::FdUsage,
        Self::FdTrend,
        Self::VersionPair,
    ];

    /// The name as playbooks spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProcessState => "process.state",
            Self::AgentHealth => "agent.health",
            Self::ServiceState => "service.state",
            Self::ExitLast => "exit.last",
            Self::InotifyUsage => "inotify.usage",
            Self::DnsServers => "dns.servers",
            Self::NetEndpoint => "net.endpoint",
            Self::FdUsage => "fd.usage",
            Self::FdTrend => "fd.trend",
            Self::VersionPair => "version.pair",
        }
    }

    /// The fields of its answer: the contract between probes, expressions, texts and the manual.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "one table")]
    pub const fn fields(self) -> &'static [Field] {
        use Kind::{Bool, Int, Text};
        const OTHERS: &str = "processes of that name that do not count, each with the reason, empty for none";
        const PROCESS: &[Field] = &[
            field("alive", Bool, "at least one such process runs (a zombie does not)"),
            field("count", Int, "how many run"),
            field("pid", Int, "process id of the oldest; unknown when none runs"),
            field("state", Text, "running, sleeping, disk, stopped, traced, zombie or other; none when none runs"),
            field("age_s", Int, "seconds since it started; unknown when none runs"),
            field("traced", Bool, "a debugger or tracer holds it"),
            field(
                "starved",
                Bool,
                "frozen, throttled by its cgroup, or the host is under such pressure that silence proves nothing",
            ),
            field("starved_why", Text, "what starves it, empty if nothing does"),
            field("replaced", Bool, "the program file was replaced since the process started"),
            field("others", Text, OTHERS),
        ];
        const HEALTH: &[Field] = &[
            field("present", Bool, "the health document is there and readable"),
            field("live", Bool, "the process that wrote it still runs"),
            field("state", Text, "starting, active, inactive or stopping; none without a document"),
            field("heartbeat_age_ms", Int, "milliseconds since the event loop last wrote it (monotonic clock)"),
            field("version", Text, "version of the running agent"),
            field("generation", Int, "generation of its settings"),
            field("settings", Text, "current, good (the last good ones are used) or empty"),
            field("settings_problem", Text, "file:line:column and message of what is broken, empty if nothing is"),
            field("codes", Text, "documented codes that the agent raises, separated by spaces"),
            field("detail", Text, "the first error's own words, empty if none"),
            field("targets", Int, "watched targets"),
        ];
        const SERVICE: &[Field] = &[
            field("manager", Text, "systemd, or none (stand-alone: the supervisor is the parent)"),
            field(
                "active",
                Text,
                "ActiveState: active, inactive, failed, activating, deactivating; none without a manager",
            ),
            field("sub", Text, "SubState; none without a manager"),
            field(
                "result",
                Text,
                "Result of the last run: success, exit-code, signal, oom-kill, start-limit-hit, ...; none without a manager",
            ),
            field("restarts", Int, "restarts by the manager since the unit was last reset"),
            field("start_limit_hit", Bool, "the manager gave up starting it"),
            field("stop_noted", Bool, "an administrator stopped it, and that is on record for this boot"),
            field("stop_by", Text, "who stopped it, empty if nobody did"),
            field("masked", Bool, "the unit is masked or disabled for starting"),
        ];
        const EXIT: &[Field] = &[
            field("seen", Bool, "the supervisor saw an exit of it in this boot"),
            field(
                "how",
                Text,
                "exit, signal, oom-limit (its control group had no memory left), oom-host (the host had none), oom (not known which) or unknown; none when no exit was seen",
            ),
            field("code", Int, "exit code or signal number; -1 when none is known"),
            field("asked", Bool, "an administrator or wbd asked for that exit"),
            field("recent", Int, "exits that nobody asked for in the last ten minutes"),
        ];
        const INOTIFY: &[Field] = &[
            field(
                "user_used",
                Int,
                "watches of all processes of that user; where unread is above 0, at least so many (the others' are up to 15 minutes old while nothing is missing and two tenths are free)",
            ),
            field("unread", Int, "processes of that user that even root could not look into"),
            field(
                "process_used",
                Int,
                "watches of the process itself (its health document; the kernel's count without one)",
            ),
            field("user_instances", Int, "inotify instances of all processes of that user"),
            field("needed", Int, "watches the process wants (its health document)"),
            field("missing", Int, "watches it wants and could not get"),
            field("failed_at", Text, "watches, instances, queued_events, other or none: which limit refused"),
            field("errno", Text, "the error's name, empty if none"),
            field("max_watches", Int, "fs.inotify.max_user_watches"),
            field("max_instances", Int, "fs.inotify.max_user_instances"),
            field("max_queued", Int, "fs.inotify.max_queued_events"),
        ];
        const DNS: &[Field] = &[
            field("configured", Int, "name servers in resolv.conf"),
            field("answering", Int, "servers that gave a usable answer"),
            field("refused", Int, "servers whose port refuses, or that answer REFUSED"),
            field("silent", Int, "servers that did not answer in time"),
            field("servfail", Int, "servers that answer SERVFAIL"),
            field(
                "nxdomain",
                Int,
                "servers that say a name does not exist which another server knows, or that all deny",
            ),
            field("wrong", Int, "servers whose answer does not belong to the question or contradicts the others"),
            field("slow", Int, "servers that answer, but take over a second"),
            field("udp_only", Int, "servers that answer over UDP and not over TCP"),
            field("slowest_ms", Int, "the slowest usable answer in milliseconds; 0 without one"),
            field("first_bad", Text, "address of the first server that is not usable, empty if all are"),
            field("detail", Text, "a word for each server: address=result"),
            field("local_unit", Text, "unit of a resolver on this host that is configured, empty if none is"),
            field("local_failed", Bool, "that unit has failed"),
        ];
        const ENDPOINT: &[Field] = &[
            field("host", Text, "the host name that was used (where the side is not known: the one that answered)"),
            field("name", Text, "how the name resolved: ok, literal, nxdomain, servfail, silent, empty or failed"),
            field("address", Text, "the address tried first, empty if there is none"),
            field("addresses", Int, "how many addresses the name has"),
            field(
                "tcp",
                Text,
                "worst result of the ports: open, refused, dropped, reset, no-route, denied or not-tried",
            ),
            field("open_ports", Int, "ports that accept"),
            field("bad_ports", Int, "ports that do not"),
            field("bad_port", Int, "the first of them; 0 if none"),
            field("ping", Text, "answered, silent, no-route, denied, or not-tried"),
            field("local_drop", Bool, "a packet filter rule on this host drops it"),
            field("rule", Text, "that rule, empty if none"),
            field("detail", Text, "a word for each address and port"),
        ];
        const FDS: &[Field] = &[
            field("open", Int, "open file descriptors"),
            field("soft", Int, "the process's own soft limit"),
            field("hard", Int, "its hard limit"),
            field("percent", Int, "open in percent of soft"),
            field("age_s", Int, "seconds since the process started"),
            field("others", Text, OTHERS),
        ];
        const TREND: &[Field] = &[
            field("enough", Bool, "there are samples enough for a verdict"),
            field("leaking", Bool, "a leak is confirmed"),
            field("lane", Text, "none, slow, fast or headroom"),
            field("per_day", Int, "growth a day, rounded; 0 without a leak"),
            field("earliest_h", Int, "hours until the limit at the earliest; unknown without a leak"),
            field("latest_h", Int, "hours until the limit at the latest; unknown without a leak"),
            field(
                "due",
                Bool,
                "the restart is due now: in the last window that leaves a spare one, or no window is left",
            ),
            field("reason", Text, "the verdict in words"),
        ];
        const VERSIONS: &[Field] = &[
            field("left", Text, "the one that should follow"),
            field("right", Text, "the one that leads"),
            field("same3", Bool, "the first three parts are equal"),
            field("equal", Bool, "all parts are equal"),
            field("older", Text, "left, right or none: which is older in the first three parts"),
        ];
        match self {
            Self::ProcessState => PROCESS,
            Self::AgentHealth => HEALTH,
            Self::ServiceState => SERVICE,
            Self::ExitLast => EXIT,
            Self::InotifyUsage => INOTIFY,
            Self::DnsServers => DNS,
            Self::NetEndpoint => ENDPOINT,
            Self::FdUsage => FDS,
            Self::FdTrend => TREND,
            Self::VersionPair => VERSIONS,
        }
    }
}

//! One whole examination: everything is looked at, judged and folded into one report. Shows nothing.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use wbd_engine::judge;
use wbd_engine::judge::report::{self, Inputs, Row};
use wbd_engine::playbook::{Bound, Library};
use wbd_model::catalogue::means;
use wbd_model::check::{CheckKey, Verdict};
use wbd_model::control::{IncidentRow, Mode, Request, Response, Status};
use wbd_model::hold::HoldRow;
use wbd_model::incident::Phase;
use wbd_model::lang::Lang;
use wbd_model::name::{Code, ProfileName, TargetName};
use wbd_model::problem::Problem;
use wbd_model::report::{CheckRow, DaemonView, OpenIncident, Protection, ProtectionState, Report};
use wbd_model::seen::Forgotten;
use wbd_model::settings::Settings;
use wbd_model::suggest;
use wbd_model::waiver::Waiver;
use wbd_probes::programs::{Finding, lacking};
use wbd_probes::{Presence, ProbeRunner};

use crate::cli::{Doctor, LangArg};
use crate::client::{Client, Unanswered};
use crate::exit::{Exit, Failure};
use crate::{catalogue, host, phase, status, waiver, when};

use super::look::{self, Answers, FIRST, TIME, ms};
use super::own::Own;
use super::pending::aside;
use super::recorded_facts::RecordedFacts;
use super::supervisor::{self, Unit};
use super::{differ, merge, own, policy};

/// Whoever waits for the examination gives it up a little later.
const LONGEST: Duration = Duration::from_secs(9);

/// What an examination is made with.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The root.
    pub(crate) root: PathBuf,
    /// The settings, where they are not those under the root.
    pub(crate) config: Option<PathBuf>,
    /// The way to the supervisor.
    pub(crate) client: Client,
    /// Language of texts.
    pub(crate) lang: LangArg,
    /// What to look at.
    pub(crate) doctor: Doctor,
}

/// Examines the host; with the same runner again, looks that still hang are not begun anew.
///
/// # Errors
/// A profile or code was asked for that nobody knows.
pub(crate) fn examine(order: &Order, runner: &ProbeRunner) -> Result<Report, Failure> {
    let began = Instant::now();
    let now = crate::moment::clocks();
    let asked = aside({
        let client = order.client.clone();
        move || ask(&client)
    });
    let verified = beside(order, crate::ledger::verified_under);
    let written = beside(order, Said::written);
    let belongs = beside(order, host::has_supervisor);
    let unit = beside(order, supervisor::look);
    let Files { settings, settings_problems, library, problems, warnings, late: unread } = Files::read(order);
    if unread.is_none() {
        known(order, &library)?;
    }
    let mut runner = runner.clone();
    runner.facts.clone_from(&settings.facts);
    let placed = programs(order, &library, &settings);
    let (bounds, unbound) = bind(order, &library, &settings, &runner);
    let recorded = RecordedFacts::of(&runner, &library, &bounds);
    let answers = look::look(runner, &bounds, recorded, began);
    let (daemon_status, daemon_report) = within(&asked, began).unwrap_or_else(late);
    let open = daemon_status.as_ref().map(|status| status.open.clone()).unwrap_or_default();
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    // On the supervisor's own clock: the wall clock may have been set meanwhile.
    let age_ms = daemon_report.as_ref().map(|theirs| theirs.daemon.as_ref().map_or(0, |daemon| daemon.age_ms));
    let daemon = daemon_status.as_ref().ok().map(|status| view(status, age_ms));
    let said =
        daemon_status.as_ref().map(Said::told).unwrap_or_else(|_| within(&written, began).unwrap_or_else(Said::late));
    let mut report = judged(&bounds, &answers, &open, |rows| {
        report::report(Inputs {
            host: wbd_probes::host::name(),
            started_ms: now.wall_ms,
            duration_ms: 0,
            rows,
            unseen_profiles: &unbound.unseen,
            alike: &unbound.alike,
            forgotten: &unbound.forgotten,
            problems: &problems,
            daemon,
            waivers: &said.waivers,
            alone: is_alone(order, daemon_status.as_ref().ok()),
            lang: lang(order.lang),
        })
    });
    if let Some(theirs) = &daemon_report {
        report = with_theirs(report, theirs, unread.is_some(), order, began);
    }
    report.waivers_unread = said.unread;
    report.holds = said.holds;
    report.protection = expected(report.protection, &settings);
    let read = unread.is_none() && settings_problems.is_empty() && order.config.is_none();
    report.causes.iter_mut().for_each(|cause| policy::apply(cause, &settings, read, daemon_status.as_ref().ok()));
    let ledger = within(&verified, began);
    // Whose supervisor answers waits for no word about it.
    let unit = daemon_status
        .is_err()
        .then(|| within(&unit, began))
        .map_or(Unit::None, |unit| unit.unwrap_or_else(|| Unit::Unseen("systemd does not answer in time".to_owned())));
    let supervisor = supervisor::judge(&order.root, within(&belongs, began).unwrap_or(true), &daemon_status, &unit);
    let dead = supervisor.verdict() == Verdict::Fail;
    // First in the order of causes: what has kept the supervisor from starting, it, and what nobody heals without it.
    let first =
        [unread.as_deref().map_or_else(|| own::settings(&settings_problems, dead), own::settings_unread), supervisor];
    report.causes.splice(0..0, first.iter().filter_map(Own::cause));
    report.checks.extend(first.iter().filter_map(|check| check.row(0)));
    let own_checks = [
        own::degraded(&daemon_status),
        Some(own::held(&report.holds)),
        own::escalation(&daemon_status),
        Some(own::ledger(ledger, daemon_status.as_ref().ok())),
        own::lint(&warnings),
        within(&placed, began).map(|findings| own::programs(&findings)),
        unread.as_deref().map_or_else(|| own::playbooks(&order.root, library.playbooks.len()), own::playbooks_unread),
    ];
    for check in own_checks.iter().flatten() {
        report.checks.extend(check.row(0));
        report.causes.extend(check.cause());
    }
    chosen(order, &mut report);
    report.duration_ms = ms(began.elapsed());
    Ok(merge::settle(report))
}

/// With what the supervisor says of what could not be seen or checked from here, and of what it sees otherwise.
fn with_theirs(own: Report, theirs: &Report, unread: bool, order: &Order, began: Instant) -> Report {
    let age_ms = theirs.daemon.as_ref().map_or(0, |daemon| daemon.age_ms);
    let mut report = merge::fill(own, theirs, age_ms);
    if unread {
        report = merge::take_over(report, theirs, age_ms);
    }
    differ::settle(report, theirs, &order.client, began + LONGEST)
}

/// Looks at something under the root, beside the rest.
fn beside<T: Send + 'static>(order: &Order, look: fn(&Path) -> T) -> Receiver<T> {
    let root = order.root.clone();
    aside(move || look(&root))
}

/// What is said of protection on a host that needs no agent of wbd.
fn expected(seen: Option<Protection>, settings: &Settings) -> Option<Protection> {
    if settings.agent.expected {
        return seen;
    }
    let why = "wbd.yaml says that this host needs no agent of wbd".to_owned();
    Some(Protection { state: ProtectionState::NotExpected, targets: None, folders: None, since: None, why })
}

/// Looks at where programs lie, beside the rest.
fn programs(order: &Order, library: &Library, settings: &Settings) -> Receiver<Vec<Finding>> {
    let (root, library, settings) = (order.root.clone(), library.clone(), settings.clone());
    aside(move || host::unfit(&root, &library, &settings))
}

fn view(status: &Status, age_ms: Option<u64>) -> DaemonView {
    DaemonView {
        version: status.version.clone(),
        age_ms: age_ms.unwrap_or(0),
        healing: status::mode_and_suspensions(status),
    }
}

/// Whether the supervisor is stand-alone; under a root of its own it is, or there is none.
fn is_alone(order: &Order, status: Option<&Status>) -> bool {
    order.root != Path::new("/") || status.is_some_and(|status| status.mode == Mode::Standalone)
}

/// What people said to the supervisor: by its own word, else by the ledger and the hold files.
struct Said {
    waivers: Vec<Waiver>,
    unread: Option<String>,
    holds: Vec<HoldRow>,
}

impl Said {
    /// By the supervisor's own word.
    fn told(status: &Status) -> Self {
        Self { waivers: status.waivers.clone(), unread: None, holds: status.holds.clone() }
    }

    /// By the ledger and the hold files.
    fn written(root: &Path) -> Self {
        match waiver::of_ledger(root) {
            Ok((state, now)) => {
                let holds = waiver::holds(root, &waiver::pauses(&state, &now));
                Self { waivers: state.waivers, unread: None, holds }
            }
            Err(error) => {
                let unread = Some(Failure::from(error).message);
                Self { waivers: Vec::new(), unread, holds: waiver::holds(root, &[]) }
            }
        }
    }

    fn late() -> Self {
        let unread = "no answer in time, holds neither; look for a dead mount below /var/lib/wbd or /etc/wbd";
        Self { waivers: Vec::new(), unread: Some(unread.to_owned()), holds: Vec::new() }
    }
}

/// What the host has of wbd's files.
struct Files {
    settings: Settings,
    settings_problems: Vec<Problem>,
    library: Library,
    problems: Vec<Problem>,
    /// What in files that load does not count.
    warnings: Vec<Problem>,
    /// They could not be read in time; why.
    late: Option<String>,
}

impl Files {
    /// Reads them beside, since a read on a dead mount cannot be ended.
    fn read(order: &Order) -> Self {
        let (root, config) = (order.root.clone(), order.config.clone());
        let reading = aside(move || {
            let (library, problems, mut warnings) = host::advised_library(&root);
            let settings = host::settings(&root, config.as_deref());
            if let Ok(settings) = &settings {
                let source = host::settings_source(&root, config.as_deref());
                warnings.extend(host::advised_settings(source.as_ref(), settings, &library));
            }
            (settings, library, problems, warnings)
        });
        let none = Self {
            settings: Settings::default(),
            settings_problems: Vec::new(),
            library: Library::default(),
            problems: Vec::new(),
            warnings: Vec::new(),
            late: None,
        };
        match reading.recv_timeout(FIRST) {
            Ok((Ok(settings), library, problems, warnings)) => Self { settings, library, problems, warnings, ..none },
            Ok((Err(settings_problems), library, problems, warnings)) => {
                Self { settings_problems, library, problems, warnings, ..none }
            }
            Err(_) => {
                let seconds = FIRST.as_secs();
                let late =
                    format!("no answer within {seconds} s; look for a dead mount below /etc/wbd or /usr/lib/wbd");
                Self { late: Some(late), ..none }
            }
        }
    }
}

fn judged(
    bounds: &[Bound],
    answers: &Answers,
    open: &[IncidentRow],
    fold: impl FnOnce(&[Row<'_>]) -> Report,
) -> Report {
    let looked: Vec<_> = bounds
        .iter()
        .map(|bound| {
            let (seen, took_ms) = answers.of(bound);
            let judgement = judge::judge(bound, &seen);
            (bound, seen, judgement, took_ms)
        })
        .collect();
    let rows: Vec<Row<'_>> = looked
        .iter()
        .map(|(bound, seen, judgement, took_ms)| Row {
            bound,
            judgement,
            seen,
            // An open incident was held long enough by whoever opened it.
            held_ms: of(open, &bound.key).map(|_| u64::MAX),
            took_ms: *took_ms,
        })
        .collect();
    let mut report = fold(&rows);
    for cause in &mut report.causes {
        let key = CheckKey { code: cause.code.clone(), target: cause.target.clone() };
        if let Some(incident) = of(open, &key) {
            let (id, since, stands) = (incident.id, incident.opened, phase::phase(incident));
            // For people it stands on a line of its own.
            cause.seen = cause.in_words().to_vec();
            cause.evidence.push(format!("since {}: incident {id}, {stands}", when::moment(since)));
            cause.incident = Some(OpenIncident { id, since, stands });
        }
    }
    report
}

fn of<'a>(open: &'a [IncidentRow], key: &CheckKey) -> Option<&'a IncidentRow> {
    open.iter().find(|row| row.key() == *key && !matches!(row.phase, Phase::Closed { .. }))
}

/// Looking where programs lie takes milliseconds, unless a mount is dead.
const PROGRAMS: Duration = Duration::from_secs(1);

/// Products without checks.
#[derive(Debug)]
struct Unbound {
    /// It could not be told whether they are here, and why.
    unseen: Vec<(ProfileName, String)>,
    /// They are not, and something has the name of one.
    alike: Vec<(ProfileName, String)>,
    /// They are, and an administrator does not want them checked.
    forgotten: Vec<(ProfileName, Forgotten)>,
}

/// The checks of this host, and products that have none.
fn bind(order: &Order, library: &Library, settings: &Settings, runner: &ProbeRunner) -> (Vec<Bound>, Unbound) {
    RecordedFacts::remember_products(runner);
    let mut present = BTreeSet::new();
    let (mut unseen, mut alike, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
    let profiles = library.profiles.values().map(std::sync::Arc::as_ref);
    for (name, presence) in library.profiles.keys().zip(runner.present_each(profiles)) {
        match presence {
            Presence::Yes => {
                present.insert(name.clone());
            }
            Presence::Forgotten(by) => forgotten.push((name.clone(), by)),
            Presence::No(others) if others.is_empty() => {}
            Presence::No(others) => alike.push((name.clone(), others.join("; "))),
            Presence::Unknown(reason) => unseen.push((name.clone(), reason)),
        }
    }
    let mut bounds = library.bind(&present, settings);
    let lacking = Arc::new(lacking(&order.root, library.programs_of_guides(), PROGRAMS));
    bounds.iter_mut().for_each(|bound| bound.without(&lacking));
    let doctor = &order.doctor;
    bounds.retain(|bound| {
        wanted(doctor, &bound.key.code)
            && doctor.profile.as_ref().is_none_or(|name| bound.profile.as_ref() == Some(name))
    });
    let asked_for = |(name, _): &(ProfileName, String)| doctor.profile.as_ref().is_none_or(|wanted| wanted == name);
    unseen.retain(asked_for);
    alike.retain(asked_for);
    forgotten.retain(|(name, _)| doctor.profile.as_ref().is_none_or(|wanted| wanted == name));
    (bounds, Unbound { unseen, alike, forgotten })
}

fn wanted(doctor: &Doctor, code: &Code) -> bool {
    let any = |given: &[Code]| given.iter().any(|given| means(given, code));
    (doctor.only.is_empty() || any(&doctor.only)) && !any(&doctor.skip)
}

/// Leaves the rows that were asked for; what was asked for and is not checked here is said.
fn chosen(order: &Order, report: &mut Report) {
    let doctor = &order.doctor;
    report.checks.retain(|row| wanted(doctor, &row.code));
    report.causes.retain(|cause| wanted(doctor, &cause.code));
    report.waived.retain(|row| wanted(doctor, &row.waiver.code));
    for code in &doctor.only {
        let mut rows = report.checks.iter().chain(report.waived.iter().flat_map(|row| &row.checks));
        if wanted(doctor, code) && !rows.any(|row| means(code, &row.code)) {
            report.checks.extend(TargetName::new("host").ok().map(|target| {
                CheckRow {
                    code: code.clone(),
                    target,
                    verdict: Verdict::Unknown,
                    reason:
                        "nothing on this host is checked for it: it has no playbook here, or its product is not here"
                            .to_owned(),
                    duration_ms: 0,
                    unclear: false,
                }
            }));
        }
    }
}

/// A name that nobody knows is a slip of the finger and no clean bill of health.
fn known(order: &Order, library: &Library) -> Result<(), Failure> {
    if let Some(name) = order.doctor.profile.as_ref().filter(|name| !library.profiles.contains_key(*name)) {
        let near = suggest::nearest(name.as_str(), library.profiles.keys().map(ProfileName::as_str));
        let hint = near.map_or_else(|| "see wbdctl playbook list".to_owned(), |near| format!("did you mean {near}?"));
        return Err(Failure::new(Exit::Usage, format!("there is no profile {name}; {hint}")));
    }
    let rows = catalogue::rows()?;
    let codes: BTreeSet<&Code> = rows
        .iter()
        .map(|row| &row.code)
        .chain(library.playbooks.values().map(|playbook| &playbook.code))
        .chain(library.profiles.values().flat_map(|profile| profile.spec.codes.values()))
        .collect();
    if let Some(code) = order.doctor.only.iter().chain(&order.doctor.skip).find(|code| !codes.contains(code)) {
        let near = suggest::nearest(code.as_str(), codes.iter().map(|code| code.as_str()));
        let hint = near.map_or_else(|| "see wbdctl explain".to_owned(), |near| format!("did you mean {near}?"));
        return Err(Failure::new(Exit::Usage, format!("no failure has the code {code}; {hint}")));
    }
    Ok(())
}

pub(super) const fn lang(lang: LangArg) -> Lang {
    match lang {
        LangArg::En => Lang::En,
        LangArg::Ja => Lang::Ja,
    }
}

type Asked = (Result<Status, Unanswered>, Option<Report>);

/// What the supervisor says of itself, and its latest report.
fn ask(client: &Client) -> Asked {
    let status = match client.call(&Request::Status {}) {
        Ok(Response::Status(status)) => Ok(*status),
        Ok(_) => {
            Err(Unanswered::Garbled("the supervisor's answer makes no sense; are both of one version?".to_owned()))
        }
        Err(error) => Err(error),
    };
    let report = if status.is_ok() { client.call(&Request::Report {}).ok() } else { None };
    let report = report.and_then(|response| if let Response::Report(report) = response { report } else { None });
    (status, report.map(|report| *report))
}

fn late() -> Asked {
    (
        Err(Unanswered::Late(format!(
            "the supervisor did not answer within {} s; see journalctl -u wbd-supervisord",
            TIME.as_secs()
        ))),
        None,
    )
}

/// What was done beside the looking, if it is done in time.
fn within<T>(receiver: &Receiver<T>, began: Instant) -> Option<T> {
    // A moment at least: what is done already must not be missed because the looking took all the time.
    let left = TIME.saturating_sub(began.elapsed()).max(Duration::from_millis(50));
    receiver.recv_timeout(left).ok()
}

//! Which checks there are on this host: each playbook with each product that has what it needs. Asks nothing.
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use wbd_model::check::CheckKey;
use wbd_model::name::{Code, PlaybookName, ProfileName, TargetName};
use wbd_model::observation::Value;
use wbd_model::probe::{Binding, Item, Probe};
use wbd_model::profile::{
    Command, Duration, Endpoint, Leak, ProcessSelector, Profile, ProfileSpec, PublicAddress, PublicSide, VersionSource,
};
use wbd_model::sample::process_key;
use wbd_model::settings::Settings;

use super::compiled::{Explains, Playbook};
use super::library::Library;
use crate::expr::Items;
use wbd_model::plan::Attempts;

/// Host names that one question about name servers may carry.
const MAX_NAMES: usize = 8;

/// One check of this host: a playbook for one target, its questions filled in. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bound {
    /// The failure and whose it is.
    pub key: CheckKey,
    /// The playbook.
    pub playbook: PlaybookName,
    /// The product; `None` for a check of the host.
    pub profile: Option<ProfileName>,
    /// Digest of the playbook's text.
    pub digest: String,
    /// What to look at, by the names that expressions use.
    pub probes: BTreeMap<String, Probe>,
    /// How often to look.
    pub every: Duration,
    /// The proof of the cure must come within this time; nothing where nothing is done.
    pub verify_within: Duration,
    /// The proof must hold for this time.
    pub verify_hold: Duration,
    /// The playbook's own budget.
    pub attempts: Attempts,
    /// What it makes other playbooks see.
    pub explains: Vec<Explains>,
    /// Whether it acts at all.
    pub has_rungs: bool,
    pub(crate) content: Arc<Playbook>,
    /// Programs that guides need and this host lacks.
    pub(crate) lacking: Arc<BTreeSet<String>>,
    pub(crate) facts: Arc<ProfileFacts>,
    pub(crate) item: Arc<BTreeMap<String, Value>>,
}

/// What expressions and actions take from a profile.
#[derive(Debug, Default)]
pub(crate) struct ProfileFacts {
    pub(crate) constants: BTreeMap<String, Value>,
    pub(crate) commands: BTreeMap<String, Command>,
    pub(crate) units: BTreeSet<String>,
}

impl Library {
    /// The processes whose descriptors these checks judge: the name that their samples are kept under, and when each
    /// may be restarted. Nothing of a profile that does not say when.
    #[must_use]
    pub fn leaks<'a>(&self, bounds: impl IntoIterator<Item = &'a Bound>) -> BTreeMap<ProcessSelector, (String, Leak)> {
        let mut leaks = BTreeMap::new();
        for bound in bounds {
            let profile = bound.profile.as_ref().and_then(|name| self.profiles.get(name));
            let Some((profile, leak)) = profile.and_then(|it| Some((it, it.spec.leak.as_ref()?))) else { continue };
            for probe in bound.probes.values() {
                let (Probe::FdTrend(asked) | Probe::FdUsage(asked)) = probe else { continue };
                let Some((role, _)) = profile.spec.process.iter().find(|(_, it)| *it == asked) else { continue };
                leaks.entry(asked.clone()).or_insert_with(|| (process_key(profile, role), leak.clone()));
            }
        }
        leaks
    }
}

impl Bound {
    /// How long a case must hold before anything is done; nothing for a case that is not there.
    #[must_use]
    pub fn held_for(&self, case: &str) -> Duration {
        self.content.case(case).map(|case| case.held_for).unwrap_or_default()
    }

    /// The longest time that any of its cases must hold.
    #[must_use]
    pub fn longest_hold(&self) -> Duration {
        self.content.cases.iter().map(|case| case.held_for).max().unwrap_or_default()
    }

    /// Steps that need one of these programs are not shown.
    pub fn without(&mut self, lacking: &Arc<BTreeSet<String>>) {
        self.lacking = Arc::clone(lacking);
    }

    /// The playbook behind it.
    #[must_use]
    pub fn content(&self) -> &Playbook {
        &self.content
    }
}

impl Library {
    /// The checks of a host where these products are present, in the order of playbooks and profiles.
    #[must_use]
    pub fn bind(&self, present: &BTreeSet<ProfileName>, settings: &Settings) -> Vec<Bound> {
        // A health document is what only wbd's own agent has.
        let expected = |profile: &&Arc<Profile>| settings.agent.expected || !profile.spec.health;
        let here = self.profiles.values().filter(|profile| present.contains(&profile.name));
        let profiles: Vec<&Arc<Profile>> = here.filter(expected).collect();
        self.playbooks.values().flat_map(|playbook| bind(playbook, &profiles, settings)).collect()
    }
}

fn bind(playbook: &Arc<Playbook>, profiles: &[&Arc<Profile>], settings: &Settings) -> Vec<Bound> {
    let fitting: Vec<&Profile> =
        profiles.iter().map(|profile| profile.as_ref()).filter(|profile| playbook.fits(profile)).collect();
    if playbook.for_host {
        return for_host(playbook, &fitting, settings).into_iter().collect();
    }
    fitting.into_iter().flat_map(|profile| for_profile(playbook, profile, settings)).collect()
}

fn for_host(playbook: &Arc<Playbook>, profiles: &[&Profile], settings: &Settings) -> Option<Bound> {
    if profiles.is_empty() {
        return None;
    }
    let endpoints: Vec<Endpoint> = profiles.iter().flat_map(|profile| endpoints(&profile.spec, settings)).collect();
    let key = CheckKey { code: code_of_host(playbook, profiles), target: TargetName::new("host").ok()? };
    let names = host_names(&endpoints);
    let questions = playbook.observe.iter().map(|(name, question)| {
        let given = &question.given;
        let binding = Binding { given, profile: None, target: &key.target, item: None, host_names: &names };
        Some((name.clone(), Probe::bind(question.name, &binding)?))
    });
    // One that cannot be asked leaves nothing to be judged by.
    let probes = questions.collect::<Option<BTreeMap<String, Probe>>>()?;
    Some(bound(playbook, key, None, probes, settings))
}

/// What is the host's has no product's name, unless all products that it is looked at for give it that one.
fn code_of_host(playbook: &Playbook, profiles: &[&Profile]) -> Code {
    let mut given = profiles.iter().map(|profile| code_given(playbook, profile));
    let first = given.next().flatten().filter(|first| given.all(|code| code == Some(*first)));
    first.unwrap_or(&playbook.code).clone()
}

/// The vendor's code for a generic failure, given for the playbook's name or for its code.
fn code_given<'a>(playbook: &Playbook, profile: &'a Profile) -> Option<&'a Code> {
    let codes = &profile.spec.codes;
    codes.get(playbook.name.as_str()).or_else(|| codes.get(playbook.code.as_str()))
}

fn for_profile(playbook: &Arc<Playbook>, profile: &Profile, settings: &Settings) -> Vec<Bound> {
    let facts = Arc::new(profile_facts(profile));
    let code = code_given(playbook, profile).unwrap_or(&playbook.code);
    let endpoints = endpoints(&profile.spec, settings);
    let names = host_names(&endpoints);
    let items: Vec<Option<BoundItem>> = match playbook.items {
        Some(Items::Endpoints) => endpoints.into_iter().map(BoundItem::Endpoint).map(Some).collect(),
        Some(Items::Roles) => roles(&profile.spec).map(BoundItem::Role).map(Some).collect(),
        None => vec![None],
    };
    let mut all = Vec::new();
    for item in items {
        let text = item.as_ref().map_or_else(|| profile.name.to_string(), |item| item.target(profile));
        let Ok(target) = TargetName::new(text) else { continue };
        let key = CheckKey { code: code.clone(), target };
        let probes: BTreeMap<String, Probe> = playbook
            .observe
            .iter()
            .filter_map(|(name, question)| {
                let (given, target) = (&question.given, &key.target);
                let item = item.as_ref().map(|item| item.asked(profile));
                let binding = Binding { given, profile: Some(&profile.spec), target, item, host_names: &names };
                // `None` cannot be: loading refuses a question about what `applies.has` does not require.
                Some((name.clone(), Probe::bind(question.name, &binding)?))
            })
            .collect();
        let mut check = bound(playbook, key, Some(profile.name.clone()), probes, settings);
        check.facts = Arc::clone(&facts);
        check.item = Arc::new(item.as_ref().map(|item| item.fields(profile)).unwrap_or_default());
        all.push(check);
    }
    all
}

/// One item of `each`.
enum BoundItem {
    Endpoint(Endpoint),
    Role(String),
}

impl BoundItem {
    /// Whose check it is. The main process is the product's own.
    fn target(&self, profile: &Profile) -> String {
        match self {
            Self::Endpoint(endpoint) => format!("{}/{}:{}", profile.name, endpoint.host, ports(endpoint)),
            Self::Role(role) if role == "main" => profile.name.to_string(),
            Self::Role(role) => format!("{}/{role}", profile.name),
        }
    }

    fn asked<'a>(&'a self, profile: &'a Profile) -> Item<'a> {
        match self {
            Self::Endpoint(endpoint) => Item::Endpoint(endpoint),
            Self::Role(role) => Item::Role { product: &profile.name, role },
        }
    }

    fn fields(&self, profile: &Profile) -> BTreeMap<String, Value> {
        match self {
            Self::Endpoint(endpoint) => item_fields(endpoint),
            Self::Role(role) => {
                let process = profile.spec.process.get(role).map(ProcessSelector::words).unwrap_or_default();
                let unit = profile.spec.unit_of(role).cloned().unwrap_or_default();
                let fields = [("name", role.clone()), ("process", process), ("unit", unit)];
                fields.into_iter().map(|(name, text)| (name.to_owned(), Value::from(text))).collect()
            }
        }
    }
}

/// The processes that are told to be down by their role: wbd's own agent has a playbook of its own for that.
fn roles(spec: &ProfileSpec) -> impl Iterator<Item = String> {
    spec.process.iter().filter(|(_, selector)| !selector.health).map(|(role, _)| role.clone())
}

fn bound(
    playbook: &Arc<Playbook>,
    key: CheckKey,
    profile: Option<ProfileName>,
    probes: BTreeMap<String, Probe>,
    settings: &Settings,
) -> Bound {
    let verify = playbook.verify.as_ref();
    Bound {
        key,
        playbook: playbook.name.clone(),
        profile,
        digest: playbook.digest.clone(),
        probes,
        every: playbook.every.unwrap_or(settings.every),
        verify_within: verify.map(|verify| verify.within).unwrap_or_default(),
        verify_hold: verify.map(|verify| verify.hold).unwrap_or_default(),
        attempts: playbook.attempts,
        explains: playbook.explains.clone(),
        has_rungs: playbook.acts(),
        content: Arc::clone(playbook),
        lacking: Arc::default(),
        facts: Arc::default(),
        item: Arc::default(),
    }
}

/// The endpoints for this host's side. Where the side is not known, a public one and a private one with the
/// same ports become one, which fails only if both fail.
fn endpoints(spec: &ProfileSpec, settings: &Settings) -> Vec<Endpoint> {
    let stated = if settings.public == PublicAddress::Auto { spec.public } else { settings.public };
    let wanted = match stated {
        PublicAddress::Yes => Some(PublicSide::Public),
        PublicAddress::No => Some(PublicSide::Private),
        PublicAddress::Auto => None,
    };
    let mut chosen: Vec<Endpoint> = Vec::new();
    let mut privates: Vec<&Endpoint> = spec.endpoints.iter().filter(|e| e.when == Some(PublicSide::Private)).collect();
    for endpoint in &spec.endpoints {
        match (endpoint.when, wanted) {
            (None, _) => chosen.push(endpoint.clone()),
            (Some(side), Some(wanted)) if side == wanted => chosen.push(endpoint.clone()),
            (Some(_), Some(_)) | (Some(PublicSide::Private), None) => {}
            (Some(PublicSide::Public), None) => {
                let twin = privates.iter().position(|private| private.ports == endpoint.ports);
                let alternate = twin.map(|index| privates.remove(index).host.clone());
                chosen.push(Endpoint { alternate, ..endpoint.clone() });
            }
        }
    }
    if wanted.is_none() {
        chosen.extend(privates.into_iter().cloned());
    }
    chosen
}

fn host_names(endpoints: &[Endpoint]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in endpoints.iter().flat_map(|endpoint| std::iter::once(&endpoint.host).chain(&endpoint.alternate)) {
        if name.parse::<IpAddr>().is_err() && !names.contains(name) && names.len() < MAX_NAMES {
            names.push(name.clone());
        }
    }
    names
}

fn ports(endpoint: &Endpoint) -> String {
    endpoint.ports.iter().map(u16::to_string).collect::<Vec<String>>().join(",")
}

fn item_fields(endpoint: &Endpoint) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::from([
        ("host".to_owned(), Value::from(endpoint.host.as_str())),
        ("ports".to_owned(), Value::from(ports(endpoint))),
        ("ping".to_owned(), Value::from(endpoint.ping)),
    ]);
    fields.insert("alternate".to_owned(), Value::from(endpoint.alternate.clone().unwrap_or_default()));
    fields
}

fn profile_facts(profile: &Profile) -> ProfileFacts {
    let spec = &profile.spec;
    let mut constants = BTreeMap::from([("name".to_owned(), Value::from(profile.name.as_str()))]);
    let mut set = |name: String, value: Value| constants.insert(name, value);
    if let Some(unit) = &spec.unit {
        set("unit".to_owned(), unit.as_str().into());
    }
    for (name, limit) in &spec.limits {
        set(format!("limits.{name}"), (*limit).into());
    }
    for (name, source) in &spec.version {
        set(format!("version.{name}"), version_words(source).into());
    }
    if let Some(leak) = &spec.leak {
        set("leak.window".to_owned(), leak.window.as_str().into());
        if let Some(fallback) = &leak.fallback {
            set("leak.fallback".to_owned(), fallback.as_str().into());
        }
    }
    if let Some(build) = spec.builds.as_ref().and_then(|builds| builds.fixed_from) {
        set("builds.fixed_from".to_owned(), build.into());
    }
    ProfileFacts { constants, commands: spec.commands.clone(), units: spec.units() }
}

/// How texts name the place of a version.
fn version_words(source: &VersionSource) -> String {
    match source {
        VersionSource::Health {} => "the running agent".to_owned(),
        VersionSource::Package(name) => format!("package {name}"),
        VersionSource::File(path) => path.to_string_lossy().into_owned(),
        VersionSource::Program(argv) => argv.first().cloned().unwrap_or_default(),
        VersionSource::Setting(name) => name.clone(),
    }
}

#[cfg(test)]
#[path = "bind_tests.rs"]
mod tests;

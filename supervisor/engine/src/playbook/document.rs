//! The keys of a playbook file exactly as they are written. From here come reading, the JSON Schema and the
//! manual's key list; whether names and expressions fit together is not checked here.
#![expect(dead_code, reason = "some keys exist to be checked and documented, and are not read again")]
use schemars::JsonSchema;
use serde::Deserialize;
use wbd_model::action::ActionName;
use wbd_model::name::{Code, PlaybookName, ProfileName};
use wbd_model::plan::Approval;
use wbd_model::probe::ProbeName;
use wbd_model::profile::{Duration, ProfileSpec};

use super::given::Cel;
use super::guide::GuideLine;
use super::named::Named;
use super::one_or_more::OneOrMore;
use crate::yaml::{At, Ordered};

/// The version of these keys.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum ApiVersion {
    #[serde(rename = "wbd/v1")]
    V1,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum PlaybookKind {
    Playbook,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum ProfileKind {
    Profile,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum TestKind {
    PlaybookTest,
}

/// One failure: how it is seen, cured and proved to be cured.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Playbook")]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaybookDocument {
    /// `wbd/v1`; may be left out in later documents of a file.
    #[serde(rename = "apiVersion", default)]
    pub(crate) api_version: Option<ApiVersion>,
    /// `Playbook`
    pub(crate) kind: PlaybookKind,
    /// Its name and code.
    pub(crate) metadata: PlaybookMetadata,
    /// Everything else.
    pub(crate) spec: PlaybookSpec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaybookMetadata {
    /// Lower-case letters and digits in parts joined by '-'.
    pub(crate) name: At<PlaybookName>,
    /// The documented failure; a profile may put its vendor's code in its place.
    pub(crate) code: Code,
    /// The document it follows.
    #[serde(default)]
    pub(crate) source: String,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaybookSpec {
    /// Which products it is for.
    pub(crate) applies: At<Applies>,
    /// Judged once for each product (`profile`) or once for the host (`host`).
    #[serde(default)]
    pub(crate) scope: ScopeWord,
    /// A list of the profile whose items are judged one by one.
    #[serde(default)]
    pub(crate) each: Option<Each>,
    /// How often it runs; the setting `every` where it is left out.
    #[serde(default)]
    pub(crate) every: Option<Duration>,
    /// What is looked at: a name for expressions and texts, and the question.
    pub(crate) observe: Ordered<At<Named<ProbeName>>>,
    /// Values with a name. Each may use those above it.
    #[serde(default, rename = "let")]
    pub(crate) lets: Ordered<Cel>,
    /// The cases of the failure.
    pub(crate) detect: Detect,
    /// Playbooks (`name` or `name/case`) whose failure this one makes appear: they are its consequences.
    #[serde(default)]
    pub(crate) explains: Vec<At<String>>,
    /// The ladder: the first rung whose `if` holds is done; if it does not help, the next that holds.
    #[serde(default)]
    pub(crate) rungs: Vec<At<RungSpec>>,
    /// The proof of the cure. Wanted wherever there are rungs.
    #[serde(default)]
    pub(crate) verify: Option<VerifySpec>,
    /// How often it may act.
    #[serde(default)]
    pub(crate) budget: BudgetSpec,
    /// The words for people, by language and case.
    pub(crate) text: At<Texts>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Applies {
    /// The profile that it is for, or a list of them; every profile that has what follows where it is left out.
    #[serde(default)]
    pub(crate) profile: Option<OneOrMore<ProfileName>>,
    /// What a profile must have: `process` (any), `process.NAME`, `health`, `unit`, `commands.NAME`, `version.NAME`, `builds`, `leak`, `endpoints`, `limits.NAME`.
    #[serde(default)]
    pub(crate) has: Vec<At<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ScopeWord {
    #[default]
    Profile,
    Host,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Each {
    /// Each endpoint of the profile.
    Endpoint(EndpointList),
    /// Each process of the profile but wbd's own agent, which has a playbook of its own.
    Role(RoleList),
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum RoleList {
    #[serde(rename = "profile.process")]
    Roles,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(crate) enum EndpointList {
    #[serde(rename = "profile.endpoints")]
    Endpoints,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Detect {
    /// How long a failing case must hold before anything is done.
    #[serde(default, rename = "for")]
    pub(crate) held_for: Duration,
    /// What healthy is, in CEL, asked where no case is true. What neither it nor a case covers is unknown, and so is all
    /// where it is not known. Without it everything is healthy that no case covers.
    #[serde(default)]
    pub(crate) healthy: Option<At<String>>,
    /// The first true case wins; an unknown one makes the verdict unknown.
    pub(crate) cases: At<Vec<CaseSpec>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseSpec {
    /// Its name in rungs and texts.
    pub(crate) id: At<String>,
    /// `warn` is shown and never acted on; `fail` opens an incident; `skip`: the check says nothing now, and why;
    /// `unknown`: nobody can tell, and why.
    pub(crate) level: LevelWord,
    /// The condition, in CEL.
    pub(crate) when: At<String>,
    /// In place of `detect.for`.
    #[serde(default, rename = "for")]
    pub(crate) held_for: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LevelWord {
    Fail,
    Warn,
    Skip,
    Unknown,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RungSpec {
    /// Its name.
    pub(crate) id: At<String>,
    /// When it fits, in CEL; always where it is left out.
    #[serde(default, rename = "if")]
    pub(crate) condition: Option<At<String>>,
    /// `auto`, or `operator`: a person has to approve.
    #[serde(default)]
    pub(crate) approval: Approval,
    /// The window that it waits for.
    #[serde(default)]
    pub(crate) at: Option<WindowSpec>,
    /// The actions, in order.
    pub(crate) steps: At<Vec<Named<ActionName>>>,
}

/// A rung waits until its window opens, unless what fails runs out before that.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WindowSpec {
    /// Minutes until the window opens, 0 while it is open, in CEL.
    pub(crate) opens_in: At<String>,
    /// Minutes until it runs out at the earliest, in CEL; while that is unknown, the rung waits.
    #[serde(default)]
    pub(crate) runs_out_in: Option<At<String>>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifySpec {
    /// The cure is proved when this is true, in CEL; `before.` is the state before the action.
    pub(crate) pass: At<String>,
    /// It must become true within this time ...
    pub(crate) within: Duration,
    /// ... and stay true for this time.
    #[serde(default)]
    pub(crate) hold: Duration,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BudgetSpec {
    /// At most so many attempts on a target ...
    #[serde(default = "default_attempts")]
    pub(crate) attempts: u32,
    /// ... in this time.
    #[serde(default = "default_per")]
    pub(crate) per: Duration,
    /// The pause after a failed attempt; it doubles from `from` to `to`.
    #[serde(default)]
    pub(crate) backoff: Backoff,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backoff {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
}

const fn default_attempts() -> u32 {
    3
}

const fn default_per() -> Duration {
    Duration::from_ms(3_600_000)
}

impl Default for Backoff {
    fn default() -> Self {
        Self { from: Duration::from_ms(5000), to: Duration::from_ms(300_000) }
    }
}

impl Default for BudgetSpec {
    fn default() -> Self {
        Self { attempts: default_attempts(), per: default_per(), backoff: Backoff::default() }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    /// English.
    pub(crate) en: Ordered<CaseTexts>,
    /// Japanese.
    #[serde(default)]
    pub(crate) ja: Option<Ordered<CaseTexts>>,
}

/// The words for one case; `{name}` stands for a value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaseTexts {
    /// A claim that is true while the case holds.
    pub(crate) title: At<String>,
    /// Why, with this host's values.
    pub(crate) cause: At<String>,
    /// Steps for a person: each a text, or `{line: ..., needs: [program]}`.
    #[serde(default)]
    pub(crate) guide: Vec<At<GuideLine>>,
}

/// A product's facts.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "Profile")]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileDocument {
    /// `wbd/v1`; may be left out in later documents of a file.
    #[serde(rename = "apiVersion", default)]
    pub(crate) api_version: Option<ApiVersion>,
    /// `Profile`
    pub(crate) kind: ProfileKind,
    /// Its name.
    pub(crate) metadata: ProfileMetadata,
    /// Its facts.
    pub(crate) spec: ProfileSpec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileMetadata {
    /// Lower-case letters and digits in parts joined by '-'.
    pub(crate) name: ProfileName,
    /// The document it follows.
    #[serde(default)]
    pub(crate) source: String,
}

/// Observations over time, and what must come of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "PlaybookTest")]
#[serde(deny_unknown_fields)]
pub(crate) struct TestDocument {
    /// `wbd/v1`; may be left out in later documents of a file.
    #[serde(rename = "apiVersion", default)]
    pub(crate) api_version: Option<ApiVersion>,
    /// `PlaybookTest`
    pub(crate) kind: TestKind,
    /// Its name.
    pub(crate) metadata: TestMetadata,
    /// Everything else.
    pub(crate) spec: super::test_spec::TestSpec,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestMetadata {
    /// Lower-case letters and digits in parts joined by '-'.
    pub(crate) name: PlaybookName,
}

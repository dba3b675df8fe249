//! What must not compile, as documentation tests: an action that was not permitted, not recorded, or is done twice.
//! Never part of the program.
//!
//! Each wall stands beside a door: the same lines with one difference, which must compile. So a wall cannot
//! stand for a wrong reason (a renamed type, a missing import). They need no second build of everything,
//! as a compile-fail runner of its own does.

/// The door: a permit becomes a recorded intent, and that is what acts, once.
/// ```
/// use wbd_actions::{Executor, Report};
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::{Ledger, LedgerError};
/// use wbd_model::time::Now;
/// async fn act(executor: &Executor, ledger: &mut Ledger, permit: Permit, now: &Now) -> Result<Report, LedgerError> {
///     let recorded = ledger.record(permit, now)?;
///     Ok(executor.act(recorded, now, None).await)
/// }
/// ```
/// The wall: a permit alone does not act.
/// ```compile_fail,E0308
/// use wbd_actions::{Executor, Report};
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::{Ledger, LedgerError};
/// use wbd_model::time::Now;
/// async fn act(executor: &Executor, ledger: &mut Ledger, permit: Permit, now: &Now) -> Result<Report, LedgerError> {
///     let recorded = permit;
///     Ok(executor.act(recorded, now, None).await)
/// }
/// ```
/// The wall: an intent that somebody wrote down does not act.
/// ```compile_fail,E0308
/// use wbd_actions::{Executor, Report};
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::{Ledger, LedgerError};
/// use wbd_model::time::Now;
/// async fn act(executor: &Executor, ledger: &mut Ledger, permit: Permit, now: &Now) -> Result<Report, LedgerError> {
///     let recorded = ledger.record(permit, now)?.into_intent().1;
///     Ok(executor.act(recorded, now, None).await)
/// }
/// ```
/// The wall: what is recorded acts once.
/// ```compile_fail,E0382
/// use wbd_actions::{Executor, Report};
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::{Ledger, LedgerError};
/// use wbd_model::time::Now;
/// async fn act(executor: &Executor, ledger: &mut Ledger, permit: Permit, now: &Now) -> Result<Report, LedgerError> {
///     let recorded = ledger.record(permit, now)?;
///     let _ = executor.act(recorded, now, None).await;
///     Ok(executor.act(recorded, now, None).await)
/// }
/// ```
/// The wall: a permit is recorded once.
/// ```compile_fail,E0382
/// use wbd_actions::{Executor, Report};
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::{Ledger, LedgerError};
/// use wbd_model::time::Now;
/// async fn act(executor: &Executor, ledger: &mut Ledger, permit: Permit, now: &Now) -> Result<Report, LedgerError> {
///     let _ = ledger.record(permit, now)?;
///     let recorded = ledger.record(permit, now)?;
///     Ok(executor.act(recorded, now, None).await)
/// }
/// ```
/// The wall: what is recorded cannot be doubled.
/// ```compile_fail,E0599
/// use wbd_actions::{Executor, Report};
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::{Ledger, LedgerError};
/// use wbd_model::time::Now;
/// async fn act(executor: &Executor, ledger: &mut Ledger, permit: Permit, now: &Now) -> Result<Report, LedgerError> {
///     let recorded = ledger.record(permit, now)?;
///     Ok(executor.act(recorded.clone(), now, None).await)
/// }
/// ```
/// The wall: a permit cannot be doubled.
/// ```compile_fail,E0599
/// use wbd_actions::{Executor, Report};
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::{Ledger, LedgerError};
/// use wbd_model::time::Now;
/// async fn act(executor: &Executor, ledger: &mut Ledger, permit: Permit, now: &Now) -> Result<Report, LedgerError> {
///     let recorded = ledger.record(permit.clone(), now)?;
///     Ok(executor.act(recorded, now, None).await)
/// }
/// ```
#[derive(Debug)]
pub struct OnlyRecordedActionsAct;

/// The door: anybody can write down an intent and its subject; they are nouns.
/// ```
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::Recorded;
/// use wbd_model::entry::{Body, Entry, Intent, Subject};
/// fn forged(subject: Subject, intent: Intent, entry: Entry) -> Entry {
///     Entry { subject, body: Body::Intent(Box::new(intent)), ..entry }
/// }
/// ```
/// The wall: nobody can write down a permit.
/// ```compile_fail,E0451
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::Recorded;
/// use wbd_model::entry::{Body, Entry, Intent, Subject};
/// fn forged(subject: Subject, intent: Intent, entry: Entry) -> Permit {
///     Permit { subject, intent }
/// }
/// ```
/// The wall: nobody can write down a recorded intent.
/// ```compile_fail,E0451
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::Recorded;
/// use wbd_model::entry::{Body, Entry, Intent, Subject};
/// fn forged(subject: Subject, intent: Intent, entry: Entry) -> Recorded {
///     Recorded { entry, intent }
/// }
/// ```
/// The wall: nor ask for one.
/// ```compile_fail,E0624
/// use wbd_engine::guard::Permit;
/// use wbd_ledger::Recorded;
/// use wbd_model::entry::{Body, Entry, Intent, Subject};
/// fn forged(subject: Subject, intent: Intent, entry: Entry) -> Recorded {
///     Recorded::new(entry, intent)
/// }
/// ```
#[derive(Debug)]
pub struct NothingIsForged;

//! What is said of products on the control socket: which are here, and which may be forgotten. Looks for none.
use wbd_model::control::{ProductRow, ProductState};
use wbd_model::name::ProfileName;
use wbd_model::observation::{Fact, Value};
use wbd_model::probe::Probe;
use wbd_model::seen::SeenProduct;
use wbd_model::time::utc;

use crate::view::View;

/// One process of a product, as it was seen last.
struct Process {
    role: String,
    words: String,
    runs: Fact,
}

/// Whether an administrator may have this product forgotten.
///
/// # Errors
/// In words, why not, and what to do.
pub(crate) fn may_forget(name: &ProfileName, view: &View<'_>) -> Result<(), String> {
    const LIST: &str = "wbdctl product list shows the products of this host";
    if !view.products.loaded.library.profiles.contains_key(name) {
        return Err(format!("there is no profile {name}; {LIST}"));
    }
    if !view.products.is_known() {
        return Err("the products of this host are still being looked for; try again".to_owned());
    }
    match state(name, view) {
        ProductState::Here => {}
        ProductState::Forgotten => return Err(format!("{name} is forgotten already; {LIST}")),
        ProductState::Unknown => return Err(format!("it cannot be told whether {name} is on this host; {LIST}")),
        ProductState::Absent => return Err(format!("{name} is not on this host; {LIST}")),
    }
    let running = processes(name, view).into_iter().find(|process| process.runs == Fact::Known(Value::from(true)));
    match running {
        Some(process) => Err(format!(
            "{name} runs on this host: {}; stop it first. To keep it running without checks of one failure, see wbdctl waiver add",
            process.words
        )),
        None => Ok(()),
    }
}

/// All products that there is a profile for.
pub(crate) fn rows(view: &View<'_>) -> Vec<ProductRow> {
    let seen = view.products.seen();
    let row = |name: &ProfileName| {
        let product = seen.products.get(name);
        let state = state(name, view);
        let detail = detail(name, state, product, view);
        ProductRow { name: name.clone(), state, since: product.map(|product| product.since_wall_ms), detail }
    };
    view.products.loaded.library.profiles.keys().map(row).collect()
}

fn state(name: &ProfileName, view: &View<'_>) -> ProductState {
    let products = view.products;
    if products.forgotten.iter().any(|(forgotten, _)| forgotten == name) {
        ProductState::Forgotten
    } else if products.is_here(name) {
        ProductState::Here
    } else if !products.is_known() || products.unseen.iter().any(|(unseen, _)| unseen == name) {
        ProductState::Unknown
    } else {
        ProductState::Absent
    }
}

fn detail(name: &ProfileName, state: ProductState, seen: Option<&SeenProduct>, view: &View<'_>) -> Vec<String> {
    let said = |all: &[(ProfileName, String)]| {
        all.iter().filter(|(of, _)| of == name).map(|(_, why)| why.clone()).collect::<Vec<String>>()
    };
    match state {
        ProductState::Here => processes(name, view).iter().map(Process::line).collect(),
        ProductState::Forgotten => {
            let forgotten = seen.and_then(|seen| seen.forgotten.as_ref());
            forgotten.map(|it| format!("by {} at {}", it.who, utc(it.at_wall_ms))).into_iter().collect()
        }
        ProductState::Unknown => said(&view.products.unseen),
        ProductState::Absent => said(&view.products.alike),
    }
}

fn processes(name: &ProfileName, view: &View<'_>) -> Vec<Process> {
    let mut all: Vec<Process> = Vec::new();
    for check in view.checks.all.iter().filter(|check| check.bound.profile.as_ref() == Some(name)) {
        for (observation, probe) in &check.bound.probes {
            let Probe::RoleState(asked) = probe else { continue };
            if all.iter().any(|process| process.role == asked.role) {
                continue;
            }
            let last = check.last.as_ref().and_then(|last| last.seen.get(observation));
            let runs = last.map_or_else(|| Fact::Unknown("not looked at yet".to_owned()), |seen| seen.fact("runs"));
            all.push(Process { role: asked.role.clone(), words: asked.selector.words(), runs });
        }
    }
    all
}

impl Process {
    fn line(&self) -> String {
        let (role, words) = (&self.role, &self.words);
        match &self.runs {
            Fact::Known(Value::Bool(true)) => format!("{role}: {words} runs"),
            Fact::Known(_) => format!("{role}: {words} does not run"),
            Fact::Unknown(why) => format!("{role}: {words}: not known: {why}"),
        }
    }
}

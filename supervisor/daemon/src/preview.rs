//! What the fix of a failing check would change, as the check was seen last: for `doctor --dry-run`. Permits and does nothing.
use wbd_engine::plan;
use wbd_model::check::CheckKey;
use wbd_model::control::Response;

use crate::supervisor::Supervisor;

impl Supervisor {
    /// The first rung that fits what was seen last, and what each of its steps would change.
    pub(crate) fn preview_fix(&self, key: &CheckKey) -> Response {
        let refused = |message: String| Response::Refused { message };
        let Some(check) = self.checks.get(key) else { return refused(format!("nothing here checks {key}")) };
        let Some(last) = &check.last else { return refused(format!("{key} was not looked at yet; try again")) };
        let rung = self.memory.state.open_for(key).map_or(0, |incident| incident.rung);
        let plan = match plan::plan(&check.bound, &last.judgement, &last.seen, rung) {
            Ok(Some(plan)) => plan,
            Ok(None) => return refused(format!("{key} has nothing that wbd could do as it was seen last")),
            Err(reason) => return refused(format!("the plan cannot be made: {reason}")),
        };
        let mut changes = Vec::new();
        for action in &plan.steps {
            match self.hands.preview(action) {
                Ok(preview) => changes.extend(preview.changes),
                Err(error) => return refused(error.to_string()),
            }
        }
        Response::Preview { plan, changes }
    }
}

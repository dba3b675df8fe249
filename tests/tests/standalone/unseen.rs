//! An action of which it cannot be told what it would change is looked at once more before a person is called.

use std::fs;
use std::path::Path;

use crate::toy::{self, CODE};
use crate::trial::Trial;

fn moves(root: &Path, from: &str, to: &str) {
    fs::rename(root.join(from), root.join(to)).expect("our own folder");
}

#[test]
fn a_program_that_comes_back_is_run_and_one_that_stays_away_needs_a_person() {
    let root = toy::root("auto");
    toy::write(root.path(), "match", &toy::playbook("toy", CODE));
    let trial = Trial::on(root);
    moves(trial.root(), "opt/toy", "opt/away");
    toy::breaks(trial.root(), "toy");
    trial.held_by(CODE, "unseen");
    assert_eq!(toy::acts(trial.root()), 0, "{}", trial.summary());
    moves(trial.root(), "opt/away", "opt/toy");
    let told = trial.healed(CODE, 0, &["command.run"]);
    assert!(told.of("escalated").is_empty() && told.of("refused").len() == 1, "{told:#?}");
    assert_eq!(toy::acts(trial.root()), 1);

    moves(trial.root(), "opt/toy", "opt/away");
    toy::breaks(trial.root(), "toy");
    let told = trial.closed(CODE, 1);
    assert_eq!((told.ending(), told.actions().len()), (Some("handed-over"), 0), "{told:#?}");
    told.has_in_order(&["opened", "refused", "escalated", "closed"]);
    assert_eq!((told.of("refused").len(), told.of("escalated").len()), (1, 1), "{told:#?}");
}

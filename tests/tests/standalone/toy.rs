//! A product of the tests' own: two version files that must agree, a program that makes them agree and counts its
//! runs by itself. What is wrong with it or its playbook is for each test to say.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use wbd_tests::deadline::wait_until;

use crate::trial::{self, QUIET, SOON, Trial};

/// The failure of the first product; its twin has `TOY-2`.
pub(crate) const CODE: &str = "TOY-1";

const PROFILE: &str = "\
apiVersion: wbd/v1
kind: Profile
metadata: {name: NAME, source: \"a test\"}
spec:
  present: {any: [{file: /etc/NAME/left}]}
  commands: {fix: {argv: [/opt/NAME/fix], timeout: 5s}}
  version: {NAMEleft: {file: /etc/NAME/left}, NAMEright: {file: /etc/NAME/right}}
";

/// Its playbook: held for a moment, proved for a moment, three attempts an hour.
pub(crate) const PLAYBOOK: &str = "\
apiVersion: wbd/v1
kind: Playbook
metadata: {name: NAME-match, code: CODE, source: \"a test\"}
spec:
  applies: {has: [version.NAMEleft, version.NAMEright, commands.fix]}
  every: 1s
  observe:
    versions: {version.pair: {left: NAMEleft, right: NAMEright}}
  detect:
    for: 500ms
    cases:
      - {id: differ, level: fail, when: \"!versions.same3\"}
  rungs:
    - id: fix
      steps:
        - command.run: {command: fix}
  verify: {pass: \"versions.same3\", within: 1s, hold: 500ms}
  budget: {attempts: 3, per: 1h, backoff: {from: 100ms, to: 200ms}}
  text:
    en:
      differ: {title: \"They differ\", cause: \"{versions.left} is not {versions.right}\", guide: [\"make them agree\"]}
";

/// The playbook as this product has it.
pub(crate) fn playbook(name: &str, code: &str) -> String {
    PLAYBOOK.replace("NAME", name).replace("CODE", code)
}

/// A root where the product is present and well, its playbook not yet; the fix does what `script` says.
pub(crate) fn root(healing: &str) -> TempDir {
    let root = trial::root(healing);
    add(root.path(), "toy", "cp ROOT/etc/toy/right ROOT/etc/toy/left");
    root
}

/// Puts a product there; `script` is what its fix does beside counting.
pub(crate) fn add(root: &Path, name: &str, script: &str) {
    trial::put(root, &format!("usr/lib/wbd/playbooks/{name}/profile.yaml"), &PROFILE.replace("NAME", name));
    for side in ["left", "right"] {
        trial::put(root, &format!("etc/{name}/{side}"), "1.0.0\n");
    }
    fixes_by(root, name, script);
}

/// What its fix does from now on.
pub(crate) fn fixes_by(root: &Path, name: &str, script: &str) {
    let text = format!("#!/bin/sh\necho {name} >>ROOT/did\n{script}\n").replace("ROOT", &root.display().to_string());
    let path = trial::put(root, &format!("opt/{name}/fix.new"), &text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("our own file");
    fs::rename(&path, root.join(format!("opt/{name}/fix"))).expect("our own folder");
}

/// Writes a playbook as the site would.
pub(crate) fn write(root: &Path, name: &str, text: &str) {
    trial::put(root, &format!("etc/wbd/playbooks.d/{name}.yaml"), text);
}

/// The two files differ from now on.
pub(crate) fn breaks(root: &Path, name: &str) {
    trial::put(root, &format!("etc/{name}/left"), "0.9.0\n");
}

/// How often any fix was run, as the fixes themselves say.
pub(crate) fn acts(root: &Path) -> usize {
    fs::read_to_string(root.join("did")).map_or(0, |text| text.lines().count())
}

/// For a while, as [`Trial::stays`], no fix is run beyond these.
#[track_caller]
pub(crate) fn stays_at(trial: &Trial, acts_so_far: usize, what: &str) {
    trial.stays(what, QUIET, || {
        let now = acts(trial.root());
        if now == acts_so_far { Ok(()) } else { Err(format!("{now} acts\n{}", trial.summary())) }
    });
}

/// Waits until the fixes were run so often.
#[track_caller]
pub(crate) fn acted(trial: &Trial, wanted: usize) {
    wait_until(&format!("{wanted} acts"), SOON, || {
        let now = acts(trial.root());
        if now >= wanted { Ok(()) } else { Err(format!("{now}\n{}", trial.summary())) }
    });
    assert_eq!(acts(trial.root()), wanted, "{}", trial.summary());
}

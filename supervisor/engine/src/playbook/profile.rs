//! What a profile must be beyond its types: absolute paths, a program's class, times of the day. Looks for no product.
use std::path::{Component, Path, PathBuf};

use wbd_model::action::Class;
use wbd_model::forbidden::{self, Purpose};
use wbd_model::maintenance::{minute_of_day, window_minutes};
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::{Endpoint, ProcessSelector, ProfileSpec, Sign, VersionSource, names_ourselves};
use wbd_model::unit;

use super::faults::Faults;
use crate::yaml::Node;

/// A few words tell two processes of one program apart.
const MOST_ARGS: usize = 8;
/// A product runs as one user or two.
const MOST_USERS: usize = 8;
/// Each is looked for before every action.
const MOST_INSTALLERS: usize = 8;

/// Every problem of a profile.
pub(super) fn check(source: &Source, node: &Node, spec: &ProfileSpec) -> Vec<Problem> {
    let mut checks = Checks { faults: Faults::new(source), node };
    checks.presence(spec);
    for (name, selector) in &spec.process {
        checks.selector(&["spec", "process", name], selector);
    }
    for selector in &spec.installer {
        checks.selector(&["spec", "installer"], selector);
    }
    if spec.installer.len() > MOST_INSTALLERS {
        checks.add(&["spec", "installer"], &format!("names more than {MOST_INSTALLERS} processes"));
    }
    checks.commands(spec);
    checks.versions(spec);
    for (index, endpoint) in spec.endpoints.iter().enumerate() {
        checks.endpoint(index, endpoint);
    }
    if let Some(leak) = &spec.leak {
        if window_minutes(&leak.window).is_none() {
            checks.add(&["spec", "leak", "window"], "is no window: write HH:MM-HH:MM");
        }
        if leak.fallback.as_deref().is_some_and(|time| minute_of_day(time).is_none()) {
            checks.add(&["spec", "leak", "fallback"], "is no time of the day: write HH:MM");
        }
    }
    if let Some(fault) = spec.unit.as_deref().and_then(unit::name_fault) {
        checks.add(&["spec", "unit"], fault);
    }
    for (name, limit) in &spec.limits {
        if *limit <= 0 {
            checks.add(&["spec", "limits", name], "must be above 0");
        }
    }
    checks.faults.found
}

struct Checks<'a> {
    faults: Faults<'a>,
    node: &'a Node,
}

impl Checks<'_> {
    fn add(&mut self, path: &[&str], message: &str) {
        let what = path.get(1..).unwrap_or_default().join(".");
        self.faults.add(self.node.place_of(path), format!("{what} {message}"));
    }

    fn presence(&mut self, spec: &ProfileSpec) {
        let path = ["spec", "present", "any"];
        if spec.present.any.is_empty() {
            self.add(&path, "is empty: the product would never be found");
        }
        let signs = self.node.get("spec").and_then(|spec| spec.get("present")).and_then(|present| present.get("any"));
        let places: Vec<_> =
            signs.map(|list| list.elements().iter().map(|sign| sign.place).collect()).unwrap_or_default();
        for (sign, place) in spec.present.any.iter().zip(places) {
            match sign {
                Sign::File(path) if !path.is_absolute() => self.faults.add(place, "the path must be absolute"),
                Sign::Process(selector) => {
                    if let Some(fault) = selector_fault(selector) {
                        self.faults.add(place, fault);
                    }
                }
                Sign::Package(name) if name.is_empty() || name.contains(char::is_whitespace) => {
                    self.faults.add(place, "package is no name of a package");
                }
                Sign::File(_) | Sign::Package(_) => {}
            }
        }
    }

    fn selector(&mut self, path: &[&str], selector: &ProcessSelector) {
        if let Some(fault) = selector_fault(selector) {
            self.add(path, &fault);
        }
    }

    fn commands(&mut self, spec: &ProfileSpec) {
        for (name, command) in &spec.commands {
            if !is_program(&command.argv) {
                self.add(&["spec", "commands", name, "argv"], "must begin with an absolute path");
            }
            if names_ourselves(&command.argv) {
                self.add(&["spec", "commands", name, "argv"], "names wbd itself; no playbook may touch it");
            }
            if !(1000..=600_000).contains(&command.timeout.as_ms()) {
                self.add(&["spec", "commands", name, "timeout"], "must be 1s to 10m");
            }
            self.class(name, command.class);
            if let Some((program, arguments)) = command.argv.split_first()
                && let Some(why) = forbidden::why(Purpose::Act, [Path::new(program)], arguments)
            {
                self.add(&["spec", "commands", name, "argv"], &format!("is not run: {why}"));
            }
        }
    }

    fn class(&mut self, name: &str, class: Class) {
        match class {
            // Older files say it; A3 counts, and lint says so.
            Class::A0 | Class::A1 | Class::A2 | Class::A3 => {}
            Class::A4 => {
                let message = "must be A3, or left out: no program of class A4 is run by a playbook";
                self.add(&["spec", "commands", name, "class"], message);
            }
        }
    }

    fn versions(&mut self, spec: &ProfileSpec) {
        for (name, version) in &spec.version {
            let path = ["spec", "version", name.as_str()];
            match version {
                VersionSource::Program(argv) if !is_program(argv) => {
                    self.add(&path, "must begin with an absolute path")
                }
                VersionSource::Program(argv) if names_ourselves(argv) => {
                    self.add(&path, "names wbd itself; no playbook may touch it")
                }
                VersionSource::File(file) if !file.is_absolute() => self.add(&path, "must be an absolute path"),
                VersionSource::Package(text) | VersionSource::Setting(text) if text.is_empty() => {
                    self.add(&path, "is empty")
                }
                VersionSource::Health {} if !spec.health => self.add(&path, "needs health: true"),
                VersionSource::Program(_)
                | VersionSource::File(_)
                | VersionSource::Package(_)
                | VersionSource::Setting(_)
                | VersionSource::Health {} => {}
            }
        }
    }

    fn endpoint(&mut self, index: usize, endpoint: &Endpoint) {
        let list = self.node.get("spec").and_then(|spec| spec.get("endpoints"));
        let Some(node) = list.and_then(|list| list.elements().get(index)) else { return };
        let host = &endpoint.host;
        let is_host =
            (1..=120).contains(&host.len()) && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:".contains(c));
        if !is_host {
            self.faults.add(node.place_of(&["host"]), "host must be a host name or an address");
        }
        if endpoint.ports.is_empty() || endpoint.ports.len() > 8 || endpoint.ports.contains(&0) {
            self.faults.add(node.place_of(&["ports"]), "ports must be 1 to 8 numbers above 0");
        }
        if endpoint.alternate.is_some() {
            self.faults.add(
                node.place_of(&["alternate"]),
                "alternate is set by wbd itself: mark both sides with when: public, private",
            );
        }
    }
}

fn selector_fault(selector: &ProcessSelector) -> Option<String> {
    if selector.is_empty() {
        return Some("selects nothing: give comm, program, folder, unit or health".to_owned());
    }
    if selector.comm.as_ref().is_some_and(|comm| comm.is_empty() || comm.len() > 15) {
        return Some("comm must be 1 to 15 bytes: the kernel keeps no more".to_owned());
    }
    let is_plain = |exe: &PathBuf| exe.is_absolute() && !exe.components().any(|part| part == Component::ParentDir);
    if selector.exe.as_ref().is_some_and(|exe| !is_plain(exe)) {
        return Some("program must be an absolute path without ..".to_owned());
    }
    if selector.folder.as_ref().is_some_and(|folder| !is_plain(folder) || *folder == Path::new("/")) {
        return Some("folder must be an absolute path without .., and not /".to_owned());
    }
    if selector.exe.is_some() && selector.folder.is_some() {
        return Some("program and folder say the same twice: leave one out".to_owned());
    }
    if !selector.args.is_empty() && !selector.is_qualified() {
        return Some("args alone select nothing, since anybody can give them: add program, folder or unit".to_owned());
    }
    if selector.args.len() > MOST_ARGS || selector.args.iter().any(String::is_empty) {
        return Some(format!("args must be a list of at most {MOST_ARGS} words"));
    }
    if let Some(fault) = selector.unit.as_deref().and_then(unit::name_fault) {
        return Some(format!("unit {fault}"));
    }
    let is_name = |name: &String| (1..=32).contains(&name.len()) && !name.contains([':', '/', ' ', '\n']);
    if selector.user.len() > MOST_USERS || !selector.user.iter().all(is_name) {
        return Some(format!("user must be a list of at most {MOST_USERS} names of users"));
    }
    None
}

/// No shell, no search path: the first word says exactly which file is run.
pub(crate) fn is_program(argv: &[String]) -> bool {
    argv.first().is_some_and(|program| Path::new(program).is_absolute()) && argv.len() <= 32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said_of(argv: &str) -> Vec<String> {
        let text = format!(
            "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: p}}\nspec:\n  present: {{any: [{{file: /p}}]}}\n  \
             commands:\n    fix: {{argv: {argv}, timeout: 5s}}\n"
        );
        let (library, problems) = super::super::load(&[Source { path: "p.yaml".to_owned(), text }]);
        assert_eq!(library.profiles.is_empty(), !problems.is_empty());
        problems.iter().map(Problem::brief).collect()
    }

    #[test]
    fn a_program_that_no_playbook_runs_is_a_load_error_with_its_place_and_what_to_do() {
        for (argv, words) in [
            ("[/bin/sh, -c, reboot]", "sh is a shell: name the script itself"),
            ("[/usr/bin/python3, -c, x]", "put it into a script of root's"),
            ("[/usr/bin/sudo, /opt/p]", "sudo runs another program"),
            ("[/sbin/reboot]", "reboot stops or restarts the machine: no action of this release does that"),
            ("[/usr/bin/systemctl, restart, p]", "the action for it is unit.restart"),
            ("[/usr/bin/apt-get, -y, remove, p]", "apt-get changes packages"),
            ("[/usr/sbin/nft, flush, ruleset]", "nft changes the packet filter"),
            ("[/bin/mount, /mnt]", "mount changes what is mounted"),
        ] {
            let said = said_of(argv);
            assert!(said.len() == 1 && said[0].contains(words), "{argv}: {said:#?}");
            assert!(said[0].starts_with("p.yaml:7:17: commands.fix.argv is not run: "), "{said:#?}");
        }
        for argv in ["[/etc/iscan/S99ISftp, restart]", "[/usr/bin/python3, /opt/p.py, -c]", "[/opt/p/shutdown]"] {
            assert_eq!(said_of(argv), Vec::<String>::new(), "{argv}");
        }
    }
}

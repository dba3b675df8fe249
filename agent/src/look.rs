//! One look at what the agent needs around it: servers, access log, folders; it may take long, so it runs beside the event loop.

use crate::off_limits;
use crate::path_check::check_folder;
use crate::problems::Problem;
use crate::settings::Settings;
use crate::was::{Known, check_access_log, find_was, serves};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use wbd_agent_api::{BytesPath, Code, Language, Target, WasKind, WasReport, WasRequirement};

/// What one look found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) was: WasReport,
    /// What would refuse an activation, in the order of the codes: 5401, 5402, 5403, 5405.
    pub(crate) problems: Vec<Problem>,
}

/// Where the agent stands.
#[derive(Debug, Clone)]
pub(crate) struct Around {
    /// Its own files are below it.
    pub(crate) root: PathBuf,
    /// The machine's `/proc`.
    pub(crate) proc: PathBuf,
}

/// Looks at everything that the settings name; `known` is what the look before left.
pub(crate) fn look(settings: &Settings, around: &Around, known: &mut Known) -> Look {
    let proc_root = around.proc.as_path();
    let languages: BTreeSet<Language> = settings.targets.iter().map(|target| target.language).collect();
    let was = find_was(proc_root, &languages, known);
    let mut problems: Vec<Problem> = was.required.iter().filter_map(|required| wrong_count(&was, required)).collect();
    if languages.contains(&Language::Jsp) {
        problems.extend(unreadable_logs(settings, &was, proc_root));
    }
    for target in &settings.targets {
        problems.extend(folder_problems(target, &around.root, Code::PATH_UNREADABLE));
    }
    problems.sort_by_key(|problem| problem.code);
    Look { was, problems }
}

/// What is wrong with the target's folders, told under `code`: 5002 at registration, 5405 later.
pub(crate) fn folder_problems(target: &Target, root: &Path, code: Code) -> Vec<Problem> {
    let upload = target.upload_path.iter().map(|path| ("upload path", path));
    std::iter::once(("web root", &target.web_root))
        .chain(upload)
        .filter_map(|(what, path): (&str, &BytesPath)| {
            let fault = match check_folder(path.as_path()) {
                Ok(()) => off_limits::reason(path.as_path(), root)?,
                Err(fault) => fault.to_string(),
            };
            let detail = format!("{what} {path} of target {} cannot be used: {fault}", target.id);
            Some(Problem::new(code, format!("{} {what}", target.id), detail))
        })
        .collect()
}

fn wrong_count(was: &WasReport, required: &WasRequirement) -> Option<Problem> {
    let language = required.language;
    let servers = match language {
        Language::Php => "apache or nginx",
        Language::Jsp => "tomcat",
    };
    if required.running > required.allowed {
        let detail = format!(
            "{} servers run for {language}, exactly {} {servers} is allowed: {}; stop those that do not belong to the target",
            required.running,
            required.allowed,
            listed(was, language)
        );
        return Some(Problem::new(Code::WAS_TOO_MANY, language.to_string(), detail));
    }
    if required.running == required.allowed {
        return None;
    }
    let mut detail = format!("no {servers} is running, which {language} needs; start it, or deactivate the agent");
    if !was.unsupported.is_empty() {
        detail.push_str(&format!(" (running, but not supported: {})", was.unsupported.join(", ")));
    }
    if !was.others.is_empty() {
        detail.push_str(&format!(" (not counted: {})", was.others.join("; ")));
    }
    if was.unreadable > 0 {
        detail.push_str(&format!(" ({} processes could not be looked at)", was.unreadable));
    }
    Some(Problem::new(Code::WAS_NOT_FOUND, language.to_string(), detail))
}

/// Those that are counted, so that nobody stops what belongs to one of them.
fn listed(was: &WasReport, language: Language) -> String {
    let counted = was.found.iter().filter(|found| serves(found.kind) == Some(language));
    let names = counted.take(8).map(|found| format!("{} pid {}", found.exe, found.pid));
    names.collect::<Vec<_>>().join(", ")
}

/// Without a tomcat there is no log to look for, and 5401 says so already.
fn unreadable_logs(settings: &Settings, was: &WasReport, proc_root: &Path) -> Vec<Problem> {
    was.found
        .iter()
        .filter(|found| found.kind == WasKind::Tomcat)
        .filter_map(|found| {
            let fault = check_access_log(proc_root, found.pid, settings.access_log.as_ref()).err()?;
            Some(Problem::new(Code::ACCESS_LOG, found.pid.to_string(), fault))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::was::made_up::MadeUpProc;
    use std::fs;
    use wbd_agent_api::TargetId;

    fn settings(web_root: &Path, language: Language) -> Settings {
        let id = TargetId::try_from("shop".to_string()).unwrap();
        let target = Target { id, web_root: BytesPath::from(web_root), upload_path: None, language };
        Settings { targets: vec![target], ..Settings::default() }
    }

    /// As the first look sees it.
    fn seen(settings: &Settings, proc: &Path) -> Look {
        let around = Around { root: PathBuf::from("/"), proc: proc.to_path_buf() };
        look(settings, &around, &mut Known::default())
    }

    fn codes(look: &Look) -> Vec<Code> {
        look.problems.iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn each_want_has_its_code() {
        let proc = MadeUpProc::new();
        let site = tempfile::tempdir().unwrap();
        let php = settings(site.path(), Language::Php);
        assert_eq!(codes(&seen(&php, &proc.root())), [Code::WAS_NOT_FOUND]);
        proc.add(10, 1, "/home/u/nginx", &["nginx: master process"]).nest(10);
        let other = seen(&php, &proc.root());
        assert!(other.problems[0].detail.contains("(not counted: nginx (pid 10) runs in another"), "{other:?}");
        proc.add(20, 1, "/usr/sbin/nginx", &["nginx: master process"]);
        assert_eq!(codes(&seen(&php, &proc.root())), []);
        proc.add(21, 1, "/usr/sbin/apache2", &["apache2", "-k", "start"]);
        let both = seen(&php, &proc.root());
        assert_eq!(codes(&both), [Code::WAS_TOO_MANY]);
        assert!(both.problems[0].detail.contains("nginx pid 20") && both.problems[0].detail.contains("apache2 pid 21"));
        // A pool behind one of them is no third server, and nobody is told to stop it.
        proc.add(22, 1, "/usr/sbin/php-fpm8.2", &["php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"]);
        let pool = seen(&php, &proc.root());
        assert_eq!(pool.was.found.len(), 3, "it is found all the same: {pool:?}");
        assert_eq!(pool.problems[0].detail, both.problems[0].detail);
        let gone = settings(&site.path().join("gone"), Language::Php);
        assert_eq!(codes(&seen(&gone, &proc.root())), [Code::WAS_TOO_MANY, Code::PATH_UNREADABLE]);
    }

    #[test]
    fn a_jsp_site_needs_its_access_log_and_a_php_site_does_not() {
        let proc = MadeUpProc::new();
        let site = tempfile::tempdir().unwrap();
        let jsp = settings(site.path(), Language::Jsp);
        assert_eq!(codes(&seen(&jsp, &proc.root())), [Code::WAS_NOT_FOUND]);
        proc.add(10, 1, "/usr/bin/java", &["java", "org.apache.catalina.startup.Bootstrap", "start"]);
        fs::create_dir(proc.root().join("10/fd")).unwrap();
        assert_eq!(codes(&seen(&jsp, &proc.root())), [Code::ACCESS_LOG]);
        let log = site.path().join("localhost_access_log.txt");
        fs::write(&log, "").unwrap();
        std::os::unix::fs::symlink(&log, proc.root().join("10/fd/5")).unwrap();
        assert_eq!(codes(&seen(&jsp, &proc.root())), []);
    }

    #[test]
    fn an_unsupported_server_is_named_as_such() {
        let proc = MadeUpProc::new();
        proc.add(10, 1, "/usr/sbin/lighttpd", &["lighttpd"]);
        let found = seen(&settings(Path::new("/srv"), Language::Php), &proc.root());
        assert!(found.problems[0].detail.contains("not supported: lighttpd"));
    }
}

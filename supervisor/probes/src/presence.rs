//! Whether a product is on this host: by the signs that its profile names, or since it was seen here and its files are
//! left. It says nothing of how the product is.
use std::time::Duration;

use wbd_model::profile::{Profile, ProfileSpec, Sign};
use wbd_model::seen::{Forgotten, SeenProduct};

use crate::packages;
use crate::procs;
use crate::program_file::is_there;
use crate::runner::{Pending, ProbeContext, ProbeRunner};
use crate::under::under;

/// Whether a product is there is asked before anything else, so one dead mount must not hold up the rest for long.
const PRESENCE: Duration = Duration::from_secs(3);

/// Whether a product is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// One of its signs is there, or it was seen here and its files are left.
    Yes,
    /// It is here, does not run, and an administrator said that it is not to be checked.
    Forgotten(Forgotten),
    /// Nothing of it is there; what has the name of one of its signs and does not count, in words.
    No(Vec<String>),
    /// Nothing of it was seen, and not everything could be looked for; the reason, for people.
    Unknown(String),
}

impl ProbeRunner {
    /// Whether the product of this profile is on the host.
    #[must_use]
    pub fn present(&self, profile: &Profile) -> Presence {
        self.present_each([profile]).pop().unwrap_or_else(|| Presence::Unknown("it was not looked for".to_owned()))
    }

    /// The same for several profiles side by side, in their order: one that is on a dead mount costs the others no
    /// time. Answers within three seconds.
    #[must_use]
    pub fn present_each<'a>(&self, profiles: impl IntoIterator<Item = &'a Profile>) -> Vec<Presence> {
        let deadline = self.deadline.min(PRESENCE);
        let products = self.memo.products();
        let begin = |profile: &Profile| {
            let (spec, before) = (profile.spec.clone(), products.seen.products.get(&profile.name).cloned());
            let unread = products.unread.clone();
            let question = format!("{} {:?}", profile.name, spec.present.any);
            self.begin(&question, deadline, move |context| look(context, &spec, before.as_ref(), unread))
        };
        // All are begun before the first is waited for.
        let begun: Vec<_> = profiles.into_iter().map(begin).collect();
        let answer = |begun: Result<Pending<Presence>, String>| begun.and_then(Pending::answer);
        begun.into_iter().map(|begun| answer(begun).unwrap_or_else(Presence::Unknown)).collect()
    }
}

/// `before`: what was seen of it earlier; `unread`: why that is not known.
fn look(context: &ProbeContext, spec: &ProfileSpec, before: Option<&SeenProduct>, unread: Option<String>) -> Presence {
    let signs = any_sign(context, &spec.present.any);
    let Some(before) = before else {
        return match (signs, unread) {
            (Presence::No(_), Some(why)) => Presence::Unknown(why),
            (signs, _) => signs,
        };
    };
    let is_here = match &signs {
        Presence::No(_) => match is_left(context, before) {
            Ok(true) => Ok(()),
            Ok(false) => Err(signs),
            Err(reason) => Err(Presence::Unknown(reason)),
        },
        Presence::Yes => Ok(()),
        Presence::Forgotten(_) | Presence::Unknown(_) => Err(signs),
    };
    match (is_here, &before.forgotten) {
        (Ok(()), None) => Presence::Yes,
        (Ok(()), Some(forgotten)) if !runs(context, spec) => Presence::Forgotten(forgotten.clone()),
        (Ok(()), Some(_)) => Presence::Yes,
        (Err(other), _) => other,
    }
}

/// A program that it was seen to run is left.
fn is_left(context: &ProbeContext, before: &SeenProduct) -> Result<bool, String> {
    let mut unseen = None;
    for program in before.roles.values().filter_map(|role| role.program.as_ref()) {
        match is_there(&under(context.root(), program)) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(reason) => unseen = Some(reason),
        }
    }
    unseen.map_or(Ok(false), Err)
}

/// Any of its processes surely runs.
fn runs(context: &ProbeContext, spec: &ProfileSpec) -> bool {
    let signs = spec.present.any.iter().filter_map(|sign| match sign {
        Sign::Process(selector) => Some(selector),
        Sign::File(_) | Sign::Package(_) => None,
    });
    let mut selectors = spec.process.values().chain(signs);
    selectors.any(|selector| procs::choose_lately(context, selector).is_ok_and(|chosen| !chosen.live.is_empty()))
}

fn any_sign(context: &ProbeContext, signs: &[Sign]) -> Presence {
    let (mut unseen, mut others) = (None, Vec::new());
    for sign in signs {
        match one_sign(context, sign, &mut others) {
            Ok(true) => return Presence::Yes,
            Ok(false) => {}
            Err(reason) => unseen = Some(reason),
        }
    }
    unseen.map_or(Presence::No(others), Presence::Unknown)
}

fn one_sign(context: &ProbeContext, sign: &Sign, others: &mut Vec<String>) -> Result<bool, String> {
    match sign {
        Sign::File(path) => is_there(&under(context.root(), path)),
        Sign::Process(selector) => {
            let chosen = procs::choose_lately(context, selector)?;
            others.extend(Some(chosen.others.words()).filter(|words| !words.is_empty()));
            Ok(!chosen.live.is_empty())
        }
        Sign::Package(name) => packages::is_installed(context, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;
    use wbd_model::name::ProfileName;
    use wbd_model::seen::SeenProducts;
    use wbd_model::time::BootId;

    fn profile(spec: ProfileSpec) -> Profile {
        Profile { name: ProfileName::new("p").unwrap(), spec }
    }

    /// A host on which a product was seen to run this program, and a process of it, if it runs.
    fn seen_before(spec: &str, program: &str) -> (Host, ProbeRunner, Profile) {
        let host = Host::new();
        host.process(1, "init").write();
        let (runner, profile) = (host.runner(), profile(serde_json::from_str(spec).unwrap()));
        let seen = serde_json::json!({"products": {"p": {
            "since_wall_ms": 1, "roles": {"main": {"program": program, "unit": null, "boot": "b"}}
        }}});
        runner.remember_products(Ok(serde_json::from_value(seen).unwrap()), &BootId("b".into()));
        (host, runner, profile)
    }

    const BY_PROCESS: &str = r#"{"present":{"any":[{"process":{"comm":"p"}}]},"process":{"main":{"comm":"p"}}}"#;

    #[test]
    fn a_product_that_was_seen_stays_while_its_program_is_left() {
        let (host, runner, profile) = seen_before(BY_PROCESS, "/opt/p");
        assert_eq!(runner.present(&profile), Presence::No(vec![]), "its files are gone");
        host.file("opt/p", "");
        assert_eq!(runner.present(&profile), Presence::Yes);
        // Twin: one that was never seen here is not here, whatever lies there.
        assert_eq!(host.runner().present(&profile), Presence::No(vec![]));
    }

    #[test]
    fn files_that_cannot_be_looked_for_are_not_gone() {
        let (host, runner, profile) = seen_before(BY_PROCESS, "/opt/loop");
        host.link("opt/loop", "loop");
        assert!(matches!(runner.present(&profile), Presence::Unknown(why) if why.contains("opt/loop")));
    }

    #[test]
    fn a_product_that_was_forgotten_is_said_to_be_until_it_runs_again() {
        let (host, runner, profile) = seen_before(BY_PROCESS, "/opt/p");
        let forgotten = Forgotten { who: "root".into(), at_wall_ms: 5 };
        runner.change_products(|seen| {
            seen.products.get_mut(&profile.name).unwrap().forgotten = Some(forgotten.clone());
        });
        host.file("opt/p", "");
        assert_eq!(runner.present(&profile), Presence::Forgotten(forgotten));
        host.process(7, "p").write();
        crate::testing::deadline_passes("it runs again", || runner.present(&profile) == Presence::Yes);
    }

    #[test]
    fn a_package_is_a_sign_too_and_one_that_was_removed_is_none() {
        let host = Host::new();
        let by = |status: &str| {
            host.file("var/lib/dpkg/status", &format!("Package: p\nStatus: {status}\nVersion: 1\n"));
            host.runner().present(&profile(serde_json::from_str(r#"{"present":{"any":[{"package":"p"}]}}"#).unwrap()))
        };
        assert_eq!(by("install ok installed"), Presence::Yes);
        assert_eq!(by("deinstall ok config-files"), Presence::No(vec![]));
    }

    #[test]
    fn what_was_seen_earlier_and_cannot_be_read_makes_an_absent_product_unknown() {
        let host = Host::new();
        host.process(1, "init").write();
        let runner = host.runner();
        runner.remember_products(Err("cannot read it".into()), &BootId("b".into()));
        let of = |file: &str| {
            let spec = serde_json::json!({"present": {"any": [{"file": file}]}});
            runner.present(&profile(serde_json::from_value(spec).unwrap()))
        };
        assert_eq!(of("/none"), Presence::Unknown("cannot read it".into()));
        host.file("etc/there", "");
        assert_eq!(of("/etc/there"), Presence::Yes);
        assert_eq!(runner.seen_products(), None);
        runner.remember_products(Ok(SeenProducts::default()), &BootId("b".into()));
        assert_eq!(of("/none"), Presence::No(vec![]));
    }

    #[test]
    fn a_product_is_present_by_any_sign_and_unknown_is_not_absent() {
        let host = Host::new();
        host.file("etc/iscan/S99ISftp", "");
        host.process(1, "init").write();
        host.process(7, "isftpd").write();
        let mut theirs = host.process(8, "theirs");
        theirs.pid_namespace = "pid:[2]";
        theirs.write();
        let runner = host.runner();
        let by = |text: &str| -> Presence {
            runner.present(&profile(serde_json::from_str(&format!("{{\"present\":{text}}}")).unwrap()))
        };
        assert_eq!(by(r#"{"any":[{"file":"/nope"},{"file":"/etc/iscan/S99ISftp"}]}"#), Presence::Yes);
        assert_eq!(by(r#"{"any":[{"process":{"comm":"isftpd"}}]}"#), Presence::Yes);
        assert_eq!(by(r#"{"any":[{"file":"/nope"},{"process":{"comm":"none"}}]}"#), Presence::No(vec![]));
        assert_eq!(by(r#"{"any":[]}"#), Presence::No(vec![]));
        assert!(matches!(by(r#"{"any":[{"process":{}}]}"#), Presence::Unknown(_)));
        let Presence::No(others) = by(r#"{"any":[{"process":{"comm":"theirs"}}]}"#) else { panic!("it is another's") };
        assert!(others.len() == 1 && others[0].contains("theirs (pid 8) runs in another pid namespace"), "{others:?}");
    }

    #[test]
    fn a_file_that_cannot_be_looked_for_is_unknown_unless_another_sign_is_there() {
        let host = Host::new();
        host.file("etc/there", "");
        host.link("etc/loop", "loop");
        let by = |files: &[&str]| {
            let any: Vec<_> = files.iter().map(|file| serde_json::json!({ "file": file })).collect();
            let spec = serde_json::json!({"present": {"any": any}});
            host.runner().present(&profile(serde_json::from_value(spec).unwrap()))
        };
        assert!(matches!(by(&["/etc/loop", "/etc/none"]), Presence::Unknown(why) if why.contains("etc/loop")));
        assert_eq!(by(&["/etc/loop", "/etc/there"]), Presence::Yes);
        // A file in the way of a folder is as good as no folder.
        assert_eq!(by(&["/etc/none", "/etc/there/deeper"]), Presence::No(vec![]));
    }

    #[test]
    fn several_products_are_answered_in_their_order() {
        let host = Host::new();
        host.file("etc/second", "");
        let spec =
            |file: &str| serde_json::from_value(serde_json::json!({"present": {"any": [{ "file": file }]}})).unwrap();
        let profiles = ["/etc/first", "/etc/second", "/etc/third"].map(|file| profile(spec(file)));
        let seen = host.runner().present_each(&profiles);
        assert_eq!(seen, [Presence::No(vec![]), Presence::Yes, Presence::No(vec![])]);
    }
}

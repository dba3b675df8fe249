//! Whether a product is on this host, by the signs that its profile names. It says nothing of how the product is.
use std::fs;
use std::time::Duration;

use wbd_model::profile::{ProfileSpec, Sign};

use crate::procs;
use crate::runner::{Pending, ProbeContext, ProbeRunner};
use crate::under::{absent, under, why};

/// Whether a product is there is asked before anything else, so one dead mount must not hold up the rest for long.
const PRESENCE: Duration = Duration::from_secs(3);

/// Whether a product is on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// One of its signs is there.
    Yes,
    /// None of its signs is there; what has the name of one and does not count, in words.
    No(Vec<String>),
    /// No sign was seen, and not every one could be looked for; the reason, for people.
    Unknown(String),
}

impl ProbeRunner {
    /// Whether the product of this profile is on the host.
    #[must_use]
    pub fn present(&self, profile: &ProfileSpec) -> Presence {
        self.present_each(&[profile]).pop().unwrap_or_else(|| Presence::Unknown("it was not looked for".to_owned()))
    }

    /// The same for several profiles side by side, in their order: one that is on a dead mount costs the others no
    /// time. Answers within three seconds.
    #[must_use]
    pub fn present_each(&self, profiles: &[&ProfileSpec]) -> Vec<Presence> {
        let deadline = self.deadline.min(PRESENCE);
        let begin = |profile: &&ProfileSpec| {
            let signs = profile.present.any.clone();
            self.begin(&format!("{signs:?}"), deadline, move |context| any_sign(context, &signs))
        };
        // All are begun before the first is waited for.
        let begun: Vec<_> = profiles.iter().map(begin).collect();
        let answer = |begun: Result<Pending<Presence>, String>| begun.and_then(Pending::answer);
        begun.into_iter().map(|begun| answer(begun).unwrap_or_else(Presence::Unknown)).collect()
    }
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
        Sign::File(path) => {
            let path = under(context.root(), path);
            match fs::metadata(&path) {
                Ok(_) => Ok(true),
                Err(error) if absent(&error) => Ok(false),
                Err(error) => Err(why("look for", &path, &error)),
            }
        }
        Sign::Process(selector) => {
            let chosen = procs::choose_lately(context, selector)?;
            others.extend(Some(chosen.others.words()).filter(|words| !words.is_empty()));
            Ok(!chosen.live.is_empty())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Host;

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
            runner.present(&serde_json::from_str(&format!("{{\"present\":{text}}}")).unwrap())
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
            let profile = serde_json::json!({"present": {"any": any}});
            host.runner().present(&serde_json::from_value(profile).unwrap())
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
        let profile =
            |file: &str| serde_json::from_value(serde_json::json!({"present": {"any": [{ "file": file }]}})).unwrap();
        let profiles = ["/etc/first", "/etc/second", "/etc/third"].map(profile);
        let seen = host.runner().present_each(&profiles.each_ref());
        assert_eq!(seen, [Presence::No(vec![]), Presence::Yes, Presence::No(vec![])]);
    }
}

//! Names in profiles, playbooks and settings that lead to nothing, each with what may have been meant. What they stand
//! in loads all the same; finds no other problem.
use std::collections::BTreeSet;
use std::sync::Arc;

use wbd_model::name::{PlaybookName, ProfileName};
use wbd_model::problem::{Problem, Source};
use wbd_model::profile::{Profile, ProfileSpec, VersionSource};
use wbd_model::settings::Settings;
use wbd_model::suggest;

use super::compiled::Requirement;
use super::faults::Faults;
use super::library::Library;
use crate::yaml::{Node, Place, documents};

/// Names of `codes` that are no playbook, no case of one and no code that a playbook has of its own.
pub(super) fn of_profile(faults: &mut Faults<'_>, tree: &Node, library: &Library) {
    let codes = tree.get("spec").and_then(|spec| spec.get("codes")).map(Node::entries).unwrap_or_default();
    let is_code = |text: &str| library.playbooks.values().any(|playbook| playbook.code.as_str() == text);
    for (key, _) in codes.iter().filter(|(key, _)| !is_code(&key.text)) {
        let (name, case) =
            key.text.split_once('/').map_or((key.text.as_str(), None), |(name, case)| (name, Some(case)));
        if let Some((message, hint)) = unknown_playbook("codes", name, case, library) {
            faults.add_with_hint(key.place, message, hint);
        }
    }
}

/// Names of `applies` that are no profile or that no profile has, and of `explains` that no playbook has.
pub(super) fn of_playbook(faults: &mut Faults<'_>, tree: &Node, library: &Library) {
    let spec = tree.get("spec");
    let applies = spec.and_then(|spec| spec.get("applies"));
    let meant = profiles_meant(faults, applies, library);
    let has = applies.and_then(|applies| applies.get("has"));
    for node in has.map(Node::elements).unwrap_or_default() {
        let Some(text) = node.text() else { continue };
        let Some(requirement) = Requirement::parse(text) else { continue };
        let mut profiles = meant.iter();
        if meant.is_empty() || profiles.any(|profile| requirement.is_met(&profile.spec)) {
            continue;
        }
        let known: BTreeSet<String> = meant.iter().flat_map(|profile| had(&profile.spec)).collect();
        let near = suggest::nearest(text, known.iter().map(String::as_str));
        let hint = near.map_or_else(|| format!("give the profile {text}"), |near| format!("did you mean {near:?}?"));
        faults.add_with_hint(
            node.place,
            format!("no profile has {text:?}: the playbook applies to nothing"),
            Some(hint),
        );
    }
    let explains = spec.and_then(|spec| spec.get("explains")).map(Node::elements).unwrap_or_default();
    for node in explains {
        let Some(text) = node.text() else { continue };
        let (name, case) = text.split_once('/').map_or((text, None), |(name, case)| (name, Some(case)));
        if let Some((message, hint)) = unknown_playbook("explains", name, case, library) {
            faults.add_with_hint(node.place, message, hint);
        }
    }
}

/// The profiles that `applies.profile` names, all where it names none; and each name that is no profile.
fn profiles_meant<'a>(faults: &mut Faults<'_>, applies: Option<&Node>, library: &'a Library) -> Vec<&'a Arc<Profile>> {
    let Some(node) = applies.and_then(|applies| applies.get("profile")) else {
        return library.profiles.values().collect();
    };
    let mut meant = Vec::new();
    for name in node.text().map_or_else(|| node.elements(), |_| std::slice::from_ref(node)) {
        let text = name.text().unwrap_or_default();
        match library.profiles.values().find(|profile| profile.name.as_str() == text) {
            Some(profile) => meant.push(profile),
            None => {
                let hint = match suggest::nearest(text, library.profiles.keys().map(ProfileName::as_str)) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("write a profile {text}, or leave profile out"),
                };
                faults.add_with_hint(
                    name.place,
                    format!("there is no profile {text:?}: the playbook does not apply to it"),
                    Some(hint),
                );
            }
        }
    }
    meant
}

/// Names of settings that lead to nothing: playbooks, products, and facts that no profile asks for.
#[must_use]
pub(super) fn of_settings(source: &Source, settings: &Settings, library: &Library) -> Vec<Problem> {
    let (trees, _) = documents(source);
    let Some(tree) = trees.first() else { return Vec::new() };
    let mut faults = Faults::new(source);
    for name in settings.playbooks.keys() {
        if let Some((message, hint)) = unknown_playbook("playbooks", name, None, library) {
            faults.add_with_hint(place(tree, "playbooks", name), message, hint);
        }
    }
    let known = library.profiles.keys().map(ProfileName::as_str);
    for name in settings.products.keys().filter(|name| !known.clone().any(|known| known == name.as_str())) {
        let near = suggest::nearest(name, known.clone());
        let hint = near
            .map_or_else(|| "write its profile, or leave it out".to_owned(), |near| format!("did you mean {near:?}?"));
        let message = format!("products names the product {name:?}, and no profile has that name");
        faults.add_with_hint(place(tree, "products", name), message, Some(hint));
    }
    let asked: BTreeSet<&str> = library
        .profiles
        .values()
        .flat_map(|profile| profile.spec.version.values())
        .filter_map(|version| match version {
            VersionSource::Setting(name) => Some(name.as_str()),
            VersionSource::Health {}
            | VersionSource::Package(_)
            | VersionSource::File(_)
            | VersionSource::Program(_) => None,
        })
        .collect();
    for name in settings.facts.keys().filter(|name| !asked.contains(name.as_str())) {
        let hint = suggest::hint(name, asked.iter().copied());
        faults.add_with_hint(place(tree, "facts", name), format!("no profile asks for the fact {name:?}"), hint);
    }
    faults.found
}

fn place(tree: &Node, key: &str, name: &str) -> Place {
    let entries = tree.get(key).map(Node::entries).unwrap_or_default();
    entries.iter().find(|(key, _)| key.text == name).map(|(key, _)| key.place).unwrap_or_default()
}

/// What is said of the name of a playbook, or of a case, that there is not.
fn unknown_playbook(of: &str, name: &str, case: Option<&str>, library: &Library) -> Option<(String, Option<String>)> {
    let Some(playbook) = library.playbooks.values().find(|playbook| playbook.name.as_str() == name) else {
        let known = library.playbooks.keys().map(PlaybookName::as_str);
        let hint = match suggest::nearest(name, known) {
            Some(near) => {
                let whole = case.map_or_else(|| near.to_owned(), |case| format!("{near}/{case}"));
                format!("did you mean {whole:?}?")
            }
            None => "see wbdctl playbook list".to_owned(),
        };
        return Some((format!("{of} names the playbook {name:?}, and there is none"), Some(hint)));
    };
    let case = case.filter(|case| playbook.case(case).is_none())?;
    let known: Vec<&str> = playbook.cases.iter().map(|case| case.id.as_str()).collect();
    let hint = match suggest::nearest(case, known.iter().copied()) {
        Some(near) => format!("did you mean \"{name}/{near}\"?"),
        None => format!("its cases: {}", known.join(", ")),
    };
    Some((format!("{of} names the case {case:?} of {name}, and there is none"), Some(hint)))
}

/// All that a profile has, in the words of `applies.has`.
fn had(spec: &ProfileSpec) -> Vec<String> {
    let fixed = Requirement::KNOWN
        .iter()
        .filter(|word| !word.contains('.'))
        .filter(|word| Requirement::parse(word).is_some_and(|requirement| requirement.is_met(spec)));
    let mut all: Vec<String> = fixed.map(|word| (*word).to_owned()).collect();
    all.extend(spec.process.keys().map(|name| format!("process.{name}")));
    all.extend(spec.commands.keys().map(|name| format!("commands.{name}")));
    all.extend(spec.version.keys().map(|name| format!("version.{name}")));
    all.extend(spec.limits.keys().map(|name| format!("limits.{name}")));
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::shipped_sources;
    use super::super::{advice, load, settings};
    use super::*;

    fn advised(name: &str, text: &str) -> Vec<String> {
        let own = Source { path: name.to_owned(), text: text.to_owned() };
        let mut all = shipped_sources();
        all.push(own.clone());
        let (library, problems) = load(&all);
        assert_eq!(problems, [], "it loads all the same");
        advice(&[own], &library).iter().map(Problem::brief).collect()
    }

    fn profile(codes: &str) -> Vec<String> {
        advised(
            "p.yaml",
            &format!(
                "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: p}}\nspec:\n  present: {{any: [{{file: /p}}]}}\n  codes: {codes}\n"
            ),
        )
    }

    #[test]
    fn a_code_for_a_playbook_that_there_is_not_is_told_and_one_for_a_real_one_is_not() {
        assert_eq!(
            profile("{fd-leek: P-1}"),
            ["p.yaml:6:11: codes names the playbook \"fd-leek\", and there is none (did you mean \"fd-leak\"?)"]
        );
        assert_eq!(
            profile("{endpoint/nmae: P-1}"),
            [
                "p.yaml:6:11: codes names the case \"nmae\" of endpoint, and there is none (did you mean \"endpoint/name\"?)"
            ]
        );
        assert!(profile("{something-else: P-1}")[0].contains("(see wbdctl playbook list)"));
        assert_eq!(profile("{fd-leak: P-1, dns: P-2}"), Vec::<String>::new());
    }

    #[test]
    fn a_role_that_no_profile_has_and_a_consequence_that_there_is_not_are_told() {
        let text = "apiVersion: wbd/v1\nkind: Playbook\nmetadata: {name: x, code: X-1}\nspec:\n  applies: {has: [process.ROLE]}\n  \
                    observe: {p: {process.state: {process: ROLE}}}\n  detect: {cases: [{id: a, level: warn, when: \"!p.alive\"}]}\n  \
                    explains: [EXPLAINED]\n  text: {en: {a: {title: t, cause: c, guide: [g]}}}\n";
        let of = |role: &str, explained: &str| {
            advised("x.yaml", &text.replace("ROLE", role).replace("EXPLAINED", explained))
        };
        assert_eq!(of("main", "dns"), Vec::<String>::new());
        assert_eq!(
            of("mian", "dns"),
            [
                "x.yaml:5:19: no profile has \"process.mian\": the playbook applies to nothing (did you mean \"process.main\"?)"
            ]
        );
        assert!(of("main", "something-else")[0].contains("explains names the playbook \"something-else\""));
    }

    #[test]
    fn a_product_that_there_is_not_is_told_and_what_the_one_that_is_meant_has_not() {
        let text = "apiVersion: wbd/v1\nkind: Playbook\nmetadata: {name: x, code: X-1}\nspec:\n  applies: {profile: WHOM, has: [HAS]}\n  \
                    observe: {p: {process.state: {process: main}}}\n  detect: {cases: [{id: a, level: warn, when: \"!p.alive\"}]}\n  \
                    text: {en: {a: {title: t, cause: c, guide: [g]}}}\n";
        let of = |whom: &str, has: &str| advised("x.yaml", &text.replace("WHOM", whom).replace("HAS", has));
        for whom in ["aegis", "[aegis]", "[aegis, iwss-ftp]"] {
            assert_eq!(of(whom, "process.main"), Vec::<String>::new(), "{whom}");
        }
        assert_eq!(
            of("aegsi", "process.main"),
            ["x.yaml:5:22: there is no profile \"aegsi\": the playbook does not apply to it (did you mean \"aegis\"?)"]
        );
        assert!(of("[aegis, shop]", "process.main")[0].contains("(write a profile shop, or leave profile out)"));
        // iwss-ftp has it, and is not meant.
        assert!(of("aegis", "process.main, leak")[0].contains("no profile has \"leak\""));
        assert_eq!(of("iwss-ftp", "process.main, leak"), Vec::<String>::new());
    }

    #[test]
    fn settings_that_name_no_playbook_or_a_fact_that_nobody_asks_for_are_told() {
        let (library, _) = load(&shipped_sources());
        let said = |text: &str| {
            let source = Source { path: "wbd.yaml".to_owned(), text: text.to_owned() };
            let settings = settings::parse(&source).unwrap();
            of_settings(&source, &settings, &library).iter().map(Problem::brief).collect::<Vec<String>>()
        };
        assert_eq!(
            said("playbooks:\n  fd-leek: {healing: observe}\nfacts: {dsva.drivr: 9.5.2}\n"),
            [
                "wbd.yaml:2:3: playbooks names the playbook \"fd-leek\", and there is none (did you mean \"fd-leak\"?)",
                "wbd.yaml:3:9: no profile asks for the fact \"dsva.drivr\" (did you mean \"dsva.driver\"?)",
            ]
        );
        assert_eq!(
            said("products: {aegsi: {healing: observe}, shop: {}}\n"),
            [
                "wbd.yaml:1:12: products names the product \"aegsi\", and no profile has that name (did you mean \"aegis\"?)",
                "wbd.yaml:1:39: products names the product \"shop\", and no profile has that name (write its profile, or leave it out)",
            ]
        );
        assert_eq!(
            said(
                "playbooks:\n  fd-leak: {healing: observe}\nproducts: {aegis: {ceiling: A2}}\nfacts: {dsva.driver: 9.5.2}\n"
            ),
            Vec::<String>::new()
        );
    }
}

//! Which products count as here, what is known of them, and readings that overlap.
use wbd_engine::playbook;
use wbd_model::check::CheckKey;
use wbd_model::incident::IncidentId;
use wbd_model::name::{Code, TargetName};
use wbd_model::problem::Source;
use wbd_model::settings::Settings;

use super::*;
use wbd_probes::clock::now;

const DNS: &str = include_str!("../../../../playbooks/dns.yaml");
const DOWN: &str = include_str!("../../../../playbooks/agent-down.yaml");
const WBD: &str = include_str!("../../../../playbooks/wbd/profile.yaml");
/// A product with a name to ask for: it makes the check of the host.
const FAR: &str = "\
apiVersion: wbd/v1
kind: Profile
metadata: {name: far, source: \"a test\"}
spec:
  present: {any: [{file: /mnt/far}]}
  endpoints: [{host: far.example, ports: [443]}]
";

fn name(name: &str) -> ProfileName {
    ProfileName::new(name).unwrap()
}

/// Which products count as there after a restart that can look for none, with this incident open.
fn kept(open: Option<(&str, &str)>, bound: &[&str]) -> Vec<String> {
    let source = |text: &&str| Source { path: "x.yaml".to_owned(), text: (*text).to_owned() };
    let sources: Vec<Source> = [DNS, DOWN, WBD, FAR].iter().map(source).collect();
    let (library, problems) = playbook::load(&sources);
    assert!(problems.is_empty(), "{problems:#?}");
    let loaded = Loaded { settings: Settings::default(), library, problems: Vec::new(), misplaced: Vec::new() };
    let unseen = ["far", "wbd"].map(|profile| (name(profile), "a dead mount".to_owned())).into();
    let found = Found { unseen, ..Found::default() };
    let mut state = State::default();
    if let Some((code, target)) = open {
        let key = CheckKey { code: Code::new(code).unwrap(), target: TargetName::new(target).unwrap() };
        state.open.insert(key, IncidentId(1));
    }
    let bound: Vec<ProfileName> = bound.iter().map(|bound| name(bound)).collect();
    there(&loaded, &found, &bound.iter().collect(), &state).iter().map(ToString::to_string).collect()
}

#[test]
fn a_product_that_cannot_be_looked_for_is_there_while_an_incident_of_it_is_open() {
    assert_eq!(kept(Some(("WBD-6007", "wbd")), &[]), ["wbd"]);
    assert_eq!(kept(Some(("NET-DNS", "host")), &[]), ["far"], "a check of the host that it alone makes");
    assert_eq!(kept(Some(("AEGIS-DNS", "host")), &[]), ["far"], "as an older version named it");
}

#[test]
fn a_product_that_cannot_be_looked_for_and_has_nothing_open_is_there_if_it_was_before() {
    assert!(kept(None, &[]).is_empty());
    assert!(kept(Some(("WBD-6007", "another")), &[]).is_empty());
    assert_eq!(kept(None, &["far"]), ["far"]);
}

/// A root without settings and playbooks.
fn products() -> (tempfile::TempDir, Products) {
    let root = tempfile::tempdir().unwrap();
    let (events, _) = tokio::sync::mpsc::channel(8);
    let loaded = load::load(root.path()).unwrap();
    let products = Products::new(root.path(), loaded, ProbeRunner::new(root.path().to_path_buf()), events);
    (root, products)
}

fn on(products: &mut Products, event: ProductEvent) -> Vec<Follow> {
    products.on(event, &State::default(), &now())
}

#[test]
fn a_look_by_profiles_that_are_not_in_force_any_more_says_nothing() {
    let (root, mut products) = products();
    let found = || ProductEvent::Found(Some(Found::default()));
    products.scan = ProductScan::Running;
    let read = Box::new((load::load(root.path()).unwrap(), Found::default()));
    let follows = on(&mut products, ProductEvent::Loaded { result: Ok(read), reply: None });
    let [
        Follow::Check(CheckEvent::Facts(_)),
        Follow::NotifyBy(_),
        Follow::Check(CheckEvent::Bound { is_first: true, .. }),
        Follow::Check(CheckEvent::All),
    ] = follows.as_slice()
    else {
        panic!("{follows:?}")
    };
    assert_eq!(on(&mut products, found()), []);
    // Twin: by those in force.
    products.scan = ProductScan::Running;
    let follows = on(&mut products, found());
    assert!(matches!(follows.as_slice(), [Follow::Check(CheckEvent::Bound { is_first: false, .. })]), "{follows:?}");
}

#[tokio::test]
async fn one_reading_at_a_time_and_a_hangup_that_comes_meanwhile_is_not_lost() {
    let (_root, mut products) = products();
    on(&mut products, ProductEvent::Reload(None));
    let (reply, mut answer) = oneshot::channel();
    on(&mut products, ProductEvent::Reload(Some(reply)));
    assert!(matches!(answer.try_recv(), Ok(Response::Refused { .. })));
    on(&mut products, ProductEvent::Reload(None));
    let (reply, _answer) = oneshot::channel();
    let broken = |reply| ProductEvent::Loaded { result: Err(vec!["x.yaml:1:1: broken".to_owned()]), reply };
    let follows = on(&mut products, broken(Some(reply)));
    let [Follow::Answer { response, .. }] = follows.as_slice() else { panic!("the old set stays: {follows:?}") };
    assert!(matches!(**response, Response::Broken { .. }) && !products.is_known());
    assert!(products.reloading, "it is read once more");
    on(&mut products, broken(None));
    assert!(!products.reloading);
}

fn remembered(products: &Products, names: &[&str]) -> Found {
    products.runner.remember_products(Ok(SeenProducts::default()), &now().boot);
    Found { present: names.iter().map(|it| name(it)).collect(), ..Found::default() }
}

#[tokio::test]
async fn what_was_found_is_known_until_it_is_surely_gone() {
    let (_root, mut products) = products();
    let found = remembered(&products, &["far", "near"]);
    products.bind(found, &State::default(), &now());
    let unseen = vec![(name("far"), "a dead mount".to_owned())];
    let found = Found { absent: [name("near")].into(), unseen, ..Found::default() };
    products.bind(found, &State::default(), &now());
    let known: Vec<String> = products.seen().products.keys().map(ToString::to_string).collect();
    assert_eq!(known, ["far"], "what cannot be looked for is not gone");
}

#[tokio::test]
async fn whoever_has_a_product_forgotten_is_answered_when_that_is_on_the_disk() {
    let (_root, mut products) = products();
    let found = remembered(&products, &["far"]);
    products.bind(found, &State::default(), &now());
    let (reply, mut answer) = oneshot::channel();
    on(&mut products, ProductEvent::Forget { name: name("far"), who: "root".to_owned(), reply });
    let forgotten = |products: &Products| products.seen().products[&name("far")].forgotten.clone();
    assert_eq!(forgotten(&products).map(|it| it.who), Some("root".to_owned()));
    products.keep(now().boot_ms);
    assert!(products.memory.writing.is_some() && answer.try_recv().is_err());
    on(&mut products, ProductEvent::Kept(Ok(())));
    let said = answer.try_recv().unwrap();
    assert!(matches!(&said, Response::Done { message, .. } if message.contains("far is forgotten")), "{said:?}");
    // It is not written again, and a product that is here again is not forgotten.
    products.keep(now().boot_ms);
    assert!(products.memory.writing.is_none());
    products.bind(Found { present: [name("far")].into(), ..Found::default() }, &State::default(), &now());
    assert_eq!(forgotten(&products), None);
}

#[tokio::test]
async fn what_could_not_be_written_is_said_and_tried_again_later() {
    let (_root, mut products) = products();
    let found = remembered(&products, &["far"]);
    products.bind(found, &State::default(), &now());
    let (reply, mut answer) = oneshot::channel();
    on(&mut products, ProductEvent::Forget { name: name("far"), who: "root".to_owned(), reply });
    products.keep(now().boot_ms);
    on(&mut products, ProductEvent::Kept(Err("the disk is full".to_owned())));
    let said = answer.try_recv().unwrap();
    assert!(matches!(&said, Response::Done { message, .. } if message.contains("not on the disk: the disk is full")));
    products.keep(now().boot_ms);
    assert!(products.memory.writing.is_none(), "not at once");
    products.keep(now().boot_ms + 2 * FIND_MS);
    assert!(products.memory.writing.is_some());
    // Twin: what was seen earlier and cannot be read is not written over.
    products.memory = Memory::default();
    products.runner.remember_products(Err("broken".to_owned()), &now().boot);
    products.runner.change_products(|seen| seen.see(&name("far"), 1));
    products.keep(now().boot_ms);
    assert!(products.memory.writing.is_none());
}

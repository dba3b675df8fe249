//! `dns.servers`: what the host's resolver says of the names, and why: each configured name server is asked by itself. It
//! repairs and restarts nothing.
mod compare;
mod local;

use std::net::IpAddr;
use std::thread;

use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;

use crate::names::conf::Conf;
pub(crate) use crate::names::exchange::PORT;
use crate::names::exchange::Said;
use crate::names::host::{self, Told};
use crate::names::servers::{self, Server};
use crate::names::{self, Word};
use crate::runner::ProbeContext;
use compare::{Verdict, Word as Worth};

pub(crate) fn look(context: &ProbeContext, names: &[String], port: u16) -> Observation {
    let mut seen = Observation::unseen(ProbeName::DnsServers.fields(), "not looked at");
    let hosts: Vec<&str> = names.iter().map(String::as_str).filter(|name| name.parse::<IpAddr>().is_err()).collect();
    let asked = Conf::of(context).and_then(|conf| Ok((servers::questions(&conf, &hosts)?, conf)));
    let (questions, conf) = match asked {
        Ok(asked) => asked,
        Err(reason) => return Observation::unseen(ProbeName::DnsServers.fields(), &reason),
    };
    let hosts: Vec<&str> = hosts.into_iter().take(questions.len()).collect();
    let (servers, told) = thread::scope(|scope| {
        let by_host = scope.spawn(|| ask_host(context, &hosts));
        let servers = servers::ask_all(context, &conf, &questions, port);
        let broke_off = |_| Err("the question broke off, which is a bug in wbd; please report it".to_owned());
        (servers, by_host.join().unwrap_or_else(broke_off))
    });
    let told = told.and_then(|told| told.map_or_else(|| read(context, &hosts, &servers), Ok));
    describe_names(&hosts, &servers, told, &mut seen);
    seen.know("named", i64::try_from(conf.named).unwrap_or(i64::MAX));
    describe(&servers, &compare::verdicts(&servers), &mut seen);
    local::look(context, &conf.servers, &mut seen);
    seen
}

/// What the host's resolver says of each; `None`: under this root nobody can be asked.
fn ask_host(context: &ProbeContext, names: &[&str]) -> Result<Option<Vec<Told>>, String> {
    if !context.runner.is_this_host() {
        return Ok(None);
    }
    if names.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let told = host::ask(context, names)?;
    Ok(Some(names.iter().filter_map(|name| told.get(*name).cloned()).collect()))
}

/// The same by our own reading.
fn read(context: &ProbeContext, names: &[&str], servers: &[Server]) -> Result<Vec<Told>, String> {
    let one = |(index, name): (usize, &&str)| {
        let in_file = names::in_hosts_file(context.root(), name)?;
        let addresses = if in_file.is_empty() { addresses_of(servers, index) } else { in_file };
        let word = if addresses.is_empty() { Word::Servfail } else { Word::Ok };
        let says = format!("wbd's own reading of the files under {} finds no address", context.root().display());
        Ok(Told { word, says, addresses })
    };
    names.iter().enumerate().map(one).collect()
}

/// The addresses that a program gets from the servers.
fn addresses_of(servers: &[Server], question: usize) -> Vec<IpAddr> {
    let decides = servers::deciding(servers, question).and_then(|index| servers.get(index));
    let said = decides.and_then(|server| server.usual.get(question)).and_then(|answer| answer.said.addresses());
    said.unwrap_or_default().to_vec()
}

fn describe_names(hosts: &[&str], servers: &[Server], told: Result<Vec<Told>, String>, seen: &mut Observation) {
    let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    seen.know("names", count(hosts.len()));
    let told = match told {
        Ok(told) => told,
        Err(reason) => {
            for field in ["resolving", "late", "says", "denier"] {
                seen.miss(field, reason.clone());
            }
            return;
        }
    };
    let is_late = |index: usize, told: &Told| told.word == Word::Silent && servers::late(servers, index).is_some();
    let missing: Vec<(usize, &Told)> = told.iter().enumerate().filter(|(_, told)| told.addresses.is_empty()).collect();
    let late = missing.iter().filter(|(index, told)| is_late(*index, told)).count();
    let says = missing.first().map(|(index, told)| format!("{}: {}", hosts.get(*index).unwrap_or(&""), told.says));
    let denier = missing.iter().find_map(|(index, _)| denier(servers, *index));
    seen.know("resolving", count(told.len() - missing.len() + late))
        .know("late", count(late))
        .know("says", says.unwrap_or_default())
        .know("denier", denier.unwrap_or_default());
}

/// The server that decides by a denial, while another one has an address.
fn denier(servers: &[Server], question: usize) -> Option<String> {
    let said = |server: &Server| server.usual.get(question).map(|answer| answer.said.clone());
    let has_address = |said: &Said| said.addresses().is_some_and(|addresses| !addresses.is_empty());
    let decides = servers.get(servers::deciding(servers, question)?)?;
    let knows = servers.iter().filter_map(said).any(|said| has_address(&said));
    (knows && !said(decides).is_some_and(|said| has_address(&said))).then(|| decides.name.clone())
}

fn describe(servers: &[Server], verdicts: &[Verdict], seen: &mut Observation) {
    let count = |holds: &dyn Fn(&Verdict) -> bool| -> i64 {
        let count = verdicts.iter().filter(|verdict| holds(verdict)).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    seen.know("configured", i64::try_from(servers.len()).unwrap_or(i64::MAX));
    seen.know("answering", count(&|it| it.word.is_usable()));
    for (field, word) in [
        ("refused", Worth::Refused),
        ("silent", Worth::Silent),
        ("servfail", Worth::Servfail),
        ("nxdomain", Worth::Nxdomain),
        ("wrong", Worth::Wrong),
        ("slow", Worth::Slow),
    ] {
        seen.know(field, count(&|it| it.word == word));
    }
    seen.know("udp_only", count(&|it| it.udp_only));
    let usable = verdicts.iter().filter(|it| it.word.is_usable());
    let slowest = usable.map(|it| it.slowest_ms).max().unwrap_or(0);
    seen.know("slowest_ms", i64::try_from(slowest).unwrap_or(i64::MAX));
    let bad = verdicts.iter().position(|it| !it.word.is_usable());
    let bad = bad.and_then(|index| servers.get(index));
    seen.know("first_bad", bad.map(|it| it.name.clone()).unwrap_or_default());
    let words: Vec<String> =
        servers.iter().zip(verdicts).map(|(server, verdict)| format!("{}={}", server.name, verdict.detail)).collect();
    seen.know("detail", words.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::toy::{Habit, Toy};
    use crate::testing::{Host, known, unknown};
    use wbd_model::observation::Value;

    /// Asks toy servers of these habits, on 127.0.0.2, 127.0.0.3 and so on.
    fn ask(habits: &[Habit], names: &[&str]) -> (Observation, Vec<Toy>) {
        let toys = Toy::several(habits);
        let host = Host::new();
        let lines: String = toys.iter().map(|toy| format!("nameserver {}\n", toy.address.ip())).collect();
        host.file("etc/resolv.conf", &lines);
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let port = toys.first().map_or(9, |toy| toy.address.port());
        (look(&host.context(), &names, port), toys)
    }

    fn numbers(seen: &Observation, expected: &[(&str, i64)]) {
        for (field, value) in expected {
            assert_eq!(known(seen, field), Value::from(*value), "{field}: {:?}", seen.fact("detail"));
        }
    }

    #[test]
    fn each_kind_of_bad_server_is_told_from_the_others() {
        for (habits, expected) in [
            (
                [Habit::Right, Habit::Silent, Habit::Closed],
                [("configured", 3), ("answering", 1), ("silent", 1), ("refused", 1), ("resolving", 1)],
            ),
            (
                [Habit::SaysRefused, Habit::Servfail, Habit::UdpOnly],
                [("refused", 1), ("servfail", 1), ("answering", 1), ("udp_only", 1), ("resolving", 1)],
            ),
            (
                [Habit::OtherId, Habit::OtherQuestion, Habit::Nxdomain],
                [("wrong", 2), ("nxdomain", 1), ("answering", 0), ("slow", 0), ("resolving", 0)],
            ),
        ] {
            let (seen, _toys) = ask(&habits, &["host.test"]);
            numbers(&seen, &expected);
            numbers(&seen, &[("names", 1), ("named", 3), ("late", 0)]);
            let first_bad = if habits[0] == Habit::Right { "127.0.0.3" } else { "127.0.0.2" };
            assert_eq!(known(&seen, "first_bad"), Value::from(first_bad));
        }
    }

    #[test]
    fn a_denial_by_the_first_server_decides_and_by_the_second_does_not() {
        let (seen, _toys) = ask(&[Habit::Nxdomain, Habit::Right], &["host.test"]);
        numbers(&seen, &[("resolving", 0), ("answering", 1), ("nxdomain", 1)]);
        assert_eq!(known(&seen, "denier"), Value::from("127.0.0.2"));
        let Value::Text(says) = known(&seen, "says") else { panic!("no text") };
        assert!(says.starts_with("host.test: wbd's own reading of the files under "), "{says}");
        let (seen, _toys) = ask(&[Habit::Right, Habit::Nxdomain], &["host.test"]);
        numbers(&seen, &[("resolving", 1), ("answering", 1), ("nxdomain", 1)]);
        assert_eq!((known(&seen, "denier"), known(&seen, "says")), (Value::from(""), Value::from("")));
    }

    #[test]
    fn a_cut_answer_is_got_over_tcp() {
        let (seen, _toys) = ask(&[Habit::Cut], &["host.test"]);
        numbers(&seen, &[("resolving", 1), ("answering", 1)]);
    }

    #[test]
    fn a_name_of_the_hosts_file_needs_no_server() {
        let host = Host::new();
        host.file("etc/hosts", "10.0.0.9 host.test\n");
        let seen = look(&host.context(), &["host.test".to_owned(), "other.test".to_owned()], 9);
        numbers(&seen, &[("names", 2), ("resolving", 1), ("answering", 0)]);
    }

    #[test]
    fn on_this_host_its_own_resolver_decides_and_where_it_cannot_be_asked_nobody_does() {
        let mut context = Host::new().context();
        assert_eq!(ask_host(&context, &["host.test"]), Ok(None), "under another root it is not asked");
        context.runner.root = "/".into();
        context.runner.this_program = "/nonexistent".into();
        let told = ask_host(&context, &["host.test"]).map(Option::unwrap_or_default);
        let mut seen = Observation::default();
        describe_names(&["host.test"], &[], told, &mut seen);
        numbers(&seen, &[("names", 1)]);
        for field in ["resolving", "late", "says", "denier"] {
            let why = unknown(&seen, field);
            assert!(why.contains("cannot ask the host's resolver: cannot start /nonexistent"), "{field}: {why}");
        }
    }

    #[test]
    fn a_name_that_comes_late_resolves_and_one_that_nobody_has_does_not() {
        let server = |said: Said| Server {
            name: "10.0.0.1".into(),
            usual: vec![crate::names::exchange::Answer { said, ms: 5 }],
            tcp: None,
        };
        let silent = || Told { word: Word::Silent, says: "no answer within 6 s".into(), addresses: Vec::new() };
        let found = || Said::Addresses(vec![IpAddr::from([192, 0, 2, 7])]);
        // The last: the server answers at once, so the resolver hangs.
        for (said, resolving) in
            [([Said::Silent, found()], 1), ([Said::Silent, Said::Silent], 0), ([found(), found()], 0)]
        {
            let mut seen = Observation::default();
            describe_names(&["a.test"], &said.map(server), Ok(vec![silent()]), &mut seen);
            numbers(&seen, &[("names", 1), ("resolving", resolving), ("late", resolving)]);
            assert_eq!(known(&seen, "says"), Value::from("a.test: no answer within 6 s"));
        }
    }

    #[test]
    fn slow_but_right_is_usable() {
        let (seen, _toys) = ask(&[Habit::Slow], &["host.test"]);
        numbers(&seen, &[("answering", 1), ("slow", 1), ("silent", 0)]);
        let Value::Int(slowest) = known(&seen, "slowest_ms") else { panic!("not a number") };
        assert!((1000..4000).contains(&slowest), "{slowest}");
        assert_eq!(known(&seen, "first_bad"), Value::from(""));
    }

    #[test]
    fn without_names_any_resolver_that_answers_is_usable() {
        let (seen, _toys) = ask(&[Habit::Right], &["192.0.2.1"]);
        numbers(&seen, &[("answering", 1), ("names", 0), ("resolving", 0)]);
    }

    #[test]
    fn no_server_is_127_0_0_1_and_an_unreadable_list_is_not_known() {
        let host = Host::new();
        let seen = look(&host.context(), &[], 9);
        numbers(&seen, &[("configured", 1), ("named", 0), ("answering", 0), ("refused", 1)]);
        assert_eq!(known(&seen, "detail"), Value::from("127.0.0.1=refused/tcp=refused"));
        assert_eq!(known(&seen, "local_unit"), Value::from(""));
        std::fs::create_dir_all(host.root().join("etc/resolv.conf")).unwrap();
        let seen = look(&host.context(), &[], PORT);
        assert!(unknown(&seen, "configured").contains("resolv.conf"));
        host.file("x", "");
        let bad = ["a..b".to_owned()];
        std::fs::remove_dir(host.root().join("etc/resolv.conf")).unwrap();
        assert!(unknown(&look(&host.context(), &bad, PORT), "answering").contains("not a host name"));
    }
}

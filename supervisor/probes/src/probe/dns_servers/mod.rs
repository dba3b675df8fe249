//! `dns.servers`: asks each configured name server by itself and counts what came back. It repairs and restarts
//! nothing.
mod compare;
pub(crate) mod configured;
mod exchange;
mod local;
#[cfg(test)]
pub(crate) mod toy;

use std::net::{IpAddr, SocketAddr};
use std::thread;

use hickory_resolver::proto::rr::Name;
use wbd_model::observation::Observation;
use wbd_model::probe::ProbeName;

use crate::runner::ProbeContext;
use compare::{Server, Verdict, Word};
use configured::NameServer;
pub(crate) use exchange::PORT;
use exchange::{Answer, Question};

/// As many names as one look asks for.
const MAX_NAMES: usize = 8;

pub(crate) fn look(context: &ProbeContext, names: &[String], port: u16) -> Observation {
    let mut seen = Observation::unseen(ProbeName::DnsServers.fields(), "not looked at");
    let configured = match configured::servers(context.root()) {
        Ok(configured) => configured,
        Err(reason) => return Observation::unseen(ProbeName::DnsServers.fields(), &reason),
    };
    let questions = match questions(names) {
        Ok(questions) => questions,
        Err(reason) => return Observation::unseen(ProbeName::DnsServers.fields(), &reason),
    };
    let servers = ask_all(context, &configured, &questions, port);
    let verdicts = compare::verdicts(&servers);
    describe(&servers, &verdicts, &mut seen);
    // One behind a zone is somebody else's, even where this host has the same address on another interface.
    let plain = configured.iter().filter(|it| it.zone.is_none());
    local::look(context, &plain.map(|it| it.address).collect::<Vec<_>>(), &mut seen);
    seen
}

/// The names to ask for; with none to ask for, the root's servers, which every resolver knows.
fn questions(names: &[String]) -> Result<Vec<Question>, String> {
    let hosts = names.iter().filter(|name| name.parse::<IpAddr>().is_err());
    let mut questions = Vec::new();
    for name in hosts.take(MAX_NAMES) {
        let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.')))
            .map_err(|error| format!("{name:?} is not a host name: {error}; correct the profile"))?;
        questions.push(Question::Addresses(name));
    }
    if questions.is_empty() {
        questions.push(Question::Root);
    }
    Ok(questions)
}

fn ask_all(context: &ProbeContext, configured: &[NameServer], questions: &[Question], port: u16) -> Vec<Server> {
    thread::scope(|scope| {
        let asked: Vec<_> = configured
            .iter()
            .map(|configured| {
                let server = configured.at(port);
                let tcp = scope.spawn(move || {
                    let first = questions.first()?;
                    Some(exchange::over_tcp(context, server, first))
                });
                let udp = scope.spawn(move || ask_one(context, server, questions));
                (configured.to_string(), udp, tcp)
            })
            .collect();
        asked
            .into_iter()
            .map(|(name, udp, tcp)| Server {
                name,
                udp: udp.join().unwrap_or_default(),
                tcp: tcp.join().ok().flatten(),
            })
            .collect()
    })
}

/// All questions to one server; who is silent once is not asked again.
fn ask_one(context: &ProbeContext, server: SocketAddr, questions: &[Question]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for question in questions {
        let answer = exchange::over_udp(context, server, question);
        let unreachable = answer.said.is_unreachable();
        answers.push(answer);
        if unreachable {
            break;
        }
    }
    answers
}

fn describe(servers: &[Server], verdicts: &[Verdict], seen: &mut Observation) {
    let count = |holds: &dyn Fn(&Verdict) -> bool| -> i64 {
        let count = verdicts.iter().filter(|verdict| holds(verdict)).count();
        i64::try_from(count).unwrap_or(i64::MAX)
    };
    seen.know("configured", i64::try_from(servers.len()).unwrap_or(i64::MAX));
    seen.know("answering", count(&|it| it.word.is_usable()));
    for (field, word) in [
        ("refused", Word::Refused),
        ("silent", Word::Silent),
        ("servfail", Word::Servfail),
        ("nxdomain", Word::Nxdomain),
        ("wrong", Word::Wrong),
        ("slow", Word::Slow),
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
    use super::toy::{Habit, Toy};
    use super::*;
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
        let (seen, _toys) = ask(
            &[
                Habit::Right,
                Habit::Silent,
                Habit::Closed,
                Habit::SaysRefused,
                Habit::Servfail,
                Habit::Nxdomain,
                Habit::OtherQuestion,
                Habit::OtherId,
                Habit::UdpOnly,
            ],
            &["host.test"],
        );
        numbers(
            &seen,
            &[
                ("configured", 9),
                ("answering", 2),
                ("silent", 1),
                ("refused", 2),
                ("servfail", 1),
                ("nxdomain", 1),
                ("wrong", 2),
                ("slow", 0),
                ("udp_only", 1),
            ],
        );
        assert_eq!(known(&seen, "first_bad"), Value::from("127.0.0.3"));
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
        numbers(&seen, &[("answering", 1)]);
    }

    #[test]
    fn no_server_is_a_fact_and_an_unreadable_list_is_not() {
        let host = Host::new();
        let seen = look(&host.context(), &[], PORT);
        numbers(&seen, &[("configured", 0), ("answering", 0)]);
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

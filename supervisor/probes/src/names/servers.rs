//! What each configured server says, asked by itself. Why a program got its answer shows here; whether a name resolves
//! is not decided here, but by the host's own resolver.
use std::net::{IpAddr, SocketAddr};
use std::thread;

use hickory_resolver::proto::rr::Name;

use super::conf::Conf;
use super::exchange::{self, Answer, Question, Said};
use crate::runner::ProbeContext;

/// As many names as one look asks for.
const MAX_NAMES: usize = 8;
/// An answer that takes longer is slow, in milliseconds.
pub(crate) const SLOW_MS: u64 = 1000;
/// As many addresses of one answer are told.
const MOST_TOLD: usize = 3;

/// One server with its answers, in the order of the questions.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// As it is configured.
    pub(crate) name: String,
    /// As programs ask; fewer than there are questions where it was not reached.
    pub(crate) usual: Vec<Answer>,
    /// The first question over TCP.
    pub(crate) tcp: Option<Answer>,
}

/// The questions for these names; with none to ask for, the root's servers, which every resolver knows.
///
/// # Errors
/// One is no host name.
pub(crate) fn questions(conf: &Conf, names: &[&str]) -> Result<Vec<Question>, String> {
    let hosts = names.iter().filter(|name| name.parse::<IpAddr>().is_err());
    let mut questions = Vec::new();
    for host in hosts.take(MAX_NAMES) {
        // A domain of the search list that makes no name is passed over.
        let names: Vec<Name> =
            conf.candidates(host).into_iter().filter_map(|name| Name::from_ascii(name).ok()).collect();
        if names.is_empty() {
            return Err(format!("{host:?} is not a host name; correct the profile"));
        }
        questions.push(Question::Addresses(names));
    }
    if questions.is_empty() {
        questions.push(Question::Root);
    }
    Ok(questions)
}

/// All questions to all servers, side by side; in the order of the configuration.
pub(crate) fn ask_all(context: &ProbeContext, conf: &Conf, questions: &[Question], port: u16) -> Vec<Server> {
    thread::scope(|scope| {
        let asked: Vec<_> = conf
            .servers
            .iter()
            .map(|configured| {
                let server = configured.at(port);
                let tcp = scope.spawn(move || {
                    let first = questions.first()?;
                    Some(exchange::over_tcp(context, server, first, conf.manner))
                });
                let usual = scope.spawn(move || ask_one(context, server, questions, conf));
                (configured.to_string(), usual, tcp)
            })
            .collect();
        asked
            .into_iter()
            .map(|(name, usual, tcp)| Server {
                name,
                usual: usual.join().unwrap_or_default(),
                tcp: tcp.join().ok().flatten(),
            })
            .collect()
    })
}

/// All questions to one server; who is silent once is not asked again.
fn ask_one(context: &ProbeContext, server: SocketAddr, questions: &[Question], conf: &Conf) -> Vec<Answer> {
    let mut answers = Vec::new();
    for question in questions {
        let answer = exchange::as_usual(context, server, question, conf.manner);
        let unreachable = answer.said.is_unreachable();
        answers.push(answer);
        if unreachable {
            break;
        }
    }
    answers
}

/// Which server's answer to a question a program gets: the first definite one, a denial too. `None`: nobody gives one.
pub(crate) fn deciding(servers: &[Server], question: usize) -> Option<usize> {
    let said = |server: &Server| server.usual.get(question).map(|answer| answer.said.clone());
    servers.iter().position(|server| said(server).is_some_and(|said| said.is_definite()))
}

/// The addresses that a program gets if it waits: the servers in front of the one that has them are silent, or that one
/// is slow. Where it answers at once, a resolver that says nothing is not late: it hangs.
pub(crate) fn late(servers: &[Server], question: usize) -> Option<&[IpAddr]> {
    let answer = |server: &'_ Server| server.usual.get(question).cloned();
    let decides = deciding(servers, question)?;
    let is_silent = |server: &Server| {
        answer(server).is_none_or(|answer| answer.said.is_unreachable() || answer.said == Said::Wrong)
    };
    let waits = servers.get(..decides)?.iter().any(is_silent);
    let told = servers.get(decides)?.usual.get(question)?;
    let addresses = told.said.addresses().filter(|addresses| !addresses.is_empty())?;
    (waits || told.ms > SLOW_MS).then_some(addresses)
}

/// `10.0.0.1=nxdomain 10.0.0.2=192.0.2.7`.
pub(crate) fn words(servers: &[Server], question: usize) -> String {
    let words = servers.iter().map(|server| {
        let said = server.usual.get(question).map_or(&Said::Silent, |answer| &answer.said);
        let said = match said.addresses() {
            Some([]) => "no address".to_owned(),
            Some(addresses) => {
                let more = if addresses.len() > MOST_TOLD { ",..." } else { "" };
                let told: Vec<String> = addresses.iter().take(MOST_TOLD).map(IpAddr::to_string).collect();
                told.join(",") + more
            }
            None => said.as_str().to_owned(),
        };
        format!("{}={said}", server.name)
    });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(last: u8, said: &[Said]) -> Server {
        let answer = |said: &Said| Answer { said: said.clone(), ms: 1 };
        Server { name: format!("10.0.0.{last}"), usual: said.iter().map(answer).collect(), tcp: None }
    }

    #[test]
    fn the_first_definite_answer_decides_and_a_denial_is_one() {
        let found = || Said::Addresses(vec![IpAddr::from([192, 0, 2, 7])]);
        let decided = |said: [Said; 2]| {
            let servers = [server(1, &said[..1]), server(2, &said[1..])];
            deciding(&servers, 0)
        };
        for (said, expected) in [
            ([found(), Said::Nxdomain], Some(0)),
            ([Said::Nxdomain, found()], Some(0)),
            ([Said::Addresses(vec![]), found()], Some(0)),
            ([Said::Servfail, found()], Some(1)),
            ([Said::Refused, Said::Nxdomain], Some(1)),
            ([Said::Wrong, found()], Some(1)),
            ([Said::Silent, Said::Servfail], None),
        ] {
            assert_eq!(decided(said.clone()), expected, "{said:?}");
        }
        assert_eq!(deciding(&[server(1, &[])], 0), None);
        let told = words(&[server(1, &[Said::Nxdomain]), server(2, &[found()]), server(3, &[])], 0);
        assert_eq!(told, "10.0.0.1=nxdomain 10.0.0.2=192.0.2.7 10.0.0.3=silent");
    }

    #[test]
    fn an_answer_comes_late_behind_a_silent_server_and_not_behind_a_resolver_that_hangs() {
        let found = || Said::Addresses(vec![IpAddr::from([192, 0, 2, 7])]);
        for (said, is_late) in [
            (vec![Said::Silent, found()], true),
            (vec![Said::Wrong, Said::Silent, found()], true),
            (vec![found()], false),
            (vec![found(), Said::Silent], false),
            (vec![Said::Refused, found()], false),
            (vec![Said::Silent, Said::Nxdomain, found()], false),
            (vec![Said::Silent, Said::Addresses(vec![])], false),
            (vec![Said::Silent], false),
        ] {
            let servers: Vec<Server> = said.iter().map(|said| server(1, std::slice::from_ref(said))).collect();
            assert_eq!(late(&servers, 0).is_some(), is_late, "{said:?}");
        }
        let mut slow = server(1, &[found()]);
        slow.usual[0].ms = SLOW_MS + 1;
        assert!(late(&[slow], 0).is_some());
    }

    #[test]
    fn a_name_is_asked_for_as_search_completes_it_and_an_address_not_at_all() {
        let conf = Conf::parse("search example.test\n", None);
        let asked = questions(&conf, &["10.0.0.1", "collector"]).unwrap();
        let [Question::Addresses(names)] = asked.as_slice() else { panic!("{asked:?}") };
        let names: Vec<String> = names.iter().map(Name::to_string).collect();
        assert_eq!(names, ["collector.example.test.", "collector."]);
        let too_long = Conf::parse(&format!("search {}\n", "x".repeat(100)), None);
        let asked = questions(&too_long, &["collector"]).unwrap();
        assert!(matches!(asked.as_slice(), [Question::Addresses(names)] if names.len() == 1), "{asked:?}");
        assert!(matches!(questions(&conf, &["::1"]).as_deref(), Ok([Question::Root])));
        assert!(questions(&conf, &["a..b"]).unwrap_err().contains("not a host name"));
    }
}

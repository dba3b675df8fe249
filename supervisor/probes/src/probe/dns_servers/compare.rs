//! Weighs the servers' answers against each other: who is usable, who lies. It asks nobody.
use std::net::IpAddr;

use crate::names::exchange::{Answer, Said};
use crate::names::servers::{SLOW_MS, Server};

/// What one server is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) word: Word,
    pub(crate) udp_only: bool,
    /// Its slowest answer.
    pub(crate) slowest_ms: u64,
    /// For people.
    pub(crate) detail: String,
}

/// The word for a server; the worst of its answers counts, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Word {
    /// Right and in time.
    Ok,
    /// Right, but takes over a second.
    Slow,
    /// Denies a name that another knows, or all names.
    Nxdomain,
    /// Cannot find out.
    Servfail,
    /// Answers something else, or has no address where another one has.
    Wrong,
    /// Does not want to, or nobody listens.
    Refused,
    /// Says nothing, or cannot be reached.
    Silent,
}

impl Word {
    pub(crate) fn is_usable(self) -> bool {
        matches!(self, Self::Ok | Self::Slow)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Slow => "slow",
            Self::Nxdomain => "nxdomain",
            Self::Servfail => "servfail",
            Self::Wrong => "wrong",
            Self::Refused => "refused",
            Self::Silent => "silent",
        }
    }
}

/// A verdict for each server, in the same order.
pub(crate) fn verdicts(servers: &[Server]) -> Vec<Verdict> {
    servers.iter().map(|server| verdict(server, servers)).collect()
}

fn verdict(server: &Server, all: &[Server]) -> Verdict {
    let judged: Vec<Judged> = (0..server.usual.len()).map(|question| judge(server, all, question)).collect();
    // A name that nobody can resolve is the name's trouble, if the server is right about another.
    let right_about_one = judged.iter().any(|it| it.word.is_usable());
    let counted = judged.iter().filter(|it| !(it.shared && right_about_one));
    let word = counted.map(|it| it.word).max().unwrap_or(Word::Silent);
    let tcp = server.tcp.as_ref().map(|answer| plain(&answer.said));
    // Over TCP an error answer is an answer: it is the way that is tested, not the name again.
    let tcp_works = tcp.is_some_and(|tcp| !matches!(tcp, Word::Refused | Word::Silent | Word::Wrong));
    let mut detail = word.as_str().to_owned();
    if (0..server.usual.len()).any(|question| stands_alone(server, all, question)) {
        detail.push_str("(other addresses)");
    }
    match server.usual.last().map(|answer| &answer.said) {
        Some(Said::NoRoute) => detail.push_str("(no route)"),
        Some(Said::Denied) => detail.push_str("(not let out of this host)"),
        _ => {}
    }
    match tcp {
        Some(tcp) if !tcp_works => detail.push_str(&format!("/tcp={}", tcp.as_str())),
        Some(_) if !word.is_usable() && word >= Word::Refused => detail.push_str("/tcp=ok"),
        _ => {}
    }
    Verdict {
        word,
        udp_only: word.is_usable() && tcp.is_some() && !tcp_works,
        slowest_ms: server.usual.iter().map(|answer| answer.ms).max().unwrap_or(0),
        detail,
    }
}

struct Judged {
    word: Word,
    /// Every server that answered at all says the same of this name.
    shared: bool,
}

fn judge(server: &Server, all: &[Server], question: usize) -> Judged {
    let Some(answer) = server.usual.get(question) else {
        return Judged { word: Word::Silent, shared: false };
    };
    let answers = || all.iter().filter_map(|it| it.usual.get(question));
    let word = match answer.said.addresses() {
        Some([]) if has_address(answers()) => Word::Wrong,
        Some(_) if answer.ms > SLOW_MS => Word::Slow,
        _ => plain(&answer.said),
    };
    let counts = |said: &Said| !said.is_unreachable() && (word == Word::Refused || *said != Said::Refused);
    let shared = matches!(word, Word::Nxdomain | Word::Servfail | Word::Refused)
        && answers().filter(|other| counts(&other.said)).all(|other| plain(&other.said) == word);
    Judged { word, shared }
}

/// The word for an answer looked at by itself.
fn plain(said: &Said) -> Word {
    match said {
        Said::Addresses(_) => Word::Ok,
        Said::Nxdomain => Word::Nxdomain,
        Said::Servfail => Word::Servfail,
        Said::Refused => Word::Refused,
        Said::Wrong => Word::Wrong,
        Said::Silent | Said::NoRoute | Said::Denied => Word::Silent,
    }
}

fn has_address<'a>(answers: impl Iterator<Item = &'a Answer>) -> bool {
    answers.filter_map(|answer| answer.said.addresses()).any(|addresses| !addresses.is_empty())
}

/// It has addresses, and no other server has one of them while others agree. That is not wrong: large services answer
/// everybody with what is near.
fn stands_alone(server: &Server, all: &[Server], question: usize) -> bool {
    let of = |server: &'_ Server| server.usual.get(question).and_then(|it| Some(it.said.addresses()?.to_vec()));
    let others: Vec<Vec<IpAddr>> = all.iter().filter_map(of).filter(|addresses| !addresses.is_empty()).collect();
    let agreeing = |with: &[IpAddr]| {
        let shares = |other: &&Vec<IpAddr>| other.iter().any(|address| with.contains(address));
        others.iter().filter(shares).count()
    };
    let mine = of(server).unwrap_or_default();
    // The answer agrees with itself.
    !mine.is_empty() && agreeing(&mine) <= 1 && others.iter().any(|other| agreeing(other) > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(usual: &[(Said, u64)], tcp: Said) -> Server {
        let answer = |(said, ms): &(Said, u64)| Answer { said: said.clone(), ms: *ms };
        Server {
            name: "192.0.2.53".to_owned(),
            usual: usual.iter().map(answer).collect(),
            tcp: Some(answer(&(tcp, 1))),
        }
    }

    fn at(last: u8) -> Said {
        Said::Addresses(vec![IpAddr::from([192, 0, 2, last])])
    }

    fn words(answers: &[Said]) -> Vec<Word> {
        let servers: Vec<Server> = answers.iter().map(|said| server(&[(said.clone(), 5)], at(1))).collect();
        verdicts(&servers).into_iter().map(|it| it.word).collect()
    }

    #[test]
    fn other_addresses_are_not_wrong_and_none_where_another_has_one_are() {
        use Word::{Nxdomain, Ok, Silent, Wrong};
        let none = || Said::Addresses(vec![]);
        for (answers, expected) in [
            (vec![at(1), at(1), at(2)], vec![Ok, Ok, Ok]),
            (vec![at(1), at(2)], vec![Ok, Ok]),
            (vec![at(1), at(2), at(3)], vec![Ok, Ok, Ok]),
            (vec![at(1), none()], vec![Ok, Wrong]),
            (vec![none(), none()], vec![Ok, Ok]),
            (vec![at(1), Said::Nxdomain], vec![Ok, Nxdomain]),
            (vec![Said::Nxdomain, Said::Nxdomain], vec![Nxdomain, Nxdomain]),
            (vec![at(1), Said::Silent], vec![Ok, Silent]),
        ] {
            assert_eq!(words(&answers), expected, "{answers:?}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_not_the_servers_fault_if_it_knows_another() {
        let one = server(&[(at(1), 5), (Said::Nxdomain, 5)], at(1));
        assert_eq!(verdicts(&[one.clone(), one.clone()])[0].word, Word::Ok);
        let other = server(&[(at(1), 5), (at(2), 5)], at(1));
        assert_eq!(verdicts(&[one, other])[0].word, Word::Nxdomain);
    }

    #[test]
    fn a_name_that_the_server_refuses_is_not_the_servers_fault_if_it_answers_for_another() {
        let refuses = server(&[(Said::Refused, 5), (at(1), 5)], at(1));
        assert_eq!(verdicts(std::slice::from_ref(&refuses))[0].word, Word::Ok);
        let answers = server(&[(at(1), 5), (at(1), 5)], at(1));
        assert_eq!(verdicts(&[refuses, answers])[0].word, Word::Refused, "another server knows the name");
        assert_eq!(words(&[Said::Refused, Said::Refused]), [Word::Refused, Word::Refused]);
    }

    #[test]
    fn a_server_with_addresses_of_its_own_is_marked_where_the_others_agree() {
        let details = |answers: &[Said]| {
            let servers: Vec<Server> = answers.iter().map(|said| server(&[(said.clone(), 5)], at(1))).collect();
            verdicts(&servers).into_iter().map(|it| it.detail).collect::<Vec<_>>()
        };
        assert_eq!(details(&[at(1), at(1), at(2)]), ["ok", "ok", "ok(other addresses)"]);
        assert_eq!(details(&[at(1), at(2)]), ["ok", "ok"], "one against one says nothing");
    }

    #[test]
    fn the_way_over_tcp_is_judged_apart() {
        let verdict = |udp: Said, ms, tcp: Said| verdicts(&[server(&[(udp, ms)], tcp)]).remove(0);
        let slow = verdict(at(1), 1001, at(1));
        assert_eq!((slow.word, slow.udp_only, slow.slowest_ms), (Word::Slow, false, 1001));
        let only = verdict(at(1), 5, Said::Silent);
        assert_eq!((only.udp_only, only.detail.as_str()), (true, "ok/tcp=silent"));
        assert_eq!(verdict(Said::Silent, 5, at(1)).detail, "silent/tcp=ok");
        assert_eq!(verdict(Said::NoRoute, 5, Said::NoRoute).detail, "silent(no route)/tcp=silent");
        assert!(!verdict(Said::Silent, 5, Said::Silent).udp_only);
    }

    #[test]
    fn a_server_that_was_never_heard_is_silent() {
        let mut unasked = server(&[], Said::Silent);
        unasked.tcp = None;
        assert_eq!(verdicts(&[unasked])[0].word, Word::Silent);
    }
}

//! Names as the host's programs get them. The host's own resolver decides; the servers are asked one by one only to tell
//! why. Under another root wbd reads the files itself, and says so.
pub(crate) mod conf;
pub(crate) mod exchange;
pub(crate) mod host;
mod own;
mod resolved;
pub(crate) mod servers;
#[cfg(test)]
pub(crate) mod toy;
mod worker;

use std::net::IpAddr;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use crate::runner::ProbeContext;
use conf::Conf;
use host::Told;
pub(crate) use own::in_hosts_file;
pub(crate) use resolved::{Resolved, Word};
pub use worker::serve;

/// A resolver that takes longer is about to fail: meanwhile the servers are asked why.
const SOON: Duration = Duration::from_millis(1_500);

/// Resolves names, each with its own answer or why it could not be asked for.
pub(crate) fn resolve(context: &ProbeContext, names: &[&str]) -> Vec<Result<Resolved, String>> {
    let hosts: Vec<&str> = names.iter().copied().filter(|name| name.parse::<IpAddr>().is_err()).collect();
    let mut asked = by_name(context, &hosts).into_iter();
    let one = |name: &&str| match name.parse() {
        Ok(address) => Ok(Resolved {
            word: Word::Literal,
            says: "an address".to_owned(),
            addresses: vec![address],
            servers: String::new(),
        }),
        Err(_) => asked.next().unwrap_or_else(|| Err("it was not asked for".to_owned())),
    };
    names.iter().map(one).collect()
}

fn by_name(context: &ProbeContext, names: &[&str]) -> Vec<Result<Resolved, String>> {
    if names.is_empty() {
        return Vec::new();
    }
    if !context.runner.is_this_host() {
        return names.iter().map(|name| own::resolve(context, name)).collect();
    }
    thread::scope(|scope| {
        let (say, heard) = sync_channel(1);
        scope.spawn(move || say.send(host::ask(context, names)));
        let early = heard.recv_timeout(SOON).ok();
        let is_found =
            |name: &str| matches!(&early, Some(Ok(told)) if told.get(name).is_some_and(|it| it.word.is_found()));
        let missing: Vec<&str> = names.iter().copied().filter(|name| !is_found(name)).collect();
        let reasons = if missing.is_empty() { Ok(Vec::new()) } else { reasons(context, &missing) };
        let broke_off = || Err("the question broke off, which is a bug in wbd; please report it".to_owned());
        let told = early.unwrap_or_else(|| heard.recv().unwrap_or_else(|_| broke_off()));
        let one = |name: &&str| {
            let told = told.as_ref().map_err(Clone::clone)?.get(*name).cloned();
            let told = told.ok_or_else(|| format!("{name} was not asked for"))?;
            let reason = match &reasons {
                Ok(reasons) => missing.iter().position(|it| it == name).and_then(|index| reasons.get(index)).cloned(),
                Err(why) => Some(Reason { words: format!("not asked: {why}"), ..Reason::default() }),
            };
            Ok(explained(told, reason.unwrap_or_default()))
        };
        names.iter().map(one).collect()
    })
}

/// Why a name has no answer, or a late one.
#[derive(Debug, Clone, Default)]
struct Reason {
    words: String,
    /// What programs get that wait, where the servers tell why it takes so long.
    late: Vec<IpAddr>,
    all_silent: bool,
}

fn reasons(context: &ProbeContext, names: &[&str]) -> Result<Vec<Reason>, String> {
    let conf = Conf::of(context)?;
    let asked = servers::ask_all(context, &conf, &servers::questions(&conf, names)?, exchange::PORT);
    let reason = |index: usize| {
        let said = |server: &servers::Server| server.usual.get(index).map(|answer| answer.said.clone());
        Reason {
            words: servers::words(&asked, index),
            late: servers::late(&asked, index).unwrap_or_default().to_vec(),
            all_silent: asked.iter().all(|server| said(server).is_none_or(|said| said.is_unreachable())),
        }
    };
    Ok((0..names.len()).map(reason).collect())
}

/// The resolver's answer stays; only a silence, and a failure that may be one, is told apart by the servers.
fn explained(told: Told, reason: Reason) -> Resolved {
    let Told { mut word, says, mut addresses } = told;
    if word == Word::Silent && !reason.late.is_empty() {
        word = Word::Late;
        addresses = reason.late;
    }
    if word == Word::Servfail && reason.all_silent && !reason.words.is_empty() {
        word = Word::Silent;
    }
    Resolved { word, says, addresses, servers: reason.words }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(word: Word) -> Told {
        Told { word, says: "so".to_owned(), addresses: Vec::new() }
    }

    #[test]
    fn the_servers_tell_a_silence_from_a_late_answer_and_change_no_other_word() {
        let address = IpAddr::from([192, 0, 2, 7]);
        let knows = || Reason { words: "10.0.0.1=192.0.2.7".into(), late: vec![address], all_silent: false };
        let silent = || Reason { words: "10.0.0.1=silent".into(), late: vec![], all_silent: true };
        for (word, reason, expected) in [
            (Word::Silent, knows(), Word::Late),
            (Word::Silent, silent(), Word::Silent),
            (Word::Servfail, silent(), Word::Silent),
            (Word::Servfail, knows(), Word::Servfail),
            (Word::Nxdomain, knows(), Word::Nxdomain),
            (Word::Empty, knows(), Word::Empty),
            (Word::Failed, silent(), Word::Failed),
            (Word::Ok, Reason::default(), Word::Ok),
        ] {
            let seen = explained(told(word), reason.clone());
            assert_eq!((seen.word, &seen.servers), (expected, &reason.words), "{word:?}");
            assert_eq!(seen.addresses.is_empty(), expected != Word::Late, "{word:?}");
        }
    }
}

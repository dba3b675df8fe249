//! The process that asks the host's resolver: a line for each name, in JSON. It is this program itself, started a second
//! time, since a module of the resolver may hang where only the end of its process ends it.
use std::ffi::OsString;
use std::io::Write as _;
use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;

use dns_lookup::{AddrInfoHints, LookupErrorKind, SockType, getaddrinfo};
use nix::libc;
use serde::{Deserialize, Serialize};

/// The first argument of such a process; names follow.
pub(super) const VERB: &str = "--resolve-names";
/// Whoever asked waits for a shorter time; where that is gone, this ends the process, seconds.
const LIFE_S: u32 = 15;
/// Further names are not asked for.
const MOST_NAMES: usize = 16;

/// What the resolver said of one name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) name: String,
    /// 0, or an `EAI_` number.
    pub(super) code: i32,
    /// The system's error behind `EAI_SYSTEM`.
    pub(super) system: Option<String>,
    /// In the resolver's order.
    pub(super) addresses: Vec<IpAddr>,
}

/// Does the work of a process that was started to ask for names; `None`: this one was not. A program that looks with a
/// [`crate::ProbeRunner`] calls it before anything else.
pub fn serve(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    args.next().filter(|first| first == VERB)?;
    let names: Vec<String> = args.take(MOST_NAMES).filter_map(|name| name.into_string().ok()).collect();
    nix::unistd::alarm::set(LIFE_S);
    // For whoever lists processes: it was started as /proc/self/exe.
    let _ = nix::sys::prctl::set_name(c"wbd-names");
    let out = Mutex::new(std::io::stdout());
    thread::scope(|scope| {
        for name in &names {
            scope.spawn(|| {
                let line = serde_json::to_string(&ask(name)).unwrap_or_default() + "\n";
                // Nobody there to hear it is no trouble of ours.
                let _ = out.lock().map(|mut out| out.write_all(line.as_bytes()).and_then(|()| out.flush()));
            });
        }
    });
    Some(ExitCode::SUCCESS)
}

/// As most programs ask: for connections, of the families that this host has addresses of. Where only another family
/// has one (a name of 127.0.0.0/8 on a host whose network is IPv6), the programs that ask for all families get it.
fn ask(name: &str) -> Line {
    let line = ask_for(name, libc::AI_ADDRCONFIG);
    let of_other_families = || Some(ask_for(name, 0)).filter(|line| line.code == 0);
    match line.code {
        libc::EAI_NODATA => of_other_families().unwrap_or(line),
        _ => line,
    }
}

fn ask_for(name: &str, flags: i32) -> Line {
    let hints = AddrInfoHints { flags, socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let mut line = Line { name: name.to_owned(), code: 0, system: None, addresses: Vec::new() };
    match getaddrinfo(Some(name), None, Some(hints)) {
        Ok(found) => {
            for address in found.flatten().map(|info| info.sockaddr.ip()) {
                if !line.addresses.contains(&address) {
                    line.addresses.push(address);
                }
            }
        }
        Err(error) => {
            let is_of_system = matches!(error.kind(), LookupErrorKind::System | LookupErrorKind::IO);
            line.code = if error.error_num() == 0 { libc::EAI_FAIL } else { error.error_num() };
            line.system = is_of_system.then(|| error.to_string());
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_started_for_something_else_goes_on_with_that() {
        let args = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>().into_iter();
        assert!(serve(args(&[])).is_none());
        assert!(serve(args(&["doctor", VERB])).is_none());
    }

    #[test]
    fn the_real_resolver_answers_with_addresses_or_a_number() {
        let line = ask("127.0.0.1");
        assert_eq!((line.code, line.addresses), (0, vec![IpAddr::from([127, 0, 0, 1])]));
        let line = ask("a name with blanks");
        assert!(line.code < 0 && line.addresses.is_empty(), "{line:?}");
    }
}

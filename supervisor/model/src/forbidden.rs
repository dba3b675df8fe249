//! Which programs `command.run` never runs, and what to do instead. Judges names and arguments and looks at nothing, so
//! that loading, lint, doctor and the executor judge alike.
//!
//! It catches mistakes and is no wall: whoever writes a profile can put a shell line into a script of root's.
use std::path::Path;

use Instead::{Action, Code, Person, Script, Target};
use Where::{Anywhere, System};

/// Folders of the host's own programs. The words that some of them have for names are other programs elsewhere: a
/// vendor may call his own one `watch` or `shutdown`.
const FOLDERS: [&str; 8] =
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/usr/libexec", "/usr/lib/systemd"];
/// What a "script" there would be is what somebody types.
const NO_SCRIPTS: [&str; 2] = ["/dev/", "/proc/"];
/// How `find` runs another program.
const FIND_RUNS: [&str; 4] = ["-exec", "-execdir", "-ok", "-okdir"];

/// Where a name means the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Anywhere,
    System,
}

/// What is done instead of running it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    /// It is a shell.
    Script,
    /// It is an interpreter, and refused only where its code stands in its arguments.
    Code(Options),
    /// It runs another program.
    Target,
    /// It does what an action is for.
    Action { does: &'static str, action: &'static str },
    /// It does what no action is for.
    Person { does: &'static str },
}

/// How an interpreter reads its options: letters that bring code, that take a value, that name the script's file, and
/// long options that bring code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Options {
    code: &'static str,
    valued: &'static str,
    file: &'static str,
    long: &'static [&'static str],
}

/// Programs that are refused for the same reason. A name with `*` at its end stands for all that begin so; a version
/// behind a name (`python3.11`) says nothing else.
struct Family {
    at: Where,
    instead: Instead,
    names: &'static [&'static str],
}

const fn code(code: &'static str, valued: &'static str) -> Instead {
    Code(Options { code, valued, file: "", long: &["eval", "execute", "print", "run", "command"] })
}

/// The one list.
#[rustfmt::skip]
const FAMILIES: [Family; 17] = [
    Family { at: Anywhere, instead: Script, names: &[
        "sh", "bash", "rbash", "dash", "ash", "ksh", "ksh93", "lksh", "mksh", "pdksh", "zsh", "fish", "csh", "tcsh", "yash",
        "posh", "pwsh", "xonsh",
    ] },
    Family { at: Anywhere, instead: code("cm", "WXQ"), names: &["python*", "pypy*", "micropython"] },
    Family { at: Anywhere, instead: code("eE", "IMmF"), names: &["perl*"] },
    Family { at: Anywhere, instead: code("e", "IrCE"), names: &["ruby*", "jruby", "rbx"] },
    Family { at: Anywhere, instead: code("ep", "rC"), names: &["node", "nodejs", "deno", "bun", "Rscript", "julia", "elixir"] },
    Family { at: Anywhere, instead: code("rBRE", "cdzF"), names: &["php*"] },
    Family { at: Anywhere, instead: code("e", "l"), names: &["lua*", "luajit", "texlua", "groovy"] },
    Family { at: Anywhere, instead: code("c", "f"), names: &["tclsh*", "wish*", "expect"] },
    Family { at: Anywhere, instead: Code(Options { code: "e", valued: "Fvil", file: "fE", long: &["source"] }),
        names: &["awk", "gawk", "mawk", "nawk", "original-awk"] },
    Family { at: Anywhere, instead: Target, names: &[
        "env", "sudo", "su", "doas", "pkexec", "runuser", "setpriv", "nsenter", "unshare", "chroot", "timeout", "xargs", "nohup",
        "setsid", "nice", "ionice", "chrt", "taskset", "flock", "strace", "ltrace", "stdbuf", "prlimit", "capsh", "systemd-run",
        "systemd-nspawn", "systemd-inhibit", "start-stop-daemon", "daemonize", "busybox", "toybox", "ld.so", "ld-linux*",
        "ld-musl*", "run-parts", "dbus-run-session", "setarch", "runcon", "fakeroot", "bwrap", "firejail", "tini", "dumb-init",
        "chpst", "cgexec", "numactl", "unbuffer", "ssh", "lxc-attach", "machinectl", "choom", "newgrp",
    ] },
    Family { at: System, instead: Target, names: &[
        "script", "watch", "time", "at", "batch", "daemon", "parallel", "screen", "tmux", "sg", "linux32", "linux64", "rsh",
    ] },
    Family { at: System, instead: Person { does: "stops or restarts the machine" }, names: &[
        "reboot", "shutdown", "halt", "poweroff", "kexec", "init", "telinit", "systemd-shutdown", "rtcwake",
        "pm-suspend", "pm-hibernate",
    ] },
    Family { at: System, instead: Action { does: "manages services", action: "unit.restart" }, names: &[
        "systemctl", "service", "invoke-rc.d", "update-rc.d", "chkconfig", "initctl", "rc-service", "rc-update", "openrc",
    ] },
    Family { at: System, instead: Person { does: "changes packages" }, names: &[
        "apt", "apt-*", "aptitude", "dpkg", "dpkg-*", "dnf", "microdnf", "yum", "rpm", "rpm2*", "rpmbuild", "zypper", "snap",
        "flatpak", "apk", "pacman", "tdnf", "urpmi", "rpm-ostree", "unattended-upgrade", "unattended-upgrades", "pkcon",
        "emerge", "opkg", "transactional-update", "do-release-upgrade",
    ] },
    Family { at: System, instead: Person { does: "changes the packet filter" }, names: &[
        "nft", "iptables*", "ip6tables*", "xtables-*", "ebtables*", "arptables*", "ufw", "firewall-cmd", "firewall-offline-cmd",
        "ipset", "conntrack", "shorewall*", "ferm", "pfctl", "nfct", "bpfilter",
    ] },
    Family { at: System, instead: Person { does: "changes what is mounted" }, names: &[
        "mount", "mount.*", "umount", "umount.*", "swapon", "swapoff", "losetup", "fusermount*", "systemd-mount",
        "systemd-umount", "pivot_root", "switch_root",
    ] },
    Family { at: System, instead: Person { does: "changes a disk" }, names: &[
        "mkfs", "mkfs.*", "mke2fs", "mkswap", "wipefs", "fdisk", "sfdisk", "cfdisk", "parted", "gdisk", "sgdisk",
    ] },
];

/// What a program is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// `command.run`: the whole list holds.
    Act,
    /// It tells a version: what acts by its arguments alone is refused, and a package manager may be asked.
    Answer,
    /// It notifies a person: the administrator's own choice, but for shells.
    Notify,
}

/// Why this program is not run, and what to do; `None` if it may be.
///
/// `names` are the paths under which it is known: as it is written and, where somebody could look, the file behind its
/// links, both below the root of the host.
#[must_use]
pub fn why<'a>(purpose: Purpose, names: impl IntoIterator<Item = &'a Path>, args: &[String]) -> Option<String> {
    names.into_iter().find_map(|path| of_name(purpose, path, args))
}

/// Whether this program serves many others, as a shell or an interpreter does: that it is there says nothing of a product.
#[must_use]
pub fn is_shared(program: &Path) -> bool {
    let is_java = program.file_name().is_some_and(|name| name == "java");
    is_java
        || family(program).is_some_and(|family| match family.instead {
            Script | Code(_) | Target => true,
            Action { .. } | Person { .. } => false,
        })
}

fn of_name(purpose: Purpose, path: &Path, args: &[String]) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let runs_others = name == "find" && args.iter().any(|argument| FIND_RUNS.contains(&argument.as_str()));
    let instead = if runs_others { Target } else { family(path)?.instead };
    let holds = match instead {
        Script => true,
        Code(_) | Target => purpose != Purpose::Notify,
        Action { .. } | Person { .. } => purpose == Purpose::Act,
    };
    if !holds {
        return None;
    }
    match instead {
        Script => Some(format!(
            "{name} is a shell: name the script itself by its absolute path, its line #! says what runs it"
        )),
        Code(options) => in_arguments(options, args).then(|| {
            format!(
                "{name} would take its code from its arguments or its input: \
                 put it into a script of root's and name that by its absolute path"
            )
        }),
        Target => Some(format!("{name} runs another program: name that one by its absolute path")),
        Action { does, action } => Some(format!("{name} {does}: the action for it is {action}")),
        Person { does } => {
            Some(format!("{name} {does}: no action of this release does that; write it into the guide, for a person"))
        }
    }
}

/// The family that a program belongs to.
fn family(path: &Path) -> Option<&'static Family> {
    let name = path.file_name()?.to_str()?;
    let is_system = path.parent().and_then(Path::to_str).is_some_and(|folder| FOLDERS.contains(&folder));
    FAMILIES.iter().find(|family| {
        let here = match family.at {
            Anywhere => true,
            System => is_system,
        };
        here && family.names.iter().any(|known| is_called(name, known))
    })
}

/// Whether `name` is the known one, with or without a version behind it.
fn is_called(name: &str, known: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    match known.strip_suffix('*') {
        // A version, a variant behind '-', or nothing: pythonista is another program.
        Some(stem) => name.strip_prefix(stem).is_some_and(|rest| {
            stem.ends_with(['-', '.', '2']) || !rest.starts_with(|c: char| c.is_ascii_alphabetic())
        }),
        None => name == known || (bare == known && !bare.is_empty()),
    }
}

/// Whether an interpreter is given code, or no script that it could take it from.
fn in_arguments(options: Options, args: &[String]) -> bool {
    let mut args = args.iter().map(String::as_str);
    while let Some(argument) = args.next() {
        if let Some(long) = argument.strip_prefix("--") {
            if long.is_empty() {
                return !args.next().is_some_and(is_script);
            }
            let name = argument.split('=').next().unwrap_or_default();
            if options.long.contains(&name) {
                return true;
            }
            continue;
        }
        let Some(letters) = argument.strip_prefix('-').filter(|letters| !letters.is_empty()) else {
            // An awk whose program is no file has it here.
            return !options.file.is_empty() || !is_script(argument);
        };
        for (at, letter) in letters.char_indices() {
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            if options.code.contains(letter) {
                return true;
            }
            if options.file.contains(letter) {
                return !(if rest.is_empty() { args.next().is_some_and(is_script) } else { is_script(rest) });
            }
            if options.valued.contains(letter) {
                if rest.is_empty() {
                    args.next();
                }
                break;
            }
            // `-F:`, `-i.bak`: what follows is no option.
            if !letter.is_ascii_alphanumeric() {
                break;
            }
        }
    }
    true
}

fn is_script(argument: &str) -> bool {
    argument.starts_with('/') && !NO_SCRIPTS.iter().any(|folder| argument.starts_with(folder))
}

#[cfg(test)]
#[path = "forbidden_tests.rs"]
mod tests;

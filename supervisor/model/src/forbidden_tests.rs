//! What `command.run` does not run, each with its twin that it does.
use std::path::Path;

use super::*;

fn said(argv: &[&str]) -> Option<String> {
    let args: Vec<String> = argv.iter().skip(1).map(|&argument| argument.to_owned()).collect();
    why(Purpose::Act, [Path::new(argv[0])], &args)
}

#[track_caller]
fn refused(argv: &[&str], remedy: &str) {
    let said = said(argv).unwrap_or_else(|| panic!("{argv:?} would be run"));
    assert!(said.contains(remedy), "{argv:?}: {said}");
}

#[track_caller]
fn run(argv: &[&str]) {
    assert_eq!(said(argv), None, "{argv:?}");
}

#[test]
fn a_shell_is_refused_with_and_without_inline_code_and_a_script_of_its_own_is_run() {
    for shell in ["/bin/sh", "/usr/bin/bash", "/bin/dash", "/opt/vendor/ksh93", "/usr/bin/bash5.2", "/bin/zsh"] {
        for args in [&["-c", "reboot"][..], &["-ec", "x"], &["/opt/vendor/fix.sh"], &["-s"], &[]] {
            refused(&[&[shell], args].concat(), "is a shell: name the script itself");
        }
    }
    run(&["/etc/iscan/S99ISftp", "restart"]);
    run(&["/opt/vendor/fix.sh", "-c", "reboot"]);
    run(&["/opt/vendor/bash-completion", "-c"]);
}

#[test]
fn an_interpreter_is_refused_with_inline_code_and_runs_a_script_by_its_absolute_path() {
    let inline: [&[&str]; 22] = [
        &["/usr/bin/python3", "-c", "import os"],
        &["/usr/bin/python3.11", "-Ic", "import os"],
        &["/usr/bin/python3", "-W", "ignore", "-m", "http.server"],
        &["/usr/bin/python3", "-", "/opt/x.py"],
        &["/usr/bin/python3", "/dev/stdin"],
        &["/usr/bin/python3", "/proc/self/fd/0"],
        &["/usr/bin/python3", "fix.py"],
        &["/usr/bin/python3"],
        &["/opt/vendor/python/bin/python3", "-c", "x"],
        &["/usr/bin/perl", "-we", "system 'reboot'"],
        &["/usr/bin/perl5.36.0", "-E", "x", "/opt/x.pl"],
        &["/usr/bin/ruby3.1", "-ex"],
        &["/usr/bin/node", "--eval", "x"],
        &["/usr/bin/nodejs", "--eval=x"],
        &["/usr/bin/node", "-p", "1"],
        &["/usr/bin/php8.2", "-r", "x"],
        &["/usr/bin/php", "-d", "a=b", "-r", "x"],
        &["/usr/bin/lua5.4", "-e", "x"],
        &["/usr/bin/awk", "BEGIN{system(\"reboot\")}"],
        &["/usr/bin/gawk", "-F", ":", "{print}", "/etc/passwd"],
        &["/usr/bin/mawk", "-f", "-"],
        &["/usr/bin/perl", "-lne", "/x/ and system 'reboot'"],
    ];
    for argv in inline {
        refused(argv, "put it into a script of root's");
    }
    let scripts: [&[&str]; 12] = [
        &["/usr/bin/python3", "/opt/vendor/tool.py", "-c", "restart"],
        &["/usr/bin/python3", "-u", "-W", "ignore", "/opt/vendor/tool.py"],
        &["/usr/bin/python3", "-Wignore::DeprecationWarning", "/opt/vendor/tool.py"],
        &["/usr/bin/perl", "-I/opt/vendor/lib/perl5", "-MFile::Temp", "-w", "/opt/vendor/tool.pl", "-e"],
        &["/usr/bin/ruby", "-I", "lib", "/opt/vendor/tool.rb"],
        &["/usr/bin/node", "--max-old-space-size=512", "/opt/vendor/tool.js"],
        &["/usr/bin/php", "-d", "memory_limit=64M", "/opt/vendor/tool.php"],
        &["/usr/bin/awk", "-F:", "-f", "/opt/vendor/tool.awk", "/etc/passwd"],
        &["/usr/bin/perl", "--", "/opt/vendor/tool.pl"],
        &["/usr/bin/lua", "/opt/vendor/tool.lua"],
        &["/usr/bin/pythonista", "-c", "x"],
        &["/opt/vendor/perlbrew", "-e"],
    ];
    for argv in scripts {
        run(argv);
    }
}

#[test]
fn a_program_that_runs_others_is_refused() {
    let names = "env sudo su nsenter chroot timeout systemd-run xargs nohup setsid nice ionice flock strace unshare script \
                 watch busybox";
    for name in names.split_whitespace() {
        refused(
            &[&format!("/usr/bin/{name}"), "/opt/vendor/fix"],
            "runs another program: name that one by its absolute",
        );
    }
    refused(&["/usr/bin/find", "/tmp", "-name", "x", "-exec", "reboot", ";"], "runs another program");
    refused(&["/usr/bin/find", "/tmp", "-execdir", "reboot", ";"], "runs another program");
    refused(&["/lib64/ld-linux-x86-64.so.2", "/bin/sh"], "runs another program");
    run(&["/usr/bin/find", "/var/cache/vendor", "-name", "*.tmp", "-delete"]);
}

#[test]
fn what_an_action_is_for_is_refused_with_its_name_and_what_none_is_for_with_a_person() {
    let person = "no action of this release does that; write it into the guide, for a person";
    for name in ["reboot", "shutdown", "halt", "poweroff", "kexec"] {
        refused(&[&format!("/sbin/{name}")], "stops or restarts the machine");
        refused(&[&format!("/usr/sbin/{name}"), "-f"], person);
    }
    for name in ["apt", "apt-get", "apt-cache", "dpkg", "dnf", "yum", "rpm", "zypper", "snap"] {
        refused(&[&format!("/usr/bin/{name}"), "-y", "remove", "x"], &format!("changes packages: {person}"));
    }
    for name in ["nft", "iptables", "iptables-restore", "ip6tables-save", "ufw", "firewall-cmd", "ipset"] {
        refused(&[&format!("/usr/sbin/{name}"), "-F"], &format!("changes the packet filter: {person}"));
    }
    for name in ["mount", "umount", "mount.nfs"] {
        refused(&[&format!("/bin/{name}"), "/mnt"], &format!("changes what is mounted: {person}"));
    }
    for name in ["systemctl", "service", "invoke-rc.d", "chkconfig"] {
        refused(&[&format!("/usr/bin/{name}"), "restart", "nginx"], "the action for it is unit.restart");
    }
}

#[test]
fn a_vendors_own_program_may_have_a_hosts_word_for_a_name() {
    for name in ["shutdown", "service", "watch", "script", "mount", "at", "init"] {
        run(&[&format!("/opt/vendor/bin/{name}"), "now"]);
    }
    run(&["/etc/init.d/nginx", "restart"]);
    run(&["/usr/bin/killall", "-HUP", "isftpd"]);
    run(&["/usr/bin/environment", "x"]);
    run(&["/usr/sbin/sysctl", "-w", "net.core.somaxconn=1024"]);
    run(&["/usr/bin/docker", "restart", "vendor"]);
}

#[test]
fn the_file_behind_links_is_judged_like_the_name() {
    let behind =
        |written: &str, real: &str| why(Purpose::Act, [Path::new(written), Path::new(real)], &["now".to_owned()]);
    assert!(behind("/opt/vendor/fix", "/usr/bin/dash").unwrap().starts_with("dash is a shell"));
    assert!(behind("/opt/vendor/fix", "/usr/bin/systemctl").unwrap().contains("unit.restart"));
    assert!(
        behind("/sbin/reboot", "/usr/bin/systemctl").unwrap().starts_with("reboot stops"),
        "the written name first"
    );
    assert_eq!(behind("/opt/vendor/fix", "/opt/vendor/9.5/fix"), None);
}

#[test]
fn a_program_that_is_only_asked_may_be_a_package_manager_and_no_shell() {
    let judged = |purpose: Purpose, argv: &[&str]| {
        let args: Vec<String> = argv.iter().skip(1).map(|&argument| argument.to_owned()).collect();
        why(purpose, [Path::new(argv[0])], &args)
    };
    let asked = |argv: &[&str]| judged(Purpose::Answer, argv);
    assert_eq!(asked(&["/usr/bin/rpm", "-q", "--qf", "%{VERSION}", "vendor"]), None);
    assert_eq!(asked(&["/usr/sbin/nft", "--version"]), None);
    assert_eq!(asked(&["/usr/sbin/nginx", "-v"]), None);
    assert!(asked(&["/bin/sh", "-c", "rpm -q vendor"]).unwrap().contains("is a shell"));
    assert!(asked(&["/usr/bin/env", "nginx"]).unwrap().contains("runs another program"));
    // Whom to notify is the administrator's own choice.
    assert_eq!(judged(Purpose::Notify, &["/usr/bin/sudo", "-u", "notify", "/opt/page"]), None);
    assert_eq!(judged(Purpose::Notify, &["/usr/bin/systemctl", "start", "page.service"]), None);
    assert!(judged(Purpose::Notify, &["/bin/sh", "-c", "mail root"]).unwrap().contains("is a shell"));
}

#[test]
fn no_name_stands_in_the_table_twice() {
    let mut names: Vec<&str> = FAMILIES.iter().flat_map(|family| family.names.iter().copied()).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

//! A failure goes by its neutral code or a vendor's, whichever a person types, and a guide shows what can be typed here.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
mod files;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use files::put;

const ENDPOINT_TCP: &str = include_str!("../../../playbooks/endpoint-tcp.yaml");

fn wbdctl(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wbdctl"));
    command.arg("--root").arg(root).args(args).env_clear().stdin(Stdio::null());
    command.output().unwrap()
}

fn json(root: &Path, args: &[&str]) -> Value {
    let output = wbdctl(root, &[&["-o", "json"], args].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A host with a product whose service is at a port that nobody listens on (tcpmux); the product's profile has these lines of its own.
fn host(lines: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "usr/lib/wbd/playbooks/endpoint-tcp.yaml", ENDPOINT_TCP);
    let profile = format!(
        "apiVersion: wbd/v1\nkind: Profile\nmetadata: {{name: shop}}\nspec:\n  present: {{any: [{{file: /etc/shop}}]}}\n  \
         endpoints: [{{host: 127.0.0.1, ports: [1]}}]\n{lines}"
    );
    put(root.path(), "etc/wbd/playbooks.d/shop.yaml", &profile);
    put(root.path(), "etc/shop", "");
    root
}

/// The codes of doctor's checks of the product, where only these are asked for.
fn checked(root: &Path, only: &[&str]) -> Vec<(String, String)> {
    let report = json(root, &[&["doctor"], only].concat());
    let rows = report["checks"].as_array().unwrap().iter();
    let of_shop = rows.filter(|row| row["target"].as_str().is_some_and(|target| target.starts_with("shop/")));
    let word = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    of_shop.map(|row| (word(row, "code"), word(row, "verdict"))).collect()
}

fn fails(code: &str) -> Vec<(String, String)> {
    vec![(code.to_owned(), "fail".to_owned())]
}

#[test]
fn a_site_product_has_no_vendors_code_and_is_found_by_either() {
    let root = host("");
    assert_eq!(checked(root.path(), &[]), fails("NET-TCP"));
    for only in ["NET-TCP", "AEGIS-TCP"] {
        assert_eq!(checked(root.path(), &["--only", only]), fails("NET-TCP"), "{only}");
        assert_eq!(checked(root.path(), &["--skip", only]), [], "{only}");
    }
    // Twins: another failure's code, and a profile that gives the vendor's.
    assert_eq!(checked(root.path(), &["--only", "AEGIS-NET"]), []);
    let root = host("  codes: {endpoint-tcp: AEGIS-TCP}\n");
    for only in ["NET-TCP", "AEGIS-TCP"] {
        assert_eq!(checked(root.path(), &["--only", only]), fails("AEGIS-TCP"), "{only}");
    }
}

#[test]
fn both_codes_are_explained_and_each_names_the_other() {
    let root = tempfile::tempdir().unwrap();
    for (code, other) in [
        ("NET-DNS", "AEGIS-DNS"),
        ("AEGIS-DNS", "NET-DNS"),
        ("NET-NAME", "AEGIS-NET"),
        ("NET-TCP", "AEGIS-TCP"),
        ("NET-FW", "AEGIS-FW"),
        ("HOST-FDLEAK", "IWSS-FTPLEAK, IWSS-HTTPLEAK"),
    ] {
        let output = wbdctl(root.path(), &["explain", code]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.starts_with(code), "{text}");
        assert!(text.contains(&format!("Other codes of the same failure: {other}")), "{code}: {text}");
    }
    let own = String::from_utf8(wbdctl(root.path(), &["explain", "WBD-6007"]).stdout).unwrap();
    assert!(!own.contains("Other codes"), "{own}");
}

#[test]
fn a_step_is_shown_only_where_its_program_is() {
    let root = host("");
    let guide = || {
        let report = json(root.path(), &["doctor"]);
        let causes = report["causes"].as_array().unwrap();
        let cause = causes.iter().find(|cause| cause["code"] == "NET-TCP").expect("it refuses");
        let lines = cause["guide"].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    let without = guide();
    assert!(!without.is_empty() && !without.iter().any(|line| line.contains("nc -vz")), "{without:?}");
    put(root.path(), "usr/bin/nc", "");
    let with = guide();
    assert_eq!(with.len(), without.len() + 1, "{with:?}");
    assert!(with[0].contains("nc -vz -w 5 127.0.0.1"), "{with:?}");
}

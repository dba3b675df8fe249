//! Made-up crates: which file is found to name which, and which circles are found. Each circle has a twin without one.
use super::{Import, circles, imports};

fn read(files: &[(&str, &str)]) -> Vec<Import> {
    let load = |path: &str| files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned());
    imports("src/lib.rs", &load).unwrap()
}

/// `from:line to`, the folder left out.
fn arrows(files: &[(&str, &str)]) -> Vec<String> {
    let short = |file: &str| file.trim_start_matches("src/").to_owned();
    read(files).iter().map(|it| format!("{}:{} {}", short(&it.from), it.line, short(&it.to))).collect()
}

/// A crate of `a` and `b` with these texts.
fn pair(a: &str, b: &str) -> Vec<String> {
    arrows(&[("src/lib.rs", "mod a;\nmod b;"), ("src/a.rs", a), ("src/b.rs", b)])
}

#[test]
fn a_circle_of_files_is_found_and_told_with_its_lines() {
    let lib = ("src/lib.rs", "mod a;\nmod b;\nmod c;");
    let c = ("src/c.rs", "fn g() {\n    crate::a::f();\n}\npub struct C;");
    let round =
        read(&[lib, ("src/a.rs", "use crate::b::B;\npub fn f() {}"), ("src/b.rs", "pub struct B(super::c::C);"), c]);
    let found = circles(&round);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        found[0].to_string(),
        "a circle of 3 files (src/a.rs, src/b.rs, src/c.rs); one way round:\n  \
         src/a.rs:1 names crate::b::B, which stands in src/b.rs\n  \
         src/b.rs:1 names super::c::C, which stands in src/c.rs\n  \
         src/c.rs:2 names crate::a::f, which stands in src/a.rs\n"
    );
    // Twin: the same without the way back.
    let line = read(&[lib, ("src/a.rs", "use crate::b::B;\npub fn f() {}"), ("src/b.rs", "pub struct B;"), c]);
    assert_eq!(line.len(), 2);
    assert_eq!(circles(&line), []);
}

#[test]
fn two_circles_are_two_and_a_file_that_leads_into_one_is_in_none() {
    let found = circles(&read(&[
        ("src/lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
        ("src/a.rs", "use crate::b::B;"),
        ("src/b.rs", "use crate::a::A;"),
        ("src/c.rs", "use crate::d::D;"),
        ("src/d.rs", "use crate::c::C;"),
        ("src/e.rs", "use crate::{a::A, c::C};"),
    ]));
    let files: Vec<Vec<&str>> = found.iter().map(|it| it.files.iter().map(String::as_str).collect()).collect();
    assert_eq!(files, [["src/a.rs", "src/b.rs"], ["src/c.rs", "src/d.rs"]]);
}

#[test]
fn every_way_to_name_another_file_is_found() {
    for text in [
        "use crate::b; fn f() { b::f(); }",
        "use crate::{b as d}; fn f() { d::f(); }",
        "use crate::b::{self}; fn f(_: b::X) {}",
        "use crate::{b::{Y as Z}};",
        "use crate::b::*;",
        "pub(crate) use super::b::X as Y;",
        "use self::super::b::X;",
        "fn f() { crate::b::f(); }",
        "fn f() { use super::b::X; }",
        "fn f() -> Vec<crate::b::X> { vec![] }",
        "fn f() { println!(\"{}\", super::b::X); }",
        "macro_rules! m { () => { $crate::b::X }; }",
        "#[serde(with = \"crate::b::pairs\")]\nstruct X;",
        "#[cfg(not(test))] use crate::b::X;",
        "mod inside { use super::super::b::X; }",
        "#[derive(Debug)] struct S { #[cfg(test)] left: u8, right: crate::b::X }",
    ] {
        assert_eq!(pair(text, ""), ["a.rs:1 b.rs"], "{text}");
    }
}

#[test]
fn what_only_looks_like_an_import_and_what_is_for_tests_is_none() {
    for text in [
        "// use crate::b::X;\n/* crate::b::X */\n/// See [`crate::b::X`].\nstruct S;",
        "const TEXT: &str = \"crate::b::X\";",
        "const TEXT: &str = r#\"use crate::b::X;\"#;",
        "use crate::b; use super::{b as d, b::{self as e}};",
        "use std::b::X; use other::b::X; use ::b::X;",
        "fn f() { b::f(); T::b::f(); <T as U>::b::f(); }",
        "pub(in crate::b) struct S;",
        "#[cfg(test)] use crate::b::X;",
        "#[cfg(test)]\nmod tests { use crate::b::X; }",
        "#[cfg(all(test, unix))] fn f<A, B>() { crate::b::f() }",
        "#[cfg(test)] #[allow(unused)] pub(crate) const fn f() -> u8 { crate::b::N }",
        "#[cfg(test)] const X: crate::b::X = crate::b::X { n: 1 };",
        "#![cfg(test)]\nuse crate::b::X;",
        "mod inside { pub struct X; }\nuse inside::X; fn f() { self::inside::X; }",
    ] {
        assert_eq!(pair(text, ""), Vec::<String>::new(), "{text}");
    }
    // Twin: what follows a part for tests counts again.
    let after = "#[cfg(test)]\nuse crate::b::X;\n#[cfg(test)]\nfn f() {}\nuse crate::b::Y;";
    assert_eq!(pair(after, ""), ["a.rs:5 b.rs"]);
}

#[test]
fn a_name_that_was_brought_in_leads_on_to_where_it_stands() {
    let files = |a: &'static str| {
        [
            ("src/lib.rs", "mod a;\nmod room;\npub use room::Thing;"),
            ("src/a.rs", a),
            (
                "src/room/mod.rs",
                "pub mod inner;\nmod thing;\npub use thing::Thing;\npub fn own() {}\npub use std::fmt;",
            ),
            ("src/room/inner.rs", "pub fn f() {}"),
            ("src/room/thing.rs", "pub struct Thing;"),
        ]
    };
    let of_a = |text| arrows(&files(text)).into_iter().filter(|it| it.starts_with("a.rs")).collect::<Vec<_>>();
    assert_eq!(of_a("use crate::room::Thing;"), ["a.rs:1 room/thing.rs"], "a signpost in the room");
    assert_eq!(of_a("use crate::Thing;"), ["a.rs:1 room/thing.rs"], "two of them");
    assert_eq!(of_a("use crate::room::own;"), ["a.rs:1 room/mod.rs"], "what stands there itself");
    assert_eq!(of_a("use crate::room::fmt;"), Vec::<String>::new(), "it leads out of the crate");
    assert_eq!(
        of_a("use crate::room as r;\nfn f() { r::inner::f(); }"),
        ["a.rs:2 room/inner.rs"],
        "a path that goes on from what was brought in"
    );
    assert_eq!(of_a("use a as b;\nuse b as a;\nfn f() { a::x(); }"), Vec::<String>::new(), "names in a circle end");
}

#[test]
fn a_child_that_names_what_stands_in_its_parents_file_makes_a_circle_with_it() {
    let parent = |own: &str| format!("mod child;\npub use child::f;\n{own}");
    let with = |parent: &str, more: &[(&str, &str)]| {
        let mut files = vec![("src/lib.rs", "mod p;"), ("src/p.rs", parent)];
        files.extend_from_slice(more);
        circles(&read(&files)).len()
    };
    let child = ("src/p/child.rs", "use super::Item;\npub fn f(_: Item) {}");
    assert_eq!(with(&parent("pub struct Item;"), &[child]), 1);
    // Twins: the thing stands in a file of its own; the parent only declares the child.
    let own = "mod item;\npub use item::Item;";
    assert_eq!(with(&parent(own), &[child, ("src/p/item.rs", "pub struct Item;")]), 0);
    assert_eq!(with("pub mod child;\npub struct Item;", &[child]), 0);
}

#[test]
fn files_lie_where_the_compiler_looks_for_them() {
    let files = [
        ("src/lib.rs", "mod a;\n#[path = \"odd.rs\"]\nmod c;\nmod in_text { mod deep; }"),
        ("src/a/mod.rs", "mod b;"),
        ("src/a/b.rs", "mod d;\nuse crate::c::X;"),
        ("src/a/b/d.rs", "use super::super::super::in_text::deep::X;"),
        ("src/odd.rs", "pub struct X;"),
        ("src/in_text/deep.rs", "pub struct X;"),
    ];
    assert_eq!(arrows(&files), ["a/b.rs:2 odd.rs", "a/b/d.rs:1 in_text/deep.rs"]);
    let missing = imports("src/lib.rs", &|path| (path == "src/lib.rs").then(|| "mod gone;".to_owned()));
    assert_eq!(missing.unwrap_err(), "src/lib.rs: the file of `mod gone` is not there");
}

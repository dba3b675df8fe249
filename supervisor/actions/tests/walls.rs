//! What must not compile: a deed that was not permitted, not recorded, or is done twice.
#[test]
fn an_unguarded_or_unrecorded_deed_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/walls/*.rs");
}

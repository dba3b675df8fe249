//! Throwaway.
fn main() {
    let mut args = std::env::args().skip(1);
    let root = args.next().unwrap();
    let eyes = wbd_probes::Eyes::new(root);
    for probe in args {
        let probe: wbd_model::probe::Probe = serde_json::from_str(&probe).unwrap();
        let t = std::time::Instant::now();
        let seen = eyes.look(&probe);
        println!("{:?} {:?}", probe.name(), t.elapsed());
        for (k, v) in &seen.facts { println!("   {k} = {v:?}"); }
    }
}

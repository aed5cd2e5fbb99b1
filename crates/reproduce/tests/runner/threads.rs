use record::{Results, Tier};

#[test]
fn results_are_bit_identical_with_one_two_and_four_threads() {
    let outcomes = ["1", "2", "4"].map(|threads| {
        let results = tempfile::tempdir().unwrap();
        super::succeed(super::runner(
            results.path(),
            &["all", "smoke", "--only", "a01,a02", "--threads", threads],
        ));
        let stored = Results::new(results.path(), Tier::Smoke, 0);
        let figure = std::fs::read(results.path().join("smoke/a01_circle_intersection/A-x02.svg"));
        let picture = std::fs::read(results.path().join("smoke/a01_circle_intersection/A-x02.png"));
        let hashes = ["a01_circle_intersection", "a02_beta_fits"]
            .map(|id| stored.record(id).unwrap().unwrap().result_hash().unwrap());
        (hashes, figure.unwrap(), picture.unwrap())
    });
    assert_eq!(outcomes[0].0, outcomes[1].0);
    assert_eq!(outcomes[0].0, outcomes[2].0);
    assert!(outcomes.iter().all(|outcome| outcome.1 == outcomes[0].1), "an SVG differs");
    assert!(outcomes.iter().all(|outcome| outcome.2 == outcomes[0].2), "a PNG differs");
}

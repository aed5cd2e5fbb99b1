use super::*;

const PARENTS: [Option<u32>; 4] = [None, Some(0), Some(0), None];

/// Four rows with the parent (one of them with each part) and one without; latents: main, part 1, part 2, and another.
fn of(codes: &[Vec<(u32, f32)>], decoder: Vec<f32>) -> Absorption {
    let explained = Explained {
        x: &Matrix::from_rows(5, 2, vec![3., 1., 3., 1., 3., 1., -2., 1., 3., 1.]).unwrap(),
        center: &[1.0; 2],
        codes: &Codes::from_rows(4, codes).unwrap(),
        decoder: &Matrix::from_rows(4, 2, decoder).unwrap(),
        concepts: &ConceptSets::from_rows(
            4,
            &[vec![0], vec![0, 1], vec![0, 2], vec![0, 1], vec![3]],
        )
        .unwrap(),
    };
    let parent = Parent { concept: 0, main: &[0], direction: &[5.0, 0.0] };
    let concept_of = [Some(0), Some(1), Some(2), Some(3)];
    absorption(explained, parent, &concept_of, &PARENTS, AbsorptionRule::SAE_BENCH).unwrap()
}

#[test]
fn known_rows_have_known_absorption() {
    // T is 2 in three rows with the parent; in the fourth it is negative, which is left out.
    let decoder = vec![1., 0., 0.6, 0.8, 0.6, 0.8, 0., 1.];
    // Main as it should be.
    let clean = [vec![(0, 2.0)], vec![(0, 2.0)], vec![(0, 2.0)], vec![(1, 9.0)], vec![(1, 9.0)]];
    let found = of(&clean, decoder.clone());
    assert_eq!(
        (found.n_rows, found.n_silent, found.full(), found.fraction()),
        (3, 0, Some(0.0), Some(0.0))
    );
    // Row 1: its part alone, q = 1.2. Row 2: main 1.0 beside its part, q = 1.2: the fraction is 1.2/2.2.
    let absorbed = [vec![(0, 2.0)], vec![(1, 2.0)], vec![(0, 1.0), (2, 2.0)], vec![], vec![]];
    let found = of(&absorbed, decoder.clone());
    assert_eq!((found.n_silent, found.n_full), (1, 1));
    assert!((found.fractions - (1.0 + 1.2 / 2.2)).abs() < 1e-7, "{}", found.fractions);
    // The same latents in each other's rows are no parts that are there.
    let wrong = [vec![(0, 2.0)], vec![(2, 2.0)], vec![(0, 1.0), (1, 2.0)], vec![], vec![]];
    let found = of(&wrong, decoder.clone());
    assert_eq!((found.n_silent, found.n_full, found.fractions), (1, 0, 0.0));
    // Too small a share of T: q = 0.78 of 2, and one that is just enough.
    let weak = [vec![(0, 2.0)], vec![(1, 1.3)], vec![(2, 1.34)], vec![], vec![]];
    let found = of(&weak, decoder.clone());
    assert_eq!((found.n_silent, found.n_full, found.fractions), (2, 1, 1.0));
    // Another latent contributes more.
    let mut other = decoder.clone();
    other[6] = 1.0;
    let found =
        of(&[vec![(0, 2.0)], vec![(1, 2.0), (3, 1.5)], vec![(0, 2.0)], vec![], vec![]], other);
    assert_eq!((found.n_full, found.fractions), (0, 1.0));
    // A cosine between the two thresholds: 0.05 absorbs fully, and no fraction.
    let flat = vec![1., 0., 0.05, 1.0, 0.05, 1.0, 0., 1.];
    let found = of(&[vec![(0, 2.0)], vec![(1, 40.0)], vec![(0, 2.0)], vec![], vec![]], flat);
    assert_eq!((found.n_full, found.fractions), (1, 0.0));
}

/// Five equal parts of 0.3 beside a main latent: three of them absorb. Nothing is absorbed where the main latent makes
/// all of the projection, and a main latent that points away counts as nothing.
#[test]
fn only_the_largest_parts_absorb_and_only_what_is_left_over() {
    let part = Latent { along: 1.0, cosine: 0.5, below: Some(1), is_main: false };
    let main = Latent { along: 1.0, cosine: 1.0, below: None, is_main: true };
    let fraction = |of_main: f64, n: usize, total: f64| {
        let mut active = vec![(of_main, &main)];
        active.extend(std::iter::repeat_n((0.3, &part), n));
        let mut found = Absorption::default();
        found.add(&active, total, |concept| concept == 1, AbsorptionRule::SAE_BENCH);
        found.fraction().unwrap()
    };
    assert!((fraction(0.6, 5, 1.0) - 0.9 / 1.5).abs() < 1e-12);
    assert!((fraction(0.6, 2, 1.0) - 0.5).abs() < 1e-12);
    assert_eq!(fraction(0.6, 1, 1.0), 0.0);
    assert_eq!(fraction(1.0, 5, 1.0), 0.0);
    assert_eq!(fraction(-0.5, 5, 1.0), 1.0);
}

#[test]
fn parts_cover_what_the_whole_leaves_out() {
    let codes = Codes::from_rows(
        3,
        &[vec![(0, 1.0)], vec![(1, 1.0)], vec![(0, 1.0), (1, 1.0)], vec![(2, 1.0)]],
    );
    let concepts =
        ConceptSets::from_rows(4, &[vec![0], vec![0, 1], vec![0, 1], vec![0, 2]]).unwrap();
    let found = coverage(&codes.unwrap(), &concepts, &[Some(0), Some(1), None], &PARENTS).unwrap();
    assert_eq!(found[0], Coverage { n_rows: 4, by_own: 2, by_below: 2, by_any: 3 });
    assert_eq!(found[1], Coverage { n_rows: 2, by_own: 2, by_below: 0, by_any: 2 });
    assert_eq!(found[3], Coverage::default());
}

#[test]
fn an_unsplit_and_a_split_concept() {
    let found = splitting(&[Some(3), Some(1), Some(2), Some(2), Some(2)], &PARENTS).unwrap();
    assert_eq!(found[3], Splitting { own: 1, within: 1, n_concepts: 1, n_with_latent: 1 });
    assert_eq!(found[0], Splitting { own: 0, within: 4, n_concepts: 3, n_with_latent: 2 });
}

#[test]
fn what_does_not_fit_is_refused() {
    assert!(splitting(&[Some(4)], &PARENTS).is_err());
    assert!(splitting(&[None], &[Some(0)]).is_err());
    let codes = Codes::from_rows(1, &[vec![]]).unwrap();
    let concepts = ConceptSets::from_rows(1, &[vec![0]]).unwrap();
    assert!(coverage(&codes, &concepts, &[], &[None]).is_err());
    let x = Matrix::zeros(1, 1);
    let explained =
        Explained { x: &x, center: &[0.0], codes: &codes, decoder: &x, concepts: &concepts };
    let of = |main: &[u32], direction: &[f64]| {
        let parent = Parent { concept: 0, main, direction };
        absorption(explained, parent, &[None], &[None], AbsorptionRule::SAE_BENCH)
    };
    assert!(of(&[0], &[1.0]).is_ok_and(|found| found.full().is_none()));
    assert!(of(&[], &[1.0]).is_err() && of(&[1], &[1.0]).is_err());
    assert!(of(&[0], &[0.0]).is_err() && of(&[0], &[f64::NAN]).is_err() && of(&[0], &[]).is_err());
}

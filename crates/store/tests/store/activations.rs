//! What is written is what is read, and only by a reader who says the same.

use std::fs;

use store::{
    ActivationReader, ActivationWriter, BosRule, Capture, Dtype, Error, Hook, NewRows, NonFinite,
    Normalization, RowLayout, Rows,
};

use crate::{LAYOUT, append, capture, files, hook, numbers, provenance, write};

#[test]
fn every_type_and_every_length_is_read_as_it_was_written() {
    for dtype in [Dtype::F32, Dtype::F16, Dtype::Bf16] {
        // Less than a chunk, one chunk, a shard and a bit, whole shards, and more.
        for n in [1, 4, 13, 24, 30] {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), dtype, n);
            let reader = ActivationReader::open(folder.path(), &capture(dtype)).unwrap();
            assert_eq!(reader.n_rows(), n);
            let mut rows = Rows::default();
            for start in 0..=n {
                for end in start..=n {
                    reader.read(start..end, &mut rows).unwrap();
                    assert_eq!(rows.row_idx, (start..end).collect::<Vec<_>>());
                    let found = rows.tokens.iter().zip(&rows.positions).zip(&rows.documents);
                    let found: Vec<_> = found.map(|((t, p), d)| (*t, *p, *d)).collect();
                    assert_eq!(found, (start..end).map(provenance).collect::<Vec<_>>());
                    assert_eq!(rows.hooks, [numbers(start..end, 0, 3), numbers(start..end, 1, 2)]);
                }
            }
            let past = reader.read(0..n + 1, &mut rows);
            assert!(matches!(past, Err(Error::Shape { expected, .. }) if expected == n));
        }
    }
}

#[test]
fn some_hooks_are_read_in_the_order_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Dtype::F32, 14);
    let mut rows = Rows::default();
    let mut wanted = capture(Dtype::F32);
    wanted.hooks.reverse();
    ActivationReader::open(folder.path(), &wanted).unwrap().read(3..9, &mut rows).unwrap();
    assert_eq!(rows.hooks, [numbers(3..9, 1, 2), numbers(3..9, 0, 3)]);
    wanted.hooks.pop();
    ActivationReader::open(folder.path(), &wanted).unwrap().read(3..9, &mut rows).unwrap();
    assert_eq!(rows.hooks, [numbers(3..9, 1, 2)]);
}

#[test]
fn a_store_describes_itself() {
    let folder = tempfile::tempdir().unwrap();
    let rules = [
        BosRule::Absent,
        BosRule::EachSequence { token: 0 },
        BosRule::EachDocument { token: u32::MAX },
    ];
    let forms =
        [Normalization::Raw, Normalization::Scaled { scale: 0.1 }, Normalization::LayerNorm];
    for (at, (bos, normalization)) in rules.into_iter().zip(forms).enumerate() {
        let hooks = vec![Hook { normalization, ..hook("hook", 1) }, hook("another", 2)];
        let stored = Capture { bos, hooks, ..capture(Dtype::Bf16) };
        let path = folder.path().join(at.to_string());
        let mut writer =
            ActivationWriter::create(&path, &stored, LAYOUT, NonFinite::Refuse).unwrap();
        let hooks: [&[f32]; 2] = [&[1.0], &[2.0, 3.0]];
        let rows = NewRows { tokens: &[5], positions: &[1], documents: &[0], hooks: &hooks };
        writer.append(rows).unwrap();
        writer.finish().unwrap();
        let described = ActivationReader::describe(&path).unwrap();
        assert_eq!((described.capture, described.n_rows, described.layout), (stored, 1, LAYOUT));
    }
}

#[test]
fn a_reader_with_another_setting_is_told_which() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), Dtype::F16, 5);
    let refused = |change: &dyn Fn(&mut Capture)| {
        let mut other = capture(Dtype::F16);
        change(&mut other);
        match ActivationReader::open(folder.path(), &other).unwrap_err() {
            Error::Mismatch { field, expected, found, .. } => (field, expected, found),
            other => panic!("{other}"),
        }
    };
    let told = |field: &str, expected: &str, found: &str| {
        (field.to_owned(), expected.to_owned(), found.to_owned())
    };
    let (a, b, c, d) = ("a".repeat(64), "b".repeat(64), "c".repeat(64), "d".repeat(64));
    assert_eq!(refused(&|it| it.model_sha256.clone_from(&d)), told("model_sha256", &d, &a));
    assert_eq!(refused(&|it| it.tokenizer_sha256.clone_from(&d)), told("tokenizer_sha256", &d, &b));
    assert_eq!(refused(&|it| it.text_sha256.clone_from(&d)), told("text_sha256", &d, &c));
    assert_eq!(refused(&|it| it.dtype = Dtype::Bf16), told("dtype", "bf16", "f16"));
    assert_eq!(
        refused(&|it| it.bos = BosRule::EachSequence { token: 0 }),
        told("bos", "EachSequence { token: 0 }", "EachSequence { token: 1 }")
    );
    assert_eq!(
        refused(&|it| it.hooks[1].name = "ln_final".to_owned()),
        told("hooks", "ln_final", "blocks.0.resid_post, blocks.1.resid_post")
    );
    assert_eq!(
        refused(&|it| it.hooks[1].width = 4),
        told("width of hooks/blocks.1.resid_post", "4", "2")
    );
    assert_eq!(
        refused(&|it| it.hooks[0].normalization = Normalization::LayerNorm),
        told("normalization of hooks/blocks.0.resid_post", "LayerNorm", "Raw")
    );
}

#[test]
fn a_resumed_writer_makes_the_same_bytes() {
    let whole = tempfile::tempdir().unwrap();
    write(whole.path(), Dtype::F16, 40);
    // Dropped before the first shard is complete, at its end, and within later ones.
    for stop in [0, 5, 12, 13, 25, 39] {
        let folder = tempfile::tempdir().unwrap();
        let begin = |resume: bool| {
            let open = if resume { ActivationWriter::resume } else { ActivationWriter::create };
            open(folder.path(), &capture(Dtype::F16), LAYOUT, NonFinite::Refuse).unwrap()
        };
        let mut writer = begin(false);
        append(&mut writer, 0..stop).unwrap();
        drop(writer);
        let unfinished = ActivationReader::open(folder.path(), &capture(Dtype::F16));
        match unfinished.unwrap_err() {
            Error::Unfinished { n_shards, .. } => assert_eq!(n_shards as u64, stop / 12),
            other => assert!(stop == 0 && matches!(other, Error::Foreign { .. }), "{other}"),
        }
        let mut writer = begin(true);
        assert_eq!(writer.n_rows(), stop / 12 * 12);
        append(&mut writer, stop / 12 * 12..40).unwrap();
        writer.finish().unwrap();
        let (found, expected) = (files(folder.path()), files(whole.path()));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.0, expected.0);
            assert!(found.1 == expected.1, "{} differs, stopped at {stop}", found.0);
        }
    }
}

#[test]
fn rows_that_cannot_be_stored_are_refused_and_nothing_of_them_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let stored = Capture { hooks: vec![hook("hook", 2)], ..capture(Dtype::F16) };
    let mut writer =
        ActivationWriter::create(folder.path(), &stored, LAYOUT, NonFinite::Refuse).unwrap();
    let rows = |hooks| NewRows { tokens: &[1, 2], positions: &[0, 1], documents: &[0, 0], hooks };
    writer.append(rows(&[&[1.0, 2.0, 3.0, 4.0]])).unwrap();
    let too_large = writer.append(rows(&[&[1.0, 2.0, 3.0, 70000.0]])).unwrap_err();
    assert!(matches!(
        too_large,
        Error::NonFinite { row: 3, column: 1, value: 70000.0, dtype: "f16", ref hook } if hook == "hook"
    ));
    let nan = writer.append(rows(&[&[f32::NAN, 2.0, 3.0, 4.0]])).unwrap_err();
    assert!(matches!(nan, Error::NonFinite { row: 2, column: 0, .. }));
    assert!(matches!(
        writer.append(rows(&[&[1.0; 3]])),
        Err(Error::Shape { expected: 4, got: 3, .. })
    ));
    assert!(matches!(writer.append(rows(&[])), Err(Error::Shape { expected: 1, got: 0, .. })));
    let uneven = NewRows { positions: &[0], ..rows(&[&[1.0; 4]]) };
    assert!(matches!(writer.append(uneven), Err(Error::Shape { expected: 2, got: 1, .. })));
    let uneven = NewRows { documents: &[0; 3], ..rows(&[&[1.0; 4]]) };
    assert!(matches!(writer.append(uneven), Err(Error::Shape { expected: 2, got: 3, .. })));
    assert_eq!(writer.n_rows(), 2);
    writer.finish().unwrap();
    let mut read = Rows::default();
    ActivationReader::open(folder.path(), &stored).unwrap().read(0..2, &mut read).unwrap();
    assert_eq!(read.hooks, [[1.0, 2.0, 3.0, 4.0]]);

    let folder = tempfile::tempdir().unwrap();
    let mut writer =
        ActivationWriter::create(folder.path(), &stored, LAYOUT, NonFinite::Keep).unwrap();
    writer.append(rows(&[&[f32::NAN, f32::INFINITY, 70000.0, 4.0]])).unwrap();
    writer.finish().unwrap();
    ActivationReader::open(folder.path(), &stored).unwrap().read(0..2, &mut read).unwrap();
    assert!(read.hooks[0][0].is_nan());
    assert_eq!(read.hooks[0][1..], [f32::INFINITY, f32::INFINITY, 4.0]);
}

#[test]
fn the_rule_of_the_first_token_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let append = |bos, at: &str, tokens: &[u32], positions: &[u32], documents: &[u64]| {
        let stored = Capture { bos, hooks: vec![hook("hook", 1)], ..capture(Dtype::F32) };
        let path = folder.path().join(at);
        let mut writer =
            ActivationWriter::create(&path, &stored, LAYOUT, NonFinite::Refuse).unwrap();
        let numbers = vec![0.0; tokens.len()];
        // One row a call, so that the rule holds across calls.
        for at in 0..tokens.len() {
            let one = at..=at;
            let hooks: [&[f32]; 1] = [&numbers[one.clone()]];
            writer.append(NewRows {
                tokens: &tokens[one.clone()],
                positions: &positions[one.clone()],
                documents: &documents[one],
                hooks: &hooks,
            })?;
        }
        Ok(())
    };
    // Sequences of two; the second begins within document 0, the third with document 1.
    let (positions, documents) = ([0, 1, 0, 1, 0, 1], [0, 0, 0, 0, 1, 1]);
    let sequence = BosRule::EachSequence { token: 0 };
    let document = BosRule::EachDocument { token: 0 };
    append(sequence, "1", &[0, 5, 0, 5, 0, 5], &positions, &documents).unwrap();
    append(document, "2", &[0, 5, 6, 5, 0, 5], &positions, &documents).unwrap();
    append(BosRule::Absent, "3", &[7, 5, 6, 5, 7, 5], &positions, &documents).unwrap();
    let broken = append(sequence, "4", &[0, 5, 6, 5, 0, 5], &positions, &documents);
    assert!(matches!(broken, Err(Error::Bos { row: 2, begins: "sequence", expected: 0, got: 6 })));
    let broken = append(document, "5", &[0, 5, 6, 5, 7, 5], &positions, &documents);
    assert!(matches!(broken, Err(Error::Bos { row: 4, begins: "document", expected: 0, got: 7 })));
    // Where the first token was dropped, positions begin at 1 and nothing is asked.
    append(sequence, "6", &[5, 6], &[1, 2], &[0, 0]).unwrap();
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut Capture, &mut RowLayout)| {
        let (mut capture, mut layout) = (capture(Dtype::F32), LAYOUT);
        change(&mut capture, &mut layout);
        let path = folder.path().join("store");
        match ActivationWriter::create(&path, &capture, layout, NonFinite::Refuse).err().unwrap() {
            Error::Setting { field, .. } => field,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refused(&|it, _| it.model_sha256.truncate(63)), "model_sha256");
    assert_eq!(refused(&|it, _| it.text_sha256 = "G".repeat(64)), "text_sha256");
    assert_eq!(refused(&|it, _| it.hooks.clear()), "hooks");
    assert_eq!(refused(&|it, _| it.hooks[1].name = it.hooks[0].name.clone()), "hooks");
    for name in ["", "a/b", "a b", "..", "ü", &"x".repeat(129)] {
        assert_eq!(refused(&|it, _| it.hooks[0].name = name.to_owned()), "name of a hook");
    }
    assert_eq!(refused(&|it, _| it.hooks[1].width = 0), "width of blocks.1.resid_post");
    for scale in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let change = |it: &mut Capture, _: &mut RowLayout| {
            it.hooks[0].normalization = Normalization::Scaled { scale };
        };
        assert_eq!(refused(&change), "scale of blocks.0.resid_post");
    }
    assert_eq!(refused(&|_, it| it.chunk_rows = 0), "chunk_rows");
    assert_eq!(refused(&|_, it| it.chunk_rows = usize::MAX), "chunk_rows");
    assert_eq!(refused(&|_, it| it.shard_chunks = 0), "shard_chunks");
    assert!(!folder.path().join("store").exists());
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none());
}

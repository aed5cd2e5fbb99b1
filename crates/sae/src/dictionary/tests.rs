use super::*;

fn parts(activation: Activation) -> Parts {
    let rows = Matrix::from_rows(3, 2, vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0]).unwrap();
    Parts {
        encoder: rows.clone(),
        decoder: rows,
        encoder_bias: vec![0.0, 0.5, 0.0],
        decoder_bias: vec![1.0, 0.0],
        activation,
        centers: true,
        skip: None,
        scaling: Scaling::None,
    }
}

fn dictionary(activation: Activation) -> Result<Dictionary> {
    Dictionary::new(parts(activation))
}

fn gated() -> Activation {
    Activation::Gated { scales: vec![2.0, 1.0, 1.0], magnitude_bias: vec![-1.0, -9.0, 0.0] }
}

#[test]
fn activations_differ_in_what_is_active() {
    let x = Matrix::from_rows(1, 2, vec![3.0, 1.0]).unwrap();
    let found = |activation: Activation| {
        let codes = dictionary(activation).unwrap().encode(&x).unwrap();
        let (latents, values) = codes.row(0);
        latents.iter().copied().zip(values.iter().copied()).collect::<Vec<_>>()
    };
    assert_eq!(found(Activation::Relu), [(0, 2.0), (1, 1.5)]);
    assert_eq!(found(Activation::TopK { k: 1 }), [(0, 2.0)]);
    assert_eq!(found(Activation::TopK { k: 3 }), [(0, 2.0), (1, 1.5)]);
    let thresholds = vec![2.0, 0.0, 0.0];
    assert_eq!(found(Activation::JumpRelu { thresholds }), [(1, 1.5)]);
    // Latent 0: 2·2 − 1; of latent 1 the gate is open, and 1 − 9 is below 0.
    assert_eq!(found(gated()), [(0, 3.0)]);
}

#[test]
fn without_a_center_activations_are_encoded_as_they_are() {
    let plain = Parts {
        encoder: Matrix::identity(2),
        decoder: Matrix::identity(2),
        encoder_bias: vec![0.0; 2],
        decoder_bias: vec![1.0; 2],
        centers: false,
        ..parts(Activation::Relu)
    };
    let plain = Dictionary::new(plain).unwrap();
    let codes = plain.encode(&Matrix::from_rows(1, 2, vec![1.0, 2.0]).unwrap()).unwrap();
    assert_eq!(codes.values(), [1.0, 2.0]);
    assert_eq!(plain.decode(&codes).unwrap().values(), [2.0, 3.0]);
}

#[test]
fn a_prediction_has_its_own_width_and_a_part_past_the_latents() {
    let predicts = Parts {
        encoder: Matrix::identity(2),
        decoder: Matrix::from_rows(2, 1, vec![10.0, 1.0]).unwrap(),
        encoder_bias: vec![0.0; 2],
        decoder_bias: vec![0.5],
        centers: false,
        skip: Some(Matrix::from_rows(1, 2, vec![0.0, 100.0]).unwrap()),
        ..parts(Activation::TopK { k: 1 })
    };
    let x = Matrix::from_rows(1, 2, vec![3.0, 2.0]).unwrap();
    let predicted = Dictionary::new(predicts.clone()).unwrap().reconstruct(&x).unwrap();
    assert_eq!(predicted.values(), [30.0 + 0.5 + 200.0]);
    assert!(Dictionary::new(Parts { centers: true, ..predicts }).is_err());
}

#[test]
fn folding_changes_values_and_no_reconstruction() {
    let x = Matrix::from_rows(2, 2, vec![3.0, 1.0, -4.0, 2.0]).unwrap();
    let scaling = Scaling::By { factor: 0.5 };
    let jump = Activation::JumpRelu { thresholds: vec![0.25, 0.125, 0.0] };
    for activation in [Activation::Relu, jump, gated()] {
        let mut parts = Parts { scaling: scaling.clone(), ..parts(activation) };
        parts.decoder.row_mut(0)[0] = 8.0;
        parts.decoder.row_mut(1)[1] = 0.25;
        let dictionary = Dictionary::new(parts).unwrap();
        let (folded, unscaled) = (dictionary.folded().unwrap(), dictionary.unscaled().unwrap());
        assert_eq!(norms(folded.decoder()), [1.0; 3]);
        assert_eq!(unscaled.parts().scaling, Scaling::None);
        let expected = dictionary.reconstruct(&x).unwrap();
        assert_eq!(folded.reconstruct(&x).unwrap(), expected);
        assert_eq!(unscaled.reconstruct(&x).unwrap(), expected);
        assert_eq!(unscaled.encode(&x).unwrap(), dictionary.encode(&x).unwrap());
        let codes = (dictionary.encode(&x).unwrap(), folded.encode(&x).unwrap());
        let norms = norms(dictionary.decoder());
        let pairs = codes.0.latents().iter().zip(codes.0.values()).zip(codes.1.values());
        assert!(pairs.clone().count() > 0);
        for ((latent, value), folded) in pairs {
            assert_eq!(*folded, value * norms[*latent as usize]);
        }
    }
}

#[test]
fn what_cannot_be_folded_is_refused() {
    let mut none = parts(Activation::Relu);
    none.decoder.row_mut(1).fill(0.0);
    let text = Dictionary::new(none).unwrap().folded().unwrap_err().to_string();
    assert!(text.contains("latent 1"), "{text}");
    let mut unlike = parts(Activation::TopK { k: 1 });
    assert!(Dictionary::new(unlike.clone()).unwrap().folded().is_ok());
    unlike.decoder.row_mut(2)[0] = 3.0;
    let text = Dictionary::new(unlike).unwrap().folded().unwrap_err().to_string();
    assert!(text.contains("latent 2"), "{text}");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    assert!(dictionary(Activation::TopK { k: 0 }).is_err());
    assert!(
        dictionary(Activation::TopK { k: 4 }).unwrap_err().to_string().contains("[1, latents]")
    );
    assert!(dictionary(Activation::JumpRelu { thresholds: vec![0.0; 2] }).is_err());
    let error = dictionary(Activation::JumpRelu { thresholds: vec![0.0, -1.0, 0.0] });
    assert!(error.unwrap_err().to_string().contains("-1"));
    let mut broken = parts(Activation::Relu);
    broken.encoder.row_mut(0)[1] = f32::NAN;
    let text = Dictionary::new(broken).unwrap_err().to_string();
    assert!(text.contains("the encoder: number 1 of row 0 is NaN"), "{text}");
    let zero = Activation::Gated { scales: vec![1.0, 0.0, 1.0], magnitude_bias: vec![0.0; 3] };
    assert!(dictionary(zero).is_err());
    let scaling = Scaling::By { factor: 0.0 };
    assert!(Dictionary::new(Parts { scaling, ..parts(Activation::Relu) }).is_err());
    let whole = dictionary(Activation::Relu).unwrap();
    assert!(whole.encode(&Matrix::zeros(1, 3)).is_err());
    let infinite = Matrix::from_rows(1, 2, vec![0.0, f32::INFINITY]).unwrap();
    assert!(whole.encode(&infinite).unwrap_err().to_string().contains("number 1 of row 0"));
}

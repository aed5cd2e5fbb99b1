//! Fused operations beside the library's own in double precision.

use burn::tensor::activation::softmax;
use burn::tensor::{Bool, DType, Device, Tensor, TensorData};

use super::{
    activate, attention, cross_entropy, gated, is_fused, layer_norm, linear, rms_norm, rotate,
};
use crate::transformer::tests::random;
use crate::transformer::{Activation, AdamW, Angles, AttentionShape};

/// What rounding to 24 bits, in sums of some hundred terms, may change of a number, relative to the largest.
const TOLERANCE: f64 = 1e-5;

/// A result and the gradients by the inputs.
type Found = Vec<Vec<f64>>;

fn run(inputs: &[[usize; 3]], dtype: DType, f: &dyn Fn(&[Tensor<3>]) -> Tensor<3>) -> Found {
    let device = Device::flex().autodiff();
    let of = |shape: &[usize; 3], purpose: &str| {
        let values = random(shape.iter().product(), purpose);
        Tensor::<3>::from_data(TensorData::new(values, *shape), &device).cast(dtype).detach()
    };
    let inputs = inputs.iter().enumerate();
    let inputs: Vec<Tensor<3>> =
        inputs.map(|(at, shape)| of(shape, &format!("input {at}")).require_grad()).collect();
    let y = f(&inputs);
    let loss = (y.clone() * of(&y.dims(), "weight")).sum();
    let gradients = loss.backward();
    let to_vec = |tensor: Tensor<3>| tensor.try_into_vec_as::<f64>().unwrap();
    let by_input = inputs.iter().map(|input| to_vec(input.grad(&gradients).unwrap()));
    std::iter::once(to_vec(y)).chain(by_input).collect()
}

fn compare(inputs: &[[usize; 3]], f: impl Fn(&[Tensor<3>]) -> Tensor<3>) {
    let (fused, plain) = (run(inputs, DType::F32, &f), run(inputs, DType::F64, &f));
    assert_eq!(fused.len(), plain.len());
    for (at, (fused, plain)) in fused.iter().zip(&plain).enumerate() {
        assert_eq!(fused.len(), plain.len());
        let largest = plain.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        assert!(largest > 0.0);
        for (fused, plain) in fused.iter().zip(plain) {
            assert!((fused - plain).abs() < TOLERANCE * largest, "{at}: {fused}, not {plain}");
        }
    }
}

fn matrix(x: &Tensor<3>) -> Tensor<2> {
    x.clone().squeeze_dim(0)
}

fn vector(x: &Tensor<3>) -> Tensor<1> {
    let n = x.shape().num_elements();
    x.clone().reshape([n])
}

#[test]
fn linear_maps() {
    let x = [3, 70, 40];
    compare(&[x, [1, 40, 30]], |inputs| linear(inputs[0].clone(), matrix(&inputs[1]), None));
    compare(&[x, [1, 40, 30], [1, 1, 30]], |inputs| {
        linear(inputs[0].clone(), matrix(&inputs[1]), Some(vector(&inputs[2])))
    });
    // A weight, and an input, that are transposed views.
    compare(&[x, [1, 30, 40], [1, 1, 30]], |inputs| {
        linear(inputs[0].clone(), matrix(&inputs[1]).transpose(), Some(vector(&inputs[2])))
    });
    compare(&[[3, 40, 70], [1, 40, 30]], |inputs| {
        linear(inputs[0].clone().transpose(), matrix(&inputs[1]), None)
    });
    // A weight that is part of a larger one.
    compare(&[x, [1, 50, 30]], |inputs| {
        linear(inputs[0].clone(), matrix(&inputs[1]).narrow(0, 4, 40), None)
    });
}

#[test]
fn norms() {
    let shapes = [[3, 70, 40], [1, 1, 40], [1, 1, 40]];
    compare(&shapes, |inputs| {
        layer_norm(inputs[0].clone(), vector(&inputs[1]), vector(&inputs[2]), 1e-5)
    });
    compare(&shapes[..2], |inputs| rms_norm(inputs[0].clone(), vector(&inputs[1]), 1e-5));
}

#[test]
fn rotations() {
    let angles = random(70 * 5, "angles");
    let (cos, sin) = angles.iter().map(|x| (libm::cosf(*x), libm::sinf(*x))).unzip();
    let angles = Angles::new(70, cos, sin).unwrap().into();
    compare(&[[3, 70, 40]], |inputs| {
        rotate(inputs[0].clone().reshape([3, 70, 4, 10]), &angles).reshape([3, 70, 40])
    });
    // Heads before tokens in memory.
    compare(&[[12, 70, 10]], |inputs| {
        let x = inputs[0].clone().reshape([3, 4, 70, 10]).swap_dims(1, 2);
        rotate(x, &angles).reshape([3, 70, 40])
    });
}

#[test]
fn gates() {
    let shapes = [[3, 7, 40], [3, 7, 40]];
    for f in [Activation::Gelu, Activation::GeluTanh, Activation::Relu, Activation::Silu] {
        compare(&shapes[..1], |inputs| activate(f, inputs[0].clone()));
        compare(&shapes, |inputs| gated(f, inputs[0].clone(), inputs[1].clone()));
    }
}

/// Attention by the library's own operations.
fn plain(q: Tensor<3>, k: Tensor<3>, v: Tensor<3>, shape: &AttentionShape) -> Tensor<3> {
    let AttentionShape { n_tokens, n_heads, n_kv_heads, d_head, scale, window } = *shape;
    let [batch, _, width] = q.dims();
    let split =
        |x: Tensor<3>, n_heads| x.reshape([batch, n_tokens, n_heads, d_head]).swap_dims(1, 2);
    // The queries of the heads that share keys lie one after the other.
    let grouped = [batch, n_kv_heads, n_heads / n_kv_heads * n_tokens, d_head];
    let square = [batch, n_heads, n_tokens, n_tokens];
    let q = split(q, n_heads).reshape(grouped);
    let scores = q.matmul(split(k, n_kv_heads).transpose()).reshape(square) * scale;
    let window = window.unwrap_or(n_tokens);
    let hidden = |query: usize, key: usize| key > query || query - key >= window;
    let hidden: Vec<bool> =
        (0..n_tokens).flat_map(|query| (0..n_tokens).map(move |key| hidden(query, key))).collect();
    let hidden = TensorData::new(hidden, [1, 1, n_tokens, n_tokens]);
    let hidden = Tensor::<4, Bool>::from_data(hidden, &scores.device());
    let p = softmax(scores.mask_fill(hidden.expand(square), f32::NEG_INFINITY), 3);
    let p = p.reshape([batch, n_kv_heads, n_heads / n_kv_heads * n_tokens, n_tokens]);
    let y = p.matmul(split(v, n_kv_heads)).reshape([batch, n_heads, n_tokens, d_head]);
    y.swap_dims(1, 2).reshape([batch, n_tokens, width])
}

#[test]
fn attention_of_groups_and_windows() {
    let of = |n_heads, n_kv_heads, window| AttentionShape {
        n_tokens: 45,
        n_heads,
        n_kv_heads,
        d_head: 5,
        scale: 0.4,
        window,
    };
    for shape in [of(4, 4, None), of(4, 2, None), of(4, 1, Some(7))] {
        let keys = [2, 45, shape.kv_width()];
        compare(&[[2, 45, shape.width()], keys, keys], |inputs| {
            let [q, k, v] = [0, 1, 2].map(|at: usize| inputs[at].clone());
            let fused = attention(q.clone(), k.clone(), v.clone(), &shape);
            assert_eq!(fused.is_some(), is_fused(&q));
            fused.unwrap_or_else(|| plain(q, k, v, &shape))
        });
    }
}

#[test]
fn losses() {
    let targets: Vec<u32> = (0..60).map(|row| row * 7 % 53).collect();
    let weights: Vec<f32> = (0..60_u16).map(|row| f32::from(row % 4)).collect();
    compare(&[[1, 60, 53]], |inputs| {
        // The logits are held by the caller too, and must not change.
        let before = inputs[0].clone().sum().into_scalar::<f64>();
        let loss = cross_entropy(matrix(&inputs[0]), &targets, &weights).unwrap();
        assert_eq!(inputs[0].clone().sum().into_scalar::<f64>(), before);
        loss.reshape([1, 1, 1])
    });
    let logits =
        || Tensor::<2>::from_data(TensorData::new(random(6, "x"), [2, 3]), &Device::flex());
    assert!(cross_entropy(logits(), &[1, 3], &[1.0, 1.0]).is_err());
    assert!(cross_entropy(logits(), &[1], &[1.0]).is_err());
    assert!(cross_entropy(logits(), &[1, 2], &[1.0]).is_err());
    let loss = cross_entropy(logits(), &[1, 2], &[0.0, 0.0]).unwrap();
    assert_eq!(loss.into_scalar::<f32>(), 0.0);
}

#[test]
fn a_step_of_weights_does_not_change_their_copies() {
    let n = 1000;
    let device = Device::flex().autodiff();
    let of = |purpose| Tensor::<1>::from_data(TensorData::new(random(n, purpose), [n]), &device);
    let weights = of("weights");
    let rule = AdamW::new(0.01);
    let mut moments = [vec![0.0; n], vec![0.0; n]];
    let [first, second] = &mut moments;
    let stepped = rule.update(1, weights.clone(), [first, second], of("gradient"), 1.0).unwrap();
    assert_eq!(weights.try_into_vec_as::<f32>().unwrap(), random(n, "weights"));
    let mut plain = random(n, "weights");
    let mut moments = [vec![0.0; n], vec![0.0; n]];
    let [first, second] = &mut moments;
    rule.step(1, &mut plain, [first, second], &random(n, "gradient"), 1.0);
    assert_eq!(stepped.clone().try_into_vec_as::<f32>().unwrap(), plain);
    let [first, second] = &mut moments;
    assert!(rule.update(2, stepped, [&mut first[1..], second], of("gradient"), 1.0).is_err());
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let shape = AttentionShape {
        n_tokens: 100,
        n_heads: 4,
        n_kv_heads: 2,
        d_head: 32,
        scale: 0.2,
        window: None,
    };
    let block = |inputs: &[Tensor<3>]| {
        let [gain, bias] = [1, 2].map(|at: usize| vector(&inputs[at]));
        let x = layer_norm(inputs[0].clone(), gain.clone(), bias.clone(), 1e-5);
        let [q, k, v] = [3, 4, 5].map(|at: usize| linear(x.clone(), matrix(&inputs[at]), None));
        let y = attention(q, k, v, &shape).unwrap();
        let y = activate(Activation::Gelu, rms_norm(y, gain, 1e-5));
        linear(y, matrix(&inputs[3]).transpose(), Some(bias))
    };
    let vector = [1, 1, 128];
    let (square, narrow) = ([1, 128, 128], [1, 128, 64]);
    let inputs = [[5, 100, 128], vector, vector, square, narrow, narrow];
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| run(&inputs, DType::F32, &block))
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(4));
}

//! AdamW and the moving average against `torch.optim.AdamW` (tests/golden/trainer).

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::SafeTensors;
use tch::{Kind, Tensor};
use trainer::AdamW;

const STEPS: usize = 5;
const LEARNING_RATE: f64 = 3e-3;
const WEIGHT_DECAY: f64 = 0.05;
const EMA_DECAY: f64 = 0.8;
/// Both sides round in float32, in another order of operations.
const TOLERANCE: f64 = 1e-6;

fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let difference = (a - b).abs().max().double_value(&[]);
    difference / b.abs().max().double_value(&[])
}

#[test]
fn five_steps_equal_pytorch() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/trainer/optimizer.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |name: &str| {
        let view = golden.tensor(name).unwrap();
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        Tensor::f_from_data_size(view.data(), &shape, Kind::Float).unwrap()
    };
    let variables = ["bias", "weight"]
        .map(|name| {
            (
                name.to_owned(),
                tensor(&format!("{name}_start")).set_requires_grad(true),
            )
        })
        .into_iter()
        .collect::<BTreeMap<_, _>>();
    let mut optimizer = AdamW::new(variables, WEIGHT_DECAY).unwrap();
    for step in 0..STEPS {
        // Halved and scaled by 2: the clipping factor must reach the moments.
        let gradients =
            ["bias", "weight"].map(|name| tensor(&format!("{name}_gradient_{step}")) * 0.5);
        optimizer.set_gradients(&gradients).unwrap();
        optimizer.step(2.0, LEARNING_RATE, EMA_DECAY).unwrap();
    }
    assert_eq!(optimizer.updates, STEPS as u64);
    for parameter in &optimizer.parameters {
        let end = tensor(&format!("{}_end", parameter.name));
        let start = tensor(&format!("{}_start", parameter.name));
        assert!(
            relative(&parameter.value, &end) < TOLERANCE,
            "{}",
            parameter.name
        );
        assert!(relative(&start, &end) > 1e-3, "the reference moved");
        let average = tensor(&format!("{}_average", parameter.name));
        assert!(
            relative(&parameter.average, &average) < TOLERANCE,
            "{} average",
            parameter.name
        );
    }
}

#[test]
fn gradient_norm_is_the_norm_of_everything() {
    let variables = [("a", vec![0.0f32; 2]), ("b", vec![0.0; 2])]
        .map(|(name, values)| (name.to_owned(), Tensor::from_slice(&values)));
    let mut optimizer = AdamW::new(variables.into(), 0.0).unwrap();
    let gradients = [[3.0f32, 0.0], [4.0, 10.0]].map(|values| Tensor::from_slice(&values));
    optimizer.set_gradients(&gradients).unwrap();
    let more = [[0.0f32, 0.0], [0.0, 2.0]].map(|values| Tensor::from_slice(&values));
    optimizer.add_gradients(&more).unwrap();
    let norm = optimizer.gradient_norm().unwrap().double_value(&[]);
    assert!((norm - 13.0).abs() < 1e-5, "{norm}");
}

#[test]
fn a_learning_rate_of_zero_changes_no_weight() {
    let variables = [("a".to_owned(), Tensor::from_slice(&[1.0f32, -2.0]))];
    let mut optimizer = AdamW::new(variables.into(), 0.1).unwrap();
    let gradients = [Tensor::from_slice(&[3.0f32, 0.0])];
    optimizer.set_gradients(&gradients).unwrap();
    optimizer.step(1.0, 0.0, 0.5).unwrap();
    let weights = Vec::<f32>::try_from(&optimizer.parameters[0].value).unwrap();
    assert_eq!(weights, [1.0, -2.0]);
}

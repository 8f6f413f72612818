//! What tests of several networks share.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use morphospace_core::Seed;
use morphospace_models::{parameters, self_standardise};
use rand::RngExt;

/// Smooth random images, no two alike.
pub(crate) fn images(batch: usize, chans: usize, side: usize, device: &Device) -> Tensor<4> {
    let mut values = Vec::new();
    for plane in 0..batch * chans {
        let mut rng = Seed::new(11).split_index(plane as u64).rng();
        let wave: [f32; 4] = std::array::from_fn(|_| rng.random::<f32>() * 0.8);
        for index in 0..side * side {
            let (y, x) = ((index / side) as f32, (index % side) as f32);
            values.push(
                128.0
                    + 60.0 * (wave[0] * x + wave[1] * y).sin()
                    + 40.0 * (wave[2] * x * wave[3] * y).cos(),
            );
        }
    }
    let levels = TensorData::new(values, [batch, chans, side, side]);
    self_standardise(Tensor::from_data(levels, device))
}

pub(crate) fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

pub(crate) fn largest_difference<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

/// The gradient of every parameter by name; `None` if it has none.
pub(crate) fn gradient_values<M: Module>(
    network: &M,
    loss: &Tensor<1>,
) -> BTreeMap<String, Option<Vec<f32>>> {
    struct All {
        gradients: Gradients,
        names: BTreeMap<String, String>,
        found: BTreeMap<String, Option<Vec<f32>>>,
    }
    impl ModuleVisitor for All {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = param.grad(&self.gradients).map(values);
            let name = self.names[&param.id.to_string()].clone();
            self.found.insert(name, gradient);
        }
    }
    let names = parameters(network)
        .into_iter()
        .map(|p| (p.id.to_string(), p.name))
        .collect();
    let mut visitor = All {
        gradients: loss.backward(),
        names,
        found: BTreeMap::new(),
    };
    network.visit(&mut visitor);
    visitor.found
}

/// The largest gradient of every parameter by name; `None` if it has none.
pub(crate) fn gradients<M: Module>(network: &M, loss: &Tensor<1>) -> BTreeMap<String, Option<f32>> {
    let gradients = gradient_values(network, loss).into_iter();
    gradients
        .map(|(name, values)| {
            let largest = values.map(|values| values.iter().fold(0.0, |a, x| x.abs().max(a)));
            (name, largest)
        })
        .collect()
}

pub(crate) fn check_gradients(gradients: &BTreeMap<String, Option<f32>>, fixed: &[&str]) {
    for (name, largest) in gradients {
        if fixed.contains(&name.as_str()) {
            assert_eq!(*largest, None, "{name} is fixed");
            continue;
        }
        let largest = largest.unwrap_or_else(|| panic!("{name} receives no gradient"));
        assert!(largest.is_finite(), "{name}: {largest}");
        // One bias for all keys shifts every score of a query alike: soft-max
        // does not notice, and the gradient is zero but for rounding.
        if !name.ends_with("k_norm.bias") {
            assert!(largest > 0.0, "{name} receives a zero gradient");
        }
    }
}

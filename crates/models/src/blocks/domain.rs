//! Batch normalisation by the statistics of a whole domain.

use std::fmt;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use burn::tensor::{Tensor, TensorData};

use super::norm_pass::NormPass;

/// Passes the batches of a domain through a network whose batch normalisation
/// uses mean and variance of all of them: the result of every image is that
/// of one batch with the whole domain in it, whatever batches it is cut into
/// and in whatever order.
///
/// Every batch goes from layer to layer in step with the others. One is
/// computed at a time, so that the memory held is that of what lies between
/// two layers for all images, and of one batch's computation. `forward` must
/// call the same layers in the same order for every batch.
///
/// # Panics
/// `forward` panics.
///
/// # Source
/// Evaluation of AdaBN (Li et al. 2016, <https://arxiv.org/abs/1603.04779>).
///
/// # Example
/// ```
/// use burn::tensor::{Device, Tensor};
/// use morphospace_models::blocks::batch_norm::BatchNorm;
/// use morphospace_models::blocks::domain::forward_domain;
///
/// let device = Device::default();
/// let norm = BatchNorm::init(1, &device);
/// let batches = [1.0, 3.0].map(|value| Tensor::<2>::from_floats([[value]], &device));
/// let results = forward_domain(batches.to_vec(), |batch, pass| norm.forward(batch, pass));
/// let first: f32 = results[0].clone().into_scalar();
/// assert!((first + 1.0).abs() < 1e-4);
/// ```
pub fn forward_domain<I: Send, O: Send>(
    batches: Vec<I>,
    forward: impl Fn(I, &mut NormPass) -> O + Sync,
) -> Vec<O> {
    let domain = Arc::new(Domain {
        state: Mutex::new(State {
            turn: 0,
            seen: batches.iter().map(|_| None).collect(),
            all: Moments::default(),
            has_failed: false,
        }),
        changed: Condvar::new(),
    });
    thread::scope(|scope| {
        let forward = &forward;
        let threads: Vec<_> = batches
            .into_iter()
            .enumerate()
            .map(|(index, batch)| {
                let domain = Arc::clone(&domain);
                scope.spawn(move || {
                    let member = DomainMember { domain, index };
                    member.wait_for_turn();
                    forward(batch, &mut NormPass::of_domain(member))
                })
            })
            .collect();
        let mut outputs = Vec::with_capacity(threads.len());
        let mut panics = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(output) => outputs.push(output),
                Err(panic) => panics.push(panic),
            }
        }
        // Those who only gave up waiting are not to blame.
        if let Some(panic) = panics.into_iter().find(|panic| !panic.is::<OtherFailed>()) {
            resume_unwind(panic);
        }
        outputs
    })
}

/// What a thread ends with when another has panicked.
struct OtherFailed;

/// Batches that go through a network in step.
#[derive(Debug)]
struct Domain {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// Whose turn it is to compute.
    turn: usize,
    /// What each batch has at the layer, once it has come there.
    seen: Vec<Option<Moments>>,
    /// What all have at the last layer that all have come to.
    all: Moments,
    /// A batch has panicked: there will be no statistics.
    has_failed: bool,
}

/// Count, mean and sum of squared deviations of every channel.
#[derive(Clone, Debug, Default)]
struct Moments {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Moments {
    fn of<const D: usize>(x: Tensor<D>) -> Self {
        let dims = x.dims();
        let channels = dims[1];
        let count = dims.iter().product::<usize>() / channels;
        let rows: Tensor<2> = x.swap_dims(0, 1).reshape([channels, count]);
        let mean = rows.clone().mean_dim(1);
        let squares = (rows - mean.clone()).square().sum_dim(1);
        let values = |tensor: Tensor<2>| tensor.into_data().iter::<f64>().collect();
        Self {
            count: count as f64,
            mean: values(mean),
            squares: values(squares),
        }
    }

    /// Chan et al. 1979.
    fn merge(&mut self, other: Self) {
        if self.count == 0.0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        for channel in 0..self.mean.len() {
            let difference = other.mean[channel] - self.mean[channel];
            self.mean[channel] += difference * other.count / count;
            self.squares[channel] +=
                other.squares[channel] + difference * difference * self.count * other.count / count;
        }
        self.count = count;
    }
}

/// One batch of a domain, on its way through a network.
pub(super) struct DomainMember {
    domain: Arc<Domain>,
    index: usize,
}

impl fmt::Debug for DomainMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "batch {} of a domain", self.index)
    }
}

impl DomainMember {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panics says so in the state.
        let state = self.domain.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_turn(&self) {
        let mut state = self.lock();
        while state.turn != self.index && !state.has_failed {
            let woken = self.domain.changed.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        let has_failed = state.has_failed;
        drop(state);
        if has_failed {
            resume_unwind(Box::new(OtherFailed));
        }
    }

    fn pass_turn(&self, state: &mut State) {
        state.turn = (self.index + 1) % state.seen.len();
        self.domain.changed.notify_all();
    }

    /// Mean and biased variance of every channel over all batches, once all
    /// have come to the layer.
    pub(super) fn statistics<const D: usize>(&self, x: Tensor<D>) -> (Tensor<1>, Tensor<1>) {
        let device = x.device();
        let moments = Moments::of(x);
        let mut state = self.lock();
        state.seen[self.index] = Some(moments);
        if self.index + 1 == state.seen.len() {
            let mut all = Moments::default();
            let seen = state.seen.iter_mut();
            seen.for_each(|one| all.merge(one.take().expect("all have come to the layer")));
            state.all = all;
        }
        self.pass_turn(&mut state);
        drop(state);
        self.wait_for_turn();
        let state = self.lock();
        let Moments {
            count,
            mean,
            squares,
        } = &state.all;
        let tensor = |values: Vec<f32>| {
            let shape = [values.len()];
            Tensor::<1>::from_data(TensorData::new(values, shape), &device)
        };
        let var = squares.iter().map(|sum| (sum / count) as f32).collect();
        let mean = mean.iter().map(|mean| *mean as f32).collect();
        (tensor(mean), tensor(var))
    }
}

impl Drop for DomainMember {
    fn drop(&mut self) {
        let mut state = self.lock();
        state.has_failed |= thread::panicking();
        self.pass_turn(&mut state);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::blocks::batch_norm::BatchNorm;

    fn batch(values: &[f32]) -> Tensor<2> {
        let data = TensorData::new(values.to_vec(), [values.len() / 2, 2]);
        Tensor::from_data(data, &Device::default())
    }

    #[test]
    fn the_cut_into_batches_does_not_matter() {
        let values = [1.0, 9.0, 2.0, -4.0, 6.0, 0.5, 3.5, 100.0];
        let device = Device::default();
        let norms = [BatchNorm::init(2, &device), BatchNorm::init(2, &device)];
        let forward = |x: Tensor<2>, pass: &mut NormPass| {
            let x = norms[0].forward(x, pass);
            norms[1].forward(x.clone() * x, pass)
        };
        let whole = forward(batch(&values), &mut NormPass::batch());
        for cut in [2, 4, 6] {
            let (first, second) = values.split_at(cut);
            let parts = forward_domain(vec![batch(first), batch(second)], forward);
            let difference = (Tensor::cat(parts, 0) - whole.clone()).abs().max();
            assert!(difference.into_scalar::<f32>() < 1e-5);
        }
    }

    #[test]
    #[should_panic(expected = "the second cannot")]
    fn a_batch_that_fails_stops_the_others() {
        let norm = BatchNorm::init(2, &Device::default());
        let batches = vec![(0, batch(&[1.0, 2.0])), (1, batch(&[1.0, 2.0]))];
        forward_domain(batches, |(index, x), pass| {
            assert!(index == 0, "the second cannot");
            norm.forward(x, pass)
        });
    }
}

use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How far and with how many threads images are read ahead of their use.
///
/// Up to `num_ahead` items wait to be taken while every thread makes one
/// more, which bounds the memory that is held. What is loaded does not depend
/// on either number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderOptions {
    /// Threads that read and decode; at least 1.
    pub num_threads: usize,
    /// Items that may wait; at least 1.
    pub num_ahead: usize,
}

impl Default for LoaderOptions {
    /// A thread for each core, two items ahead for each.
    fn default() -> Self {
        let num_threads = thread::available_parallelism().map_or(1, usize::from);
        Self {
            num_threads,
            num_ahead: 2 * num_threads,
        }
    }
}

/// Items that threads make ahead of their use, handed out in order.
///
/// Dropping it ends the threads once they have finished the item at hand.
pub struct Loader<T> {
    /// Thread `k` of `n` makes the items at positions `k`, `k + n`, ...
    receivers: Vec<Receiver<T>>,
    position: usize,
    num_left: u64,
    waited: Duration,
}

impl<T: Send> Loader<T> {
    /// Starts threads that make the items of a range, each calling a function
    /// of its own that `new_worker` hands out.
    ///
    /// ```
    /// use morphospace_screen::{Loader, LoaderOptions};
    ///
    /// let squares = std::thread::scope(|scope| {
    ///     let loader = Loader::spawn(scope, 0..5, LoaderOptions::default(), || |n| n * n);
    ///     loader.collect::<Vec<u64>>()
    /// });
    /// assert_eq!(squares, [0, 1, 4, 9, 16]);
    /// ```
    pub fn spawn<'scope, W>(
        scope: &'scope Scope<'scope, '_>,
        items: Range<u64>,
        options: LoaderOptions,
        new_worker: impl Fn() -> W,
    ) -> Self
    where
        T: 'scope,
        W: FnMut(u64) -> T + Send + 'scope,
    {
        let num_items = items.end.saturating_sub(items.start);
        let most_threads = usize::try_from(num_items).unwrap_or(usize::MAX);
        let num_threads = options.num_threads.clamp(1, most_threads.max(1));
        let receivers = (0..num_threads)
            .map(|thread| {
                // The queues of all threads together hold `num_ahead`.
                let num_ahead = options.num_ahead.max(1) + thread;
                let (sender, receiver) = sync_channel(num_ahead / num_threads);
                let own = (items.start + thread as u64..items.end).step_by(num_threads);
                let worker = new_worker();
                scope.spawn(move || make(own, worker, &sender));
                receiver
            })
            .collect();
        Self {
            receivers,
            position: 0,
            num_left: num_items,
            waited: Duration::ZERO,
        }
    }

    /// How long the taker has waited for items so far.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

/// Makes items until they end or nobody takes them any more.
fn make<T>(
    items: impl Iterator<Item = u64>,
    mut worker: impl FnMut(u64) -> T,
    sender: &SyncSender<T>,
) {
    for item in items {
        if sender.send(worker(item)).is_err() {
            return;
        }
    }
}

impl<T: Send> Iterator for Loader<T> {
    type Item = T;

    /// The next item, once it is there; `None` at the end, or when a thread
    /// has panicked, which its scope passes on.
    fn next(&mut self) -> Option<T> {
        if self.num_left == 0 {
            return None;
        }
        let started = Instant::now();
        let item = self.receivers[self.position].recv().ok();
        self.waited += started.elapsed();
        self.position = (self.position + 1) % self.receivers.len();
        self.num_left -= 1;
        item
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn items_come_in_order_on_any_number_of_threads() {
        for num_threads in [1, 2, 3, 7, 50] {
            for num_ahead in [1, 2, 9] {
                let options = LoaderOptions {
                    num_threads,
                    num_ahead,
                };
                let items: Vec<u64> = thread::scope(|scope| {
                    Loader::spawn(scope, 3..20, options, || |item| item).collect()
                });
                assert_eq!(items, (3..20).collect::<Vec<u64>>());
            }
        }
    }

    #[test]
    fn an_empty_range_has_no_items() {
        let count = thread::scope(|scope| {
            Loader::spawn(scope, 4..4, LoaderOptions::default(), || |item| item).count()
        });
        assert_eq!(count, 0);
    }

    #[test]
    fn no_more_is_made_than_may_wait() {
        let made = AtomicUsize::new(0);
        let options = LoaderOptions {
            num_threads: 3,
            num_ahead: 4,
        };
        thread::scope(|scope| {
            let mut loader = Loader::spawn(scope, 0..1000, options, || {
                |item| {
                    made.fetch_add(1, Ordering::SeqCst);
                    item
                }
            });
            assert_eq!(loader.next(), Some(0));
            thread::sleep(Duration::from_millis(50));
            // One taken, four waiting, one in the hands of each thread.
            assert!(made.load(Ordering::SeqCst) <= 1 + 4 + 3);
        });
        assert!(
            made.load(Ordering::SeqCst) <= 1 + 4 + 3 + 3,
            "dropping ends it"
        );
    }

    #[test]
    fn waiting_is_counted() {
        let options = LoaderOptions {
            num_threads: 1,
            num_ahead: 1,
        };
        let waited = thread::scope(|scope| {
            let mut loader = Loader::spawn(scope, 0..2, options, || {
                |item| {
                    thread::sleep(Duration::from_millis(20));
                    item
                }
            });
            loader.by_ref().count();
            loader.waited()
        });
        assert!(waited >= Duration::from_millis(30), "{waited:?}");
    }
}

//! Batches prepared in the background, in order, by several threads.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tch::Tensor;

use crate::pairs::{Pair, Source};
use crate::{Error, Result};

/// Batches prepared ahead of the network.
const PREFETCH: u64 = 4;

/// A batch of pairs as tensors `[N, 3, side, side]` in [-1, 1], float32, on the CPU.
#[derive(Debug)]
pub struct Batch {
    /// Sharp.
    pub sharp: Tensor,
    /// Blurry.
    pub blurry: Tensor,
}

impl Batch {
    /// Stacks pairs of equal size.
    ///
    /// # Errors
    /// If libtorch is out of memory.
    pub fn new<P: Borrow<Pair>>(pairs: &[P]) -> Result<Self> {
        let stack = |pick: fn(&Pair) -> &ndarray::Array3<f32>| -> Result<Tensor> {
            let tensors = pairs
                .iter()
                .map(|pair| {
                    let array = pick(pair.borrow()).as_standard_layout();
                    let shape: Vec<i64> = array.shape().iter().map(|&n| n as i64).collect();
                    let values: Vec<f32> = array.iter().map(|&value| 2.0 * value - 1.0).collect();
                    Ok(Tensor::f_from_slice(&values)?.f_reshape(&shape)?)
                })
                .collect::<Result<Vec<_>>>()?;
            Ok(Tensor::f_stack(&tensors, 0)?)
        };
        Ok(Self {
            sharp: stack(|pair| &pair.sharp)?,
            blurry: stack(|pair| &pair.blurry)?,
        })
    }
}

#[derive(Debug)]
struct State {
    /// The pair that the next free thread makes.
    next: u64,
    /// The first pair that was not delivered yet.
    delivered: u64,
    done: BTreeMap<u64, Result<Pair>>,
    stopped: bool,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// A pair is done, or a thread stopped.
    ready: Condvar,
    /// There is room for more pairs, or the loader is dropped.
    room: Condvar,
    batch: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes pairs until the loader is dropped. Which thread makes which pair depends on timing, what is in it does not.
    fn work(&self, source: &dyn Source) {
        loop {
            let mut state = self.lock();
            while !state.stopped && state.next >= state.delivered + PREFETCH * self.batch {
                state = self
                    .room
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
            if state.stopped {
                return;
            }
            let index = state.next;
            state.next += 1;
            drop(state);
            let pair = source.pair(index);
            self.lock().done.insert(index, pair);
            self.ready.notify_one();
        }
    }
}

/// Wakes the receiver when a thread ends, also by a panic.
struct StopOnDrop(Arc<Shared>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
        self.0.ready.notify_all();
        self.0.room.notify_all();
    }
}

/// Prepares batches in the background, in order. The batches depend on the source and on the step alone.
#[derive(Debug)]
pub struct Loader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts with the batch of step `first_step`, on `threads` threads; 0 for as many as rayon uses.
    pub fn start(source: Arc<dyn Source>, batch: usize, first_step: u64, threads: usize) -> Self {
        let first = first_step * batch as u64;
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                next: first,
                delivered: first,
                done: BTreeMap::new(),
                stopped: false,
            }),
            ready: Condvar::new(),
            room: Condvar::new(),
            batch: batch as u64,
        });
        let threads = match threads {
            0 => rayon::current_num_threads(),
            threads => threads,
        };
        let threads = (0..threads)
            .map(|_| {
                let (shared, source) = (Arc::clone(&shared), Arc::clone(&source));
                std::thread::spawn(move || {
                    let stop = StopOnDrop(shared);
                    stop.0.work(source.as_ref());
                })
            })
            .collect();
        Self { shared, threads }
    }

    /// The next batch.
    ///
    /// # Errors
    /// If a pair cannot be made: the data are gone, or its blur cannot be made.
    pub fn next_batch(&mut self) -> Result<Batch> {
        let mut state = self.shared.lock();
        let end = state.delivered + self.shared.batch;
        while !(state.delivered..end).all(|index| state.done.contains_key(&index)) {
            if state.stopped {
                return Err(Error::LoaderStopped);
            }
            state = self
                .shared
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let pairs = (state.delivered..end)
            .filter_map(|index| state.done.remove(&index))
            .collect::<Result<Vec<_>>>();
        state.delivered = end;
        drop(state);
        self.shared.room.notify_all();
        Batch::new(&pairs?)
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.room.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

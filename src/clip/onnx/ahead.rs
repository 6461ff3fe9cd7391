//! The next batch's pictures, prepared by a thread of their own while a batch runs.
//!
//! Inputs and pictures go there and back by value, so nothing is shared with the model's thread. At
//! most one batch is on its way. One that turns out not to be the next is let go of: what is prepared
//! is a guess that saves time, and never decides what is encoded.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};

use super::input::Input;
use crate::clip::preprocess::PreprocessError;
use crate::model::{Picture, View};

/// A batch that is to be prepared, or is.
pub struct Job {
    input: Box<dyn Input>,
    rows: usize,
    pictures: Vec<(Arc<Picture>, View)>,
    filled: Result<(), (usize, PreprocessError)>,
}

/// Prepares what comes, until the encoder is gone. The thread's body.
pub fn run(jobs: &Receiver<Job>, done: &Sender<Job>) {
    for mut job in jobs {
        job.filled = job.input.fill(job.rows, &borrowed(&job.pictures));
        if done.send(job).is_err() {
            return;
        }
    }
}

/// The encoder's end.
pub(super) struct Ahead {
    /// `None` once it is to end.
    jobs: Option<Sender<Job>>,
    done: Receiver<Job>,
    /// Where the next batch is prepared; away while it is.
    spare: Option<Box<dyn Input>>,
    begun: bool,
}

impl Ahead {
    pub(super) fn new(jobs: Sender<Job>, done: Receiver<Job>, spare: Box<dyn Input>) -> Self {
        Self { jobs: Some(jobs), done, spare: Some(spare), begun: false }
    }

    /// Has `pictures` prepared for a batch of `rows`.
    pub(super) fn begin(&mut self, rows: usize, pictures: Vec<(Arc<Picture>, View)>) {
        let (Some(jobs), Some(mut input)) = (&self.jobs, self.spare.take()) else { return };
        // A device's memory is asked for by the thread that uses the device.
        input.reserve(rows, &borrowed(&pictures));
        self.begun = jobs.send(Job { input, rows, pictures, filled: Ok(()) }).is_ok();
    }

    /// Puts what was begun in the place of `input`, if it is a batch of `rows` with `pictures`; what
    /// became of it.
    pub(super) fn collect(
        &mut self,
        input: &mut Box<dyn Input>,
        rows: usize,
        pictures: &[(&Picture, View)],
    ) -> Option<Result<(), (usize, PreprocessError)>> {
        if !std::mem::take(&mut self.begun) {
            return None;
        }
        // Nothing comes when the thread has panicked; then there is no other input either.
        let mut job = self.done.recv().ok()?;
        let fits = job.rows == rows && same(&job.pictures, pictures);
        if fits {
            std::mem::swap(input, &mut job.input);
        }
        self.spare = Some(job.input);
        fits.then_some(job.filled)
    }
}

impl Drop for Ahead {
    /// Waits for the thread's end: what it holds of the device is free then.
    fn drop(&mut self) {
        self.jobs = None;
        while self.done.recv().is_ok() {}
    }
}

fn borrowed(pictures: &[(Arc<Picture>, View)]) -> Vec<(&Picture, View)> {
    pictures.iter().map(|(picture, view)| (&**picture, *view)).collect()
}

fn same(begun: &[(Arc<Picture>, View)], wanted: &[(&Picture, View)]) -> bool {
    let wanted = wanted.iter().map(|(picture, view)| (std::ptr::from_ref(*picture), *view));
    begun.iter().map(|(picture, view)| (Arc::as_ptr(picture), *view)).eq(wanted)
}

#[cfg(test)]
mod tests {
    use std::thread::{Builder, JoinHandle};

    use super::super::input::Inputs;
    use super::*;

    /// Remembers what it was filled with; a picture without width is wrong.
    struct Widths(Sender<Vec<u32>>);

    impl Input for Widths {
        fn fill(
            &mut self,
            _rows: usize,
            pictures: &[(&Picture, View)],
        ) -> Result<(), (usize, PreprocessError)> {
            let widths: Vec<u32> = pictures.iter().map(|(picture, _)| picture.width).collect();
            let wrong = widths.iter().position(|width| *width == 0);
            self.0.send(widths).unwrap();
            wrong.map_or(Ok(()), |index| Err((index, PreprocessError::Resize("no width".into()))))
        }

        fn tensors(&self) -> ort::Result<Inputs<'_>> {
            Err(ort::Error::new("there are none"))
        }
    }

    fn pictures(widths: &[u32]) -> Vec<(Arc<Picture>, View)> {
        let picture = |width: &u32| Picture { width: *width, height: 1, rgb: Vec::new() };
        widths.iter().map(|width| (Arc::new(picture(width)), View::default())).collect()
    }

    struct Trial {
        ahead: Ahead,
        input: Box<dyn Input>,
        /// What each of the two inputs was filled with.
        filled: [Receiver<Vec<u32>>; 2],
        thread: Option<JoinHandle<()>>,
    }

    fn trial() -> Trial {
        let (first, first_filled) = crossbeam_channel::bounded(16);
        let (second, second_filled) = crossbeam_channel::bounded(16);
        let (jobs, todo) = crossbeam_channel::bounded(1);
        let (finished, done) = crossbeam_channel::bounded(1);
        Trial {
            ahead: Ahead::new(jobs, done, Box::new(Widths(second))),
            input: Box::new(Widths(first)),
            filled: [first_filled, second_filled],
            thread: Some(Builder::new().spawn(move || run(&todo, &finished)).unwrap()),
        }
    }

    impl Trial {
        fn collect(&mut self, rows: usize, wanted: &[(Arc<Picture>, View)]) -> Option<bool> {
            let collected = self.ahead.collect(&mut self.input, rows, &borrowed(wanted));
            collected.map(|filled| filled.is_ok())
        }
    }

    #[test]
    fn the_batch_that_was_begun_is_collected_and_inputs_take_turns() {
        let mut trial = trial();
        for turn in [1, 0, 1] {
            let batch = pictures(&[3, 5]);
            trial.ahead.begin(2, batch.clone());
            assert_eq!(trial.collect(2, &batch), Some(true));
            assert_eq!(trial.filled[turn].recv(), Ok(vec![3, 5]));
            assert_eq!(trial.collect(2, &batch), None, "it is collected once");
        }
    }

    #[test]
    fn another_batch_is_not_taken_for_it() {
        let mut trial = trial();
        let batch = pictures(&[3, 5]);
        let stretched = View { tiles: true, ..View::default() };
        let viewed = vec![batch[0].clone(), (batch[1].0.clone(), stretched)];
        // Pictures of the same look are not the same pictures.
        for other in [pictures(&[3, 5]), batch[..1].to_vec(), viewed] {
            trial.ahead.begin(2, batch.clone());
            assert_eq!(trial.collect(2, &other), None);
        }
        trial.ahead.begin(2, batch.clone());
        assert_eq!(trial.collect(4, &batch), None);
        trial.ahead.begin(2, batch.clone());
        assert_eq!(trial.collect(2, &batch), Some(true));
    }

    #[test]
    fn a_wrong_picture_is_told_of() {
        let mut trial = trial();
        let batch = pictures(&[3, 0]);
        trial.ahead.begin(2, batch.clone());
        let told = trial.ahead.collect(&mut trial.input, 2, &borrowed(&batch));
        assert!(matches!(told, Some(Err((1, PreprocessError::Resize(_))))));
    }

    #[test]
    fn the_thread_ends_with_the_encoder() {
        let Trial { mut ahead, thread, filled: _filled, .. } = trial();
        ahead.begin(1, pictures(&[3]));
        drop(ahead);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn without_its_thread_nothing_is_prepared() {
        let mut trial = trial();
        let batch = pictures(&[3]);
        // The input that it was given is lost with it.
        drop(std::mem::replace(&mut trial.filled[1], crossbeam_channel::never()));
        trial.ahead.begin(1, batch.clone());
        assert_eq!(trial.collect(1, &batch), None);
        assert!(trial.thread.take().unwrap().join().is_err());
        trial.ahead.begin(1, batch.clone());
        assert_eq!(trial.collect(1, &batch), None);
    }
}

//! The sessions of an image model: one that takes any batch, or one for each of a few sizes.
//!
//! OpenVINO takes a graph whole or not at all. Exporters leave arithmetic on shapes in their graphs
//! that it does not know, and that goes away when the batch is a number: then there is a session for
//! batches of [`MANY`] and one for single pictures. Both hold the weights, so it is the second choice.

use ort::session::{Session, SessionOutputs};

use super::Runtime;
use super::device::{FixedBatch, Plan, Provider, Trouble};
use super::folded::folded;
use super::input::Inputs;
use crate::clip::bundle::ModelFile;
use crate::clip::preprocess::PreprocessSpec;
use crate::config::Precision;

/// From here on batches gain little, and what does not divide by it goes one by one.
const MANY: usize = 4;

/// See the module.
pub(super) struct Sessions {
    session: Session,
    /// The one for single pictures, where `session` is for batches of [`MANY`].
    single: Option<Session>,
}

impl Sessions {
    /// Loads `model`.
    pub(super) fn open(
        runtime: &Runtime,
        model: &ModelFile,
        plan: &Plan,
        spec: &PreprocessSpec,
    ) -> Result<Self, Trouble> {
        match (runtime.session(model, plan), plan.provider) {
            (Ok(session), _) => Ok(Self { session, single: None }),
            (Err(Trouble::Model(cause)), Provider::OpenVino) => {
                tracing::debug!(cause, "not for any batch; loading the model for a few");
                Self::of_sizes(runtime, model, plan, spec).map_err(|second| match second {
                    // The first says what is wrong with the model as it is.
                    Trouble::Model(_) => Trouble::Model(cause),
                    device @ Trouble::Device(_) => device,
                })
            }
            (Err(trouble), _) => Err(trouble),
        }
    }

    fn of_sizes(
        runtime: &Runtime,
        model: &ModelFile,
        plan: &Plan,
        spec: &PreprocessSpec,
    ) -> Result<Self, Trouble> {
        let name = model.batch_name().map_err(Trouble::Model)?;
        let open = |model: &ModelFile, size, folded| {
            let batch = Some(FixedBatch { name: name.clone(), size, folded });
            runtime.session(model, &Plan { batch, ..plan.clone() })
        };
        let session = open(model, MANY, false)?;
        let single = Self::folded_single(runtime, model, plan, spec, &open);
        let single = single.map_or_else(|| open(model, 1, false), Ok)?;
        Ok(Self { session, single: Some(single) })
    }

    /// Of "mini" in bf16 a folded one takes half of the memory, because weights of 16 bits stay so, and
    /// a sixth more time. Single pictures have that time: they come where cameras are few.
    fn folded_single(
        runtime: &Runtime,
        model: &ModelFile,
        plan: &Plan,
        spec: &PreprocessSpec,
        open: &impl Fn(&ModelFile, usize, bool) -> Result<Session, Trouble>,
    ) -> Option<Session> {
        if plan.precision != Precision::Bf16 {
            return None;
        }
        let folded = folded(runtime, model, spec, 1)?;
        let single = open(&folded, 1, true).map_err(Trouble::text);
        single.inspect_err(|cause| tracing::debug!(cause, "the folded model is not taken")).ok()
    }

    /// One of them, for what all have in common.
    pub(super) fn any(&self) -> &Session {
        &self.session
    }

    /// The batches that there are sessions for, the largest first; none when any will do.
    pub(super) fn sizes(&self) -> &'static [usize] {
        if self.single.is_some() { &[MANY, 1] } else { &[] }
    }

    /// How many of `wanted` pictures go into the next run.
    pub(super) fn step(&self, wanted: usize) -> usize {
        self.sizes().iter().copied().find(|size| *size <= wanted).unwrap_or(wanted)
    }

    /// Runs a batch of `rows`, which is one of [`sizes`](Self::sizes) if there are any.
    pub(super) fn run(
        &mut self,
        rows: usize,
        inputs: Inputs<'_>,
    ) -> ort::Result<SessionOutputs<'_>> {
        match &mut self.single {
            Some(single) if rows == 1 => single.run(inputs),
            _ => self.session.run(inputs),
        }
    }
}

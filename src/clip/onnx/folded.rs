//! A model for one size of batch, without the arithmetic on shapes: the processor's provider, which
//! takes any graph, is asked once what comes of it.

use super::device::Plan;
use super::input::input;
use super::{Runtime, ports};
use crate::clip::bundle::ModelFile;
use crate::clip::fold::{Answer, Arithmetic};
use crate::clip::preprocess::PreprocessSpec;

/// `model` for batches of `rows`; `None`, and a line in the log, where it cannot be had.
pub(super) fn folded(
    runtime: &Runtime,
    model: &ModelFile,
    spec: &PreprocessSpec,
    rows: usize,
) -> Option<ModelFile> {
    let folded = try_folded(runtime, model, spec, rows);
    folded.inspect_err(|cause| tracing::debug!(cause, "the model is not folded")).ok().flatten()
}

fn try_folded(
    runtime: &Runtime,
    model: &ModelFile,
    spec: &PreprocessSpec,
    rows: usize,
) -> Result<Option<ModelFile>, String> {
    let bytes = model.bytes().map_err(|error| error.to_string())?;
    let Some(arithmetic) = Arithmetic::of(&bytes).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let made = |bytes| ModelFile::Made { bytes, folder: model.folder() };
    let asked = made(arithmetic.asked(&bytes).map_err(|error| error.to_string())?);
    let answers = ask(runtime, &asked, arithmetic.wanted(), spec, rows)?;
    let answered = arithmetic.answered(&bytes, &answers).map_err(|error| error.to_string())?;
    Ok(Some(made(answered)))
}

/// Runs `model` with black pictures; its outputs are `wanted`.
fn ask(
    runtime: &Runtime,
    model: &ModelFile,
    wanted: &[String],
    spec: &PreprocessSpec,
    rows: usize,
) -> Result<Vec<Answer>, String> {
    let plain = |error: ort::Error| error.to_string();
    let mut session = runtime.session(model, &Plan::cpu()).map_err(|trouble| trouble.text())?;
    let kind = ports(session.inputs()).first().ok_or("it has no input")?.kind;
    let mut pictures = input(kind, spec);
    pictures.fill(rows, &[]).map_err(|(_, error)| error.to_string())?;
    let outputs = session.run(pictures.tensors().map_err(plain)?).map_err(plain)?;
    let answer = |name: &String| {
        let output = outputs.get(name).ok_or_else(|| format!("no output {name}"))?;
        let (dims, values) = output.try_extract_tensor::<i64>().map_err(plain)?;
        Ok(Answer { dims: dims.to_vec(), values: values.to_vec() })
    };
    wanted.iter().map(answer).collect()
}

#[cfg(all(test, feature = "embedded-bundle"))]
mod tests {
    use super::*;
    use crate::clip::bundle::Bundle;
    use crate::clip::onnx::floats;

    #[test]
    fn mini_gives_the_same_without_its_arithmetic() {
        let runtime = Runtime::load().unwrap();
        let bundle = Bundle::open("mini", None).unwrap();
        let (model, spec) = (bundle.image_model().unwrap(), bundle.preprocess());
        let folded = folded(&runtime, &model, spec, 2).unwrap();
        let before = model.bytes().unwrap();
        let arithmetic = Arithmetic::of(&folded.bytes().unwrap()).unwrap();
        assert!(Arithmetic::of(&before).unwrap().is_some() && arithmetic.is_none());
        // Of two black pictures.
        let embeddings = |model| {
            let mut session = runtime.session(model, &Plan::cpu()).unwrap();
            let mut pictures = input(ports(session.inputs())[0].kind, spec);
            pictures.fill(2, &[]).unwrap();
            let outputs = session.run(pictures.tensors().unwrap()).unwrap();
            floats(&outputs[0]).unwrap().into_owned()
        };
        let pairs = embeddings(&model).into_iter().zip(embeddings(&folded));
        let difference = pairs.map(|(before, after)| (before - after).abs()).fold(0.0, f32::max);
        assert!(difference < 1e-5, "{difference}");
    }
}

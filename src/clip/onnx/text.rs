//! A bundle's text model: tokenized prompts to embeddings.

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor;

use super::device::Plan;
use super::signature::{self, Feed, TextPorts};
use super::{OnnxError, Runtime, embeddings, expected, model_error, ports, tokenizer};
use crate::clip::bundle::Bundle;
use crate::clip::tokenizer::{Tokenizer, Tokens};
use crate::clip::{EncodeError, TextEncoder};
use crate::model::Embedding;

/// Most texts in one run of the text model.
const TEXT_BATCH: usize = 32;

/// Runs a bundle's text model, on the processor: prompts are few and computed once.
pub struct OnnxTextEncoder {
    session: Session,
    ports: TextPorts,
    tokenizer: Tokenizer,
}

impl OnnxTextEncoder {
    /// Loads tokenizer and text model of `bundle`.
    ///
    /// # Errors
    /// When one of them is missing, broken, or they do not fit together.
    pub fn open(runtime: &Runtime, bundle: &Bundle) -> Result<Self, OnnxError> {
        let fault = |cause| model_error(bundle, "textual/model.onnx", cause);
        let tokenizer = tokenizer(bundle)?;
        let session = runtime.session(&bundle.text_model()?, &Plan::cpu());
        let session = session.map_err(|trouble| fault(trouble.text()))?;
        let (inputs, outputs) = (ports(session.inputs()), ports(session.outputs()));
        let ports = signature::text_ports(&inputs, &outputs, expected(bundle)).map_err(fault)?;
        match ports.fixed_length {
            Some(length) if length != tokenizer.length() => Err(fault(format!(
                "it takes {length} tokens, but textual/tokenizer.json and context_length in \
                 config.json give {}",
                tokenizer.length()
            ))),
            _ => Ok(Self { session, ports, tokenizer }),
        }
    }

    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn encode_batch(&mut self, texts: &[String]) -> Result<Vec<Embedding>, EncodeError> {
        let tokens: Result<Vec<Tokens>, _> =
            texts.iter().map(|t| self.tokenizer.encode(t)).collect();
        let tokens = tokens.map_err(|error| EncodeError::Failed(error.to_string()))?;
        let rows = self.ports.fixed_batch.unwrap_or(texts.len());
        let batch = format!("text batch starting with {:?}", texts.first().map_or("", |t| t));
        let fault = |error: ort::Error| EncodeError::Failed(format!("{batch}: {error}"));
        let mut inputs = Vec::with_capacity(self.ports.inputs.len());
        for (name, feed, wide) in &self.ports.inputs {
            let values = feed_values(*feed, &tokens, rows * self.tokenizer.length());
            let shape = [rows, self.tokenizer.length()];
            let value: SessionInputValue<'_> = if *wide {
                let values: Vec<i64> = values.into_iter().map(i64::from).collect();
                Tensor::from_array((shape, values)).map_err(fault)?.into()
            } else {
                Tensor::from_array((shape, values)).map_err(fault)?.into()
            };
            inputs.push((name.as_str(), value));
        }
        let outputs = self.session.run(inputs).map_err(fault)?;
        embeddings(&outputs, &self.ports.output, (rows, texts.len()), &batch)
    }
}

impl TextEncoder for OnnxTextEncoder {
    fn encode(&mut self, texts: &[String]) -> Result<Vec<Embedding>, EncodeError> {
        let size = self.ports.fixed_batch.unwrap_or(TEXT_BATCH).max(1);
        let mut embeddings = Vec::with_capacity(texts.len());
        for batch in texts.chunks(size) {
            embeddings.extend(self.encode_batch(batch)?);
        }
        Ok(embeddings)
    }
}

/// Token ids fit `i32`: the largest vocabularies have a quarter of a million.
fn feed_values(feed: Feed, tokens: &[Tokens], length: usize) -> Vec<i32> {
    let row = |tokens: &Tokens| match feed {
        Feed::Ids => tokens.ids.clone(),
        Feed::Mask => tokens.mask.clone(),
        Feed::Zeros => vec![0; tokens.ids.len()],
    };
    let mut values: Vec<i32> = tokens.iter().flat_map(row).map(u32::cast_signed).collect();
    values.resize(length, 0);
    values
}

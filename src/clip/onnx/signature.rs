//! Which input and output of a model is which: found by shape and type, never by position.
//!
//! Pure, and free of `ort`, so that odd exports can be tested without their files.

/// Element types that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Float32,
    Float16,
    Uint8,
    Int32,
    Int64,
    Other,
}

/// One input or output. Dimensions below 1 are free.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Port {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) shape: Vec<i64>,
}

/// What a bundle says about its models.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    /// Of the picture, pixels.
    pub(super) size: u32,
    pub(super) embed_dim: Option<usize>,
}

/// Where pictures go in and embeddings come out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ImagePorts {
    pub(super) output: String,
    /// What pictures go in as: floats of 32 or 16 bits, normalised, or bytes, as pixels are.
    pub(super) input: Kind,
    /// A model exported for one batch size takes no other.
    pub(super) fixed_batch: Option<usize>,
}

/// What a text model's input takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Feed {
    Ids,
    /// 1 for text, 0 for padding.
    Mask,
    /// Sentence number, which is always 0 here.
    Zeros,
}

/// Where texts go in and embeddings come out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextPorts {
    /// By name; the flag tells 64-bit integers from 32-bit ones.
    pub(super) inputs: Vec<(String, Feed, bool)>,
    pub(super) output: String,
    pub(super) fixed_batch: Option<usize>,
    pub(super) fixed_length: Option<usize>,
}

pub(super) fn image_ports(
    inputs: &[Port],
    outputs: &[Port],
    expected: Expected,
) -> Result<ImagePorts, String> {
    let [input] = inputs else {
        return Err(format!(
            "it has {} inputs ({}), an image model has one",
            inputs.len(),
            list(inputs)
        ));
    };
    if input.kind != Kind::Uint8 {
        float(input).map_err(|error| format!("{error}, or uint8 for pixels as they are"))?;
    }
    let size = i64::from(expected.size);
    let fits = |dim: i64, wanted: i64| dim < 1 || dim == wanted;
    let &[batch, channels, height, width] = input.shape.as_slice() else {
        return Err(format!("its input is {}, not [batch, 3, height, width]", describe(input)));
    };
    if !fits(channels, 3) {
        return Err(format!(
            "its input is {}; channels must come first, and be 3",
            describe(input)
        ));
    }
    if !fits(height, size) || !fits(width, size) {
        return Err(format!(
            "its input is {}, but visual/preprocess_cfg.json says size {size}; they must agree",
            describe(input)
        ));
    }
    Ok(ImagePorts {
        output: embedding(outputs, expected)?,
        input: input.kind,
        fixed_batch: free(batch),
    })
}

pub(super) fn text_ports(
    inputs: &[Port],
    outputs: &[Port],
    expected: Expected,
) -> Result<TextPorts, String> {
    let mut feeds = Vec::with_capacity(inputs.len());
    for input in inputs {
        let feed = feed(input, inputs.len() == 1)?;
        feeds.push((input.name.clone(), feed, input.kind == Kind::Int64));
    }
    let ids = inputs.iter().zip(&feeds).filter(|(_, (_, feed, _))| *feed == Feed::Ids);
    let ids: Vec<&Port> = ids.map(|(port, _)| port).collect();
    let [ids] = ids.as_slice() else {
        return Err(format!(
            "one input should take token ids, but its inputs are {}",
            list(inputs)
        ));
    };
    Ok(TextPorts {
        output: embedding(outputs, expected)?,
        fixed_batch: free(ids.shape[0]),
        fixed_length: free(ids.shape[1]),
        inputs: feeds,
    })
}

fn feed(input: &Port, alone: bool) -> Result<Feed, String> {
    if !matches!(input.kind, Kind::Int32 | Kind::Int64) || input.shape.len() != 2 {
        return Err(format!(
            "its input {} is {}; a text model takes int32 or int64 of shape [batch, tokens]",
            input.name,
            describe(input)
        ));
    }
    let name = input.name.to_lowercase();
    Ok(match () {
        () if alone => Feed::Ids,
        () if name.contains("mask") => Feed::Mask,
        () if name.contains("type") => Feed::Zeros,
        () => Feed::Ids,
    })
}

/// The output `[batch, dim]`; of several, the one with the bundle's `embed_dim`.
fn embedding(outputs: &[Port], expected: Expected) -> Result<String, String> {
    let flat: Vec<&Port> = outputs
        .iter()
        .filter(|port| matches!(port.kind, Kind::Float32 | Kind::Float16) && port.shape.len() == 2)
        .collect();
    let dim = expected.embed_dim.and_then(|dim| i64::try_from(dim).ok());
    let chosen = match flat.as_slice() {
        [single] => *single,
        several => {
            let mut exact =
                several.iter().filter(|port| dim.is_some_and(|dim| port.shape[1] == dim));
            let (Some(one), None) = (exact.next(), exact.next()) else {
                return Err(format!(
                    "its outputs are {}; exactly one must be an embedding, [batch, dim] (embed_dim \
                     in config.json tells several apart)",
                    list(outputs)
                ));
            };
            *one
        }
    };
    float(chosen)?;
    match (free(chosen.shape[1]), expected.embed_dim) {
        (Some(found), Some(wanted)) if found != wanted => Err(format!(
            "its embeddings have {found} values, but embed_dim in config.json is {wanted}"
        )),
        _ => Ok(chosen.name.clone()),
    }
}

fn float(port: &Port) -> Result<(), String> {
    match port.kind {
        Kind::Float32 | Kind::Float16 => Ok(()),
        _ => Err(format!("{} is {}, a 16- or 32-bit float is needed", port.name, describe(port))),
    }
}

/// A dimension that is not free.
fn free(dim: i64) -> Option<usize> {
    usize::try_from(dim).ok().filter(|dim| *dim > 0)
}

fn describe(port: &Port) -> String {
    let kind = match port.kind {
        Kind::Float32 => "float32",
        Kind::Float16 => "float16",
        Kind::Uint8 => "uint8",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Other => "of another type",
    };
    let dims = port.shape.iter().map(|dim| if *dim < 1 { "?".to_owned() } else { dim.to_string() });
    format!("{kind} [{}]", dims.collect::<Vec<_>>().join(", "))
}

fn list(ports: &[Port]) -> String {
    let named = ports.iter().map(|port| format!("{}: {}", port.name, describe(port)));
    named.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, kind: Kind, shape: &[i64]) -> Port {
        Port { name: name.into(), kind, shape: shape.into() }
    }

    fn expected(embed_dim: Option<usize>) -> Expected {
        Expected { size: 224, embed_dim }
    }

    fn pictures(shape: &[i64]) -> [Port; 1] {
        [port("image", Kind::Float32, shape)]
    }

    fn embeddings() -> [Port; 1] {
        [port("embedding", Kind::Float32, &[-1, 384])]
    }

    #[test]
    fn an_image_model_is_understood() {
        let ports = image_ports(&pictures(&[-1, 3, 224, 224]), &embeddings(), expected(Some(384)));
        assert_eq!(
            ports,
            Ok(ImagePorts { output: "embedding".into(), input: Kind::Float32, fixed_batch: None })
        );
        let fixed = image_ports(&pictures(&[1, 3, -1, -1]), &embeddings(), expected(None));
        assert_eq!(fixed.unwrap().fixed_batch, Some(1));
        for kind in [Kind::Float16, Kind::Uint8] {
            let input = [port("image", kind, &[-1, 3, 224, 224])];
            let ports = image_ports(&input, &embeddings(), expected(None)).unwrap();
            assert_eq!(ports.input, kind);
        }
    }

    #[test]
    fn of_several_outputs_the_one_with_the_right_width_is_taken() {
        let outputs = [
            port("last_hidden_state", Kind::Float32, &[-1, 50, 768]),
            port("pooled", Kind::Float32, &[-1, 768]),
            port("image_embeds", Kind::Float32, &[-1, 512]),
        ];
        let input = pictures(&[-1, 3, 224, 224]);
        assert_eq!(
            image_ports(&input, &outputs, expected(Some(512))).unwrap().output,
            "image_embeds"
        );
        assert!(image_ports(&input, &outputs, expected(None)).unwrap_err().contains("embed_dim"));
    }

    #[track_caller]
    fn image_refused(input: &[Port], output: &[Port], part: &str) {
        let error = image_ports(input, output, expected(Some(384))).unwrap_err();
        assert!(error.contains(part), "{error}");
    }

    #[test]
    fn wrong_image_models_say_what_is_wrong() {
        image_refused(&pictures(&[-1, 224, 224, 3]), &embeddings(), "channels must come first");
        image_refused(&pictures(&[-1, 3, 336, 336]), &embeddings(), "size 224");
        image_refused(&pictures(&[-1, 3]), &embeddings(), "[batch, 3, height, width]");
        image_refused(&[], &embeddings(), "0 inputs");
        let other = [port("image", Kind::Other, &[-1, 3, 224, 224])];
        image_refused(&other, &embeddings(), "16- or 32-bit float is needed, or uint8");
        let wide = [port("e", Kind::Float32, &[-1, 512])];
        image_refused(&pictures(&[-1, 3, 224, 224]), &wide, "embed_dim in config.json is 384");
    }

    #[test]
    fn text_models_may_take_a_mask() {
        let inputs = [
            port("attention_mask", Kind::Int64, &[-1, -1]),
            port("token_type_ids", Kind::Int64, &[-1, -1]),
            port("input_ids", Kind::Int64, &[-1, -1]),
        ];
        let ports = text_ports(&inputs, &embeddings(), expected(None)).unwrap();
        let feeds: Vec<Feed> = ports.inputs.iter().map(|(_, feed, _)| *feed).collect();
        assert_eq!(feeds, [Feed::Mask, Feed::Zeros, Feed::Ids]);
        let single = [port("text", Kind::Int32, &[1, 77])];
        let ports = text_ports(&single, &embeddings(), expected(None)).unwrap();
        assert_eq!((ports.fixed_batch, ports.fixed_length), (Some(1), Some(77)));
        assert_eq!(ports.inputs, [("text".to_owned(), Feed::Ids, false)]);
    }

    #[test]
    fn wrong_text_models_say_what_is_wrong() {
        let refused =
            |inputs: &[Port]| text_ports(inputs, &embeddings(), expected(None)).unwrap_err();
        assert!(refused(&[port("a", Kind::Float32, &[-1, 77])]).contains("int32 or int64"));
        assert!(refused(&[port("a", Kind::Int64, &[-1])]).contains("[batch, tokens]"));
        let two = [port("a", Kind::Int64, &[-1, 77]), port("b", Kind::Int64, &[-1, 77])];
        assert!(refused(&two).contains("one input should take token ids"));
    }
}

//! The inputs of a model that does its preprocessing: bytes of pixels, in reused buffers.
//!
//! What the host does is copy the rows of each window, with all cores: one alone is slower than a
//! GPU. The buffer of a batch has room for its largest window in every place; on the device the
//! pixels are floats for a while, so a batch takes there about 20 bytes for each pixel of that room.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ort::session::builder::SessionBuilder;
use ort::session::{Session, SessionInputValue, SessionInputs};
use ort::value::TensorRef;

use super::input::{Input, Inputs};
use super::pixels::Pixels;
use super::signature::{Kind, Port};
use crate::clip::bundle::ModelFile;
use crate::clip::preprocess::{PreprocessError, PreprocessSpec, check};
use crate::clip::resident::window::Window;
use crate::clip::resident::{Element, Grafted, graft};
use crate::cores;
use crate::model::{Picture, View};

/// Where ONNX Runtime looks for weights beside a model that it gets as bytes.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// Widths and heights of the buffer are multiples of this: products of matrices whose rows are
/// not aligned run on slower kernels, and fewer different shapes come up.
const ALIGNED: u32 = 8;

/// The picture that warming up runs with: what is in use at a camera is seldom larger after
/// halving.
const USUAL: (u32, u32) = (1280, 720);

/// Where pictures become the model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preprocess {
    /// On the processor: a finished picture goes to the device.
    #[default]
    Host,
    /// In the model: pixels go to the device as they are, and it has the work. Of models and
    /// filters that this cannot be done for, the pictures are made on the host.
    Device,
}

/// A model that takes pixels, and what is needed to give them to it.
pub(super) struct Resident {
    pub(super) model: ModelFile,
    /// The input that the model had before, which tells whether it fits its bundle.
    pub(super) replaced: [Port; 1],
    names: [String; 4],
}

/// Rewrites `model` if `preprocess` asks for it. `None`, and a line in the log, where it cannot be
/// done; a file that cannot be read is left to the one who loads it.
pub(super) fn resident(
    preprocess: Preprocess,
    model: &ModelFile,
    spec: &PreprocessSpec,
) -> Option<Resident> {
    if preprocess == Preprocess::Host {
        return None;
    }
    let folder = model.folder();
    let grafted = graft(&model.bytes().ok()?, spec);
    match grafted {
        Ok(grafted) => Some(Resident::new(grafted, folder)),
        Err(error) => {
            tracing::warn!(%error, "pictures are made on the host");
            None
        }
    }
}

/// Loads a model from bytes; `folder` is where weights beside it are.
pub(super) fn commit(
    builder: SessionBuilder,
    bytes: &[u8],
    folder: Option<&Path>,
) -> ort::Result<Session> {
    let mut builder = match folder {
        Some(folder) => builder
            .with_config_entry(WEIGHTS_FOLDER, folder.to_string_lossy())
            .map_err(|error| ort::Error::new(error.to_string()))?,
        None => builder,
    };
    builder.commit_from_memory(bytes)
}

impl Resident {
    fn new(grafted: Grafted, folder: Option<PathBuf>) -> Self {
        let Grafted { bytes, external, pixels, which, down, across, replaced } = grafted;
        let kind = match replaced.element {
            Element::Float32 => Kind::Float32,
            Element::Float16 => Kind::Float16,
            Element::Uint8 => Kind::Uint8,
        };
        Self {
            model: ModelFile::Made { bytes, folder: folder.filter(|_| external) },
            replaced: [Port { name: replaced.name, kind, shape: replaced.shape }],
            names: [pixels, which, down, across],
        }
    }

    pub(super) fn input(&self, spec: &PreprocessSpec, pixels: Pixels) -> Box<dyn Input> {
        Box::new(Batch {
            spec: spec.clone(),
            names: self.names.clone(),
            views: Vec::new(),
            room: (0, 0),
            pixels,
            which: Vec::new(),
            down: Vec::new(),
            across: Vec::new(),
        })
    }
}

struct Batch {
    spec: PreprocessSpec,
    names: [String; 4],
    /// Windows of different kinds, in the order of `down` and `across`.
    views: Vec<Window>,
    /// Columns and rows of each place in `pixels`.
    room: (usize, usize),
    pixels: Pixels,
    which: Vec<i64>,
    down: Vec<f32>,
    across: Vec<f32>,
}

impl Batch {
    /// At least one.
    fn windows(
        &self,
        pictures: &[(&Picture, View)],
    ) -> Result<Vec<Window>, (usize, PreprocessError)> {
        let mut windows = Vec::with_capacity(pictures.len());
        for (index, (picture, view)) in pictures.iter().enumerate() {
            check(picture).map_err(|error| (index, error))?;
            windows.push(Window::new(&self.spec, (picture.width, picture.height), *view));
        }
        if windows.is_empty() {
            // What is in the places then does not matter, but the model needs a view.
            windows.push(Window::new(&self.spec, USUAL, View::default()));
        }
        Ok(windows)
    }

    /// Makes places for `rows` pictures, each large enough for any of `windows`.
    fn make_room(&mut self, rows: usize, windows: &[Window]) {
        let most = |side: fn(&Window) -> u32| {
            windows.iter().map(side).max().unwrap_or(1).next_multiple_of(ALIGNED) as usize
        };
        self.room = (most(|window| window.columns().len() as u32), most(|w| w.rows().len() as u32));
        self.pixels.make_room([rows, self.room.1, self.room.0, 3]);
        self.which.clear();
        self.which.resize(rows, 0);
        self.views.clear();
        self.down.clear();
        self.across.clear();
    }

    /// The number of the view that `window` has.
    fn view(&mut self, window: &Window) -> usize {
        let known = self.views.iter().position(|view| view.is_like(window));
        known.unwrap_or_else(|| {
            window.down(&mut self.down);
            window.across(&mut self.across);
            self.views.push(*window);
            self.views.len() - 1
        })
    }
}

impl Input for Batch {
    fn reserve(&mut self, rows: usize, pictures: &[(&Picture, View)]) {
        // A wrong picture is told of when it is filled in.
        if let Ok(windows) = self.windows(pictures) {
            self.make_room(rows, &windows);
        }
    }

    fn fill(
        &mut self,
        rows: usize,
        pictures: &[(&Picture, View)],
    ) -> Result<(), (usize, PreprocessError)> {
        let windows = self.windows(pictures)?;
        self.make_room(rows, &windows);
        for (row, window) in windows.iter().enumerate() {
            let view = self.view(window);
            // There is no row for the view of a batch without pictures.
            if row < pictures.len() {
                self.which[row] = view as i64;
            }
        }
        let columns = self.room.0 * 3;
        let places = self.pixels.bytes().chunks_exact_mut(columns * self.room.1);
        let copies = places.zip(pictures).zip(&windows).collect();
        cores::each(copies, |((place, (picture, _)), window)| {
            copy(place, columns, picture, window);
        });
        Ok(())
    }

    fn tensors(&self) -> ort::Result<Inputs<'_>> {
        let (size, views, batch) = (self.spec.size as usize, self.views.len(), self.which.len());
        let down = ([views, size, 3], self.down.as_slice());
        let across = ([views, 3, size], self.across.as_slice());
        let values: [SessionInputValue<'_>; 4] = [
            self.pixels.tensor()?,
            TensorRef::from_array_view(([batch], self.which.as_slice()))?.into(),
            TensorRef::from_array_view(down)?.into(),
            TensorRef::from_array_view(across)?.into(),
        ];
        let names = self.names.iter().map(|name| Cow::Borrowed(name.as_str()));
        Ok(SessionInputs::ValueMap(names.zip(values).collect()))
    }
}

/// Copies the lines of `window` into `place`, whose lines have `columns` bytes.
fn copy(place: &mut [u8], columns: usize, picture: &Picture, window: &Window) {
    let (left, width) = (window.columns().start as usize * 3, window.columns().len() * 3);
    let lines = picture.rgb.chunks_exact(picture.width as usize * 3);
    let lines = lines.skip(window.rows().start as usize).take(window.rows().len());
    for (to, line) in place.chunks_exact_mut(columns).zip(lines) {
        to[..width].copy_from_slice(&line[left..left + width]);
    }
}

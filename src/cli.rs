//! Command line (stand-in).

pub mod classify;
pub mod embed;
pub mod model_args;

//! seewhen

pub mod cli;
pub mod clip;
pub mod config;
pub mod model;
pub mod watch;

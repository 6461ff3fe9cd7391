//! seewhen
pub mod alert;
pub mod backoff;
pub mod capture;
pub mod clip;
pub mod clock;
pub mod config;
pub mod infer;
pub mod mailbox;
pub mod model;
pub mod publish;
pub mod status;
pub mod stop;
pub mod watch;

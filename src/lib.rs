//! seewhen watches cameras for things described in words, and says over MQTT when it sees them.
//!
//! The flow is the layout:
//!
//! ```text
//! capture ──▶ mailbox ──▶ infer ──▶ alert ──▶ publish ──▶ broker
//! a thread    newest      batch →   rules:    outbox,
//! per camera  frame per   embed →   events    topics,
//!             camera      score               payloads
//! ```
//!
//! Modules only use those of a lower layer; `tests/layering.rs` checks it. `ARCHITECTURE.md` has
//! the layers, the queues and the rules that hold it together.

// 0: vocabulary
pub mod backoff;
pub mod cores;
pub mod model;
// 1: pure logic and plumbing
pub mod clip;
pub mod clock;
pub mod command;
pub mod config;
pub mod embeddings;
pub mod jpeg;
pub mod mailbox;
pub mod status;
pub mod stop;
pub mod taught;
pub mod tune;
pub mod view;
pub mod watch;
pub mod whole;
// 2: stages, in the order of the flow; 3: their adapters, in the files below them
pub mod alert;
pub mod capture;
pub mod infer;
pub mod publish;
// 3: adapters without a stage
pub mod logging;
pub mod web;
// 4: composition
pub mod daemon;
// 5: edge
pub mod cli;

//! Log output: stderr, one line per happening, `SEEWHEN_LOG` to filter ("debug",
//! "seewhen::capture=debug"). Under systemd's journal each line carries its priority and no time
//! of its own.

use std::fmt;
use std::io::IsTerminal as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, format};
use tracing_subscriber::registry::LookupSpan;

/// The variable that sets what is logged.
pub const FILTER: &str = "SEEWHEN_LOG";

/// Starts logging; `default` is what is logged when nobody asked for anything else.
pub fn start(default: &str) -> anyhow::Result<()> {
    let wanted = std::env::var(FILTER).unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&wanted)
        .map_err(|error| anyhow::anyhow!("{FILTER}={wanted:?} is not a log filter: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::env::var_os("JOURNAL_STREAM").is_some() {
        let line = format().with_ansi(false).without_time().with_target(false);
        log.event_format(Journal(line)).try_init()
    } else {
        log.with_ansi(std::io::stderr().is_terminal()).with_target(false).try_init()
    };
    started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}

/// Puts syslog's priority in front, as journald reads it.
struct Journal<F>(F);

impl<S, N, F> FormatEvent<S, N> for Journal<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            Level::DEBUG | Level::TRACE => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}

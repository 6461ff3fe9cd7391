//! A client of the page.

use std::io::{BufRead as _, BufReader, Read as _};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Broker, Seewhen, free_port, wait_for};

/// A seewhen with a page.
pub struct Site {
    pub seewhen: Seewhen,
    pub port: u16,
    agent: ureq::Agent,
}

/// What came back.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub kind: String,
    pub tag: Option<String>,
    pub body: Vec<u8>,
}

impl Response {
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Site {
    /// Starts it, and waits for its page.
    pub fn start(config: &str) -> Self {
        let port = free_port();
        let listen = format!("127.0.0.1:{port}");
        let seewhen = Seewhen::start_with(config, &[("SEEWHEN_WEB__LISTEN", &listen)]);
        let settings = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = settings.timeout_global(Some(Duration::from_secs(60))).build().new_agent();
        wait_for("the page", Duration::from_secs(60), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { seewhen, port, agent }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let request = self.agent.get(self.url(path));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        read(request.call().unwrap())
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.agent.post(self.url(path)).header("content-type", "application/json");
        read(request.send(body.to_string()).unwrap())
    }

    /// Listens for `time` at most, until `done` says so of an event's kind and data.
    pub fn live(&self, time: Duration, mut done: impl FnMut(&str, &Value) -> bool) -> bool {
        let end = Instant::now() + time;
        let response = self.agent.get(self.url("/api/live")).call().unwrap();
        let mut lines = BufReader::new(response.into_body().into_reader()).lines();
        let mut kind = String::new();
        while Instant::now() < end {
            let Some(Ok(line)) = lines.next() else { return false };
            if let Some(name) = line.strip_prefix("event: ") {
                name.clone_into(&mut kind);
            } else if let Some(data) = line.strip_prefix("data: ")
                && done(&kind, &serde_json::from_str(data).unwrap())
            {
                return true;
            }
        }
        false
    }
}

fn read(response: ureq::http::Response<ureq::Body>) -> Response {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    };
    let (kind, tag) = (header("content-type").unwrap_or_default(), header("etag"));
    let status = response.status().as_u16();
    let mut body = Vec::new();
    response.into_body().into_reader().read_to_end(&mut body).unwrap();
    Response { status, kind, tag, body }
}

/// The clip as camera "street" with pictures in the history of embeddings, watched by "traffic" for a cyclist.
pub fn street(broker: &Broker) -> String {
    format!(
        r#"
node = "test"
mqtt.url = "mqtt://127.0.0.1:{port}"
embeddings.pictures = true
[[camera]]
id = "street"
source = "{clip}"
loop = true
every = "250ms"
[[watch]]
id = "traffic"
templates = ["a photo of {{}}"]
label = [
    {{ id = "cyclist", prompts = ["a person riding a bicycle"], threshold = 0.5 }},
    {{ id = "bicycle", prompts = ["a parked bicycle"] }},
    {{ id = "taxi", prompts = ["a yellow taxi"] }},
    {{ id = "cars", prompts = ["cars on a street"] }},
]
"#,
        port = broker.port,
        clip = super::bikes().display(),
    )
}

//! A web server on loopback that serves a folder, and can be told to behave badly.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// How it misbehaves.
#[derive(Debug, Clone, Copy, Default)]
pub enum Trick {
    #[default]
    None,
    /// Ends every connection after so many bytes of the body.
    CutAfter(usize),
    /// Sends everything, whatever part is asked for.
    NoRanges,
}

#[derive(Default)]
struct State {
    trick: Trick,
    paths: Vec<String>,
    ranges: Vec<String>,
}

/// Serves until the test ends.
pub struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start(root: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let serve_all = move || {
            for connection in listener.incoming().flatten() {
                // A client that hangs up is what some tests are about.
                drop(serve(&root, &shared, connection));
            }
        };
        std::thread::Builder::new().name("web".to_owned()).spawn(serve_all).unwrap();
        Self { port, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    pub fn trick(&self, trick: Trick) {
        self.state.lock().unwrap().trick = trick;
    }

    /// Requests so far.
    pub fn asked(&self) -> usize {
        self.paths().len()
    }

    pub fn paths(&self) -> Vec<String> {
        self.state.lock().unwrap().paths.clone()
    }

    /// The values of `Range` so far.
    pub fn ranges(&self) -> Vec<String> {
        self.state.lock().unwrap().ranges.clone()
    }
}

fn serve(root: &Path, state: &Mutex<State>, mut stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    let path = request.split(' ').nth(1).unwrap_or("/").trim_start_matches('/').to_owned();
    let mut range = None;
    for line in lines.by_ref() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some((_, value)) =
            line.split_once(": ").filter(|(k, _)| k.eq_ignore_ascii_case("range"))
        {
            range = Some(value.to_owned());
        }
    }
    let trick = {
        let mut state = state.lock().unwrap();
        state.paths.push(path.clone());
        state.ranges.extend(range.clone());
        state.trick
    };
    let Ok(whole) = fs::read(root.join(&path)) else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let start = range
        .as_deref()
        .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let start: usize = start.filter(|_| !matches!(trick, Trick::NoRanges)).unwrap_or(0);
    if start > 0 && start >= whole.len() {
        return stream.write_all(
            b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    }
    let body = &whole[start..];
    let status = if start > 0 {
        format!(
            "206 Partial Content\r\nContent-Range: bytes {start}-{}/{}",
            whole.len() - 1,
            whole.len()
        )
    } else {
        "200 OK".to_owned()
    };
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    match trick {
        Trick::CutAfter(most) => stream.write_all(&body[..body.len().min(most)]),
        _ => stream.write_all(body),
    }
}

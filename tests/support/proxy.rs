//! A TCP proxy that does to a connection what networks do: refuse, fall silent, cut, freeze, send
//! rubbish; and that loses and swaps the UDP packets of an RTSP session set up through it.
//!
//! Listens on a free port of 127.0.0.1. Its threads end with it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses the parts it needs")]
#![allow(clippy::unwrap_used, reason = "a part that does not work fails its test")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::{Builder, sleep};
use std::time::Duration;

/// How long a thread may take to notice that something changed.
const POLL: Duration = Duration::from_millis(20);

/// What happens to connections and to what travels on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Pass,
    /// Nobody listens.
    Refuse,
    /// Connections are taken, and nothing ever comes.
    Silent,
    /// Everything stands still, and no end is told.
    Frozen,
    /// What comes from the camera is replaced by random bytes.
    Garbage,
    Over,
}

#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    /// Connections from before the last cut end.
    cuts: u32,
    upstream: u16,
    /// Percentage of UDP packets that are lost; as many are swapped with the next.
    loss: u8,
    lost: u32,
}

type Shared = Arc<Mutex<State>>;

pub struct Proxy {
    pub port: u16,
    state: Shared,
    tape: Tape,
}

/// What went through, in both directions, where that is wanted.
type Tape = Option<Arc<Mutex<Vec<u8>>>>;

impl Proxy {
    pub fn to(upstream: u16) -> Self {
        Self::start(upstream, None)
    }

    /// Keeps what goes through.
    pub fn recording(upstream: u16) -> Self {
        Self::start(upstream, Some(Arc::default()))
    }

    fn start(upstream: u16, tape: Tape) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state =
            Arc::new(Mutex::new(State { mode: Mode::Pass, cuts: 0, upstream, loss: 0, lost: 0 }));
        let (shared, copy) = (state.clone(), tape.clone());
        Builder::new().spawn(move || accept(listener, &shared, &copy)).unwrap();
        Self { port, state, tape }
    }

    /// Whether `text` went through in the clear.
    pub fn heard(&self, text: &str) -> bool {
        let tape = self.tape.as_ref().expect("a proxy that records").lock().unwrap();
        tape.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    }

    /// How many bytes went through.
    pub fn recorded(&self) -> usize {
        self.tape.as_ref().expect("a proxy that records").lock().unwrap().len()
    }

    pub fn set(&self, mode: Mode) {
        self.state.lock().unwrap().mode = mode;
    }

    /// Ends every connection there is.
    pub fn cut(&self) {
        self.state.lock().unwrap().cuts += 1;
    }

    /// Connections lead to another camera from now on.
    pub fn lead_to(&self, upstream: u16) {
        self.state.lock().unwrap().upstream = upstream;
    }

    pub fn lose(&self, percent: u8) {
        self.state.lock().unwrap().loss = percent;
    }

    /// How many packets were lost so far.
    pub fn lost(&self) -> u32 {
        self.state.lock().unwrap().lost
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.set(Mode::Over);
        self.cut();
    }
}

fn accept(listener: TcpListener, shared: &Shared, tape: &Tape) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    loop {
        let state = *shared.lock().unwrap();
        match (state.mode, &listener) {
            (Mode::Over, _) => return,
            (Mode::Refuse, _) => listener = None,
            (_, None) => listener = TcpListener::bind(address).ok(),
            (_, Some(open)) => {
                open.set_nonblocking(true).unwrap();
                if let Ok((client, _)) = open.accept() {
                    client.set_nonblocking(false).unwrap();
                    connect(client, state, shared, tape);
                    continue;
                }
            }
        }
        sleep(POLL);
    }
}

fn connect(client: TcpStream, state: State, shared: &Shared, tape: &Tape) {
    let State { mode, cuts, upstream, .. } = state;
    if mode == Mode::Silent {
        let shared = shared.clone();
        let hold = move || {
            while shared.lock().unwrap().cuts == cuts {
                sleep(POLL);
            }
            drop(client);
        };
        Builder::new().spawn(hold).unwrap();
        return;
    }
    // A camera that is not there: the client sees the end of its connection.
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)) else { return };
    for (from, to, down) in [(&client, &server, false), (&server, &client, true)] {
        let pump = Pump {
            from: from.try_clone().unwrap(),
            to: to.try_clone().unwrap(),
            down,
            cuts,
            shared: shared.clone(),
            tape: tape.clone(),
        };
        Builder::new().spawn(move || pump.run()).unwrap();
    }
}

/// One direction of a connection.
struct Pump {
    from: TcpStream,
    to: TcpStream,
    /// From the camera.
    down: bool,
    cuts: u32,
    shared: Shared,
    tape: Tape,
}

impl Pump {
    fn run(mut self) {
        self.from.set_read_timeout(Some(POLL)).unwrap();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let state = *self.shared.lock().unwrap();
            if state.cuts != self.cuts {
                break;
            }
            if state.mode == Mode::Frozen {
                sleep(POLL);
                continue;
            }
            let read = match self.from.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            let mut data = chunk[..read].to_vec();
            if self.down && state.mode == Mode::Garbage {
                data.fill_with(|| fastrand::u8(..));
            }
            if let Some(tape) = &self.tape {
                tape.lock().unwrap().extend_from_slice(&data);
            }
            if !self.down {
                data = self.redirect(data);
            }
            if self.to.write_all(&data).is_err() {
                break;
            }
        }
        drop(self.from.shutdown(Shutdown::Both));
        drop(self.to.shutdown(Shutdown::Both));
    }

    /// Puts relays into the way of the packets that a SETUP asks for.
    fn redirect(&self, data: Vec<u8>) -> Vec<u8> {
        let text = String::from_utf8_lossy(&data).into_owned();
        let Some((before, after)) = text.split_once("client_port=") else { return data };
        let end = after.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(after.len());
        let Some((first, second)) = after[..end].split_once('-') else { return data };
        let relay = |port: &str| self.relay(port.parse().unwrap());
        format!("{before}client_port={}-{}{}", relay(first), relay(second), &after[end..])
            .into_bytes()
    }

    fn relay(&self, to: u16) -> u16 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(POLL)).unwrap();
        let port = socket.local_addr().unwrap().port();
        let (shared, cuts) = (self.shared.clone(), self.cuts);
        let run = move || {
            let (mut packet, mut held) = (vec![0; 64 * 1024], None::<Vec<u8>>);
            loop {
                let state = *shared.lock().unwrap();
                if state.cuts != cuts {
                    return;
                }
                let Ok((size, _)) = socket.recv_from(&mut packet) else { continue };
                let luck = fastrand::u8(..100);
                if luck < state.loss {
                    shared.lock().unwrap().lost += 1;
                    continue;
                }
                if luck < state.loss * 2 && held.is_none() {
                    held = Some(packet[..size].to_vec());
                    continue;
                }
                drop(socket.send_to(&packet[..size], ("127.0.0.1", to)));
                if let Some(late) = held.take() {
                    drop(socket.send_to(&late, ("127.0.0.1", to)));
                }
            }
        };
        Builder::new().spawn(run).unwrap();
        port
    }
}

//! Connections: so many, with limits to how slow and how large they are.
//!
//! All of them are one future, which ends with the page: nothing is left running.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use super::access::Peer;
use crate::config::Identity;

/// Connections at once.
const MOST: usize = 256;
/// For a request's head to arrive, and for a connection on which none does.
const HEAD: Duration = Duration::from_secs(20);
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Somebody who takes nothing of an answer for so long has gone.
const STALLED: Duration = Duration::from_secs(20);
/// Of a request's head, bytes, and lines of it.
const LARGEST_HEAD: usize = 32 * 1024;
const MOST_LINES: usize = 64;
/// Between two attempts to accept while that fails, as it does without file descriptors.
const REST: Duration = Duration::from_secs(1);

/// What connections are encrypted with; `None`: nothing.
pub type Security = Option<Arc<ServerConfig>>;

/// Prepares it.
///
/// # Errors
/// When the key and its certificate cannot be used.
pub fn security(identity: Option<&Identity>) -> Result<Security, rustls::Error> {
    let Some(identity) = identity else { return Ok(None) };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Arc::new(config)))
}

/// Serves until `stop` is over, and then drops what is open. A connection goes by the `security` of its
/// beginning.
pub(super) async fn serve(
    listener: TcpListener,
    security: watch::Receiver<Security>,
    router: Router,
    stop: impl Future<Output = ()>,
) {
    let mut open = FuturesUnordered::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            (stream, address) = accept(&listener) => {
                let acceptor = security.borrow().clone().map(TlsAcceptor::from);
                if open.len() < MOST {
                    open.push(connection(stream, address.ip(), acceptor, router.clone()));
                } else {
                    turn_away(&stream, acceptor.is_none());
                }
            }
            Some(()) = open.next() => {}
            () = &mut stop => return,
        }
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!(%error, "a connection to the page was not accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
}

fn turn_away(stream: &TcpStream, plain: bool) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n\
        Content-Type: application/json\r\nConnection: close\r\nContent-Length: 33\r\n\r\n\
        {\"error\":\"too many connections\"}\n";
    tracing::debug!("too many connections to the page");
    // Without TLS it is said. A new connection has room for it, and nobody is waited for.
    if plain && let Err(error) = stream.try_write(FULL) {
        tracing::debug!(%error, "and this one could not be told");
    }
}

async fn connection(
    stream: TcpStream,
    peer: IpAddr,
    acceptor: Option<TlsAcceptor>,
    router: Router,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "small answers to the page may be late");
    }
    let mut stream = Box::pin(TimeoutStream::new(stream));
    stream.as_mut().set_write_timeout_pinned(Some(STALLED));
    let Some(acceptor) = acceptor else { return talk(stream, peer, router).await };
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => talk(stream, peer, router).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no encrypted connection to the page"),
        Err(_) => tracing::debug!(%peer, "no encrypted connection to the page in time"),
    }
}

async fn talk(stream: impl AsyncRead + AsyncWrite + Unpin, peer: IpAddr, router: Router) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .max_header_size(LARGEST_HEAD)
        .max_headers(MOST_LINES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection to the page broke off");
    }
}

//! Passes one command to the agent's own channel. Reads neither command nor reply.
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;
use wbd_agent_api::command;

/// What changes the agent may have to watch many folders.
const CHANGE: Duration = Duration::from_secs(20);
/// What it says of itself it has at hand; whoever asks waits 10 s, and wants to hear that it is the agent who is silent.
const READ: Duration = Duration::from_secs(5);

/// Calls the agent.
///
/// # Errors
/// In words: not there, no answer in time, or not understood.
pub(crate) async fn call(socket: &Path, request: &str, change: bool) -> Result<String, String> {
    let deadline = if change { CHANGE } else { READ };
    tokio::time::timeout(deadline, exchange(socket, request))
        .await
        .map_err(|_| format!("no answer in {} s", deadline.as_secs()))?
}

async fn exchange(socket: &Path, request: &str) -> Result<String, String> {
    let stream = UnixStream::connect(socket).await.map_err(|error| format!("{}: {error}", socket.display()))?;
    let bus = zbus::connection::Builder::unix_stream(stream).p2p().build().await.map_err(|error| error.to_string())?;
    let answer = bus
        .call_method(
            None::<&str>,
            command::OBJECT_PATH,
            Some(command::INTERFACE_NAME),
            command::METHOD_NAME,
            &(request),
        )
        .await
        .map_err(|error| error.to_string())?;
    answer.body().deserialize::<String>().map_err(|error| error.to_string())
}

//! One call to the running agent from the command line; it changes nothing itself.

use crate::failure::{Exit, Failure};
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;
use wbd_agent_api::{Command, INTERFACE_NAME, METHOD_NAME, OBJECT_PATH, Reply};
use zbus::connection::Builder;

/// A little more than the agent takes at most, so that its own answer comes first.
const DEADLINE: Duration = Duration::from_secs(30);

/// Asks the agent behind the socket.
pub(crate) async fn call(socket: &Path, command: &Command) -> Result<Reply, Failure> {
    let name = socket.display();
    let stream = UnixStream::connect(socket).await.map_err(|error| {
        let (exit, hint) = if error.kind() == io::ErrorKind::PermissionDenied {
            (Exit::NotPermitted, "use sudo")
        } else {
            (Exit::Unreachable, "start it with -s start")
        };
        Failure::new(exit, format!("cannot reach the agent at {name}: {error}; {hint}"))
    })?;
    match timeout(DEADLINE, exchange(stream, command)).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(Failure::new(Exit::Unreachable, format!("the agent at {name} did not answer: {error}"))),
        Err(_) => {
            let message = format!("the agent at {name} did not answer within {} s; it may hang", DEADLINE.as_secs());
            Err(Failure::new(Exit::Unreachable, message))
        }
    }
}

async fn exchange(stream: UnixStream, command: &Command) -> Result<Reply, Box<dyn std::error::Error>> {
    let connection = Builder::unix_stream(stream).p2p().build().await?;
    let request = serde_json::to_string(command)?;
    let nobody = None::<zbus::names::BusName<'_>>;
    let answer = connection.call_method(nobody, OBJECT_PATH, Some(INTERFACE_NAME), METHOD_NAME, &(request,)).await?;
    Ok(serde_json::from_str(&answer.body().deserialize::<String>()?)?)
}

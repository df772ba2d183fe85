//! What needs a program that really runs, and is therefore refused: exec, attach, port-forward, and proxies.

use super::call::Call;
use crate::registry::errors;
use proto::meta::v1::Status;

/// What stands in for a subresource that needs something real; `None` for one that needs nothing.
fn instead(plural: &str, subresource: &str) -> Option<&'static str> {
    Some(match (plural, subresource) {
        ("pods", "exec" | "attach") => {
            "no container really runs here, so there is no process to speak with: `kubectl logs` shows what the \
             simulated container says, and its sim.orrery.dev/ annotations set what it does"
        }
        ("pods", "portforward") => {
            "no container really runs here, so nothing listens on its ports: `kubectl logs` shows what the simulated \
             container says"
        }
        ("pods" | "services", "proxy") => {
            "no container really runs here, so nothing would answer: `kubectl logs` shows what a simulated container says"
        }
        ("nodes", "proxy") => {
            "the node is simulated and its kubelet serves no HTTP: `orrery node` and `orrery crash` speak with it"
        }
        _ => return None,
    })
}

/// The refusal of a request that needs something real.
pub(crate) fn refusal(call: &Call) -> Option<Box<Status>> {
    let plural = call.resource.info.plural;
    let subresource = call.subresource();
    let why = instead(plural, subresource).filter(|_| call.resource.info.group.is_empty())?;
    Some(errors::bad_request(format!("{plural}/{subresource}: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_a_real_program_is_refused() {
        for (plural, subresource, refused) in [
            ("pods", "exec", true),
            ("pods", "attach", true),
            ("pods", "portforward", true),
            ("services", "proxy", true),
            ("nodes", "proxy", true),
            ("pods", "log", false),
            ("deployments", "exec", false),
        ] {
            assert_eq!(
                instead(plural, subresource).is_some(),
                refused,
                "{plural}/{subresource}"
            );
        }
    }
}

//! What paths and methods that nobody serves get.

use crate::harness::Server;

#[tokio::test]
async fn what_is_not_there_is_404_and_what_cannot_be_done_is_405() {
    let server = Server::start().await;
    for (method, path, code, reason) in [
        ("GET", "/api/v1/ponies", 404, "NotFound"),
        ("GET", "/api/v2/pods", 404, "NotFound"),
        ("GET", "/apis/apps/v1/pods", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/nodes", 404, "NotFound"),
        ("GET", "/api/v1/pods/web", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/web", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/a%2Fb", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/%2e%2e", 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/pods/%00", 404, "NotFound"),
        ("GET", "/api/v1//pods", 404, "NotFound"),
        (
            "GET",
            "/api/v1/namespaces/default/pods/web/nothing",
            404,
            "NotFound",
        ),
        ("POST", "/api/v1/pods", 405, "MethodNotAllowed"),
        ("DELETE", "/api/v1/pods", 405, "MethodNotAllowed"),
        ("DELETE", "/api/v1/namespaces", 405, "MethodNotAllowed"),
        ("PUT", "/api/v1/namespaces/default/pods", 405, "MethodNotAllowed"),
        (
            "POST",
            "/api/v1/namespaces/default/pods/web",
            405,
            "MethodNotAllowed",
        ),
        ("BREW", "/api/v1/namespaces/default/pods", 405, "MethodNotAllowed"),
    ] {
        let answer = server.ask(method, path).send().await;
        assert_eq!(
            answer.headers["content-type"], "application/json",
            "{method} {path}"
        );
        answer.fails(code, reason);
    }
}

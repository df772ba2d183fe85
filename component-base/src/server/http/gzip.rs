//! Answers that are worth it are compressed, for clients that can read it.

use axum::Router;
use axum::http::Response;
use http_body::Body;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// The smallest body that is compressed, as upstream has it: below, the work costs more than the bytes.
const MIN_BYTES: u64 = 128 << 10;

/// `routes` with the large ones of their answers compressed, at the cheapest level: most clients are near.
pub(in super::super) fn compressed(routes: Router) -> Router {
    routes.layer(
        CompressionLayer::new()
            .quality(CompressionLevel::Fastest)
            .compress_when(Large),
    )
}

/// Answers known to be large. A stream's size is not known, so that watches are never held back by a compressor.
#[derive(Clone, Copy, Debug)]
struct Large;

impl Predicate for Large {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        response.body().size_hint().lower() >= MIN_BYTES
    }
}

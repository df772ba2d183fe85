//! Answers that are worth it are compressed, for clients that can read it.

use axum::Router;
use axum::http::Response;
use http_body::Body;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// The smallest body that is compressed, as upstream has it: below, the work costs more than the bytes.
const MIN_BYTES: u64 = 128 << 10;

/// How many bytes a body has at least. A handler whose body is made while it is sent puts this among its response's
/// extensions, where the body itself does not know.
#[derive(Clone, Copy, Debug)]
pub struct SizeAtLeast(pub u64);

/// `routes` with the large ones of their answers compressed, at the cheapest level: most clients are near.
pub(in super::super) fn compressed(routes: Router) -> Router {
    routes.layer(
        CompressionLayer::new()
            .quality(CompressionLevel::Fastest)
            .compress_when(Large),
    )
}

/// Answers known to be large. A watch's size is not known, so that no event is ever held back by a compressor.
#[derive(Clone, Copy, Debug)]
struct Large;

impl Predicate for Large {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        let told = response.extensions().get::<SizeAtLeast>();
        let size = told
            .map_or(0, |size| size.0)
            .max(response.body().size_hint().lower());
        size >= MIN_BYTES
    }
}

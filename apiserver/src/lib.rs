//! Serves the API from the store.
